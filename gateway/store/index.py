"""What a resource is found by: the columns of its row and its rows in the index tables."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from gateway.codec import person_keys
from gateway.db.record import ZONE, composite_number, parameter_number, system_number
from gateway.fhir import searchparameters
from gateway.fhir.indexing import Absent, Put
from gateway.fhir.searchparameters import Compiled, Parts
from gateway.model import Resource
from gateway.store import people
from gateway.store.columns import NO_DATE, code_table, columns, real
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
EDITION: Final = 5  # of the way of indexing; a record that was indexed otherwise is indexed anew (see reindexing.py)
NESTED: Final = 2  # how deep contained resources that refer to each other are followed
TEXT: Final = ":text"  # behind the name of a token parameter: the words of its concepts
PRESENT: Final = ":present"  # behind any name: the element is there, with nothing to search it by
IDENTIFIER: Final = ":identifier"  # behind the name of a reference
TYPED: Final = ":typed"  # behind the name of a parameter of people's names: other ways to type them
_KEEPS_PRESENT: Final = "1"
HALF: Final = "index_half"  # the first halves of composites that there are
UNIT: Final = -1  # instead of a system's number: the code beside it is a unit as it is written
MAXIMUM_TEXT: Final = 330  # characters indexed of a text: two of four bytes each fit PostgreSQL's 2704 bytes a row


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
    rows: defaultdict[str, set[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(set))
    codes: list[tuple[int, str, int]] = field(default_factory=list)  # parameter, code, system: until the date is known


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
    result = Indexed()
    _add(result, kind, resource)
    if result.hot.status in columns(kind).open:
        result.hot.open = 1
    if kind == "Patient":
        result.hot.survivor = retired_into(resource)
        number = parameter_number(kind, person_keys.PARAMETER)
        for key in person_keys.keys(resource):
            result.rows["index_token"].add((number, key, 0))
    if "contained" in resource:
        _add_contained(result, kind, resource, resource["contained"])
    return result


def _add(result: Indexed, kind: str, resource: Resource) -> None:
    """The rows of one resource under the name `kind`."""
    result.codes.clear()
    _compiled(kind).run(resource, searchparameters.time_zone(ZONE), result)
    for number, code, system in result.codes:  # they carry the date, which may have come later
        result.rows["index_code"].add((number, code, result.hot.date, system))


@functools.cache
def _compiled(kind: str) -> Compiled:
    return searchparameters.compiled(real(kind), Emitters(kind), _unkept(real(kind)))


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
            result.rows["index_token"].add((parameter_number(below, PRESENT), _KEEPS_PRESENT, 0))
            whole = {**found, "contained": inside}
            _add(result, below, whole)
            if below.count("#") < NESTED:
                _add_contained(result, below, whole, inside)


@functools.cache
def _unkept(kind: str) -> frozenset[str]:
    """The parameters that no table holds: columns that every row has, unions of others, composites."""
    unions = {name for type_name, name in _UNIONS if type_name == kind}
    known = searchparameters.parameters(kind).values()
    return frozenset({"_id", "_lastUpdated"} | unions | {each.name for each in known if each.kind not in _KEPT})


# ------------------------------------------------------------------------------------------------ emitters


class Emitters:
    """What becomes of the values of a type's parameters; the numbers of the parameters are looked up once."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._own = columns(kind)

    def one(self, name: str, kind: str) -> tuple[Put, Absent]:
        """See searchparameters.Sink."""
        return self._column(name) or self._several_columns(name, kind), self._absent(name)

    def _absent(self, name: str) -> Absent:
        if ":" in name:
            return _unsaid
        present = (parameter_number(self._kind, name + PRESENT), _KEEPS_PRESENT, 0)
        return lambda result: result.rows["index_token"].add(present)

    def several(self, name: str) -> Callable[[Parts, Indexed], None]:
        """See searchparameters.Sink: the second half under a number that stands for the parameter and the first."""
        own = parameter_number(self._kind, name)

        def put(parts: Parts, result: Indexed) -> None:
            codes, *others = parts
            for _, (system, code, _) in codes:
                if code:
                    number = composite_number(self._kind, name, system, code)
                    result.rows[HALF].add((own, code[:MAXIMUM_TEXT], number))
                    _halves(result, number, others)

        return put

    def _several_columns(self, name: str, kind: str) -> Put:
        put = _KINDS[kind](self._kind, name)
        return self._patient(put) if name in self._own.patient else put

    def _column(self, name: str) -> Put | None:
        """For what is kept in a column of the resource alone."""
        if name == "status" and name in self._own.names:
            return _status
        return _main_date if name == self._own.date else None

    def _patient(self, put: Put) -> Put:
        """A reference to the patient is a column; what else stands there is indexed, and the identifier beside it."""

        def put_patient(result: Indexed, kind: str, key: str, url: str, system: str, number: str) -> None:
            if kind == "Patient" and key and not url:
                result.hot.patient = key
                if not number:
                    return
            put(result, kind, key, url, system, number)

        return put_patient


def _unsaid(result: Indexed) -> None:
    pass


