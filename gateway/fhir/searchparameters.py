"""The search parameters of R4, compiled: which there are, and every indexed value of a resource (R4 search.html).

A type is compiled when it is first asked for (a few milliseconds). `index` visits only what is in the resource.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from importlib import resources
from types import MappingProxyType
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from gateway import errors
from gateway.fhir import expressions, indexing
from gateway.fhir.expressions import Branch, Step
from gateway.fhir.indexing import Absent, Emit, Put, Reader, Row
from gateway.fhir.normal import contact
from gateway.model import Resource


class IndexRow(msgspec.Struct, frozen=True, gc=False):
    """One indexed value. The shape of `values` follows from `kind`:

    - token: (system, code, text): text in normal form for :text; "" where absent. A row named `identifier:of-type` has
      the system of the identifier's type, and code `type|value`
    - string: (as written, normal form), see normal.py
    - date: (low, high): first and last microsecond since 1970 UTC, both included; open ends as in dates.py
    - reference: (type, id, url, identifier system, identifier value): id for a literal one, url for what is not on
      this server (absolute, urn:, canonical); "" where absent
    - quantity: (low, high, system, code, unit): Decimal, None where a comparator or range leaves it open
    - number: (low, high): Decimal or None
    - uri: (uri,)
    - composite: for each component the tuple of its (kind, values); one row a repetition
    - present: (): the element is there, but with nothing that its kind could be searched by
    """

    name: str
    kind: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One parameter of one resource type."""

    name: str
    kind: str  # token | string | date | reference | quantity | number | uri | composite | special
    targets: tuple[str, ...]  # of a reference: resource types
    expression: str  # FHIRPath, only the part that concerns this type; "" for those without (_text, _filter)
    extract: Callable[[Resource], list[Any]]  # the FHIR values that the expression selects
    components: tuple[tuple[str, str], ...] = ()  # of a composite: (expression, kind)
    implied: frozenset[str] = frozenset()  # systems of codes that are written without one: Patient.gender
    contact: bool = False  # a token of telephone numbers and the like; see token()
    canonical: bool = False  # a reference that names the canonical URL of what it means

    def token(self, system: str | None, value: str) -> tuple[str | None, str]:
        """What is asked for (system None: any) in the form of the index, which knows the kinds of contacts as systems
        (`phone|…`), since they have none of their own."""
        return (system or None, contact(value)) if self.contact else (system, value)


class _Component(msgspec.Struct, frozen=True):
    expression: str
    kind: str


class _Row(msgspec.Struct, frozen=True):
    name: str
    kind: str
    expression: str
    targets: tuple[str, ...]
    components: tuple[_Component, ...] = ()


Parts = tuple[list[tuple[str, Row]], ...]  # of a composite: for each component its (kind, values)


class Sink(Protocol):
    """What becomes of the values that are found; asked once for each parameter, when a type is compiled."""

    def one(self, name: str, kind: str) -> tuple[Put, Absent]:
        """For the values of a parameter: what takes a row as `IndexRow.values` describes it, and what is told that a
        value has none."""
        ...

    def several(self, name: str) -> Callable[[Parts, Any], None]:
        """For those of a composite: (components, what was found so far)."""
        ...


_rows = msgspec.json.Decoder(tuple[_Row, ...])


