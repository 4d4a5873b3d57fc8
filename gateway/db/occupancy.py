"""Only one gateway works over the databases of a PostgreSQL namespace.

Every transaction is safe beside others, but two gateways would each send what is owed. The files of SQLite need nothing
of this: their data directory is held. Here a session of its own holds an advisory lock for as long as the gateway runs;
the server gives it back when that session ends, however it ends.

    the server restarts, the session breaks      the lock is taken again as soon as the server answers
    the network broke, and the server waits      it is told to end our old session
    another gateway took the lock meanwhile      `lost` is called: this one must end
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Final, Self

import psycopg

from gateway.db.address import Address
from gateway.db.postgresql import lock_number
from gateway.db.postgresql_types import place_of, translated
from gateway.errors import Configuration

EVERY = 2.0  # seconds between two looks whether the session lives
PATIENCE = 3.0  # seconds in which the server sees that a gateway has ended
_PAUSE: Final = 0.1
_CONNECT_SECONDS: Final = 5
_JOIN_SECONDS: Final = 1.0

_SETTINGS: Final = """
    SELECT set_config(name, CASE WHEN name LIKE 'tcp%' THEN '10' ELSE '0' END, false) FROM pg_settings
     WHERE name IN ('tcp_keepalives_idle', 'tcp_keepalives_interval', 'idle_session_timeout')
"""
_TAKE: Final = "SELECT pg_try_advisory_lock(%s)"
_HOLDER: Final = """
    SELECT held.pid, coalesce(activity.application_name, '') FROM pg_locks AS held
      LEFT JOIN pg_stat_activity AS activity ON activity.pid = held.pid
     WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
       AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND ((held.classid::bigint << 32) | held.objid::bigint) = %s
"""
_END: Final = "SELECT pg_terminate_backend(%s)"


class Occupancy:
    """Taken when it is made. Raises Configuration where another gateway has it, Transient where the server does not
    answer or does not let us in."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._place = place_of(address, "gateway")
        self._number = lock_number(f"{address.namespace} gateway")
        self._name = f"hutong on {socket.gethostname()}"[:45] + f", process {os.getpid()}"  # the server keeps 63 bytes
        self._session: tuple[int, str] | None = None  # process id in the server and name, of the last that had it
        self._connection: psycopg.Connection | None = None  # of the session that has it
        self._closing = threading.Event()
        self._watch: threading.Thread | None = None
        try:
            holder = self._take()
        except psycopg.Error as error:
            self.close()
            raise translated(error, self._place) from error
        if holder:
            self.close()
            remedy = "stop it, or give this one a namespace of its own: ?namespace=NAME behind the address"
            raise Configuration(f"another gateway works over this database: {holder}", place=self._place, remedy=remedy)

    def keep(self, lost: Callable[[], None]) -> None:
        """From now on look after it, in a thread of its own, which calls `lost` at most once."""
        self._watch = threading.Thread(target=self._look, args=(lost,), name="occupancy", daemon=True)
        self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it back."""
        self._closing.set()
        if self._watch is not None:
            self._watch.join(_JOIN_SECONDS)  # no longer: it may wait for a server that is away
        if self._connection is not None:
            self._connection.close()

    def _look(self, lost: Callable[[], None]) -> None:
        while not self._closing.wait(EVERY):
            with suppress(psycopg.Error):  # the server is away: nobody else can have it either
                if not self._lives() and self._take():
                    lost()
                    return

    def _lives(self) -> bool:
        if self._connection is None or self._connection.closed:
            return False
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            self._connection.close()
            return False
        return True

    def _take(self) -> str:
        """ "" when it is ours, else the name of who has it and does not let go."""
        until = time.monotonic() + PATIENCE
        with ExitStack() as stack:
            connection = stack.enter_context(closing(self._connected()))
            while not connection.execute(_TAKE, (self._number,)).fetchall()[0][0]:
                found = connection.execute(_HOLDER, (self._number,)).fetchall()
                if self._session and self._session in found:  # ours, from before the network broke
                    connection.execute(_END, self._session[:1])
                elif time.monotonic() > until:
                    return next((str(name) for _, name in found if name), "its name is not shown")
                time.sleep(_PAUSE)
            stack.pop_all()
        self._connection, self._session = connection, (connection.info.backend_pid, self._name)
        return ""

    def _connected(self) -> psycopg.Connection:
        connection = psycopg.connect(
            self._address.conninfo, autocommit=True, connect_timeout=_CONNECT_SECONDS, client_encoding="utf8",
            application_name=self._name, tcp_user_timeout=15_000, keepalives_idle=30,
        )  # fmt: skip
        connection.execute(_SETTINGS)
        return connection
