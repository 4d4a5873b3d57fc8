"""Makes one person of two Patients, and two of one, when a person or a rule says so (not a message: transact.py).

What refers to them follows (merging.py). Who did it and why becomes a Provenance in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.db.engine import Transaction
from gateway.db.record import tree
from gateway.errors import Permanent
from gateway.model import Change, Resource
from gateway.store import merging, pointers, read, update
from gateway.store.stored import Missing, instant, milliseconds
from gateway.store.workspace import Working, Workspace

VERSIONS: Final = 100  # of a Patient that are looked at, the newest
LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"  # of Provenance.activity


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Who wants it and why, when, and the journal entry that it came of."""

    by: str
    why: str
    at: datetime
    entry: int | None = None


def merge(transaction: Transaction, retired: str, survivor: str, reason: Reason) -> tuple[Change, ...]:
    """Retire a Patient: it lives on as the other one. () when they are one person already. Raises Missing for a
    Patient that is not there."""
    workspace = Workspace(transaction, milliseconds(reason.at))
    gone, heir = (_living(workspace, each) for each in (retired, survivor))
    if gone is heir:
        return ()
    gone.result = _linked(gone.result or {}, heir.id, "replaced-by") | {"active": False}
    heir.result = _linked(heir.result or {}, gone.id, "replaces")
    gone.touched = heir.touched = True
    _told(workspace, "merge", (gone, heir), reason)
    return workspace.write(reason.entry)


def part(transaction: Transaction, one: str, other: str, reason: Reason) -> tuple[Change, ...]:
    """Undo the merge of one Patient into the other, whichever was retired. Raises Permanent where there was none."""
    workspace = Workspace(transaction, milliseconds(reason.at))
    both = [_there(workspace, each) for each in (one, other)]
    for gone, heir in (both, both[::-1]):
        if pointers.retired_into(gone.result or {}) == heir.id:
            break
    else:
        raise Permanent("neither was merged into the other", place="Patient.link", remedy="see `hutong people log`")
    for working, name in ((gone, heir.id), (heir, gone.id)):
        working.result, working.touched = update.parted(working.result or {}, "Patient.link", f"Patient/{name}"), True
    _told(workspace, "unmerge", (gone, heir), reason)
    return workspace.write(reason.entry)


def retire_numbers(
    transaction: Transaction, patient: str, numbers: frozenset[tuple[str, str]], reason: Reason
) -> tuple[Change, ...]:
    """Numbers that were given to somebody else since: the one who had them before keeps them as old ones, also those
    that came with a Patient who was merged into it."""
    workspace = Workspace(transaction, milliseconds(reason.at))
    for working in [_there(workspace, each) for each in tree(transaction, patient)]:
        listed = [
            {**each, "use": "old"} if (str(each.get("system", "")), str(each.get("value", ""))) in numbers else each
            for each in (working.result or {}).get("identifier", ())
        ]
        result = {**(working.result or {}), "identifier": listed}
        if listed and working.stored is not None and not update.same(result, working.stored):
            working.result, working.touched = result, True
    return workspace.write(reason.entry)


def versions_of(transaction: Transaction, patient: str) -> list[Resource]:
    """All that was ever told of a Patient, and of those who live on as it: the present first."""
    return [
        version.resource
        for each in tree(transaction, patient)
        for version in read.history(transaction, "Patient", each, count=VERSIONS).matches
        if not version.deleted
    ]


def _there(workspace: Workspace, patient: str) -> Working:
    working = workspace.load("Patient", patient)
    if working.result is None:
        raise Missing("there is no Patient with this id", place="Patient")
    return working


def _living(workspace: Workspace, patient: str) -> Working:
    _there(workspace, patient)
    return _there(workspace, merging.living(workspace, patient))


def _linked(patient: Resource, other: str, kind: str) -> Resource:
    """With a link of this kind, and no other one, to the other Patient."""
    target = f"Patient/{other}"
    links = [each for each in patient.get("link", ()) if each.get("other", {}).get("reference") != target]
    return {**patient, "link": [*links, {"other": {"reference": target}, "type": kind}]}


def _told(workspace: Workspace, deed: str, patients: tuple[Working, Working], reason: Reason) -> None:
    """R4 provenance.html: what was done to which Patients, by whom and why."""
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": f"Patient/{each.id}"} for each in patients],
        "recorded": instant(workspace.now),
        "activity": {"coding": [{"system": LIFECYCLE, "code": deed}]},
        "agent": [{"who": {"display": reason.by}}],
    }
    if reason.why:
        provenance["reason"] = [{"text": reason.why}]
    workspace.new("Provenance", provenance, patient=None).touched = True
