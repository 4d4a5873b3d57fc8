"""What real senders do: every dialect is read as what is meant, and told; what is in doubt is told and left alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import hl7v2
from gateway.codec.hl7v2_note import DIALECTS
from gateway.errors import Permanent
from gateway.fhir import json
from tests.mapping import house

CLEAN = (
    "MSH|^~\\&|LIS|TOWN01|GW|COUNTY|20260312080000+0800||ORU^R01|M1|P|2.5.1|||AL|NE|CHN|UNICODE UTF-8\r"
    "PID|1||300005^^^TOWN01^MR||欧阳建国||19900307|M\r"
    "NK1|1|欧阳^母|MTH\r"
    "NK1|2|欧阳^父|FTH\r"
    "PV1|1|O|||||||||||||||||V7^^^TOWN01^VN\r"
    "ORC|RE|P1|F1\r"
    "OBR|1|P1|F1|58410-2^CBC panel^LN|||20260312073000|||||||||||||||20260312080000|||F\r"
    "OBX|1|NM|6690-2^白细胞^LN||12.8|10\\S\\9/L|3.5-9.5|H|||F|||20260312075000\r"
    "OBX|2|NM|718-7^血红蛋白^LN||132|g/L|130-175|N|||F|||20260312075000\r"
    "OBX|3|ST|5803-2^尿液 pH^LN||阴性(-)||阴性||||F\r"
)
Change = Callable[[str], str | bytes]


def swap(old: str, new: str) -> Change:
    """A text of the message is written otherwise."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def each_result(pattern: str, written: str) -> Change:
    return lambda text: re.sub(rf"(?m)^{pattern}", written, text.replace("\r", "\n")).replace("\n", "\r")


SHIFTED = r"OBX\|\d\|(NM|ST)\|([^|]*)\|\|"
HABITS: dict[str, tuple[str, Change]] = {  # habit → (code of its note, what the sender does)
    "LF": ("line-ends", lambda text: text.replace("\r", "\n")),
    "CRLF": ("line-ends", lambda text: text.replace("\r", "\r\n")),
    "mixed ends": ("line-ends", lambda text: text.replace("\r", "\n", 3).replace("\r", "\r\n", 2)),
    "empty lines": ("blank-lines", lambda text: text.replace("\r", "\r\r")),
    "empty lines, CRLF": ("blank-lines", lambda text: text.replace("\r", "\r\n\r\n")),
    "byte order mark": ("framing", lambda text: "\ufeff" + text),
    "framing in the file": ("framing", lambda text: f"\x0b{text}\x1c\r"),
    "blanks before": ("framing", lambda text: f"\r\n  {text}"),
    "end of file mark": ("framing", lambda text: f"{text}\x1a"),
    "no last terminator": ("cut", lambda text: text.rstrip("\r")),
    "small letters": ("segment-name", swap("PID|", "pid|")),
    "small header": ("segment-name", swap("MSH|", "msh|")),
    "other separators": (
        "separators",
        lambda text: text.translate(str.maketrans("|^~\\&", "#@!$%")),
    ),
    "roles swapped": ("separators", lambda text: text.translate(str.maketrans("^~", "~^"))),
    "MSH-2 empty": ("separators", swap("|^~\\&|", "||")),
    "MSH-2 left out": ("separators", swap("|^~\\&|", "|")),
    "charset in MSH-17": ("charset", swap("|CHN|UNICODE UTF-8", "|UNICODE UTF-8")),
    "charset untrue": ("charset", lambda text: text.encode("gb18030")),
    "charset of 8 bits": ("charset", swap("UNICODE UTF-8", "8859/1")),
    "no trigger": ("event", swap("ORU^R01", "ORU")),
    "event glued": ("event", swap("ORU^R01", "ORU_R01")),
    "no set ids": ("set-id", lambda text: re.sub(r"(NK1|OBX)\|\d", r"\1|", text)),
    "set ids repeated": ("set-id", lambda text: re.sub(r"(NK1|OBX)\|\d", r"\1|1", text)),
    "no set id, all shifted": ("shifted", each_result(SHIFTED, r"OBX|\1|\2||")),
    "no set id, value in place": ("shifted", each_result(SHIFTED, r"OBX|\1|\2|||")),
    "one field too many": ("shifted", each_result(SHIFTED, r"OBX|1||\1|\2||")),
    "shifted from the set id on": ("shifted", each_result(SHIFTED, r"OBX||1|\1|\2||")),
    "type in small letters": ("value-type", swap("|NM|", "|nm|")),
    "no type of a quantity": ("value-type", swap("|NM|", "||")),
    "value in OBX-4": ("value-place", swap("||12.8|", "|12.8||")),
    "bare caret in a unit": ("separator-in-text", swap("10\\S\\9/L", "10^9/L")),
    "an arrow for the flag": ("arrow", swap("||12.8|10\\S\\9/L|3.5-9.5|H|", "||12.8↑|10\\S\\9/L|3.5-9.5||")),
    "an arrow beside the flag": ("arrow", swap("||12.8|", "||12.8 ↑|")),
    "indented": ("indented", lambda text: re.sub(r"\r(?=[A-Z])", "\r  ", text)),
    "time with signs": ("time-form", swap("20260312075000", "2026-03-12 07:50:00")),
    "time with slashes": ("time-form", swap("20260312073000", "2026/3/12 7:30:00")),
    "time with a blank": ("time-form", swap("20260312080000|||F", "20260312 080000|||F")),
    "ISO time": ("time-form", swap("20260312080000+0800", "2026-03-12T08:00:00+08:00")),
    "Chinese date": ("time-form", swap("19900307", "1990年3月7日")),
}


