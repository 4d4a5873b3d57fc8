"""Finds the places in a resource that a FHIRPath names, so that something can be put there or taken away.

The paths that FHIRPath Patch asks for (R4 fhirpatch.html): names, `[0]`, `where(…)` with comparisons of inner paths
joined by `and`, `first()`, `last()`, `ofType(…)` and `extension('url')`. Anything else is refused, not half understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from gateway.errors import HutongError, Permanent
from gateway.fhir import definitions
from gateway.model import Resource

LONGEST = 2_000  # characters of a path
_TOKEN = re.compile(
    r"\s*(?:(?P<name>\$this|[A-Za-z_][A-Za-z0-9_]*)|'(?P<text>(?:[^'\\]|\\.)*)'|(?P<number>-?\d+(?:\.\d+)?)|(?P<sign>!=|[.()\[\]=]))"
)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a value stands: `holder[key]`. A member of a list stands in `around[name]`, which is that list."""

    holder: Any  # the object or list that holds it; None for the resource itself
    key: Any
    value: Any
    path: str  # its definition: Patient.name
    around: Any = None
    name: str = ""


def locate(resource: Resource, path: str, place: str = "path") -> list[Location]:
    """All places that the path names. Raises Permanent for a path that is not understood."""
    if len(path) > LONGEST:
        raise Permanent("the path is too long", place=place)
    reading = _Reading(path, place)
    found = reading.path([Location(None, "", resource, str(resource.get("resourceType")))], first=True)
    if reading.peek() != ("", ""):
        reading.refuse()
    return found


class _Reading:
    """A path on its way from text to places."""

    def __init__(self, text: str, place: str) -> None:
        self._place = place
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        end = 0
        while text[end:].strip():
            match = _TOKEN.match(text, end)
            if match is None:
                self.refuse()
            kind = str(match.lastgroup)
            self._tokens.append((kind, match[kind]))
            end = match.end()

    def refuse(self) -> NoReturn:
        raise Permanent(
            "the path is not understood", place=self._place,
            remedy="use names, [0], where(a = 'b'), first(), last(), ofType(T), extension('url')",
        )  # fmt: skip

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ("", "")

    def _next(self, wanted: str = "") -> str:
        kind, text = self.peek()
        if not kind or (wanted and text != wanted):
            self.refuse()
        self._at += 1
        return text

    def path(self, found: list[Location], *, first: bool = False) -> list[Location]:
        """Names and functions with points between them."""
        while True:
            kind, name = self.peek()
            if kind != "name":
                self.refuse()
            self._next()
            if self.peek() == ("sign", "("):
                found = self._function(name, found)
            elif not (first and found and name == found[0].path):  # the path may begin with the type
                found = [inner for each in found for inner in _into(each, name)]
            while self.peek() == ("sign", "["):
                found = self._indexed(found)
            first = False
            if self.peek() != ("sign", "."):
                return found
            self._next()

    def _indexed(self, found: list[Location]) -> list[Location]:
        self._next("[")
        kind, text = self.peek()
        if kind != "number" or not text.isdigit():
            self.refuse()
        self._next()
        self._next("]")
        return found[int(text) : int(text) + 1]

    def _function(self, name: str, found: list[Location]) -> list[Location]:
        self._next("(")
        match name:
            case "first" | "last":
                found = found[:1] if name == "first" else found[-1:]
            case "ofType":
                wanted = self._next()
                found = [each for each in found if _is_of(each, wanted)]
            case "extension":
                kind, url = self.peek()
                if kind != "text":
                    self.refuse()
                self._next()
                inner = (one for each in found for one in _into(each, "extension"))
                found = [each for each in inner if isinstance(each.value, dict) and each.value.get("url") == url]
            case "where":
                return self._where(found)
            case _:
                self.refuse()
        self._next(")")
        return found

    def _where(self, found: list[Location]) -> list[Location]:
        begin, kept = self._at, []
        for each in found or [Location(None, "", {}, "")]:  # read it once at least
            self._at = begin
            if self._holds(each) and found:
                kept.append(each)
        self._next(")")
        return kept

    def _holds(self, location: Location) -> bool:
        holds = self._compared(location)
        while self.peek() == ("name", "and"):
            self._next()
            holds = self._compared(location) and holds
        return holds

    def _compared(self, location: Location) -> bool:
        values = [each.value for each in self._inner(location)]
        kind, sign = self.peek()
        if kind != "sign" or sign not in ("=", "!="):
            return bool(values)  # `where(name.exists())`
        self._next()
        kind, text = self.peek()
        self._next()
        wanted: Any = {"text": _plain(text), "number": text, "name": text}.get(kind)
        if wanted is None or (kind == "name" and text not in ("true", "false")):
            self.refuse()
        equal = [_said(each, kind) == (_number(text) if kind == "number" else wanted) for each in values]
        return bool(values) and (all(equal) if sign == "=" else not any(equal))

    def _inner(self, location: Location) -> list[Location]:
        """An inner path; `.exists()` at its end adds nothing."""
        found = [location]
        while True:
            kind, name = self.peek()
            if kind != "name":
                self.refuse()
            self._next()
            if name == "exists" and self.peek() == ("sign", "("):
                self._next("(")
                self._next(")")
                return found
            if name != "$this":
                found = [inner for each in found for inner in _into(each, name)]
            while self.peek() == ("sign", "["):
                found = self._indexed(found)
            if self.peek() != ("sign", "."):
                return found
            self._next()


def _into(location: Location, name: str) -> Iterator[Location]:
    """The values of a member; of a choice by its stem too (`value` for valueQuantity)."""
    holder = location.value
    if not isinstance(holder, dict):
        return
    for key in (name,) if name in holder else _forms(location.path, name):
        path = f"{location.path}.{key}"
        value = holder.get(key)
        if isinstance(value, list):
            yield from (Location(value, index, each, path, holder, key) for index, each in enumerate(value))
        elif value is not None:
            yield Location(holder, key, value, path)


def _forms(path: str, name: str) -> list[str]:
    """valueQuantity, valueString … for `value`."""
    try:
        choice = definitions.children(path).get(f"{name}[x]")
        return [definitions.one_type(choice, each).name for each in choice.types] if choice else []
    except HutongError:
        return []


def choice_of(path: str) -> str:
    """The stem of the choice that an element is a form of: value for Observation.valueQuantity; "" for others."""
    around, _, name = path.rpartition(".")
    stems = (each.removesuffix("[x]") for each in definitions.children(around) if each.endswith("[x]"))
    return next((stem for stem in stems if name.startswith(stem) and name in _forms(around, stem)), "")


def _is_of(location: Location, wanted: str) -> bool:
    try:
        element = definitions.resolve(location.path)
    except HutongError:
        return isinstance(location.value, dict) and location.value.get("resourceType") == wanted
    return wanted in element.types


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _number(text: str) -> Any:
    return Decimal(text)


def _said(value: Any, kind: str) -> Any:
    """A value as it is compared with a text, a number or a truth."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "number" and isinstance(value, int | Decimal):
        return Decimal(value)
    return value
