"""The resources that one message is made of, with their references both ways, and the values at a path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from gateway.fhir import json
from gateway.mapping import paths
from gateway.model import Resource

_NOTHING: list[Resource] = []  # never changed


class Graph:
    """The resources that one message is made of, with their references both ways."""

    def __init__(self, resources: Mapping[str, Resource], *, tells: bool = True) -> None:
        self.resources = resources
        self.tells = tells  # may elements tell the fields that they stood in (origins.py)?
        self.said: dict[tuple[int, bytes], tuple[tuple[str, ...], str]] = {}  # of each line: what a reference became
        self._pointing: dict[int, dict[int, list[Resource]]] = {}  # of each path asked for: by what it leads to
        self._contents: dict[int, bytes] = {}
        self._followed: dict[tuple[int, int, str], list[Resource]] = {}

    @cached_property
    def of_type(self) -> dict[str, list[Resource]]:
        """The resources of each type."""
        found: dict[str, list[Resource]] = defaultdict(list)
        for each in self.resources.values():
            found[each["resourceType"]].append(each)
        return dict(found)

    def resolve(self, reference: Mapping[str, Any]) -> Resource | None:
        """What a Reference points at, or the Binary of an Attachment."""
        return self.resources.get(str(reference.get("reference") or reference.get("url", "")))

    def content(self, resource: Resource) -> bytes:
        """A resource as JSON: what it says, for comparing."""
        found = self._contents.get(id(resource))
        if found is None:
            found = self._contents[id(resource)] = json.content(resource)
        return found

    def follow(self, resource: Resource, path: paths.Path, type_: str) -> list[Resource]:
        """The resources of a type that a path of references leads to. The same list each time that it is asked for."""
        if path.elements[0].name not in resource:
            return _NOTHING
        key = id(resource), id(path), type_
        found = self._followed.get(key)
        if found is None:
            linked = map(self.resolve, [each for each in values_at(resource, path.elements) if each.__class__ is dict])
            found = [each for each in linked if each is not None and each["resourceType"] == type_]
            self._followed[key] = found
        return found

    def pointing(self, target: Resource, path: paths.Path) -> list[Resource]:
        """The resources of the path's type whose path leads to the target."""
        known = self._pointing.get(id(path))
        if known is None:
            known = self._pointing[id(path)] = self._pointers(path)
        return known.get(id(target), [])

    def _pointers(self, path: paths.Path) -> dict[int, list[Resource]]:
        found: dict[int, list[Resource]] = {}
        name, single = path.elements[0].name, len(path.elements) == 1 and not path.elements[0].slice
        for each in self.of_type.get(path.resource, ()):
            if name not in each:
                continue
            if single and each[name].__class__ is dict:  # nearly always
                only = self.resolve(each[name])
                if only is not None:
                    found.setdefault(id(only), []).append(each)
                continue
            linked = [self.resolve(value) for value in values_at(each, path.elements) if isinstance(value, dict)]
            for target in {id(resource) for resource in linked if resource is not None}:
                found.setdefault(target, []).append(each)
        return found


def values_at(value: Any, elements: Sequence[paths.Element]) -> list[Any]:
    """All values at a path, slices heeded."""
    if len(elements) == 1 and value.__class__ is dict:  # nearly always
        found = value.get(elements[0].name)
        if found is None:
            return []
        several = found if isinstance(found, list) else [found]
        return [each for each in several if matches(each, elements[0])] if elements[0].slice else list(several)
    here = [value]
    for element in elements:
        name = element.name
        if len(here) == 1 and isinstance(here[0], dict):  # nearly always
            only = here[0].get(name)
            if only is None:
                return []
            below = only if isinstance(only, list) else [only]
        else:
            below = []
            for each in here:
                found = each.get(name) if isinstance(each, dict) else None
                if found is not None:
                    below.extend(found if isinstance(found, list) else [found])
        here = [each for each in below if matches(each, element)] if element.slice else below
    return list(here)


def matches(value: Any, element: paths.Element) -> bool:
    """Does a list element fit the slice that a line asks for?"""
    for name, constant, codes in element.slice:
        found = value.get(name.partition(".")[0])
        if found is None or not admitted(found, constant, codes):
            return False
    return True


def admitted(value: Any, constant: Any, codes: tuple[str, ...]) -> bool:
    """Is a value one of those that a slice names? Of a concept, one of its codes; of a list, one of its elements."""
    if value.__class__ is str:
        return value in codes or value == constant
    if isinstance(value, dict):
        codings = value.get("coding")
        if codings is None:
            return value.get("code") in codes
        for each in codings:  # noqa: SIM110 - asked a hundred times in a message
            if each.get("code") in codes:
                return True
        return False
    if isinstance(value, list):
        inner = constant[0] if isinstance(constant, list) else constant
        for each in value:  # noqa: SIM110 - the same
            if admitted(each, inner, codes):
                return True
        return False
    return value in codes or value == constant
