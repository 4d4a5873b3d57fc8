"""The state of an order that is told by its number alone: what kind of order that is, only the record knows.

HL7 v2 cancels, holds and answers an order by ORC without the segments of what is ordered (v2.5.1 §4.5.1). Such a
message makes a ServiceRequest with a number and a state; where a prescription has that number, its state is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.model import Resource
from gateway.store import matching
from gateway.store.request import Pair
from gateway.store.workspace import Workspace

# What the states of a ServiceRequest are called there; those that it does not name are called the same.
_STATES: Final[Mapping[str, Mapping[str, str]]] = {
    "MedicationRequest": {"revoked": "stopped"},
    "SupplyRequest": {"revoked": "cancelled", "on-hold": "suspended"},
    "NutritionOrder": {},
}


def known(
    workspace: Workspace, arriving: Resource, condition: Sequence[Pair], *, patient: str | None
) -> tuple[str, Resource] | None:
    """The id of the stored order of another kind whose state `arriving` tells, and what it tells of that one; None
    where it says what is ordered, or where no other kind of order has its number. Raises as matching.find does."""
    if arriving["resourceType"] != "ServiceRequest" or "code" in arriving:
        return None
    if matching.find(workspace, arriving, condition, patient=patient).id:
        return None
    for kind, states in _STATES.items():
        status = str(arriving.get("status"))
        told = {
            "resourceType": kind,
            "identifier": arriving.get("identifier", []),
            "status": states.get(status, status),
        }
        if found := matching.find(workspace, told, condition, patient=patient).id:
            return found, told
    return None
