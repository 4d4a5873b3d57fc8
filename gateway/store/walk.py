"""Walks all resources of a type in the order of their ids, as they were when a transaction had been committed.

A page begins behind an id, so a walk can stop anywhere and go on later: a resource is met once, whatever is written
meanwhile. The walk costs the same at every place of a type.
"""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.db.engine import Reader
from gateway.db.record import parameter_number
from gateway.fhir import compartments
from gateway.store import past, read
from gateway.store.conditions import condition
from gateway.store.query import Query
from gateway.store.stored import Stored

ROWS: Final = 2_000  # resources of a page, at most
BYTES: Final = 8 * 1024 * 1024  # of their bodies; one that is larger comes alone
FEW: Final = 200  # people that are looked for by the index; of more every resource is looked at

_SIZE = "SELECT r.id, coalesce(length(r.body), 0) FROM resource r"
_SIZES = f"{_SIZE} WHERE r.type = ? AND r.id > ? ORDER BY r.id LIMIT ?"
_BODY = f"SELECT {read.COLUMNS}, r.patient FROM resource r"
_BODIES = f"{_BODY} WHERE r.type = ? AND r.id > ? AND r.id <= ? ORDER BY r.id LIMIT ?"
_CHANGED = "SELECT rid FROM resource WHERE type = ? AND updated > ?"
BEFORE = f"{read.OLD} AND h.version < ? AND h.deleted = 0 ORDER BY h.version DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Met:
    """One resource of a walk: the version of that time."""

    stored: Stored
    current: bool  # it still is what the index tells of
    patient: str | None  # of the index; None where it is not current


@dataclass(frozen=True, slots=True)
class Stretch:
    """A page of a walk."""

    met: tuple[Met, ...]
    after: str  # the id that the next page begins behind
    last: bool  # nothing comes behind it


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """One type, as of one transaction. `people`: only what may belong to one of these patients has to be met; () for
    everything."""

    type: str
    cut: int  # record_transaction.number
    at: int  # its instant; milliseconds since 1970
    people: tuple[str, ...] = ()

    def stretch(self, reader: Reader, after: str, *, rows: int = ROWS, limit: int = BYTES) -> Stretch:
        """The page behind an id."""
        sizes = self._sizes(reader, after, rows)
        taken = _fitting([size for _, size in sizes], limit)
        if not taken:
            return Stretch((), after, last=True)
        end = sizes[taken - 1][0]
        found = self._bodies(reader, after, [key for key, _ in sizes[:taken]])
        met = tuple(filter(None, (self._met(reader, row) for row in found)))
        return Stretch(met, end, last=taken == len(sizes) and len(sizes) < rows)

    def _sizes(self, reader: Reader, after: str, rows: int) -> list[tuple[str, int]]:
        if not self.people or len(self.people) > FEW:
            return [(row[0], row[1]) for row in reader.execute(_SIZES, (self.type, after, rows))]
        inside, values = self._inside()
        # `|| ''` keeps the list of rids in the lead: walking the ids would look at everybody's.
        sql = f"{_SIZE} WHERE r.rid IN ({inside}) AND r.id || '' > ? ORDER BY r.id || '' LIMIT ?"
        return [(row[0], row[1]) for row in reader.execute(sql, (*values, after, rows))]

    def _inside(self) -> tuple[str, tuple[Any, ...]]:
        """The rids of what belongs to the people by the index, or has changed since and may have belonged."""
        marks = ", ".join("?" * len(self.people))
        if self.type == "Patient":
            return f"SELECT rid FROM resource WHERE type = 'Patient' AND id IN ({marks})", self.people
        numbers = [parameter_number(self.type, name) for name in compartments.parameters("Patient").get(self.type, ())]
        kinds = ", ".join("?" * len(numbers))
        parts = [
            f"SELECT rid FROM resource WHERE patient IN ({marks}) AND type = ?",
            f"SELECT rid FROM index_reference WHERE parameter IN ({kinds}) AND target IN ({marks})",
            _CHANGED,
        ]
        targets = tuple(f"Patient/{key}" for key in self.people)
        return " UNION ".join(parts), (*self.people, self.type, *numbers, *targets, self.type, self.at)

    def _bodies(self, reader: Reader, after: str, ids: Sequence[str]) -> Iterable[tuple[Any, ...]]:
        if not self.people or len(self.people) > FEW:
            return reader.execute(_BODIES, (self.type, after, ids[-1], len(ids)))
        marks = ", ".join("?" * len(ids))
        sql = f"{_BODY} WHERE r.type = ? AND r.id IN ({marks}) ORDER BY r.id"
        return reader.execute(sql, (self.type, *ids))

    def _met(self, reader: Reader, row: tuple[Any, ...]) -> Met | None:
        """The version of that time; None where there was none yet."""
        now = read.stored(row[:7])
        if now.transaction <= self.cut:
            return Met(now, current=True, patient=row[7])
        rows = reader.execute(read.AS_OF, (now.type, now.id, self.cut))
        return Met(read.stored(rows[0]), current=False, patient=None) if rows else None


def before(reader: Reader, deleted: Stored) -> Stored | None:
    """What a resource was before it was deleted."""
    rows = reader.execute(BEFORE, (deleted.type, deleted.id, deleted.version))
    return read.stored(rows[0]) if rows else None


def fulfilling(reader: Reader, met: Sequence[Met], queries: Sequence[Query]) -> set[str]:
    """The ids of those (of one type, none deleted) that any of the queries finds: asked of the index, and of versions
    that it no longer tells of in memory. Read in the snapshot that they were met in."""
    found = past.fulfilling([each.stored for each in met if not each.current], queries)
    current = [each.stored.id for each in met if each.current]
    if not current:
        return found
    marks = ", ".join("?" * len(current))
    for query in queries:
        asked = [condition(each) for each in query.criteria]
        where = " AND ".join(["r.type = ?", f"r.id IN ({marks})", *(each.probe for each in asked)])
        values = (query.type, *current, *(value for each in asked for value in each.probe_values))
        found.update(row[0] for row in reader.execute(f"SELECT r.id FROM resource r WHERE {where}", values))
    return found


def _fitting(sizes: Sequence[int], limit: int) -> int:
    """How many of them fit, at least one where there is one."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > limit and count:
            return count
    return len(sizes)
