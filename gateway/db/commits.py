"""Writers of one process that wait together share one commit: one fsync, and pages that several of them change are
written once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.db.engine import Engine, Transaction
from gateway.errors import Transient

T = TypeVar("T")

TOGETHER = 64  # works of one commit
LONG = 0.1  # seconds after which no other work joins a transaction: other processes want to write too


@dataclass(slots=True, eq=False)
class _Asked:
    """A work, and who waits for it."""

    work: Callable[[Transaction], Any]
    told: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        if self.told.done():  # nobody waits any more
            return
        if self.error is not None:
            self.told.set_exception(self.error)
        else:
            self.told.set_result(self.result)


class Commits:
    """The writers of one event loop. `close` it when nobody writes any more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[_Asked] = deque()
        self._at_work = False  # only the thread of the loop reads and changes it
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commits")

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """What `work` returns, once it is on the disk. What it raises is raised here: it left nothing then, and works
        that share its commit do not notice. A disk or a server that fails fails all of them with Transient.

        `work` is called in a thread and sees what those before it wrote. It may be called a second time, with nothing
        left of the first: when one that shares its commit failed after it had written.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Asked(work, told))
        if not self._at_work:
            self._begin(loop)
        return await told

    def close(self) -> None:
        """Returns when what is under way is done."""
        self._thread.shutdown()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._at_work = bool(self._waiting)
        if self._at_work:
            self._thread.submit(self._commit, loop)

    def _commit(self, loop: asyncio.AbstractEventLoop) -> None:
        """One transaction with all that waits."""
        batch: list[_Asked] = []
        try:
            try:
                self._together(batch)
            except _Entangled:
                self._apart(batch)
        except BaseException as error:  # noqa: BLE001  each of them is told; the thread goes on
            for each in batch:
                each.error = each.error or error
        loop.call_soon_threadsafe(self._end, batch, loop)

    def _together(self, batch: list[_Asked]) -> None:
        """Without savepoints, which would have every page kept as it was before each work: a twelfth of the time of a
        transaction. Most works that fail do so before they write. Raises _Entangled where one did later."""
        with self._engine.transaction() as transaction:
            until = time.monotonic() + LONG
            while self._waiting and len(batch) < TOGETHER and (not batch or time.monotonic() < until):
                batch.append(self._waiting.popleft())
                before = transaction.written
                _run(batch[-1], transaction)
                if batch[-1].error is not None and transaction.written != before:
                    raise _Entangled

    def _apart(self, batch: list[_Asked]) -> None:
        """The same works again, each of which can be undone alone."""
        with self._engine.transaction() as transaction:
            for each in batch:
                transaction.execute("SAVEPOINT beside")
                _run(each, transaction)
                if each.error is not None:
                    transaction.execute("ROLLBACK TO SAVEPOINT beside")
                transaction.execute("RELEASE SAVEPOINT beside")

    def _end(self, batch: list[_Asked], loop: asyncio.AbstractEventLoop) -> None:
        self._begin(loop)
        for each in batch:
            each.tell()


class _Entangled(Exception):
    """A work failed after it had written, among others that did not fail."""


def _run(asked: _Asked, transaction: Transaction) -> None:
    """Raises Transient where the transaction cannot go on."""
    asked.error = None
    try:
        asked.result = asked.work(transaction)
    except Transient:
        raise
    except Exception as error:  # noqa: BLE001  its writer is told
        asked.error = error
