"""Where code systems, value sets and concept maps are taken from, by their canonical URL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gateway.model import Resource
from gateway.terminology.limits import NotFound


class Shelf(Protocol):
    """What is held. The store's holds what clients and the gateway itself have written."""

    def find(self, type: str, url: str, version: str = "") -> Resource | None:
        """The CodeSystem, ValueSet or ConceptMap of this URL; "" = the version that is current."""
        ...

    def supplements(self, system: str) -> Iterable[Resource]:
        """The current CodeSystems that add names and properties to the codes of this one (content `supplement`)."""
        ...

    def maps(self, system: str) -> Iterable[Resource]:
        """The current ConceptMaps that have a group from or to this code system."""
        ...


def canonical(shelf: Shelf, type: str, text: str) -> Resource:
    """What a canonical `url|version` names (R4 references.html#canonical). Raises NotFound."""
    url, _, version = text.partition("|")
    found = shelf.find(type, url, version)
    if found is None:
        raise NotFound(f"no {type} of this URL{' and version' if version else ''} is held here", place=text[:200])
    return found
