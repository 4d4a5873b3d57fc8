"""What is asked of a PostgreSQL connection inside a transaction."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg

from gateway.db.dialect import postgresql
from gateway.db.engine import Row
from gateway.db.postgresql_types import rows_of, translated

TOGETHER: Final = 32  # new rows that one statement writes: a third of the time of one statement each
TABLES: Final = """
    SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace GROUP BY c.oid, c.relname ORDER BY c.oid
"""
NUMBER_COLUMN: Final = """
    SELECT attname::text FROM pg_attribute
     WHERE attrelid = to_regclass(?) AND attidentity <> ''
"""
NUMBERED: Final = """
    SELECT c.relname::text, pg_get_serial_sequence(c.oid::regclass::text, a.attname) FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> ''
     WHERE c.relnamespace = current_schema()::regnamespace
"""
NO_LIMIT: Final = """
    SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)
"""  # for this transaction: whole tables come and are read again, minutes each

Connection = psycopg.Connection[Row]


class PostgresqlReader:
    """One connection inside a transaction."""

    def __init__(self, connection: Connection, place: str) -> None:
        self._connection = connection
        self._place = place

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            cursor = self._connection.execute(postgresql(sql), parameters, binary=True)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise translated(error, self._place) from error

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        try:
            with self._connection.cursor("rows", binary=True) as cursor:
                cursor.itersize = 1000
                yield from cursor.execute(postgresql(sql), parameters)
        except psycopg.Error as error:
            raise translated(error, self._place) from error

    def tables(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(columns) for name, columns in self.execute(TABLES)}

    def counters(self) -> dict[str, int]:
        found = {name: self.execute(f"SELECT last_value, is_called FROM {place}") for name, place in self._numbered()}  # noqa: S608  a name of the server's own
        return {name: rows[0][0] for name, rows in found.items() if rows[0][1]}

    def _numbered(self) -> list[tuple[str, str]]:
        """(table, what counts it)."""
        return [(name, place) for name, place in self.execute(NUMBERED) if place]


class PostgresqlTransaction(PostgresqlReader):
    """The writer's connection, with the advisory lock held."""

    written = 0  # statements that were not plainly questions, or failed

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        before, self.written = self.written, self.written + 1
        found = super().execute(sql, parameters)
        if sql.startswith("SELECT"):
            self.written = before
        return found

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self.written += 1
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(postgresql(sql), rows)
        except psycopg.Error as error:
            raise translated(error, self._place) from error

    def add(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[int | float | str]]) -> None:
        """As one JSON: a parameter for each value costs six times as much here."""
        self.execute(_addition(table, columns), (rows_of(columns, rows),))

    def append(
        self, table: str, number: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]
    ) -> list[int]:
        """In few statements; no order of what they return is promised."""
        found: dict[Row, int] = {}
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]
            statement = _appending(table, number, tuple(key), tuple(columns), len(some))
            found.update((row[1:], row[0]) for row in self.execute(statement, [value for row in some for value in row]))
        places = [columns.index(name) for name in key]
        return [found[tuple([row[place] for place in places])] for row in rows]

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        self.execute(NO_LIMIT)
        try:
            with self._connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
            self.execute(f'ANALYZE "{table}"')  # else its plans are those of an empty table for a minute
        except psycopg.Error as error:
            raise translated(error, self._place) from error

    def count_on(self, counters: Mapping[str, int]) -> None:
        known = self.counters()
        for name, place in self._numbered():
            column = self.execute(NUMBER_COLUMN, (name,))[0][0]
            highest = self.execute(f'SELECT coalesce(max("{column}"), 0) FROM "{name}"')[0][0]  # noqa: S608  as above
            if (number := max(counters.get(name, 0), known.get(name, 0), highest)) > 0:
                self.execute("SELECT setval(?::regclass, ?)", (place, number))


@functools.cache
def _addition(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    source = f"json_populate_recordset(NULL::{table}, ?::json)"
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {source} ON CONFLICT DO NOTHING"  # noqa: S608  names of our own tables


@functools.cache
def _appending(table: str, number: str, key: tuple[str, ...], columns: tuple[str, ...], count: int) -> str:
    marks = ", ".join([f"({', '.join('?' * len(columns))})"] * count)
    returned = ", ".join([number, *key])
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks} RETURNING {returned}"  # noqa: S608  names of our own tables
