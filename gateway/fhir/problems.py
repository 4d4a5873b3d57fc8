"""The reader that lists every problem of a resource, each with its FHIR path. The last word on validity.

Slower than the compiled structs (a few hundred microseconds), so it runs when those say no and where a person asks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gateway.fhir import bundle_rules, definitions, invariants, reference
from gateway.fhir.definitions import Element
from gateway.fhir.primitives import PRIMITIVES

MOST = 1_000  # problems of one resource that are told


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `path` is a FHIRPath expression, `text` carries no value of the resource, `code` is of
    issue-type: structure, required, value, code-invalid, invariant
    or not-found."""

    path: str
    text: str
    code: str = "structure"


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read the objects of one path."""

    members: Mapping[str, Element]  # JSON name → element, choices narrowed to one type
    required: tuple[tuple[str, tuple[str, ...]], ...]  # element name, JSON names of which one must be there
    choices: tuple[tuple[str, frozenset[str]], ...]  # element name, JSON names of which at most one may be there
    invariants: tuple[invariants.Invariant, ...]


@functools.cache
def _plan(path: str) -> _Plan:
    members: dict[str, Element] = {}
    required = []
    choices = []
    for element in definitions.children(path).values():
        stem = element.name.removesuffix("[x]")
        if element.choice:
            narrowed = [definitions.one_type(element, type_name) for type_name in element.types]
            members.update((each.name, each) for each in narrowed)
            choices.append((element.name, frozenset(each.name for each in narrowed)))
        else:
            members[element.name] = element
        if element.min:
            required.append((element.name, invariants.json_names(path, stem)))
    bound = invariants.bind(path, invariants.IN_DICTIONARIES)
    return _Plan(members=members, required=tuple(required), choices=tuple(choices), invariants=bound)


def find(value: Any) -> list[Problem]:
    """The problems of a resource in plain dictionaries, in document order, at most MOST; empty when it is valid R4."""
    reader = _Reader()
    place = value["resourceType"] if isinstance(value, dict) and isinstance(value.get("resourceType"), str) else ""
    with suppress(_Enough):
        reader.resource(value, place, contained=False)
    return reader.problems


class _Enough(Exception):
    """Nobody reads more of them."""


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def _add(self, place: str, text: str, code: str = "structure") -> None:
        self.problems.append(Problem(path=place, text=text, code=code))
        if len(self.problems) >= MOST:
            raise _Enough

    # ------------------------------------------------------------------------------------ resources

    def resource(self, value: Any, place: str, *, contained: bool) -> None:
        if not isinstance(value, dict):
            self._add(place, "must be a JSON object")
            return
        kind = value.get("resourceType")
        if not isinstance(kind, str) or kind not in definitions.resource_types():
            self._add(f"{place}.resourceType" if place else "resourceType", "is not a resource type of FHIR R4")
            return
        before = len(self.problems)
        self._object(value, kind, place)
        if len(self.problems) > before:
            return
        for text in _contained_rules(value) if contained else _container_rules(value):
            self._add(place, text, "invariant")
        if kind == "Bundle":
            self._bundle(value, place)

    def _bundle(self, bundle: dict[str, Any], place: str) -> None:
        for index, key, text in bundle_rules.findings(bundle, lambda resource: str(resource.get("resourceType"))):
            self._add(place if index is None else f"{place}.entry[{index}]", f"{text} ({key})", "invariant")
        entries = bundle.get("entry", [])
        versions = [
            (each["fullUrl"], each.get("resource", {}).get("meta", {}).get("versionId"))
            for each in entries
            if "fullUrl" in each
        ]
        if bundle["type"] != "history" and len(set(versions)) < len(versions):
            self._add(f"{place}.entry", "two entries have the same fullUrl (bdl-7)", "invariant")
        known = {url for url, _ in versions}
        for where, found in reference.walk(entries, f"{place}.entry"):
            text = found.get("reference", "")
            if text.startswith("urn:uuid:") and text.partition("#")[0] not in known:
                self._add(f"{where}.reference", "no entry of the Bundle has this fullUrl", "not-found")

    # -------------------------------------------------------------------------------------- objects

    def _object(self, value: Any, path: str, place: str) -> None:
        if not isinstance(value, dict):
            self._add(place, f"must be a JSON object, not {_kind(value)}")
            return
        if not value:
            self._add(place, "is empty; leave it out (ele-1)")
            return
        plan = _plan(path)
        before = len(self.problems)
        for name, inner in value.items():
            self._member(plan, path, place, name, inner, value)
        self._counts(plan, place, value)
        if len(self.problems) == before:
            for each in plan.invariants:
                if not each.holds(value):
                    self._add(place, f"{each.text} ({each.key})", "invariant")

    def _counts(self, plan: _Plan, place: str, value: dict[str, Any]) -> None:
        for name, names in plan.required:
            if not any(each in value for each in names):
                self._add(f"{place}.{name.removesuffix('[x]')}", "is required", "required")
        for name, all_names in plan.choices:
            found = all_names & {each.removeprefix("_") for each in value}
            if len(found) > 1:
                text = f"has more than one value: {', '.join(sorted(found))}"
                self._add(f"{place}.{name.removesuffix('[x]')}", text)

    def _member(self, plan: _Plan, path: str, place: str, name: str, inner: Any, around: dict[str, Any]) -> None:
        if name == "resourceType" and path in definitions.resource_types():
            return
        element = plan.members.get(name)
        inner_place = f"{place}.{name}"
        if element is None:
            self._shadow(plan, place, name, inner)
        elif element.many is not isinstance(inner, list):
            wanted = "an array" if element.many else "one value, not an array"
            self._add(inner_place, f"must be {wanted}")
        elif not element.many:
            self._value(inner, element, inner_place)
        elif not inner:
            self._add(inner_place, "is an empty array; leave it out")
        else:
            self._array(inner, element, inner_place, around)

    def _array(self, inner: list[Any], element: Element, place: str, around: dict[str, Any]) -> None:
        if element.max is not None and len(inner) > element.max:
            self._add(place, f"has more than {element.max} values")
        shadows = around.get(f"_{element.name}")
        for index, each in enumerate(inner):
            if each is None and element.types[0] in PRIMITIVES:
                if not isinstance(shadows, list) or index >= len(shadows) or shadows[index] is None:
                    self._add(f"{place}[{index}]", "is null without an extension")
            else:
                self._value(each, element, f"{place}[{index}]")

    def _shadow(self, plan: _Plan, place: str, name: str, inner: Any) -> None:
        """`_birthDate`: id and extensions of a primitive (R4 json.html#primitive)."""
        element = plan.members.get(name[1:]) if name.startswith("_") else None
        if element is None or element.types[0] not in PRIMITIVES:
            self._add(f"{place}.{name}", "is not an element of FHIR R4 here")
            return
        if element.many is not isinstance(inner, list):
            self._add(f"{place}.{name}", "must be an array" if element.many else "must be one object")
        elif not inner:
            self._add(f"{place}.{name}", "is empty; leave it out")
        for index, each in enumerate(inner if isinstance(inner, list) else [inner]):
            if each is not None or not element.many:
                self._object(each, "Element", f"{place}.{name}[{index}]" if element.many else f"{place}.{name}")

    # --------------------------------------------------------------------------------------- values

    def _value(self, value: Any, element: Element, place: str) -> None:
        if value is None:
            self._add(place, "is null; leave it out")
        elif element.inside == "Resource":
            self.resource(value, place, contained=element.name == "contained")
        elif element.inside:
            self._object(value, element.inside, place)
        else:
            text = _primitive(value, element)
            if text:
                coded = element.codes is not None and isinstance(value, str)
                self._add(place, text, "code-invalid" if coded and value.strip() else "value")


@functools.cache
def _pattern(type_name: str) -> re.Pattern[str]:
    return re.compile(PRIMITIVES[type_name].pattern)


_JSON_TYPES: Mapping[type, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (int, float, Decimal)}


def _primitive(value: Any, element: Element) -> str:
    """What is wrong with a primitive value, or ""."""
    type_name = element.types[0]
    rule = PRIMITIVES[type_name]
    allowed = _JSON_TYPES[rule.json]
    if not isinstance(value, allowed) or (isinstance(value, bool) and rule.json is not bool):
        return f"must be {rule.wanted}, not {_kind(value)}"
    if isinstance(value, str):
        return _text(value, element)
    if isinstance(value, int) and rule.least is not None and rule.most is not None:
        return "" if rule.least <= value <= rule.most else f"must be {rule.wanted}"
    return ""


def _text(value: str, element: Element) -> str:
    rule = PRIMITIVES[element.types[0]]
    if not value.strip(" \t\r\n"):
        return "is empty; leave it out"
    if element.codes is not None:
        known = sorted(element.codes)
        listed = " | ".join(known[:12]) + (" | …" if len(known) > 12 else "")
        return "" if value in element.codes else f"is not a code of {element.binding}: {listed}"
    return f"must be {rule.wanted}" if rule.pattern and _pattern(element.types[0]).search(value) is None else ""


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


# --------------------------------------------------------------------------------- contained resources


def _fragments(value: Any) -> Iterator[str]:
    """Every text that starts with #: references and canonicals into the same resource."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _fragments(each)
    elif isinstance(value, list):
        for each in value:
            yield from _fragments(each)
    elif isinstance(value, str) and value.startswith("#"):
        yield value


def _container_rules(resource: dict[str, Any]) -> Iterator[str]:
    """ref-1 and dom-3: every `#id` is contained, and every contained resource is referred to, or refers back."""
    contained = resource.get("contained", [])
    known = {f"#{each.get('id', '')}" for each in contained}
    for found in reference.find(resource) if resource["resourceType"] not in ("Bundle", "Parameters") else []:
        text = found.get("reference", "")
        if text.startswith("#") and text != "#" and text not in known:
            yield "a reference to a contained resource that is not there (ref-1)"
    used = set(_fragments(resource)) if contained else set()
    for each in contained:
        if f"#{each.get('id', '')}" not in used and "#" not in set(_fragments(each)):
            yield "a contained resource that nothing refers to (dom-3)"


def _contained_rules(resource: dict[str, Any]) -> Iterator[str]:
    if "contained" in resource:
        yield "a contained resource contains another (dom-2)"
    if not {"versionId", "lastUpdated"}.isdisjoint(resource.get("meta", {})):
        yield "a contained resource has a version or lastUpdated (dom-4)"
    if "security" in resource.get("meta", {}):
        yield "a contained resource has a security label (dom-5)"
