"""What senders write in many ways comes back, whichever way it was: there and back of variants, nothing lost."""

from __future__ import annotations

import pytest

from gateway.codec import hl7v2
from gateway.mapping.accounting.roundtrip import Came, compare_message
from gateway.mapping.accounting.trial import Trial
from gateway.model import Profile
from tests.mapping.house import PID, PV1, SHANGHAI, WHEN, back, into, maps, message, segments

VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.2")


def lost(body: bytes, profile: Profile = SHANGHAI) -> list[str]:
    trial = Trial(maps=maps(), message=hl7v2.decode(body), profile=profile, when=WHEN)
    return [value.place for value in compare_message(trial).values if value.came is Came.LOST]


def of_version(version: str, body: bytes) -> bytes:
    return body.replace(b"|P|2.5.1", f"|P|{version}".encode())


# ------------------------------------------------------------------------------------------ acknowledgements

OLD = "ERR|MSH^1^9^200~PID^1^3^101&缺少&L"
NEW = "ERR||PID^1^3~OBX^2^5^1^2|101^Required field missing^HL70357|E|7^科室代码^L|1~2|缺少患者号|请补录"
BOTH = "ERR|PID^1^3^101|PID^1^3|101^Required field missing^HL70357|W"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("errors", [(OLD,), (NEW,), (BOTH,), (OLD, NEW), (NEW, BOTH, NEW), ("ERR|PID^1^3",)])
def test_errors_come_back_in_the_form_they_were_told(version: str, errors: tuple[str, ...]) -> None:
    """v2.4 §2.16.5: ERR-1 alone; since v2.5 (§2.15.5) ERR-2 and those behind it."""
    body = of_version(version, message("ACK", "MSA|AE|M7|不合格", *errors, pid=""))
    assert lost(body) == []
    written = segments(back(into(body).bundle, "ACK"), "ERR")
    assert [each[1] for each in written] == [each.split("|")[1] for each in errors]


def test_an_error_that_is_told_newly_goes_to_an_old_receiver_in_the_old_form() -> None:
    made = into(message("ACK", "MSA|AE|M7", NEW, pid=""))
    (written,) = segments(back(made.bundle, "ACK", profile=Profile(version="2.4")), "ERR")
    assert written[1].startswith("PID^1^3^101&Required field missing&HL70357~OBX^2^5")


# ------------------------------------------------------------------------------------------- persons, visits


@pytest.mark.parametrize("event", ["A28", "A31", "A08", "A01"])
@pytest.mark.parametrize("kind", ["I", "O", "P", "E", "N", ""])
@pytest.mark.parametrize("visit", ["", "V1^^^COUNTY^VN"])
def test_a_visit_beside_a_person_keeps_its_class(event: str, kind: str, visit: str) -> None:
    """PV1-2 is N only where nothing else is told (HL7 0004)."""
    body = message(f"ADT^{event}", f"PV1|1|{kind}|内科^^3床|||||||||||||VIP^要客^L|||{visit}")
    made = into(body)
    if event in ("A28", "A31") or visit or (event == "A01" and kind != "N"):
        assert lost(body) == []
        (written,) = segments(back(made.bundle, made.structure, event=event), "PV1")
        assert written[16] == "VIP^要客^L"


# ------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize(
    "lines",
    [
        ("OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F", "SPM|1|S1^F1||SER^血清^L||||||||P||||||20260312|20260312||Y"),
        ("OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F", "SPM|1|S1||SER^血清^L", "SPM|2|S2||PLAS^血浆^L"),
        ("SPM|1|S1||SER^血清^L", "OBX|1|ST|APP^外观^L||清||||||F"),
    ],
)
def test_specimens_without_an_order_come_back(lines: tuple[str, ...]) -> None:
    body = message("ORU^R01^ORU_R01", *lines)
    assert lost(body) == []
    written = [each.split("|")[0] for each in back(into(body).bundle, "ORU_R01").decode().split("\r")]
    assert [name for name in written if name in ("SPM", "OBX")] == [each.split("|")[0] for each in lines]


def test_a_device_that_measured_stands_in_one_segment_with_its_place() -> None:
    """v2.8.2 §7.4.4: PRT-9 is where the participant is; of a device, its own place."""
    body = message(
        "ORU^R01^ORU_R01", "OBR|1|P1|F1|K^血钾^L", "OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F",
        "PRT||AD||EQUIP|||||检验科^2室|D-7^LIS||||||||L1|S1",
        "PRT||AD||RO|1001^王^医生",
        "PRT||AD||RO||||急诊科|急诊^1床",
    )  # fmt: skip
    assert lost(body) == []
    made = into(body)
    written = segments(back(made.bundle, "ORU_R01"), "PRT")
    device = next(each for each in written if len(each) > 10 and each[10])
    assert (device[9], device[10]) == ("检验科^2室", "D-7^LIS")
    assert len(written) == 3


def test_the_time_of_an_answered_result_comes_back() -> None:
    body = message(
        "RSP^Z90^RSP_Z90", "MSA|AA|Q1", "QAK|T1|OK", "QPD|Z90^检验史^L|T1|1", PID, PV1, "ORC|RE||F1^LIS",
        "OBR|1||F1^LIS|K^血钾^L|||20260312081500", "OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F", pid="",
    )  # fmt: skip
    assert lost(body) == []
