"""What a caller of $export asks for, read and checked (FHIR Bulk Data Access 2.0 §query-parameters)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway.api import answer
from gateway.api.form import PRESENTATION
from gateway.api.resource import parts_of
from gateway.api.security import Grant
from gateway.bulk import Asked
from gateway.bulk.selection import filter_of, of_patients
from gateway.fhir import dates, definitions
from gateway.model import Resource
from gateway.store import clause
from gateway.store.clause import Around

_FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_KNOWN: Final = frozenset({"_outputFormat", "_since", "_type", "_typeFilter", "_elements", "patient"})
_NEXT_FILTER: Final = re.compile(r",(?=[A-Z][A-Za-z]+\?)")  # as Bulk Data 1.0 joins them
_ELEMENT: Final = re.compile(r"(?:([A-Z][A-Za-z]+)\.)?[a-z][A-Za-z]*")
_PATIENT: Final = re.compile(r"(?:.*/)?Patient/([A-Za-z0-9\-.]{1,64})")

Pairs = Sequence[tuple[str, str]]


def pairs_of(parameters: Resource) -> Iterator[tuple[str, str]]:
    """Parameters as names and texts; a reference as what it refers to."""
    for each in parts_of(parameters):
        value = next((each[name] for name in each if name.startswith("value")), None)
        text = value.get("reference") if isinstance(value, dict) else value
        yield str(each.get("name", "")), str("" if text is None else text)


def read(
    pairs: Pairs, *, level: str, group: str, grant: Grant, lenient: bool, around: Around
) -> tuple[Asked, list[str]]:
    """What is asked for, and the names of what a lenient caller lets us leave out. Refusal 400, 403."""
    left_out = sorted({name for name, _ in pairs} - _KNOWN - PRESENTATION)
    if left_out and not lenient:
        raise answer.Refusal(400, f"$export does not know {left_out[0][:40]!r}; it takes {', '.join(sorted(_KNOWN))}")
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    if any(each.replace(" ", "+").lower() not in _FORMATS for each in given.get("_outputFormat", ())):
        raise answer.Refusal(400, "an export is NDJSON: leave _outputFormat out, or write application/fhir+ndjson")
    filters = tuple(part for each in given.get("_typeFilter", ()) for part in _NEXT_FILTER.split(each) if part)
    types = _types(_split(given.get("_type", ())), level=level, grant=grant)
    for each in filters:
        kind = filter_of(each, around).type
        if kind not in types:
            raise answer.Refusal(400, f"_typeFilter is about {kind}, which is not among the types exported")
    asked = Asked(
        level=level, group=group, types=types, since=_since(given.get("_since", [])), filters=filters,
        elements=_elements(_split(given.get("_elements", ()))), patients=_patients(given.get("patient", ()), level),
    )  # fmt: skip
    return asked, left_out


def _split(values: Iterable[str]) -> list[str]:
    return [part.strip() for each in values for part in each.split(",") if part.strip()]


def _types(named: Sequence[str], *, level: str, grant: Grant) -> tuple[str, ...]:
    """The types that are exported, in their order. Refusal 400 for what is none or belongs to no patient, 403 for what
    the token may not read and search."""
    there = of_patients() if level else definitions.resource_types()
    for each in named:
        if each not in definitions.resource_types():
            raise answer.Refusal(400, f"there is no resource type {each[:40]!r} in FHIR R4")
        if each not in there:
            raise answer.Refusal(400, f"{each} belongs to no patient; export it from the system")
        if not _allowed(grant, each):
            raise answer.Refusal(403, f"this token does not allow it; its scope would have to hold system/{each}.rs")
    found = tuple(sorted(set(named) or {each for each in there if _allowed(grant, each)}))
    if not found:
        raise answer.Refusal(403, "this token does not allow it; its scope would have to hold system/*.rs")
    return found


def _allowed(grant: Grant, kind: str) -> bool:
    return grant.allows(kind, "r") and grant.allows(kind, "s")


def _since(values: Sequence[str]) -> int | None:
    """Microseconds since 1970."""
    if not values:
        return None
    try:
        return dates.interval(values[-1].replace(" ", "+"), clause.zone())[0]
    except (ValueError, OverflowError):
        raise answer.Refusal(400, "_since is a time such as 2026-03-05T10:00:00+08:00") from None


def _elements(named: Sequence[str]) -> tuple[str, ...]:
    for each in named:
        match = _ELEMENT.fullmatch(each)
        if match is None or (match[1] and match[1] not in definitions.resource_types()):
            raise answer.Refusal(400, "_elements is a list such as id,Patient.name,Observation.code")
    return tuple(named)


def _patients(references: Iterable[str], level: str) -> tuple[str, ...]:
    matches = [_PATIENT.fullmatch(each) for each in references]
    if matches and not level:
        raise answer.Refusal(400, "patients are named for an export of Patient or Group")
    if not all(matches):
        raise answer.Refusal(400, "patient is a reference such as Patient/123")
    return tuple(dict.fromkeys(match[1] for match in matches if match))
