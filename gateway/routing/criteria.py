"""A FHIR search held against one resource in memory: 'DiagnosticReport?status=final,corrected&code:not=X'.

R4 search.html: comma OR, repeats AND, :not :missing :exact :contains :text :identifier and :Type, prefixes of dates
and numbers.
What a subscription may not ask (chains, _has, results like _count, composites) is an errors.Configuration when it
is compiled, never a surprise when a message comes.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from gateway import errors
from gateway.fhir import dates, definitions, searchparameters
from gateway.fhir.normal import normal
from gateway.fhir.searchparameters import IndexRow, SearchParameter
from gateway.model import Resource, Subscription

ZONE = "Asia/Shanghai"  # of dates without an offset, here and in the resource
PLACE = "criteria"

Values = tuple[Any, ...]  # of one IndexRow
Test = Callable[[Values], bool]

_MODIFIERS: Mapping[str, frozenset[str]] = {
    "token": frozenset({"not", "text"}),
    "string": frozenset({"exact", "contains"}),
    "reference": frozenset({"identifier"}),
}
_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)(?=[0-9-])")
_COMMA = re.compile(r"(?<!\\),")
_BAR = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Condition:
    """One parameter: any test on any of its values; `negative` turns it around, `missing` asks for none at all."""

    name: str
    tests: tuple[Test, ...]
    negative: bool = False
    missing: bool | None = None

    def holds(self, rows: Iterable[IndexRow]) -> bool:
        """Whether the indexed values of a resource satisfy it."""
        own = [row.values for row in rows if row.name == self.name]
        if self.missing is not None:
            return self.missing is not bool(own)
        return self.negative is not any(test(values) for values in own for test in self.tests)


@dataclass(frozen=True, slots=True)
class Criteria:
    """One compiled search."""

    type: str
    conditions: tuple[Condition, ...]

    def holds(self, resource: Resource, rows: Callable[[], list[IndexRow]]) -> bool:
        """Whether the resource is found by it; `rows` is asked only when its type fits."""
        if resource.get("resourceType") != self.type:
            return False
        return not self.conditions or all(condition.holds(rows()) for condition in self.conditions)


def compile(subscription: Subscription) -> Callable[[Resource], bool]:  # noqa: A001  the verb of this room
    """Whether any of a subscription's criteria finds a resource. Raises Configuration for criteria that are none."""
    return _predicate(tuple(compile_criteria(text) for text in subscription.criteria))


def matches(resource: Resource, criteria: str) -> bool:
    """Whether the search finds this resource. Raises Configuration when the criteria cannot be understood."""
    return _predicate((compile_criteria(criteria),))(resource)


@functools.lru_cache(maxsize=4096)
def compile_criteria(text: str) -> Criteria:
    """'Type?name:modifier=value&…', percent-encoded or not. Raises Configuration with the nearest right name."""
    type_name, _, query = text.strip().partition("?")
    if type_name not in definitions.resource_types():
        _unknown(f"unknown resource type {type_name!r}", type_name, definitions.resource_types())
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    return Criteria(type_name, tuple(_condition(type_name, name, value) for name, value in pairs))


def indexed(resource: Resource) -> Callable[[], list[IndexRow]]:
    """The indexed values of a resource, computed at the first question and kept."""
    return functools.cache(lambda: searchparameters.index(resource, zone=ZONE))


def _predicate(compiled: tuple[Criteria, ...]) -> Callable[[Resource], bool]:
    def found(resource: Resource) -> bool:
        rows = indexed(resource)
        return any(criteria.holds(resource, rows) for criteria in compiled)

    return found


def _condition(type_name: str, key: str, value: str) -> Condition:
    name, _, modifier = key.partition(":")
    known = searchparameters.parameters(type_name)
    parameter = known.get(name)
    if parameter is None or not parameter.expression:
        usable = [one.name for one in known.values() if one.expression]
        _unknown(f"{type_name} has no search parameter {name!r}", name, usable)
    if modifier == "missing":
        if value not in {"true", "false"}:
            _refuse(f"{key}={value}", "write :missing=true or :missing=false")
        return Condition(name, (), missing=value == "true")
    _check_modifier(parameter, key, modifier)
    if not value:
        _refuse(f"{key} has no value", f"write {key}=…")
    compiler = _COMPILERS.get(parameter.kind)
    if compiler is None:
        _refuse(
            f"{name} is a {parameter.kind} parameter", "criteria ask by token, string, date, number, uri, reference"
        )
    tests = tuple(compiler(part, modifier, parameter) for part in _COMMA.split(value))
    return Condition(name, tests, negative=modifier == "not")


def _check_modifier(parameter: SearchParameter, key: str, modifier: str) -> None:
    allowed = _MODIFIERS.get(parameter.kind, frozenset())
    types = parameter.targets if parameter.kind == "reference" else ()
    if modifier and modifier not in allowed and modifier not in types:
        names = sorted({"missing", *allowed})
        _refuse(f"the modifier of {key!r} is not known here", f"known: {', '.join(':' + name for name in names)}")


