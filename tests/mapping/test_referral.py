"""Referrals: REF to request and task, the reply to the task alone, and FHIR of others as messages."""

from __future__ import annotations

import json as standard
from typing import Any

import pytest

from gateway.errors import Permanent
from gateway.fhir import json, validate
from gateway.mapping.adopt import adopt
from gateway.mapping.datatypes.referrals import (
    facility_back,
    facility_into,
    provider_back,
    provider_into,
    referral_back,
    referral_into,
)
from gateway.mapping.maps import Address
from gateway.model import Resource
from tests.mapping.house import (
    FIXTURES,
    SHANGHAI,
    WHEN,
    all_of,
    back,
    context,
    follow,
    into,
    maps,
    message,
    only,
    segments,
)

RF1 = "RF1|P|R|HX^呼吸科^L|WR^上转^L|O|ZZ529901202603100001^HIS|20260312113000"
RP = "PRD|RP|黄志明||^^^TOWN&石桥中心卫生院|||SQ001^工号"
RT = "PRD|RT|林海||^^^COUNTY&青岚县人民医院|||H0207^工号"


def request_of(bundle: Any, type_: str) -> dict[str, str]:
    (entry,) = [each for each in bundle.bundle["entry"] if each["resource"]["resourceType"] == type_]
    found: dict[str, str] = entry["request"]
    return found


def test_the_request_is_its_senders_and_the_task_carries_the_state() -> None:
    made = into(message("REF^I12", RF1, RP, RT))
    asked, task = only(made, "ServiceRequest"), only(made, "Task")
    assert (asked["status"], task["status"]) == ("active", "requested")
    assert follow(made, task["focus"]) is asked
    assert follow(made, asked["requester"])["name"][0]["text"] == "黄志明"
    assert [follow(made, each)["resourceType"] for each in asked["performer"]] == ["Organization", "Practitioner"]
    assert (task["requester"]["display"], task["owner"]["display"]) == ("石桥中心卫生院", "青岚县人民医院")
    codes = [each["coding"][0]["code"] for each in asked["category"]]
    assert {"up", "3457005"} < set(codes)


def test_a_reply_never_overwrites_the_request() -> None:
    made = into(message("RRI^I12", "MSA|AA|M0", RF1.replace("RF1|P", "RF1|A"), RT, "NTE|1||床位已留"))
    assert request_of(made, "ServiceRequest")["method"] == "POST"
    assert request_of(made, "Task") == request_of(into(message("REF^I12", RF1, RP)), "Task")
    task = only(made, "Task")
    assert (task["status"], task["note"][0]["text"]) == ("accepted", "床位已留")


@pytest.mark.parametrize(
    ("code", "status"), [("A", "accepted"), ("R", "rejected"), ("P", "received"), ("E", "cancelled"), ("", "received")]
)
def test_the_answer_is_the_state_of_the_task(code: str, status: str) -> None:
    task = only(into(message("RRI^I12", "MSA|AA|M0", RF1.replace("RF1|P", f"RF1|{code}"))), "Task")
    assert task["status"] == status


def test_a_refusal_has_its_reason() -> None:
    refused = RF1.replace("RF1|P", "RF1|R") + "|||BED^床位已满^L"
    task = only(into(message("RRI^I12", "MSA|AA|M0", refused)), "Task")
    assert task["statusReason"]["text"] == "床位已满"
    accepted = RF1.replace("RF1|P", "RF1|A") + "|||D^病情需要^L"
    assert "statusReason" not in only(into(message("RRI^I12", "MSA|AA|M0", accepted)), "Task")


@pytest.mark.parametrize(
    ("event", "asked", "task"),
    [("I12", "active", "requested"), ("I13", "active", "requested"), ("I14", "revoked", "cancelled")],
)
def test_a_referral_may_be_withdrawn(event: str, asked: str, task: str) -> None:
    made = into(message(f"REF^{event}", RF1))
    assert (only(made, "ServiceRequest")["status"], only(made, "Task")["status"]) == (asked, task)


def test_what_is_enclosed_belongs_to_this_referral_alone() -> None:
    lines = ("OBR|1|||ZZD^双向转诊单^L", "OBX|1|TX|ZS^主诉^L||发热3天||||||F")
    one = into(message("REF^I12", RF1, *lines))
    other = into(message("REF^I12", RF1.replace("0001^HIS", "0002^HIS"), *lines))
    assert request_of(one, "DiagnosticReport") != request_of(other, "DiagnosticReport")
    report = only(one, "DiagnosticReport")
    assert [follow(one, each)["valueString"] for each in report["result"]] == ["发热3天"]
    assert follow(one, only(one, "ServiceRequest")["supportingInfo"][0]) is report


def test_numbers_of_reports_are_references_to_them() -> None:
    made = into(message("REF^I12", RF1, "OBR|1|||ZZD^单^L", "OBX|1|ST|JYDH^检验申请单号^L||A1~A2||||||F"))
    found = [
        each["identifier"]["value"] for each in only(made, "ServiceRequest")["supportingInfo"] if "identifier" in each
    ]
    assert found == ["A1", "A2"]


def test_a_referral_of_nobody_is_refused() -> None:
    with pytest.raises(Permanent, match="no PID segment"):
        into(message("REF^I12", RF1, pid=""))
    with pytest.raises(Permanent, match="no RF1 segment"):
        into(message("REF^I12", RP))


# ------------------------------------------------------------------------------------------------- types


