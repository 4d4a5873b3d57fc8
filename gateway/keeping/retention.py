"""Deletes what the settings let go, in small batches beside a running gateway, and gives the disk back.

    messages     journal entries with their bytes, once they are done (or were refused): what was noted about them too
    deliveries   receipts of what was delivered
    history      versions of resources that were replaced so long ago

Never: an entry that waits, is parked or dead, or has codes to be translated again; a delivery that is not done, and the
versions it may still be written from; what is under legal hold. Entries go from the journal first: a crash in between
leaves a note about an entry that is gone, and that does no harm.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gateway.db.engine import Engine, Reader, Row, Transaction
from gateway.journal.bodies import Bodies
from gateway.keeping.hold import Held, held
from gateway.model import Retention

BUSY_SECONDS: Final = 0.015  # a batch that holds the writer longer is followed by a smaller one
BATCH: Final = (4, 256)  # rows deleted at once: the fewest, the most
PAGE: Final = 500  # rows looked at at once
DAY: Final = 86_400_000

OLD_ENTRIES: Final = """
    SELECT id, accepted, channel, key, size, digest, length(body) FROM entry
     WHERE id > ? AND received < ? ORDER BY id LIMIT ?
"""
OPEN_ENTRIES: Final = "SELECT entry FROM work WHERE state <> 'done' AND entry >= ? AND entry <= ?"
DONE_ENTRIES: Final = "SELECT entry FROM work WHERE state = 'done' AND entry >= ? AND entry <= ?"
AGAIN: Final = "SELECT DISTINCT entry FROM unknown_code WHERE again = 1 AND entry >= ? AND entry <= ?"
NOTES: Final = tuple(
    f"DELETE FROM {table} WHERE entry = ?"  # noqa: S608  names of our own tables
    for table in ("unknown_code", "local_field", "local_resource", "progress", "work")
)
OLD_DELIVERIES: Final = """
    SELECT d.id, coalesce(r.patient, CASE WHEN d.type = 'Patient' THEN d.resource END) FROM delivery d
      LEFT JOIN resource r ON r.type = d.type AND r.id = d.resource
     WHERE d.id > ? AND d.state = 'done' AND d.changed < ? ORDER BY d.id LIMIT ?
"""
OLD_VERSIONS: Final = """
    SELECT h.rid, h.version, length(h.body), coalesce(r.patient, CASE WHEN r.type = 'Patient' THEN r.id END),
           coalesce((SELECT min(n.updated) FROM history n WHERE n.rid = h.rid AND n.version > h.version), r.updated),
           (SELECT count(*) FROM delivery d WHERE d.type = r.type AND d.resource = r.id AND d.state <> 'done')
      FROM history h JOIN resource r ON r.rid = h.rid
     WHERE (h.rid, h.version) > (?, ?) ORDER BY h.rid, h.version LIMIT ?
