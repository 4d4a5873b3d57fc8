"""What R4 forbids does not keep a message from the record: it is left out, and a note says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.codec import hl7v2
from gateway.fhir import validate
from gateway.mapping.lawful import lawful
from gateway.mapping.maps import Translation
from tests.mapping.house import PV1, SHANGHAI, WHEN, all_of, into, maps, message, only


def made_of(*lines: str, kind: str = "ADT^A01^ADT_A01") -> Translation:
    return maps().to_fhir(hl7v2.decode(message(kind, *lines)), profile=SHANGHAI, when=WHEN)


def test_a_visit_that_ends_before_it_begins_keeps_its_beginning() -> None:
    visit = PV1.split("|") + [""] * 24 + ["20260312080000", "20260311080000"]
    made = lawful(made_of("|".join(visit)))
    period = only(made, "Encounter")["period"]
    assert (period["start"], "end" in period) == ("2026-03-12T08:00:00+08:00", False)
    assert made.notes == ("Encounter.period.end start is after end (per-1): it was left out",)
    assert validate.problems(made.bundle) == []


def test_what_is_valid_stays_as_it_is() -> None:
    made = made_of(PV1)
    assert lawful(made) == made


def spoil_annotation(patient: dict[str, Any]) -> None:
    patient["extension"] = [{"url": "urn:x", "valueAnnotation": {"time": "2026"}}, {"url": "urn:y", "valueCode": "a"}]


def spoil_list(patient: dict[str, Any]) -> None:
    patient["contact"] = [{"period": {"start": "2026"}}, {"name": {"text": "李娜"}}, {"gender": "male"}]


def spoil_text(patient: dict[str, Any]) -> None:
    patient["address"] = [{"city": " ", "text": "甲"}]


@pytest.mark.parametrize(
    ("spoil", "name", "left"),
    [
        (spoil_annotation, "extension", [{"url": "urn:y", "valueCode": "a"}]),
        (spoil_list, "contact", [{"name": {"text": "李娜"}}]),
        (spoil_text, "address", [{"text": "甲"}]),
    ],
)
def test_the_smallest_part_goes(spoil: Callable[[dict[str, Any]], None], name: str, left: object) -> None:
    made = made_of(PV1)
    spoil(all_of(made, "Patient")[0])
    assert validate.problems(made.bundle)
    mended = lawful(made)
    assert only(mended, "Patient")[name] == left
    assert validate.problems(mended.bundle) == []
    assert all("left out" in note for note in mended.notes)


def test_a_number_is_never_left_out() -> None:
    made = made_of(PV1)
    only(made, "Patient")["identifier"][0]["value"] = " "
    assert [each.path for each in validate.problems(lawful(made).bundle)] != []


# ------------------------------------------------------------------------------ what the maps do themselves


def test_a_ratio_has_both_parts_or_is_not_made() -> None:
    order = ("ORC|NW|P1^COUNTY", "RXO|A1^甲药^L|1||mg^毫克^L||||||||||||||半|mg^毫克^L")
    made = into(message("OMP^O09^OMP_O09", *order))
    assert all("strength" not in each for each in only(made, "Medication")["ingredient"])
    assert "one part of a ratio is no amount: it was not carried" in made.notes


def test_one_form_of_a_choice() -> None:
    """A component makes a Medication of its own; then its code does not stand in the order too, whatever MSH-9 says."""
    lines = ("ORC|NW|P1^COUNTY", "RXE||A1^甲药^L|1||mg^毫克^L|T^片^L", "RXC|B|A2^乙药^L|1|mg^毫克^L")
    made = into(message("XXX^O11^RDE_O11", *lines))
    assert [name for name in only(made, "MedicationRequest") if name.startswith("med")] == ["medicationCodeableConcept"]


def test_a_local_event_is_the_senders_own_code() -> None:
    made = into(message("ADT^Z82^ADT_A01", PV1))
    assert only(made, "MessageHeader")["eventCoding"]["system"] == "urn:hutong:code:COUNTY:v2-0003"


def test_a_vital_sign_without_a_time_says_that_it_has_none() -> None:
    """R4 vital-signs profile: effective[x] is demanded; nothing is invented."""
    lines = ("OBR|1||F1^LIS|B1^体检^L", "OBX|1|NM|8302-2^身高^LN||172|cm|||||F")
    made = into(message("ORU^R01^ORU_R01", *lines))
    (reason,) = only(made, "Observation")["_effectiveDateTime"]["extension"]
    assert reason["valueCode"] == "unknown"


def test_an_answer_without_a_code_is_an_error() -> None:
    made = into(message("ACK^A01^ACK", 'MSA|""|M7|没有存下', pid=""))
    (issue,) = only(made, "OperationOutcome")["issue"]
    assert (issue["severity"], issue["code"], issue["details"]["text"]) == ("error", "processing", "没有存下")


def test_a_problem_that_one_message_gives_and_takes_back_is_an_error_without_a_state() -> None:
    """con-5: what was entered in error has no clinical status."""
    problem = "PRB|{}|20260312|I10^高血压^I10|77^HIS||||||||||C^确诊^HL70432|A^活动^L"
    made = lawful(made_of(PV1, problem.format("AD"), problem.format("DE"), kind="PPR^PC1^PPR_PC1"))
    condition = only(made, "Condition")
    assert condition["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in condition
    assert any(note.startswith("Condition.clinicalStatus ") for note in made.notes)
    assert validate.problems(made.bundle) == []
