"""Delimited text (CSV, RFC 4180 and its relatives) ↔ tables: any charset, separator and line end; header found."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Final, Literal

from gateway.codec import charset as charsets
from gateway.codec import held
from gateway.codec.table import (
    FORMULA,
    PLAIN_NUMBER,
    ROWS_LIMIT,
    SAMPLE,
    Record,
    Reject,
    Row,
    Shape,
    Table,
    clean,
    fitted,
    shape_of,
    table_of,
)
from gateway.errors import Permanent

CELL_LIMIT: Final = 16 * 1024 * 1024  # characters: a base64 report may stand in a cell
DELIMITERS: Final = ",\t;|"
_HARMLESS: Final = re.compile(
    rf"{PLAIN_NUMBER.pattern}|[+-]{{1,6}}|\+\d{{1,3}}(?:[ -]\d{{2,}})+"
)  # -1.5, +++, +86 139-0000

csv.field_size_limit(CELL_LIMIT)  # the module's own limit (131,072) is one for the whole process


def decode(body: bytes, *, charset: str = "", delimiter: str = "", header_row: int | None = None) -> Table:
    """The table in `body`. `charset`, `delimiter` and `header_row` (from 1) are the member's rules; what is not given
    is found. Raises Permanent when no header is found, a limit is passed, or no charset explains the bytes."""
    decoded = charsets.decode(body, charset)
    text, notes = decoded.text.translate(charsets.CONTROLS), decoded.notes
    if removed := len(decoded.text) - len(text):
        notes = (*notes, f"{removed} control characters removed")
    delimiter = delimiter or sniff_delimiter(text)
    shape, records = _open(io.StringIO(text, newline=""), delimiter, header_row)
    return table_of(
        records, shape, kind="delimited", notes=notes, charset=decoded.charset, delimiter=delimiter,
        newline=_newline(text),
    )  # fmt: skip


def rows(lines: Iterable[str], *, delimiter: str = ",", header_row: int | None = None) -> Iterator[Row | Reject]:
    """The same, one row at a time, for files larger than memory: `lines` is a text stream opened with newline=""."""
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
    sample = "".join(islice(io.StringIO(text[:200_000], newline=""), SAMPLE))

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [len(cells) for _, cells, cause in _records(io.StringIO(sample, newline=""), delimiter) if not cause]
        width, count = Counter(w for w in widths if w > 1).most_common(1)[0] if max(widths, default=0) > 1 else (1, 0)
        return (count * (width - 1), -DELIMITERS.index(delimiter))

    best = max(DELIMITERS, key=evenness)
    return best if evenness(best)[0] > 0 else ","


# ------------------------------------------------------------------------------------------------ reading


def _records(lines: Iterable[str], delimiter: str) -> Iterator[Record]:
    """(row number, trimmed cells, cause of failure or ""). A row with a broken quote fails alone."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        if number > ROWS_LIMIT:
            raise Permanent(f"more than {ROWS_LIMIT} rows", place="row", remedy="send the file in parts")
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, [], f"broken quotes: {error}"
            continue
        yield number, [clean(cell) for cell in cells], ""


def _open(lines: Iterable[str], delimiter: str, header_row: int | None) -> tuple[Shape, Iterator[Record]]:
    """The header, and the records after it."""
    records = _records(lines, delimiter)
    sample = list(islice(records, max(SAMPLE, header_row or 0)))
    shape = shape_of([cells for _, cells, _ in sample], header_row)
    return shape, chain(sample[shape.header_row :], records)


def _newline(text: str) -> str:
    found = re.search("\r\n|\n|\r", text)
    return found[0] if found else "\r\n"


def _safe(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) and not _HARMLESS.fullmatch(cell) else cell
