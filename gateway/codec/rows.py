"""Rows of database views as bytes that describe themselves, so that what was polled can be read again (UTF-8 JSON).

    {"rows":1,"tables":[{"name":"V_检验结果","map":"his-results","columns":["报告单号",…],"cells":[["B1",…],…]},…]}

The first table is what is new or changed, the others hold the rows that its numbers lead to. Equal rows give equal
bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.codec.table import Table
from gateway.errors import Permanent

START = b'{"rows":1,'
WITHDRAWN = "@withdrawn"  # column of what is written: "1" where a row tells of what was cancelled or entered in error


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of one view, and the export map that reads them."""

    name: str
    map: str = ""
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


class Rows(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one entry holds. `lacks`: views whose rows it leads to, and that did not have them: nothing tells whose it
    is."""

    rows: int
    tables: tuple[Sheet, ...]
    lacks: tuple[str, ...] = ()


def encode(sheets: Sequence[Sheet], *, lacks: Sequence[str] = ()) -> bytes:
    """The bytes of these rows."""
    return msgspec.json.encode(Rows(1, tuple(sheets), tuple(lacks)))


def decode(body: bytes) -> Rows:
    """The rows of these bytes. Raises Permanent for others."""
    try:
        paper = msgspec.json.decode(body, type=Rows)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        raise _damaged("these bytes are no rows of a database") from None
    for sheet in paper.tables:
        if any(len(each) != len(sheet.columns) for each in sheet.cells):
            raise _damaged("a row is longer or shorter than its columns", sheet.name)
    return paper


def table(sheet: Sheet) -> Table:
    """The same as every other table."""
    rows = [dict(zip(sheet.columns, cells, strict=True)) for cells in sheet.cells]
    return Table(
        kind="view", columns=sheet.columns, rows=rows, numbers=list(range(1, len(rows) + 1)), sheet=sheet.name,
        charset="utf-8",
    )  # fmt: skip


def is_rows(body: bytes) -> bool:
    """Do the bytes begin like rows?"""
    return body.startswith(START)


def _damaged(cause: str, place: str = "rows") -> Permanent:
    return Permanent(cause, place=place, remedy="they were written by another program; poll the view again", code="100")
