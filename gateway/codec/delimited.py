"""Delimited text (CSV, RFC 4180 and its relatives) ↔ tables: any charset, separator and line end; header found."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Final, Literal

from gateway.codec import damaged, held
from gateway.codec.quoted_rows import cut
from gateway.codec.table import (
    FORMULA,
    PLAIN_NUMBER,
    ROWS_LIMIT,
    SAMPLE,
    Cleaned,
    Header,
    Record,
    Reject,
    Row,
    Shape,
    Table,
    TableStream,
    fitted,
    shape_of,
    table_of,
)
from gateway.codec.text_stream import Opened, text_of
from gateway.errors import Permanent

CELL_LIMIT: Final = 16 * 1024 * 1024  # characters: a base64 report may stand in a cell
CUT_LIMIT: Final = 100_000  # separators in one line
STREAM_LIMIT: Final = 20_000_000  # rows that are read one at a time
GLANCE: Final = 200_000  # characters
DELIMITERS: Final = ",\t;|"
_HARMLESS: Final = re.compile(
    rf"{PLAIN_NUMBER.pattern}|[+-]{{1,6}}|\+\d{{1,3}}(?:[ -]\d{{2,}})+"
)  # -1.5, +++, +86 139-0000

csv.field_size_limit(CELL_LIMIT)  # the module's own limit (131,072) is one for the whole process


def decode(body: bytes, *, charset: str = "", delimiter: str = "", header_row: int | None = None) -> Table:
    """The table in `body`. `charset`, `delimiter` and `header_row` (from 1) are the member's rules; what is not given
    is found. Raises Permanent when no header is found, a limit is passed, or no charset explains the bytes."""
    decoded = damaged.decode(body, charset)
    text, notes = decoded.text, decoded.notes
    delimiter = delimiter or sniff_delimiter(text)
    shape, records = _open(io.StringIO(text, newline=""), delimiter, header_row)
    return table_of(
        records, shape, kind="delimited", notes=notes, charset=decoded.charset, delimiter=delimiter,
        newline=_newline(text),
    )  # fmt: skip


def stream(source: Opened, *, charset: str = "", delimiter: str = "", header_row: int | None = None) -> TableStream:
    """The same table, one row at a time, for files larger than memory. Raises what `decode` raises; while its rows are
    read also Permanent, for a limit that is passed further down."""
    text = text_of(source, charset)
    start = _start(text.lines())
    delimiter = delimiter or sniff_delimiter(start)
    shape, _ = _open(text.lines(), delimiter, header_row)

    told: list[str] = []

    def items() -> Iterator[Row | Reject]:
        told.clear()
        shape, records = _open(text.lines(), delimiter, header_row, STREAM_LIMIT)
        return fitted(records, shape, told)

    def cells(names: Sequence[str]) -> Iterator[list[str]]:
        wanted = [name for name in names if name in shape.columns]
        header = Header(shape)
        places = [*map(header.columns.index, wanted)]
        shown = Cleaned()
        for _, found, _ in islice(_records(text.lines(), delimiter, STREAM_LIMIT, clean=False), shape.header_row, None):
            ends = (shown[found[0]], shown[found[-1]]) if found else ("", "")
            if header.may_be(*ends) and header.again([shown[each] for each in found]):
                places = [*map(header.columns.index, wanted)]
            yield [shown[found[place]] for place in places if place < len(found)]

    return TableStream(
        kind="delimited", columns=shape.columns, items=items, cells=cells, notes=(*text.notes, *shape.notes),
        charset=text.charset, delimiter=delimiter, newline=_newline(start), told=told,
    )  # fmt: skip


def rows(lines: Iterable[str], *, delimiter: str = ",", header_row: int | None = None) -> Iterator[Row | Reject]:
    """The rows of a text stream opened with newline=""."""
    shape, records = _open(lines, delimiter, header_row)
    yield from fitted(records, shape)


def encode(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, str]],
    *,
    charset: str = "utf-8",
    delimiter: str = ",",
    newline: str = "\r\n",
    quoted: bool = False,
    titles: Sequence[str] = (),
) -> bytes:
    """Bytes of a table with a header, below the titles; absent cells are empty; `quoted`: every cell stands in quotes.

    A cell that a spreadsheet would run as a formula (it begins with = + - @, tab or CR) gets a leading apostrophe,
    which `decode` takes away. Numbers, telephone numbers and `+++` run nothing, and stay as they are. Raises Permanent
    for characters that the charset lacks."""
    target = io.StringIO(newline="")
    quoting: Literal[0, 1] = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(target, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerows([_safe(title)] for title in titles)
    writer.writerow([_safe(column) for column in columns])
    listed = list(rows)
    writer.writerows([_safe(row.get(column, "")) for column in columns] for row in listed)

    def place(character: str) -> str:
        places = (
            (at, name)
            for at, row in enumerate(listed, len(titles) + 2)
            for name in columns
            if character in row.get(name, "")
        )
        return next((f"row {at}, {name}" for at, name in places), "header")

    return held.encode(target.getvalue(), charset, place)


def sniff_delimiter(text: str) -> str:
    """Of `,` tab `;` `|` the one that cuts the first rows into the most columns most evenly; `,` when none does."""
    sample = "".join(islice(io.StringIO(text[:GLANCE], newline=""), SAMPLE))

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [
            len(cells) for _, cells, cause in _records(io.StringIO(sample, newline=""), delimiter, GLANCE) if not cause
        ]
        width, count = Counter(w for w in widths if w > 1).most_common(1)[0] if max(widths, default=0) > 1 else (1, 0)
        return (count * (width - 1), -DELIMITERS.index(delimiter))

    best = max(DELIMITERS, key=evenness)
    return best if evenness(best)[0] > 0 else ","


# ------------------------------------------------------------------------------------------------ reading


def _records(lines: Iterable[str], delimiter: str, limit: int, *, clean: bool = True) -> Iterator[Record]:
    """(row number, trimmed cells, cause of failure or ""). A row with a broken quote or damaged characters fails
    alone."""
    shown = Cleaned()
    for number, (cells, cause) in enumerate(cut(_bounded(lines, delimiter), delimiter), 1):
        if number > limit:
            raise Permanent(f"more than {limit} rows", place="row", remedy="send the file in parts")
        yield number, [shown[cell] for cell in cells] if clean else cells, cause


def _bounded(lines: Iterable[str], delimiter: str) -> Iterator[str]:
    """The lines; one with far more separators than any table has columns is not cut into its cells."""
    for number, line in enumerate(lines, 1):
        if len(line) > CUT_LIMIT and line.count(delimiter) > CUT_LIMIT:
            raise Permanent(
                f"more than {CUT_LIMIT} cells in one line", place=f"line {number}", code="102",
                remedy="send a table of rows: a header, then a line a record",
            )  # fmt: skip
        yield line


def _start(lines: Iterable[str]) -> str:
    """The first rows, for what is seen at a glance."""
    found: list[str] = []
    length = 0
    for line in lines:
        found.append(line)
        length += len(line)
        if length > GLANCE:
            break
    return "".join(found)[:GLANCE]


def _open(
    lines: Iterable[str], delimiter: str, header_row: int | None, limit: int = 0
) -> tuple[Shape, Iterator[Record]]:
    """The header, and the records after it. `limit`: how many, where it is not the usual one."""
    records = _records(lines, delimiter, limit or ROWS_LIMIT)
    sample = list(islice(records, max(SAMPLE, header_row or 0)))
    shape = shape_of([cells for _, cells, _ in sample], header_row)
    return shape, chain(sample[shape.header_row :], records)


def _newline(text: str) -> str:
    found = re.search("\r\n|\n|\r", text)
    return found[0] if found else "\r\n"


def _safe(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) and not _HARMLESS.fullmatch(cell) else cell
