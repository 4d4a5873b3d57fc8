"""Who told, who ordered, who answers for it: people in a role, and what a code names beside them."""

from __future__ import annotations

import pytest

from gateway.mapping.maps import Translation
from gateway.model import Resource
from tests.mapping.house import PID, PV1, all_of, back, follow, into, message, only


def written(body: bytes) -> list[str]:
    """The segments of a message that was translated and comes back with the same event."""
    made = into(body)
    event = body.decode().split("|")[8].split("^")[1]
    return back(made.bundle, made.structure, event=event).decode().rstrip("\r").split("\r")


DIRECTOR = "县医院检验科^^C9|路1号^^青石县|M1^周^主任"


def result(number: int, *, director: str = "") -> str:
    return f"OBX|{number}|NM|T{number}^检验^L||5.6|mmol/L|||||F|||20260312110000||T1^检^验|||||||{director}".rstrip("|")


def reported(*lines: str) -> bytes:
    return message("ORU^R01^ORU_R01", "OBR|1|P1^HIS|F1^LIS|CBC^血常规^L|||||||||||||||||||||F", *lines)


def performers(made: Translation, observation: Resource) -> list[str]:
    return [follow(made, each)["resourceType"] for each in observation["performer"]]


def test_the_director_of_a_laboratory_performs_in_that_role_and_is_made_once() -> None:
    made = into(reported(result(1, director=DIRECTOR), result(2, director=DIRECTOR), result(3)))
    role = only(made, "PractitionerRole")
    assert role["code"][0]["coding"][0]["code"] == "MDIR"
    assert follow(made, role["practitioner"])["name"][0]["text"] == "周主任"
    assert follow(made, role["organization"])["name"] == "县医院检验科"
    first, _, third = all_of(made, "Observation")
    assert performers(made, first) == ["Organization", "Practitioner", "PractitionerRole"]
    assert performers(made, third) == ["Practitioner"]


def test_the_director_comes_back_to_his_own_field() -> None:
    (segment,) = [each for each in written(reported(result(1, director=DIRECTOR))) if each.startswith("OBX|")]
    fields = segment.split("|")
    assert fields[16].startswith("T1^检^验")
    assert fields[25].startswith("M1^周^主任")
    assert "M1" not in fields[16]


def allergy(by: str, relation: str) -> bytes:
    return message("ADT^A60", f"IAM|1|DA|J01^青霉素^L|SV|皮疹|||||||||{by}|{relation}".rstrip("|"))


@pytest.mark.parametrize(
    ("relation", "type_"),
    [("MTH^母亲^HL70063", "RelatedPerson"), ("SEL^本人^HL70063", "Patient"), ("^本人", "Patient")],
)
def test_who_told_of_an_allergy_is_reached(relation: str, type_: str) -> None:
    made = into(allergy("王^芳", relation))
    recorder = only(made, "AllergyIntolerance")["recorder"]
    assert recorder["display"] == "王芳"
    assert follow(made, recorder)["resourceType"] == type_
    assert written(allergy("王^芳", relation))[-1].endswith(f"|王^芳|{relation}")


def test_of_an_unknown_one_only_the_name_is_told() -> None:
    recorder = only(into(allergy("李医生", "")), "AllergyIntolerance")["recorder"]
    assert recorder == {"display": "李医生"}


def test_two_relatives_of_one_family_are_two_people() -> None:
    lines = [f"IAM|{n}|DA|J0{n}^药^L|SV|皮疹|||||||||王^{name}|SIB^^HL70063" for n, name in enumerate("芳红芳", 1)]
    made = into(message("ADT^A60", *lines))
    assert [each["name"][0]["text"] for each in all_of(made, "RelatedPerson")] == ["王芳", "王红"]


