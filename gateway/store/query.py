"""Reads the query of a search: what is asked, in which order, how much of it (R4 search.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from gateway.db.record import ZONE
from gateway.errors import Permanent
from gateway.fhir import definitions
from gateway.fhir.searchparameters import SearchParameter, parameters
from gateway.store import index, local
from gateway.store.condition import Criterion, split

DEFAULT_COUNT = 50
MAXIMUM_COUNT = 1000
MAXIMUM_CHAIN = 4
MODIFIERS: Final = frozenset({"missing", "exact", "contains", "not", "identifier", "of-type", "below"})
_UNSEARCHABLE: Final = frozenset({"_filter", "_query", "_text", "_content"})

_LOCAL: Final = SearchParameter(local.PARAMETER, "local", (), "", lambda _: [])

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Chain:
    """`patient:Patient.identifier=…`: a reference to something that fulfils a further criterion."""

    type: str
    parameter: SearchParameter
    target: str  # resource type; '' = any that has the next parameter
    rest: str  # 'identifier', 'organization.name'
    value: str


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Observation:patient:code=…`: something refers here that fulfils a further criterion."""

    type: str
    source: str  # resource type that refers
    parameter: SearchParameter  # by which it refers
    rest: str  # 'code', or again '_has:…'
    value: str


@dataclass(frozen=True, slots=True)
class Inside:
    """What belongs to the compartment of one resource: any of the parameters refers to it."""

    type: str
    parameters: tuple[str, ...]
    reference: str  # 'Patient/1'


@dataclass(frozen=True, slots=True)
class Include:
    """`_include=Observation:subject:Patient`."""

    source: str  # '*' = any
    parameter: str  # '*' = all
    target: str  # '' = any
    iterate: bool


@dataclass(slots=True)
class Query:
    """A search, checked."""

    type: str
    criteria: list[Criterion | Chain | Has | Inside] = field(default_factory=list)
    sort: list[tuple[str, bool]] = field(default_factory=list)  # (parameter, descending)
    count: int = DEFAULT_COUNT
    total: bool = False
    summary: str = ""
    elements: tuple[str, ...] = ()
    includes: list[Include] = field(default_factory=list)
    revincludes: list[Include] = field(default_factory=list)
    cursor: str = ""
    ignored: list[str] = field(default_factory=list)


def read(type: str, query: str | Pairs, *, lenient: bool = False) -> Query:
    """The query of `GET Type?query`, or its pairs already decoded.

    Permanent for what is not known, unless `lenient`: then it is listed in `ignored` and the rest is searched.
    """
    if type not in definitions.resource_types():
        raise Permanent("not a resource type", place="search")
    pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True) if isinstance(query, str) else query
    result = Query(type)
    for name, value in pairs:
        if not value or name in ("_format", "_pretty"):
            continue  # R4 search.html: an empty value says nothing
        if _is_foreign(type, name):
            result.ignored.append(name)
            continue
        try:
            if (control := _CONTROLS.get(name.partition(":")[0])) is not None:
                control(result, name, value)
            else:
                result.criteria.append(criterion(type, name, value))
        except Permanent:
            if not lenient:
                raise
            result.ignored.append(name)
    return result


def _is_foreign(type: str, name: str) -> bool:
    """Is it another server's own word about the answer (`_totalMethod`)? It narrows nothing, so nobody is misled when
    it is passed over; `_text`, `_filter` and the like would narrow."""
    base = name.partition(":")[0].partition(".")[0]
    ours = base in _NARROWING or base in _CONTROLS or base == local.PARAMETER
    return base.startswith("_") and not ours and base not in parameters(type)


# ------------------------------------------------------------------------------------------------ criteria


def criterion(type: str, name: str, value: str) -> Criterion | Chain | Has:
    """One `name[:modifier]=value`."""
    if name.startswith("_has:"):
        return _has(type, name, value)
    head, dot, rest = name.partition(".")
    base, _, modifier = head.partition(":")
    parameter = known(type, base)
    if dot:
        return _chain(type, parameter, modifier, rest, value)
    if modifier and modifier not in MODIFIERS and modifier not in definitions.resource_types():
        raise Permanent(f"the modifier :{modifier[:20]} is not supported", place=f"{type}?{base}")
    return Criterion(
        type=type,
        parameter=parameter,
        modifier=modifier,
        values=tuple(part for part in split(value, ",") if part),
        zone=zone(),
    )


