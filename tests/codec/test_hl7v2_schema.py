"""The HL7 v2 dictionary, and the strict check made of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.codec import hl7v2, hl7v2_schema
from gateway.codec.hl7v2_dialects import TIMES
from gateway.codec.hl7v2_schema import components, fields, known_segment, known_structure, segments, strict_check
from gateway.errors import Configuration, HutongError

GOOD = (
    "MSH|^~\\&|LIS|T|GW|C|20260304061500+0800||ORU^R01^ORU_R01|M1|P|2.5.1\r"
    "PID|1||3^^^T^MR||欧阳^建国||19900307|M\rOBR|1|P1|F1|5^CBC^L\r"
    "OBX|1|NM|7^Hb^L||132|g/L|||||F\rOBX|2|ST|8^x^L||1||||||F\rNTE|1||x\r"
)


def test_fields_and_components() -> None:
    patient_name = fields("PID")[4]
    assert (patient_name.number, patient_name.name, patient_name.datatype) == (5, "PATIENT_NAME", "XPN")
    assert (patient_name.min, patient_name.max) == (1, None)
    assert [component.datatype for component in components("CX")[:4]] == ["ST", "ST", "ID", "HD"]
    assert components("ST") == ()
    assert fields("OBX")[4].datatype == "varies"


def test_the_nearest_version_that_knows_it_answers() -> None:
    assert fields("PRT", "2.5.1")[0].number == 1  # new in 2.7
    assert fields("QRD", "2.7") == fields("QRD", "2.6")  # withdrawn in 2.7
    assert fields("PID", "2.6.1") == fields("PID", "2.6")
    assert fields("PID", "2.9") == fields("PID", "2.8.2")
    assert fields("PID", "") == fields("PID", "2.5.1")


def test_what_no_version_knows() -> None:
    for call in (lambda: fields("ZPI"), lambda: components("XYZ"), lambda: segments("ZZZ_Z01")):
        with pytest.raises(Configuration):
            call()
    assert [known_segment(name) for name in ("PID", "PRT", "ZPI", "ANYHL7SEGMENT", "XXX")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert known_structure("ORU_R01")
    assert not known_structure("ORU_R99")


def test_a_structure_is_a_tree() -> None:
    result = next(part for part in segments("ORU_R01") if part.name == "ORU_R01_PATIENT_RESULT")
    assert (result.min, result.max) == (1, None)
    assert [part.name for part in result.parts] == ["ORU_R01_PATIENT", "ORU_R01_ORDER_OBSERVATION"]


def test_every_segment_of_every_version_can_be_read() -> None:
    for version in hl7v2_schema.VERSIONS:
        for segment in ("MSH", "PID", "PV1", "OBR", "OBX", "ORC", "NTE", "MSA", "ERR"):
            for definition in fields(segment, version):
                assert isinstance(components(definition.datatype, version), tuple)


def test_a_standard_message_has_no_problems() -> None:
    assert strict_check(hl7v2.decode(GOOD.encode())) == []


@pytest.mark.parametrize(
    ("change", "place", "text"),
    [
        (("OBX|1|NM|7^Hb^L", "OBX|x|NM|"), "OBX[1]-1", "no SI"),
        (("OBX|1|NM|7^Hb^L", "OBX|1|NM|"), "OBX[1]-3", "required"),
        (("19900307", "1990-03-07"), "PID[1]-7.1", "TIME"),
        (("|M\r", "|M~F\r"), "PID[1]-8", "repeats"),
        (("NTE|1||x\r", "PV1|1|I\r"), "PV1[1]", "allows no PV1 here"),
        (("OBR|1|P1|F1|5^CBC^L\r", ""), "OBX[1]", "allows no OBX here"),
        (("PID|1||3^^^T^MR", "PID|1||"), "PID[1]-3", "required"),
        (("5^CBC^L", "5^CBC^L^^^^^^9"), "OBR[1]-4", "more components"),
        (("NTE|1||x", "NTE|1||x" + "|y" * 30), "NTE[1]-5", "not a field"),
        (("ORU^R01^ORU_R01", "ZZZ^Z01"), "MSH-9", "not in the standard"),
        (("|132|", "|1,32|"), "OBX[1]-5", "no NM"),
        (("3^^^T^MR", "3^^^T&1&ISO&x^MR"), "PID[1]-3.4", "more subcomponents"),
        (("3^^^T^MR", "3^^^T&1&QQ^MR"), "PID[1]-3.4.3", "HL7 table 0301"),
        (("|||||F\rOBX|2", "|||||Q\rOBX|2"), "OBX[1]-11", "HL7 table 0085"),
        (("^T^MR", "^T^MR~4^^^T^QQQ"), "PID[1]-3(2).5", "HL7 table 0203"),
        (("OBX|2|ST", "OBX|2|"), "OBX[2]-2", "VALUE_TYPE is empty"),
        (("NTE|1||x\r", "NTE|1||x\rXYZ|1\r"), "XYZ[1]", "no segment of the standard"),
        (("|M1|", f"|{'M' * 21}|"), "MSH[1]-10", "longer than 20"),
        (("\rPID", "\nPID"), "message", "segments end with"),
    ],
)
def test_problems_name_the_place_and_no_data(change: tuple[str, str], place: str, text: str) -> None:
    problems = strict_check(hl7v2.decode(GOOD.replace(*change).encode()))
    assert any(problem.place == place and text in problem.text for problem in problems), problems
    assert all(problem.remedy for problem in problems)
    assert "欧阳" not in str(problems)


def test_a_dictionary_that_is_missing_is_a_configuration_error() -> None:
    with pytest.raises(HutongError, match="dictionary"):
        hl7v2_schema._table("2.5.1", "nothing", "NOTHING")


def test_hl7apy_is_not_imported_by_the_codec() -> None:
    code = "import sys; import gateway.codec.hl7v2, gateway.codec.hl7v2_schema; sys.exit('hl7apy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_time_fields_of_the_dialects_are_those_of_the_dictionary() -> None:
    for name, numbers in TIMES.items():
        known = {
            each.number
            for version in ("2.3.1", "2.4", "2.5.1", "2.6", "2.7", "2.8.2")
            for each in fields(name, version)
            if each.datatype in ("TS", "DT", "DTM")
        }
        assert set(numbers) <= known, name


def test_no_message_of_ours_takes_long_or_falls() -> None:
    """Whatever stands in a message, the check ends with problems and not with an error of the dictionary."""
    rest = "|".join(f"a{number}^b&c^~d" for number in range(60))
    for version in (*hl7v2_schema.VERSIONS, "2.9", "x", ""):
        for segment in ("PID", "OBX", "QRD", "ORO", "FT1", "RXE", "ZZZ", "IN3", "TXA", "SCH"):
            body = f"MSH|^~\\&|A|B|C|D|20260304||ORU^R01|1|P|{version}\r{segment}|{rest}\r".encode()
            assert strict_check(hl7v2.decode(body))