def test_a_vaccination_tells_for_whom_it_was_ordered() -> None:
    order = "ORC|RE|P1^HIS|F1^VAX|||||||||D1^李^明|||||||||青石镇卫生院^^C01|镇街2号^^青石镇"
    made = into(message("VXU^V04", order, "RXA|0|1|20260312100000||03^麻腮风^99VAC|999"))
    (performer,) = only(made, "Immunization")["performer"]
    role = follow(made, performer["actor"])
    assert performer["function"]["coding"][0]["code"] == "OP"
    assert follow(made, role["practitioner"])["name"][0]["text"] == "李明"
    assert follow(made, role["organization"])["address"][0]["city"] == "青石镇"


def booked(kind: str) -> bytes:
    return message(
        "SIU^S12",
        "SCH|B1^HIS|F1^HIS|||||^复诊||||^^^20260320093000^20260320100000",
        "RGS|1",
        f"AIG|1||R01^CT一室^99LOC|{kind}",
        pid="",
    )


@pytest.mark.parametrize(("kind", "reached"), [("ROOM^房间^L", True), ("R^诊室^L", True), ("EQUIP^设备^L", False)])
def test_a_room_that_is_booked_is_a_place(kind: str, reached: bool) -> None:
    made = into(booked(kind))
    actor = only(made, "Appointment")["participant"][0]["actor"]
    assert actor["display"] == "CT一室"
    assert ("reference" in actor) is reached
    assert [each["name"] for each in all_of(made, "Location")] == ["CT一室"] * reached
    assert [each for each in written(booked(kind)) if each.startswith("AIG|1||R01^CT一室^99LOC|")]


def test_a_device_of_entry_is_a_device() -> None:
    order = "ORC|NW|P1^HIS||||||||D1^李^明||||||||WS01^护士站一号^99DEV"
    made = into(message("OML^O21", order, "OBR|1|P1^HIS||CBC^血常规^L"))
    device = only(made, "Device")
    assert device["deviceName"][0]["name"] == "护士站一号"
    assert device["identifier"][0]["value"] == "WS01"
    assert [
        each
        for each in written(message("OML^O21", order, "OBR|1|P1^HIS||CBC^血常规^L"))
        if "|WS01^护士站一号^99DEV" in each
    ]


def test_an_edit_by_nobody_who_is_named_is_the_senders() -> None:
    text = "TXA|1|CN^会诊^L|TX||||20260312120000|20260312130000||||DOC1^EMR|||||AU"
    made = into(message("MDM^T02", text, "OBX|1|TX|11488-4^会诊^LN||内容"))
    (edit,) = [each for each in all_of(made, "Provenance") if "occurredDateTime" in each]
    (agent,) = edit["agent"]
    assert follow(made, agent["who"])["resourceType"] == "Organization"
    assert "20260312130000" in written(message("MDM^T02", text, "OBX|1|TX|11488-4^会诊^LN||内容"))[-2]


@pytest.mark.parametrize(("number", "identified"), [("E77^^^COUNTY^EN", ["E77"]), ("E77^^^COUNTY^SN", [])])
def test_the_number_of_an_employer_is_his_organizations(number: str, identified: list[str]) -> None:
    insured = f"IN1|1|P1^城镇职工^L|C1^^^COUNTY|县医保局||||G1||{number}|青石县第一中学"
    made = into(message("ADT^A28", insured))
    holder = only(made, "Coverage")["policyHolder"]
    assert holder["display"] == "青石县第一中学"
    assert [
        each["identifier"][0]["value"] for each in all_of(made, "Organization") if each.get("name") == holder["display"]
    ] == identified


def test_a_person_is_important_where_no_visit_is_told_of() -> None:
    body = message("ADT^A28", "PV1|1|N||||||||||||||V1^干部保健^L")
    (found,) = only(into(body), "Patient")["extension"]
    assert found["url"].endswith("/patient-importance")
    assert "PV1|1|N||||||||||||||V1^干部保健^L" in written(body)
    assert "extension" not in only(into(message("ADT^A01", "PV1|1|I||||||||||||||V1^干部保健^L")), "Patient")


