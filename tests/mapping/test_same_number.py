"""Several things under one number: each keeps what is said of it and goes back to its own segment."""

from __future__ import annotations

import pytest

from gateway.mapping.accounting.roundtrip import Came, compare_message
from gateway.mapping.context import KEY
from gateway.mapping.same_number import contradicts, differs
from gateway.model import Resource
from tests.mapping.house import PV1, all_of, back, into, message, segments
from tests.mapping.test_accounting import trial

TESTS = (
    "ORC|NW|P1^HIS|||||||20260312142000",
    "OBR|1|P1^HIS||GLU^血糖^L|||20260312101500",
    "OBR|2|P1^HIS||K^血钾^L|||20260312102000||||G",
)
DRUGS = (
    "ORC|NW|P1^HIS",
    "RXO|A1^阿莫西林^L|1||片",
    "ORC|NW|P1^HIS",
    "RXO|B2^布洛芬^L|2||片",
    "ORC|NW|P1^HIS",
    "RXO|A1^阿莫西林^L|2||片",
)
VACCINES = ("ORC|RE||F1^EHR", "RXA|0|1|20260312||03^MMR^CVX|0.5", "ORC|RE||F1^EHR", "RXA|0|1|20260312||21^VAR^CVX|0.5")
SEVERAL = [
    ("OML^O21^OML_O21", "ServiceRequest", TESTS),
    ("ORM^O01^ORM_O01", "ServiceRequest", TESTS),
    ("ORM^O01^ORM_O01", "MedicationRequest", DRUGS),
    ("OMP^O09^OMP_O09", "MedicationRequest", DRUGS),
    ("VXU^V04^VXU_V04", "Immunization", VACCINES),
]


def filler(number: str) -> Resource:
    return {"type": {"coding": [{"code": "FILL"}]}, "value": number}


def numbers(resource: Resource, *, key: bool) -> list[str]:
    return [each["value"] for each in resource["identifier"] if (each["system"] == KEY) is key]


@pytest.mark.parametrize(("kind", "type_", "lines"), SEVERAL)
def test_each_has_the_number_and_the_further_ones_a_key_beside_it(
    kind: str, type_: str, lines: tuple[str, ...]
) -> None:
    made = into(message(kind, PV1, *lines))
    first, *further = all_of(made, type_)
    assert len(further) == (2 if lines is DRUGS else 1)
    assert numbers(first, key=True) == []
    assert all(numbers(each, key=False) == numbers(first, key=False) for each in further)
    keys = [numbers(each, key=True) for each in further]
    assert len({each for (each,) in keys}) == len(further)
    again = into(message(kind, PV1, *lines).replace(b"|M1|P", b"|M2|P"))
    assert [numbers(each, key=True) for each in all_of(again, type_)[1:]] == keys
    assert "one number stands over several things" in "".join(made.notes)


@pytest.mark.parametrize(("kind", "type_", "lines"), SEVERAL)
def test_each_goes_back_to_its_own_segment(kind: str, type_: str, lines: tuple[str, ...]) -> None:
    body = message(kind, PV1, *lines)
    assert [each for each in compare_message(trial(body)).values if each.came is Came.LOST] == []
    written = back(into(body).bundle, kind.rpartition("^")[2])
    for name in ("OBR", "RXO", "RXA"):
        sent = [line.split("|") for line in lines if line.startswith(name)]
        found = segments(written, name)
        assert [each[4:6] for each in found] == [each[4:6] for each in sent]


def test_the_same_order_said_again_is_one() -> None:
    """What the groups add (a result beside it) is told of the one order."""
    twice = (*DRUGS[:2], "OBX|1|NM|3141-9^体重^LN||90|kg", *DRUGS[:2])
    made = into(message("OMP^O09^OMP_O09", PV1, *twice))
    assert len(all_of(made, "MedicationRequest")) == 1
    forms = {each.form for each in compare_message(trial(message("OMP^O09^OMP_O09", PV1, *twice))).values}
    assert "said once: the same was said of the same thing before" in forms


def test_what_a_second_mention_says_otherwise_is_not_said_once() -> None:
    body = message("ADT^A01", PV1, "PR1|1||Z1^手术^L||20260312|||||||10^甲", "PR1|2||Z1^手术^L||20260312|||||||11^乙")
    values = {each.place: each.came for each in compare_message(trial(body)).values}
    assert values["PR1[2]-3"] in (Came.NORMALISED, Came.IDENTICAL)
    assert values.get("PR1[2]-11") is not Came.NORMALISED


def test_a_report_names_one_order_whatever_panels_it_has() -> None:
    """There the reports are told apart, and each refers to the order of that number."""
    lines = (
        "OBR|1|P1^HIS|F1^LIS|GLU^血糖^L",
        "OBX|1|ST|G^糖^L||1",
        "OBR|2|P1^HIS|F1^LIS|K^血钾^L",
        "OBX|1|ST|K^钾^L||2",
    )
    made = into(message("ORU^R01", *lines))
    assert len(all_of(made, "ServiceRequest")) == 1
    assert len(all_of(made, "DiagnosticReport")) == 2


def test_the_state_alone_is_no_other_order() -> None:
    """§4.5.1: ORC without a detail segment changes the state."""
    made = into(message("ORM^O01", PV1, TESTS[0], TESTS[1], "ORC|SC|P1^HIS||||CM"))
    assert len(all_of(made, "ServiceRequest")) == 1


