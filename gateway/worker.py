"""The one loop that drains a queue, and the table error → next state.

    Transient       WAITING, for ever: back-off with full jitter, capped; Retry-After is respected
    Ambiguous       WAITING, soon, with the same idempotency key
    Configuration   PARKED until a person mends it and replays
    Permanent       DEAD for an entry; a delivery is offered again until the receiver refused `refusals` times
    anything else   PARKED under the name of its class (its text may hold a patient's data): a defect loses nothing

Entries are worked on by one thread, many in one transaction with a savepoint each: a failing one undoes only itself.
Deliveries are sent by one task a subscription, so a dead receiver stops only its own line.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gateway import telemetry
from gateway.db.engine import Engine, Transaction
from gateway.errors import Ambiguous, Configuration, HutongError, Transient
from gateway.journal.outbox import Outbox
from gateway.journal.suspect import Suspect
from gateway.journal.work import Job, Work
from gateway.model import Delivery, Entry, Receipt, State
from gateway.patience import Policy, next_state

BUSY = 0.01  # seconds between two looks right after work; grows to IDLE while there is none
IDLE = 0.2
BATCH = 100  # entries in one transaction,
SLICE = 0.05  # or as many as fit into so many seconds: others want to write too
GRACE = 1.5  # seconds a delivery under way may still take when we stop

FELL = "the worker fell again and again while it worked on this"

Process = Callable[[Transaction, Entry], "Processed"]  # inside the transaction
Send = Callable[[Delivery], Awaitable[Receipt]]
Outcome = tuple[Delivery, Receipt | Exception, float]  # of one attempt, and the seconds it took
Told = Callable[[State, float], None]  # the state something was left in, and the seconds it took


class Concern(Protocol):
    """Whoever must know what became of a delivery, inside the transaction that notes it."""

    def taken(self, transaction: Transaction, delivery: Delivery, receipt: Receipt, /) -> None:
        """The receiver took it."""
        ...

    def failed(self, transaction: Transaction, delivery: Delivery, error: Exception, state: State, /) -> State:
        """It did not; returns how the delivery is left: as the table says, or otherwise."""
        ...


@dataclass(frozen=True, slots=True)
class Processed:
    """What an entry became: the record transaction (None: nothing changed), and what of it waits for a person."""

    transaction: int | None
    held: Configuration | None = None
    more: str = ""  # there is more of it to do: how much is done, for people


# ---------------------------------------------------------------------------------------------- entries, in a thread


@dataclass(slots=True, kw_only=True)
class EntryDrain:
    """Works on what the journal accepted, in order. `run` it in a thread or process of its own; only one may run."""

    journal: Engine
    record: Engine
    process: Process
    stop: threading.Event
    told: Told | None = None
    committed: Callable[[], None] | None = None  # after each durable batch: deliveries may be owed now
    ahead: Callable[[Sequence[int]], None] | None = None  # told the ids of the entries that come after the first
    suspect: Suspect | None = None  # remembers which entry was in work when the process fell
    policy: Policy = field(default_factory=Policy)
    work: Work = field(default_factory=Work)
    batch: int = BATCH
    _limit: int = field(default=1, init=False)  # what one slice has time for, as far as we know

    def run(self) -> None:
        """Until `stop` is set; returns within one slice of work and one commit."""
        pause, failures = BUSY, 0
        while not self.stop.is_set():
            try:
                handled = self.once()
            except Exception as error:  # noqa: BLE001  nothing of the batch happened; the loop must go on
                failures += 1
                self._failed(error)
                self.stop.wait(next_state(Transient(""), failures, self.policy)[1])
                continue
            failures = 0
            pause = BUSY if handled else min(IDLE, pause * 1.5)
            if not handled:
                self.stop.wait(pause)

    def once(self) -> int:
        """One batch in one transaction; returns how many entries were touched. Raises when none of it happened."""
        if not self._waits():
            return 0
        handled = 0
        with self.record.transaction() as transaction, self.journal.reading() as arrived:
            jobs = self.work.pending(transaction, arrived, now=datetime.now(UTC), limit=self._limit)
            if self.ahead and len(jobs) > 1:
                self.ahead([job.entry.id for job in jobs[1:]])
            partly = next((job for job in jobs if job.partly), None)
            began, held = time.monotonic(), {job.key for job in jobs if job.partly and job.key}
            for job in jobs:
                if job.key not in held and not job.partly:
                    handled += 1
                    if self._one(transaction, job) is State.WAITING and job.key:
                        held.add(job.key)
                if time.monotonic() - began > SLICE or self.stop.is_set():
                    break
            if partly and not self.stop.is_set():  # a large file takes turns with all others
                handled += 1
                self._one(transaction, partly)
        self._limit = min(self.batch, 2 * handled + 1)  # no more are read than there will be time for
        if handled and self.committed:
            self.committed()
        return handled

    def _waits(self) -> bool:
        with self.record.reading() as record, self.journal.reading() as arrived:
            return self.work.waits(arrived, record, datetime.now(UTC))

    def _one(self, transaction: Transaction, job: Job) -> State:
        began = time.monotonic()
        transaction.execute("SAVEPOINT entry")
        try:
            if self.suspect and not self.suspect.begins(job.entry.id):
                raise Configuration(FELL, remedy="report this defect; once it is mended, replay the message")
            processed = self.process(transaction, job.entry)
        except Exception as error:  # noqa: BLE001  the table decides, also about what nobody foresaw
            transaction.execute("ROLLBACK TO entry")
            state = self._settle(transaction, job, error)
        else:
            state = self._processed(transaction, job, processed)
        transaction.execute("RELEASE entry")
        if self.suspect:
            self.suspect.ends(job.entry.id)
        if self.told:
            self.told(state, time.monotonic() - began)
        return state

    def _processed(self, transaction: Transaction, job: Job, processed: Processed) -> State:
        if processed.more:
            self.work.partly(transaction, job, processed.more, processed.transaction)
            return State.WAITING
        if processed.held is None:
            self.work.done(transaction, job, processed.transaction)
            return State.DONE
        return self._settle(transaction, job, processed.held)

    def _settle(self, transaction: Transaction, job: Job, error: Exception) -> State:
        state, delay = next_state(error, job.entry.attempts + 1, self.policy)
        _log(error, state, entry=job.entry.id, channel=job.entry.frame.channel)
        match state:
            case State.WAITING:
                self.work.retry(transaction, job, error, datetime.now(UTC) + timedelta(seconds=delay))
            case State.DEAD:
                self.work.dead(transaction, job, error)
            case _:
                self.work.parked(transaction, job, error)
        return state

    def _failed(self, error: Exception) -> None:
        """A batch that fails as a whole, and not for the disk: one at a time shows which entry does it."""
        _log(error, State.WAITING)
        if isinstance(error, Transient):
            return
        if self._limit > 1:
            self._limit = 1
            return
        # Whatever fails here is tried again in the next round; the loop itself must outlive it.
        with suppress(Exception), self.record.transaction() as transaction, self.journal.reading() as arrived:
            for job in self.work.pending(transaction, arrived, now=datetime.now(UTC), limit=1):
                self.work.parked(transaction, job, error)


# ---------------------------------------------------------------------------------------------- deliveries, in a task


@dataclass(slots=True, kw_only=True)
class DeliveryDrain:
    """Sends what is owed to one subscription. At `stop` what is under way has GRACE seconds, waits have none.

    A line is taken to be down when two different deliveries in a row could not be brought: it is then tried with one
    at a time after growing pauses. A single one that a receiver answers with an error for ever delays only its own key.
    """

    subscription: str
    record: Engine
    send: Send
    stop: asyncio.Event
    wake: asyncio.Event = field(default_factory=asyncio.Event)  # set it when something new is owed
    told: Told | None = None
    parallel: int = 1  # deliveries of different keys under way at once
    policy: Policy = field(default_factory=lambda: Policy(refusals=10))
    outbox: Outbox = field(default_factory=Outbox)
    concern: Concern | None = None
    blocked: frozenset[str] = frozenset()  # order keys that are not sent now
    polls: bool = True  # whether it looks by itself for what is owed; else only when it is woken
    _failing: set[int] = field(default_factory=set, init=False)  # deliveries that failed since the last that was taken
    _rounds: int = field(default=0, init=False)  # in which the line was down
    _looked: float = field(default=0.0, init=False)  # seconds the last look took

    async def run(self) -> None:
        """Until `stop` is set; returns in less than 2 s."""
        while not self.stop.is_set():
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001  a locked database, a full disk: the loop must go on
                _log(error, State.WAITING, subscription=self.subscription)
                await _sleep(IDLE, self.stop)

    @property
    def _down(self) -> bool:
        return len(self._failing) > 1

    async def _turn(self) -> None:
        self.wake.clear()
        version = self.record.data_version()
        due, soonest = await asyncio.to_thread(self._look)
        if not due:
            await self._rest(version, soonest)
            return
        outcomes = await self._attempts(due)
        pause = self._judge(outcomes)
        await self._note(outcomes)
        if pause:
            await _sleep(pause, self.stop)

    def _judge(self, outcomes: list[Outcome]) -> float:
        """Is the line down? Returns for how many seconds to leave it alone."""
        away = {one.id: error for one, error, _ in outcomes if isinstance(error, Transient | Ambiguous)}
        if len(away) < len(outcomes):
            self._failing.clear()
            self._rounds = 0
            return 0.0
        self._failing.update(away)
        if not self._down:
            return 0.0
        self._rounds += 1
        return max(next_state(error, self._rounds, self.policy)[1] for error in away.values())

    async def _attempts(self, due: list[Delivery]) -> list[Outcome]:
        """The outcome of each, all tried at once. Those that do not end within GRACE of the stop are left out."""
        sending = [asyncio.create_task(self._attempt(delivery)) for delivery in due]
        stopping = asyncio.create_task(self._stopped())
        try:
            unfinished = set(sending)
            while unfinished and not stopping.done():
                await asyncio.wait({*unfinished, stopping}, return_when=asyncio.FIRST_COMPLETED)
                unfinished = {task for task in unfinished if not task.done()}
        finally:
            for task in (*sending, stopping):
                task.cancel()
        await asyncio.gather(*sending, stopping, return_exceptions=True)
        return [task.result() for task in sending if not task.cancelled()]

    async def _attempt(self, delivery: Delivery) -> Outcome:
        began = time.monotonic()
        try:
            return delivery, await self.send(delivery), time.monotonic() - began
        except Exception as error:  # noqa: BLE001  the table decides, also about what nobody foresaw
            return delivery, error, time.monotonic() - began

    async def _stopped(self) -> None:
        await self.stop.wait()
        await asyncio.sleep(GRACE)

    def _look(self) -> tuple[list[Delivery], float | None]:
        """What is due (one only, while the line is down), and in how many seconds the next is."""
        began = time.monotonic()
        now = datetime.now(UTC)
        with self.record.reading() as record:
            limit = 1 if self._down else self.parallel
            due = self.outbox.due(record, self.subscription, now=now, limit=limit, blocked=self.blocked)
            soonest = None if due else self.outbox.next_due(record, self.subscription, now=now)
        self._looked = time.monotonic() - began
        return due, None if soonest is None else soonest / 1000 - now.timestamp()

    async def _note(self, outcomes: list[Outcome]) -> None:
        """Write down what became of them, however long the disk is full; else they would be sent again."""
        while outcomes:
            try:
                await asyncio.to_thread(self._note_now, outcomes)
                return
            except HutongError as error:
                _log(error, State.WAITING, subscription=self.subscription)
                if self.stop.is_set():
                    return  # sent again after the start, with the same key
                await _sleep(IDLE, self.stop)

    def _note_now(self, outcomes: list[Outcome]) -> None:
        states: list[tuple[State, float]] = []
        with self.record.transaction() as transaction:
            for delivery, outcome, seconds in outcomes:
                if isinstance(outcome, Receipt):
                    self.outbox.sent(transaction, delivery, outcome)
                    if self.concern:
                        self.concern.taken(transaction, delivery, outcome)
                    states.append((State.DONE, seconds))
                else:
                    states.append((self._settle(transaction, delivery, outcome), seconds))
        for state, seconds in states if self.told else ():
            self.told(state, seconds)  # type: ignore[misc]

    def _settle(self, transaction: Transaction, delivery: Delivery, error: Exception) -> State:
        refusals = self.outbox.refusals(transaction, delivery) + 1
        state, delay = next_state(error, delivery.attempts + 1, self.policy, refusals=refusals)
        if self.concern:
            state = self.concern.failed(transaction, delivery, error, state)
        _log(error, state, delivery=delivery.id, subscription=self.subscription)
        match state:
            case State.WAITING:
                self.outbox.later(transaction, delivery, error, datetime.now(UTC) + timedelta(seconds=delay))
            case State.DEAD:
                self.outbox.dead(transaction, delivery, error)
            case _:
                self.outbox.parked(transaction, delivery, error)
        return state

    async def _rest(self, version: int, soonest: float | None) -> None:
        """Until something may have become due: the bell, a commit by anybody, or the time of the next."""
        deadline = time.monotonic() + (3600.0 if soonest is None else soonest)
        if not self.polls:
            await _sleep(max(0.0, deadline - time.monotonic()), self.stop, self.wake)
            return
        pause = max(BUSY, 5 * self._looked)
        while not self.stop.is_set() and not self.wake.is_set():
            await _sleep(min(pause, max(0.0, deadline - time.monotonic())), self.stop, self.wake)
            if time.monotonic() >= deadline or self.record.data_version() != version:
                return
            pause = min(max(IDLE, 5 * self._looked), pause * 1.5)


async def _sleep(seconds: float, *bells: asyncio.Event) -> None:
    """A wait that any of the bells ends."""
    waits = [asyncio.create_task(bell.wait()) for bell in bells]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _log(error: Exception, state: State, **ids: object) -> None:
    """One line: the class, where, what next. For what nobody foresaw, the line of our code instead of its text."""
    place = error.place if isinstance(error, HutongError) else _line_of(error)
    telemetry.logger().warning("work failed", error=type(error).__name__, place=place, state=state.value, **ids)


def _line_of(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
