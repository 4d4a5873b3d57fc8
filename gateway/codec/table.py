"""Tables, however they came (delimited text, workbooks, database views): a header, rows of cells, what fits not.

A row that does not fit the header is a reject with its number and cause, never half a row. Cells are trimmed (blanks,
full-width blanks, the tab that keeps a spreadsheet from rounding an 18-digit number) and `="0123"` is read as 0123.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from gateway.codec.short_rows import Whole
from gateway.errors import Permanent

ROWS_LIMIT: Final = 1_048_576  # of a table in memory: as many as a sheet has
MISFITS_LIMIT: Final = 10_000  # rows behind each other that do not fit the header
HELD_LIMIT: Final = 5_000_000  # cells of a table in memory
COLUMNS_LIMIT: Final = 2_000
TOLD_LIMIT: Final = 100  # rows of which each is told
SAMPLE: Final = 40  # rows looked at to find the header
PLAIN_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
FORMULA: Final = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # full-width signs work in Chinese programs
_BLANKS: Final = " \t\u3000\xa0\ufeff\x00"
UNSEEN: Final = re.compile(  # zero widths and directions; the joiners of other scripts at the ends alone
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]|^[\u200c\u200d]+|[\u200c\u200d]+$"
)
_KEPT: Final = 8192  # cells
_REPEATED: Final = 100  # characters: longer ones hardly come again
_FIELD: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*(?:\(\d+(?:,\d+)?\))?", re.ASCII
)  # PAT_ID, varchar(20)
_QUOTED_TEXT: Final = re.compile(r'="([^"]*)"')

Record = tuple[int, list[str], str]  # row number from 1, trimmed cells, why it is none or ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of data: its number as a spreadsheet shows it (from 1, the header included) and its cells by column."""

    number: int
    cells: dict[str, Any]  # texts; of a tree the node that it is
    size: int = 0  # characters, where they are not simply those of its cells


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is no row of this table."""

    number: int
    cause: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A decoded table. `numbers[i]` is the spreadsheet row of `rows[i]`."""

    kind: str  # delimited | workbook
    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    numbers: list[int]
    notes: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()
    sheet: str = ""  # of a workbook
    charset: str = ""  # of text
    delimiter: str = ""
    newline: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStream:
    """A table whose rows are read one at a time. `items` begins at the first row each time; it may raise Permanent."""

    kind: str  # delimited | workbook | ndjson | json | xml
    columns: tuple[str, ...]  # () where each row has its own
    items: Callable[[], Iterator[Row | Reject]]
    cells: Callable[[Sequence[str]], Iterator[list[str]]] | None = None  # of some columns alone, of what is no row, too
    notes: tuple[str, ...] = ()
    sheet: str = ""
    charset: str = ""
    delimiter: str = ""
    newline: str = ""
    told: list[str] = field(default_factory=list)  # what the rows gave to say; whole when all have been read


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the header is and what it says."""

    header_row: int
    columns: tuple[str, ...]
    width: int
    notes: tuple[str, ...]
    sample: tuple[Sequence[str], ...] = ()  # the first rows below the header
    usual: int = 0  # cells of most rows, with the empty ones behind the last column; 0: not known


def clean(cell: str) -> str:
    """A cell without what surrounds it, and without signs that nobody sees: they tell texts apart that are the same."""
    if not cell.isascii() and UNSEEN.search(cell):
        cell = UNSEEN.sub("", cell)
    cell = cell.strip(_BLANKS)
    if cell[:1] == "'" and (FORMULA.match(cell, 1) or "'" not in cell[1:]):
        return cell[1:]  # what tells a spreadsheet that a text stands there
    if cell[:2] == '="' and (quoted := _QUOTED_TEXT.fullmatch(cell)):
        return quoted[1]
    return cell


class Cleaned(dict[str, str]):
    """Cells without what surrounds them: most come again and again. For one table; it forgets all when it is full."""

    def __missing__(self, cell: str) -> str:
        made = clean(cell)
        if len(cell) <= _REPEATED:
            if len(self) >= _KEPT:
                self.clear()
            self[cell] = made
        return made


def shape_of(sample: Sequence[Sequence[str]], header_row: int | None) -> Shape:
    """The header among the first rows; `header_row` (from 1): where it is said to be. Raises Permanent without one."""
    place = header_row if header_row is not None else find_header(sample)
    if not 1 <= place <= len(sample) or not any(sample[place - 1]):
        raise Permanent(
            "no header row found",
            place="row 1",
            remedy="name the columns in one row, or set the header row",
            code="100",
        )
    names, notes = columns(sample[place - 1], _unnamed(sample[place - 1], sample[place:]))
    if place > 1:
        notes.insert(0, f"header found in row {place}")
    lengths = Counter(len(cells) for cells in sample[place:] if any(cells))
    usual = max(lengths, key=lambda length: (lengths[length], length), default=0)
    return Shape(place, names, len(names), tuple(notes), tuple(sample[place:]), usual)


def find_header(sample: Sequence[Sequence[str]]) -> int:
    """The first row as wide as the data with words, hardly one of them twice; 0 when there is none."""
    widths = Counter(width for cells in sample if (width := width_of(cells)))
    if not widths:
        return 0
    usual = max(widths, key=lambda width: (widths[width] * width, width))
    for index, cells in enumerate(sample):
        names = [cell for cell in cells if cell]
        wide = len(names) >= max(1, usual * 0.6) and width_of(cells) >= min(usual, 2)
        if wide and len(set(names)) >= len(names) * 0.7 and not any(PLAIN_NUMBER.fullmatch(name) for name in names):
            return index + 1
    return 0


def width_of(cells: Sequence[str]) -> int:
    """Cells up to the last one with something in it."""
    return next((index + 1 for index in range(len(cells) - 1, -1, -1) if cells[index]), 0)


def _unnamed(header: Sequence[str], data: Sequence[Sequence[str]]) -> int:
    """How many columns the header has with those behind the last name: they are some where most rows fill them."""
    widths = sorted(width for cells in data if len(cells) == len(header) and (width := width_of(cells)))
    return max(width_of(header), widths[(len(widths) - 1) // 2] if widths else 0)


def columns(cells: Sequence[str], width: int = 0) -> tuple[tuple[str, ...], list[str]]:
    """Column names: line breaks taken out, blank ones named #4 after their place, doubled ones 名称#2. `width`: how
    many there are, where some behind the last name have none."""
    if len(cells) > COLUMNS_LIMIT:
        raise Permanent(f"more than {COLUMNS_LIMIT} columns", place="header", remedy="send the file in parts")
    names: list[str] = []
    notes: list[str] = []
    for index, cell in enumerate(cells[: width or width_of(cells)]):
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


def fitted(records: Iterable[Record], shape: Shape, told: list[str] | None = None) -> Iterator[Row | Reject]:
    """The rows behind the header, without the empty ones. `told`: gets what is to be said of rows that are taken.
    Raises Permanent where what follows is no table any more."""
    misfits = short = 0
    header = Header(shape)
    for number, cells, cause in records:
        if not cause and not any(cells):
            continue
        cause = cause or header.misfit(cells)
        misfits = misfits + 1 if cause else 0
        if misfits > MISFITS_LIMIT:
            raise Permanent(
                f"{MISFITS_LIMIT} rows behind each other are none: {cause}", place=f"row {number}", code="102",
                remedy="mend the file from there on; what stands before it may have been taken",
            )  # fmt: skip
        if cause:
            yield Reject(number, cause, tuple(cells))
            continue
        if len(cells) < shape.width:
            short += 1
            if told is not None and short <= TOLD_LIMIT:
                told.append(f"row {number} lacks its last {shape.width - len(cells)} cells; they were read as empty")
            cells = [*cells, *[""] * (shape.width - len(cells))]
        yield Row(number, dict(zip(header.columns, cells, strict=False)))
    if told is not None and short > TOLD_LIMIT:
        told.append(f"{short} rows in all lack their last cells; they were read as empty")


class Header:
    """The columns of the rows that follow: of the header, or of one that stands further down in another order."""

    def __init__(self, shape: Shape) -> None:
        self.columns, self.shape = shape.columns, shape
        self._names = frozenset(shape.columns)
        self._strange, self._first = False, True

    @cached_property
    def whole(self) -> Whole:
        """What whole rows look like."""
        return Whole(self.shape.sample, self.shape.width)

    def misfit(self, cells: Sequence[str]) -> str:
        """Why a row is none, or "". Empty cells after the last column are harmless where most rows have them; anything
        else may have shifted."""
        first, self._first = self._first, False
        if self.may_be(cells[0], cells[-1]) and (again := self.again(cells)):
            return again
        width, usual = self.shape.width, self.shape.usual or len(cells)
        if len(cells) < width and self.columns == self.shape.columns and self.whole.lacks_its_end(cells):
            usual = width = len(cells)
        if len(cells) != width and (len(cells) < width or len(cells) != usual or width_of(cells) > width):
            return f"{len(cells)} cells, the header has {width}"
        if self._strange:
            return "it stands below a header of other columns"
        return "the names of the columns again, in other words" if first and _fields(cells) else ""

    def may_be(self, first: str, last: str) -> bool:
        """Can a row with these first and last cells be a header at all?"""
        return first in self._names or last in self._names

    def again(self, cells: Sequence[str]) -> str:
        """A row of names is a header, and what follows it is read by it; what follows other names by none."""
        said = [cell for cell in cells if cell]
        known = self._names.intersection(said)
        if len(known) < 3 or len(known) < len(said) * 0.6:
            return ""
        width = self.shape.width
        self._strange = frozenset(said) != self._names or len(said) != width or not all(cells[:width])
        if self._strange:
            return "a header of other columns stands here"
        same, self.columns = tuple(cells[:width]) == self.columns, tuple(cells[:width])
        return "the header stands here again" if same else "the header stands here again, in another order"


def _fields(cells: Sequence[str]) -> bool:
    """Is it a row of names of fields or of their types, as some programs write below the header? Each a word of a
    program, and no data."""
    said = [cell for cell in cells if cell]
    return len(said) > max(4, len(cells) // 2) and all(map(_FIELD.fullmatch, said))


def held(stream: TableStream) -> Table:
    """The table with all its rows."""
    items: list[Row | Reject] = []
    for item in stream.items():
        items.append(item)
        if len(items) * len(stream.columns) > HELD_LIMIT:
            raise Permanent(
                f"more than {HELD_LIMIT} cells in tables that are read at once", place=stream.sheet or stream.kind,
                code="102", remedy="send each table in a file of its own, or in parts",
            )  # fmt: skip
    rows = [each for each in items if isinstance(each, Row)]
    return Table(
        kind=stream.kind, columns=stream.columns, rows=[each.cells for each in rows],
        numbers=[each.number for each in rows], notes=(*stream.notes, *stream.told),
        rejects=tuple(each for each in items if isinstance(each, Reject)), sheet=stream.sheet, charset=stream.charset,
        delimiter=stream.delimiter, newline=stream.newline,
    )  # fmt: skip


def table_of(records: Iterable[Record], shape: Shape, *, kind: str, notes: Sequence[str] = (), **said: str) -> Table:
    """The whole table. `said`: sheet, charset, delimiter, newline."""
    rows: list[dict[str, str]] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    told: list[str] = []
    for item in fitted(records, shape, told):
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            rows.append(item.cells)
            numbers.append(item.number)
    return Table(
        kind=kind, columns=shape.columns, rows=rows, numbers=numbers, notes=(*notes, *shape.notes, *told),
        rejects=tuple(rejects), **said,
    )  # fmt: skip
