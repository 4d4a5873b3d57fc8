"""Adds to the matches of a search what they refer to, or what refers to them (R4 search.html#include)."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.db.engine import Reader
from gateway.db.record import parameter_number
from gateway.fhir import reference
from gateway.fhir.searchparameters import SearchParameter, parameters
from gateway.store import canonicals, read
from gateway.store.columns import columns
from gateway.store.query import Include, Query
from gateway.store.stored import Stored

MAXIMUM_ROUNDS = 8
MAXIMUM_INCLUDED = 10_000
_DIGITS = 9  # of a version: more is none, and beyond what a column holds
_CHUNK = 400  # values bound in one statement
_BY_IDS = f"SELECT {read.COLUMNS} FROM resource r WHERE r.type = ? AND r.deleted = 0 AND r.id IN "
_BY_PATIENTS = f"SELECT {read.COLUMNS} FROM resource r WHERE r.deleted = 0 AND r.type = ? AND r.patient IN "
_BY_TARGETS = (
    f"SELECT {read.COLUMNS} FROM index_reference f JOIN resource r ON r.rid = f.rid "
    "WHERE f.parameter = ? AND f.target IN "
)
_BY_URLS = (
    f"SELECT {read.COLUMNS} FROM index_uri u JOIN resource r ON r.rid = u.rid "
    "WHERE r.deleted = 0 AND u.parameter = ? AND u.value IN "
)


def included(reader: Reader, asked: Query, matches: Sequence[Stored]) -> list[Stored]:
    """What _include and _revinclude add; those with :iterate also to what was added. Nothing twice, no match."""
    found: dict[str, Stored] = {}
    known = {_named_version(match) for match in matches}
    edge: Sequence[Stored] = matches
    for turn in range(MAXIMUM_ROUNDS):
        includes = [each for each in asked.includes if each.iterate or turn == 0]
        revincludes = [each for each in asked.revincludes if each.iterate or turn == 0]
        fresh: list[Stored] = []
        for version in _round(reader, includes, revincludes, edge):
            name = _named_version(version)
            if name not in known and len(found) < MAXIMUM_INCLUDED:
                known.add(name)
                found[name] = version
                fresh.append(version)
        if not fresh:
            break
        edge = fresh
    return list(found.values())


def _named_version(version: Stored) -> str:
    return f"{version.reference}/{version.version}"


def _round(
    reader: Reader, includes: Sequence[Include], revincludes: Sequence[Include], edge: Sequence[Stored]
) -> Iterator[Stored]:
    wanted: dict[str, list[str]] = {}
    old: dict[reference.Literal, None] = {}
    for each in includes:
        for text in _pointed(each, edge):
            literal = reference.parse(text)
            if literal is None or literal.base or each.target not in ("", literal.type):
                continue
            if literal.version:
                old[literal] = None
            else:
                wanted.setdefault(literal.type, []).append(literal.id)
    for kind, ids in wanted.items():
        yield from _rows(reader, _BY_IDS, kind, list(dict.fromkeys(ids)))
    yield from filter(None, (_of_version(reader, each) for each in old))
    for each in includes:
        yield from _named(reader, each, edge)
    for each in revincludes:
        yield from _pointing(reader, each, edge)


def _of_version(reader: Reader, literal: reference.Literal) -> Stored | None:
    """A reference to a version brings that version, as long as the resource is there (R4 search.html#include)."""
    current = read.read(reader, literal.type, literal.id)
    if current is None or current.deleted or not literal.version.isdecimal() or len(literal.version) > _DIGITS:
        return None
    found = read.vread(reader, literal.type, literal.id, int(literal.version))
    return found if found is not None and not found.deleted else None


def _pointed(include: Include, edge: Sequence[Stored]) -> Iterator[str]:
    """Literal references that the included parameter selects."""
    for version in edge:
        if include.source not in ("*", version.type):
            continue
        resource = version.resource
        if include.parameter == "*":
            pointers = reference.find(resource)
        else:
            pointers = parameters(version.type)[include.parameter].extract(resource)
        for pointer in pointers:
            text = pointer.get("reference") if isinstance(pointer, dict) else None
            if isinstance(text, str):
                yield text


def _named(reader: Reader, include: Include, edge: Sequence[Stored]) -> Iterator[Stored]:
    """What the included parameter's canonicals name."""
    asked: dict[str, set[tuple[str, str]]] = {}  # type → (URL, version)
    for version in edge:
        if include.source not in ("*", version.type):
            continue
        known = parameters(version.type)
        for parameter in known.values() if include.parameter == "*" else [known[include.parameter]]:
            kinds = [kind for kind in parameter.targets if include.target in ("", kind)]
            leading = [kind for kind in kinds if canonicals.leads(parameter, kind)]
            names = canonicals.told(version.resource, parameter) if leading else ()
            for kind in leading if names else ():
                asked.setdefault(kind, set()).update(names)
    for kind, pairs in asked.items():
        for found in _rows(reader, _BY_URLS, parameter_number(kind, "url"), sorted({url for url, _ in pairs})):
            if any(canonicals.means(url, wanted, found.resource) for url, wanted in pairs):
                yield found


def _pointing(reader: Reader, include: Include, edge: Sequence[Stored]) -> Iterator[Stored]:
    kept = [version for version in edge if include.target in ("", version.type)]
    if include.source == "*":
        for kind in read.types(reader):
            yield from _pointing_of(reader, kind, "*", kept)
    else:
        yield from _pointing_of(reader, include.source, include.parameter, kept)


def _pointing_of(reader: Reader, source: str, parameter: str, kept: Sequence[Stored]) -> Iterator[Stored]:
    """Those of one type that refer to any of `kept`."""
    own, known = columns(source), parameters(source)
    there = {version.type for version in kept}
    names = [parameter] if parameter != "*" else _leading_to(source, there)
    patients = [version.id for version in kept if version.type == "Patient"]
    if patients and own.patient & set(names):
        yield from _rows(reader, _BY_PATIENTS, source, patients)
    for name in names:
        targets = [version.reference for version in kept if version.type in known[name].targets]
        yield from _rows(reader, _BY_TARGETS, parameter_number(source, name), targets)
        yield from _naming(reader, source, known[name], kept)


def _naming(reader: Reader, source: str, parameter: SearchParameter, kept: Sequence[Stored]) -> Iterator[Stored]:
    """Those of one type whose canonicals name any of `kept`."""
    resources = [version.resource for version in kept if canonicals.leads(parameter, version.type)]
    urls = [str(each["url"]) for each in resources if "url" in each]
    for found in _rows(reader, _BY_TARGETS, parameter_number(source, parameter.name), urls):
        if canonicals.refers(found.resource, parameter, resources):
            yield found


def _leading_to(source: str, types: Iterable[str]) -> list[str]:
    wanted = frozenset(types)
    found = parameters(source).values()
    return [each.name for each in found if each.kind == "reference" and not wanted.isdisjoint(each.targets)]


def _rows(reader: Reader, sql: str, first: str | int, values: Sequence[str]) -> Iterator[Stored]:
    for chunk in _chunks(values):
        marks = ", ".join("?" * len(chunk))
        for row in reader.execute(f"{sql}({marks})", (first, *chunk)):
            yield read.stored(row)


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
