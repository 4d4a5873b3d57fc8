"""Where our work on each entry stands: what is next, what waits to be tried again, what is parked or dead.

The entries lie in the journal's database, their states in the record's, so that "done" commits together with the
resources that an entry became. An accepted entry without a row waits; `work_mark` only saves looking at old ones: it
moves over an entry when its row is there, never before, so no crash and no rollback can lose one.

Order: an entry waits while an earlier one of its key waits. Parked and dead entries hold nobody up.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.db.engine import Reader, Row, Transaction
from gateway.errors import HutongError
from gateway.model import Entry, Frame, State

LONGEST_DELAY = 3_600_000  # milliseconds; a due time further away means that the clock was set back: it is due
BATCH_BYTES = 32 * 2**20  # bodies read at once

MARK = "SELECT through FROM work_mark WHERE one = 1"
MOVE_MARK = "UPDATE work_mark SET through = ? WHERE one = 1"
NEWEST = "SELECT max(id) FROM entry"
FRESH = "SELECT id, accepted, channel, key, size FROM entry WHERE id > ? ORDER BY id LIMIT ?"
TOUCHED = "SELECT entry FROM work WHERE entry > ? AND entry <= ?"
BLOCKED = "SELECT 1 FROM work WHERE state = 'waiting' AND key = ? AND entry < ? LIMIT 1"
ANY_DUE = "SELECT 1 FROM work WHERE state = 'waiting' AND (due <= ? OR due > ?) LIMIT 1"
# '+entry': in order of id SQLite would rather walk over every entry that was ever done.
DUE = """
    SELECT entry, key, attempts FROM work
     WHERE state = 'waiting' AND (due <= ? OR due > ?)
       AND (key = '' OR NOT EXISTS (SELECT 1 FROM work AS earlier
             WHERE earlier.state = 'waiting' AND earlier.key = work.key AND earlier.entry < work.entry
               AND earlier.due > ? AND earlier.due <= ?))
       AND NOT EXISTS (SELECT 1 FROM progress JOIN work AS large ON large.entry = progress.entry
             WHERE large.state = 'waiting' AND (large.entry = work.entry
               OR (work.key <> '' AND large.key = work.key AND large.entry < work.entry)))
     ORDER BY +entry LIMIT ?
"""
# A large file of which some batches are done, and behind which later ones of its key wait.
PARTLY = """
    SELECT work.entry, work.key, work.attempts FROM progress JOIN work ON work.entry = progress.entry
     WHERE work.state = 'waiting' AND (work.due <= ? OR work.due > ?) ORDER BY work.entry LIMIT 1
"""
LOAD = """
    SELECT received, channel, member, peer, format, charset, control_id, digest, size, body FROM entry WHERE id = ?
"""
GONE = "UPDATE work SET state = 'dead', cause = 'its bytes were removed from the journal' WHERE entry = ?"
SIZE = "SELECT size FROM entry WHERE id = ?"
NOTE = """
    INSERT INTO work (entry, state, channel, key, attempts, due, changed, committed, error, cause, place, remedy)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (entry) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, due = excluded.due,
        changed = excluded.changed, committed = excluded.committed, error = excluded.error, cause = excluded.cause,
        place = excluded.place, remedy = excluded.remedy
"""
REPLAY = """
    UPDATE work SET state = 'waiting', due = 0, attempts = 0, changed = ?
     WHERE entry = ? AND state IN ('parked', 'dead') RETURNING entry
"""

_Chosen = tuple[int, str, int, int, bool]  # entry, key, attempts, bytes, is some of it done?


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An entry to be worked on now, and the key that keeps its order."""

    entry: Entry
    key: str
    partly: bool = False  # a large file of which some batches are done


