"""Resources of the record → messages for one receiver: its numbers, its codes, its charset; nothing of others."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from gateway.codec import hl7v2
from gateway.errors import Configuration, Permanent
from gateway.mapping.maps import Address
from gateway.model import Profile, Resource
from tests.mapping.house import SHANGHAI, WHEN, all_of, by_reference, into, maps, message, segments

TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
TOWN = "石桥"  # a member may have a Chinese name
QUOTED = "%E7%9F%B3%E6%A1%A5"


def number(system: str, value: str, kind: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"system": system, "value": value}
    return {**made, "type": {"coding": [{"system": TYPES, "code": kind}]}} if kind else made


PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "p",
    "identifier": [
        number("urn:hutong:id:COUNTY:PI", "300001", "PI"),
        number(f"urn:hutong:id:{QUOTED}:PI", "SQ7", "PI"),
        number("urn:oid:2.16.156.10011.1.3", "529901195804120111", "NI"),
        number("urn:hutong:id:COUNTY:AN", "ACC9", "AN"),
    ],
    "name": [{"text": "欧阳建国"}],
    "gender": "male",
    "birthDate": "1958-04-12",
}
ORDER: Resource = {
    "resourceType": "ServiceRequest",
    "id": "o",
    "identifier": [number("urn:hutong:id:HIS", "P1", "PLAC")],
    "status": "completed",
    "intent": "order",
    "subject": {"reference": "Patient/p"},
    "code": {
        "coding": [{"system": f"urn:hutong:code:{QUOTED}:L", "code": "XM05", "display": "胸部CT"}],
        "text": "胸部CT",
    },
}
REPORT: Resource = {
    "resourceType": "DiagnosticReport",
    "id": "r",
    "identifier": [number("urn:hutong:id:CT", "F1", "FILL")],
    "status": "final",
    "subject": {"reference": "Patient/p"},
    "basedOn": [{"reference": "ServiceRequest/o"}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}], "text": "胸部CT"},
    "issued": "2026-03-12T12:25:00+08:00",
    "conclusion": "双肺未见异常。",
    "result": [{"reference": "Observation/x"}],
}
RESULT: Resource = {
    "resourceType": "Observation",
    "id": "x",
    "status": "final",
    "code": {"text": "所见"},
    "valueString": "双肺纹理清晰。",
}


def write(*resources: Resource, structure: str = "ORU_R01", own: Sequence[str] = (), **profile: Any) -> bytes:
    named = {f"{each['resourceType']}/{each['id']}": each for each in resources}
    lead = maps().library.structures[structure].lead
    leads = [name for name, each in named.items() if each["resourceType"] == lead]
    to = Address(
        profile=Profile(time_zone="Asia/Shanghai", **profile), facility=own[0] if own else "X", own=frozenset(own),
        control_id="B1", when=WHEN,
    )  # fmt: skip
    return maps().from_fhir(named, leads or ["Patient/p"], structure=structure, to=to)


def get(body: bytes, path: str) -> list[str]:
    return hl7v2.decode(body).get(path)


def test_a_report_in_the_receivers_own_terms() -> None:
    body = write(PATIENT, ORDER, REPORT, RESULT, own=[TOWN], charset="GB18030", version="2.4", application="HIS")
    message = hl7v2.decode(body)
    assert [each[0] for each in message.segments] == ["MSH", "PID", "ORC", "OBR", "OBX", "OBX"]
    header = message.header
    assert (header.kind, header.version, header.receiving_facility, header.control_id) == ("ORU^R01", "2.4", TOWN, "B1")
    assert "欧阳建国".encode("gb18030") in body
    assert message.get("PID-3.1") == ["SQ7", "529901195804120111"]  # the county's number is not the township's business
    assert (message.get("ORC-2.1"), message.get("OBR-2.1"), message.get("OBR-3.1")) == (["P1"], ["P1"], ["F1"])
    assert message.get("OBR-4") == ["XM05^胸部CT^L"]  # as it was ordered
    assert message.get("OBX-5") == ["双肺纹理清晰。", "双肺未见异常。"]
    assert message.get("OBX[2]-3.1") == ["19005-8"]


def test_a_receiver_without_numbers_of_its_own_gets_those_there_are() -> None:
    body = write(PATIENT, ORDER, REPORT, RESULT, own=["ELSEWHERE"])
    assert get(body, "PID-3.1") == ["300001", "SQ7", "529901195804120111"]
    assert get(body, "PID-18.1") == ["ACC9"]  # what is meant for PID-18 is not left to PID-3
    assert get(body, "OBR-4.1") == ["24627-2"]  # nobody's own item: the report's own code


@pytest.mark.parametrize(
    ("order", "others"),
    [
        ({**ORDER, "orderDetail": [{"text": "another panel"}]}, []),  # an order of several panels
        (ORDER, [{**REPORT, "id": "r2"}]),  # several reports of one order
    ],
)
def test_a_report_keeps_its_own_name_where_the_order_stands_for_several(
    order: Resource, others: list[Resource]
) -> None:
    named = [PATIENT, order, REPORT, RESULT, *others]
    resources = {f"{each['resourceType']}/{each['id']}": each for each in named}
    to = Address(profile=SHANGHAI, facility=TOWN, own=frozenset([TOWN]), control_id="B1", when=WHEN)
    body = maps().from_fhir(resources, ["DiagnosticReport/r"], structure="ORU_R01", to=to)
    assert get(body, "OBR-4.1") == ["24627-2"]


def test_an_impression_among_the_results_is_not_written_twice() -> None:
    impression = {**RESULT, "id": "y", "code": {"coding": [{"system": "http://loinc.org", "code": "19005-8"}]}}
    report = {**REPORT, "result": [{"reference": "Observation/x"}, {"reference": "Observation/y"}]}
    assert len(segments(write(PATIENT, ORDER, report, RESULT, impression), "OBX")) == 2


def test_documents_of_a_report() -> None:
    form = {"contentType": "application/pdf", "data": "JVBERg==", "title": "报告"}
    body = write(PATIENT, ORDER, {**REPORT, "presentedForm": [form, {"url": "http://x/1"}]}, RESULT)
    assert get(body, "OBX-2") == ["ST", "TX", "ED", "RP"]
    assert get(body, "OBX[3]-5.5") == ["JVBERg=="]
    assert get(body, "OBX[4]-5.1") == ["http://x/1"]
    assert [each[1] for each in segments(body, "OBX")] == ["1", "2", "3", "4"]


def test_a_result_whose_status_has_no_code_leaves_the_field_empty() -> None:
    (obx,) = segments(write(PATIENT, ORDER, {**REPORT, "conclusion": ""}, {**RESULT, "status": "unknown"}), "OBX")
    assert (obx + [""] * 12)[11] == ""


def test_an_order_alone_makes_no_request_of_its_state() -> None:
    bare = {name: value for name, value in ORDER.items() if name != "code"} | {"status": "revoked"}
    body = write(PATIENT, bare, structure="ORM_O01")
    assert [each[0] for each in hl7v2.decode(body).segments] == ["MSH", "PID", "ORC"]
    assert (get(body, "ORC-1"), get(body, "ORC-5")) == (["CA"], ["CA"])


def test_a_patient_without_a_visit_is_a_message_too() -> None:
    body = write(PATIENT, structure="ADT_A01")
    assert [each[0] for each in hl7v2.decode(body).segments] == ["MSH", "EVN", "PID"]
    assert hl7v2.decode(body).header.trigger == "A08"


@pytest.mark.parametrize(
    ("status", "class_", "event"),
    [
        ("in-progress", "IMP", "A01"),
        ("in-progress", "AMB", "A04"),
        ("finished", "IMP", "A03"),
        ("onleave", "IMP", "A08"),
    ],
)
def test_a_visit_tells_its_event(status: str, class_: str, event: str) -> None:
    visit = {
        "resourceType": "Encounter", "id": "e", "status": status, "class": {"code": class_},
        "subject": {"reference": "Patient/p"}, "identifier": [number("urn:hutong:id:COUNTY:VN", "V1", "VN")],
    }  # fmt: skip
    body = write(PATIENT, visit, structure="ADT_A01")
    assert hl7v2.decode(body).header.trigger == event
    assert get(body, "EVN-1") == [event]
    assert get(body, "PV1-19.1") == ["V1"]


def test_conditions_of_another_visit_stay_out() -> None:
    visit = {
        "resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p"}, "diagnosis": [{"condition": {"reference": "Condition/a"}}],
    }  # fmt: skip
    there = {"resourceType": "Condition", "id": "a", "code": {"text": "here"}, "subject": {"reference": "Patient/p"}}
    elsewhere = {**there, "id": "b", "code": {"text": "elsewhere"}, "encounter": {"reference": "Encounter/other"}}
    assert get(write(PATIENT, visit, there, elsewhere, structure="ADT_A01"), "DG1-3.2") == ["here"]


def test_a_specimen_of_two_reports_is_written_with_both() -> None:
    lines = []
    for name in ("1", "2"):
        lines += [f"ORC|RE|P{name}^HIS|F{name}^LIS", f"OBR|{name}|P{name}^HIS|F{name}^LIS|A{name}^a^L"]
        lines += [f"OBX|1|NM|C{name}^t^L||5|g/L|||||F", "SPM|1|S1&LIS||2^血清^L"]
    made = into(message("ORU^R01^ORU_R01", *lines))
    assert len(all_of(made, "Specimen")) == 1
    resources = by_reference(made.bundle)
    leads = [url for url, each in resources.items() if each["resourceType"] == "DiagnosticReport"]
    to = Address(profile=SHANGHAI, facility="COUNTY", control_id="B1", when=WHEN)
    body = maps().from_fhir(resources, leads, structure="ORU_R01", to=to)
    assert [each[0] for each in hl7v2.decode(body).segments] == [
        "MSH", "PID", "ORC", "OBR", "OBX", "SPM", "ORC", "OBR", "OBX", "SPM",
    ]  # fmt: skip


def test_all_notes_of_one_order_number_are_kept_with_what_they_are_about() -> None:
    made = into(
        message("ORM^O01", "ORC|NW|P1^HIS", "OBR|1|P1^HIS||A^a^L", "NTE|1||one", "OBR|2|P1^HIS||B^b^L", "NTE|1||two")
    )
    told = [(each["code"]["text"], *(note["text"] for note in each["note"])) for each in all_of(made, "ServiceRequest")]
    assert told == [("a", "one"), ("b", "two")]


def test_separators_and_line_ends_in_data_never_break_a_message() -> None:
    evil = {**RESULT, "valueString": "a|b^c&d~e\\f\rMSH|^~\\&|x\ng", "note": [{"text": "n\r\nPID|1"}]}
    body = write({**PATIENT, "name": [{"text": "a|b\rPID|2"}]}, ORDER, {**REPORT, "conclusion": ""}, evil)
    assert [each[0] for each in hl7v2.decode(body).segments] == ["MSH", "PID", "ORC", "OBR", "OBX", "NTE"]
    assert get(body, "OBX-5")[0].startswith("a|b^c&d~e\\f")


def test_what_a_receivers_charset_cannot_hold_is_refused() -> None:
    with pytest.raises(Permanent):
        write({**PATIENT, "name": [{"text": "𠮷"}]}, ORDER, REPORT, RESULT, charset="ISO-8859-1")


def test_a_structure_that_no_map_writes() -> None:
    with pytest.raises(Configuration, match="no message structure is called XYZ_Z01"):
        maps().from_fhir(
            {"Patient/p": PATIENT}, ["Patient/p"], structure="XYZ_Z01",
            to=Address(profile=SHANGHAI, facility="X", control_id="1", when=WHEN),
        )  # fmt: skip


def test_quantities_go_out_to_the_digit() -> None:
    value = {"value": Decimal("5.20"), "unit": "mmol/L", "comparator": "<"}
    result = {name: each for name, each in RESULT.items() if name != "valueString"} | {"valueQuantity": value}
    body = write(PATIENT, ORDER, {**REPORT, "conclusion": ""}, result)
    assert (get(body, "OBX-2"), get(body, "OBX-5"), get(body, "OBX-6")) == (["SN"], ["<^5.20"], ["mmol/L"])


def test_the_country_is_the_receivers() -> None:
    resources = {"Patient/p": PATIENT}
    for country, written in (("", "CHN"), ("SGP", "SGP")):
        to = Address(profile=Profile(country=country), facility="COUNTY", control_id="B1", when=WHEN)
        body = maps().from_fhir(resources, ["Patient/p"], structure="ADT_A01", to=to)
        assert segments(body, "MSH")[0][17] == written
