"""Two Patients become one and two again: everything is found under the survivor, and goes back where it belongs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.db.sqlite import SqliteEngine
from gateway.fhir import bundle
from gateway.store.exchange import Asked
from tests.store.conftest import Ward

SYSTEM, ORDERS, FILLER = "urn:hutong:id:A:PI", "urn:hutong:id:A:PLAC", "urn:hutong:id:A:FILL"


def patient(number: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": number}], **elements}


def person(number: str, **elements: Any) -> dict[str, Any]:
    return bundle.entry(patient(number, **elements), f"urn:uuid:{number}", bundle.update("Patient", SYSTEM, number))


def order(number: str, whose: str, status: str = "active", **elements: Any) -> dict[str, Any]:
    made = {
        "resourceType": "ServiceRequest", "identifier": [{"system": ORDERS, "value": number}], "status": status,
        "intent": "order", "subject": {"reference": f"urn:uuid:{whose}"}, **elements,
    }  # fmt: skip
    return bundle.entry(made, f"urn:uuid:order-{number}", bundle.update("ServiceRequest", ORDERS, number))


def merged(retired: str, survivor: str) -> list[dict[str, Any]]:
    gone = patient(
        retired, active=False, link=[{"other": {"reference": f"urn:uuid:{survivor}"}, "type": "replaced-by"}]
    )
    stays = patient(survivor, link=[{"other": {"reference": f"urn:uuid:{retired}"}, "type": "replaces"}])
    return [
        bundle.entry(each, f"urn:uuid:{number}", bundle.update("Patient", SYSTEM, number))
        for number, each in ((retired, gone), (survivor, stays))
    ]


def parted(one: str, other: str) -> list[dict[str, Any]]:
    return [
        bundle.entry(
            patient(a), f"urn:uuid:{a}", bundle.update("Patient", SYSTEM, a), parts=[("Patient.link", f"urn:uuid:{b}")]
        )
        for a, b in ((one, other), (other, one))
    ]


class Town:
    """A record, and beside it in plain words who is who and what is whose."""

    def __init__(self, ward: Ward, numbers: str) -> None:
        self.ward = ward
        self.into: dict[str, str] = {}  # number → the number that it was merged into
        self.whose: dict[str, str] = {}  # order → number under which it was told
        self.ids = {each: ward.apply(person(each)).references[f"urn:uuid:{each}"] for each in numbers}

    def root(self, number: str) -> str:
        while number in self.into:
            number = self.into[number]
        return number

    def tell(self, order_number: str, whose: str) -> None:
        self.ward.apply(person(whose), order(order_number, whose, note=[{"text": f"{len(self.whose)}{whose}"}]))
        self.whose[order_number] = whose

    def merge(self, one: str, other: str) -> None:
        if one not in self.into and self.root(other) != one:
            self.ward.apply(*merged(one, other))
            self.into[one] = self.root(other)

    def part(self, one: str) -> None:
        if one in self.into:
            self.ward.apply(*parted(one, self.into.pop(one)))

    def check(self) -> None:
        for number, reference in self.ids.items():
            wanted = {each for each, whose in self.whose.items() if self.root(whose) == number}
            found = self.ward.record.search("ServiceRequest", f"subject={reference}").matches
            assert {each.resource["identifier"][0]["value"] for each in found} == wanted, number
            assert (self.ward.get(reference).get("active") is False) is (number in self.into)
            carried = self.ward.get(reference)["identifier"]
            assert [each["value"] for each in carried] == [number]


def test_what_is_told_before_and_after_a_merge_goes_where_it_belongs(ward: Ward) -> None:
    town = Town(ward, "AB")
    for number, whose in (("1", "A"), ("2", "B")):
        town.tell(number, whose)
    town.merge("A", "B")
    town.check()
    town.tell("3", "A")  # late, under the retired number
    town.tell("4", "B")
    town.tell("2", "A")  # told again under the other number
    town.check()
    town.part("A")
    town.check()
    assert town.whose == {"1": "A", "2": "A", "3": "A", "4": "B"}


def test_a_chain_over_the_retired_number_finds_what_is_with_the_survivor(ward: Ward) -> None:
    town = Town(ward, "AB")
    town.tell("1", "A")
    town.merge("A", "B")
    assert len(ward.ids("ServiceRequest", f"patient.identifier={SYSTEM}|A")) == 1


def test_a_move_is_no_news_and_the_merge_is(ward: Ward) -> None:
    town = Town(ward, "AB")
    town.tell("1", "A")
    assert [change.type for change in ward.apply(*merged("A", "B")).changes] == ["Patient", "Patient"]
    assert [change.type for change in ward.apply(*parted("A", "B")).changes] == ["Patient", "Patient"]


def test_a_client_that_writes_back_what_it_read_changes_no_belonging(ward: Ward) -> None:
    town = Town(ward, "AB")
    town.tell("1", "A")
    town.merge("A", "B")
    (stored,) = ward.record.search("ServiceRequest", f"subject={town.ids['B']}").matches
    asked = Asked(method="PUT", type="ServiceRequest", id=stored.id, resource={**stored.resource, "priority": "stat"})
    fresh = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order",
        "subject": {"reference": town.ids["A"]},
    }  # fmt: skip
    with ward.engine.transaction() as transaction:
        made = ward.record.exchange(
            transaction, [asked, Asked(method="POST", type="ServiceRequest", resource=fresh)], at=stored.updated
        )
    assert made.done[1].stored is not None
    assert made.done[1].stored.resource["subject"]["reference"] == town.ids["B"]  # a retired Patient is the survivor
    town.part("A")
    assert len(ward.record.search("ServiceRequest", f"subject={town.ids['A']}").matches) == 2


def test_what_told_of_both_stays(ward: Ward) -> None:
    town = Town(ward, "AB")
    both = {
        "resourceType": "Group", "type": "person", "actual": True,
        "member": [{"entity": {"reference": town.ids[each]}} for each in "AB"],
    }  # fmt: skip
    ward.apply(bundle.entry(both, "urn:uuid:g", {"method": "POST", "url": "Group"}))
    town.merge("A", "B")
    town.part("A")
    (group,) = ward.record.search("Group", "").matches
    assert [each["entity"]["reference"] for each in group.resource["member"]] == [town.ids["A"], town.ids["B"]]


def test_numbers_that_came_under_the_retired_number_go_back_with_it(ward: Ward) -> None:
    town = Town(ward, "AB")
    town.merge("A", "B")
    more = [{"system": SYSTEM, "value": "A"}, {"system": "urn:card", "value": "5"}]
    ward.apply(person("A", identifier=more))
    assert {"system": "urn:card", "value": "5"} in ward.get(town.ids["B"])["identifier"]
    town.part("A")
    assert ward.get(town.ids["A"])["identifier"] == more
    assert ward.get(town.ids["B"])["identifier"] == [{"system": SYSTEM, "value": "B"}]


@pytest.mark.parametrize("active", [True, None])
def test_whoever_was_active_is_active_again(ward: Ward, active: bool | None) -> None:
    town = Town(ward, "B")
    said = {} if active is None else {"active": active}
    reference = ward.apply(person("A", **said)).references["urn:uuid:A"]
    town.ids["A"] = reference
    before = ward.get(reference)
    town.merge("A", "B")
    town.part("A")
    after = ward.get(reference)
    assert {**after, "meta": None} == {**before, "meta": None}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 32))
def test_any_sequence_keeps_everything_with_one_living_person(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    walk(tmp_path_factory.mktemp("town"), seed, steps=14)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_long_sequences(tmp_path: Path, seed: int) -> None:
    walk(tmp_path, seed, steps=80)


def walk(home: Path, seed: int, *, steps: int) -> None:
    """Random messages, merges and partings; in the end all are parted, in any order, and everything is where it was."""
    chance = random.Random(seed)
    engine = SqliteEngine(home / "record.sqlite", schema="record")
    try:
        town = Town(Ward(engine), "ABCDE")
        for _ in range(steps):
            one, other = chance.sample("ABCDE", 2)
            match chance.choice("ttttmmmp"):
                case "t":
                    known = [each for each, whose in town.whose.items() if town.root(whose) == town.root(one)]
                    town.tell(chance.choice([*known, f"N{len(town.whose)}"]), one)
                case "m":
                    town.merge(one, other)
                case _:
                    town.part(one)
            town.check()
        for each in chance.sample("ABCDE", 5):
            town.part(each)
            town.check()
        assert not town.into
    finally:
        engine.close()
