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