"""
STILL_NEEDED: Final = "SELECT 1 FROM entry WHERE digest = ? AND size > 0 AND length(body) = 0 LIMIT 1"
RAN: Final = """
    INSERT INTO retention_run (at, run_by, settings, entries, deliveries, versions, files, bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(slots=True)
class Gone:
    """What was deleted, or would be."""

    entries: int = 0
    deliveries: int = 0
    versions: int = 0
    files: int = 0
    size: int = 0  # bytes of it
    freed: int = 0  # bytes given back to the disk
    held: int = 0  # kept though their time is over: legal hold
    longest: float = 0.0  # seconds that a batch held the writer


@dataclass(slots=True, kw_only=True)
class Sweep:
    """One run. `pause` is called with the seconds to leave to others."""

    journal: Engine
    record: Engine
    bodies: Bodies
    settings: Retention
    now: datetime
    dry: bool = False
    pause: Callable[[float], None] = time.sleep
    gone: Gone = field(default_factory=Gone)
    _batch: int = field(default=32, init=False)

    def run(self, *, by: str) -> Gone:
        """All of it; written down with who asked for it. Ended at any moment it is simply begun again."""
        with self.record.reading() as reader:
            kept = held(reader)
        if self.settings.messages:
            self._messages(kept, self._before(self.settings.messages))
        if self.settings.deliveries:
            self._deliveries(kept, self._before(self.settings.deliveries))
        if self.settings.history:
            self._versions(kept, self._before(self.settings.history))
        if not self.dry:
            self.gone.freed = self.journal.give_back(self.pause) + self.record.give_back(self.pause)
            self._written_down(by)
        return self.gone

    # ------------------------------------------------------------------------------------------ messages

    def _messages(self, kept: Held, before: int) -> None:
        last = 0
        while rows := _read(self.journal, OLD_ENTRIES, (last, before, PAGE)):
            first, last = rows[0][0], rows[-1][0]
            with self.record.reading() as reader:
                done, again = _ids(reader, DONE_ENTRIES, first, last), _ids(reader, AGAIN, first, last)
                still = _ids(reader, OPEN_ENTRIES, first, last)
            free = [row for row in rows if row[0] not in again | still and (not row[1] or row[0] in done)]
            let_go = [row for row in free if row[0] not in kept.entries and (row[2], row[3]) not in kept.keys]
            self.gone.held += len(free) - len(let_go)
            for batch in self._batches(let_go):
                self._entries(batch)

    def _entries(self, batch: Sequence[Row]) -> None:
        self.gone.entries += len(batch)
        self.gone.size += sum(row[4] for row in batch)
        if self.dry:
            return
        ids = [(row[0],) for row in batch]
        self._timed(self.journal, lambda transaction: transaction.executemany("DELETE FROM entry WHERE id = ?", ids))
        for sql in NOTES:
            self._delete((sql, ids))
        for digest in {row[5] for row in batch if row[4] and not row[6]}:
            with self.journal.transaction() as transaction:  # nobody writes an entry down meanwhile
                if not transaction.execute(STILL_NEEDED, (digest,)) and self.bodies.drop(digest.hex()):
                    self.gone.files += 1

    # ------------------------------------------------------------------------------------------ the record

    def _deliveries(self, kept: Held, before: int) -> None:
        last = 0
        while rows := _read(self.record, OLD_DELIVERIES, (last, before, PAGE)):
            last = rows[-1][0]
            let_go = [row for row in rows if row[1] not in kept.patients]
            self.gone.held += len(rows) - len(let_go)
            for batch in self._batches(let_go):
                self.gone.deliveries += len(batch)
                ids = [(row[0],) for row in batch]
                self._delete(("DELETE FROM subscription_event WHERE delivery = ?", ids))
                self._delete(("DELETE FROM delivery WHERE id = ? AND state = 'done'", ids))

    def _versions(self, kept: Held, before: int) -> None:
        last = (0, 0)
        while rows := _read(self.record, OLD_VERSIONS, (*last, PAGE)):
            last = rows[-1][0], rows[-1][1]
            free = [row for row in rows if row[4] < before and not row[5]]
            let_go = [row for row in free if row[3] not in kept.patients]
            self.gone.held += len(free) - len(let_go)
            for batch in self._batches(let_go):
                self.gone.versions += len(batch)
                self.gone.size += sum(row[2] or 0 for row in batch)
                self._delete(("DELETE FROM history WHERE rid = ? AND version = ?", [row[:2] for row in batch]))

    # ------------------------------------------------------------------------------------------ batches

    def _batches(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """As many at once as the writer can spare; the size is looked up anew for each."""
        place = 0
        while place < len(rows):
            size = self._batch
            yield rows[place : place + size]
            place += size

    def _delete(self, order: tuple[str, Sequence[Sequence[Any]]]) -> None:
        if not self.dry:
            self._timed(self.record, lambda transaction: transaction.executemany(*order))

    def _timed(self, engine: Engine, work: Callable[[Transaction], object]) -> None:
        with engine.transaction() as transaction:
            began = time.monotonic()
            work(transaction)
        took = time.monotonic() - began
        self.gone.longest = max(self.gone.longest, took)
        least, most = BATCH
        self._batch = max(least, self._batch // 2) if took > BUSY_SECONDS else min(most, self._batch + 8)
        self.pause(min(0.25, 2 * took))

    def _before(self, days: int) -> int:
        return int(self.now.timestamp() * 1000) - days * DAY

    def _written_down(self, by: str) -> None:
        days = {"messages": self.settings.messages, "deliveries": self.settings.deliveries}
        told = json.dumps(days | {"history": self.settings.history})
        gone = self.gone
        row = (gone.entries, gone.deliveries, gone.versions, gone.files, gone.freed)
        with self.record.transaction() as transaction:
            transaction.execute(RAN, (int(self.now.timestamp() * 1000), by, told, *row))


def _read(engine: Engine, sql: str, values: tuple[int, ...]) -> list[Row]:
    with engine.reading() as reader:
        return reader.execute(sql, values)


def _ids(reader: Reader, sql: str, first: int, last: int) -> set[int]:
    return {entry for (entry,) in reader.execute(sql, (first, last))}