def told(body: bytes) -> set[str]:
    return {note.code for note in hl7v2.decode(body).mended}


def made(body: bytes) -> bytes:
    """Without the country of the sender: one habit writes the charset in its place."""
    return json.dumps(house.into(body).bundle).replace(b',"address":[{"country":"CHN"}]', b"")


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


@pytest.mark.parametrize("habit", HABITS)
def test_a_habit_is_read_as_what_is_meant_and_told(habit: str) -> None:
    code, change = HABITS[habit]
    body = as_bytes(change(CLEAN))
    assert code in told(body)
    assert made(body) == made(CLEAN.encode())


def test_the_clean_message_has_nothing_to_tell() -> None:
    assert told(CLEAN.encode()) == set()


def test_every_dialect_is_known_by_name() -> None:
    assert {code for code, _ in HABITS.values()} < set(DIALECTS)


TOGETHER = (
    "CRLF", "empty lines", "byte order mark", "small letters", "no trigger", "set ids repeated", "bare caret in a unit",
    "time with signs", "time with slashes", "type in small letters", "Chinese date", "charset in MSH-17",
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(st.sets(st.sampled_from(TOGETHER), min_size=1))
def test_habits_together_change_nothing_either(habits: set[str]) -> None:
    text: str | bytes = CLEAN
    for habit in sorted(habits, key=lambda each: each in ("CRLF", "empty lines", "byte order mark")):
        assert isinstance(text, str)
        text = HABITS[habit][1](text)
    body = as_bytes(text)
    assert {HABITS[habit][0] for habit in habits} - told(body) <= {"blank-lines"}  # \r\r\n is one odd line end
    assert made(body) == made(CLEAN.encode())


DOUBTFUL = {
    "a sub-id of an unanswered result": "OBX|1|NM|718-7^Hb^LN|1||g/L|130-175||||F",
    "a sub-id though flag and range are there": "OBX|1|NM|718-7^Hb^LN|1.1||g/L|130-175|N|||F",
    "a value against its flag": "OBX|1|NM|718-7^Hb^LN|131.5||g/L|130-175|H|||F",
    "a cancelled result": "OBX|1|NM|718-7^Hb^LN|131.5||g/L|130-175|N|||X",
    "two numbers where one must be the value": "OBX|NM|718-7^Hb^LN||1|132|g/L",
    "an arrow against its flag": "OBX|1|ST|718-7^Hb^LN||132↓|g/L|130-175|N|||F",
    "an arrow that says more than its flag": "OBX|1|ST|718-7^Hb^LN||132↓↓|g/L|130-175|L|||F",
    "an arrow in words": "OBX|1|ST|718-7^Hb^LN||较前↑|g/L|130-175||||F",
    "an unknown type": "OBX|1|QQ|718-7^Hb^LN||132|g/L|130-175|N|||F",
}


@pytest.mark.parametrize("line", DOUBTFUL.values(), ids=list(DOUBTFUL))
def test_what_is_in_doubt_is_left_alone(line: str) -> None:
    message = hl7v2.decode(CLEAN.replace(CLEAN.splitlines()[8], line).encode())
    fields = [each for each in message.segments if each[0] == "OBX"][1]
    assert fields[2:6] == line.split("|")[2:6]


@pytest.mark.parametrize("line", ["2026-13-40", "12/03/2026", "03-12-26", "0000-00-00 00:00:00", "明天"])
def test_a_time_that_can_be_read_in_two_ways_is_left_alone(line: str) -> None:
    message = hl7v2.decode(CLEAN.replace("20260312075000", line).encode())
    assert message.get("OBX[1]-14") == [line]
    assert "time-form" not in {note.code for note in message.mended}


def test_no_zone_is_guessed() -> None:
    message = hl7v2.decode(CLEAN.replace("20260312080000+0800", "2026-03-12 08:00:00").encode())
    assert message.header.time == "20260312080000"


@pytest.mark.parametrize(
    "lines",
    [
        ("MSH", "OBX", "PID", "OBR"),
        ("MSH", "OBR", "OBX", "PID"),
        ("MSH", "PID", "OBR", "OBX", "PV1"),
    ],
)
def test_segments_out_of_order_are_told(lines: tuple[str, ...]) -> None:
    parts = {line[:3]: line for line in reversed(CLEAN.split("\r")) if line}
    found = house.into("".join(f"{parts[name]}\r" for name in lines).encode())
    assert any("out of order" in note for note in found.notes)
    assert len(house.all_of(found, "Observation")) == 1


def test_a_name_is_never_in_a_note() -> None:
    for code, change in HABITS.values():
        for note in hl7v2.decode(as_bytes(change(CLEAN))).mended:
            assert "欧阳" not in str(note), code
            assert "12.8" not in str(note), code


@pytest.mark.parametrize("habit", [name for name, (code, _) in HABITS.items() if code in ("shifted", "value-place")])
def test_moved_fields_are_found_in_the_bytes_as_they_came(habit: str) -> None:
    message = hl7v2.decode(as_bytes(HABITS[habit][1](CLEAN)))
    for index, segment in enumerate(message.segments):
        for number, value in enumerate(segment):
            if number > 1 and segment[0] == "OBX":
                offset, length = message.span(index, number)
                assert message.body[offset : offset + length].decode() == value


def test_mended_messages_are_cut_nowhere() -> None:
    """Cut at any byte, a message is read without an error of ours, or refused with a cause."""
    body = CLEAN.encode()
    for end in range(0, len(body), 7):
        try:
            message = hl7v2.decode(body[:end])
        except Permanent:
            continue
        assert body[:end].endswith(b"\r") or "cut" in {note.code for note in message.mended}


def test_a_range_with_a_tilde_is_one_range() -> None:
    body = CLEAN.replace("3.5-9.5", "3.5~9.5").encode()
    (observation,) = (
        entry["resource"]
        for entry in house.into(body).bundle["entry"]
        if entry["resource"].get("code", {}).get("text") == "白细胞"
    )
    (limits,) = observation["referenceRange"]
    assert (str(limits["low"]["value"]), str(limits["high"]["value"]), limits["text"]) == ("3.5", "9.5", "3.5~9.5")
    assert "separator-in-text" in told(body)
