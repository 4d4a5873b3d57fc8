"""Opens the databases of a data directory, wherever they lie: SQLite files in it, or a PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.db import address
from gateway.db.engine import Engine
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Configuration

if TYPE_CHECKING:
    from gateway.db.occupancy import Occupancy

SCHEMAS: Final = ("journal", "record")


def opened(data: Path, schema: str) -> Engine:
    """The database 'journal' or 'record'; made where there is none. Raises as the engines do, and Configuration where
    the address or the driver is not usable."""
    text = address.remembered(data)
    return named(text, schema) if text else SqliteEngine(file(data, schema), schema=schema)


def named(text: str, schema: str) -> Engine:
    """The same in the PostgreSQL that a setting names."""
    found = address.read(text)
    with _driver():
        from gateway.db.postgresql import PostgresqlEngine  # only where it is used: the driver is an extra
    return PostgresqlEngine(found, schema=schema)


def occupied(data: Path) -> Occupancy | None:
    """What keeps other gateways away from the PostgreSQL of this data directory, until it is closed; None where it has
    none. Raises as `opened` does, and Configuration where another has it."""
    text = address.remembered(data)
    if not text:
        return None
    found = address.read(text)
    with _driver():
        from gateway.db.occupancy import Occupancy
    return Occupancy(found)


@contextmanager
def _driver() -> Iterator[None]:
    try:
        yield
    except ImportError:
        remedy = "pip install 'hutong[postgresql]'"
        raise Configuration("the driver of PostgreSQL is not installed", place="database", remedy=remedy) from None


def file(data: Path, schema: str) -> Path:
    """Where SQLite keeps it."""
    return data / f"{schema}.sqlite"


def exists(data: Path, schema: str) -> bool:
    """Has this data directory been served before, as far as can be seen here?"""
    return bool(address.remembered(data)) or file(data, schema).is_file()


def settle(data: Path, wanted: str) -> None:
    """What the settings name, else the environment, is what this data directory uses from now on; "" = as it was.
    Raises Configuration where it holds a record elsewhere: nothing is left behind in silence."""
    known = address.remembered(data)
    wanted = wanted or os.environ.get(address.ENVIRONMENT, "")
    if not wanted or wanted == known:
        return
    address.read(wanted)
    if known and address.read(known) == address.read(wanted):
        address.remember(data, wanted)
        return
    if known or any(file(data, schema).is_file() for schema in SCHEMAS):
        held = "another PostgreSQL" if known else "SQLite"
        remedy = "`hutong migrate --to` moves it; or set `database` to where it is"
        raise Configuration(f"the record of this data directory lies in {held}", place="database", remedy=remedy)
    address.remember(data, wanted)