def test_what_somebody_is_called_is_a_name_of_its_own_and_stands_in_his_name() -> None:
    called = "PID|1||300001^^^COUNTY^PI||欧阳^建国^^^^^L^^^^^^^^阿建||19750618|M"
    body = message("ADT^A28", pid=called)
    first, nickname = only(into(body), "Patient")["name"]
    assert (first["text"], nickname["use"], nickname["given"]) == ("欧阳建国", "nickname", ["阿建"])
    assert called in written(body)


def test_a_procedure_lasts_its_minutes() -> None:
    body = message("ADT^A08", PV1, "PR1|1||47.01^阑尾切除术^I9C||20260312093000||45")
    performed = only(into(body), "Procedure")["performedPeriod"]
    assert performed == {"start": "2026-03-12T09:30:00+08:00", "end": "2026-03-12T10:15:00+08:00"}
    assert written(body)[-1].endswith("|20260312093000||45")


def test_a_note_in_a_code_keeps_its_code_beside_its_text() -> None:
    notes = ("NTE|1||请空腹|RE^Remark^HL70364", "NTE|2||轮椅||||||Z02^轮椅^L", "NTE|3||||||||Z01^空腹^L")
    body = message("SIU^S12", "SCH|B1^HIS|F1^HIS|||||^复诊||||^^^20260320093000", *notes, PID, pid="")
    appointment = only(into(body), "Appointment")
    assert appointment["comment"] == "请空腹"
    told = [value for each in appointment["extension"] for name, value in each.items() if name != "url"]
    assert [each["text"] for each in told] == ["轮椅", "空腹"]
    kept = [each.split("|", 3)[3] for each in written(body) if each.startswith("NTE|")]
    assert kept == ["请空腹", "轮椅||||||Z02^轮椅^L", "||||||Z01^空腹^L"]


def test_a_code_of_another_standard_system_is_not_called_ours() -> None:
    lines = ("DG1|1||I10^高血压^I10|||MR^病历^HL70203", "DG1|2||I11^高血压^I10|||W^工作诊断^HL70052")
    body = message("ADT^A08", PV1, *lines)
    first, second = all_of(into(body), "Condition")
    systems = [each["category"][0]["coding"][0]["system"].rpartition("/")[2] for each in (first, second)]
    assert systems == ["v2-0203", "v2-0052"]
    assert [each.split("|")[6] for each in written(body)[-2:]] == ["MR^病历^HL70203", "W^工作诊断^HL70052"]


@pytest.mark.parametrize(
    ("unit", "code", "shown"),
    [
        ("BX^盒^L^mg^^UCUM", "mg", "BX"),
        ("U1^^L^10*12/L^^UCUM", "10*12/L", "U1"),
        ("^^^^^^^^mmol/L", "mmol/L", "mmol/L"),
    ],
)
def test_an_alternate_unit_of_ucum_is_the_code(unit: str, code: str, shown: str) -> None:
    body = reported(f"OBX|1|NM|T1^检验^L||5.6|{unit}|||||F")
    value = only(into(body), "Observation")["valueQuantity"]
    assert (value["code"], value["unit"]) == (code, shown)


def test_a_titre_above_what_was_tried_is_one() -> None:
    body = reported("OBX|1|SN|T1^抗核抗体^L||>^1^:^128||||||F")
    ratio = only(into(body), "Observation")["valueRatio"]
    assert (ratio["numerator"]["comparator"], ratio["denominator"]["value"]) == (">", 128)
    assert any("|>^1^:^128|" in each for each in written(body))


def test_the_number_of_a_role_action_comes_back_with_its_reason() -> None:
    body = message("ADT^A28", "ROL|1|AD|CON^会诊^L|D2^王^明|20260101|||R2^会诊^L")
    assert any(each.split("|")[8:9] == ["R2^会诊^L"] for each in written(body) if each.startswith("ROL|"))
