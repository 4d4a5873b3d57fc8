"""Views of a member's database → tables: read as they stand, never written to (SQLAlchemy: database.py).

What a member shows is a view for the purpose; where there are none, its tables are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import sqlalchemy
from sqlalchemy.engine import Connection

from gateway.codec.database_cell import cell
from gateway.codec.table import ROWS_LIMIT, Table
from gateway.errors import Configuration
from gateway.transport import database

CHUNK = 1000  # rows fetched at once


def read(address: str, *, wanted: Callable[[Sequence[str]], bool] | None = None) -> Iterator[Table]:
    """All views, one after the other, each whole; rows come from the server as they are taken. One whose columns are
    not `wanted` comes without rows: a hospital has hundreds of them. Raises Configuration for an address that is none
    or what a person must mend, Transient for a database that cannot be reached; none names the address, which may hold
    a password."""
    engine = database.engine(address)
    try:
        with database.connected(engine) as connection:
            inspector = sqlalchemy.inspect(connection)
            for name in inspector.get_view_names() or inspector.get_table_names():
                with database.told(name):
                    columns = tuple(each["name"] for each in inspector.get_columns(name))
                    rows = _rows(connection, name, columns) if wanted is None or wanted(columns) else []
                yield Table(kind="view", columns=columns, rows=rows, numbers=list(range(1, len(rows) + 1)), sheet=name)
    finally:
        engine.dispose()


def _rows(connection: Connection, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
    view = sqlalchemy.table(name, *map(sqlalchemy.column, columns))
    rows: list[dict[str, str]] = []
    for row in connection.execution_options(yield_per=CHUNK).execute(sqlalchemy.select(view)):
        if len(rows) >= ROWS_LIMIT:
            raise Configuration(f"more than {ROWS_LIMIT} rows", place=name, remedy="narrow the view, or poll it")
        rows.append(dict(zip(columns, map(cell, row), strict=True)))
    return rows
