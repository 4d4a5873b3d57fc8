"""The referral forms of the invented county, up and down: what each form says."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from gateway.codec import json as json_tree
from gateway.mapping.context import CHINESE_ID
from gateway.mapping.maps import Translation
from gateway.model import Resource
from tests.mapping.house import FIXTURES, SHANGHAI, WHEN, all_of, follow, maps

FILES = ("up", "down")
REFERRAL = "urn:hutong:referral"


def expected(file: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"referral_{file}.expected.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def exported() -> dict[str, Translation]:
    return {file: _exported(file) for file in FILES}


def _exported(file: str) -> Translation:
    part = maps().exports.of_tree(json_tree.decode((FIXTURES / f"referral_{file}.json").read_bytes()).root)
    return maps().exports.to_fhir([part], profile=SHANGHAI, facility="GW", control_id="F1", when=WHEN)


def referral(made: Translation, type_: str, number: str) -> Resource:
    return next(
        each
        for each in all_of(made, type_)
        if any(one == {**one, "system": REFERRAL, "value": number} for one in each["identifier"])
    )


def of_patient(made: Translation, type_: str, patient: Resource, element: str = "subject") -> list[Resource]:
    return [each for each in all_of(made, type_) if follow(made, each[element]) is patient]


@pytest.mark.parametrize("file", FILES)
def test_the_file_has_all_its_resources(exported: dict[str, Translation], file: str) -> None:
    there = Counter(entry["resource"]["resourceType"] for entry in exported[file].bundle["entry"])
    for name, count in expected(file)["counts"].items():
        if name.endswith("_min"):
            assert there[name.removesuffix("_min")] >= count
        else:
            assert there[name] == count, name
    assert (exported[file].rejects, exported[file].unknown) == ((), ())


@pytest.mark.parametrize("file", FILES)
def test_every_referral(exported: dict[str, Translation], file: str) -> None:
    made = exported[file]
    for wanted in expected(file)["referrals"]:
        request = referral(made, "ServiceRequest", wanted["referral_no"])
        _check_request(made, request, wanted)
        _check_task(made, referral(made, "Task", wanted["referral_no"]), request, wanted)
        patient = follow(made, request["subject"])
        assert patient["name"][0]["text"] == wanted["patient"]
        assert wanted["patient_id"] in [each["value"] for each in patient["identifier"] if each["system"] == CHINESE_ID]
        _check_beside(made, patient, request, wanted)


def _check_request(made: Translation, request: Resource, wanted: dict[str, Any]) -> None:
    told = wanted["ServiceRequest"]
    assert (request["status"], request["intent"], request["authoredOn"]) == (
        told["status"], told["intent"], told["authoredOn"],
    )  # fmt: skip
    assert request["priority"] in told["priority"].split("|")
    codes = {coding["code"] for each in request["category"] for coding in each["coding"]}
    assert codes == {"3457005", wanted["direction"]}
    assert request["requester"]["display"] == told["requester"].partition(" @")[0]
    assert request["performer"][0]["display"] == told["performer"]
    assert request["locationCode"] == [{"text": told["performer_dept"]}]
    reasons = [follow(made, each)["code"]["coding"][0]["code"] for each in request["reasonReference"]]
    assert reasons == told["reasonCode"]
    prior = [each for each in request.get("supportingInfo", ()) if "reference" not in each]
    assert [each.get("identifier", {}).get("value", each["display"]) for each in prior] == told["supportingInfo"]
    earlier = wanted.get("basedOn_or_replaces")
    assert [each["identifier"]["value"] for each in request.get("basedOn", ())] == ([earlier] if earlier else [])


def _check_task(made: Translation, task: Resource, request: Resource, wanted: dict[str, Any]) -> None:
    told = wanted["Task"]
    assert (task["status"], task["owner"]["display"]) == (told["status"], told["owner"])
    assert follow(made, task["focus"]) is request
    assert len(task["note"]) == told["history_events"]
    assert task.get("statusReason", {}).get("text") == (
        "外科床位已满，建议转县人民医院" if told["status"] == "rejected" else None
    )
    due = wanted.get("emergency_papers", {}).get("due")
    assert task.get("restriction", {}).get("period", {}).get("end") == due


def _check_beside(made: Translation, patient: Resource, request: Resource, wanted: dict[str, Any]) -> None:
    texts = [each["text"] for each in request["note"]]
    plans = of_patient(made, "CarePlan", patient)
    texts += [each["text"] for plan in plans for each in plan["note"]]
    for text in wanted["clinical_text"].values():
        assert any(each.endswith(f"：{text}") for each in texts), text
    assert len(plans) == ("CarePlan" in wanted)
    for plan in plans:
        assert len(plan["activity"]) >= wanted["CarePlan"]["activities_min"]
    documents = of_patient(made, "DocumentReference", patient)
    assert len(documents) == wanted["DocumentReference"]
    assert len(of_patient(made, "Consent", patient, "patient")) == 1
    appointments = [each for each in all_of(made, "Appointment") if follow(made, each["basedOn"][0]) is request]
    assert len(appointments) == wanted.get("Appointment", 0)
    _check_allergy([each["code"] for each in of_patient(made, "AllergyIntolerance", patient, "patient")], wanted)


def _check_allergy(codes: list[dict[str, Any]], wanted: dict[str, Any]) -> None:
    match wanted["AllergyIntolerance"]:
        case "unknown":
            assert codes == []
        case "no known drug allergy":
            assert [code["coding"][0]["code"] for code in codes] == ["409137002"]
        case named:
            assert codes == [{"text": named}]


def test_a_rejected_referral_is_revoked(exported: dict[str, Translation]) -> None:
    assert referral(exported["up"], "ServiceRequest", "ZZ529901202603130003")["status"] == "revoked"


def test_the_attachment_is_kept(exported: dict[str, Translation]) -> None:
    (attached,) = [
        each["content"][0]["attachment"]
        for each in all_of(exported["up"], "DocumentReference")
        if "data" in each["content"][0]["attachment"]
    ]
    assert (attached["contentType"], attached["title"]) == ("application/pdf", "心电图报告.pdf")
    assert attached["data"].startswith("JVBERi0")
