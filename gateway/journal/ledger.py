"""What stands where, for the console, the status and a person's decisions: lists, one entry, counts, replay.

An entry is `refused` (never accepted; in the journal only), or waiting, done, parked or dead (see journal/work.py).
Lists never load bodies. Counts and the list of what waits may be a batch behind the worker.
"""
# ruff: noqa: S608  the statements are put together from constants only

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.db.engine import Engine, Reader, Row
from gateway.journal.outbox import Outbox, idempotency
from gateway.journal.work import LOAD, MARK, Work, at, entry_of
from gateway.model import Entry, State

REFUSED = "refused"
LAST = 2**62  # greater than any id

LINE = ("id", "received_at", "channel", "member", "peer", "format", "kind", "control_id", "flags", "size", "source")
LINE_SQL = "id, received, channel, member, peer, format, kind, control_id, flags, size, source, accepted, cause, place"
ONE = f"SELECT {LINE_SQL} FROM entry WHERE id = ?"
REFUSED_ALL = f"SELECT {LINE_SQL} FROM entry WHERE accepted = 0 AND id < ? ORDER BY id DESC LIMIT ?"
REFUSED_OF = f"SELECT {LINE_SQL} FROM entry WHERE accepted = 0 AND channel = ? AND id < ? ORDER BY id DESC LIMIT ?"
NEWEST = f"SELECT {LINE_SQL} FROM entry WHERE id < ? AND (? = '' OR channel = ?) ORDER BY id DESC LIMIT ?"
UNTOUCHED = f"""
    SELECT {LINE_SQL} FROM entry
     WHERE accepted = 1 AND id > ? AND id < ? AND (? = '' OR channel = ?) ORDER BY id DESC LIMIT ?
"""
UNTOUCHED_COUNTS = "SELECT channel, count(*), min(received) FROM entry WHERE accepted = 1 AND id > ? GROUP BY channel"
TOTALS = "SELECT channel, accepted, total FROM entry_count"
RECEIVED = "SELECT received FROM entry WHERE id = ?"

WORK = ("state", "attempts", "due_at", "changed_at", "transaction", "error", "cause", "place", "remedy")
WORK_SQL = "entry, state, attempts, due, changed, committed, error, cause, place, remedy"
STANDING = f"SELECT {WORK_SQL} FROM work WHERE entry = ?"
IN_STATE = f"""
    SELECT {WORK_SQL} FROM work
     WHERE state = ? AND entry < ? AND (? = '' OR channel = ?) ORDER BY entry DESC LIMIT ?
"""
UNFINISHED = IN_STATE.replace("WHERE", "WHERE state <> 'done' AND")  # the words of the partial index
UNFINISHED_COUNTS = """
    SELECT channel, state, count(*), min(entry) FROM work WHERE state <> 'done' GROUP BY channel, state
"""
TOUCHED = "SELECT max(entry) FROM work"

OWED: tuple[str, ...] = (
    "id",
    "subscription",
    "key",
    "state",
    "type",
    "resource",
    "version",
    "owed_at",
    "changed_at",
    "due_at",
)
OWED += ("attempts", "nonce", "error", "cause", "place", "remedy", "code")
OWED_SQL = """
    id, subscription, key, state, type, resource, version, owed, changed, due,
    attempts, nonce, error, cause, place, remedy, code
"""
DELIVERIES = f"""
    SELECT {OWED_SQL} FROM delivery
     WHERE id < ? AND (? = '' OR state = ?) AND (? = '' OR subscription = ?) ORDER BY id DESC LIMIT ?
"""
UNFINISHED_DELIVERIES = f"""
    SELECT {OWED_SQL} FROM delivery
     WHERE state <> 'done' AND state = ? AND id < ? AND (? = '' OR subscription = ?) ORDER BY id DESC LIMIT ?
"""
DELIVERIES_OF = f"SELECT {OWED_SQL} FROM delivery WHERE type = ? AND resource = ? ORDER BY id DESC LIMIT ?"
DELIVERY_COUNTS = """
    SELECT subscription, state, count(*), min(id) FROM delivery WHERE state <> 'done' GROUP BY state, subscription
"""
OWED_SINCE = "SELECT owed FROM delivery WHERE id = ?"
SENT_TOTALS = "SELECT subscription, sent FROM delivery_count"

