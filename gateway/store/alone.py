"""Does a search find this one resource? Asked of every change for every standing search, so it must not cost more when
the record grows.

The resource is indexed as the record does it and put by itself into a database in memory; there the same SQL runs that
would search the record. What a chain leads to is looked up in the record, from the resource outward.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.db.engine import Reader
from gateway.db.record import INTO, parameter_number
from gateway.db.trial import Trial
from gateway.errors import Permanent
from gateway.store import clause, index, local, query, search
from gateway.store.clause import Chain, Clause, Criterion, Has
from gateway.store.columns import columns
from gateway.store.conditions import condition
from gateway.store.criteria import token
from gateway.store.deltas import Deltas
from gateway.store.query import Pairs, Query
from gateway.store.stored import Stored, milliseconds

Keys = frozenset[tuple[int, str]]  # (number of a parameter, value) of tokens and references; 0 = the patient's column

_ONE: Final = 1  # the rid of the one resource
_PUT: Final = (
    "INSERT INTO resource (rid, type, id, version, committed, updated, deleted, open, patient, status, survivor, date, "
    "until, body) VALUES (1, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Question:
    """A search that was read and can be asked of one resource."""

    type: str
    own: str  # the statement that finds it by what the resource itself says; "" when nothing is asked of it
    own_values: tuple[Any, ...]
    around: tuple[Chain | Has, ...]  # what others say
    needs: tuple[Keys, ...]  # of each of these sets it must have one: all others are told apart without any SQL


def question(type: str, asked: str | Pairs) -> Question:
    """The search `type?asked`. Permanent for what is not known, and for what only lists of results have (_sort)."""
    read = query.read(type, asked)
    if read.ignored:
        raise Permanent(f"{read.ignored[0][:40]!r} is not known", place=f"{type}?")
    if replace(read, criteria=[]) != Query(type):
        raise Permanent("only what narrows a search: no _sort, _count, _include, _summary …", place=f"{type}?")
    own: list[Criterion] = []
    around: list[Chain | Has] = []
    for each in read.criteria:
        if isinstance(each, Chain | Has):
            around.append(each)
        elif isinstance(each, Criterion):
            own.append(each)
    if any(each.parameter.name == local.PARAMETER for each in own):
        raise Permanent("fields of messages are no part of a resource", place=f"{type}?{local.PARAMETER}")
    for each in around:
        condition(each)  # raises for a value or a modifier that makes no sense
    tests = [condition(each) for each in own]
    statement = " AND ".join(("SELECT 1 FROM resource r WHERE r.deleted = 0", *(each.probe for each in tests)))
    values = tuple(value for each in tests for value in each.probe_values)
    return Question(type, statement if own else "", values, tuple(around), tuple(_needs(own)))


class Alone:
    """A place for one resource at a time; for several threads, one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trial: Trial | None = None
        self._held: Stored | None = None
        self._indexed = index.NOTHING
        self._keys: Keys = frozenset()

    def found(self, asked: Question, stored: Stored, record: Reader) -> bool:
        """Whether the search finds this version. `record`: where the resources around it are read."""
        if stored.type != asked.type or stored.deleted:
            return False
        with self._lock:
            if self._held is not stored:
                self._hold(stored)
            if any(needed.isdisjoint(self._keys) for needed in asked.needs):
                return False
            if asked.own and not self._filled(stored).execute(asked.own, asked.own_values):
                return False
            return all(self._holds(each, stored, record) for each in asked.around)

    def keys(self, stored: Stored) -> Keys:
        """What may stand in the `needs` of a question that finds this version."""
        with self._lock:
            if self._held is not stored:
                self._hold(stored)
            return self._keys

    # ------------------------------------------------------------------------------------------ the resource itself

    def _hold(self, stored: Stored) -> None:
        self._indexed = index.indexed(stored.resource)
        self._keys = frozenset(_keys(self._indexed))
        self._held = stored
        if self._trial is not None:
            self._trial.clear()

    def _filled(self, stored: Stored) -> Trial:
        """The database with the resource in it; it is put there when it is first needed."""
        if self._trial is None:
            self._trial = Trial("record")
        if not self._trial.execute("SELECT 1 FROM resource"):
            facts = (stored.type, stored.id, stored.version, stored.transaction, milliseconds(stored.updated))
            self._trial.execute(_PUT, (*facts, *self._indexed.hot.columns, stored.body))
            deltas = Deltas()
            deltas.add(_ONE, index.NOTHING, self._indexed)
            deltas.write(self._trial)
        return self._trial

    # ------------------------------------------------------------------------------------------ around it

    def _holds(self, each: Clause, stored: Stored, record: Reader) -> bool:
        match each:
            case Chain():
                return self._leads(each, stored, record)
            case Has():
                back = clause.read(each.source, each.parameter.name, stored.reference)
                return bool(search.run(record, Query(each.source, criteria=[back, each.inner], count=1)).matches)
        return bool(search.run(self._filled(stored), Query(stored.type, criteria=[each], count=1)).matches)

    def _leads(self, chain: Chain, stored: Stored, record: Reader) -> bool:
        """To something that fulfils what is asked; under a retired number too, as a search of the record finds it."""
        asked = dict(chain.targets)
        for target in self._targets(chain):
            kind, _, key = target.partition("/")
            if kind not in asked:
                continue
            retired = [row[0] for row in record.execute(INTO, (key,))] if kind == "Patient" else []
            this = clause.read(kind, "_id", ",".join((key, *retired)))
            if search.run(record, Query(kind, criteria=[asked[kind], this], count=1)).matches:
                return True
        return any(self._holds(each, stored, record) for each in chain.contained)

    def _targets(self, chain: Chain) -> Iterator[str]:
        """What the resource refers to by the parameter of a chain."""
        name = chain.parameter.name
        for row in self._indexed.rows.get("index_reference", ()):
            if row[0] == parameter_number(chain.type, name) and "://" not in row[1]:
                yield str(row[1])
        patient = self._indexed.hot.patient
        if patient and name in columns(chain.type).patient:
            yield f"Patient/{patient}"


def _keys(indexed: index.Indexed) -> Iterator[tuple[int, str]]:
    for table in ("index_token", "index_code", "index_reference"):
        yield from ((row[0], row[1]) for row in indexed.rows.get(table, ()))
    if indexed.hot.patient:
        yield 0, indexed.hot.patient


def _needs(criteria: list[Criterion]) -> Iterator[Keys]:
    """Where a criterion is a plain token or reference: the keys of which the resource must have one."""
    for each in criteria:
        name, own = each.parameter.name, columns(each.type)
        if each.modifier or index.aliases(each.type, name) or name in ("_id", own.date):
            continue
        if each.parameter.kind == "token" and not (name == "status" and own.status):
            values = [each.parameter.token(*token(text))[1] for text in each.values]
            if all(values):
                yield frozenset((each.number, value) for value in values)
        elif each.parameter.kind == "reference":
            found = [_pointed(each, text) for text in each.values]
            if all(found):
                yield frozenset(key for keys in found for key in keys)


def _pointed(each: Criterion, text: str) -> list[tuple[int, str]]:
    """The keys that a reference may have; [] where that is not plain."""
    if ":" in text or "/_history/" in text or "\\" in text:
        return []
    targets = [text] if "/" in text else [f"{kind}/{text}" for kind in (*each.parameter.targets, "Patient")]
    patients = [target.removeprefix("Patient/") for target in targets if target.startswith("Patient/")]
    return [*((each.number, target) for target in targets), *((0, patient) for patient in patients)]
