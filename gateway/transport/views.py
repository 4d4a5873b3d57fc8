"""Views of a member's database → tables: read as they stand, never written to (SQLAlchemy: SQLite, PostgreSQL …).

What a member shows is a view for the purpose; where there are none, its tables are taken. The connection only reads.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from gateway.codec.cell import shown
from gateway.codec.table import ROWS_LIMIT, Table
from gateway.errors import Configuration, Transient

_READ_ONLY: Final = {  # by dialect, what makes a connection refuse to write
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


def read(url: str) -> list[Table]:
    """All views, each whole. Raises Configuration for an address that is none, Transient for a database that cannot be
    reached; neither names the address, which may hold a password."""
    try:
        engine = sqlalchemy.create_engine(url)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise Configuration(
            f"no database address that can be used ({type(error).__name__})",
            place="database",
            remedy="write it as sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME, and install its driver",
        ) from None
    try:
        with engine.connect() as connection:
            if order := _READ_ONLY.get(engine.dialect.name):
                connection.exec_driver_sql(order)
            inspector = sqlalchemy.inspect(connection)
            names = inspector.get_view_names() or inspector.get_table_names()
            return [_table(connection, name) for name in names]
    except SQLAlchemyError as error:
        raise Transient(
            f"the database cannot be read ({type(error).__name__})", place="database", remedy="check address and rights"
        ) from None
    finally:
        engine.dispose()


def _table(connection: Connection, name: str) -> Table:
    quoted = connection.dialect.identifier_preparer.quote(name)
    found = connection.execution_options(stream_results=True).exec_driver_sql(f"SELECT * FROM {quoted}")  # noqa: S608
    columns = tuple(found.keys())
    rows: list[dict[str, str]] = []
    for row in found:
        if len(rows) >= ROWS_LIMIT:
            raise Configuration(f"more than {ROWS_LIMIT} rows", place=name, remedy="narrow the view")
        rows.append(dict(zip(columns, map(_cell, row), strict=True)))
    return Table(kind="view", columns=columns, rows=rows, numbers=list(range(1, len(rows) + 1)), sheet=name)


def _cell(value: Any) -> str:
    """A database keeps what a spreadsheet rounds: all digits of a whole number, the clock of a midnight."""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else shown(value)
