"""The order in which the statuses of a thing follow each other: a status moves forward only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _ranks(*levels: str) -> Mapping[str, int]:
    return {status: rank for rank, level in enumerate(levels) for status in level.split()}


# The order in which statuses follow each other; those on one level may replace each other.
RANKS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "ServiceRequest": _ranks("draft", "active on-hold", "completed revoked", "entered-in-error"),
        "MedicationRequest": _ranks("draft", "active on-hold", "completed stopped cancelled", "entered-in-error"),
        "SupplyRequest": _ranks("draft", "active suspended", "completed cancelled", "entered-in-error"),
        "NutritionOrder": _ranks("draft proposed planned", "active on-hold", "completed revoked", "entered-in-error"),
        "Appointment": _ranks(
            *("proposed", "pending waitlist booked arrived checked-in fulfilled noshow"),
            *("cancelled", "entered-in-error"),
        ),
        "DocumentReference": _ranks("current", "superseded", "entered-in-error"),
        "DiagnosticReport": _ranks(
            *("registered", "partial", "preliminary", "final", "amended corrected appended"),
            "cancelled entered-in-error",
        ),
        "Observation": _ranks("registered", "preliminary", "final", "amended corrected", "cancelled entered-in-error"),
        "Task": _ranks(
            *("draft", "requested", "received", "accepted on-hold ready", "in-progress"),
            *("completed failed rejected cancelled", "entered-in-error"),
        ),
        "Encounter": _ranks(
            *("planned", "arrived", "triaged", "in-progress", "onleave", "finished"),
            *("cancelled", "entered-in-error"),
        ),
    }
)
WORDED: Mapping[str, int] = _ranks("preliminary", "final", "amended")  # DocumentReference.docStatus
