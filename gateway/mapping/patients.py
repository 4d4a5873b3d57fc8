"""Whose is it? A message about several patients, taken apart by them, so that nothing of one is taken for another's.

v2.5.1 §7.3.1 lets PATIENT_RESULT repeat in one ORU, §6.4.2 the patients of one BAR^P02; other messages are about one
patient, and one that names two is refused: nobody can tell which of them the rest is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from gateway.errors import Permanent
from gateway.mapping.graph import Graph
from gateway.mapping.structure import Segment
from gateway.mapping.syntax import Structure
from gateway.model import Resource

PERSON = "PID"
_PATIENT = "Patient"
_WHO = ("subject", "patient", "beneficiary")


def parts(segments: list[Segment], structure: Structure, notes: list[str]) -> list[list[Segment]]:
    """The segments of each patient, each time with the head of the message before them. `notes` gets what was left out
    because it was said twice. Raises Permanent for a second patient where there can be one only."""
    starts = [number for number, segment in enumerate(segments) if segment[0] == PERSON]
    if len(starts) < 2 or not _one(structure):
        return [segments]
    if structure.each == PERSON:
        head = segments[: starts[0]]
        return [head + segments[start:end] for start, end in pairwise((*starts, len(segments)))]
    first, *others = starts
    for other in others:
        if segments[other][2:] != segments[first][2:]:
            raise Permanent(
                f"the message is about two patients, and {structure.name} is about one",
                place=f"{PERSON}[{len([each for each in starts if each <= other])}]", code="101",
                remedy="it is kept; send one message for each patient",
            )  # fmt: skip
    notes.append(f"{PERSON} stands there {len(starts)} times and says the same: it was read once")
    return [[segment for number, segment in enumerate(segments) if number not in others]]


def head(structure: Structure) -> frozenset[str]:
    """The segments that stand before the patients of a message about several."""
    names = [item.segment for item in structure.root.items]
    return frozenset(names[: names.index(structure.each)])


def by_patient(leads: Sequence[Resource], graph: Graph, structure: Structure) -> list[list[Resource]]:
    """The lead resources of each patient, in order. Raises Permanent where a message is about one patient only."""
    persons = _persons(graph) if structure.each == PERSON and _PATIENT in structure.others else []
    if (len(leads) < 2 and len(persons) < 2) or not _one(structure):
        return [list(leads)]
    found: dict[int | str, list[Resource]] = {id(each): [] for each in persons}
    for lead in leads:
        found.setdefault(_who(lead, graph), []).append(lead)
    for person in persons:  # what a message is about may be the patient alone
        if not found[id(person)]:
            found[id(person)].append(person)
    if len(found) > 1 and structure.each != PERSON:
        raise Permanent(
            f"the resources are about {len(found)} patients, and {structure.name} is about one",
            place="Bundle.entry",
            remedy="give one Bundle for each patient",
        )
    return list(found.values())


def _persons(graph: Graph) -> list[Resource]:
    """The patients, in order, without those that were merged into others."""
    found = (each for each in graph.resources.values() if each["resourceType"] == _PATIENT)
    return [each for each in found if each.get("active") is not False]


def number(segments: list[Segment]) -> None:
    """PID-1 of a message about several patients counts them (v2.5.1 §3.4.2.1)."""
    found = [segment for segment in segments if segment[0] == PERSON]
    if len(found) > 1 and any(len(segment) > 1 and segment[1] for segment in found):
        for position, segment in enumerate(found, 1):
            segment[1] = str(position)


def _who(lead: Resource, graph: Graph) -> int | str:
    """What tells a patient from another: the resource itself, else how the lead names it."""
    if lead["resourceType"] == _PATIENT:
        return id(lead)
    said = next((each for name in _WHO if (each := lead.get(name))), None)
    reference = said[0] if isinstance(said, list) else said
    if not isinstance(reference, Mapping):
        return ""
    resource = graph.resolve(dict(reference))
    return id(resource) if resource is not None else str(reference.get("reference") or reference)


def _one(structure: Structure) -> bool:
    """Does PID stand once in it, for all the rest?"""
    return any(item.segment == PERSON and not item.repeats for item in structure.root.items)
