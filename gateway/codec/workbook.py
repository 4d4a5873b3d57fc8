"""Workbooks (.xlsx, .xlsm, .xls) → tables: titles, headers of two tiers, merged cells, several sheets, footers.

What a spreadsheet shows is what is read: a date cell becomes `2026-03-02 12:40:00`, a number its shortest digits. A
merged cell of data stands for all its rows. Nothing is run: formulas give the value that was stored with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.codec.cell import EXACT, shown
from gateway.codec.table import SAMPLE, Record, Shape, Table, columns, find_header, shape_of, table_of
from gateway.codec.workbook_sheet import XLS, XLSX, Range, Sheet
from gateway.errors import Permanent

_FOOTER: Final = re.compile(
    r"[合总小共][\s\u3000]*[计页]|(?:制表|打印|导出|统计|填报|审核|负责)[\u4e00-\u9fff]{0,3}[:：]|共\s*\d+\s*[条页行]"
)
_FILLED: Final = 3  # cells of a footer

Merges = Mapping[tuple[int, int], tuple[int, int]]  # each cell of a merged range → its first cell, from 0


def is_workbook(body: bytes) -> bool:
    """By its first bytes."""
    return body.startswith((XLSX, XLS))


def decode(body: bytes, *, header_row: int | None = None) -> list[Table]:
    """A table for each visible sheet that has one. `header_row` (from 1): where the member says that it is. Raises
    Permanent for what is no workbook, has a password, or is larger than the limits."""
    from gateway.codec import workbook_xls, workbook_xlsx  # their libraries take a tenth of a second

    reader = workbook_xls if body.startswith(XLS) else workbook_xlsx
    found = [_table(sheet, header_row) for sheet in reader.sheets(body)]
    tables = [table for table in found if table is not None]
    if not tables:
        remedy = "name the columns in one row, or set the header row"
        raise Permanent("no sheet holds a table", place="workbook", remedy=remedy, code="100")
    return tables


# ------------------------------------------------------------------------------------------------ one sheet


def _table(sheet: Sheet, header_row: int | None) -> Table | None:
    """None for a sheet without a table: notes on the query, an empty one."""
    merges = _merges(sheet.merged)
    raw = sheet.rows
    grid = [[shown(cell) for cell in row] for row in raw]
    sample = grid[: max(SAMPLE, header_row or 0)]
    if header_row is None and not find_header(sample):
        return None
    shape = _two_tiers(shape_of(sample, header_row), grid, merges)
    if len(shape.columns) < 2 and header_row is None:
        return None  # a list of remarks
    left_out: list[int] = []
    records = _records(grid, shape, merges, left_out)
    made = table_of(records, shape, kind="workbook", sheet=sheet.name)
    if not made.rows and not made.rejects:
        return None
    told = [f"row {row} was taken for a footer and left out" for row in left_out]
    return replace(made, notes=(*made.notes, *told, *_rounded(raw, shape)))


def _merges(ranges: Sequence[Range]) -> Merges:
    return {
        (row, column): (top, left)
        for top, left, bottom, right in ranges
        for row in range(top, bottom + 1)
        for column in range(left, right + 1)
    }


def _rounded(grid: Sequence[Sequence[Any]], shape: Shape) -> Iterator[str]:
    """Columns in which long numbers have lost their last digits."""
    for index, name in enumerate(shape.columns):
        for number, row in enumerate(grid[shape.header_row :], shape.header_row + 1):
            cell = row[index] if index < len(row) else ""
            if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= EXACT:
                yield f"column {name}: numbers of more than 15 digits have lost the last ones (first in row {number})"
                break


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


def _records(grid: Sequence[Sequence[str]], shape: Shape, merges: Merges, left_out: list[int]) -> Iterator[Record]:
    """The rows below the header, as wide as it is; those of a merged cell all have it."""
    width = shape.width
    for row in range(shape.header_row, len(grid)):
        cells = [*grid[row][:width], *[""] * (width - len(grid[row]))]
        if _is_footer(cells):
            left_out.append(row + 1)
            continue
        for column in range(width) if merges else ():
            top, left = merges.get((row, column), (row, column))
            if top != row and left == column and top >= shape.header_row:
                cells[column] = grid[top][column]
        rest = grid[row][width:]
        yield row + 1, [*cells, *rest] if any(rest) else cells, ""


def _is_footer(cells: Sequence[str]) -> bool:
    said = [cell for cell in cells if cell]
    return 0 < len(said) <= min(_FILLED, len(cells) - 1) and any(map(_FOOTER.match, said))
