"""Delimited text (CSV, RFC 4180 and its relatives) ↔ tables: any charset, separator and line end; header found.

A row that does not fit the header is a reject with its number and cause, never half a row. Cells are trimmed (blanks,
full-width blanks, the tab that keeps a spreadsheet from rounding an 18-digit number) and `="0123"` is read as 0123.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from gateway.codec import charset as charsets
from gateway.errors import Permanent

ROWS_LIMIT: Final = 1_000_000
COLUMNS_LIMIT: Final = 2_000
CELL_LIMIT: Final = 16 * 1024 * 1024  # characters: a base64 report may stand in a cell
DELIMITERS: Final = ",\t;|"
_SAMPLE: Final = 40  # rows looked at to find the delimiter and the header
_BLANKS: Final = " \t\u3000\xa0\ufeff\x00"
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_QUOTED_TEXT: Final = re.compile(r'="([^"]*)"')

csv.field_size_limit(CELL_LIMIT)  # the module's own limit (131,072) is one for the whole process


@dataclass(frozen=True, slots=True)
class Row:
    """One row of data: its number as a spreadsheet shows it (from 1, the header included) and its cells by column."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is no row of this table."""

    number: int
    cause: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A decoded file. `numbers[i]` is the spreadsheet row of `rows[i]`."""

    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    numbers: list[int]
    charset: str
    delimiter: str
    newline: str
    notes: tuple[str, ...]
    rejects: tuple[Reject, ...]

    @property
    def kind(self) -> str:
        return "delimited"


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the header is and what it says."""

    header_row: int
    columns: tuple[str, ...]
    width: int
    notes: tuple[str, ...]


def decode(body: bytes, *, charset: str = "", delimiter: str = "", header_row: int | None = None) -> Table:
    """The table in `body`. `charset`, `delimiter` and `header_row` (from 1) are the member's rules; what is not given
    is found. Raises Permanent when no header is found, a limit is passed, or no charset explains the bytes."""
    decoded = charsets.decode(body, charset)
    text, notes = decoded.text.translate(charsets.CONTROLS), decoded.notes
    if removed := len(decoded.text) - len(text):
        notes = (*notes, f"{removed} control characters removed")
    delimiter = delimiter or sniff_delimiter(text)
    shape, records = _open(io.StringIO(text, newline=""), delimiter, header_row)
    table: list[dict[str, str]] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    for item in _read(records, shape):
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            table.append(item.cells)
            numbers.append(item.number)
    return Table(
        shape.columns,
        table,
        numbers,
        decoded.charset,
        delimiter,
        _newline(text),
        (*notes, *shape.notes),
        tuple(rejects),
    )


def rows(lines: Iterable[str], *, delimiter: str = ",", header_row: int | None = None) -> Iterator[Row | Reject]:
    """The same, one row at a time, for files larger than memory: `lines` is a text stream opened with newline=""."""
    shape, records = _open(lines, delimiter, header_row)
    yield from _read(records, shape)


