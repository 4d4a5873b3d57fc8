"""What a resource is found by: the columns of its row and its rows in the index tables."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from gateway.codec import person_keys
from gateway.db.engine import Transaction
from gateway.db.record import ZONE, parameter_number, system_number
from gateway.fhir import json, searchparameters
from gateway.fhir.searchparameters import IndexRow
from gateway.model import Resource
from gateway.store.columns import NO_DATE, Columns, columns
from gateway.store.pointers import retired_into

INFINITY: Final = float("inf")

# Unions of two parameters that are indexed by themselves: answered by asking both.
ALIASES: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("Observation", "combo-code"): ("code", "component-code"),
        ("Observation", "combo-value-quantity"): ("value-quantity", "component-value-quantity"),
        ("Observation", "combo-value-concept"): ("value-concept", "component-value-concept"),
        ("Observation", "combo-data-absent-reason"): ("data-absent-reason", "component-data-absent-reason"),
        ("Patient", "phonetic"): ("name",),
    }
)
_TABLE_COLUMNS: Final = {
    "index_token": ("parameter", "value", "system"),
    "index_code": ("parameter", "value", "date", "system"),
    "index_reference": ("parameter", "target"),
    "index_string": ("parameter", "value", "exact"),
    "index_date": ("parameter", "low", "high"),
    "index_number": ("parameter", "low", "high"),
    "index_quantity": ("parameter", "low", "high", "system", "code"),
    "index_uri": ("parameter", "value"),
}
INSERT: Final = {
    table: f"INSERT INTO {table} ({', '.join(names)}, rid) VALUES ({', '.join('?' * len(names))}, ?) "
    "ON CONFLICT DO NOTHING"
    for table, names in _TABLE_COLUMNS.items()
}
DELETE: Final = {
    table: f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in names)} AND rid = ?"
    for table, names in _TABLE_COLUMNS.items()
}
_MAXIMUM_TEXT: Final = 1000  # characters of a string, token or URL that are indexed


@dataclass(slots=True)
class Hot:
    """The columns of the resource row."""

    open: int = 0
    patient: str | None = None
    status: str | None = None
    survivor: str | None = None
    date: int = NO_DATE
    until: int = NO_DATE

    @property
    def columns(self) -> tuple[int, str | None, str | None, str | None, int, int]:
        return self.open, self.patient, self.status, self.survivor, self.date, self.until


@dataclass(slots=True)
class Indexed:
    """Everything one version of one resource is found by; table → rows without rid."""

    hot: Hot = field(default_factory=Hot)
    rows: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)

    def add(self, table: str, *row: Any) -> None:
        found = self.rows.get(table)
        if found is None:
            found = self.rows[table] = set()
        found.add(row)


NOTHING: Final = Indexed()


def indexed(resource: Resource) -> Indexed:
    """Columns and index rows of a valid resource."""
    kind = resource["resourceType"]
    own = columns(kind)
    result = Indexed()
    codes: list[IndexRow] = []
    for row in searchparameters.index(resource, zone=ZONE, without=_unkept(kind)):
        if row.name == "code" and row.kind == "token":
            codes.append(row)  # its rows carry the date, which may come later
        elif row.name not in own.names or not _in_column(result.hot, own, row):
            _CONVERTERS[row.kind](result, kind, row)
    for row in codes:
        _code(result, kind, row)
    if result.hot.status in own.open:
        result.hot.open = 1
    if kind == "Patient":
        result.hot.survivor = retired_into(resource)
        number = parameter_number(kind, person_keys.PARAMETER)
        for key in person_keys.keys(resource):
            result.add("index_token", number, key, 0)
    return result


@functools.cache
def _unkept(kind: str) -> frozenset[str]:
    """The parameters that no table holds: columns that every row has, unions of others, composites."""
    unions = {name for type_name, name in ALIASES if type_name == kind}
    known = searchparameters.parameters(kind).values()
    return frozenset({"_id", "_lastUpdated"} | unions | {each.name for each in known if each.kind not in _CONVERTERS})


def _in_column(hot: Hot, own: Columns, row: IndexRow) -> bool:
    """Whether the row is kept in a column of the resource."""
    if row.name == own.date:
        low, high = row.values
        # A Timing names several moments: its outer limits count.
        hot.date = low if hot.date == NO_DATE else min(low, hot.date)
        hot.until = max(high, hot.until)
        return True
    if row.name == "status":
        hot.status = row.values[1]
        return True
    kind, key, url = row.values[:3]
    if kind == "Patient" and key and not url:
        hot.patient = key
        return not row.values[4]  # the identifier beside the reference is indexed still
    return False


def _token(result: Indexed, kind: str, row: IndexRow) -> None:
    system, code, _ = row.values
    if code:
        number = parameter_number(kind, row.name)
        result.add("index_token", number, code[:_MAXIMUM_TEXT], system_number(system))


def _code(result: Indexed, kind: str, row: IndexRow) -> None:
    system, code, _ = row.values
    if code:
        number = parameter_number(kind, row.name)
        result.add("index_code", number, code[:_MAXIMUM_TEXT], result.hot.date, system_number(system))


def _reference(result: Indexed, kind: str, row: IndexRow) -> None:
    target_type, key, url, system, value = row.values
    if value:
        number = parameter_number(kind, f"{row.name}:identifier")
        result.add("index_token", number, value[:_MAXIMUM_TEXT], system_number(system))
    patient = result.hot.patient
    if key and not url and target_type == "Patient" and key == patient and row.name in columns(kind).patient:
        return
    if key or url:
        target = url or f"{target_type}/{key}"
        result.add("index_reference", parameter_number(kind, row.name), target[:_MAXIMUM_TEXT])


def _string(result: Indexed, kind: str, row: IndexRow) -> None:
    written, normal = row.values
    exact = "" if written == normal else written
    result.add("index_string", parameter_number(kind, row.name), normal[:_MAXIMUM_TEXT], exact[:_MAXIMUM_TEXT])


def _date(result: Indexed, kind: str, row: IndexRow) -> None:
    result.add("index_date", parameter_number(kind, row.name), *row.values)


def _bounds(low: Decimal | None, high: Decimal | None) -> tuple[float, float]:
    return -INFINITY if low is None else float(low), INFINITY if high is None else float(high)


def _number(result: Indexed, kind: str, row: IndexRow) -> None:
    result.add("index_number", parameter_number(kind, row.name), *_bounds(*row.values))


def _quantity(result: Indexed, kind: str, row: IndexRow) -> None:
    low, high, system, code, unit = row.values
    number = parameter_number(kind, row.name)
    result.add("index_quantity", number, *_bounds(low, high), system_number(system), (code or unit)[:_MAXIMUM_TEXT])


def _uri(result: Indexed, kind: str, row: IndexRow) -> None:
    result.add("index_uri", parameter_number(kind, row.name), row.values[0][:_MAXIMUM_TEXT])


_CONVERTERS: Final[Mapping[str, Callable[[Indexed, str, IndexRow], None]]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
}


class Deltas:
    """The index rows that a transaction takes away and adds, written together."""

    def __init__(self) -> None:
        self._removed: dict[str, list[tuple[Any, ...]]] = {}
        self._added: dict[str, list[tuple[Any, ...]]] = {}

    def add(self, rid: int, before: Indexed, after: Indexed) -> None:
        """One resource's rows change from those of one version to those of the next."""
        for table in before.rows.keys() | after.rows.keys():
            old, new = before.rows.get(table, set()), after.rows.get(table, set())
            if gone := old - new:
                self._removed.setdefault(table, []).extend((*row, rid) for row in gone)
            if fresh := new - old:
                self._added.setdefault(table, []).extend((*row, rid) for row in fresh)

    def write(self, transaction: Transaction) -> None:
        """Sorted, so that neighbours in an index are written one after the other."""
        for table, rows in self._removed.items():
            transaction.executemany(DELETE[table], sorted(rows))
        for table, rows in self._added.items():
            transaction.executemany(INSERT[table], sorted(rows))


CURRENT_BODIES: Final = "SELECT rid, body FROM resource WHERE rid > ? AND deleted = 0 ORDER BY rid LIMIT 500"
NEW_COLUMNS: Final = (
    "UPDATE resource SET open = ?, patient = ?, status = ?, survivor = ?, date = ?, until = ? WHERE rid = ?"
)


def rebuild(transaction: Transaction) -> int:
    """Make all index rows and columns anew from the stored resources, after the way of indexing changed.

    Returns how many resources were indexed. It takes about a minute for 150,000 resources, in one transaction.
    """
    for table in _TABLE_COLUMNS:
        transaction.execute(f"DELETE FROM {table}")
    done = last = 0
    while rows := transaction.execute(CURRENT_BODIES, (last,)):
        deltas = Deltas()
        for rid, body in rows:
            fresh = indexed(json.loads(body))
            deltas.add(rid, NOTHING, fresh)
            transaction.execute(NEW_COLUMNS, (*fresh.hot.columns, rid))
        deltas.write(transaction)
        done, last = done + len(rows), rows[-1][0]
    return done
