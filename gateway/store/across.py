"""Searches that go over several resource types, one behind the other, in pages that stay in their order.

A search of the whole system (R4 http.html#search), and all that belongs to one patient or encounter (R4
patient-operation-everything.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.db.engine import Reader
from gateway.errors import Permanent
from gateway.fhir import compartments, definitions, reference
from gateway.store import clause, includes, query, read, search, subset
from gateway.store.clause import Around, Inside
from gateway.store.columns import columns
from gateway.store.query import Handling, Pairs, Query
from gateway.store.stored import Page, Stored

ROUNDS = 2  # of what the matches refer to: a role, and who has it


PEOPLE = 100  # patients that one page of everybody's everything looks at
PATIENTS = "SELECT id FROM resource WHERE type = 'Patient' AND deleted = 0 AND id >= ? ORDER BY id LIMIT ?"
FEW = 8  # types that are counted when nobody asked for the total


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
    return _several(reader, [query.read(each, pairs, handling=handling, around=around) for each in sorted(set(types))])


def _several(reader: Reader, queries: list[Query]) -> Page:
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
    elif page.total is None and len(queries) < FEW:
        counts = [search.count(reader, each, search.SOON) for each in queries]
        page = replace(page, total=sum(counts) if max(counts) < search.SOON else None)
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


def compartment(
    reader: Reader, whose: str, types: Sequence[str], pairs: Pairs, *, handling: Handling, around: Around
) -> Page:
    """`GET Patient/1/Observation?…`, `GET Patient/1/*`: those that belong to one resource (`whose`: 'Patient/1')."""
    queries = [query.read(each, pairs, handling=handling, around=around) for each in sorted(set(types))]
    for each in queries:
        each.criteria.append(_inside(whose, each.type))
    return search.run(reader, queries[0]) if len(queries) == 1 else _several(reader, queries)


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
    """A page of a patient or an encounter, itself first, with all that belongs to it and to nobody else, and what that
    refers to of people, places, medicines and attachments. Permanent for a type that there is not."""
    kind = whose.partition("/")[0]
    if wrong := [each for each in asked.types if each not in definitions.resource_types()]:
        raise Permanent(f"there is no resource type {wrong[0][:40]!r} in FHIR R4", place="_type")
    types = dict.fromkeys((kind, *compartments.parameters(kind)))
    outside = set(asked.types) - types.keys()  # comes only with what refers to it: all of that is looked at
    wanted = [each for each in types if not asked.types or outside or each in asked.types]
    page = run(reader, [_of_care(whose, each, asked) for each in wanted], count=asked.count, cursor=asked.cursor)
    person = _person(reader, whose)
    own = [each for each in page.matches if not _of_another(each, person)]
    others = [each for each in _referred(reader, own, kind, person) if not asked.types or each.type in asked.types]
    matches = [each for each in own if not asked.types or each.type in asked.types]
    return replace(page, matches=matches, included=others, total=None if page.total is None else len(matches))


def everybody(reader: Reader, asked: Everything) -> Page:
    """The same of all patients, one behind the other by their ids. A page ends after PEOPLE patients too: it may be
    short, even empty, and still have a next one."""
    begin, _, inner = asked.cursor.partition("/")
    keys = [row[0] for row in reader.execute(PATIENTS, (begin, PEOPLE + 1))]
    following = f"{keys[PEOPLE]}/" if len(keys) > PEOPLE else None
    matches: dict[str, Stored] = {}  # what belongs to two of them comes once
    included: dict[str, Stored] = {}
    for key in keys[:PEOPLE]:
        if len(matches) >= asked.count:
            following = f"{key}/"
            break
        left = replace(asked, count=asked.count - len(matches), cursor=inner if key == begin else "")
        page = everything(reader, f"Patient/{key}", left)
        matches.update((stored.reference, stored) for stored in page.matches)
        included.update((stored.reference, stored) for stored in page.included)
        if page.next is not None:
            following = f"{key}/{page.next}"
            break
    total = len(matches) if following is None and not asked.cursor else None
    return Page(total=total, matches=[*matches.values()], included=[*included.values()], next=following)


def _person(reader: Reader, whose: str) -> str:
    """The id of the patient whose record it is; "" where nobody says."""
    kind, _, key = whose.partition("/")
    if kind == "Patient":
        return key
    stored = read.read(reader, kind, key)
    return _patient_of(stored) if stored is not None else ""


def _patient_of(stored: Stored) -> str:
    element = columns(stored.type).patient_element
    pointer = stored.resource.get(element, {}) if element else {}
    parsed = reference.parse(str(pointer.get("reference", ""))) if isinstance(pointer, dict) else None
    return parsed.id if parsed is not None and parsed.type == "Patient" and not parsed.base else ""


def _of_another(stored: Stored, person: str) -> bool:
    """Is it about somebody else? A mother who noted something of her child, or a child whose birth is part of her stay,
    does not bring the one's record into the other's."""
    about = _patient_of(stored) if person and stored.type != "Patient" else ""
    return bool(about) and about != person


def _of_care(whose: str, type: str, asked: Everything) -> Query:
    """The search of one type."""
    kind, _, key = whose.partition("/")
    pairs = [("_lastUpdated", f"ge{asked.since.replace(' ', '+')}")] if asked.since else []
    if type == kind:
        return query.read(type, [*pairs, ("_id", key)])
    date = columns(type).date
    if date and date != "birthdate":  # of a related person: no date of care
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


def _referred(reader: Reader, matches: Sequence[Stored], kind: str, person: str) -> list[Stored]:
    """What the matches refer to and does not itself belong: practitioners, organizations, places, medicines and what
    is attached; and what those refer to in their turn. Of people the patient alone."""
    belongs = compartments.parameters(kind)
    seen = {match.reference for match in matches}
    found: list[Stored] = []
    edge = list(matches)
    for _ in range(ROUNDS):
        names = dict.fromkeys(name for version in edge for name in _pointed(version))
        edge = []
        for name in names:
            type_name, _, key = name.partition("/")
            foreign = type_name in belongs or type_name == kind or (type_name == "Patient" and key != person)
            if foreign or name in seen:
                continue
            seen.add(name)
            stored = read.read(reader, type_name, key)
            if stored is not None and not stored.deleted:
                edge.append(stored)
        found += edge
    return found


def _pointed(version: Stored) -> Iterator[str]:
    """'Type/id' of all that it refers to on this server, attachments too."""
    for pointer in reference.find(version.resource):
        parsed = reference.parse(str(pointer.get("reference", "")))
        if parsed is not None and not parsed.base:
            yield f"{parsed.type}/{parsed.id}"
    yield from read.attached(version.resource)
