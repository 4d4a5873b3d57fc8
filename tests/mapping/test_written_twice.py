"""What was written of a Bundle is written the same again of the Bundle that it becomes: nothing fills or grows."""

from __future__ import annotations

import pytest

from gateway.codec import hl7v2
from tests.mapping.house import all_of, into, message, only, segments
from tests.mapping.test_generated import back_and_forth, translated

CASES = {
    "who took part in a result is no team of the patient": (
        "ADT^A01^ADT_A01", "OBX|1|NM|K^钾^L||4", "PRT||||RO^^L|007^李",
    ),
    "an insurer of whom the number is known": ("ADT^A01^ADT_A01", "IN1|1|01^城职保^L|YB01|||||||单位7"),
    "an employer with name and number": ("ADT^A01^ADT_A01", "IN1|1|01^城职保^L|YB01|||||||单位7|柳河机械厂"),
    "the note of an order is none of its charge": (
        "OMG^O19^OMG_O19", "ORC|NW|P1^HIS", "OBR|1|P1^HIS||B1^生化^L", "NTE|1||空腹", "FT1|1|||20260312||CG|250^钾^L",
    ),
    "the kinds of somebody with several roles": (
        "PMU^B01^PMU_B01", "STF|D012||李^强|D~P", "ORG|1|NK^内科^L", "ORG|2|WK^外科^L",
    ),
    "an instruction that became a note": (
        "OMG^O19^OMG_O19", "ORC|NW|P1^HIS", "TQ1|1||||||||||空腹", "OBR|1|P1^HIS||B1^生化^L",
    ),
}  # fmt: skip


def both(name: str) -> tuple[bytes, bytes]:
    """A case as it is written once, and twice."""
    read = hl7v2.decode(message(*CASES[name]))
    made = translated(read)
    assert made is not None
    written = back_and_forth(read, made)
    assert written is not None
    return written


@pytest.mark.parametrize("name", CASES)
def test_it_is_written_the_same_again(name: str) -> None:
    once, twice = both(name)
    assert once == twice


def test_a_number_alone_is_not_said_of_the_company_too() -> None:
    once, _ = both("an insurer of whom the number is known")
    ((_, _, _, number, name, *rest),) = segments(once, "IN1")
    assert (number, name, rest[5:]) == ("YB01", "", ["单位7"])


def test_the_same_text_in_two_fields_is_one_note() -> None:
    made = into(
        message("OMG^O19^OMG_O19", "OBR|1|P1^HIS||B1^生化^L", "NTE|1||空腹", "NTE|2||晨起", "TQ1|1||||||||||空腹")
    )
    assert [each["text"] for each in only(made, "ServiceRequest")["note"]] == ["空腹", "晨起"]


def test_lines_of_one_note_may_repeat() -> None:
    made = into(message("OMG^O19^OMG_O19", "OBR|1|P1^HIS||B1^生化^L", "NTE|1||---", "NTE|2||空腹", "NTE|3||---"))
    assert [each["text"] for each in all_of(made, "ServiceRequest")[0]["note"]] == ["---", "空腹", "---"]


@pytest.mark.parametrize("line", ["PR1|1|||阑尾切除术|20260312", "PR1|1||47.01^腹腔镜阑尾切除^I9C|急诊手术|20260312"])
def test_a_procedure_that_is_described_is_described_again(line: str) -> None:
    read = hl7v2.decode(message("ADT^A01^ADT_A01", line))
    made = translated(read)
    assert made is not None
    written = back_and_forth(read, made)
    assert written is not None
    assert segments(written[0], "PR1")[0][4] == line.split("|")[4]
