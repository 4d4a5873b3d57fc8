"""The code tables of the maps and of members as R4 resources: CodeSystem, ConceptMap.

`every` is all of it in the order in which it is written: what R4 publishes, with the codes of others that our maps make
added to the parts that are held of them; then the tables of the maps, then those of members. Ids and URLs are stable;
versions and dates are the record's affair.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from gateway.mapping.charts import members, parts, tables, words
from gateway.mapping.charts.published import Published
from gateway.mapping.charts.uses import uses
from gateway.mapping.library import Library
from gateway.model import Member, Resource
from gateway.terminology import hl7

SHIPPED = 1  # of what is made here; changes with the code


def fingerprints(library: Library, community: Iterable[Member]) -> tuple[str, str]:
    """(of the maps and what is shipped, of the members' lists): the same as long as `every`, and `of_members`, give the
    same. Takes a few milliseconds."""
    lists = hashlib.sha256()
    for member in community:
        told_by = (member.profile.codes, member.profile.concepts)
        lists.update(repr((member.id, member.name, member.facilities, *told_by)).encode())
    return _of_maps(library), lists.hexdigest()[:16]


def _of_maps(library: Library) -> str:
    made = hashlib.sha256(f"{SHIPPED} {hl7.digest()}".encode())
    for table in library.codes.values():
        made.update(repr((table.name, table.into, table.back, table.system)).encode())
    for block, line in parts.lines(library):
        if line.codes or line.arguments or line.constant:
            told = (block.path, line.path, line.codes, line.datatype, line.arguments, line.constant, line.sources)
            made.update(repr(told).encode())
    made.update(repr((sorted(library.systems.items()), sorted(library.coding_systems.items()))).encode())
    return made.hexdigest()[:16]


def every(library: Library, community: Iterable[Member]) -> Iterator[Resource]:
    """All of them, valid R4. The same settings and maps give the same."""
    published = Published(list(hl7.shipped()))
    yield from parts.completed(published, library)
    found = uses(library, published)
    for name in sorted(library.codes):
        yield from tables.charted(library.codes[name], found[name], published, library.codes)
    yield from words.charted(library.codes, found, published)
    for member in community:
        yield from members.charted(member, found, published, library)


def of_members(library: Library, community: Iterable[Member]) -> Iterator[Resource]:
    """Those of members alone."""
    published = Published(list(hl7.shipped()))
    found = uses(library, published)
    for member in community:
        yield from members.charted(member, found, published, library)
