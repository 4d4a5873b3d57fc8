"""The database as the rooms see it: a transaction that writes, a reader that sees one instant.

SQL text is shared by the engines: `?` placeholders, ON CONFLICT, RETURNING, row values; no dialect of its own.
What a driver raises becomes ours inside the engine: locked, full, read-only or failing disks are Transient, a damaged
file is Permanent, and so is a statement of more parts than the database takes (TOO_MUCH, FEWER).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

Row = tuple[Any, ...]

TOO_MUCH: Final = "the question has more parts than the database takes"
FEWER: Final = "ask for fewer values at once"


class Reader(Protocol):
    """A consistent snapshot: everything read through it is as of one commit."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and return all its rows (those of RETURNING too); [] when it has none."""
        ...

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of a question one after the other, however many they are: memory stays flat."""
        ...

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Every table with its columns, as they were made: one that is referred to comes before those that refer."""
        ...

    def counters(self) -> Mapping[str, int]:
        """The highest number that each table which numbers its rows has given, also to rows that are gone."""
        ...


class Transaction(Reader, Protocol):
    """A reader that may also write; it sees what it wrote itself."""

    @property
    def written(self) -> int:
        """Stays the same while nothing is written through it, not even what was undone since, and nothing fails that
        ends the transaction."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one writing statement for every row."""
        ...

    def add(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[int | float | str]]) -> None:
        """Add rows to a table, in one statement where that is cheaper; those that it has already stay as they are."""
        ...

    def append(
        self, table: str, number: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]
    ) -> list[int]:
        """Add rows to a table that numbers them in the column `number`; their numbers, in the order of the rows. `key`:
        columns that no two of them have in common."""
        ...

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Add rows to a table in the fastest way there is."""
        ...

    def count_on(self, counters: Mapping[str, int]) -> None:
        """New rows of these tables get higher numbers."""
        ...


class Engine(Protocol):
    """One database. Safe to use from several threads; other processes may have it open too."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """The one writer. Durable (fsync) when the block ends without error; otherwise nothing happened.

        Do not nest it: a second one in the same thread would wait for the first, and is refused. Raises Transient
        when the database is locked, full, read-only or unreadable, also at the commit.
        """
        ...

    def reading(self) -> AbstractContextManager[Reader]:
        """A snapshot that starts at its first statement; never waits for the writer, never sees half of its work."""
        ...

    def data_version(self) -> int:
        """A number that differs from the one before when anything was committed in between, by any process.

        For pollers: microseconds, no rows are read. It says nothing about order; compare with `!=` only, within one
        engine object.
        """
        ...

    def give_back(self, pause: Callable[[float], None]) -> int:
        """Give room that deleted rows left back to the disk, a little at a time; returns the bytes. `pause` is called
        with the seconds that others shall have in between."""
        ...

    def close(self) -> None:
        """Give back every connection and file. Readers still in use are closed when they end."""
        ...
