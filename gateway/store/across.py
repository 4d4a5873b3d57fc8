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
from gateway.store import clause, includes, query, read, search, subset
from gateway.store.clause import Around, Inside
from gateway.store.columns import columns
from gateway.store.query import Handling, Pairs, Query
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
        each.total = "none"
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
    ignored = tuple(dict.fromkeys(name for each in queries for name in each.ignored))
    return Page(total=total, matches=matches, included=others, next=following, ignored=ignored)


def system(reader: Reader, types: Iterable[str], pairs: Pairs, *, handling: Handling, around: Around) -> Page:
    """`GET [base]?_type=…&…`: all of these types by parameters that all of them have."""
    queries = [query.read(each, pairs, handling=handling, around=around) for each in sorted(set(types))]
    if not queries:
        return Page(total=0, matches=[], included=[], next=None)
    first = queries[0]
    if first.counts_only:
        total = sum(search.count(reader, each) for each in queries)
        return Page(total=total, matches=[], included=[], next=None, ignored=tuple(first.ignored))
    wanted = first.total
    if [name for name, _ in first.sort] == ["_lastUpdated"]:
        page = _by_time(reader, queries)
    elif any(name != "_id" for name, _ in first.sort) and len(queries) > 1:
        raise Permanent("several types are sorted by _lastUpdated only", place="_sort", remedy="search one type")
    else:
        page = run(reader, queries, count=first.count, cursor=first.cursor)
    if wanted in ("accurate", "estimate"):
        page = replace(page, total=sum(search.count(reader, each) for each in queries))
    return replace(page, total=None) if wanted == "none" else page


def _by_time(reader: Reader, queries: Sequence[Query]) -> Page:
    """A page of several types by meta.lastUpdated: the cursor of one is the cursor of all."""
    first, descending = queries[0], queries[0].sort[0][1]
    found = [keyed for each in queries for keyed in search.keyed(reader, each)]
    found.sort(key=lambda keyed: keyed[0][8:], reverse=descending)
    matches = [read.stored(row[:7]) for row, _ in found[: first.count]]
    more = len(found) > first.count
    others: dict[str, Stored] = {}
    for each in queries:
        added = includes.included(reader, each, [match for match in matches if match.type == each.type])
        others.update((stored.reference, stored) for stored in added)
    known = {match.reference for match in matches}
    return Page(
        total=len(matches) if not more and not first.cursor else None,
        matches=[subset.cut(match, summary=first.summary, elements=first.elements) for match in matches],
        included=[subset.cut(each, summary=first.summary) for name, each in others.items() if name not in known],
        next=found[first.count - 1][1].cursor(found[first.count - 1][0]) if more else None,
        ignored=tuple(dict.fromkeys(name for each in queries for name in each.ignored)),
    )


def compartment(reader: Reader, whose: str, type: str, pairs: Pairs, *, handling: Handling, around: Around) -> Page:
    """`GET Patient/1/Observation?…`: those of a type that belong to one resource (`whose`: 'Patient/1')."""
    asked = query.read(type, pairs, handling=handling, around=around)
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
