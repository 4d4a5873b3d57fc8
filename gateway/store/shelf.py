"""The code systems, value sets and concept maps of the record, by canonical URL: the Shelf of gateway.terminology.

Only one version of a resource is current; an older business version is looked for in the history of those with the URL.
"""

# ruff: noqa: S608  # SQL is put together from the names in read.py; every value is bound

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from gateway.db.engine import Reader
from gateway.db.record import parameter_number
from gateway.model import Resource
from gateway.store import read
from gateway.store.stored import Stored
from gateway.terminology.limits import NotFound
from gateway.terminology.sets import codes_above, codes_below, codes_in, codes_of

BY_URI = (
    f"SELECT {read.COLUMNS} FROM index_uri i JOIN resource r ON r.rid = i.rid "
    "WHERE i.parameter = ? AND i.value = ? AND r.deleted = 0 ORDER BY r.updated DESC, r.id LIMIT ?"
)
BY_REFERENCE = BY_URI.replace("index_uri", "index_reference").replace("i.value", "i.target")
SEVERAL = 100  # resources of one URL, or maps of one code system, that are looked at
SYSTEMS = f"SELECT {read.COLUMNS} FROM resource r WHERE r.type = 'CodeSystem' AND r.deleted = 0 ORDER BY r.id LIMIT ?"
MANY = 5_000  # code systems that a statement lists
OLD = 200  # versions of one of them
_PIECES = re.compile(r"\d+|\D+")


@dataclass(frozen=True, slots=True)
class RecordShelf:
    """What the record holds, as of one snapshot."""

    reader: Reader

    def find(self, type: str, url: str, version: str = "") -> Resource | None:
        """The CodeSystem, ValueSet or ConceptMap of this URL; "" = the highest version that is current."""
        found = list(self._by_uri(type, "url", url))
        if version:
            found = [each for each in found if each.get("version") == version]
            return found[0] if found else self._old(type, url, version)
        return max(found, key=_order, default=None)

    def maps(self, system: str) -> Iterable[Resource]:
        """The current ConceptMaps that have a group from or to this code system."""
        seen: set[str] = set()
        for name in ("source-system", "target-system"):
            for each in self._by_uri("ConceptMap", name, system):
                if each["id"] not in seen:
                    seen.add(each["id"])
                    yield each

    def systems(self) -> Iterator[tuple[str, str]]:
        """(URL, version) of every current CodeSystem."""
        for row in self.reader.execute(SYSTEMS, (MANY,)):
            each = read.stored(row).resource
            if "url" in each:
                yield str(each["url"]), str(each.get("version", ""))

    def supplements(self, system: str) -> Iterator[Resource]:
        """The current CodeSystems that add to the codes of this one; retired ones do not."""
        rows = self.reader.execute(BY_REFERENCE, (parameter_number("CodeSystem", "supplements"), system, SEVERAL))
        return (each for row in rows if (each := read.stored(row).resource).get("status") != "retired")

    def _by_uri(self, type: str, name: str, value: str) -> Iterator[Resource]:
        rows = self.reader.execute(BY_URI, (parameter_number(type, name), value, SEVERAL))
        return (read.stored(row).resource for row in rows)

    def _old(self, type: str, url: str, version: str) -> Resource | None:
        rows = self.reader.execute(BY_URI, (parameter_number(type, "url"), url, SEVERAL))
        for row in rows:
            current = read.stored(row)
            for each in self._versions(current):
                if not each.deleted and (told := each.resource).get("version") == version and told.get("url") == url:
                    return told
        return None

    def _versions(self, current: Stored) -> Iterator[Stored]:
        yield from read.history(self.reader, current.type, current.id, count=OLD).matches


@dataclass(frozen=True, slots=True)
class RecordCodes:
    """What a search asks of the code systems and value sets of the record (clause.Codes)."""

    reader: Reader

    def members(self, value_set: str) -> Collection[tuple[str, str]]:
        """All codes of a ValueSet by its canonical URL or as 'ValueSet/id'; see sets.codes_of."""
        if value_set.startswith("ValueSet/"):
            stored = read.read(self.reader, "ValueSet", value_set.partition("/")[2])
            if stored is None or stored.deleted:
                raise NotFound("there is no ValueSet with this id", place=value_set[:80])
            return codes_in(RecordShelf(self.reader), stored.resource)
        return codes_of(RecordShelf(self.reader), value_set)

    def below(self, system: str, code: str) -> Collection[tuple[str, str]]:
        """The code and what it subsumes; see sets.codes_below."""
        return {(system, each) for each in codes_below(RecordShelf(self.reader), system, code)}

    def above(self, system: str, code: str) -> Collection[tuple[str, str]]:
        """The code and what subsumes it; see sets.codes_above."""
        return {(system, each) for each in codes_above(RecordShelf(self.reader), system, code)}


def _order(resource: Resource) -> list[tuple[int, str]]:
    """Versions in the order of their numbers: 10 is above 9."""
    pieces = _PIECES.findall(str(resource.get("version", "")))
    return [(int(each), "") if each.isdecimal() and len(each) < 18 else (-1, each) for each in pieces]
