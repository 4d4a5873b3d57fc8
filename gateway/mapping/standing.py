"""The standing of a resource that others decide: a report by its results, what was found at a visit by the visit.

What was taken back in rows is taken back of all that the rows make (china.md §2.8: cxbz, 作废, 撤销 → never ignored).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.model import Resource

SOME: Final = "some:"  # before a code of a table: of several that differ one says so
_NOTHING: Final = "-"
_ERROR: Final = "entered-in-error"
_FURTHER: Final = ("amended", "corrected", "appended", "cancelled", "revoked", _ERROR)
BACK: Final = _FURTHER.index("cancelled") + 1  # from here on it is taken back


def further(status: str) -> int:
    """How far a status goes: a correction further than what was first said, what was taken back furthest."""
    return _FURTHER.index(status) + 1 if status in _FURTHER else 0


def by_one(resource: Resource, name: str, said: Any, table: Mapping[str, str], system: str) -> None:
    """`status = @Encounter.status | TABLE`: what the table makes of what another resource says. It goes before what
    the resource says itself. `system`: of a CodeableConcept. An error has no course (R4 con-5, ait-2)."""
    code = table.get(str(said), table.get("*", _NOTHING))
    if code == _NOTHING:
        return
    resource[name] = {"coding": [{"system": system, "code": code}]} if system else code
    if name == "verificationStatus" and code == _ERROR:
        resource.pop("clinicalStatus", None)


def by_all(resource: Resource, name: str, said: Iterable[Any], table: Mapping[str, str]) -> bool:
    """`status = @@Observation.status | TABLE`: where all say the same, what the table makes of it; of those that
    differ the first `some:CODE` of the table that one of them says. What goes further already stays. The answer:
    is it taken back by this?"""
    found = {str(each) for each in said if each is not None}
    if len(found) == 1:
        code = table.get(next(iter(found)), table.get("*", _NOTHING))
    else:
        several = ((key.removeprefix(SOME), code) for key, code in table.items() if key.startswith(SOME))
        code = next((code for key, code in several if key in found), _NOTHING)
    before = further(str(resource.get(name, "")))
    if code == _NOTHING or further(code) < before:
        return False
    resource[name] = code
    return further(code) >= BACK > before
