"""Fields that senders fill beside the usual ones have their place, both ways; of the rest the reason told is true."""

from __future__ import annotations

import pytest

from gateway.mapping.accounting.account import State
from tests.mapping.house import PV1, all_of, follow, into, message, only
from tests.mapping.test_accounting import account, state
from tests.mapping.test_said_apart import lost

REPORT = "OBR|1|P1^HIS|F1^LIS|A1^血常规^L|||20260312100000{more}|||F"
TAKEN = REPORT.format(more="|||1001^李^护士||||20260312103000|||||||20260312110000")
RESULT = "OBX|1|NM|718-7^血红蛋白^LN||120|g/L|||||F"
NOTE = "http://hl7.org/fhir/StructureDefinition/note"


def kept(body: bytes, segment: str) -> list[str]:
    """The places of a segment that the Bundle does not say."""
    return [row.place for row in account(body).rows if row.state is not State.CARRIED and row.place.startswith(segment)]


# -------------------------------------------------------------------------------------------- specimens of reports


def test_when_a_specimen_came_and_who_took_it_make_one_without_its_kind() -> None:
    body = message("ORU^R01^ORU_R01", TAKEN, RESULT)
    made = into(body)
    specimen = only(made, "Specimen")
    assert specimen["receivedTime"] == "2026-03-12T10:30:00+08:00"
    assert follow(made, specimen["collection"]["collector"])["name"][0]["text"] == "李护士"
    assert [follow(made, each) for each in only(made, "DiagnosticReport")["specimen"]] == [specimen]
    assert lost(body) == kept(body, "OBR-1") == []


@pytest.mark.parametrize("sent", ["SPM|1|||BLD^血^L", "SPM|1|SP1^LIS||BLD^血^L|||||||||||||20260312095500"])
def test_where_the_specimen_has_its_own_segment_it_is_one(sent: str) -> None:
    body = message("ORU^R01^ORU_R01", TAKEN, RESULT, sent)
    specimen = only(into(body), "Specimen")
    assert specimen["type"]["text"] == "血"
    assert specimen["receivedTime"] == "2026-03-12T10:30:00+08:00"
    assert specimen["collection"]["collector"]["display"] == "李护士"
    assert lost(body) == kept(body, "OBR-1") == []


@pytest.mark.parametrize("section", ["CT", "EC", "OUS"])
def test_an_examination_without_a_specimen_gets_none(section: str) -> None:
    examined = f"OBR|1|P1^HIS|F1^RIS|A1^检查^L|||20260312100000|||||||20260312103000||||||||||{section}|F"
    assert all_of(into(message("ORU^R01^ORU_R01", examined, RESULT)), "Specimen") == []


# ------------------------------------------------------------------------------------------------ notes of a person

SAID = "NTE|1||晕血||1001^李^护士|20260312"
ORDER = ("ORC|NW|P1^HIS", "OBR|1|P1^HIS||A1^血常规^L", "NTE|1||空腹")


def of_the_person(body: bytes) -> list[str]:
    found = only(into(body), "Patient").get("extension", [])
    return [each["valueAnnotation"]["text"] for each in found if each["url"] == NOTE]


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("ADT^A01^ADT_A01", (SAID, "NTE|2||听力差", PV1)),
        ("ORU^R01^ORU_R01", (SAID, "NTE|2||听力差", PV1, TAKEN, "NTE|1||报告", RESULT, "NTE|1||结果")),
        ("OUL^R24^OUL_R24", ("PD1||||1002^王", SAID, "NTE|2||听力差", PV1, TAKEN, RESULT, "NTE|1||结果")),
        ("ORM^O01^ORM_O01", (SAID, "NTE|2||听力差", PV1, *ORDER)),
        ("OML^O21^OML_O21", (SAID, "NTE|2||听力差", PV1, *ORDER)),
        ("OMP^O09^OMP_O09", (SAID, "NTE|2||听力差", "ORC|NW|P1^HIS", "RXO|A^阿莫西林^L|1||mg", "NTE|1||饭后")),
    ],
)
def test_a_note_behind_the_patient_is_his(kind: str, lines: tuple[str, ...]) -> None:
    body = message(kind, *lines)
    assert of_the_person(body) == ["晕血", "听力差"]
    (first, _) = (each["valueAnnotation"] for each in only(into(body), "Patient")["extension"] if each["url"] == NOTE)
    assert (first["authorReference"]["display"], first["time"]) == ("李护士", "2026-03-12")
    assert lost(body) == kept(body, "NTE[1]") == []