def test_providers_with_a_number_are_practitioners_and_others_names() -> None:
    around = context()
    made = provider_into("黄^志明^^^医师", "SQ001^工号", "^^^TOWN&石桥", "县城", "0859-1", around)
    assert made is not None
    (entry,) = around.entries.values()
    assert entry.resource["identifier"][0]["system"] == "urn:hutong:id:TOWN:staff"
    assert provider_back({**made, **entry.resource}, context()) == (
        "黄^志明^^^医师", "SQ001^工号", "^^^TOWN", "县城", "0859-1",
    )  # fmt: skip
    assert provider_into("黄志明", "", "", "", "", around) == {"type": "Practitioner", "display": "黄志明"}
    assert provider_into("", "", "^^^TOWN", "", "", around) is None


def test_a_number_of_another_system_keeps_it() -> None:
    made: Resource = {
        "identifier": [{"system": "urn:oid:2.16.156.10011.1.4", "value": "H1"}],
        "name": [{"text": "林海"}],
    }
    name, number, *rest = provider_back(made, context())
    assert (name, number, rest) == ("林海", "H1^^urn:oid:2.16.156.10011.1.4", ["", "", ""])
    around = context()
    provider_into(name, number, "", "", "", around)
    (entry,) = around.entries.values()
    assert entry.resource["identifier"] == made["identifier"]


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("^^^12529901MB9900013D&甲院", "^^^12529901MB9900013D&甲院"),
        ("^^^FAC", "^^^FAC"),
        ("^^^FAC&1.2.3&ISO", "^^^FAC"),
        ("^^^^^^^^仅有描述", "^^^^^^^^仅有描述"),
    ],
)
def test_an_institution_there_and_back(raw: str, written: str) -> None:
    around = context()
    made = facility_into(raw, around)
    assert made is not None
    content: Resource = next((each.resource for each in around.entries.values()), {})
    assert facility_back({**made, **content}, context()) == written


def test_a_number_of_the_region_is_nobodys_own() -> None:
    assert referral_into("ZZ529901202603100001^HIS", context()) == {
        "system": "urn:hutong:referral", "value": "ZZ529901202603100001", "assigner": {"display": "HIS"},
    }  # fmt: skip
    for raw in ("ZZ529901202603100001^HIS", "ZX529901202603100001", "R7^HIS"):
        value = referral_into(raw, context())
        assert value is not None
        assert referral_back(value, context()) == raw


# --------------------------------------------------------------------------------------- FHIR of others


def adopted(name: str) -> dict[str, Resource]:
    bundle = adopt(
        json.loads((FIXTURES / f"golden_referral_{name}.bundle.json").read_bytes()), member="m", control_id="1"
    )
    assert validate.problems(bundle) == []
    found = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
    return {**found, **{f"{each['resourceType']}/{each['id']}": each for each in found.values()}}


def written(resources: dict[str, Resource], structure: str, lead: str) -> bytes:
    to = Address(profile=SHANGHAI, facility="COUNTY", control_id="B1", when=WHEN)
    return maps().from_fhir(resources, [lead], structure=structure, to=to)


@pytest.mark.parametrize("name", ["up", "down"])
@pytest.mark.parametrize("lead", ["ServiceRequest", "Task"])
def test_a_referral_made_in_fhir_becomes_ref(name: str, lead: str) -> None:
    resources = adopted(name)
    body = written(resources, "REF_I12", next(each for each in resources if each.startswith(f"{lead}/")))
    expected = standard.loads((FIXTURES / f"golden_referral_{name}.bundle.json").read_text())["entry"]
    asked = next(each["resource"] for each in expected if each["resource"]["resourceType"] == "ServiceRequest")
    again = into(body)
    found = only(again, "ServiceRequest")
    assert found["identifier"][0]["value"] == asked["identifier"][0]["value"]
    for element in ("status", "intent", "priority", "authoredOn", "locationCode", "reasonCode", "note"):
        assert found[element] == asked[element], element
    people = [follow(again, each) for each in (found["requester"], *found["performer"])]
    numbers = {each["resource"]["id"]: each["resource"].get("identifier") for each in expected}
    assert people[0]["identifier"] == numbers["dr-from"]
    assert [each["identifier"] for each in people[1:]] == [numbers["org-to"], numbers["dr-to"]]
    diagnoses = [each["resource"]["code"] for each in expected if each["resource"]["resourceType"] == "Condition"]
    assert [each["code"]["coding"][0]["code"] for each in all_of(again, "Condition")] == [
        each["coding"][0]["code"] for each in diagnoses
    ]
    assert len(segments(body, "PRD")) == 2


@pytest.mark.parametrize(
    ("status", "code"), [("accepted", "A"), ("in-progress", "A"), ("rejected", "R"), ("received", "P")]
)
def test_a_task_that_was_answered_in_fhir_becomes_rri(status: str, code: str) -> None:
    resources = adopted("up")
    resources["Task/task"].update(status=status, statusReason={"text": "床位已满"}, note=[{"text": "见意见"}])
    body = written(resources, "RRI_I12", "Task/task")
    (answer,) = segments(body, "RF1")
    assert (answer[1], answer[6].partition("^")[0]) == (code, "ZZ529901202603100001")
    assert [each[3] for each in segments(body, "NTE")] == ["见意见"]
    assert segments(body, "MSH")[0][9] == "RRI^I12^RRI_I12"


def test_a_role_stands_for_its_practitioner() -> None:
    resources = adopted("up")
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/dr-from"}}
    resources["PractitionerRole/r"] = role
    resources["ServiceRequest/referral"]["requester"] = {"reference": "PractitionerRole/r"}
    body = written(resources, "REF_I12", "ServiceRequest/referral")
    assert next(each[2] for each in segments(body, "PRD") if each[1] == "RP") == "黄志明"


def test_there_and_back() -> None:
    made = into(message("REF^I12", RF1, RP, RT, "NTE|1||绿色通道"))
    body = back(made.bundle, "REF_I12")
    assert segments(body, "PRD") == [RP.split("|"), RT.split("|")]
