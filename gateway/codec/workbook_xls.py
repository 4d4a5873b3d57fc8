"""The sheets of .xls (Excel 97 to 2003), which old systems still write: read by xlrd, 65,536 rows at most."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, Literal

import xlrd

from gateway.codec.text_stream import Opened
from gateway.codec.workbook_sheet import Numbered, Range, Sheet, check_merged, check_sheets, check_size, refusal
from gateway.errors import HutongError

SIZE_LIMIT: Final = 64 << 20  # bytes
_VISIBLE: Final = 0


def sheets(source: Opened) -> Iterator[Sheet]:
    """The sheets, of the hidden ones their names. Raises Permanent for what cannot be read."""
    with source() as file:
        body = file.read(SIZE_LIMIT + 1)
    if len(body) > SIZE_LIMIT:
        raise refusal("the workbook is larger than the limit", "send it as .xlsx, or in parts")
    try:
        book = xlrd.open_workbook(file_contents=body, formatting_info=True, logfile=io.StringIO())
        check_sheets(book.nsheets)
        for sheet in book.sheets():
            if sheet.visibility == _VISIBLE:
                yield _sheet(sheet, 1 if book.datemode else 0)
            else:
                yield Sheet(sheet.name, lambda: iter(()), (), hidden=True)
    except HutongError:
        raise
    except Exception:  # noqa: BLE001 - a damaged file shows itself in many ways
        cause = "no workbook that can be read: it is damaged, or has a password"
        raise refusal(cause, "save it as .xlsx without a password") from None


def _sheet(sheet: Any, datemode: Literal[0, 1]) -> Sheet:
    check_size(sheet.name, sheet.nrows, sheet.ncols, 0)
    merged: list[Range] = [(top, left, bottom - 1, right - 1) for top, bottom, left, right in sheet.merged_cells]
    check_merged(sheet.name, len(merged))
    return Sheet(sheet.name, partial(_rows, sheet, datemode), merged)


def _rows(sheet: Any, datemode: Literal[0, 1]) -> Iterator[Numbered]:
    for number in range(sheet.nrows):
        cells = [_value(cell, datemode) for cell in sheet.row(number)]
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            yield number + 1, cells


def _value(cell: Any, datemode: Literal[0, 1]) -> Any:
    match cell.ctype:
        case xlrd.XL_CELL_TEXT | xlrd.XL_CELL_NUMBER:
            return cell.value
        case xlrd.XL_CELL_DATE:
            return xlrd.xldate_as_datetime(cell.value, datemode)
        case xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        case _:
            return None