def test_a_note_at_the_head_is_about_the_message() -> None:
    person = "PID|1||300001^^^COUNTY^PI||张^伟||19750618|M"
    body = message("ORM^O01^ORM_O01", person, "NTE|1||晕血", *ORDER, pid="NTE|1||加急处理")
    assert of_the_person(body) == ["晕血"]
    assert state(body, "NTE[1]-3")[0] is State.KEPT
    assert "patient.map" in state(body, "NTE[1]-3")[1]
    assert of_the_person(message("ORM^O01^ORM_O01", person, *ORDER, pid="NTE|1||加急处理")) == []
    assert of_the_person(message("ORM^O01^ORM_O01", PV1, "NTE|1||就诊后", *ORDER)) == []


def test_the_repetitions_of_a_note_are_its_lines() -> None:
    body = message("ORU^R01^ORU_R01", "NTE|1||晕血~听力差", TAKEN, "NTE|1||溶血~复查", RESULT, "NTE|1||已复核~已电话")
    made = into(body)
    assert of_the_person(body) == ["晕血\n听力差"]
    assert only(made, "ServiceRequest")["note"] == [{"text": "溶血\n复查"}]
    assert only(made, "Observation")["note"] == [{"text": "已复核\n已电话"}]
    assert lost(body) == kept(body, "NTE[1]") == kept(body, "NTE[3]") == []


# ------------------------------------------------------------------------------------------------ reasons are true


def test_the_reason_is_a_line_that_could_have_read_it() -> None:
    twice = message("ORM^O01^ORM_O01", *ORDER[:2], "TQ1|1||QD^每日|||||||", "TQ1|2||QW^每周")
    assert state(twice, "TQ1[2]-3.1") == (State.KEPT, "of several TQ1 of one group the first is read")
    coded = ("RXO|A^甲^L|1||mg", "RXR|PO^口服", "RXE||A^甲^L|1||mg", "RXR|IV^静脉")
    encoded = message("RDE^O11^RDE_O11", "ORC|NW|P1^HIS", *coded)
    assert state(encoded, "RXR[1]-1.1")[1] == "RXR stands with the encoding of the order as well: that one is read"
    document = message("MDM^T02^MDM_T02", "TXA|1|CN||||||||||D1", "OBX|1|TX|A^a^L||x", "NTE|1||y")
    assert "medication.map" not in state(document, "NTE-3")[1]


# ------------------------------------------------------------------------------------- beside orders and medicines

CONTACT = "CTD|BP^送检联系人^HL70131|李^甲||检验科^^^COUNTY|^WPN^PH^^^^6012345~^NET^Internet^a@b.cn|PH|K7^COUNTY"
STEP = "IPC|ACC1^RIS|RP1^RIS|1.2.840.1|SPS1^RIS|CT|CT1^胸部平扫^L~CT2^增强^L|CT01^CT机^L|R1^CT室^L|CTAE01"
VACCINE = "RXA|0|1|20260312090000||08^乙肝疫苗^CVX|0.5|mL|||||||||||||CP|A|20260312101500"
REFERRAL = ("RF1|P|R|||O|RF1^HIS|||20260312", "PRD|RP|李^甲||^^^COUNTY")
GIVEN = "RXA|0|1|20260312090000||A^阿莫西林^L|500|mg||||内科^^3床^COUNTY|||||||||CP"
DOCUMENT = (
    "TXA|1|CN|TX|||||||||D1^HIS||||||DO",
    "OBX|1|TX|A^出院小结^L||平稳",
    "NTE|1||请家属阅读||1001^李^甲|20260312",
)
DRG = "DRG|ES25^呼吸系统感染^CHSDRG|20260312|Y|||5"
REPORTED = REPORT.format(more="|||||||||||||||20260312110000")


