"""What an export map wrote → the bytes of a file, in the receiver's charset, separator and form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.codec import delimited, fixed_width_writer, held, ndjson, soap_writer, workbook_writer, xml_writer
from gateway.codec import json as json_tree
from gateway.errors import Configuration
from gateway.mapping.written_file import WrittenFile
from gateway.model import Profile

WRITTEN = ("delimited", "fixed", "workbook", "json", "ndjson", "xml")
SUFFIXES = {
    "delimited": ".csv", "fixed": ".txt", "workbook": ".xlsx", "json": ".json", "ndjson": ".ndjson", "xml": ".xml",
}  # fmt: skip
_NEWLINES = {"crlf": "\r\n", "lf": "\n"}
Tell = Callable[[str], None]


def encode(written: WrittenFile, format: str, profile: Profile, tell: Tell = lambda said: None) -> bytes:
    """The same bytes each time. Raises Permanent for what the format or the charset cannot hold, with its place;
    Configuration for a tree that is to be a table. `tell`: of characters that the receiver's rule has replaced."""
    charset, form = profile.charset or "utf-8", profile.file
    match format:
        case "json" | "xml":
            body = (json_tree.encode if format == "json" else xml_writer.encode)(written.tree(form.rows), charset)
            operation, action = form.operation, form.action
            return soap_writer.encode(body, operation=operation, action=action, charset=charset) if operation else body
        case "ndjson":
            return ndjson.encode(written.records(), charset)
        case _ if written.root is not None:
            remedy = "take json or xml, or a map of a table"
            raise Configuration(f"{written.name} is a tree, and {format} is a table", place="format", remedy=remedy)
        case "workbook":
            return workbook_writer.encode(written.columns, written.rows, sheet=form.sheet, titles=form.titles)
        case _:
            shown = _replaced(written, charset, form.lacking, tell) if form.lacking else written
            return _text(shown, format, charset, profile)


def _text(written: WrittenFile, format: str, charset: str, profile: Profile) -> bytes:
    form, newline = profile.file, _NEWLINES.get(profile.file.newline, "\r\n")
    if format == "fixed":
        return fixed_width_writer.encode(
            written.columns, written.rows, widths=form.widths, unit=form.counted, header=form.header, charset=charset,
            newline=newline, titles=form.titles,
        )  # fmt: skip
    return delimited.encode(
        written.columns, written.rows, charset=charset, delimiter=form.separator, newline=newline,
        quoted=form.quoting == "all", titles=form.titles,
    )  # fmt: skip


def _replaced(written: WrittenFile, charset: str, sign: str, tell: Tell) -> WrittenFile:
    """The rows with a sign for each character that the charset lacks; each is told by its code point and its place."""
    rows = []
    for number, row in enumerate(written.rows, 1):
        lacked = {column: found for column, text in row.items() if (found := held.missing(text, charset))}
        for column, found in lacked.items():
            points = ", ".join(f"U+{ord(each):04X}" for each in found)
            tell(f"row {number}, {column}: {points} cannot be written in {held.declared(charset)}: {sign} stands there")
        rows.append(
            {
                column: text.translate({ord(each): sign for each in lacked.get(column, ())})
                for column, text in row.items()
            }
        )
    return replace(written, rows=rows)
