"""Legal hold: what must not be deleted though its time is over, by whose word and why; and what belongs to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.db.engine import Reader, Transaction
from gateway.errors import Configuration
from gateway.journal.work import at

KINDS: Final = ("patient", "entry")
COLUMNS: Final = "number, kind, target, reason, held_by, held_at, released_by, released_at"
LISTED: Final = "SELECT number, kind, target, reason, held_by, held_at, released_by, released_at FROM legal_hold"
IN_FORCE: Final = "SELECT kind, target FROM legal_hold WHERE released_at = 0"
HOLD: Final = """
    INSERT INTO legal_hold (kind, target, reason, held_by, held_at, released_by, released_at)
    VALUES (?, ?, ?, ?, ?, '', 0) RETURNING number
"""
RELEASE: Final = """
    UPDATE legal_hold SET released_by = ?, released_at = ? WHERE number = ? AND released_at = 0 RETURNING number
"""
RETIRED: Final = "SELECT id FROM resource WHERE type = 'Patient' AND survivor = ?"
SURVIVOR: Final = "SELECT survivor FROM resource WHERE type = 'Patient' AND id = ? AND survivor IS NOT NULL"
OF_PATIENT: Final = """
    SELECT t.entry FROM resource r JOIN record_transaction t ON t.number = r.committed
     WHERE t.entry IS NOT NULL AND (r.patient = ? OR (r.type = 'Patient' AND r.id = ?))
     UNION
    SELECT t.entry FROM resource r JOIN history h ON h.rid = r.rid JOIN record_transaction t ON t.number = h.committed
     WHERE t.entry IS NOT NULL AND (r.patient = ? OR (r.type = 'Patient' AND r.id = ?))
"""
KEY: Final = "SELECT channel, key FROM work WHERE entry = ? AND key <> ''"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One word that something must be kept."""

    number: int
    kind: str  # patient entry
    target: str
    reason: str
    held_by: str
    held_at: datetime
    released_by: str
    released_at: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """What is kept now."""

    patients: frozenset[str]  # ids, with those that were merged into them or that they were merged into
    entries: frozenset[int]
    keys: frozenset[tuple[str, str]]  # (channel, order key): what came under the same number


def hold(transaction: Transaction, kind: str, target: str, *, reason: str, by: str) -> int:
    """From now on it is kept. Returns the number of the hold. Raises Configuration for what is not there."""
    if kind not in KINDS or not reason.strip():
        raise Configuration("a hold needs a patient or an entry, and a reason", place="hold", remedy="say both")
    if kind == "patient" and not transaction.execute(
        "SELECT 1 FROM resource WHERE type = 'Patient' AND id = ?", (target,)
    ):
        raise Configuration("there is no such Patient", place="hold", remedy="name its id in the record")
    if kind == "entry" and not target.isdecimal():
        raise Configuration("an entry has a number", place="hold", remedy="see hutong status")
    return int(transaction.execute(HOLD, (kind, target, reason, by, int(time.time() * 1000)))[0][0])


def release(transaction: Transaction, number: int, *, by: str) -> None:
    """It need not be kept any more for this reason. Raises Configuration where that hold is not in force."""
    if not transaction.execute(RELEASE, (by, int(time.time() * 1000), number)):
        raise Configuration("there is no such hold in force", place="hold", remedy="see hutong hold list")


def listed(reader: Reader) -> list[Hold]:
    """All that ever were, the oldest first."""
    return [
        Hold(
            number=row[0], kind=row[1], target=row[2], reason=row[3], held_by=row[4], held_at=at(row[5]),
            released_by=row[6], released_at=at(row[7]) if row[7] else None,
        )
        for row in reader.execute(f"{LISTED} ORDER BY number")
    ]  # fmt: skip


def held(reader: Reader) -> Held:
    """What is kept as of now: also what came since, and what belongs to people who are one by now."""
    asked = reader.execute(IN_FORCE)
    entries = {int(target) for kind, target in asked if kind == "entry"}
    patients = {each for kind, target in asked if kind == "patient" for each in _one_person(reader, target)}
    for patient in patients:
        entries |= {entry for (entry,) in reader.execute(OF_PATIENT, (patient,) * 4)}
    keys = {(channel, key) for entry in entries for channel, key in reader.execute(KEY, (entry,))}
    return Held(frozenset(patients), frozenset(entries), frozenset(keys))


def _one_person(reader: Reader, patient: str) -> set[str]:
    found: set[str] = set()
    edge = [patient]
    while edge:
        each = edge.pop()
        if each not in found:
            found.add(each)
            edge += _beside(reader, each)
    return found


def _beside(reader: Reader, patient: str) -> Iterator[str]:
    for sql in (RETIRED, SURVIVOR):
        yield from (other for (other,) in reader.execute(sql, (patient,)))
