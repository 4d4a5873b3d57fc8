"""Which stored resource an arriving one is: found by its business identifiers, never by guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import Configuration
from gateway.model import Resource
from gateway.store import update
from gateway.store.request import Pair
from gateway.store.workspace import Working, Workspace

# Two orders may share an accession number (one examination, several procedures), so it alone does not make them one.
_WEAK = frozenset({"ACSN"})
_STRONG = frozenset({"PLAC", "FILL"})
# Entries of a directory: a double one is untidy, but no reason to hold a patient's result.
_DIRECTORY = frozenset({"Practitioner", "PractitionerRole", "Organization", "Location", "Device", "HealthcareService"})
_MOVED = "urn:hutong:moved-from"  # extension of what is moved: the Patient whose it was by mistake (A44, A45)
KEY = "urn:hutong:key"  # identifier system of the keys that the mapping derives
_SUBJECTS = ("code", "medicationCodeableConcept", "vaccineCode", "itemCodeableConcept", "type")
_NUMBERED = frozenset({"ServiceRequest", "DiagnosticReport"})


@dataclass(frozen=True, slots=True)
class Found:
    """The id of the one stored resource that it is, and what a person may want to know."""

    id: str | None
    notes: tuple[str, ...] = ()


def find(workspace: Workspace, arriving: Resource, condition: Sequence[Pair], *, patient: str | None) -> Found:
    """The resource, stored or new in the same transaction, that `arriving` is.

    `condition` are the identifiers of the request, `patient` is the id of its patient. Any other identifier of it
    counts too, of the same system, and of the same type where both say one. The number of another patient is
    another thing, unless `arriving` says that it is moved from that one. Raises Configuration when two stored
    resources match, or when a placer's or filler's number disagrees: a person decides.
    """
    kind = str(arriving["resourceType"])
    own = update.identifiers(arriving)
    notes: list[str] = []
    matches: list[Working] = []
    contrary: list[Working] = []
    moved: list[Working] = []
    given_up = _giving_up(workspace, arriving)
    for candidate in workspace.with_identifiers(kind, pairs(arriving, condition)):
        shared = _shared(candidate.result or {}, own, condition)
        if not shared or _named_apart(candidate.result or {}, own):
            continue
        if patient and candidate.patient and not _same_patient(workspace, candidate.patient, patient):
            if candidate.patient in given_up:
                moved.append(candidate)
                notes.append(f"{kind}: moved from another patient; what else was told of it there stays there")
            else:
                notes.append(f"{kind}: the number is known for another patient; kept apart")
        elif kind in _NUMBERED and _disagree(candidate.result or {}, own):
            if not all(update.identifier_types(each) & _WEAK for each in shared):
                contrary.append(candidate)
                continue
            notes.append(f"{kind}: another one shares the accession number; kept apart")
        else:
            matches.append(candidate)
    if contrary and not (matches and any(map(_further, (*matches, *contrary)))):
        raise Configuration(
            "one of its numbers belongs to a stored one whose other number of the same kind differs",
            place=kind,
            remedy="correct the numbers at the sender, or decide in the console which is right",
        )
    matches = _of_one_number(matches or moved, arriving, notes)
    if len(matches) > 1:
        if kind not in _DIRECTORY:
            raise several(kind, len(matches))
        notes.append(f"{kind}: its numbers belong to {len(matches)} stored ones; the one it was asked by is taken")
        matches.sort(
            key=lambda match: (
                not any(_is(each, p) for each in update.identifiers(match.result or {}) for p in condition)
            )
        )
    return Found(matches[0].id if matches else None, tuple(notes))


def several(kind: str, count: int) -> Configuration:
    """The error for one arriving resource that is several stored ones."""
    return Configuration(
        f"its numbers belong to {count} different stored ones",
        place=kind,
        remedy="decide in the console which is right, then replay",
    )


def pairs(arriving: Resource, condition: Sequence[Pair]) -> list[Pair]:
    """Every identifier to look for: those of the request, then the resource's others."""
    own = ((str(each.get("system", "")), str(each["value"])) for each in update.identifiers(arriving))
    return list(dict.fromkeys([*condition, *own]))


