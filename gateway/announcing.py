"""What a member is told of people who were merged or parted, and by which of their numbers it knows them.

A survivor is written with the numbers of all its records: a member that knows the person by a number of the retired
one keeps its own. A merge is told as A40, its undoing as A37 (HL7 v2.5.1 §3.3.40, §3.3.37), to a member of which both
numbers are, or that has none of its own; to the others nothing happened but an update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.db.engine import Reader
from gateway.db.record import survivor, tree
from gateway.model import Change, Community, Member, Resource, Subscription
from gateway.routing import owner_of
from gateway.store import read

Deed = Literal["merge", "unmerge"]
STRUCTURES: Final[Mapping[Deed, tuple[str, str]]] = {"merge": ("ADT_A39", "A40"), "unmerge": ("ADT_A37", "A37")}


@dataclass(frozen=True, slots=True)
class Joined:
    """A change of a Patient that is the merge of another one into it, or the end of that."""

    deed: Deed
    other: str  # id of the Patient that was retired, or lives again
    retired: bool = False  # it is the change of the other one itself: told by the survivor's


def joined(reader: Reader, change: Change) -> Joined | None:
    """What a change of a Patient did to its links; None where it did nothing."""
    if change.type != "Patient" or change.version < 1:
        return None
    now = read.vread(reader, "Patient", change.id, change.version)
    before = read.vread(reader, "Patient", change.id, change.version - 1) if change.version > 1 else None
    new, old = (_links(each.resource) if each is not None and not each.deleted else {} for each in (now, before))
    for target in sorted(new.keys() ^ old.keys()):
        kind = new.get(target, old.get(target, ""))
        deed: Deed = "merge" if target in new else "unmerge"
        if kind in ("replaces", "replaced-by"):
            return Joined(deed, target, kind == "replaced-by")
    return None


def _links(patient: Resource) -> dict[str, str]:
    return {
        str(each.get("other", {}).get("reference", "")).removeprefix("Patient/"): str(each.get("type", ""))
        for each in patient.get("link", ())
    }


def concerns(reader: Reader, found: Joined, change: Change, *, member: Member, community: Community) -> bool:
    """Does the member have a number of both, or of neither?"""
    known = []
    for patient in (change.id, found.other):
        stored = read.read(reader, "Patient", patient)
        systems = [str(each.get("system", "")) for each in _numbers(stored.resource if stored else {})]
        known.append(any(owner_of(system, community) == member.id for system in systems))
    return known[0] is known[1]


@dataclass(frozen=True, slots=True)
class Announced:
    """A message about two Patients: its structure and event, what it is made of, whom it is about in their order."""

    structure: str
    event: str
    leads: tuple[str, ...]
    resources: dict[str, Resource]


def announced(resources: Mapping[str, Resource], change: Change, found: Joined, other: Resource) -> Announced:
    """The message of a merge: of these two, and of no earlier merge of the same survivor."""
    kept = {name: each for name, each in resources.items() if each["resourceType"] != "Patient"}
    lead, second = resources[change.reference], f"Patient/{found.other}"
    links = [each for each in lead.get("link", ()) if each.get("other", {}).get("reference") == second]
    lead = {name: each for name, each in lead.items() if name != "link"} | ({"link": links} if links else {})
    leads = (change.reference,) if found.deed == "merge" else (change.reference, second)
    return Announced(*STRUCTURES[found.deed], leads, {change.reference: lead, second: other, **kept})


def told_by_the_other(reader: Reader, change: Change, subscription: Subscription, community: Community) -> bool:
    """Is it the change of the retired Patient, of which the survivor's tells a member that takes messages?"""
    found = joined(reader, change) if subscription.format == "hl7v2" and change.type == "Patient" else None
    if found is None or not found.retired:
        return False
    member = next(each for each in community.members.values() if subscription in each.subscriptions)
    return found.deed == "merge" or concerns(reader, found, change, member=member, community=community)


def whole(reader: Reader, patient: Resource, *, alone: bool = False) -> Resource:
    """A Patient with the numbers of all records of the person; of each system those of the survivor first, and none
    that was changed or given to somebody else since where there is one that holds. `alone`: without its links."""
    records = tree(reader, survivor(reader, str(patient.get("id", ""))))
    numbers = _numbers(patient)
    for each in records:
        stored = read.read(reader, "Patient", each) if each != patient.get("id") else None
        systems = {number.get("system") for number in numbers}
        if stored is not None and not stored.deleted:
            numbers += [number for number in _numbers(stored.resource) if number.get("system") not in systems]
    systems = {number.get("system") for number in numbers}
    former = [each for each in patient.get("identifier", ()) if each.get("use") == "old"]
    numbers += [each for each in former if each.get("system") not in systems]
    said = {name: each for name, each in patient.items() if name != "link" or not alone}
    return {**said, "identifier": numbers} if numbers else said


def _numbers(patient: Resource) -> list[dict[str, Any]]:
    return [dict(each) for each in patient.get("identifier", ()) if each.get("use") != "old"]
