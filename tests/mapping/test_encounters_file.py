"""The XML of the invented township's HIS: every visit as its node says it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from gateway.codec import xml_tree
from gateway.mapping.context import CHINESE_ID
from gateway.mapping.datatypes.exports import DIVISION
from gateway.mapping.maps import Translation
from gateway.model import Resource
from tests.mapping.house import FIXTURES, SHANGHAI, WHEN, all_of, follow, maps

EXPECTED: dict[str, Any] = json.loads((FIXTURES / "encounters_liuhe_202603.expected.json").read_text(encoding="utf-8"))
VITALS = {"8310-5": "temp", "8867-4": "pulse", "9279-1": "resp", "8480-6": "sbp", "8462-4": "dbp"}


@pytest.fixture(scope="module")
def exported() -> Translation:
    part = maps().exports.of_tree(xml_tree.decode((FIXTURES / "encounters_liuhe_202603.xml").read_bytes()).root)
    return maps().exports.to_fhir([part], profile=SHANGHAI, facility="LH", control_id="F1", when=WHEN)


@pytest.fixture(scope="module")
def visits(exported: Translation) -> dict[str, Resource]:
    return {each["identifier"][0]["value"]: each for each in all_of(exported, "Encounter")}


def test_the_file_has_all_its_resources(exported: Translation) -> None:
    there = Counter(entry["resource"]["resourceType"] for entry in exported.bundle["entry"])
    counts = EXPECTED["counts"]
    assert {name: there[name] for name in ("Patient", "Encounter", "Condition")} == {
        name: counts[name] for name in ("Patient", "Encounter", "Condition")
    }
    assert there["Observation"] >= counts["Observation_vitals_min"]
    assert (exported.rejects, exported.unknown) == ((), ())


def test_every_patient(exported: Translation) -> None:
    found = {each["identifier"][0]["value"]: each for each in all_of(exported, "Patient")}
    for wanted in EXPECTED["patients"]:
        patient = found[wanted["local"]]
        assert patient["name"] == [{"text": wanted["name"]}]
        assert (patient["gender"], patient["birthDate"]) == (wanted["gender"], wanted["birthDate"])
        assert patient["telecom"][0]["value"] == wanted["phone"]
        _check_paper(patient, wanted)
        (address,) = patient["address"]
        assert {name: address[name] for name in ("text", "district", "city", "state")} == {
            name: wanted["address"][name] for name in ("text", "district", "city", "state")
        }
        assert address["extension"] == [{"url": DIVISION, "valueCode": wanted["address"]["code"]}]
        assert len(address["line"]) == 3


def _check_paper(patient: Resource, wanted: dict[str, Any]) -> None:
    papers = {each["system"]: each["value"] for each in patient["identifier"][1:]}
    kind, number = wanted["id_type"], wanted["id"]
    system = CHINESE_ID if kind == "01" else f"urn:hutong:paper:{kind}"
    assert papers == ({system: number} if number else {})


def test_every_visit(exported: Translation, visits: dict[str, Resource]) -> None:
    for wanted in EXPECTED["encounters"]:
        visit = visits[wanted["encounter_no"]]
        assert (visit["class"]["code"], visit["type"][0]["text"]) == (wanted["class"], wanted["type_cn"])
        assert visit["status"] == wanted["status"]
        period = visit["period"]
        assert (period["start"], period.get("end")) == (wanted["start"], wanted.get("end"))
        assert visit["serviceType"]["text"] == wanted["dept"]
        assert visit["participant"][0]["individual"]["display"] == wanted["attender"]
        assert visit["identifier"][1]["value"] == wanted["visit_no"]
        assert visit["reasonCode"][0]["text"] == wanted["chief_complaint"]
        assert follow(exported, visit["subject"])["name"][0]["text"] == wanted["patient"]
        _check_diagnoses(exported, visit, wanted["diagnoses"])


def _check_diagnoses(exported: Translation, visit: Resource, wanted: list[dict[str, Any]]) -> None:
    found = [(each["rank"], follow(exported, each["condition"])["code"]) for each in visit["diagnosis"]]
    assert [(rank, code["coding"][0]["code"], code["text"]) for rank, code in found] == [
        (each["rank"], each["code"], each["display"]) for each in wanted
    ]


def test_vitals_stand_under_their_own_codes(exported: Translation, visits: dict[str, Resource]) -> None:
    numbers = {id(visit): number for number, visit in visits.items()}
    found: dict[str, dict[str, float]] = {}
    for each in all_of(exported, "Observation"):
        told = found.setdefault(numbers[id(follow(exported, each["encounter"]))], {})
        for part in each.get("component", (each,)):
            told[VITALS[part["code"]["coding"][0]["code"]]] = float(part["valueQuantity"]["value"])
    for wanted in EXPECTED["encounters"]:
        if wanted.get("vitals"):
            assert found[wanted["encounter_no"]] == wanted["vitals"]


def test_denied_unknown_and_named_allergies_are_three_things(exported: Translation) -> None:
    texts = Counter(
        "denied" if "coding" in each["code"] else each["code"]["text"]
        for each in all_of(exported, "AllergyIntolerance")
    )
    assert texts["denied"] > 0
    assert "不详" not in texts
    assert {"头孢类过敏", "磺胺类", "青霉素过敏（皮疹）"} <= set(texts)


def test_the_signals_of_a_referral_are_kept(visits: dict[str, Resource]) -> None:
    routes = [each["hospitalization"] for each in visits.values() if "hospitalization" in each]
    assert any(each.get("admitSource", {}).get("coding", [{}])[0].get("code") == "3" for each in routes)
    assert any(each.get("dischargeDisposition", {}).get("coding", [{}])[0].get("code") == "3" for each in routes)
