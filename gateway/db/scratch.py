"""A place on disk for what does not fit into memory: numbers by key, bytes in order, bytes by name. It is gone when it
is closed, or when the program ends; it has no name that another program could open (SQLite: a temporary database)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from gateway.db import migrations
from gateway.db.sqlite import SqliteTransaction, translated

_PLACE: Final = Path("temporary")
_TABLES: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -4096;
    CREATE TABLE first (key TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID;
    CREATE TABLE line (place INTEGER, number INTEGER, body BLOB);
    CREATE TABLE kept (at INTEGER PRIMARY KEY, name TEXT UNIQUE, text BLOB);
"""


class Scratch:
    """For one thread at a time. Raises Transient where the disk is full."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_TABLES)
        self._connection.execute("BEGIN")

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Nothing of it is left."""
        self._connection.close()

    def first(self, key: str, number: int) -> int:
        """The number that was noted for the key first: this one, where the key is new."""
        try:
            made = self._connection.execute("INSERT OR IGNORE INTO first VALUES (?, ?)", (key, number)).rowcount
            if made == 1:
                return number
            found = self._connection.execute("SELECT number FROM first WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise translated(error, _PLACE) from None
        return int(found[0])

    def forget(self) -> None:
        """The numbers by key."""
        self._run("DELETE FROM first", ())

    def add(self, place: int, number: int, body: bytes) -> None:
        """Bytes, to be read by place and number."""
        self._run("INSERT INTO line VALUES (?, ?, ?)", (place, number, body))

    def ordered(self) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) of all that was added."""
        yield from self._connection.execute("SELECT number, body FROM line ORDER BY place, number")

    def get(self, name: str) -> bytes | None:
        """What is kept under a name."""
        found = self._connection.execute("SELECT text FROM kept WHERE name = ?", (name,)).fetchone()
        return bytes(found[0]) if found else None

    def keep(self, name: str, text: bytes) -> None:
        """In place of what was kept under the name."""
        self._run(
            "INSERT INTO kept (name, text) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text",
            (name, text),
        )

    def kept(self) -> Iterator[bytes]:
        """All that is kept, as it first came."""
        for (text,) in self._connection.execute("SELECT text FROM kept ORDER BY at"):
            yield bytes(text)

    def _run(self, sql: str, values: tuple[object, ...]) -> None:
        try:
            self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise translated(error, _PLACE) from None


@contextmanager
def in_memory(schema: str) -> Iterator[SqliteTransaction]:
    """A database of a schema (a folder of migrations) that nobody else sees, empty at first and gone at the end."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        transaction = SqliteTransaction(connection, _PLACE)
        migrations.migrate(transaction, schema)
        yield transaction
    finally:
        connection.close()
