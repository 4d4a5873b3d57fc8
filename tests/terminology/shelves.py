"""A shelf in memory, with what R4 publishes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from gateway.model import Resource
from gateway.terminology import hl7


class Held:
    """These resources, and R4's own behind them."""

    def __init__(self, *own: Resource) -> None:
        self.own = own

    def find(self, type: str, url: str, version: str = "") -> Resource | None:
        known = published().get((type, url))
        for each in (*self.own, *([known] if known else ())):
            same = each["resourceType"] == type and each.get("url") == url
            if same and version in ("", each.get("version", "")):
                return each
        return None

    def supplements(self, system: str) -> Iterable[Resource]:
        return [each for each in self.own if each.get("supplements") == system]

    def maps(self, system: str) -> Iterable[Resource]:
        for each in (*self.own, *published().values()):
            groups = each.get("group", ()) if each["resourceType"] == "ConceptMap" else ()
            if any(system in (group.get("source"), group.get("target")) for group in groups):
                yield each


@cache
def published() -> dict[tuple[str, str], Resource]:
    return {(each["resourceType"], each["url"]): each for each in hl7.shipped()}
