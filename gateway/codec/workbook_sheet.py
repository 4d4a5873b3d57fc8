"""A sheet as its file has it, one row at a time, and how much of one is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.codec.table import COLUMNS_LIMIT, ROWS_LIMIT
from gateway.errors import Permanent

XLSX: Final = b"PK\x03\x04"  # how the files begin
XLS: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # a compound file: .xlsx with a password, too
CELLS_LIMIT: Final = 100_000_000  # with something in them, of one sheet
MERGED_LIMIT: Final = 300_000  # merged ranges of a sheet
SHEETS_LIMIT: Final = 500
Range = tuple[int, int, int, int]  # first row, first column, last row, last column, from 0
Numbered = tuple[int, list[Any]]  # a row's number from 1, and its cells up to the last one with something in it


@dataclass(frozen=True, slots=True)
class Sheet:
    """`rows`: those with something in them, in order, from the first one each time: str, int, float, bool, datetime,
    date, time, None. They may raise Permanent."""

    name: str
    rows: Callable[[], Iterator[Numbered]]
    merged: Sequence[Range]
    hidden: bool = False  # it is not read


def refusal(cause: str, remedy: str, place: str = "workbook") -> Permanent:
    """What is no workbook for us."""
    return Permanent(cause, place=place, remedy=remedy, code="100")


def check_size(name: str, rows: int, columns: int, cells: int) -> None:
    """Raises Permanent for a sheet that is larger than the limits."""
    if rows > ROWS_LIMIT or columns > COLUMNS_LIMIT or cells > CELLS_LIMIT:
        raise refusal("the sheet is larger than the limit", "send it in parts", name)


def check_merged(name: str, ranges: int) -> None:
    """The same for its merged ranges."""
    if ranges > MERGED_LIMIT:
        raise refusal("too many cells are merged", "send it without merged cells", name)


def check_sheets(count: int) -> None:
    """The same for the sheets of a workbook."""
    if count > SHEETS_LIMIT:
        raise refusal(f"more than {SHEETS_LIMIT} sheets", "send it in parts")