def _named_apart(stored: Resource, own: Sequence[Mapping[str, Any]]) -> bool:
    """Both carry a key of the gateway and not the same one: two panels of one report that share its filler number. One
    that is a further thing of a number is only found by its key."""
    ours = {each.get("value") for each in own if each.get("system") == KEY}
    theirs = {each.get("value") for each in update.identifiers(stored) if each.get("system") == KEY}
    return not ours & theirs and (bool(ours and theirs) or _is_further(own))


def _is_further(identifiers: Iterable[Mapping[str, Any]]) -> bool:
    """Is it one of several things of one number, and not the first of them? Its key tells the number and, behind it,
    what it is about (gateway/mapping/same_number.py)."""
    listed = list(identifiers)
    keys = tuple(str(each.get("value")) for each in listed if each.get("system") == KEY)
    numbers = (f"{each.get('system', '')}|{each.get('value')}/" for each in listed if each.get("system") != KEY)
    return bool(keys) and any(key.startswith(number) for number in numbers for key in keys)


def _further(working: Working) -> bool:
    return _is_further(update.identifiers(working.result or {}))


def _of_one_number(matches: list[Working], arriving: Resource, notes: list[str]) -> list[Working]:
    """Of several things that share the number by which something arrives: the one that is about the same, else the
    first of them, which has nothing but the number."""
    further = [each for each in matches if _further(each)]
    if not further or len(matches) < 2:
        return matches
    notes.append(f"{arriving['resourceType']}: several share its number; the one that is about the same is taken")
    first = [each for each in matches if each not in further]
    wanted = _about(arriving)
    alike = [each for each in (*first, *further) if wanted and wanted & _about(each.result or {})]
    return alike[:1] or first


def _about(resource: Resource) -> frozenset[tuple[str, str]]:
    """The codes, else the words, of what an order or a vaccination is about."""
    concept = next((found for name in _SUBJECTS if isinstance(found := resource.get(name), dict)), {})
    codes = ((str(each.get("system", "")), str(each["code"])) for each in concept.get("coding", ()) if each.get("code"))
    return frozenset(codes) or frozenset({("", str(text)) for text in (concept.get("text"),) if text})


def _giving_up(workspace: Workspace, arriving: Resource) -> frozenset[str]:
    """The ids of the Patients that `arriving` is moved from."""
    moved = (each.get("valueReference", {}) for each in arriving.get("extension", ()) if each.get("url") == _MOVED)
    numbers = [each["identifier"] for each in moved if each.get("identifier", {}).get("value")]
    pairs_of = [(str(each.get("system", "")), str(each["value"])) for each in numbers]
    return (
        frozenset(working.id for working in workspace.with_identifiers("Patient", pairs_of)) if numbers else frozenset()
    )


def _same_patient(workspace: Workspace, one: str, other: str) -> bool:
    return one == other or workspace.survivor(one) == workspace.survivor(other)


def _shared(stored: Resource, own: Sequence[Mapping[str, Any]], condition: Sequence[Pair]) -> list[Mapping[str, Any]]:
    """The stored identifiers by which the two are the same."""
    bare = [pair for pair in condition if not any(_is(each, pair) for each in own)]
    return [
        each
        for each in update.identifiers(stored)
        if any(update.same_identifier(each, mine) for mine in own) or any(_is(each, pair) for pair in bare)
    ]


def _is(identifier: Mapping[str, Any], pair: Pair) -> bool:
    system, value = pair
    return identifier.get("value") == value and (system is None or identifier.get("system", "") == system)


def _disagree(stored: Resource, own: Sequence[Mapping[str, Any]]) -> bool:
    """Both have a placer's (or filler's) number of one system, and no value in common."""
    ours, theirs = _numbers(own), _numbers(update.identifiers(stored))
    return any(not (ours[key] & theirs[key]) for key in ours.keys() & theirs.keys())


def _numbers(identifiers: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], set[str]]:
    numbers: dict[tuple[str, str], set[str]] = {}
    for each in identifiers:
        for kind in update.identifier_types(each) & _STRONG:
            numbers.setdefault((kind, each.get("system", "")), set()).add(str(each.get("value")))
    return numbers