REPLAYED = "SELECT id FROM entry WHERE source = ?"
ACCEPT = """
    INSERT INTO entry (received, channel, member, peer, format, charset, control_id, kind, key, digest,
                       accepted, cause, place, flags, source, size, body)
    SELECT received, channel, member, peer, format, charset, control_id, kind, key, digest,
           1, '', '', 'replay', id, size, body
      FROM entry WHERE id = ? AND accepted = 0 RETURNING id, channel
"""
COUNT_ACCEPTED = """
    INSERT INTO entry_count (channel, accepted, total) VALUES (?, 1, 1)
    ON CONFLICT (channel, accepted) DO UPDATE SET total = entry_count.total + 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry as a list shows it."""

    id: int
    received_at: datetime
    channel: str
    member: str
    peer: str
    format: str
    kind: str
    control_id: str
    flags: str  # reused, replay
    size: int  # bytes
    source: int | None  # the refused entry that this one repeats
    state: str  # refused waiting done parked dead
    attempts: int = 0
    due_at: datetime | None = None
    changed_at: datetime | None = None
    transaction: int | None = None  # of the record, once done
    error: str = ""  # its class
    cause: str = ""
    place: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One delivery as a list shows it."""

    id: int
    subscription: str
    key: str
    state: str
    reference: str  # 'DiagnosticReport/abc'
    version: int
    owed_at: datetime
    changed_at: datetime
    due_at: datetime | None
    attempts: int
    idempotency: str
    error: str
    cause: str
    place: str
    remedy: str
    code: str  # the receiver's answer: AA, 201, written


@dataclass(slots=True)
class Standing:
    """How much of one channel or subscription stands where, and since when the oldest waits."""

    counts: dict[str, int] = field(default_factory=dict)
    oldest: datetime | None = None

    def add(self, state: str, count: int, since: Iterable[int] = ()) -> None:
        self.counts[state] = self.counts.get(state, 0) + count
        for moment in map(at, since):
            self.oldest = min(self.oldest or moment, moment)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Reads both databases, each at one instant."""

    journal: Engine
    record: Engine
    work: Work = field(default_factory=Work)
    outbox: Outbox = field(default_factory=Outbox)

    # ------------------------------------------------------------------------------------------ entries

    def entries(self, *, state: str = "", channel: str = "", limit: int = 50, before: int = LAST) -> list[Line]:
        """Newest first; `before` an id goes on with the next page. `state` "" = all."""
        with ExitStack() as stack:
            journal, record = self._readers(stack)
            page = (before, channel, channel, limit)
            match state:
                case "":
                    return [_line(row, record) for row in journal.execute(NEWEST, page)]
                case "refused" if channel:
                    return [_line(row) for row in journal.execute(REFUSED_OF, (channel, before, limit))]
                case "refused":
                    return [_line(row) for row in journal.execute(REFUSED_ALL, (before, limit))]
                case "done":
                    return _joined(journal, record.execute(IN_STATE, (state, *page)))
            held = _joined(journal, record.execute(UNFINISHED, (state, *page)))
            if state != State.WAITING:
                return held
            new = [_line(row) for row in journal.execute(UNTOUCHED, (_touched(record), *page))]
            return sorted(new + held, key=lambda line: -line.id)[:limit]

    def entry(self, id: int) -> tuple[Line, Entry] | None:
        """One entry with its bytes; None when there is none (any more)."""
        with ExitStack() as stack:
            journal, record = self._readers(stack)
            for row in journal.execute(ONE, (id,)):
                line = _line(row, record)
                return line, entry_of(id, line.attempts, journal.execute(LOAD, (id,))[0])
        return None

    def standing(self) -> Mapping[str, Standing]:
        """By channel: how many entries are waiting, done, parked, dead, refused."""
        found: dict[str, Standing] = {}
        with ExitStack() as stack:
            journal, record = self._readers(stack)
            for channel, accepted, total in journal.execute(TOTALS):
                found.setdefault(channel, Standing()).add(State.DONE if accepted else REFUSED, total)
            for channel, state, count, first in record.execute(UNFINISHED_COUNTS):
                since = [one for (one,) in journal.execute(RECEIVED, (first,))] if state == State.WAITING else []
                found.setdefault(channel, Standing()).add(state, count, since)
            for channel, count, received in journal.execute(UNTOUCHED_COUNTS, (_touched(record),)):
                found.setdefault(channel, Standing()).add(State.WAITING, count, [received])
        for standing in found.values():
            unfinished = sum(standing.counts.get(state, 0) for state in (State.WAITING, State.PARKED, State.DEAD))
            standing.counts[State.DONE] = max(0, standing.counts.get(State.DONE, 0) - unfinished)
        return found

    def replay(self, ids: Iterable[int]) -> list[int]:
        """Parked and dead entries are worked on again; a refused one is accepted now, once, as a new entry.

        Returns the ids that wait now (of refused ones: the new ids). Everything else is left alone.
        """
        wanted = list(dict.fromkeys(ids))
        with self.record.transaction() as transaction:
            waiting = self.work.replay(transaction, wanted)
        for refused in sorted(set(wanted) - set(waiting)):
            with self.journal.transaction() as transaction:
                if transaction.execute(REPLAYED, (refused,)):
                    continue
                for entry, channel in transaction.execute(ACCEPT, (refused,)):
                    transaction.execute(COUNT_ACCEPTED, (channel,))
                    waiting.append(entry)
        return waiting

    # ------------------------------------------------------------------------------------------ deliveries

    def deliveries(self, *, state: str = "", subscription: str = "", limit: int = 50, before: int = LAST) -> list[Owed]:
        """Newest first; "" = any."""
        line = (subscription, subscription, limit)
        with self.record.reading() as record:
            if state in ("", State.DONE):
                rows = record.execute(DELIVERIES, (before, state, state, *line))
            else:
                rows = record.execute(UNFINISHED_DELIVERIES, (state, before, *line))
        return [_owed(row) for row in rows]

    def deliveries_of(self, type: str, id: str, *, limit: int = 50) -> list[Owed]:
        """Who was or is to be told of one resource."""
        with self.record.reading() as record:
            return [_owed(row) for row in record.execute(DELIVERIES_OF, (type, id, limit))]

    def owing(self) -> Mapping[str, Standing]:
        """By subscription: how many deliveries are waiting, done, parked, dead."""
        found: dict[str, Standing] = {}
        with self.record.reading() as record:
            for subscription, state, count, first in record.execute(DELIVERY_COUNTS):
                since = [one for (one,) in record.execute(OWED_SINCE, (first,))] if state == State.WAITING else []
                found.setdefault(subscription, Standing()).add(state, count, since)
            for subscription, sent in record.execute(SENT_TOTALS):
                found.setdefault(subscription, Standing()).add(State.DONE, sent)
        return found

    def replay_deliveries(self, ids: Iterable[int]) -> list[int]:
        """Parked and dead deliveries are sent again with the same idempotency key; returns which."""
        with self.record.transaction() as transaction:
            return self.outbox.replay(transaction, list(ids))

    def _readers(self, stack: ExitStack) -> tuple[Reader, Reader]:
        """The record's snapshot first: an entry that it calls done is then surely in the journal's."""
        record = stack.enter_context(self.record.reading())
        record.execute(MARK)
        return stack.enter_context(self.journal.reading()), record


