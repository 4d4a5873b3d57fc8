"""Searches that go over several resource types, one behind the other, in pages that stay in their order.

A search of the whole system (R4 http.html#search), and all that belongs to one patient or encounter (R4
patient-operation-everything.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.db.engine import Reader
from gateway.errors import Permanent
from gateway.fhir import compartments, reference
from gateway.store import clause, query, read, search
from gateway.store.clause import Inside
from gateway.store.columns import columns
from gateway.store.query import Pairs, Query
from gateway.store.stored import Page, Stored


def run(reader: Reader, queries: Sequence[Query], *, count: int, cursor: str = "") -> Page:
    """One page of several searches, each of another type, one behind the other."""
    names = [each.type for each in queries]
    begin, _, inner = cursor.partition(":")
    if cursor and begin not in names:
        raise Permanent("not a cursor of this search", place="_cursor", remedy="start with the first page")
    left = queries[names.index(begin) if cursor else 0 :]
    matches: list[Stored] = []
    included: dict[str, Stored] = {}
    following = None
    for number, each in enumerate(left, 1):
        each.count, each.cursor = count - len(matches), "" if number > 1 else inner
        page = search.run(reader, each)
        matches += page.matches
        included.update((stored.reference, stored) for stored in page.included)
        if page.next is not None:
            following = f"{each.type}:{page.next}"
            break
        if len(matches) == count and number < len(left):
            following = f"{left[number].type}:"
            break
    known = {stored.reference for stored in matches}
    others = [stored for name, stored in included.items() if name not in known]
    total = len(matches) if following is None and not cursor else None
    return Page(total=total, matches=matches, included=others, next=following)


def system(reader: Reader, types: Iterable[str], pairs: Pairs) -> Page:
    """`GET [base]?_type=…&…`: all of these types by parameters that all of them have."""
    around = search.here(reader)
    queries = [query.read(each, pairs, around=around) for each in sorted(types)]
    if not queries:
        raise Permanent("no resource type", place="_type")
    return run(reader, queries, count=queries[0].count, cursor=queries[0].cursor)


def compartment(reader: Reader, whose: str, type: str, pairs: Pairs) -> Page:
    """`GET Patient/1/Observation?…`: those of a type that belong to one resource (`whose`: 'Patient/1')."""
    asked = query.read(type, pairs, around=search.here(reader))
    asked.criteria.append(_inside(whose, type))
    return search.run(reader, asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """What of it is wanted: dates of care (`start`, `end`), changes since an instant of the server, types ((): all)."""

    start: str = ""
    end: str = ""
    since: str = ""
    types: tuple[str, ...] = ()
    count: int = query.DEFAULT_COUNT
    cursor: str = ""


def everything(reader: Reader, whose: str, asked: Everything) -> Page:
    """A page of a patient or an encounter, itself first, with all that belongs to it, and what that refers to."""
    kind = whose.partition("/")[0]
    types = dict.fromkeys((kind, *compartments.parameters(kind)))
    wanted = [each for each in types if not asked.types or each in asked.types]
    page = run(reader, [_of_care(whose, each, asked) for each in wanted], count=asked.count, cursor=asked.cursor)
    others = [each for each in _referred(reader, page.matches, kind) if not asked.types or each.type in asked.types]
    return replace(page, included=others)


def _of_care(whose: str, type: str, asked: Everything) -> Query:
    """The search of one type."""
    kind, _, key = whose.partition("/")
    pairs = [("_lastUpdated", f"ge{asked.since}")] if asked.since else []
    if type == kind:
        return query.read(type, [*pairs, ("_id", key)])
    if date := columns(type).date:
        pairs += [(date, f"ge{asked.start}")] if asked.start else []
        pairs += [(date, f"le{asked.end}")] if asked.end else []
    made = query.read(type, pairs)
    made.criteria.append(_inside(whose, type))
    return made


def _inside(whose: str, type: str) -> Inside:
    names = compartments.parameters(whose.partition("/")[0]).get(type)
    if not names:
        raise Permanent(f"{type} belongs to no {whose.partition('/')[0]}", place="compartment")
    return clause.inside(type, names, whose)


def _referred(reader: Reader, matches: Sequence[Stored], kind: str) -> list[Stored]:
    """What the matches refer to and does not itself belong: practitioners, organizations, places, medicines."""
    belongs = compartments.parameters(kind)
    found: dict[str, Stored] = {}
    for match in matches:
        for pointer in reference.find(match.resource):
            parsed = reference.parse(str(pointer.get("reference", "")))
            if parsed is None or parsed.base or parsed.type in belongs or parsed.type == kind:
                continue
            name = f"{parsed.type}/{parsed.id}"
            if name not in found:
                stored = read.read(reader, parsed.type, parsed.id)
                if stored is not None and not stored.deleted:
                    found[name] = stored
    return list(found.values())
