"""Reads the query of a search: what is asked, in which order, how much of it (R4 search.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import parse_qsl

from gateway.errors import Permanent
from gateway.fhir import definitions
from gateway.fhir.searchparameters import parameters
from gateway.store import clause, local
from gateway.store.clause import NOWHERE, Around, Clause

DEFAULT_COUNT = 50
MAXIMUM_COUNT = 1000

Pairs = list[tuple[str, str]]


class Handling(Enum):
    """What becomes of parameters that are not known (R4 search.html#errors, Prefer: handling)."""

    USUAL = "usual"  # refused, except words of other servers that narrow nothing
    LENIENT = "lenient"  # left out, and named in the answer
    STRICT = "strict"  # refused


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
    criteria: list[Clause] = field(default_factory=list)
    sort: list[tuple[str, bool]] = field(default_factory=list)  # (parameter, descending)
    count: int = DEFAULT_COUNT
    total: str = ""  # none, estimate or accurate; '' = nothing was said
    summary: str = ""
    elements: tuple[str, ...] = ()
    includes: list[Include] = field(default_factory=list)
    revincludes: list[Include] = field(default_factory=list)
    cursor: str = ""
    ignored: list[str] = field(default_factory=list)

    @property
    def counts_only(self) -> bool:
        """Only the number is wanted, no resource."""
        return self.summary == "count" or self.count == 0


def read(type: str, query: str | Pairs, *, handling: Handling = Handling.USUAL, around: Around = NOWHERE) -> Query:
    """The query of `GET Type?query`, or its pairs already decoded.

    Permanent for what is not known, unless lenient: then it is listed in `ignored` and the rest is searched.
    """
    if type not in definitions.resource_types():
        raise Permanent("not a resource type", place="search")
    pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True) if isinstance(query, str) else query
    result = Query(type)
    for name, value in pairs:
        if not value or name in ("_format", "_pretty"):
            continue  # R4 search.html: an empty value says nothing
        if handling is not Handling.STRICT and _is_foreign(type, name):
            result.ignored.append(name)
            continue
        try:
            if (control := _CONTROLS.get(name.partition(":")[0])) is not None:
                control(result, name, value)
            else:
                result.criteria.append(clause.read(type, name, value, around))
        except Permanent:
            if handling is not Handling.LENIENT:
                raise
            result.ignored.append(name)
    return result


def _is_foreign(type: str, name: str) -> bool:
    """Is it another server's own word about the answer (`_totalMethod`)? It narrows nothing, so nobody is misled when
    it is passed over; `_text`, `_filter` and the like would narrow."""
    base = name.partition(":")[0].partition(".")[0]
    ours = base in _NARROWING or base in _CONTROLS or base == local.PARAMETER
    return base.startswith("_") and not ours and base not in parameters(type)


# ------------------------------------------------------------------------------------------------ controls


def _sort(query: Query, name: str, value: str) -> None:
    for part in filter(None, value.split(",")):
        descending, base = part.startswith("-"), part.removeprefix("-")
        parameter = clause.known(query.type, base)
        if parameter.kind in ("composite", "special", "local"):
            raise Permanent("this parameter has no order", place=f"{query.type}?_sort")
        query.sort.append((base, descending))


def _count(query: Query, name: str, value: str) -> None:
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise Permanent("not a number", place="_count")
    query.count = min(int(value), MAXIMUM_COUNT)


def _total(query: Query, name: str, value: str) -> None:
    if value not in ("none", "estimate", "accurate"):
        raise Permanent("none, estimate or accurate", place="_total")
    query.total = value


def _summary(query: Query, name: str, value: str) -> None:
    if value not in ("true", "text", "data", "count", "false"):
        raise Permanent("true, text, data, count or false", place="_summary")
    query.summary = "" if value == "false" else value


def _elements(query: Query, name: str, value: str) -> None:
    query.elements += tuple(part.removeprefix(f"{query.type}.") for part in value.split(",") if part)


def _include(query: Query, name: str, value: str) -> None:
    query.includes.append(_read_include(name, value))


def _revinclude(query: Query, name: str, value: str) -> None:
    query.revincludes.append(_read_include(name, value))


def _contained(query: Query, name: str, value: str) -> None:
    if value != "false":
        raise Permanent("contained resources are not returned by themselves", place=name)


def _read_include(name: str, value: str) -> Include:
    base, _, modifier = name.partition(":")
    source, _, rest = value.partition(":")
    parameter, _, target = rest.partition(":")
    if modifier not in ("", "iterate", "recurse"):
        raise Permanent(f"the modifier :{modifier[:20]} is not supported", place=base)
    if value == "*":
        return Include("*", "*", "", modifier != "")
    if source not in definitions.resource_types() or (target and target not in definitions.resource_types()):
        raise Permanent("write Type:parameter or *", place=base)
    if parameter != "*" and clause.known(source, parameter).kind != "reference":
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
    "_contained": _contained,
    "_containedType": lambda query, name, value: None,  # of no effect without _contained
    "_cursor": _cursor,
}
