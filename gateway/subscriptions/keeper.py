"""Keeps one line for every Subscription that is alive: a drain of the outbox, woken when something is owed.

One look after each commit serves them all, so a hundred Subscriptions cost what one costs while nothing is owed to
them. Beside the lines it sends heartbeats, ends Subscriptions whose time or whose token is over, and those that
stayed in error for too long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from gateway import patience, telemetry
from gateway.db.engine import Engine, Reader, Transaction
from gateway.errors import Configuration, HutongError
from gateway.journal.outbox import Outbox
from gateway.model import Change, Hooks, State, Topic
from gateway.store.record import Record
from gateway.subscriptions import registry
from gateway.subscriptions.life import Changed, Life, owe_sign
from gateway.subscriptions.owing import EVENTS, wish_of
from gateway.subscriptions.registry import Standing
from gateway.subscriptions.sending import Grants, Sending
from gateway.subscriptions.wish import Wish
from gateway.transport.hook import CONNECTIONS, HookSender
from gateway.transport.reach import reach
from gateway.worker import DeliveryDrain

LOOK_EVERY = 0.05  # seconds between two looks whether anything was committed, by whichever process
LOOK_SELDOM = 0.25  # while there is no Subscription
FAILED_PAUSE = 1.0  # seconds after a look that failed
TEND_EVERY = 1.0  # seconds between two looks at heartbeats, ends and tokens

Told = Callable[[str], Callable[[State, float], None]]  # by line: counts attempts


@dataclass(slots=True, kw_only=True, eq=False)
class _Line:
    """What sends to one Subscription, as it was when the line was opened."""

    standing: Standing
    wish: Wish
    sender: HookSender
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Keeper:
    """Run it in one task of the worker's process."""

    record: Record
    engine: Engine
    topics: Mapping[str, Topic]
    hooks: Hooks
    grants: Grants
    changed: Changed
    stop: asyncio.Event
    told: Told
    outbox: Outbox = field(default_factory=Outbox)
    bell: asyncio.Event = field(default_factory=asyncio.Event)  # set it when something may be owed
    _lines: dict[str, _Line] = field(default_factory=dict, init=False)
    _closing: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _edition: int = field(default=-1, init=False)
    _life: Life = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _tended: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._life = Life(record=self.record, hooks=self.hooks, changed=self.changed, moved=self._ring)

    def _ring(self) -> None:
        self._loop.call_soon_threadsafe(self.bell.set)

    async def run(self) -> None:
        """Until `stop` is set; returns in less than 2 s."""
        self._loop = asyncio.get_running_loop()
        version = -1
        while not self.stop.is_set():
            try:
                seen = self.engine.data_version()
                if seen != version or self.bell.is_set():
                    self.bell.clear()
                    await self._look()
                    version = seen
                if self._lines or self._edition:
                    await self._tend()
            except Exception as error:  # noqa: BLE001  a locked database, a full disk: the loop must go on
                place = error.place if isinstance(error, HutongError) else ""
                telemetry.logger().warning("subscriptions", error=type(error).__name__, place=place)
                await self._rest(FAILED_PAUSE)
            await self._rest()
        await asyncio.gather(*map(_close, self._lines.values()), *self._closing.values())

    async def _rest(self, least: float = 0.0) -> None:
        waits = [asyncio.create_task(bell.wait()) for bell in (self.stop, self.bell)]
        try:
            pause = LOOK_EVERY if self._lines else LOOK_SELDOM
            await asyncio.wait(waits, timeout=max(pause, least), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # ------------------------------------------------------------------------------------------ lines

    async def _look(self) -> None:
        """The lines as the rows want them, and those woken to which something is owed."""
        edition, rows, waiting = await asyncio.to_thread(self._read)
        if rows is not None:
            await self._renew(rows)
            self._edition = edition
        for key in waiting:
            if key in self._lines:
                self._lines[key].wake.set()

    def _read(self) -> tuple[int, list[tuple[Standing, Wish | None]] | None, list[str]]:
        with self.engine.reading() as reader:
            edition = registry.edition(reader)
            rows = None
            if edition != self._edition:
                alive = [each for each in registry.living(reader) if each.state in ("active", "requested")]
                rows = [(each, wish_of(self.record, reader, each.id, self.topics)) for each in alive]
            waiting = registry.waiting(reader) if self._lines or rows else []
        return edition, rows, waiting

    async def _renew(self, rows: list[tuple[Standing, Wish | None]]) -> None:
        wanted = {standing.id: standing.edition for standing, _ in rows}
        for key, line in list(self._lines.items()):
            if wanted.get(key) != line.standing.edition:
                del self._lines[key]
                self._closing[key] = asyncio.create_task(self._over(line))
        for standing, wish in rows:
            if standing.id in self._lines or standing.id in self._closing:
                continue
            try:
                if wish is None:
                    raise Configuration("what it asks for is not offered any more")
                self._open(standing, wish)
            except Configuration as error:
                await asyncio.to_thread(self._turn, standing.id, "error", error.cause)

    def _open(self, standing: Standing, wish: Wish) -> None:
        sender = HookSender(wish.endpoint, reach(self.hooks))
        line = _Line(standing=standing, wish=wish, sender=sender)
        sending = Sending(wish=wish, record=self.record, engine=self.engine, sender=sender, grants=self.grants)
        drain = DeliveryDrain(
            subscription=standing.line,
            record=self.engine,
            send=sending.send,
            stop=line.stop,
            wake=line.wake,
            polls=False,
            blocked=frozenset({EVENTS}) if standing.state == "requested" else frozenset(),
            parallel=1 if wish.topic else CONNECTIONS,
            policy=patience.Policy(refusals=self.hooks.attempts),
            outbox=self.outbox,
            told=self.told(standing.line),
            concern=self._life,
        )
        line.task = asyncio.create_task(drain.run())
        self._lines[standing.id] = line

    async def _over(self, line: _Line) -> None:
        """Ends a line beside the others; only then its successor is opened, so that no order is lost."""
        await _close(line)
        del self._closing[line.standing.id]
        self._edition = -1
        self.bell.set()

    # ------------------------------------------------------------------------------------------ tending

    async def _tend(self) -> None:
        if time.monotonic() - self._tended < TEND_EVERY:
            return
        self._tended = time.monotonic()
        due = await asyncio.to_thread(self._due)
        if due:
            await asyncio.to_thread(self._do, due)

    def _due(self) -> list[tuple[str, str, str]]:
        """(id, what is to happen, why): a heartbeat, or another state."""
        found: list[tuple[str, str, str]] = []
        with self.engine.reading() as reader:
            alive = registry.living(reader)
            gone = {maker for maker in {each.maker for each in alive} if self.grants(maker) is None}
            for standing in alive:
                found.extend(self._happens(reader, standing, gone))
        return found

    def _happens(self, reader: Reader, standing: Standing, gone: set[bytes]) -> list[tuple[str, str, str]]:
        now = registry.now()
        wish = self._lines[standing.id].wish if standing.id in self._lines else None
        if standing.maker in gone:
            return [(standing.id, "off", "the token that made it is not valid any more")]
        if wish is None:
            wish = wish_of(self.record, reader, standing.id, self.topics)
        if wish is not None and wish.ends and wish.ends <= now:
            return [(standing.id, "off", "its end is over")]
        if standing.state == "error" and now - standing.changed > self.hooks.kept * 1000:
            return [(standing.id, "off", "it was in error for too long")]
        quiet = now - max(standing.spoke, standing.changed)
        beats = wish is not None and wish.heartbeat and quiet >= wish.heartbeat * 1000
        if beats and standing.state == "active" and not reader.execute(registry.ANYTHING, (standing.line,)):
            return [(standing.id, "heartbeat", "")]
        return []

    def _do(self, due: list[tuple[str, str, str]]) -> None:
        with self.engine.transaction() as transaction:
            for key, happens, why in due:
                standing = registry.one(transaction, key)
                if standing is None or standing.state == "off":
                    continue
                if happens == "heartbeat":
                    self._beat(transaction, standing)
                else:
                    self._life.turn(transaction, key, happens, why)
        self._ring()

    def _beat(self, transaction: Transaction, standing: Standing) -> None:
        stored = self.record.read("Subscription", standing.id, reader=transaction)
        if stored is not None and standing.state == "active":
            owe_sign(transaction, self.outbox, standing.id, Change(
                type="Subscription", id=standing.id, version=stored.version, transaction=stored.transaction,
                interaction="heartbeat",
            ))  # fmt: skip

    def _turn(self, id: str, state: str, why: str) -> None:
        with suppress(HutongError), self.engine.transaction() as transaction:
            self._life.turn(transaction, id, state, why)


async def _close(line: _Line) -> None:
    line.stop.set()
    if line.task is not None:
        await line.task
    await line.sender.close()
