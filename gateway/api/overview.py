"""What stands where, in one look: for `hutong status`, /operations/status, /metrics and replay.

A thin sum over the journal's ledger and the record's statistics; bodies are read by id only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.db.engine import Engine, Row
from gateway.journal import polled
from gateway.journal.bodies import Bodies
from gateway.journal.ledger import LAST, Ledger, Line, Owed, Standing
from gateway.journal.polled import Looked
from gateway.model import State
from gateway.store import read
from gateway.telemetry import Depth

HOOKS = """
    SELECT s.id, s.state, coalesce(t.name, ''), s.events, s.failing
      FROM subscription s LEFT JOIN token t ON t.digest = s.maker AND t.revoked_at IS NULL ORDER BY s.id
"""
REPLAY_BATCH = 500  # ids in one transaction, so that a replay of very many does not hold up the worker


TABLES: Final = ("CodeSystem", "ConceptMap", "TerminologyCapabilities", "ValueSet")


class Replay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person wants to flow once more."""

    entries: list[int] = []
    deliveries: list[int] = []
    parked: bool = False  # everything that is parked, of both


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How much of it was parked, dead or refused, and waits now."""

    entries: int
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One channel or one subscription."""

    counts: dict[str, int]  # waiting, done, parked, dead; of channels also refused
    oldest_seconds: float  # age of the oldest that waits; 0 when nothing does


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One Subscription of a FHIR client; what it asks for may name a person, and is not here."""

    id: str
    state: str  # requested active error off
    maker: str  # name of the token that wrote it last; "" when that is gone
    events: int
    failing_seconds: float  # since its endpoint took nothing; 0 when nothing is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything in one look."""

    at: datetime
    entries: dict[str, Queue]  # by channel
    deliveries: dict[str, Queue]  # by subscription
    totals: dict[str, dict[str, int]]  # 'entries' and 'deliveries' → state → all lines together
    resources: dict[str, int]  # by type, without those of code tables
    tables: int  # code systems, value sets and concept maps: mostly the gateway's own, written beside its work
    views: list[Looked]  # of members' databases, with what is wrong with each
    subscriptions: list[Hook]  # of FHIR clients, with what is wrong with each


@dataclass(frozen=True, slots=True)
class Overview:
    """Reads both databases; safe from several threads and beside other processes."""

    journal: Engine
    record: Engine
    bodies: Bodies | None = None  # where large ones lie
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ledger", Ledger(self.journal, self.record))

    def status(self, *, now: datetime | None = None) -> Status:
        """Counts by line and state, ages in seconds."""
        now = now or datetime.now(UTC)
        entries = {line: _queue(standing, now) for line, standing in sorted(self.ledger.standing().items())}
        deliveries = {line: _queue(standing, now) for line, standing in sorted(self.ledger.owing().items())}
        with self.record.reading() as reader:
            every = read.statistics(reader)
            hooks = [_hook(row, now) for row in reader.execute(HOOKS)]
        totals = {"entries": _sum(entries.values()), "deliveries": _sum(deliveries.values())}
        with self.journal.reading() as reader:
            views = polled.everything(reader)
        return Status(
            at=now, entries=entries, deliveries=deliveries, totals=totals, views=views, subscriptions=hooks,
            resources={kind: count for kind, count in every.items() if kind not in TABLES},
            tables=sum(every.get(kind, 0) for kind in TABLES),
        )  # fmt: skip

    def depths(self) -> Iterator[Depth]:
        """The same for the metrics."""
        now = datetime.now(UTC)
        for name, lines in (("intake", self.ledger.standing()), ("delivery", self.ledger.owing())):
            for line, standing in lines.items():
                queue = _queue(standing, now)
                yield Depth(queue=name, line=line, counts=queue.counts, oldest_seconds=queue.oldest_seconds)

    def entries(self, *, state: str, limit: int, before: int) -> list[Line]:
        """Received messages in one state, newest first; never their bodies."""
        return self.ledger.entries(state=state, limit=limit, before=before)

    def deliveries(self, *, state: str, limit: int, before: int) -> list[Owed]:
        """Deliveries in one state, newest first."""
        return self.ledger.deliveries(state=state, limit=limit, before=before)

    def body(self, id: int) -> bytes | None:
        """The bytes of one entry as they arrived."""
        found = self.ledger.entry(id)
        if found is None:
            return None
        frame = found[1].frame
        return self.bodies.whole(frame).body if self.bodies else frame.body

    def replay(self, asked: Replay) -> Replayed:
        """Let parked, dead and refused work flow once more. Ids that stand otherwise are left alone."""
        entries, deliveries = list(asked.entries), list(asked.deliveries)
        if asked.parked:
            entries += self._parked_entries()
            deliveries += self._parked_deliveries()
        done = sum(len(self.ledger.replay(batch)) for batch in _batches(entries))
        sent = sum(len(self.ledger.replay_deliveries(batch)) for batch in _batches(deliveries))
        return Replayed(entries=done, deliveries=sent)

    def _parked_entries(self) -> list[int]:
        found: list[int] = []
        while page := self.ledger.entries(state=State.PARKED, limit=1000, before=found[-1] if found else LAST):
            found += [line.id for line in page]
        return found[::-1]

    def _parked_deliveries(self) -> list[int]:
        found: list[int] = []
        while page := self.ledger.deliveries(state=State.PARKED, limit=1000, before=found[-1] if found else LAST):
            found += [owed.id for owed in page]
        return found[::-1]


def _hook(row: Row, now: datetime) -> Hook:
    key, state, maker, events, failing = row
    since = now.timestamp() - failing / 1000 if failing else 0.0
    return Hook(id=key, state=state, maker=maker, events=events, failing_seconds=max(0.0, round(since, 3)))


def _queue(standing: Standing, now: datetime) -> Queue:
    waited = (now - standing.oldest).total_seconds() if standing.oldest else 0.0
    return Queue(counts=dict(standing.counts), oldest_seconds=max(0.0, round(waited, 3)))


def _sum(queues: Iterable[Queue]) -> dict[str, int]:
    total = dict.fromkeys((state.value for state in State), 0)
    for queue in queues:
        for state, count in queue.counts.items():
            total[state] = total.get(state, 0) + count
    return total


def _batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), REPLAY_BATCH):
        yield ids[start : start + REPLAY_BATCH]
