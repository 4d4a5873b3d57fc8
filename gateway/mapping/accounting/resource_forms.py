"""Normal forms of resources: where one comes back from a file otherwise than it was written, and when that may be.

One table, `exports/resource_forms.tsv` beside the maps, is the declaration and the documentation (`hutong map
normal-forms`). Any other difference is a loss; how the sender's cells were worded is none (wording.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from operator import itemgetter

from gateway.errors import Configuration
from gateway.fhir import reference
from gateway.mapping.accounting.elements import Leaf, leaves, plain
from gateway.mapping.accounting.normal_forms import rows_of
from gateway.mapping.wording import unworded
from gateway.model import Resource

FILE = "resource_forms.tsv"
_ALWAYS, _ALONE, _NOT = "always", "alone", "!"


@dataclass(frozen=True, slots=True)
class Form:
    """Which element (or resource, with `path` its type) comes back otherwise, when, and what comes back."""

    path: str
    when: str
    said: str

    def holds(self, path: str, resource: Resource, *, alone: bool) -> bool:
        """`path`: of what differs; `alone`: does no other resource refer to this one?"""
        inside = "." in self.path and path.startswith(f"{self.path}.")  # of a type alone: the whole resource
        if path != self.path and not inside:
            return False
        there = {".".join(plain(way)) for way, _ in leaves(resource)}
        return all(_is_so(each, there, alone=alone) for each in self.when.split(" and "))


def _is_so(condition: str, there: set[str], *, alone: bool) -> bool:
    if condition in (_ALWAYS, _ALONE):
        return alone or condition == _ALWAYS
    path = condition.removeprefix(_NOT)
    return any(each == path or each.startswith(f"{path}.") for each in there) is not condition.startswith(_NOT)


@cache
def declared() -> dict[str, tuple[Form, ...]]:
    """Export → its forms."""
    found: dict[str, tuple[Form, ...]] = {}
    for row in rows_of("exports", file=FILE):
        if len(row) != 4:
            raise Configuration(f"{row[0]}: a form has an export, a path, when, and what comes back", place=FILE)
        export, *form = row
        found[export] = (*found.get(export, ()), Form(*form))
    return found


def lines() -> Iterator[str]:
    """The table, one line a form."""
    for export, forms in declared().items():
        yield from (f"{export}/{form.path}\t{form.when}\t{form.said}" for form in forms)


def lost(before: Mapping[str, Resource], after: Mapping[str, Resource], exports: tuple[str, ...]) -> list[str]:
    """What differs in no form that is declared: `Observation.status -final`; - is gone, + is new."""
    before, after = ({url: unworded(each) for url, each in some.items()} for some in (before, after))
    forms = [form for export in ("*", *exports) for form in declared().get(export, ())]
    named = {each.get("reference") for some in (before, after) for each in reference.find(list(some.values()))}
    found, excused = [], set()
    for url in before.keys() ^ after.keys():
        there = before.get(url) or after[url]
        if any(form.holds(there["resourceType"], there, alone=url not in named) for form in forms):
            excused.add(url)
        else:
            found.append(f"{'-' if url in before else '+'}{there['resourceType']}")
    for url in before.keys() & after.keys():
        one, other = (_told(each[url], excused) for each in (before, after))
        if one != other and Counter(one) == Counter(other):
            found.append(f"{before[url]['resourceType']}: in another order")
        for sign, rest in (("-", Counter(one) - Counter(other)), ("+", Counter(other) - Counter(one))):
            for path, value in rest:
                place = ".".join((before[url]["resourceType"], *path))
                if not any(form.holds(place, before[url], alone=url not in named) for form in forms):
                    found.append(f"{place} {sign}{value}")
    return sorted(found)


def _told(resource: Resource, excused: set[str]) -> list[tuple[tuple[str, ...], str]]:
    """Its values by path, in their order, without references to what is there only once. What a reference shows
    of the resource that it names follows from that."""
    named = {way[:-1]: value for way, value in leaves(resource) if way[-1] == "reference"}
    gone = {way for way, value in named.items() if value in excused}
    shown = {(*way, "display") for way in named}
    told = ((way, value) for way, value in leaves(resource) if way not in shown and not _is_in(way, gone))
    return sorted(((plain(way), str(value)) for way, value in told), key=itemgetter(0))


def _is_in(way: Leaf, elements: set[Leaf]) -> bool:
    return any(way[: len(each)] == each for each in elements)
