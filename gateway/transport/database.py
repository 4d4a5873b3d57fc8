"""A member's database through SQLAlchemy: its address, a connection with bounds, what its errors mean.

    sqlite:///his.db                         postgresql://user:secret@host/his        mysql://  mariadb://
    mssql://user:secret@host/his             oracle://user:secret@host:1521/?service_name=his
    env:NAME   file:/run/secrets/his-url     the address stands in the environment or in a file, and no password here

An error names a view, a column or the kind of trouble; never the address, a value or a driver's own words, which
quote both. A connection for reading refuses to write where the database can; nothing but SELECT is sent on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, Inspector, make_url
from sqlalchemy.exc import DBAPIError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from gateway.errors import Configuration, HutongError, Transient

CONNECT_SECONDS: Final = 10
STATEMENT_SECONDS: Final = 60  # a view that does not answer in that time asks for an index
DRIVERS: Final = {
    "postgresql": "psycopg", "postgres": "psycopg", "mysql": "pymysql", "mariadb": "pymysql", "mssql": "pymssql",
    "oracle": "oracledb",
}  # fmt: skip
INSTALL: Final = "write it as postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE; pip install 'hutong[db]'"

_READ_ONLY: Final = {  # what makes a session refuse to write; SQL Server and Oracle have rights of the user for that
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}
_REFUSED: Final = ("the user or the password is refused", "correct them, or ask the member for a user")
_NOT_THERE: Final = ("there is no such view, table or database", "ask the member for its name")
_NO_RIGHT: Final = ("the user has no right to it", "let the member grant it")
_NO_COLUMN: Final = ("a column is not there", "ask the member whether it was renamed")
_MENDED: Final = {  # SQLSTATE of PostgreSQL, error number of MySQL, SQL Server and Oracle: what a person must mend
    "28P01": _REFUSED, "28000": _REFUSED, "1045": _REFUSED, "18456": _REFUSED, "1017": _REFUSED, "1698": _REFUSED,
    "3D000": _NOT_THERE, "42P01": _NOT_THERE, "3F000": _NOT_THERE, "1049": _NOT_THERE, "1146": _NOT_THERE,
    "208": _NOT_THERE, "4060": _NOT_THERE, "942": _NOT_THERE,
    "42501": _NO_RIGHT, "1142": _NO_RIGHT, "1044": _NO_RIGHT, "1143": _NO_RIGHT, "229": _NO_RIGHT, "1031": _NO_RIGHT,
    "42703": _NO_COLUMN, "1054": _NO_COLUMN, "207": _NO_COLUMN, "904": _NO_COLUMN,
}  # fmt: skip
_SLOW: Final = frozenset({"57014", "1969", "3024", "1222", "1013", "3136"})


def engine(address: str, *, reading: bool = True, seconds: int = STATEMENT_SECONDS, kept: bool = False) -> Engine:
    """For one user of it; every connection is a new one, or with `kept` the same as long as it lives. Raises
    Configuration for an address that is none, Transient for an SQLite file that is not there."""
    url = _url(address)
    file = url.database if url.get_backend_name() == "sqlite" else ""
    if file and not file.startswith("file:") and not Path(file).is_file():  # it would be made, and be empty
        raise Transient("there is no such file", place="database", remedy="check the path of the SQLite file")
    try:
        pool: dict[str, Any] = {"pool_size": 1, "pool_pre_ping": True} if kept else {}
        made = sqlalchemy.create_engine(
            url, poolclass=QueuePool if kept else NullPool, connect_args=connect_arguments(url, seconds),
            hide_parameters=True, **pool,
        )  # fmt: skip
    except (SQLAlchemyError, ImportError, ValueError, TypeError) as error:
        raise _no_address(error) from None
    event.listen(made, "connect", lambda raw, _: _begin(raw, made, reading=reading, seconds=seconds))
    return made


@contextmanager
def connected(made: Engine, place: str = "database") -> Iterator[Connection]:
    """One connection; what was not committed is rolled back. Raises our errors."""
    with told(place), made.connect() as connection:
        yield connection


@contextmanager
def told(place: str) -> Iterator[None]:
    """What a driver raises inside becomes ours."""
    try:
        yield
    except SQLAlchemyError as error:
        raise translated(error, place) from None
    except (OSError, EOFError) as error:
        cause = f"the database does not answer ({type(error).__name__})"
        raise Transient(cause, place=place, remedy="check that it runs and that the network lets us through") from None


def translated(error: SQLAlchemyError, place: str) -> HutongError:
    """Our error for one of SQLAlchemy's or a driver's: Configuration where a person must mend something."""
    code = code_of(error)
    if code in _MENDED:
        cause, remedy = _MENDED[code]
        return Configuration(cause, place=place, remedy=remedy)
    if code in _SLOW:
        remedy = "let the member put an index on the watermark and on the numbers; it is tried again"
        return Transient("the view did not answer in time", place=place, remedy=remedy)
    if _sqlite_words(error, "no such"):
        missing = _NO_COLUMN if _sqlite_words(error, "no such column") else _NOT_THERE
        return Configuration(missing[0], place=place, remedy=missing[1])
    said = type(error).__name__ + (f" {code}" if code else "")
    remedy = "check that it runs, its address and the rights of the user; it is tried again"
    return Transient(f"the database cannot be used ({said})", place=place, remedy=remedy)


def columns_of(inspector: Inspector, place: str) -> tuple[str | None, str, list[Any]]:
    """(schema, name as the database spells it, columns) of the view or table that the settings call `place`. Raises
    Configuration where there is none."""
    schema, _, name = place.rpartition(".")
    try:
        return schema or None, name, list(inspector.get_columns(name, schema or None))
    except NoSuchTableError:
        there = [*inspector.get_view_names(schema or None), *inspector.get_table_names(schema or None)]
    spelt = [each for each in there if each.casefold() == name.casefold()]
    if len(spelt) != 1:
        remedy = "ask the member for its name, and whether the user may read it"
        raise Configuration("there is no such view or table", place=place, remedy=remedy)
    return schema or None, spelt[0], list(inspector.get_columns(spelt[0], schema or None))


def code_of(error: SQLAlchemyError) -> str:
    """SQLSTATE or the number of an error, "" where the driver gives none."""
    original = error.orig if isinstance(error, DBAPIError) else None
    first = original.args[0] if original is not None and original.args else None
    if isinstance(first, tuple) and first:  # pymssql, now and then
        first = first[0]
    number = getattr(first, "code", first)  # oracledb gives an object
    return str(number) if isinstance(number, int) else str(getattr(original, "sqlstate", None) or "")


def _sqlite_words(error: SQLAlchemyError, words: str) -> bool:
    original = error.orig if isinstance(error, DBAPIError) else None
    return type(original).__module__ == "sqlite3" and str(original).startswith(words)


def _url(address: str) -> URL:
    """The address itself, or what the environment or a file says; with our driver where none is named."""
    try:
        url = make_url(_resolved(address))
    except (SQLAlchemyError, ValueError) as error:
        raise _no_address(error) from None
    if "+" not in url.drivername and url.drivername in DRIVERS:
        backend = "postgresql" if url.drivername == "postgres" else url.drivername
        url = url.set(drivername=f"{backend}+{DRIVERS[url.drivername]}")
    return url


def _resolved(address: str) -> str:
    if address.startswith("env:"):
        found = os.environ.get(address[4:], "").strip()
        if not found:
            remedy = "set it where the service starts"
            raise Configuration(f"the environment variable {address[4:]} is not set", place="address", remedy=remedy)
        return found
    if address.startswith("file:"):
        try:
            return Path(address[5:]).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            cause = f"the file of the address cannot be read ({type(error).__name__})"
            raise Configuration(cause, place=address, remedy="check the path and its rights") from None
    return address


def _no_address(error: Exception) -> Configuration:
    return Configuration(
        f"no database address that can be used ({type(error).__name__})", place="database", remedy=INSTALL
    )


def connect_arguments(url: URL, seconds: int) -> dict[str, Any]:
    """What a driver needs to give up in time."""
    by_driver: Mapping[str, dict[str, Any]] = {
        "psycopg": {"connect_timeout": CONNECT_SECONDS},
        "pymysql": {"connect_timeout": CONNECT_SECONDS, "read_timeout": seconds + 5, "write_timeout": seconds + 5},
        "pymssql": {"login_timeout": CONNECT_SECONDS, "timeout": seconds},
        "oracledb": {"tcp_connect_timeout": float(CONNECT_SECONDS)},
        "pysqlite": {"timeout": float(CONNECT_SECONDS)},
    }
    return by_driver.get(url.get_driver_name(), {})


def session(dialect: str, *, mariadb: bool, reading: bool, seconds: int) -> list[str]:
    """What is said to a database when a session begins."""
    orders = [_READ_ONLY[dialect]] if reading and dialect in _READ_ONLY else []
    match dialect:
        case "postgresql":
            orders.append(f"SET statement_timeout = {seconds * 1000}")
        case "mysql" | "mariadb":
            limit = f"max_statement_time = {seconds}" if mariadb else f"max_execution_time = {seconds * 1000}"
            orders.append(f"SET SESSION {limit}")
            if not reading:  # a text that does not fit is an error, never cut
                orders.append("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")
        case "mssql":
            orders += [
                f"SET LOCK_TIMEOUT {seconds * 1000}",
                "SET DEADLOCK_PRIORITY LOW",
            ]  # the member's own work goes on
    return orders


def _begin(raw: Any, made: Engine, *, reading: bool, seconds: int) -> None:
    if made.dialect.name == "oracle":
        raw.call_timeout = seconds * 1000
    cursor = raw.cursor()
    try:
        mariadb = False
        if made.dialect.name in ("mysql", "mariadb"):
            cursor.execute("SELECT VERSION()")
            mariadb = "mariadb" in str(cursor.fetchone()[0]).lower()
        for order in session(made.dialect.name, mariadb=mariadb, reading=reading, seconds=seconds):
            cursor.execute(order)
        raw.commit()
    finally:
        cursor.close()
