"""The resources that one transaction touches: read once, changed in memory, written at the end."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.db.engine import Row, Transaction
from gateway.db.record import parameter_number, survivor, system_number
from gateway.fhir import json
from gateway.model import Change, Resource
from gateway.store import index, merging, read, update
from gateway.store.deltas import Deltas
from gateway.store.request import Pair
from gateway.store.stored import Stored, instant, moment

COLUMNS = "r.rid, r.type, r.id, r.version, r.deleted, r.patient, r.survivor, r.body"
BY_ID = f"SELECT {COLUMNS} FROM resource r WHERE r.type = ? AND r.id = ?"
BY_RID = f"SELECT {COLUMNS} FROM resource r WHERE r.rid = ?"
BY_IDENTIFIER = "SELECT i.rid FROM index_token i WHERE i.parameter = ? AND i.value = ? AND i.system = ?"
BY_VALUE = "SELECT i.rid FROM index_token i WHERE i.parameter = ? AND i.value = ?"
LAST = "SELECT number, at FROM record_transaction ORDER BY number DESC LIMIT 1"
NEW_TRANSACTION = "INSERT INTO record_transaction (number, at, entry) VALUES (?, ?, ?)"
ROW = (
    *("type", "id", "version", "committed", "updated", "deleted"),
    *("open", "patient", "status", "survivor", "date", "until", "body"),
)
NEW_VERSION = f"UPDATE resource SET {', '.join(f'{name} = ?' for name in ROW)} WHERE rid = ?"
TO_HISTORY = (
    "INSERT INTO history (rid, version, type, committed, updated, deleted, body) "
    "SELECT rid, version, type, committed, updated, deleted, body FROM resource WHERE rid = ?"
)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


@dataclass(slots=True)
class Working:
    """A resource in work: as it is stored, and as the transaction will leave it."""

    type: str
    id: str
    rid: int = 0  # 0: not stored yet
    version: int = 0
    patient: str | None = None
    survivor: str | None = None
    stored: Resource | None = None  # None: not there, or deleted
    result: Resource | None = None  # None: not there, or deleted by this transaction
    touched: bool = False
    moved: bool = False  # nothing changed but which Patient it refers to
    under: str | None = None  # the retired Patient that it came under; "": the living one; None: as before
    body: bytes | None = None  # the result as this transaction wrote it, b"" when deleted; None: not written

    @property
    def changed(self) -> bool:
        return self.touched and self.result is not self.stored


class Workspace:
    """Everything one transaction reads and will write."""

    def __init__(self, transaction: Transaction, now: int) -> None:
        self._transaction = transaction
        self._working: dict[tuple[str, str], Working] = {}
        self._stored: dict[int, Working] = {}  # by rid, of those found by an identifier
        self._numbered: dict[tuple[str, str], list[Working]] = {}  # new ones by type and identifier value
        self._survivors: dict[str, str] = {}
        self.merges = False  # whether anybody was ever merged into somebody
        rows = transaction.execute(LAST)
        self.number, last = rows[0] if rows else (0, 0)
        self.now = max(now, last + 1)
        self._instant, self._moment = instant(self.now), moment(self.now)
        self._last_id: int = (self.now << 80) | secrets.randbits(79)  # as a number; the next ones have room behind it

    # ------------------------------------------------------------------------------------------ reading

    def load(self, type: str, id: str) -> Working:
        """The resource of that id, stored or not."""
        found = self._working.get((type, id))
        if found is None:
            rows = self._transaction.execute(BY_ID, (type, id))
            found = self._take(rows[0]) if rows else Working(type, id)
            self._working[type, id] = found
        return found

    def with_identifiers(self, type: str, pairs: Iterable[Pair]) -> list[Working]:
        """Resources, stored or new in this transaction, that carry any of the identifiers. Ordered by id."""
        parameter = parameter_number(type, "identifier")
        found: dict[str, Working] = {}
        for system, value in pairs:
            if system is None:
                rows = self._transaction.execute(BY_VALUE, (parameter, value))
            else:
                rows = self._transaction.execute(BY_IDENTIFIER, (parameter, value, system_number(system)))
            for (rid,) in rows:
                working = self._stored.get(rid) or self._of_rid(type, rid)
                found[working.id] = working
            for working in self._numbered.get((type, value), ()):
                if system is None or any(
                    each.get("system", "") == system and each.get("value") == value
                    for each in update.identifiers(working.result or {})
                ):
                    found[working.id] = working
        return [found[key] for key in sorted(found)]

    def _of_rid(self, type: str, rid: int) -> Working:
        """Read once, however many identifiers it is found by: with thousands of them it is large."""
        row = self._transaction.execute(BY_RID, (rid,))[0]
        working = self._working.get((type, row[2])) or self._take(row)
        self._stored[rid] = self._working[type, working.id] = working
        return working

    def survivor(self, patient: str) -> str:
        """Who a merged patient lives on as, before this transaction."""
        if patient not in self._survivors:
            self._survivors[patient] = survivor(self._transaction, patient)
        return self._survivors[patient]

    @staticmethod
    def _take(row: Row) -> Working:
        rid, kind, key, version, deleted, patient, heir, body = row
        resource = None if deleted else json.loads(body)
        return Working(kind, key, rid, version, patient, heir, resource, resource)

    # ------------------------------------------------------------------------------------------ changing

    def new(self, type: str, resource: Resource, *, patient: str | None) -> Working:
        """A resource that is not stored, under a new id; it is found by its identifiers from now on."""
        working = Working(type, self.new_id(), patient=patient, result=resource)
        self._working[type, working.id] = working
        for each in update.identifiers(resource):
            self._numbered.setdefault((type, str(each.get("value"))), []).append(working)
        return working

    def new_id(self) -> str:
        """26 letters and digits: the time of the transaction and 80 bits that begin anywhere and count on (a monotonic
        ULID in lower case)."""
        self._last_id += 1
        return _head(self._last_id >> 20) + _PAIRS[self._last_id >> 10 & 1023] + _PAIRS[self._last_id & 1023]

    # ------------------------------------------------------------------------------------------ writing

    def write(self, entry_id: int | None) -> tuple[Change, ...]:
        """Write everything that changed as one record transaction; () and nothing written when nothing did. What only
        moves from one Patient to another is no news to anybody, and not among the changes."""
        merging.settle(self, self._transaction)
        changed = self.changed()
        if not changed:
            return ()
        self.number += 1
        self._transaction.execute(NEW_TRANSACTION, (self.number, self.now, entry_id))
        deltas = Deltas()
        fresh: list[tuple[Working, index.Indexed, Row]] = []
        changes = tuple(self._write(working, deltas, fresh) for working in changed)
        numbers = self._transaction.append("resource", "rid", ("type", "id"), ROW, [row for _, _, row in fresh])
        for (working, after, _), rid in zip(fresh, numbers, strict=True):
            working.rid = rid
            deltas.add(rid, index.NOTHING, after)
        deltas.write(self._transaction)
        for working in changed if self.merges else ():
            merging.note(self._transaction, working)
        return tuple(change for working, change in zip(changed, changes, strict=True) if not working.moved)

    def changed(self) -> list[Working]:
        """What this transaction changes, as far as it is known."""
        return [working for working in self._working.values() if working.changed]

    def _write(self, working: Working, deltas: Deltas, fresh: list[tuple[Working, index.Indexed, Row]]) -> Change:
        existed = working.version > 0 and working.stored is not None
        working.version += 1
        before = index.indexed(working.stored) if working.stored is not None else index.NOTHING
        after = index.NOTHING
        working.body = b""
        if working.result is not None:
            working.result = self._stamped(working)
            after = index.indexed(working.result)
            working.body = json.dumps(working.result, finite=True)  # it was checked, or read from what was
        row = (
            *(working.type, working.id, working.version, self.number, self.now, int(working.result is None)),
            *after.hot.columns,
            working.body or None,
        )
        if working.rid:
            self._transaction.execute(TO_HISTORY, (working.rid,))
            self._transaction.execute(NEW_VERSION, (*row, working.rid))
            deltas.add(working.rid, before, after)
        else:
            fresh.append((working, after, row))
        interaction = "delete" if working.result is None else "update" if existed else "create"
        return Change(
            type=working.type,
            id=working.id,
            version=working.version,
            transaction=self.number,
            interaction=interaction,
        )

    def stored(self, working: Working) -> Stored | None:
        """The version that is current after `write`; None: there never was one."""
        if working.body is None:
            return read.read(self._transaction, working.type, working.id)
        return Stored(
            type=working.type, id=working.id, version=working.version, updated=self._moment,
            deleted=not working.body, body=working.body, transaction=self.number,
        )  # fmt: skip

    def _stamped(self, working: Working) -> Resource:
        """The result with its id and what the server says in meta, these three first."""
        result = working.result or {}
        meta = {**result.get("meta", {}), "versionId": str(working.version), "lastUpdated": self._instant}
        head = {"resourceType": working.type, "id": working.id, "meta": meta}
        return {**head, **result, **head}


@functools.lru_cache(maxsize=1)  # the ids of a transaction share it
def _head(number: int) -> str:
    """The first 22 letters of an id."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(100, -10, -10)])
