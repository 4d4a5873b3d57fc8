"""The PostgreSQL engine: two schemas of one database, one writer at a time among all processes, any number of readers.

One writer: every transaction begins with the schema's advisory lock and holds it until its commit can be seen. So the
statements of a writer see one state that nobody else changes, numbers grow in the order of commits, and nothing is ever
rolled back because two met: the same promises as of SQLite, from any number of processes and machines.

A reader is one REPEATABLE READ snapshot. Connections that broke while nobody used them are opened anew without a word;
one that breaks in use is Transient. Where it breaks inside a COMMIT, the server is asked afterwards what became of it;
only where it crashed in that very moment does Transient mean that nobody knows.
"""

from __future__ import annotations

import hashlib
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import psycopg
from psycopg.pq import TransactionStatus

from gateway.db import migrations
from gateway.db.address import Address
from gateway.db.postgresql_statements import NO_LIMIT, Connection, PostgresqlReader, PostgresqlTransaction
from gateway.db.postgresql_types import TYPES, place_of, translated
from gateway.errors import HutongError, Permanent, Transient

BUSY_SECONDS = 10.0  # how long a writer waits for another before it gives up with Transient
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 120.0  # after which a statement is given up with Transient
FORGOTTEN_SECONDS = 600.0  # a writer that says nothing for so long has lost its turn
RESOLVE_SECONDS = 8.0  # a COMMIT that broke off is asked after for so long
READERS = 32  # snapshots at once in one process
IDLE = 8  # connections kept for the next readers
PREPARED = 512  # statements kept ready on a connection