def zone() -> tzinfo:
    """The zone of times without an offset."""
    return ZoneInfo(ZONE)


def known(type: str, name: str) -> SearchParameter:
    """The parameter of that name; Permanent when the type has none that can be searched."""
    if name == local.PARAMETER:
        return _LOCAL
    parameter = parameters(type).get(name)
    if parameter is None or name in _UNSEARCHABLE or not (parameter.expression or (type, name) in index.ALIASES):
        raise Permanent(
            f"{type} has no search parameter {name[:40]!r} here",
            place="search",
            remedy="see CapabilityStatement.rest.resource.searchParam",
        )
    return parameter


def _chain(type: str, parameter: SearchParameter, target: str, rest: str, value: str) -> Chain:
    if parameter.kind != "reference" or rest.count(".") >= MAXIMUM_CHAIN:
        raise Permanent("a chain leads through references, at most four", place=f"{type}?{parameter.name}")
    if target and target not in definitions.resource_types():
        raise Permanent("not a resource type in a chain", place=f"{type}?{parameter.name}")
    return Chain(type, parameter, target, rest, value)


def _has(type: str, name: str, value: str) -> Has:
    parts = name.split(":", 3)
    if len(parts) != 4 or parts[1] not in definitions.resource_types() or name.count("_has:") > MAXIMUM_CHAIN:
        raise Permanent("write _has:Type:reference:parameter", place=type)
    parameter = known(parts[1], parts[2])
    if parameter.kind != "reference":
        raise Permanent("_has leads through a reference", place=f"{parts[1]}?{parts[2]}")
    return Has(type, parts[1], parameter, parts[3], value)


# ------------------------------------------------------------------------------------------------ controls


def _sort(query: Query, name: str, value: str) -> None:
    for part in value.split(","):
        descending, base = part.startswith("-"), part.removeprefix("-")
        parameter = known(query.type, base)
        if parameter.kind in ("composite", "special", "local"):
            raise Permanent("this parameter has no order", place=f"{query.type}?_sort")
        query.sort.append((base, descending))


def _count(query: Query, name: str, value: str) -> None:
    if not value.isdecimal():
        raise Permanent("not a number", place="_count")
    query.count = min(int(value), MAXIMUM_COUNT)


def _total(query: Query, name: str, value: str) -> None:
    if value not in ("none", "estimate", "accurate"):
        raise Permanent("none, estimate or accurate", place="_total")
    query.total = value != "none"


def _summary(query: Query, name: str, value: str) -> None:
    if value not in ("true", "text", "data", "count", "false"):
        raise Permanent("true, text, data, count or false", place="_summary")
    query.summary = "" if value == "false" else value


def _elements(query: Query, name: str, value: str) -> None:
    query.elements = tuple(part for part in value.split(",") if part)


def _include(query: Query, name: str, value: str) -> None:
    query.includes.append(_read_include(name, value))


def _revinclude(query: Query, name: str, value: str) -> None:
    found = _read_include(name, value)
    if found.source == "*":
        raise Permanent("name the type, as in _revinclude=Observation:subject", place="_revinclude")
    query.revincludes.append(found)


def _read_include(name: str, value: str) -> Include:
    base, _, modifier = name.partition(":")
    source, _, rest = value.partition(":")
    parameter, _, target = rest.partition(":")
    if value == "*":
        return Include("*", "*", "", modifier == "iterate")
    if modifier not in ("", "iterate", "recurse") or source not in definitions.resource_types():
        raise Permanent("write Type:parameter or *", place=base)
    if parameter != "*" and known(source, parameter).kind != "reference":
        raise Permanent(f"{parameter} is no reference", place=base)
    return Include(source, parameter, target, modifier != "")


def _cursor(query: Query, name: str, value: str) -> None:
    query.cursor = value


_NARROWING: Final = frozenset({"_text", "_content", "_filter", "_query", "_list", "_has", "_type", "_in"})
_CONTROLS: Final[Mapping[str, Callable[[Query, str, str], None]]] = {
    "_sort": _sort,
    "_count": _count,
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
    "_include": _include,
    "_revinclude": _revinclude,
    "_cursor": _cursor,
}