@functools.cache
def _file() -> dict[str, msgspec.Raw]:
    body = resources.files(__package__).joinpath("searchparameters.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(body), type=dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Compiled:
    """What to do with the resources of one type."""

    by_key: Mapping[str, tuple[Emit, ...]]  # first JSON member → what to do with its value
    always: tuple[Emit, ...]  # from the whole resource

    def run(self, resource: Resource, zone: tzinfo, found: Any) -> None:
        """Put everything that a valid resource is found by into `found`. Never raises on a valid one."""
        by_key = self.by_key
        for key, value in resource.items():
            if key in by_key:
                for emit in by_key[key]:
                    emit(value, resource, zone, found)
        for emit in self.always:
            emit(resource, resource, zone, found)


@functools.cache
def parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """All parameters of a type by name, with those of every resource (_id, _lastUpdated, …)."""
    found: dict[str, SearchParameter] = {}
    for row, branches in _branches(resource_type):
        found[row.name] = SearchParameter(
            name=row.name,
            kind=row.kind,
            targets=row.targets,
            expression=row.expression,
            extract=_extract(branches),
            components=_stated(row, branches, resource_type),
            implied=_implied(branches) if row.kind == "token" else frozenset(),
            contact=row.kind == "token" and any(branch.type == "ContactPoint" for branch in branches),
            canonical=row.kind == "reference" and _by_url(branches),
        )
    return MappingProxyType(found)


def index(resource: Resource, *, zone: str = "Asia/Shanghai") -> list[IndexRow]:
    """Every indexed value of a valid resource; dates without an offset are in `zone`. Never raises on a valid one."""
    rows: list[IndexRow] = []
    _of_rows(resource["resourceType"]).run(resource, time_zone(zone), rows)
    return rows


@functools.cache
def time_zone(name: str) -> tzinfo:
    """The time zone of that name."""
    return ZoneInfo(name)


class _Rows:
    """Values become IndexRows."""

    def one(self, name: str, kind: str) -> tuple[Put, Absent]:
        nothing = IndexRow(name, "present", ())
        return (
            lambda rows, *values: rows.append(IndexRow(name, kind, values)),
            lambda rows: rows.append(nothing),
        )

    def several(self, name: str) -> Callable[[Parts, list[IndexRow]], None]:
        return lambda parts, rows: rows.append(IndexRow(name, "composite", tuple(map(tuple, parts))))


@functools.cache
def _of_rows(resource_type: str) -> Compiled:
    return compiled(resource_type, _Rows())


# ----------------------------------------------------------------------------------------- compilation


def compiled(resource_type: str, sink: Sink, without: frozenset[str] = frozenset()) -> Compiled:
    """The search parameters of a type for one sink; the caller keeps it. `without`: names of parameters that it has no
    use for; they cost nothing then."""
    by_key: dict[str, list[Emit]] = {}
    always: list[Emit] = []
    for row, branches in _branches(resource_type):
        for branch in branches if row.name not in without else ():
            if row.kind == "composite":
                _place_composite(row, branch, resource_type, sink, by_key, always)
                continue
            for each in expressions.opened(branch):
                for name, reader in _readers(row, each):
                    _place(each, reader(*sink.one(name, row.kind)), by_key, always)
    return Compiled(by_key={key: tuple(emits) for key, emits in by_key.items()}, always=tuple(always))


def _branches(resource_type: str) -> Iterator[tuple[_Row, list[Branch]]]:
    if resource_type not in _file():
        raise errors.Configuration(
            f"FHIR R4 has no resource type {resource_type!r}", place="search", remedy="see CapabilityStatement"
        )
    for row in _rows.decode(_file()[resource_type]):
        yield row, expressions.branches_of(row.expression, resource_type) if row.expression else []


def _readers(row: _Row, branch: Branch) -> list[tuple[str, Reader]]:
    reader = indexing.READERS.get(row.kind, {}).get(branch.type)
    found = [(row.name, reader)] if reader else []
    if row.kind == "token" and branch.type == "Identifier":
        found.append((f"{row.name}:of-type", indexing.of_type))
    return found


def _extract(branches: list[Branch]) -> Callable[[Resource], list[Any]]:
    return lambda resource: [value for branch in branches for value in branch.values(resource, resource)]


def _place(branch: Branch, ending: Emit, by_key: dict[str, list[Emit]], always: list[Emit]) -> None:
    """Under its first JSON member, so that absent elements cost nothing."""
    if branch.compute is not None:
        compute = branch.compute
        always.append(lambda value, resource, zone, found: ending(compute(resource), resource, zone, found))
    elif not branch.steps:
        always.append(ending)
    else:
        by_key.setdefault(branch.steps[0].key, []).append(_along(branch, ending))


def _along(branch: Branch, ending: Emit) -> Emit:
    """From the value of the first JSON member to those at the end."""
    emit = ending
    for step in reversed(branch.steps[1:]):
        emit = _into(step, _through(step, emit))
    return _through(branch.steps[0], emit)


def _into(step: Step, emit: Emit) -> Emit:
    key = step.key

    def into(value: Any, resource: Resource, zone: tzinfo, found: Any) -> None:
        inner = value.get(key)
        if inner is not None:
            emit(inner, resource, zone, found)

    return into


def _through(step: Step, emit: Emit) -> Emit:
    """The values of one JSON member: one or each of many, filtered."""
    if not step.many and not step.keeps:
        return emit
    keeps, first_only = step.keeps, step.first_only

    def through(value: Any, resource: Resource, zone: tzinfo, found: Any) -> None:
        values = value if isinstance(value, list) else [value]
        for each in values[:1] if first_only else values:
            if each is None:
                continue
            for keep in keeps:
                if not keep(each, resource):
                    break
            else:
                emit(each, resource, zone, found)

    def through_all(value: Any, resource: Resource, zone: tzinfo, found: Any) -> None:
        for each in value:
            if each is not None:
                emit(each, resource, zone, found)

    return through if keeps or first_only else through_all


_NAMED_OTHERWISE = {  # ValueSets whose codes are another's
    "mimetypes": ("urn:ietf:bcp:13",),
    "languages": ("urn:ietf:bcp:47",),
    "care-plan-intent": ("http://hl7.org/fhir/request-intent",),
    "task-intent": ("http://hl7.org/fhir/request-intent",),
    "clinicalimpression-status": ("http://hl7.org/fhir/event-status",),
    "immunization-status": ("http://hl7.org/fhir/event-status",),
    "immunization-evaluation-status": ("http://terminology.hl7.org/CodeSystem/medication-admin-status",),
    "v3-ConfidentialityClassification": ("http://terminology.hl7.org/CodeSystem/v3-Confidentiality",),
}
_SYSTEMS = ("http://hl7.org/fhir/", "http://hl7.org/fhir/CodeSystem/", "http://terminology.hl7.org/CodeSystem/")


def _by_url(branches: list[Branch]) -> bool:
    return any(each.type == "canonical" for branch in branches for each in expressions.opened(branch))


def _implied(branches: list[Branch]) -> frozenset[str]:
    """The systems that the bindings of code elements mean; HL7 gives a system the name of its ValueSet."""
    found: set[str] = set()
    for branch in branches:
        if branch.type == "code" and branch.binding:
            name = branch.binding.rpartition("/")[2].partition("|")[0]
            found.update(f"{base}{name}" for base in _SYSTEMS)
            found.update(_NAMED_OTHERWISE.get(name, ()))
    return frozenset(found)


def _place_composite(
    row: _Row,
    base: Branch,
    resource_type: str,
    sink: Sink,
    by_key: dict[str, list[Emit]],
    always: list[Emit],
) -> None:
    """One of the whole resource is looked at where its last component is there, and costs nothing elsewhere."""
    composite, needed = _composite(row, base, resource_type, sink)
    if base.steps:
        _place(base, composite, by_key, always)
        return
    for key in needed:
        by_key.setdefault(key, []).append(
            lambda value, resource, zone, found: composite(resource, resource, zone, found)
        )


def _composite(row: _Row, base: Branch, resource_type: str, sink: Sink) -> tuple[Emit, frozenset[str]]:
    """One row for each base (the resource, or one component of it) that has all components; the first JSON members of
    the last component, one of which it needs."""
    components = [_compiled_component(each, base, resource_type) for each in row.components]
    put = sink.several(row.name)
    needed = frozenset(branch.steps[0].key for branch in components[-1][1])
    *others, last = [_component(kind, branches) for kind, branches in components]

    def composite(value: Any, resource: Resource, zone: tzinfo, found: Any) -> None:
        if end := last(value, resource, zone):  # often there is none
            parts = (*[read(value, resource, zone) for read in others], end)
            if all(parts):
                put(parts, found)

    return composite, needed


def _compiled_component(component: _Component, base: Branch, resource_type: str) -> tuple[str, list[Branch]]:
    context = (base.inside or base.type) if base.steps else resource_type
    found = expressions.branches_of(component.expression, context)
    branches = [branch for one in found for branch in expressions.opened(one)]
    return _kind(component.kind, branches), branches


def _stated(row: _Row, branches: list[Branch], resource_type: str) -> tuple[tuple[str, str], ...]:
    return tuple((each.expression, _compiled_component(each, branches[0], resource_type)[0]) for each in row.components)


def _kind(stated: str, branches: list[Branch]) -> str:
    """The kind of a component: what R4 states, unless the elements cannot be that (DocumentReference.relationship)."""
    fits = [kind for kind in (stated, "token", "reference") if any(b.type in indexing.READERS[kind] for b in branches)]
    return fits[0] if fits else stated


def _component(kind: str, branches: list[Branch]) -> Callable[[Any, Resource, tzinfo], list[tuple[str, Row]]]:
    """Reads one component. Only what begins with an element that is there is looked at."""
    readers = indexing.READERS[kind]
    ways = [
        (each.steps[0].key, each.from_root, _along(each, readers[each.type](_pairs(kind), _nothing)))
        for each in branches
        if each.type in readers
    ]

    def read(value: Any, resource: Resource, zone: tzinfo) -> list[tuple[str, Row]]:
        found: list[tuple[str, Row]] = []
        for key, from_root, emit in ways:
            inner = (resource if from_root else value).get(key)
            if inner is not None:
                emit(inner, resource, zone, found)
        return found

    return read


def _pairs(kind: str) -> Put:
    return lambda found, *values: found.append((kind, values))


def _nothing(found: Any) -> None:
    pass
