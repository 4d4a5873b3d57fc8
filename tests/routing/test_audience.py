"""Who is owed a change: criteria, the `only` rule, and never the sender itself."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model import Change, Community, Member, Profile, Subscription
from gateway.routing import Context, owner_of, wanted

PLACER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}
FILLER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "FILL"}]}


def member(id: str, only: str, **profile: Any) -> Member:
    wish = Subscription(id=f"{id}-{only}", criteria=("DiagnosticReport?status=final", "Patient"), only=only)
    return Member(id=id, name=id, facilities=(id.upper(),), subscriptions=(wish,), profile=Profile(**profile))


def community(*members: Member) -> Community:
    return Community(id="c", name="c", members={one.id: one for one in members})


def report(**more: Any) -> dict[str, Any]:
    return {"resourceType": "DiagnosticReport", "id": "r", "status": "final", **more}


def owed(place: Community, resource: dict[str, Any], sender: str = "", context: Context | None = None) -> list[str]:
    change = Change(type=resource["resourceType"], id="r", version=1, transaction=1, interaction="create")
    found = wanted(place, change=change, resource=resource, sender=sender, context=context or Context())
    return [subscription.id for subscription in found]


PLACE = community(member("lab", "all"), member("town", "placed-here"), member("village", "known-here"))


def test_all_is_for_everybody_but_the_sender() -> None:
    assert owed(PLACE, report()) == ["lab-all"]
    assert owed(PLACE, report(), sender="lab") == []


def test_other_states_and_types_are_not_wanted() -> None:
    assert owed(PLACE, report(status="preliminary")) == []
    assert owed(PLACE, {"resourceType": "Observation", "id": "r", "status": "final"}) == []


@pytest.mark.parametrize(
    ("system", "kind", "expected"),
    [
        ("urn:hutong:id:TOWN", PLACER, ["town-placed-here"]),
        ("urn:hutong:id:TOWN:PLAC", PLACER, ["town-placed-here"]),
        ("urn:hutong:id:TOWN", FILLER, []),
        ("urn:hutong:id:LAB", PLACER, []),
    ],
)
def test_placed_here_by_the_placer_number(system: str, kind: dict[str, Any], expected: list[str]) -> None:
    number = {"type": kind, "system": system, "value": "1"}
    assert owed(PLACE, report(identifier=[number]), sender="lab") == expected
    order = {"resourceType": "ServiceRequest", "identifier": [number]}
    assert owed(PLACE, report(), sender="lab", context=Context(orders=(order,))) == expected


def test_placed_here_by_the_requester() -> None:
    order = {
        "resourceType": "ServiceRequest",
        "requester": {"identifier": {"system": "urn:hutong:id:TOWN", "value": "D1"}},
    }
    assert owed(PLACE, report(), sender="lab", context=Context(orders=(order,))) == ["town-placed-here"]
    assert owed(PLACE, report(), sender="lab", context=Context(owners=frozenset({"town"}))) == ["town-placed-here"]


def test_known_here_by_any_number_of_the_patient() -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:hutong:id:VILLAGE:MR", "value": "1"}]}
    assert owed(PLACE, report(), sender="lab", context=Context(patient=patient)) == ["village-known-here"]
    assert owed(PLACE, {**patient, "id": "r"}, sender="lab") == ["village-known-here"]
    assert owed(PLACE, {"resourceType": "Patient", "id": "r"}, sender="lab") == []


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("urn:hutong:id:TOWN", "town"),
        ("urn:hutong:id:town", "town"),
        ("urn:hutong:id:TOWN:MR", "town"),
        ("urn:hutong:id:A:B:MR", "colon"),
        ("urn:hutong:id:%E4%B9%A1", "colon"),
        ("urn:oid:1.2.3", "colon"),
        ("https://town.example/numbers", "colon"),
        ("urn:national", None),
        ("urn:hutong:id:", None),
        ("", None),
    ],
)
def test_owner_of(system: str, expected: str | None) -> None:
    colon = Member(
        id="colon",
        name="n",
        facilities=("A:B", "乡", "1.2.3"),
        profile=Profile(authorities={"A:B": "https://town.example/numbers", "SFZ": "urn:national"}),
    )
    assert owner_of(system, community(member("town", "all"), colon)) == expected
