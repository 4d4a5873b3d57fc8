"""The workbook of the invented imaging centre: every examination as its row says it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from gateway.codec import workbook
from gateway.mapping.context import CHINESE_ID
from gateway.mapping.export_records import Part
from gateway.mapping.maps import Translation
from gateway.model import Resource
from tests.mapping.house import FIXTURES, SHANGHAI, WHEN, all_of, follow, maps

EXPECTED: dict[str, Any] = json.loads((FIXTURES / "imaging_center_202603.expected.json").read_text(encoding="utf-8"))
IMPORTANT = ("HH", "LL", "AA")


@pytest.fixture(scope="module")
def exported() -> Translation:
    (table,) = workbook.decode((FIXTURES / "imaging_center_202603.xlsx").read_bytes())
    part = Part(name=maps().exports.of_columns(table.columns), records=table.rows, place=table.sheet)
    return maps().exports.to_fhir([part], profile=SHANGHAI, facility="YX", control_id="F1", when=WHEN)


def number_of(resource: Resource, type_: str = "") -> str:
    return next(
        each["value"]
        for each in resource["identifier"]
        if not type_ or any(coding["code"] == type_ for coding in each.get("type", {}).get("coding", ()))
    )


def codes(observation: Resource) -> set[str]:
    return {coding["code"] for each in observation.get("interpretation", ()) for coding in each["coding"]}


def test_the_file_has_all_its_resources(exported: Translation) -> None:
    there = Counter(entry["resource"]["resourceType"] for entry in exported.bundle["entry"])
    wanted = {name: count for name, count in EXPECTED["counts"].items() if name[0].isupper()}
    assert {name: there[name] for name in wanted} == wanted
    alerts = [each for each in all_of(exported, "Observation") if codes(each) & set(IMPORTANT)]
    assert len(alerts) == EXPECTED["counts"]["critical_alerts"]
    assert (exported.rejects, exported.unknown) == ((), ())


def test_every_patient(exported: Translation) -> None:
    found = {number_of(each, "PI"): each for each in all_of(exported, "Patient")}
    for wanted in EXPECTED["patients"]:
        patient = found[wanted["film_no"]]
        assert (patient["name"][0]["text"], patient["gender"]) == (wanted["name"], wanted["gender"])
        paper = next(each for each in patient["identifier"] if each["value"] == wanted["id"])
        kinds = {
            "H99999901": "urn:hutong:paper:06",
            "E00000099": "urn:hutong:paper:03",
        }  # not what the column is called
        assert paper["system"] == kinds.get(wanted["id"], CHINESE_ID)


def test_every_report(exported: Translation) -> None:
    found = {number_of(each): each for each in all_of(exported, "DiagnosticReport")}
    for wanted in EXPECTED["reports"]:
        report = found[wanted["accession"]]
        assert report["conclusion"] == wanted["conclusion"]
        assert (report["effectiveDateTime"], report["issued"], report["status"]) == (
            wanted["effective"], wanted["issued"], wanted["status"],
        )  # fmt: skip
        assert report["code"]["text"] == wanted["code_text"]
        assert report["performer"] == [{"display": wanted["performer"]}]
        assert report["resultsInterpreter"] == [{"display": wanted["verifier"]}]
        patient, order = follow(exported, report["subject"]), follow(exported, report["basedOn"][0])
        assert wanted["patient_id"] in [each["value"] for each in patient["identifier"]]
        _check_findings(follow(exported, report["result"][0]), wanted)
        _check_order(exported, order, wanted)
        _check_study(exported, report, wanted)


def _check_findings(findings: Resource, wanted: dict[str, Any]) -> None:
    assert findings["valueString"] == wanted["findings"]
    assert findings["issued"] == wanted["reported"]
    assert ("POS" in codes(findings)) is wanted["positive"]
    assert bool(codes(findings) & set(IMPORTANT)) is wanted["critical"]


def _check_order(exported: Translation, order: Resource, wanted: dict[str, Any]) -> None:
    role = follow(exported, order["requester"])
    assert number_of(order) == wanted["application"]
    assert order["bodySite"] == [{"text": wanted["bodySite"]}]
    assert (role["practitioner"]["display"], role["organization"]["display"]) == (
        wanted["requester"], wanted["requester_org"],
    )  # fmt: skip


def _check_study(exported: Translation, report: Resource, wanted: dict[str, Any]) -> None:
    if wanted["study_uid"] is None:
        assert "imagingStudy" not in report
        return
    study = follow(exported, report["imagingStudy"][0])
    assert number_of(study) == f"urn:oid:{wanted['study_uid']}"
    assert number_of(study, "ACSN") == wanted["accession"]
    assert study["modality"][0]["code"] == wanted["dicom_modality"]
