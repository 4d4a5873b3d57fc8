"""Which message a Bundle becomes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Configuration, Permanent
from gateway.mapping import choice
from tests.mapping.house import maps

Resources = dict[str, dict[str, Any]]
PATIENT = {"resourceType": "Patient"}
ORDER = {"resourceType": "ServiceRequest"}
REFERRAL = {"resourceType": "ServiceRequest", "category": [{"coding": [{"code": "3457005"}]}]}
REPORT = {"resourceType": "DiagnosticReport"}


def resources(*found: dict[str, Any]) -> Resources:
    return {f"{each['resourceType']}/{number}": each for number, each in enumerate(found)}


def header(display: str) -> dict[str, Any]:
    return {
        "resourceType": "MessageHeader",
        "eventCoding": {"code": display.partition("^")[2].partition("^")[0], "display": display},
    }


@pytest.mark.parametrize(
    ("found", "structure"),
    [
        ([PATIENT], "ADT_A01"),
        ([PATIENT, {"resourceType": "Encounter"}], "ADT_A01"),
        ([PATIENT, ORDER], "ORM_O01"),
        ([PATIENT, REFERRAL], "REF_I12"),
        ([PATIENT, REFERRAL, ORDER], "ORM_O01"),
        ([PATIENT, ORDER, REPORT], "ORU_R01"),
        ([{**PATIENT, "link": [{}]}, PATIENT], "ADT_A39"),
        ([{"resourceType": "OperationOutcome"}], "ACK"),
    ],
)
def test_it_is_about_what_it_holds(found: list[dict[str, Any]], structure: str) -> None:
    assert choice.fitting(resources(*found)).structure == structure


def test_every_structure_it_may_choose_is_written_by_a_map() -> None:
    assert {structure for _, structure in choice.ABOUT} | {"REF_I12", "ADT_A39"} <= maps().library.structures.keys()


def test_a_header_decides_where_its_event_can_be_written() -> None:
    found = resources(PATIENT, ORDER, header("OML^O21^OML_O21"))
    assert choice.told(found, maps().library) == choice.Choice("OML_O21", "O21", ("ServiceRequest/1",))
    assert choice.told(resources(PATIENT, header("ORU^R01")), maps().library) is None  # nothing to report
    assert choice.told(resources(PATIENT, header("XXX^X01")), maps().library) is None


@pytest.mark.parametrize("message", ["OML^O21", "oml_o21", "OML^O21^OML_O21", " OML_O21"])
def test_a_person_may_ask_for_one(message: str) -> None:
    found = choice.asked(message, resources(PATIENT, ORDER), maps().library)
    assert found == choice.Choice("OML_O21", "O21", ("ServiceRequest/1",))


def test_what_cannot_be_asked_for_says_what_can() -> None:
    with pytest.raises(Configuration, match="no map writes OML\\^O99") as raised:
        choice.asked("OML^O99", resources(PATIENT, ORDER), maps().library)
    assert "OML_O" in raised.value.remedy
    with pytest.raises(Permanent, match="ORU_R01 is about a DiagnosticReport or Observation, and there is none"):
        choice.asked("ORU^R01", resources(PATIENT, ORDER), maps().library)
