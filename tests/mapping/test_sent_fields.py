"""A field of which the lines read only parts comes back whole, as long as the parts say the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.mapping.accounting.roundtrip import Came, compare_message
from gateway.mapping.accounting.trial import again_to, write
from gateway.model import Profile
from tests.mapping.house import all_of, message
from tests.mapping.test_accounting import trial

TIMING = "2^TID&0800,1400,2000^D3^20260312080000^^U^^餐后抽血"
DOCTORS = "SQ001^黄^志明~77^HUANG^ZHIMING^^^^^^REGISTER"


def order(*, timing: str = "", doctor: str = "", other: str = "", version: str = "2.3.1") -> bytes:
    """ORC-7, ORC-12, OBR-16."""
    lines = (
        f"ORC|NW|P1^HIS|||||{timing}||||{'|' if not doctor else ''}{'' if not doctor else f'|{doctor}'}",
        f"OBR|1|P1^HIS||CBC^血常规^L||||||||||||{other}",
    )
    return message("ORM^O01", *lines).replace(b"|P|2.5.1", f"|P|{version}".encode())


def came(body: bytes) -> dict[str, Came]:
    return {value.place: value.came for value in compare_message(trial(body)).values}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (order(timing=TIMING), "ORC-7"),
        (order(doctor=DOCTORS), "ORC-12"),
        (message("SIU^S12", "SCH|B1^HIS|B2^RIS|||||||20|min|^^20^20260313093000^20260313095000"), "SCH-11"),
    ],
)
def test_it_comes_back_as_it_was_sent(body: bytes, place: str) -> None:
    assert came(body)[place] is Came.IDENTICAL


def test_the_second_of_two_fields_that_tell_one_thing_keeps_its_own_text() -> None:
    tried = trial(order(doctor="SQ001^黄^志明", other="SQ002^孙^丽华"))
    again = write(tried.maps, tried.made(), address=again_to(tried.message.header, tried.profile, tried.when))
    assert (written(again, "ORC")[12], written(again, "OBR")[16]) == ("SQ001^黄^志明", "SQ002^孙^丽华")


def test_a_changed_resource_is_written_as_it_is_now() -> None:
    tried = trial(order(timing=TIMING))
    made = tried.made()
    (request,) = all_of(made, "ServiceRequest")
    request["priority"] = "routine"
    request.pop("_priority", None)
    orc = written(write(tried.maps, made, address=again_to(tried.message.header, tried.profile, tried.when)), "ORC")
    assert orc[7].split("^")[5] == "R"
    assert "餐后抽血" not in orc[7]


def test_a_receiver_of_another_zone_reads_its_own_clock() -> None:
    tried = trial(order(timing=TIMING))
    to = replace(
        again_to(tried.message.header, tried.profile, tried.when),
        profile=Profile(time_zone="Asia/Tokyo", version="2.3.1"),
    )
    assert written(write(tried.maps, tried.made(), address=to), "ORC")[7].split("^")[3] == "20260312090000"


def test_further_numbers_of_the_sender_are_for_the_sender_alone() -> None:
    tried = trial(order(doctor=DOCTORS))
    to = replace(again_to(tried.message.header, tried.profile, tried.when), facility="TOWN", sender="")
    assert "HUANG" not in write(tried.maps, tried.made(), address=to).decode()


def test_what_is_wholly_read_is_kept_once() -> None:
    made = trial(order(timing="^^^20260312080000^^R", doctor="SQ001^黄^志明", other="SQ001^黄^志明")).made()
    (request,) = all_of(made, "ServiceRequest")
    assert all(each["url"] != "urn:hutong:written" for each in request.get("extension", ()))


def written(body: bytes, name: str) -> list[str]:
    return next(line.split("|") for line in body.decode().split("\r") if line[:3] == name)


def test_the_device_and_the_note_of_an_image_are_not_those_of_another_result() -> None:
    lines = (
        "OBR|1|P1^HIS|F1^LIS|CBC^血常规^L", "OBX|1|NM|WBC^白细胞^L||5.1|10*9/L", "PRT|1|AD||EQUIP||||||D1^LIS",
        "OBX|2|ED|IMG^散点图^L||^IM^PNG^Base64^aGk=", "PRT|1|AD||EQUIP||||||D2^LIS", "NTE|1||图像说明",
    )  # fmt: skip
    made = trial(message("ORU^R01", *lines)).made()
    (result,) = all_of(made, "Observation")
    (device,) = all_of(made, "Device")
    assert device["identifier"][0]["value"] == "D1"
    assert len([each for each in result["extension"] if each["url"] == "urn:hutong:device"]) == 1
    assert "note" not in result


def test_two_medicines_under_one_number_are_two_and_it_is_told() -> None:
    lines = ("ORC|NW|P1^HIS", "RXO|A1^阿司匹林^L|1", "ORC|NW|P1^HIS", "RXO|B1^氯吡格雷^L|1")
    made = trial(message("OMP^O09", *lines)).made()
    told = [each["medicationCodeableConcept"]["text"] for each in all_of(made, "MedicationRequest")]
    assert told == ["阿司匹林", "氯吡格雷"]
    assert any("one number stands over several things" in note for note in made.notes)


def test_a_number_of_staff_under_two_names_is_shown_by_each() -> None:
    body = message("ADT^A01", "PV1|1|I|||||7^黄^志明||||||||||7^黄^志强||V1^^^COUNTY^VN")
    assert {place: came(body)[place] for place in ("PV1-7", "PV1-17")} == dict.fromkeys(
        ("PV1-7", "PV1-17"), Came.IDENTICAL
    )
