"""What an export map wrote → the bytes of a file, in the receiver's charset, separator and form."""

from __future__ import annotations

from gateway.codec import delimited, workbook_writer, xml_writer
from gateway.codec import json as json_tree
from gateway.errors import Configuration
from gateway.mapping.written_file import WrittenFile
from gateway.model import Profile

WRITTEN = ("delimited", "workbook", "json", "xml")
SUFFIXES = {"delimited": ".csv", "workbook": ".xlsx", "json": ".json", "xml": ".xml"}
_NEWLINES = {"crlf": "\r\n", "lf": "\n"}


def encode(written: WrittenFile, format: str, profile: Profile) -> bytes:
    """The same bytes each time. Raises Permanent for what the format or the charset cannot hold, with its place;
    Configuration for a tree that is to be a table."""
    charset, form = profile.charset or "utf-8", profile.file
    match format:
        case "json":
            return json_tree.encode(written.tree(form.rows), charset)
        case "xml":
            return xml_writer.encode(written.tree(form.rows), charset)
        case _ if written.root is not None:
            remedy = "take json or xml, or a map of a table"
            raise Configuration(f"{written.name} is a tree, and {format} is a table", place="format", remedy=remedy)
        case "workbook":
            return workbook_writer.encode(written.columns, written.rows, sheet=form.sheet, titles=form.titles)
        case _:
            return delimited.encode(
                written.columns, written.rows, charset=charset, delimiter=form.separator,
                newline=_NEWLINES.get(form.newline, "\r\n"), quoted=form.quoting == "all", titles=form.titles,
            )  # fmt: skip