class Work:
    """All methods run inside the caller's transaction or snapshot. Times are aware."""

    def waits(self, journal: Reader, record: Reader, now: datetime) -> bool:
        """Is there anything to do? Cheap enough to be asked every few milliseconds."""
        newest = journal.execute(NEWEST)[0][0] or 0
        return bool(newest > record.execute(MARK)[0][0] or record.execute(ANY_DUE, due_between(now)))

    def pending(self, transaction: Transaction, journal: Reader, *, now: datetime, limit: int) -> list[Job]:
        """Up to `limit` jobs in order of id, due again or new. Leave each with done, parked, dead or retry.

        One that is left without any comes again; within one list, do not work on a key after a `retry` of it.
        """
        chosen: list[_Chosen] = []
        partly = transaction.execute(PARTLY, due_between(now))
        due = transaction.execute(DUE, (*due_between(now), *due_between(now), limit))
        for entry, key, attempts in (*partly, *due):
            size = journal.execute(SIZE, (entry,))
            if size:
                chosen.append((entry, key, attempts, size[0][0], (entry, key, attempts) in partly))
            else:
                transaction.execute(GONE, (entry,))
        if len(chosen) < limit:
            chosen += self._fresh(transaction, journal, limit - len(chosen))
        return _loaded(journal, sorted(chosen))

    def done(self, transaction: Transaction, job: Job, committed: int | None) -> None:
        """It is in the record, by this record transaction (None: nothing changed)."""
        self._note(transaction, job, State.DONE, committed=committed)

    def parked(self, transaction: Transaction, job: Job, error: Exception) -> None:
        """It waits for a person."""
        self._note(transaction, job, State.PARKED, error=error)

    def dead(self, transaction: Transaction, job: Job, error: Exception) -> None:
        """It cannot succeed as it is."""
        self._note(transaction, job, State.DEAD, error=error)

    def retry(self, transaction: Transaction, job: Job, error: Exception, due: datetime) -> None:
        """It is tried again when due, at most an hour from now; later entries of its key wait behind it."""
        self._note(transaction, job, State.WAITING, error=error, due=_ms(due))

    def partly(self, transaction: Transaction, job: Job, told: str, committed: int | None) -> None:
        """Some of it is in the record; the rest has its turn after others. `told`: how much, for people."""
        self._note(transaction, job, State.WAITING, committed=committed, progress=told)

    def replay(self, transaction: Transaction, ids: Iterable[int]) -> list[int]:
        """Parked and dead entries wait again; returns which. Others are left alone."""
        now = int(time.time() * 1000)
        return [entry for entry in ids if transaction.execute(REPLAY, (now, entry))]

    def _fresh(self, transaction: Transaction, journal: Reader, limit: int) -> list[_Chosen]:
        """Entries nobody touched; the mark moves over those in front that were, and those of a held key get a row."""
        mark = transaction.execute(MARK)[0][0]
        rows = journal.execute(FRESH, (mark, 2 * limit))
        if not rows:
            return []
        touched = {entry for (entry,) in transaction.execute(TOUCHED, (mark, rows[-1][0]))}
        fresh: list[_Chosen] = []
        through = mark
        for entry, accepted, channel, key, size in rows:
            if accepted and entry not in touched:
                if key and transaction.execute(BLOCKED, (key, entry)):
                    _hold(transaction, entry, channel, key)
                else:
                    fresh.append((entry, key, 0, size, False))
            if not fresh:
                through = entry
        if through > mark:
            transaction.execute(MOVE_MARK, (through,))
        return fresh[:limit]

    def _note(
        self,
        transaction: Transaction,
        job: Job,
        state: State,
        *,
        error: Exception | None = None,
        due: int = 0,
        committed: int | None = None,
        progress: str = "",
    ) -> None:
        now = int(time.time() * 1000)
        attempts = job.entry.attempts + (error is not None)
        row = (job.entry.id, state.value, job.entry.frame.channel, job.key, attempts, due, now, committed)
        transaction.execute(NOTE, (*row, *(("", progress, "", "") if progress else told(error))))


def told(error: Exception | None) -> tuple[str, str, str, str]:
    """(class, cause, place, remedy) of an error. Of one that is not ours only the class: its text may quote data."""
    if error is None:
        return "", "", "", ""
    if isinstance(error, HutongError):
        return type(error).__name__, error.cause, error.place, error.remedy
    return type(error).__name__, "unforeseen", "", "report this defect, then replay"


def _hold(transaction: Transaction, entry: int, channel: str, key: str) -> None:
    now = int(time.time() * 1000)
    transaction.execute(NOTE, (entry, State.WAITING.value, channel, key, 0, 0, now, None, "", "", "", ""))


def _loaded(journal: Reader, chosen: Sequence[_Chosen]) -> list[Job]:
    """The jobs with their bodies; at least one, and not more than fit into BATCH_BYTES."""
    jobs: list[Job] = []
    room = BATCH_BYTES
    for entry, key, attempts, size, partly in chosen:
        if jobs and size > room:
            break
        loaded = entry_of(entry, attempts, journal.execute(LOAD, (entry,))[0])
        room -= len(loaded.frame.body)
        jobs.append(Job(entry=loaded, key=key, partly=partly))
    return jobs


def load(journal: Reader, id: int) -> Entry:
    """One entry by its id; IndexError when there is none (any more)."""
    return entry_of(id, 0, journal.execute(LOAD, (id,))[0])


def entry_of(id: int, attempts: int, row: Row) -> Entry:
    """An entry from a row of LOAD."""
    received, channel, member, peer, codec, charset, control_id, digest, size, body = row
    stored = digest.hex() if size and not body else ""  # a large file: its bytes lie beside the database
    frame = Frame(
        channel=channel, body=body, peer=peer, received_at=at(received), stored=stored, size=size if stored else 0
    )
    return Entry(
        id=id, frame=frame, member=member, format=codec, charset=charset, control_id=control_id, attempts=attempts
    )


def due_between(now: datetime) -> tuple[int, int]:
    """What is due: up to the first, and beyond the second (the clock was set back)."""
    return _ms(now), _ms(now) + LONGEST_DELAY


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def at(milliseconds: int) -> datetime:
    """The aware time of a stored number of milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
