"""The SQLite engine: one file in WAL mode with synchronous=FULL; one writer, any number of readers and processes."""

from __future__ import annotations

import functools
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from gateway.db import migrations
from gateway.db.engine import FEWER, TOO_MUCH, Row
from gateway.errors import HutongError, Permanent, Transient

BUSY_SECONDS = 10.0  # how long a writer waits for another process before it gives up with Transient
CHECKPOINT_PAUSE = 0.5  # seconds between two checkpoints under load: pages written often are copied once
WAL_FRAMES = 16_384  # 64 MiB of 4 KiB pages: past it, one checkpoint holds the writer back so that the WAL starts over
VACUUM_PAGES = 64  # given back in one go: some 15 ms
BACKUP_PAGES = 4096  # copied in one go
FALLBACK_FRAMES = 65_536  # SQLite's own checkpoint inside a commit, should the checkpoint thread have died

TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
COLUMNS = "PRAGMA table_info({})"
COUNTS = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"
COUNTERS = "SELECT name, seq FROM sqlite_sequence"
COUNTING = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"

_TRANSIENT = {
    sqlite3.SQLITE_BUSY: ("the database is locked by another process", "it is tried again; end the other program"),
    sqlite3.SQLITE_LOCKED: ("the database is locked", "it is tried again"),
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space; work goes on by itself"),
    sqlite3.SQLITE_READONLY: ("the database is read-only", "check the rights and the mount of the data directory"),
    sqlite3.SQLITE_IOERR: (
        "the disk failed to read or write",
        "check the disk; work goes on by itself once it answers",
    ),
    sqlite3.SQLITE_CANTOPEN: ("the database cannot be opened", "check that the data directory exists and is writable"),
    sqlite3.SQLITE_PERM: ("the database may not be opened", "check the rights of the data directory"),
    sqlite3.SQLITE_NOMEM: ("out of memory", "it is tried again"),
    sqlite3.SQLITE_INTERRUPT: ("the statement was interrupted", "it is tried again"),
    sqlite3.SQLITE_PROTOCOL: ("the database is locked by another process", "it is tried again"),
}
_TOO_MUCH = re.compile(r"^(?:too many|Expression tree is too large|parser stack overflow)")
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REOPEN = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}


def translated(error: sqlite3.Error, path: Path) -> HutongError:
    """Our error for one of SQLite's. Its text names the file, never a value."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in _TRANSIENT:
        cause, remedy = _TRANSIENT[primary]
        return Transient(cause, place=path.name, remedy=remedy)
    if primary in _DAMAGED:
        return Permanent("the database file is damaged", place=path.name, remedy="restore the last backup")
    if primary == sqlite3.SQLITE_ERROR and _TOO_MUCH.search(str(error)):
        return Permanent(TOO_MUCH, place=path.name, remedy=FEWER)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return Permanent(
        f"the database refused a statement ({name}: {error})", place=path.name, remedy="report this defect"
    )


class SqliteReader:
    """One connection inside a read transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        try:
            yield from self._connection.execute(sql, parameters)
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    def pages_into(self, file: Path) -> None:
        """The whole database as this snapshot shows it, as a new file; writers go on meanwhile."""
        with closing(sqlite3.connect(file)) as target:
            try:
                self._connection.backup(target, pages=BACKUP_PAGES)
                if target.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                    raise Permanent("the copy of the database is damaged", place=file.name, remedy="check the disk")
            except sqlite3.Error as error:
                raise translated(error, self._path) from error

    def tables(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(row[1] for row in self.execute(COLUMNS.format(name))) for (name,) in self.execute(TABLES)}

    def counters(self) -> dict[str, int]:
        return dict(self.execute(COUNTERS)) if self.execute(COUNTS) else {}


class SqliteTransaction(SqliteReader):
    """The writer's connection inside BEGIN IMMEDIATE."""

    @property
    def written(self) -> int:
        return self._connection.total_changes if self._connection.in_transaction else -1

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    def add(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[int | float | str]]) -> None:
        self.executemany(_addition(table, columns), rows)

    def append(
        self, table: str, number: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]
    ) -> list[int]:
        """There is one writer: the next numbers are known, and each row is a statement that needs no way back."""
        if not rows:
            return []
        first = int(self.execute(f"SELECT coalesce(max({number}), 0) + 1 FROM {table}")[0][0])  # noqa: S608  names of our own tables
        numbers = list(range(first, first + len(rows)))
        self.executemany(
            f"INSERT INTO {table} ({number}, {', '.join(columns)}) VALUES (?{', ?' * len(columns)})",  # noqa: S608
            [(each, *row) for each, row in zip(numbers, rows, strict=True)],
        )
        return numbers

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)  # noqa: S608  names of our own tables

    def count_on(self, counters: Mapping[str, int]) -> None:
        known = self.counters()
        for name in self.execute(COUNTING):
            if (number := max(counters.get(name[0], 0), known.get(name[0], 0))) > 0:
                self.execute("DELETE FROM sqlite_sequence WHERE name = ?", name)
                self.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (*name, number))


@functools.cache
def _addition(table: str, columns: Sequence[str]) -> str:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608  names of our own tables