def _plain(text: str) -> str:
    """Without the escapes of R4 search.html#escaping."""
    return re.sub(r"\\([\\,|$])", r"\1", text)


# ------------------------------------------------------------------------------------------ one kind each


def _token(text: str, modifier: str, parameter: SearchParameter) -> Test:
    if modifier == "text":
        start = normal(_plain(text))
        return lambda values: bool(values[2].startswith(start))
    parts = [_plain(part) for part in _BAR.split(text, maxsplit=1)]
    system, code = parameter.token(parts[0] if len(parts) > 1 else None, parts[-1])
    if system is None:
        return lambda values: bool(values[1] == code)
    if not code:
        return lambda values: bool(values[0] == system)
    return lambda values: bool(values[0] == system and values[1] == code)


def _string(text: str, modifier: str, _parameter: SearchParameter) -> Test:
    wanted = _plain(text)
    folded = normal(wanted)
    if modifier == "exact":
        return lambda values: bool(values[0] == wanted)
    if modifier == "contains":
        return lambda values: folded in values[1]
    return lambda values: bool(values[1].startswith(folded))


def _uri(text: str, _modifier: str, _parameter: SearchParameter) -> Test:
    wanted = _plain(text)
    return lambda values: bool(values[0] == wanted)


def _reference(text: str, modifier: str, _parameter: SearchParameter) -> Test:
    wanted = _plain(text)
    if modifier == "identifier":
        system, bar, code = wanted.rpartition("|")
        return lambda values: bool(values[4] == code and (not bar or values[3] == system))
    type_name, _, logical_id = wanted.rpartition("/")
    if "/" in type_name or ":" in wanted:
        return lambda values: bool(values[2] == wanted)
    expected = modifier or type_name
    return lambda values: bool(values[1] == logical_id and (not expected or values[0] == expected))


def _date(text: str, _modifier: str, _parameter: SearchParameter) -> Test:
    prefix, rest = _prefixed(text)
    try:
        low, high = dates.interval(rest.replace(" ", "+"), ZoneInfo(ZONE))
    except (ValueError, OverflowError):
        _refuse(f"{text!r} is no date", "such as ge2026-01-01")
    return _ranges(prefix, low, high)


def _number(text: str, _modifier: str, _parameter: SearchParameter) -> Test:
    """Numbers by their precision: 100 means from 99.5 up to 100.5 (R4 search.html#number)."""
    prefix, rest = _prefixed(text)
    try:
        value = Decimal(rest)
        half = Decimal(5).scaleb(int(value.as_tuple().exponent) - 1)
    except (InvalidOperation, TypeError, ValueError):
        _refuse(f"{text!r} is no number", "such as gt5.5")
    return _ranges(prefix, value - half, value + half) if prefix in {"eq", "ne"} else _ranges(prefix, value, value)


def _ranges(prefix: str, low: Any, high: Any) -> Test:
    """Compares the stretch of a value with the stretch that is asked for; an open end is None."""
    compare = _COMPARISONS[prefix]
    return lambda values: _compared(compare, values, low, high)


def _compared(compare: Callable[[Any, Any, Any, Any], bool], values: Values, low: Any, high: Any) -> bool:
    below = Decimal("-Infinity") if values[0] is None else values[0]
    above = Decimal("Infinity") if values[1] is None else values[1]
    return compare(below, above, low, high)


_COMPARISONS: Mapping[str, Callable[[Any, Any, Any, Any], bool]] = {
    "eq": lambda below, above, low, high: bool(low <= below and above <= high),
    "ne": lambda below, above, low, high: not (low <= below and above <= high),
    "gt": lambda below, above, low, high: bool(above > high),
    "sa": lambda below, above, low, high: bool(below > high),
    "lt": lambda below, above, low, high: bool(below < low),
    "eb": lambda below, above, low, high: bool(above < low),
    "ge": lambda below, above, low, high: bool(above >= low),
    "le": lambda below, above, low, high: bool(below <= high),
}


def _prefixed(text: str) -> tuple[str, str]:
    found = _PREFIX.match(text)
    return (found[1], text[found.end() :]) if found else ("eq", text)


_COMPILERS: Mapping[str, Callable[[str, str, SearchParameter], Test]] = {
    "token": _token,
    "string": _string,
    "uri": _uri,
    "reference": _reference,
    "date": _date,
    "number": _number,
}


def _unknown(cause: str, word: str, known: Iterable[str]) -> NoReturn:
    close = difflib.get_close_matches(word, sorted(known), n=1)
    raise errors.Configuration(cause, place=PLACE, remedy=f"did you mean {close[0]!r}?" if close else "see FHIR R4")


def _refuse(cause: str, remedy: str) -> NoReturn:
    raise errors.Configuration(cause, place=PLACE, remedy=remedy)
