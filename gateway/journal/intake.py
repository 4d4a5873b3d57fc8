"""Writing down what arrived: one thread commits whatever has queued, and many wait for one fsync together.

The promise: when `write` returns, the frame's bytes are on disk, and an acknowledgement may leave. When it raises,
nothing was promised. What happens between a failed commit and a crash is harmless: the sender sends again, and the same
message (channel, member, control id, bytes) is stored once.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby

from gateway.db.engine import Engine, Transaction
from gateway.errors import HutongError, Transient
from gateway.model import Frame

BATCH = 256  # frames in one commit
BATCH_BYTES = 16 * 2**20
WAITING = 20_000  # frames that may wait for a commit; more are turned away
WAITING_BYTES = 512 * 2**20

# Literal 0 and 1: a bound `accepted` makes SQLite plan anew at every call, because partial indexes ask for its value.
ACCEPTED_BEFORE = """
    SELECT (SELECT min(id) FROM entry
             WHERE control_id = ? AND control_id <> '' AND channel = ? AND member = ? AND accepted = 1 AND digest = ?),
           EXISTS (SELECT 1 FROM entry
             WHERE control_id = ? AND control_id <> '' AND channel = ? AND member = ? AND accepted = 1)
"""
REFUSED_BEFORE = ACCEPTED_BEFORE.replace("accepted = 1 AND digest", "accepted = 0 AND digest")
ADD = """
    INSERT INTO entry (received, channel, member, peer, format, charset, control_id, kind, key, digest,
                       accepted, cause, place, flags, size, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
COUNT = """
    INSERT INTO entry_count (channel, accepted, total) VALUES (?, ?, ?)
    ON CONFLICT (channel, accepted) DO UPDATE SET total = entry_count.total + excluded.total
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the first look at a frame found. A refused frame is kept with its cause."""

    member: str = ""
    format: str = ""
    charset: str = ""
    control_id: str = ""  # MSH-10 or the like; "" when the format has none: such frames are always stored
    key: str = ""  # order key of the patient
    kind: str = ""  # 'ORU^R01'
    accepted: bool = True
    cause: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A frame is on disk under this id. `duplicate`: it was before. `reused`: its control id had other bytes before."""

    entry_id: int
    duplicate: bool = False
    reused: bool = False


@dataclass(slots=True, eq=False)
class Waiting:
    """A frame on its way to the disk, and who is told."""

    frame: Frame
    verdict: Verdict
    loop: asyncio.AbstractEventLoop | None
    asked: asyncio.Future[Written] | Future[Written]
    outcome: Written | Exception | None = None


class Intake:
    """The one writer of the journal in this process. `start` it once, `close` it last."""

    def __init__(self, engine: Engine, *, waiting: int = WAITING, waiting_bytes: int = WAITING_BYTES) -> None:
        self._engine = engine
        self._limit = waiting
        self._limit_bytes = waiting_bytes
        self._queue: deque[Waiting] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Start the writer thread."""
        self._thread.start()

    def close(self) -> None:
        """Write what has queued, then stop. Later writes are refused with Transient."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    async def write(self, frame: Frame, verdict: Verdict) -> Written:
        """Returns only after the fsync. Raises Transient when the queue or the disk is full: nothing was promised."""
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Written] = loop.create_future()
        self._put(Waiting(frame, verdict, loop, asked))
        return await asked

    def write_now(self, frame: Frame, verdict: Verdict) -> Written:
        """The same for a thread without a loop."""
        asked: Future[Written] = Future()
        self._put(Waiting(frame, verdict, None, asked))
        return asked.result()

    # ------------------------------------------------------------------------------------------ the queue

    def _put(self, waiting: Waiting) -> None:
        size = len(waiting.frame.body)
        with self._changed:
            if self._closing:
                raise Transient("the journal is closed", place="journal", remedy="the program is stopping")
            if len(self._queue) >= self._limit or (self._queue and self._queued_bytes + size > self._limit_bytes):
                raise Transient("too many messages wait for the disk", place="journal", remedy="send again later")
            self._queue.append(waiting)
            self._queued_bytes += size
            if len(self._queue) == 1:
                self._changed.notify()

    def _take(self) -> list[Waiting]:
        """The next batch; [] when everything is written and the intake closes."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            batch: list[Waiting] = []
            size = 0
            while self._queue and len(batch) < BATCH and size < BATCH_BYTES:
                waiting = self._queue.popleft()
                size += len(waiting.frame.body)
                batch.append(waiting)
            self._queued_bytes -= size
            return batch

    # ------------------------------------------------------------------------------------------ the writer thread

    def _run(self) -> None:
        while batch := self._take():
            self._commit(batch)
            _tell(batch)

    def _commit(self, batch: Sequence[Waiting]) -> None:
        """All in one transaction. A disk that fails fails them all; a frame that cannot be stored fails alone."""
        try:
            with self._engine.transaction() as transaction:
                _store(transaction, batch)
        except Transient as error:
            for waiting in batch:
                waiting.outcome = error
        except Exception as error:  # noqa: BLE001  the thread must outlive anything; the frame's sender is told
            if len(batch) > 1:
                for waiting in batch:
                    self._commit([waiting])
            else:
                batch[0].outcome = error if isinstance(error, HutongError) else _unforeseen(error)


def _store(transaction: Transaction, batch: Sequence[Waiting]) -> None:
    outcomes = add(transaction, [(waiting.frame, waiting.verdict) for waiting in batch])
    for waiting, outcome in zip(batch, outcomes, strict=True):
        waiting.outcome = outcome


def add(transaction: Transaction, frames: Sequence[tuple[Frame, Verdict]]) -> list[Written]:
    """Inside the caller's transaction: what is written beside them is there when they are, and only then."""
    outcomes: list[Written] = []
    added: dict[tuple[str, bool], int] = {}
    for frame, verdict in frames:
        written = _written(transaction, frame, verdict)
        outcomes.append(written)
        if not written.duplicate:
            line = (frame.channel, verdict.accepted)
            added[line] = added.get(line, 0) + 1
    for (channel, accepted), count in added.items():
        transaction.execute(COUNT, (channel, accepted, count))
    return outcomes


def _written(transaction: Transaction, frame: Frame, verdict: Verdict) -> Written:
    digest = bytes.fromhex(frame.stored) if frame.stored else hashlib.sha256(frame.body).digest()
    reused = False
    if verdict.control_id:
        sender = (verdict.control_id, frame.channel, verdict.member)
        before = ACCEPTED_BEFORE if verdict.accepted else REFUSED_BEFORE
        known, others = transaction.execute(before, (*sender, digest, *sender))[0]
        if known is not None:
            return Written(known, duplicate=True)
        reused = bool(others)
    row = (
        int(frame.received_at.timestamp() * 1000),
        frame.channel,
        verdict.member,
        frame.peer,
        verdict.format,
        verdict.charset,
        verdict.control_id,
        verdict.kind,
        verdict.key,
        digest,
        verdict.accepted,
        verdict.cause,
        verdict.place,
        "reused" if reused else "",
        frame.size if frame.stored else len(frame.body),
        frame.body,
    )
    return Written(int(transaction.execute(ADD, row)[0][0]), reused=reused)


def _unforeseen(error: Exception) -> Transient:
    return Transient(
        f"the message could not be written down ({type(error).__name__})", place="journal", remedy="report this defect"
    )


def _tell(batch: Sequence[Waiting]) -> None:
    """Wake each loop once for all of its frames."""
    for loop, told in groupby(sorted(batch, key=lambda one: id(one.loop)), key=lambda one: one.loop):
        if loop is None:
            _settle(list(told))
        elif not loop.is_closed():
            try:
                loop.call_soon_threadsafe(_settle, list(told))
            except RuntimeError:  # closed in this instant: nobody waits any more
                continue


def _settle(told: Sequence[Waiting]) -> None:
    for waiting in told:
        if waiting.asked.done():
            continue
        if isinstance(waiting.outcome, Written):
            waiting.asked.set_result(waiting.outcome)
        else:
            waiting.asked.set_exception(waiting.outcome or _unforeseen(RuntimeError()))