class SqliteEngine:
    """`path` is created where it is missing and brought to `schema` (a folder of migrations: 'record' or 'journal').

    Raises Transient when the file cannot be opened, Permanent when it is damaged or no database, Configuration when a
    newer program made it.
    """

    def __init__(self, path: Path | str, *, schema: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = Path(path)
        self._busy_seconds = busy_seconds
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        self._writer: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []  # append and pop are atomic: readers share it without a lock
        self._watch_lock = threading.Lock()
        self._watcher: sqlite3.Connection | None = None
        self._closed = False
        self._checkpointer = Checkpointer(self.checkpoint)
        try:
            if not self._is_current(schema):
                with self.transaction() as transaction:
                    migrations.migrate(transaction, schema)
        except HutongError:
            self.close()
            raise

    def _is_current(self, schema: str) -> bool:
        """A file that needs no writing is opened however busy others are with it."""
        if not self.path.is_file():
            return False
        with self.reading() as reader:
            return migrations.is_current(reader, schema)

    # ------------------------------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """See Engine.transaction."""
        if self._writing_thread == threading.get_ident():
            raise Permanent("a transaction was begun inside a transaction", place=self.path.name)
        with self._write_lock:
            self._writing_thread = threading.get_ident()
            try:
                yield from self._run()
            finally:
                self._writing_thread = None
        self._checkpointer.wake()

    def _run(self) -> Iterator[SqliteTransaction]:
        """BEGIN, the caller's block, COMMIT; anything that goes wrong rolls back."""
        try:
            connection = self._writer = self._writer or self._connect()
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._give_up(error)
            raise translated(error, self.path) from error
        try:
            yield SqliteTransaction(connection, self.path)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up(error)
            raise translated(error, self.path) from error
        except BaseException as error:
            self._give_up(error.__cause__)
            raise

    def _give_up(self, cause: BaseException | None) -> None:
        """Roll back. After a failure of the disk the connection is opened anew: nothing half-known stays in it."""
        connection = self._writer
        if connection is None:
            return
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if connection.in_transaction or getattr(cause, "sqlite_errorcode", 0) & 0xFF in _REOPEN:
            self._writer = None
            connection.close()

    # ------------------------------------------------------------------------------------------ reading

    @contextmanager
    def reading(self) -> Iterator[SqliteReader]:
        """See Engine.reading."""
        connection = self._reader_connection()
        try:
            yield SqliteReader(connection, self.path)
        finally:
            self._put_back(connection)

    def _reader_connection(self) -> sqlite3.Connection:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open()
            connection.execute("PRAGMA query_only = ON")
        try:
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            connection.close()
            raise translated(error, self.path) from error
        return connection

    def _put_back(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            return
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

    def data_version(self) -> int:
        """See Engine.data_version."""
        with self._watch_lock:
            self._watcher = self._watcher or self._open()
            try:
                return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                self._watcher.close()
                self._watcher = None
                raise translated(error, self.path) from error

    # ------------------------------------------------------------------------------------------ connections

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise Transient("the database was closed", place=self.path.name, remedy="the program is stopping")
        connection = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            if connection.execute("PRAGMA page_count").fetchone()[0] == 0:  # else it would be a commit of its own
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA cache_size = -32768")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute(f"PRAGMA wal_autocheckpoint = {FALLBACK_FRAMES}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def checkpoint(self) -> None:
        """Copy committed pages into the main file beside the writer; only a WAL that got long makes the writer wait."""
        connection = self._open()
        try:
            _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if frames > WAL_FRAMES:
                with self._write_lock:  # no new frame comes in: this one reaches the end, and the WAL starts over
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            connection.close()

    def give_back(self, pause: Callable[[float], None]) -> int:
        """See Engine.give_back. A file that was made without auto_vacuum keeps its room for new rows: 0."""
        before = freed = self._free_pages()
        while before:
            began = time.monotonic()
            with self._write_lock:
                connection = self._open()
                try:
                    connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
                    size = int(connection.execute("PRAGMA page_size").fetchone()[0])
                except sqlite3.Error as error:
                    raise translated(error, self.path) from error
                finally:
                    connection.close()
            left = self._free_pages()
            if left >= before:
                break
            before = left
            pause(min(0.25, time.monotonic() - began))
        self._checkpointer.wake()
        return (freed - before) * size if freed else 0

    def _free_pages(self) -> int:
        with self.reading() as reader:
            return int(reader.execute("PRAGMA freelist_count")[0][0])

    def _close_idle(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def close(self) -> None:
        """See Engine.close."""
        self._checkpointer.close()
        with self._write_lock, self._watch_lock:
            self._closed = True
            for connection in (self._writer, self._watcher):
                if connection is not None:
                    connection.close()
            self._writer = self._watcher = None
        self._close_idle()


class Checkpointer:
    """The thread that moves committed pages from the WAL into the main file, so that no commit has to."""

    def __init__(self, checkpoint: Callable[[], None]) -> None:
        self._checkpoint = checkpoint
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()

    def wake(self) -> None:
        """Something was committed. Starts the thread the first time."""
        self._work.set()
        if self._thread is None:
            with self._start_lock:
                if self._thread is None and not self._stopping.is_set():
                    self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """Stop the thread and wait for it."""
        with self._start_lock:
            self._stopping.set()
            self._work.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(CHECKPOINT_PAUSE):
            self._work.wait()
            self._work.clear()
            if self._stopping.is_set():
                return
            with suppress(HutongError):  # a failing disk is reported by the next commit; this is only tried again
                self._checkpoint()
