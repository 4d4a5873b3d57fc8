"""What a resource is found by: the columns of its row and its rows in the index tables."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from gateway.codec import person_keys
from gateway.db.engine import Transaction
from gateway.db.record import ZONE, composite_number, parameter_number, system_number
from gateway.fhir import searchparameters
from gateway.fhir.searchparameters import IndexRow
from gateway.model import Resource
from gateway.store import people
from gateway.store.columns import NO_DATE, Columns, code_table, columns, real
from gateway.store.pointers import retired_into

INFINITY: Final = float("inf")

# Unions of two parameters that are indexed by themselves: answered by asking both.
_UNIONS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("Observation", "combo-code"): ("code", "component-code"),
        ("Observation", "combo-value-quantity"): ("value-quantity", "component-value-quantity"),
        ("Observation", "combo-value-concept"): ("value-concept", "component-value-concept"),
        ("Observation", "combo-data-absent-reason"): ("data-absent-reason", "component-data-absent-reason"),
        ("Observation", "combo-code-value-quantity"): ("code-value-quantity", "component-code-value-quantity"),
        ("Observation", "combo-code-value-concept"): ("code-value-concept", "component-code-value-concept"),
        ("Patient", "phonetic"): ("name",),
    }
)
TABLES: Final = (
    *("index_token", "index_code", "index_reference", "index_string", "index_date", "index_number"),
    *("index_quantity", "index_uri", "index_half"),
)
EDITION: Final = 3  # of the way of indexing; a record that was indexed otherwise is indexed anew (see reindexing.py)
NESTED: Final = 2  # how deep contained resources that refer to each other are followed
TEXT: Final = ":text"  # behind the name of a token parameter: the words of its concepts
PRESENT: Final = ":present"  # behind any name: the element is there, with nothing to search it by
IDENTIFIER: Final = ":identifier"  # behind the name of a reference
TYPED: Final = ":typed"  # behind the name of a parameter of people's names: other ways to type them
_KEEPS_PRESENT: Final = "1"
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
HALF: Final = "index_half"  # the first halves of composites that there are
NEW_HALF: Final = "INSERT INTO index_half (parameter, value, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
UNIT: Final = -1  # instead of a system's number: the code beside it is a unit as it is written
_MAXIMUM_TEXT: Final = 330  # characters indexed of a text: two of four bytes each fit PostgreSQL's 2704 bytes a row


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


def aliases(type: str, name: str) -> tuple[str, ...]:
    """The parameters whose union it is; () for one that is indexed by itself."""
    return _UNIONS.get((real(type), name), ())


def contained(type: str, name: str, target: str) -> str:
    """What stands for a type in the index of what is contained: 'MedicationRequest#medication:Medication'."""
    return f"{type}#{name}:{target}"


def indexed(resource: Resource) -> Indexed:
    """Columns and index rows of a valid resource."""
    kind = resource["resourceType"]
    own = columns(kind)
    result = Indexed()
    _add(result, kind, resource)
    if result.hot.status in own.open:
        result.hot.open = 1
    if kind == "Patient":
        result.hot.survivor = retired_into(resource)
        number = parameter_number(kind, person_keys.PARAMETER)
        for key in person_keys.keys(resource):
            result.add("index_token", number, key, 0)
    if "contained" in resource:
        _add_contained(result, kind, resource, resource["contained"])
    return result


def _add(result: Indexed, kind: str, resource: Resource) -> None:
    """The rows of one resource under the name `kind`."""
    own = columns(kind)
    codes: list[IndexRow] = []
    for row in searchparameters.index(resource, zone=ZONE, without=_unkept(real(kind))):
        if row.kind == "token" and row.name == "code":
            codes.append(row)  # its rows carry the date, which may come later
        elif row.name not in own.names or not _in_column(result.hot, own, row):
            _CONVERTERS[row.kind](result, kind, row)
    for row in codes:
        _code(result, kind, row)


def _add_contained(result: Indexed, kind: str, resource: Resource, inside: list[Resource]) -> None:
    """What is contained is found by chains through the references that lead to it."""
    by_id = {f"#{each.get('id')}": each for each in inside}
    for name, parameter in searchparameters.parameters(real(kind)).items():
        if parameter.kind != "reference":
            continue
        for pointer in parameter.extract(resource):
            found = by_id.get(pointer.get("reference", "")) if isinstance(pointer, dict) else None
            if found is None:
                continue
            below = contained(kind, name, found["resourceType"])
            result.add("index_token", parameter_number(below, PRESENT), _KEEPS_PRESENT, 0)
            whole = {**found, "contained": inside}
            _add(result, below, whole)
            if below.count("#") < NESTED:
                _add_contained(result, below, whole, inside)


@functools.cache
def _unkept(kind: str) -> frozenset[str]:
    """The parameters that no table holds: columns that every row has, unions of others, composites."""
    unions = {name for type_name, name in _UNIONS if type_name == kind}
    known = searchparameters.parameters(kind).values()
    return frozenset({"_id", "_lastUpdated"} | unions | {each.name for each in known if each.kind not in _CONVERTERS})


def _in_column(hot: Hot, own: Columns, row: IndexRow) -> bool:
    """Whether the row is kept in a column of the resource."""
    if row.kind == "present":
        return False
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
    system, code, text = row.values
    if code:
        number = parameter_number(kind, row.name)
        result.add("index_token", number, code[:_MAXIMUM_TEXT], system_number(system))
    if text:
        _text(result, kind, row.name, text)


def _code(result: Indexed, kind: str, row: IndexRow) -> None:
    system, code, text = row.values
    if code:
        number = parameter_number(kind, row.name)
        if code_table(kind, row.name) == "index_token":
            result.add("index_token", number, code[:_MAXIMUM_TEXT], system_number(system))
        else:
            result.add("index_code", number, code[:_MAXIMUM_TEXT], result.hot.date, system_number(system))
    if text:
        _text(result, kind, row.name, text)


def _text(result: Indexed, kind: str, name: str, text: str) -> None:
    result.add("index_string", parameter_number(kind, name + TEXT), text[:_MAXIMUM_TEXT], "")


def _present(result: Indexed, kind: str, row: IndexRow) -> None:
    result.add("index_token", parameter_number(kind, row.name + PRESENT), _KEEPS_PRESENT, 0)


def _reference(result: Indexed, kind: str, row: IndexRow) -> None:
    target_type, key, url, system, value = row.values
    if value:
        number = parameter_number(kind, row.name + IDENTIFIER)
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
    if people.is_name(kind, row.name) and not normal.isascii():
        number = parameter_number(kind, row.name + TYPED)
        for form in people.typed_forms(row.name, normal):
            result.add("index_string", number, form[:_MAXIMUM_TEXT], "")


def _date(result: Indexed, kind: str, row: IndexRow) -> None:
    result.add("index_date", parameter_number(kind, row.name), *row.values)


def _bounds(low: Decimal | None, high: Decimal | None) -> tuple[float, float]:
    return -INFINITY if low is None else float(low), INFINITY if high is None else float(high)


def _number(result: Indexed, kind: str, row: IndexRow) -> None:
    result.add("index_number", parameter_number(kind, row.name), *_bounds(*row.values))


def _quantity(result: Indexed, kind: str, row: IndexRow) -> None:
    _measure(result, parameter_number(kind, row.name), row.values)


def _measure(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    low, high, system, code, unit = values
    bounds = _bounds(low, high)
    result.add("index_quantity", number, *bounds, system_number(system), (code or unit)[:_MAXIMUM_TEXT])
    if code and unit and unit != code:  # who names no system may mean the unit as it is written
        result.add("index_quantity", number, *bounds, UNIT, unit[:_MAXIMUM_TEXT])


def _uri(result: Indexed, kind: str, row: IndexRow) -> None:
    result.add("index_uri", parameter_number(kind, row.name), row.values[0][:_MAXIMUM_TEXT])


def _composite(result: Indexed, kind: str, row: IndexRow) -> None:
    """The second half under a number that stands for the parameter and the first half."""
    codes, *others = row.values
    for _, (system, code, _) in codes:
        if not code:
            continue
        number = composite_number(kind, row.name, system, code)
        result.add(HALF, parameter_number(kind, row.name), code[:_MAXIMUM_TEXT], number)
        if len(others) == 2:  # two numbers of one element: where it begins and ends
            for (_, begins), (_, ends) in itertools.product(*others):
                result.add("index_number", number, float(begins[0]), float(ends[0]))
            continue
        for of, values in others[0]:
            _HALVES[of](result, number, values)


def _half_token(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    system, code, _ = values
    if code:
        result.add("index_token", number, code[:_MAXIMUM_TEXT], system_number(system))


def _half_reference(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    target_type, key, url = values[:3]
    if key or url:
        result.add("index_reference", number, (url or f"{target_type}/{key}")[:_MAXIMUM_TEXT])


def _half_string(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    written, normal = values
    exact = "" if written == normal else written
    result.add("index_string", number, normal[:_MAXIMUM_TEXT], exact[:_MAXIMUM_TEXT])


def _half_date(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    result.add("index_date", number, *values)


_HALVES: Final[Mapping[str, Callable[[Indexed, int, tuple[Any, ...]], None]]] = {
    "token": _half_token,
    "reference": _half_reference,
    "string": _half_string,
    "date": _half_date,
    "quantity": _measure,
}
_CONVERTERS: Final[Mapping[str, Callable[[Indexed, str, IndexRow], None]]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
    "composite": _composite,
    "present": _present,
}


class Deltas:
    """The index rows that a transaction takes away and adds, written together."""

    def __init__(self) -> None:
        self._removed: dict[str, list[tuple[Any, ...]]] = {}
        self._added: dict[str, list[tuple[Any, ...]]] = {}
        self._halves: set[tuple[Any, ...]] = set()  # without rid, and never taken away

    def add(self, rid: int, before: Indexed, after: Indexed) -> None:
        """One resource's rows change from those of one version to those of the next."""
        for table in before.rows.keys() | after.rows.keys():
            old, new = before.rows.get(table, set()), after.rows.get(table, set())
            if table == HALF:
                self._halves |= new
                continue
            if gone := old - new:
                self._removed.setdefault(table, []).extend((*row, rid) for row in gone)
            if fresh := new - old:
                self._added.setdefault(table, []).extend((*row, rid) for row in fresh)

    def write(self, transaction: Transaction) -> None:
        """Sorted, so that neighbours in an index are written one after the other."""
        for table, rows in self._removed.items():
            transaction.executemany(DELETE[table], sorted(rows))
        if self._halves:
            transaction.executemany(NEW_HALF, sorted(self._halves))
        for table, rows in self._added.items():
            transaction.executemany(INSERT[table], sorted(rows))