def _status(result: Indexed, system: str, code: str, text: str) -> None:
    result.hot.status = code


def _main_date(result: Indexed, low: int, high: int) -> None:
    """A Timing names several moments: its outer limits count."""
    hot = result.hot
    hot.date = low if hot.date == NO_DATE else min(low, hot.date)
    hot.until = max(high, hot.until)


def _token(kind: str, name: str) -> Put:
    number, words = parameter_number(kind, name), parameter_number(kind, name + TEXT)
    dated = code_table(kind, name) == "index_code"

    def put(result: Indexed, system: str, code: str, text: str) -> None:
        if code and dated:
            result.codes.append((number, code[:MAXIMUM_TEXT], system_number(system)))
        elif code:
            result.rows["index_token"].add((number, code[:MAXIMUM_TEXT], system_number(system)))
        if text:
            result.rows["index_string"].add((words, text[:MAXIMUM_TEXT], ""))

    return put


def _reference(kind: str, name: str) -> Put:
    number, numbered = parameter_number(kind, name), parameter_number(kind, name + IDENTIFIER)
    is_patient = name in columns(kind).patient

    def put(result: Indexed, target_type: str, key: str, url: str, system: str, value: str) -> None:
        if value:
            result.rows["index_token"].add((numbered, value[:MAXIMUM_TEXT], system_number(system)))
        if is_patient and key and not url and target_type == "Patient" and key == result.hot.patient:
            return
        if key or url:
            result.rows["index_reference"].add((number, (url or f"{target_type}/{key}")[:MAXIMUM_TEXT]))

    return put


def _string(kind: str, name: str) -> Put:
    number, typed = parameter_number(kind, name), parameter_number(kind, name + TYPED)
    is_name = people.is_name(kind, name)

    def put(result: Indexed, written: str, normal: str) -> None:
        exact = "" if written == normal else written
        rows = result.rows["index_string"]
        rows.add((number, normal[:MAXIMUM_TEXT], exact[:MAXIMUM_TEXT]))
        if is_name and not normal.isascii():
            for form in people.typed_forms(name, normal, written):
                rows.add((typed, form[:MAXIMUM_TEXT], ""))

    return put


def _date(kind: str, name: str) -> Put:
    number = parameter_number(kind, name)
    return lambda result, low, high: result.rows["index_date"].add((number, low, high))


def _number(kind: str, name: str) -> Put:
    number = parameter_number(kind, name)
    return lambda result, low, high: result.rows["index_number"].add((number, *_bounds(low, high)))


def _quantity(kind: str, name: str) -> Put:
    number = parameter_number(kind, name)
    return lambda result, *values: _measure(result, number, values)


def _uri(kind: str, name: str) -> Put:
    number = parameter_number(kind, name)
    return lambda result, uri: result.rows["index_uri"].add((number, uri[:MAXIMUM_TEXT]))


def _bounds(low: Decimal | None, high: Decimal | None) -> tuple[float, float]:
    return -INFINITY if low is None else float(low), INFINITY if high is None else float(high)


def _measure(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    low, high, system, code, unit = values
    bounds = _bounds(low, high)
    rows = result.rows["index_quantity"]
    rows.add((number, *bounds, system_number(system), (code or unit)[:MAXIMUM_TEXT]))
    if code and unit and unit != code:  # who names no system may mean the unit as it is written
        rows.add((number, *bounds, UNIT, unit[:MAXIMUM_TEXT]))


# ------------------------------------------------------------------------------------------------ composites


def _halves(result: Indexed, number: int, others: Sequence[Sequence[tuple[str, tuple[Any, ...]]]]) -> None:
    """What stands beside the first half, under the number of both."""
    if len(others) == 2:  # two numbers of one element: where it begins and ends
        for (_, begins), (_, ends) in itertools.product(*others):
            result.rows["index_number"].add((number, float(begins[0]), float(ends[0])))
        return
    for of, values in others[0]:
        _HALVES[of](result, number, values)


def _half_token(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    system, code, _ = values
    if code:
        result.rows["index_token"].add((number, code[:MAXIMUM_TEXT], system_number(system)))


def _half_reference(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    target_type, key, url = values[:3]
    if key or url:
        result.rows["index_reference"].add((number, (url or f"{target_type}/{key}")[:MAXIMUM_TEXT]))


def _half_string(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    written, normal = values
    exact = "" if written == normal else written
    result.rows["index_string"].add((number, normal[:MAXIMUM_TEXT], exact[:MAXIMUM_TEXT]))


def _half_date(result: Indexed, number: int, values: tuple[Any, ...]) -> None:
    result.rows["index_date"].add((number, *values))


_HALVES: Final[Mapping[str, Callable[[Indexed, int, tuple[Any, ...]], None]]] = {
    "token": _half_token,
    "reference": _half_reference,
    "string": _half_string,
    "date": _half_date,
    "quantity": _measure,
}
_KINDS: Final[Mapping[str, Callable[[str, str], Put]]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
}
_KEPT: Final = frozenset({*_KINDS, "composite"})