A, B = ({"coding": [{"code": code}]} for code in "AB")


def number(kind: str, value: str) -> Resource:
    return {"type": {"coding": [{"code": kind}]}, "value": value}


@pytest.mark.parametrize(
    ("other", "another"),
    [
        ({}, False),
        ({"code": A}, False),
        ({"code": A, "status": "revoked", "priority": "stat"}, False),
        ({"code": B}, True),
        ({"code": A, "intent": "plan"}, True),
        ({"code": A, "identifier": [number("FILL", "2")]}, True),
        ({"code": A, "identifier": [number("ACSN", "2")]}, False),
    ],
)
def test_differs(other: Resource, another: bool) -> None:
    kept = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "code": A}
    kept["identifier"] = [number("FILL", "1")]
    assert differs(kept, {"resourceType": "ServiceRequest", **other}) is another


@pytest.mark.parametrize(
    ("other", "another"),
    [
        ({}, False),
        ({"code": B, "status": "completed", "_status": {"id": "1"}, "reasonCode": [A]}, False),
        ({"code": B, "intent": "order"}, False),
        ({"code": B, "intent": "reflex-order"}, True),
        ({"code": A, "occurrenceDateTime": "2026-03-12"}, True),
        ({"code": A, "authoredOn": "2026-03-12"}, False),
        ({"code": A, "identifier": [filler("F1")]}, False),
        ({"code": A, "identifier": [filler("F2")]}, True),
        ({"code": B, "identifier": [filler("F2")]}, False),
    ],
)
def test_panels_of_one_order_are_one_unless_they_contradict_each_other(other: Resource, another: bool) -> None:
    kept = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "code": A}
    kept |= {"occurrencePeriod": {"start": "2026-03-12"}, "_status": {"id": "2"}, "identifier": [filler("F1")]}
    assert contradicts(kept, {"resourceType": "ServiceRequest", **other}) is another


def panels(*lines: str) -> bytes:
    results = ("OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F", "OBX|1|NM|NA^血钠^L||139|mmol/L|||||F")
    pairs = zip(lines, results, strict=True)
    return message("ORU^R01^ORU_R01", *(each for pair in pairs for each in pair))


def test_panels_of_one_order_number_are_one_order() -> None:
    made = into(panels("OBR|1|P1^HIS|F1^LIS|K^血钾^L|||20260312", "OBR|2|P1^HIS|F1^LIS|NA^血钠^L|||20260312"))
    assert len(all_of(made, "ServiceRequest")) == 1
    assert len(all_of(made, "DiagnosticReport")) == 2


def test_the_same_test_for_each_organism_under_one_order_number_is_one_order_each() -> None:
    """As laboratories report microbiology: a susceptibility panel for each organism, numbered by the laboratory."""
    body = message(
        "ORU^R01^ORU_R01",
        *("ORC|RE|P1^HIS|F1^LIS", "OBR|1|P1^HIS|F1^LIS|600-7^培养^LN|||20260312", "OBX|1|CWE|600-7^培养^LN|1|E^大肠^L"),
        *("ORC|RE|P1^HIS|F2^LIS", "OBR|2|P1^HIS|F2^LIS|29576-6^药敏^LN|||20260312||||G", "OBX|1|ST|A^氨苄^L|1|R"),
        *("ORC|RE|P1^HIS|F3^LIS", "OBR|3|P1^HIS|F3^LIS|29576-6^药敏^LN|||20260312||||G", "OBX|1|ST|A^氨苄^L|2|S"),
    )
    made = into(body)
    assert [numbers(each, key=False) for each in all_of(made, "ServiceRequest")] == [
        ["P1", "F1"],
        ["P1", "F2"],
        ["P1", "F3"],
    ]
    assert [each for each in compare_message(trial(body)).values if each.came is Came.LOST] == []


def test_a_reflex_order_under_the_number_of_another_is_an_order_of_its_own() -> None:
    """OBR-11 = G (HL7 0065): generated by the laboratory, and nobody asked for it."""
    body = panels("OBR|1|P1^HIS|F1^LIS|K^血钾^L|||20260312", "OBR|2|P1^HIS|F1^LIS|NA^血钠^L|||20260312||||G")
    made = into(body)
    orders = all_of(made, "ServiceRequest")
    assert [each["intent"] for each in orders] == ["order", "reflex-order"]
    assert numbers(orders[0], key=False) == numbers(orders[1], key=False)
    assert [each["basedOn"] for each in all_of(made, "DiagnosticReport")] == [
        [{"reference": each["fullUrl"]}] for each in made.bundle["entry"] if each["resource"] in orders
    ]
    assert [each[11:12] for each in segments(back(made.bundle, "ORU_R01"), "OBR")] in ([[], ["G"]], [[""], ["G"]])


def test_a_medicine_of_which_less_is_said_the_second_time_is_the_same_one() -> None:
    lines = ("ORC|NW|P1^HIS", "RXO|A1^阿莫西林^L|1||片", "ORC|NW|P1^HIS", "RXO|A1^^L|1||片")
    made = into(message("OMP^O09^OMP_O09", PV1, *lines))
    (order,) = all_of(made, "MedicationRequest")
    assert order["medicationCodeableConcept"]["text"] == "阿莫西林"
    assert not any("several" in note for note in made.notes)