@pytest.mark.parametrize(
    ("kind", "lines", "segment"),
    [
        ("OMG^O19^OMG_O19", (*ORDER[:2], CONTACT), "CTD"),
        ("ORM^O01^ORM_O01", (*ORDER[:2], CONTACT), "CTD"),
        ("ORU^R01^ORU_R01", (REPORTED, CONTACT, RESULT), "CTD"),
        ("OMI^O23^OMI_O23", (*ORDER[:2], STEP), "IPC"),
        ("RAS^O17^RAS_O17", ("ORC|RE|P1^HIS", GIVEN), "RXA"),
        ("VXU^V04^VXU_V04", ("ORC|RE|P1^HIS|F1^IIS||||||20260312091500|||1002^王^乙", VACCINE), "ORC-9"),
        ("MDM^T02^MDM_T02", DOCUMENT, "NTE"),
        ("ORM^O01^ORM_O01", (*ORDER[:2], "TQ1|1||||||20260313||||清晨空腹", "NTE|1||注意"), "TQ1"),
    ],
)
def test_what_stands_beside_an_order_is_carried_both_ways(kind: str, lines: tuple[str, ...], segment: str) -> None:
    body = message(kind, *lines)
    into(body)
    assert [each for each in kept(body, segment) if not each.endswith("-1")] == []
    assert lost(body) == []


def test_a_referral_keeps_its_contact_and_its_group_of_diagnoses() -> None:
    body = b"\r".join(message("REF^I12^REF_I12", DRG, PV1).splitlines())
    head, person = body.split(b"PID", 1)
    body = head + "".join(f"{line}\r" for line in (*REFERRAL, CONTACT)).encode() + b"PID" + person
    assert only(into(body), "Encounter")["extension"][0]["valueCodeableConcept"]["text"] == "呼吸系统感染"
    assert kept(body, "CTD") == kept(body, "DRG") == lost(body) == []


def test_why_a_medicine_was_ordered_and_by_whom_stands_with_the_order_alone() -> None:
    ordered = "RXO|A^阿莫西林^L|500||mg|||M^饭后服^L|||||||1002^王^乙||||||K^感染^L"
    body = message("RDE^O11^RDE_O11", "ORC|NW|P1^HIS", ordered, "RXE||A^阿莫西林^L|500||mg")
    made = only(into(body), "MedicationRequest")
    assert made["requester"]["display"] == "王乙"
    assert made["reasonCode"][0]["text"] == "感染"
    assert made["dosageInstruction"][0]["additionalInstruction"][0]["text"] == "饭后服"
    coded = message("RDE^O11^RDE_O11", "ORC|NW|P1^HIS", ordered, f"RXE||A^阿莫西林^L|500||mg{'|' * 22}J^咽炎^L")
    assert [each["text"] for each in only(into(coded), "MedicationRequest")["reasonCode"]] == ["咽炎"]


def test_every_repetition_of_an_embedded_document_is_a_form_of_the_report() -> None:
    pages = "^application^pdf^Base64^JVBERi0xLjQK~^application^pdf^Base64^JVBERi0xLjUK"
    body = message("ORU^R01^ORU_R01", REPORTED, f"OBX|1|ED|PDF^报告^L||{pages}||||||F")
    made = into(body)
    assert len(only(made, "DiagnosticReport")["presentedForm"]) == len(all_of(made, "Binary")) == 2
    assert lost(body) == kept(body, "OBX[1]-5") == []


def test_a_unit_beside_words_is_told_as_such() -> None:
    body = message("ORU^R01^ORU_R01", REPORTED, "OBX|1|SN|A^a^L||<>^5|mg|||||F")
    assert state(body, "OBX-6")[0] is State.KEPT
    assert state(body, "OBX-6")[1].endswith("reads it with OBX-5*, whose value holds none")