def encode(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, str]],
    *,
    charset: str = "utf-8",
    delimiter: str = ",",
    newline: str = "\r\n",
) -> bytes:
    """Bytes of a table with a header; absent cells are empty. A cell that a spreadsheet would run as a formula (it
    begins with = + - @, tab or CR and is no plain number) gets a leading apostrophe, which `decode` takes away."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, lineterminator=newline)
    writer.writerow([_safe(column) for column in columns])
    writer.writerows([_safe(row.get(column, "")) for column in columns] for row in rows)
    return charsets.encode(target.getvalue(), charset)


def sniff_delimiter(text: str) -> str:
    """Of `,` tab `;` `|` the one that cuts the first rows into the most columns most evenly; `,` when none does."""
    sample = "".join(islice(io.StringIO(text[:200_000], newline=""), _SAMPLE))

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [len(cells) for _, cells, cause in _records(io.StringIO(sample, newline=""), delimiter) if not cause]
        width, count = Counter(w for w in widths if w > 1).most_common(1)[0] if max(widths, default=0) > 1 else (1, 0)
        return (count * (width - 1), -DELIMITERS.index(delimiter))

    best = max(DELIMITERS, key=evenness)
    return best if evenness(best)[0] > 0 else ","


# ------------------------------------------------------------------------------------------------ reading


def _records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str], str]]:
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
        yield number, [_clean(cell) for cell in cells], ""


def _clean(cell: str) -> str:
    cell = cell.strip(_BLANKS)
    if cell[:1] == "'" and _FORMULA.match(cell, 1):
        return cell[1:]
    if cell[:2] == '="' and (quoted := _QUOTED_TEXT.fullmatch(cell)):
        return quoted[1]
    return cell


def _open(
    lines: Iterable[str], delimiter: str, header_row: int | None
) -> tuple[_Shape, Iterator[tuple[int, list[str], str]]]:
    """The header, and the records after it."""
    records = _records(lines, delimiter)
    sample = list(islice(records, max(_SAMPLE, header_row or 0)))
    place = header_row if header_row is not None else _find_header([cells for _, cells, _ in sample])
    if not 1 <= place <= len(sample) or not any(sample[place - 1][1]):
        raise Permanent(
            "no header row found",
            place="row 1",
            remedy="name the columns in one row, or set the header row",
            code="100",
        )
    columns, notes = _columns(sample[place - 1][1])
    if place > 1:
        notes.insert(0, f"header found in row {place}")
    shape = _Shape(place, columns, len(columns), tuple(notes))
    return shape, chain(sample[place:], records)


def _find_header(sample: list[list[str]]) -> int:
    """The first row as wide as the data with words, hardly one of them twice; 0 when there is none."""
    widths = Counter(width for cells in sample if (width := _width(cells)))
    if not widths:
        return 0
    usual = max(widths, key=lambda width: (widths[width] * width, width))
    for index, cells in enumerate(sample):
        names = [cell for cell in cells if cell]
        wide = len(names) >= max(1, usual * 0.6) and _width(cells) >= min(usual, 2)
        if wide and len(set(names)) >= len(names) * 0.7 and not any(_PLAIN_NUMBER.fullmatch(name) for name in names):
            return index + 1
    return 0


def _width(cells: list[str]) -> int:
    """Cells up to the last one with something in it."""
    return next((index + 1 for index in range(len(cells) - 1, -1, -1) if cells[index]), 0)


def _columns(cells: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Column names: line breaks taken out, blank ones named #4 after their place, doubled ones 名称#2."""
    if len(cells) > COLUMNS_LIMIT:
        raise Permanent(f"more than {COLUMNS_LIMIT} columns", place="header", remedy="send the file in parts")
    names: list[str] = []
    notes: list[str] = []
    for index, cell in enumerate(cells[: _width(cells)]):
        name = re.sub(r"\s*[\r\n]\s*", "", cell) or f"#{index + 1}"
        if not cell:
            notes.append(f"column {index + 1} has no name; called {name}")
        if name in names:
            doubled = name
            name = next(
                f"{doubled}#{count}" for count in range(2, COLUMNS_LIMIT + 2) if f"{doubled}#{count}" not in names
            )
            notes.append(f"column {index + 1} repeats the name of another; called {name}")
        names.append(name)
    return tuple(names), notes


def _read(records: Iterable[tuple[int, list[str], str]], shape: _Shape) -> Iterator[Row | Reject]:
    for number, cells, cause in records:
        if not cause and not any(cells):
            continue
        cause = cause or _misfit(cells, shape.width)
        if cause:
            yield Reject(number, cause, tuple(cells))
        else:
            yield Row(number, dict(zip(shape.columns, cells, strict=False)))


def _misfit(cells: list[str], width: int) -> str:
    """Empty cells after the last column are harmless; anything else may have shifted."""
    if len(cells) < width or _width(cells) > width:
        return f"{len(cells)} cells, the header has {width}"
    return ""


def _newline(text: str) -> str:
    found = re.search("\r\n|\n|\r", text)
    return found[0] if found else "\r\n"


def _safe(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _PLAIN_NUMBER.fullmatch(cell) else cell