_SETTINGS: Final = """
    SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false),
           set_config('statement_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),
           set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
           set_config('jit', 'off', false), set_config('default_transaction_isolation', 'read committed', false)
"""
_DURABLE: Final = """
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
SIZE: Final = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
_XID: Final = "SELECT pg_current_xact_id_if_assigned()::text, pg_postmaster_start_time()::text"
_SINCE: Final = "SELECT pg_postmaster_start_time()::text"
_OUTCOME: Final = "SELECT pg_xact_status(%s::xid8)"
_WATCH: Final = "SELECT pg_current_snapshot()::text"


class PostgresqlEngine:
    """`schema` ('record' or 'journal') lies in the PostgreSQL schema `<namespace>_<schema>`; both are made where they
    are missing. Raises Transient when the server does not answer or does not let us in, Configuration when a newer
    program made the schema."""

    def __init__(self, address: Address, *, schema: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self.address = address
        self.schema = schema
        self._path = f"{address.namespace}_{schema}"
        self._place = place_of(address, schema)
        self._busy_seconds = busy_seconds
        self._lock_number = lock_number(self._path)
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        self._writer: Connection | None = None
        self._idle: list[Connection] = []  # append and pop are atomic: readers share it without a lock
        self._readers = threading.BoundedSemaphore(READERS)
        self._watch_lock = threading.Lock()
        self._watcher: Connection | None = None
        self._closed = False
        try:
            with self.transaction() as transaction:
                transaction.execute(NO_LIMIT)
                if not transaction.execute("SELECT to_regnamespace(?)::text", (f'"{self._path}"',))[0][0]:
                    transaction.execute(f'CREATE SCHEMA "{self._path}"')
                migrations.migrate(transaction, schema)
        except HutongError:
            self.close()
            raise

    # ------------------------------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[PostgresqlTransaction]:
        """See Engine.transaction."""
        if self._writing_thread == threading.get_ident():
            raise Permanent("a transaction was begun inside a transaction", place=self._place)
        with self._write_lock:
            self._writing_thread = threading.get_ident()
            try:
                yield from self._run()
            finally:
                self._writing_thread = None

    def _run(self) -> Iterator[PostgresqlTransaction]:
        """BEGIN with the lock, the caller's block, COMMIT; anything that goes wrong rolls back."""
        try:
            connection = self._writer = self._usable(self._writer)
            connection.execute(_LOCK, (self._lock_number,))
        except psycopg.Error as error:
            self._give_up()
            raise translated(error, self._place) from error
        try:
            yield PostgresqlTransaction(connection, self._place)
            self._commit(connection)
        except psycopg.Error as error:
            self._give_up()
            raise translated(error, self._place) from error
        except BaseException:
            self._give_up()
            raise

    def _commit(self, connection: Connection) -> None:
        number, since = connection.execute(_XID).fetchall()[0]
        if number is None:  # nothing was written
            connection.rollback()
            return
        try:
            connection.commit()
        except psycopg.OperationalError:
            if not connection.closed or not self._was_committed(number, since):
                raise
        if connection.closed:
            self._writer = None

    def _was_committed(self, number: str, since: str) -> bool:
        """What became of a transaction whose COMMIT got no answer; Transient while the server cannot tell. It cannot
        once it was started anew: after a crash it gives the numbers of lost transactions to others."""
        until = time.monotonic() + RESOLVE_SECONDS
        while True:
            try:
                with self._connect() as connection:
                    if connection.execute(_SINCE).fetchall()[0][0] != since:
                        raise Transient(
                            "the database restarted inside a commit: it may have happened", place=self._place
                        )
                    state = connection.execute(_OUTCOME, (number,)).fetchall()[0][0]
                if state != "in progress":
                    return bool(state == "committed")
            except psycopg.Error as error:
                if time.monotonic() > until:
                    raise translated(error, self._place) from error
            if time.monotonic() > until:
                raise Transient("the database does not say what became of a commit", place=self._place)
            time.sleep(0.1)

    def _give_up(self) -> None:
        """Roll back; a connection that cannot is closed."""
        connection = self._writer
        if connection is None:
            return
        with suppress(psycopg.Error):
            connection.rollback()
        if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            self._writer = None
            connection.close()

    # ------------------------------------------------------------------------------------------ reading

    @contextmanager
    def reading(self) -> Iterator[PostgresqlReader]:
        """See Engine.reading."""
        if not self._readers.acquire(timeout=self._busy_seconds):
            raise Transient("too many read at once", place=self._place, remedy="it is tried again")
        try:
            connection = self._reader_connection()
            try:
                yield PostgresqlReader(connection, self._place)
            finally:
                self._put_back(connection)
        finally:
            self._readers.release()

    def _reader_connection(self) -> Connection:
        try:
            found: Connection | None = self._idle.pop()
        except IndexError:
            found = None
        try:
            connection = self._usable(found)
        except psycopg.Error as error:
            raise translated(error, self._place) from error
        if connection is not found:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
        return connection

    def _put_back(self, connection: Connection) -> None:
        with suppress(psycopg.Error):
            connection.rollback()
        if connection.closed or len(self._idle) >= IDLE:
            connection.close()
            return
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

    def data_version(self) -> int:
        """See Engine.data_version. A snapshot names every transaction that is under way and the next to come: it
        differs once anything was committed. So it does when another schema of the server was written."""
        with self._watch_lock:
            try:
                if self._watcher is None or _is_broken(self._watcher):
                    self._watcher = self._usable(self._watcher)
                    self._watcher.autocommit = True
                return hash(self._watcher.execute(_WATCH).fetchall()[0][0])
            except psycopg.Error as error:
                if self._watcher is not None:
                    self._watcher.close()
                self._watcher = None
                raise translated(error, self._place) from error

    def give_back(self, pause: Callable[[float], None]) -> int:
        """See Engine.give_back. VACUUM makes the room usable again beside everybody; what lies at the end of a table
        goes back to the disk."""
        with closing(self._connect()) as connection:
            try:
                connection.autocommit = True
                connection.execute("SELECT set_config('statement_timeout', '0', false)")
                before = self._size(connection)
                for name in PostgresqlReader(connection, self._place).tables():
                    connection.execute(f'VACUUM "{name}"')
                    pause(0.0)
                return max(0, before - self._size(connection))
            except psycopg.Error as error:
                raise translated(error, self._place) from error

    @staticmethod
    def _size(connection: Connection) -> int:
        return int(connection.execute(SIZE).fetchall()[0][0])

    # ------------------------------------------------------------------------------------------ connections

    def _usable(self, connection: Connection | None) -> Connection:
        """This connection, or a new one where it broke meanwhile."""
        if self._closed:
            raise Transient("the database was closed", place=self._place, remedy="the program is stopping")
        if connection is not None:
            if not _is_broken(connection):
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> Connection:
        connection = psycopg.connect(
            self.address.conninfo,
            connect_timeout=CONNECT_SECONDS,
            application_name="hutong",
            client_encoding="utf8",
            tcp_user_timeout=15_000,
            keepalives_idle=30,
            context=TYPES,
        )
        connection.prepared_max = PREPARED
        try:
            limits = (self._busy_seconds, STATEMENT_SECONDS, FORGOTTEN_SECONDS)
            connection.execute(_SETTINGS, (f'"{self._path}"', *(f"{int(each * 1000)}" for each in limits)))
            connection.execute(_DURABLE)
            connection.commit()
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def _close_idle(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def close(self) -> None:
        """See Engine.close."""
        with self._write_lock, self._watch_lock:
            self._closed = True
            for connection in (self._writer, self._watcher):
                if connection is not None:
                    connection.close()
            self._writer = self._watcher = None
        self._close_idle()


def lock_number(name: str) -> int:
    """The advisory lock of that name: of a schema, of a gateway."""
    return int.from_bytes(hashlib.blake2b(f"hutong {name}".encode(), digest_size=8).digest(), "big", signed=True)


def _is_broken(connection: Connection) -> bool:
    """Did it end while nobody used it? An idle connection has nothing to say: what can be read is its end."""
    if connection.closed:
        return True
    try:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN | select.POLLHUP)
        return bool(waiting.poll(0))
    except (OSError, psycopg.Error):
        return True
