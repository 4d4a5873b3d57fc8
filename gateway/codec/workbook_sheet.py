"""A sheet as its file has it, and how much of one is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.codec.table import COLUMNS_LIMIT, ROWS_LIMIT
from gateway.errors import Permanent

XLSX: Final = b"PK\x03\x04"  # how the files begin
XLS: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # a compound file: .xlsx with a password, too
CELLS_LIMIT: Final = 20_000_000  # of one workbook
MERGED_LIMIT: Final = 2_000_000  # cells of all merged ranges
Range = tuple[int, int, int, int]  # first row, first column, last row, last column, from 0


@dataclass(frozen=True, slots=True)
class Sheet:
    """`rows`: the values of all its rows, from the first one on: str, int, float, bool, datetime, date, time, None."""

    name: str
    rows: list[list[Any]]
    merged: Sequence[Range]


def refusal(cause: str, remedy: str, place: str = "workbook") -> Permanent:
    """What is no workbook for us."""
    return Permanent(cause, place=place, remedy=remedy, code="100")


def check_size(name: str, rows: int, columns: int, cells: int) -> None:
    """Raises Permanent for a sheet that is larger than the limits."""
    if rows > ROWS_LIMIT or columns > COLUMNS_LIMIT or cells > CELLS_LIMIT:
        raise refusal("the sheet is larger than the limit", "send it in parts", name)


def check_merged(name: str, merged: Sequence[Range]) -> None:
    """The same for its merged cells."""
    if sum((bottom - top + 1) * (right - left + 1) for top, left, bottom, right in merged) > MERGED_LIMIT:
        raise refusal("too many cells are merged", "send it without merged cells", name)