def _touched(record: Reader) -> int:
    """The newest entry that was worked on; those after it wait."""
    mark: int = record.execute(MARK)[0][0]
    return max(mark, record.execute(TOUCHED)[0][0] or 0)


def _joined(journal: Reader, standings: Iterable[Row]) -> list[Line]:
    return [_with_work(row, standing) for standing in standings for row in journal.execute(ONE, (standing[0],))]


def _line(row: Row, record: Reader | None = None) -> Line:
    """A line from a row of LINE_SQL; its state is looked up when a record is given."""
    if record is not None:
        for standing in record.execute(STANDING, (row[0],)):
            return _with_work(row, standing)
    *_, accepted, cause, place = row
    return Line(**_facts(LINE, row), state=State.WAITING if accepted else REFUSED, cause=cause, place=place)


def _with_work(row: Row, standing: Row) -> Line:
    return Line(**_facts(LINE, row), **_facts(WORK, standing[1:]))


def _facts(names: tuple[str, ...], row: Row) -> dict[str, Any]:
    """Columns by name; milliseconds become times."""
    facts = dict(zip(names, row, strict=False))
    for name in names:
        if name.endswith("_at"):
            facts[name] = at(facts[name]) if facts[name] else None
    return facts


def _owed(row: Row) -> Owed:
    facts = _facts(OWED, row)
    reference = f"{facts.pop('type')}/{facts.pop('resource')}"
    key = idempotency(facts["id"], facts.pop("nonce"))
    return Owed(**facts, reference=reference, idempotency=key)
