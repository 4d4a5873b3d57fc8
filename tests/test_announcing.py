"""What members are told of people who were merged and parted, each in the numbers that it has itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from conformance.receivers import Message
from gateway import people
from gateway.announcing import told_by_the_other
from gateway.model import Change, Delivery
from gateway.store.joining import Reason
from tests.rooms import House
from tests.test_outbound import dispatcher
from tests.test_who_is_who import adt

BY = Reason(by="李主任", why="compared the papers", at=datetime(2026, 4, 1, tzinfo=UTC))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def number(house: House, value: str) -> str:
    (found,) = house.search(f"Patient?identifier={value}")
    return str(found["id"])


def joined(house: House, one: str, other: str, *, apart: bool = False) -> list[Change]:
    with house.record.transaction() as transaction:
        done = people.unmerge if apart else people.merge
        changes = done(transaction, number(house, one), number(house, other), BY)
    return [each for each in changes if each.type == "Patient"]


def written(house: House, change: Change, *, to: str = "county-laboratory", form: str = "hl7v2") -> Message:
    delivery = Delivery(id=1, subscription=to, key="", change=change, idempotency="K" * 20)
    return Message("", dispatcher(house, to, format=form, message="").write(delivery))


def survivors(house: House, changes: list[Change], survivor: str) -> Change:
    return next(each for each in changes if each.id == number(house, survivor))


async def test_a_merge_and_its_undoing_are_told_in_the_members_own_numbers(house: House) -> None:
    await house.walk(adt("1", more="T1^^^QINGHE^PI"), adt("2", name="王^大力", more="T2^^^QINGHE^PI"))
    merged = joined(house, "2", "1")
    told = written(house, survivors(house, merged, "1"))
    assert (told.kind, told.patient, told.one("MRG", 1, 1)) == ("ADT^A40", "1", "2")
    parted = joined(house, "2", "1", apart=True)
    told = written(house, survivors(house, parted, "1"))
    assert told.kind == "ADT^A37"
    assert [each.partition("^")[0] for each in told.all("PID", 3)] == ["1", "2"]


async def test_a_later_update_is_no_merge_again_and_a_second_merge_names_its_own(house: House) -> None:
    await house.walk(adt("1"), adt("2", name="王^大力"), adt("3", name="李^娜"))
    joined(house, "2", "1")
    second = survivors(house, joined(house, "3", "1"), "1")
    assert [each.partition("^")[0] for each in written(house, second).all("MRG", 1)] == ["3"]
    await house.walk(adt("1", event="A08", phone="13800138000"))
    with house.record.reading() as reader:
        current = house.store.read("Patient", number(house, "1"), reader=reader)
    assert current is not None
    later = Change(
        type="Patient", id=current.id, version=current.version, transaction=current.transaction, interaction="update"
    )
    assert written(house, later).all("MRG", 1) == []


async def test_who_knows_one_of_them_alone_is_told_of_no_merge_and_keeps_its_number(house: House) -> None:
    await house.walk(adt("1"), adt("T1", "QINGHE", name="王^大力"))
    change = survivors(house, joined(house, "T1", "1"), "1")
    told = written(house, change, to="qinghe-reports")
    assert told.kind != "ADT^A40"
    assert told.patient == "T1"
    assert written(house, change).patient == "1"


async def test_a_result_of_the_merged_person_goes_out_under_the_number_of_whoever_asks(house: House) -> None:
    await house.walk(adt("1"), adt("T1", "QINGHE", name="王^大力"))
    joined(house, "T1", "1")
    report = (
        "MSH|^~\\&|LIS|LAB|HUTONG|sanhe|20260312110000||ORU^R01^ORU_R01|L77|P|2.5.1|||||CHN|UNICODE UTF-8\r"
        "PID|1||1^^^COUNTY^PI||王^小明||19800517|M\rORC|RE|P1|F1\r"
        "OBR|1|P1|F1|0201^电解质^L|||20260312100000|||||||||||||||20260312111500||LAB|F\r"
    ).encode()
    await house.walk(report)
    (found,) = house.search("DiagnosticReport")
    with house.record.reading() as reader:
        stored = house.store.read("DiagnosticReport", found["id"], reader=reader)
    assert stored is not None
    change = Change(
        type="DiagnosticReport", id=stored.id, version=1, transaction=stored.transaction, interaction="create"
    )
    assert written(house, change, to="qinghe-reports").patient == "T1"
    assert written(house, change).patient == "1"


async def test_the_retired_one_is_told_by_the_survivor(house: House) -> None:
    await house.walk(adt("1"), adt("2", name="王^大力"))
    changes = joined(house, "2", "1")
    (line,) = house.community.members["county"].subscriptions
    with house.record.reading() as reader:
        told = {each.id: told_by_the_other(reader, each, line, house.community) for each in changes}
    assert told == {number(house, "2"): True, number(house, "1"): False}
    fresh = replace(changes[0], type="Observation")
    with house.record.reading() as reader:
        assert not told_by_the_other(reader, fresh, line, house.community)


async def test_a_fhir_member_gets_both_patients(house: House) -> None:
    await house.walk(adt("1"), adt("2", name="王^大力"))
    before = len(house.owed())
    with house.record.transaction() as transaction:
        for change in people.merge(transaction, number(house, "2"), number(house, "1"), BY):
            house.processor.owe(transaction, change, "")
    owed = {each.reference for each in house.owed()[before:] if each.subscription == "clinic-patients"}
    assert owed == {f"Patient/{number(house, value)}" for value in "12"}
