"""Workbooks (.xlsx, .xlsm, .xls, pages and XML named so) → tables: titles, headers of two tiers, merged cells, several
sheets, footers.

What a spreadsheet shows is what is read: a date cell becomes `2026-03-02 12:40:00`, a number its shortest digits. A
merged cell of data stands for all its rows. Nothing is run: formulas give the value that was stored with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.codec import workbook_markup
from gateway.codec.cell import EXACT, shown
from gateway.codec.table import (
    SAMPLE,
    Cleaned,
    Record,
    Reject,
    Row,
    Shape,
    Table,
    TableStream,
    columns,
    find_header,
    fitted,
    held,
    shape_of,
)
from gateway.codec.text_stream import Opened, opened
from gateway.codec.workbook_sheet import XLS, XLSX, Range, Sheet
from gateway.errors import Permanent

_FOOTER: Final = re.compile(
    r"[合总小共][\s\u3000]*[计页]|(?:制表|打印|导出|统计|填报|审核|负责)[\u4e00-\u9fff]{0,3}[:：]|共\s*\d+\s*[条页行]"
)
_FILLED: Final = 3  # cells of a footer
_START: Final = 4096  # bytes by which a reader is chosen
_BELOW: Final = 2  # rows that are looked at below those in which the header may stand
_TOLD: Final = 100  # footers

Merges = Mapping[tuple[int, int], tuple[int, int]]  # each cell of a merged range → its first cell, from 0


def is_workbook(body: bytes) -> bool:
    """By its first bytes. Pages and XML that bear the name of one are workbooks too."""
    return body.startswith((XLSX, XLS)) or workbook_markup.is_markup(body)


def streams(source: Opened, *, header_row: int | None = None) -> Iterator[TableStream]:
    """A table for each visible sheet that has one, its rows read one at a time; hidden ones are told.
    `header_row` (from 1): where the member says that it is. Raises Permanent for what is no workbook, has a password,
    or is larger than the limits."""
    found = False
    sheets = [*_sheets(source)]
    hidden = tuple(f"the hidden sheet {each.name} was left out" for each in sheets if each.hidden)
    for sheet in sheets:
        table = None if sheet.hidden else _table(sheet, header_row)
        if table is not None:
            yield table if found else replace(table, notes=(*table.notes, *hidden))
            found = True
    if not found:
        remedy = "name the columns in one row, or set the header row"
        raise Permanent("no sheet holds a table", place="workbook", remedy=remedy, code="100")


def _sheets(source: Opened) -> Iterator[Sheet]:
    from gateway.codec import workbook_xls, workbook_xlsx  # their libraries take a tenth of a second

    with source() as file:
        start = file.read(_START)
    if start.startswith(XLS):
        return workbook_xls.sheets(source)
    return workbook_markup.sheets(source) if workbook_markup.is_markup(start) else workbook_xlsx.sheets(source)


def decode(body: bytes, *, header_row: int | None = None) -> list[Table]:
    """The same with all their rows."""
    return [held(table) for table in streams(opened(body), header_row=header_row)]


# ------------------------------------------------------------------------------------------------ one sheet


def _table(sheet: Sheet, header_row: int | None) -> TableStream | None:
    """None for a sheet without a table: notes on the query, an empty one."""
    grid = _grid(sheet, max(SAMPLE, header_row or 0) + _BELOW)
    sample = grid[: max(SAMPLE, header_row or 0)]
    if header_row is None and not find_header(sample):
        return None
    shape = _two_tiers(shape_of(sample, header_row), grid, _merges(sheet.merged, grid))
    if len(shape.columns) < 2 and header_row is None:
        return None  # a list of remarks
    told: list[str] = []
    reading = _Reading(sheet, shape, told)

    def items() -> Iterator[Row | Reject]:
        told.clear()
        return fitted(reading.records(), shape)

    if next(items(), None) is None:
        return None
    return TableStream(
        kind="workbook", columns=shape.columns, items=items, notes=shape.notes, sheet=sheet.name,
        told=told,
    )  # fmt: skip


def _grid(sheet: Sheet, count: int) -> list[list[str]]:
    """The first rows as they are shown, up to the last one with something in it."""
    grid: list[list[str]] = []
    for number, row in sheet.rows():
        if number > count:
            break
        grid.extend([] for _ in range(number - 1 - len(grid)))
        grid.append([shown(cell) for cell in row])
    return grid


def _merges(ranges: Sequence[Range], grid: Sequence[Sequence[str]]) -> Merges:
    """Of the first rows."""
    width = max(map(len, grid), default=0)
    return {
        (row, column): (top, left)
        for top, left, bottom, right in ranges
        for row in range(top, min(bottom + 1, len(grid)))
        for column in range(left, min(right + 1, width))
    }


class _Reading:
    """The rows below the header, as wide as it is; those of a merged cell all have it."""

    def __init__(self, sheet: Sheet, shape: Shape, told: list[str]) -> None:
        self.sheet = sheet
        self.shape = shape
        self.told = told
        self.starts: dict[int, list[Range]] = {}
        for each in sheet.merged:
            if each[0] >= shape.header_row and each[1] < shape.width:
                self.starts.setdefault(each[0], []).append(each)

    def records(self) -> Iterator[Record]:
        """What is left out, and numbers that have lost digits, are told."""
        width, header, footers = self.shape.width, self.shape.header_row, 0
        shown_texts = Cleaned()
        over: dict[int, tuple[int, str]] = {}  # by column: the last row of the merged cell above, and what it says
        rounded: set[int] = set()
        for number, row in self.sheet.rows():
            if number <= header:
                continue
            self._round(number, row, rounded)
            grid = [shown_texts[cell] if isinstance(cell, str) else shown(cell) for cell in row]
            cells = [*grid[:width], *[""] * (width - len(grid))]
            if _is_footer(cells):
                footers += 1
                if footers <= _TOLD:
                    self.told.append(f"row {number} was taken for a footer and left out")
                continue
            if self.starts:
                self._merged(number - 1, cells, over)
            rest = grid[width:]
            yield number, [*cells, *rest] if any(rest) else cells, ""

    def _merged(self, row: int, cells: list[str], over: dict[int, tuple[int, str]]) -> None:
        """A cell that says something of its own under a merged one keeps it: rows were moved and the merging was not,
        and what stands above belongs to somebody else."""
        contrary = [
            column for column, (bottom, text) in over.items() if row <= bottom and cells[column] not in ("", text)
        ]
        for column, (bottom, text) in list(over.items()):
            if row > bottom or column in contrary:
                del over[column]
            else:
                cells[column] = text
        if contrary:
            names = ", ".join(self.shape.columns[column] for column in sorted(contrary))
            self.told.append(
                f"row {row + 1}: merged cells above say something else than {names}; they count no further"
            )
        for _, left, bottom, _ in self.starts.get(row, ()):
            over[left] = (bottom, cells[left])

    def _round(self, number: int, row: Sequence[Any], rounded: set[int]) -> None:
        """Columns in which long numbers have lost their last digits."""
        for index, cell in enumerate(row):
            if isinstance(cell, str) or index in rounded or index >= self.shape.width:
                continue
            if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= EXACT:
                rounded.add(index)
                told = "numbers of more than 15 digits have lost the last ones"
                self.told.append(f"column {self.shape.columns[index]}: {told} (first in row {number})")


# ------------------------------------------------------------------------------------------------ header, rows


def _two_tiers(shape: Shape, grid: Sequence[Sequence[str]], merges: Merges) -> Shape:
    """The header with what stands in the tier above or below it: a name that several columns share gets that of its
    group before it (`申请信息/医生`), a group gets the names of its columns."""
    row = shape.header_row - 1
    if _groups(row, merges) and row + 1 < len(grid) and _below(row, grid, merges):
        row += 1
    names = [_shown(grid, merges, row, column) for column in range(max(len(grid[row]), shape.width))]
    if row > 0 and (groups := _groups(row - 1, merges)) and len(groups) > 1:
        doubled = {name for name in names if names.count(name) > 1}
        names = [
            f"{_shown(grid, merges, row - 1, column)}/{name}" if name in doubled else name
            for column, name in enumerate(names)
        ]
    found, notes = columns(names)
    told = [f"header found in row {row + 1}"] if row else []
    return Shape(row + 1, found, len(found), (*told, *notes))


def _groups(row: int, merges: Merges) -> set[tuple[int, int]]:
    """The first cells of the merged ranges that lie in this row over several columns."""
    across = {merges[place] for place in merges if place[0] == row and merges[place] != place}
    return {first for first in across if first[0] == row and (row, first[1] + 1) in merges}


def _below(row: int, grid: Sequence[Sequence[str]], merges: Merges) -> bool:
    """Does each column of the groups have a name of its own in the next row?"""
    under = [place[1] for place in merges if place[0] == row and merges[place] in _groups(row, merges)]
    names = [_shown(grid, merges, row + 1, column) for column in under]
    return all(names) and len(set(names)) > len(names) / 2


def _shown(grid: Sequence[Sequence[str]], merges: Merges, row: int, column: int) -> str:
    row, column = merges.get((row, column), (row, column))
    return grid[row][column] if row < len(grid) and column < len(grid[row]) else ""


def _is_footer(cells: Sequence[str]) -> bool:
    said = [cell for cell in cells if cell]
    return 0 < len(said) <= min(_FILLED, len(cells) - 1) and any(map(_FOOTER.match, said))
