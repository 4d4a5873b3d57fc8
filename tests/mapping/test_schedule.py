"""Appointments: what each event makes of them, their times, who takes part, and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Permanent
from gateway.mapping.datatypes.schedules import after_into, minutes_into, span_back, span_into, thing_back, thing_into
from gateway.model import Resource
from tests.mapping.house import all_of, back, context, follow, into, message, only, segments

SCH = "SCH|P1^HIS|F1^RIS|||||||20|min|^^^20260313093000^20260313095000"
ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}


def appointment(event: str, *lines: str) -> Resource:
    return only(into(message(f"SIU^{event}", *lines)), "Appointment")


@pytest.mark.parametrize(
    ("event", "status"),
    [
        *((f"S{number}", "booked") for number in (12, 13, 14, 18, 19, 20, 21, 22, 23)),
        ("S15", "cancelled"),
        ("S16", "cancelled"),
        ("S17", "entered-in-error"),
        ("S24", "cancelled"),
        ("S26", "noshow"),
    ],
)
def test_the_event_tells_the_state(event: str, status: str) -> None:
    assert appointment(event, SCH)["status"] == status


@pytest.mark.parametrize(
    ("event", "code", "status"),
    [
        ("S12", "Pending", "pending"),
        ("S12", "Waitlist", "waitlist"),
        ("S14", "Complete", "fulfilled"),
        ("S14", "Started^已开始^HL70278", "checked-in"),
        ("S12", "BOOKED", "booked"),
        ("S14", "Noshow", "noshow"),
        ("S15", "Booked", "cancelled"),  # the sender left the old state: the event is the news
        ("S26", "Booked", "noshow"),
    ],
)
def test_the_fillers_state_counts_where_the_event_leaves_it_open(event: str, code: str, status: str) -> None:
    assert appointment(event, SCH + "|" * 14 + code)["status"] == status


@pytest.mark.parametrize(
    ("visit", "status"),
    [("PV1|1|O|内科", "planned"), ("PV1|1|I|内科", "in-progress"), (f"PV1|1|O{'|' * 42}202603121400", "in-progress")],
)
def test_the_visit_that_is_booked_has_not_begun(visit: str, status: str) -> None:
    assert only(into(message("SIU^S12", SCH, visit)), "Encounter")["status"] == status


def test_all_messages_about_one_booking_find_it_by_its_number() -> None:
    urls = {
        entry["request"]["url"]
        for event in ("S12", "S13", "S15", "S26")
        for entry in into(message(f"SIU^{event}", SCH)).bundle["entry"]
        if entry["resource"]["resourceType"] == "Appointment"
    }
    assert urls == {"Appointment?identifier=urn:hutong:id:HIS|P1"}


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        ((SCH,), "09:30", "09:50"),
        (("SCH|P1^HIS", "TQ1|||||||20260313093000|20260313094500"), "09:30", "09:45"),
        (("SCH|P1^HIS", "AIS|1||X^CT|20260313093000|||1|h^hour"), "09:30", "10:30"),
        (("SCH|P1^HIS||||||||30^MIN||^^^20260313093000",), "09:30", "10:00"),
        (("SCH|P1^HIS", "AIL|1||CT室|||20260313093000|||15|分钟"), "09:30", "09:45"),
        (("SCH|P1^HIS|||||||||||", "AIP|1||7^王芳|||20260313093000|||15|min"), "09:30", "09:45"),
    ],
)
def test_the_times_from_wherever_they_stand(lines: tuple[str, ...], start: str, end: str) -> None:
    made = appointment("S12", *lines)
    assert (made["start"][11:16], made["end"][11:16]) == (start, end)


def test_a_time_that_is_not_told_is_said_to_be_unknown() -> None:
    made = appointment("S12", "SCH|P1^HIS")
    assert (made["_start"], made["_end"]) == (ABSENT, ABSENT)
    assert "start" not in made
    made = appointment("S12", "SCH|P1^HIS||||||||||^^^20260313093000")
    assert (made["start"], made["_end"]) == ("2026-03-13T09:30:00+08:00", ABSENT)
    assert "_start" not in made


def test_a_duration_without_a_unit_is_not_guessed() -> None:
    made = into(message("SIU^S12", "SCH|P1^HIS||||||||20"))
    assert "minutesDuration" not in only(made, "Appointment")
    assert "a duration without a known unit was not carried" in made.notes


@pytest.mark.parametrize(
    ("raw", "unit", "minutes"),
    [
        ("20", "min", 20),
        ("1.5", "h", 90),
        ("120", "s^second", 2),
        ("90", "s", None),
        ("30^MIN", "", 30),
        ("x", "min", None),
    ],
)
def test_minutes(raw: str, unit: str, minutes: int | None) -> None:
    assert minutes_into(raw, unit, context()) == minutes


def test_spans_and_offsets() -> None:
    made = span_into("20260313093000", "90", "s", context())
    assert made == {"start": "2026-03-13T09:30:00+08:00", "end": "2026-03-13T09:31:30+08:00"}
    assert span_back(made, context()) == ("20260313093000", "90", "s")
    assert span_back({"start": "2026-03-13"}, context()) == ("20260313", "", "")
    assert span_back({"end": "2026-03-13"}, context()) == ("", "", "")
    assert span_into("20260313", "90", "min", context()) == {"start": "2026-03-13"}  # a day has no minutes
    assert after_into("10", "min", "^^^20260313093000", context()) == "2026-03-13T09:40:00+08:00"
    assert after_into("10", "", "20260313093000", context()) is None


def test_things_are_named_by_their_number() -> None:
    made = thing_into("CT1^CT一号机^L", context())
    assert made == {"identifier": {"system": "urn:hutong:code:COUNTY:L", "value": "CT1"}, "display": "CT一号机"}
    for raw in ("CT1^CT一号机^L", "CT1^CT一号机", "^推车", "CT1"):
        value = thing_into(raw, context())
        assert value is not None
        assert thing_back(value, context()) == raw
    assert thing_back({"reference": "Patient/1", "display": "王芳"}, context()) == ""


AIG = "AIG|1||CT1^CT一号机^L|EQ^设备^L||||20260313093000|||20|min||Booked"
AIL = "AIL|1||CT室^^^COUNTY|||20260313093000|||20|min||Waitlist"
AIP = "AIP|1||7^王芳|T^技师^L||20260313093000|||20|min||Pending"
NAMED = "AIP|2||^李四|||||||||Cancelled"


def actors(made: Any) -> list[tuple[str, str]]:
    return [(each["actor"]["display"], each["status"]) for each in only(made, "Appointment")["participant"]]


def test_who_and_what_takes_part_with_his_state() -> None:
    made = into(message("SIU^S12", SCH, AIG, AIL, AIP, NAMED))
    assert actors(made) == [
        ("CT一号机", "accepted"), ("CT室", "tentative"), ("王芳", "needs-action"), ("李四", "declined"),
        ("张伟", "accepted"),
    ]  # fmt: skip
    location = only(made, "Appointment")["participant"][1]
    assert follow(made, location["actor"])["resourceType"] == "Location"
    assert location["period"] == {"start": "2026-03-13T09:30:00+08:00", "end": "2026-03-13T09:50:00+08:00"}


def test_each_goes_back_to_its_own_segment() -> None:
    made = into(message("SIU^S12", SCH, AIG, AIL, AIP, NAMED))
    body = back(made.bundle, "SIU_S12")
    assert ["|".join(each) for name in ("AIG", "AIL", "AIP") for each in segments(body, name)] == [
        AIG, AIL, AIP, NAMED,
    ]  # fmt: skip


def test_the_message_back_has_the_event_of_the_state() -> None:
    for event in ("S12", "S15", "S17", "S26"):
        made = into(message(f"SIU^{event}", SCH))
        assert segments(back(made.bundle, "SIU_S12"), "MSH")[0][9] == f"SIU^{event}^SIU_S12"


def test_an_order_number_makes_the_order_that_the_booking_is_for_but_never_changes_it() -> None:
    made = into(message("SIU^S15", SCH + "|" * 15 + "O1^HIS", "AIS|1||X^胸部CT^L"))
    order = only(made, "ServiceRequest")
    assert follow(made, only(made, "Appointment")["basedOn"][0]) is order
    assert (order["status"], order["code"]["text"]) == ("active", "胸部CT")
    (entry,) = [each for each in made.bundle["entry"] if each["resource"] is order]
    assert entry["request"]["method"] == "POST"


def test_notes_are_its_comment_and_one_with_an_author_stays_his() -> None:
    made = into(message("SIU^S12", SCH, "NTE|1||禁食", "NTE|2||带片||7^王芳|20260312", "AIL|1||CT室", "NTE|1||到二楼"))
    found = only(made, "Appointment")
    assert found["comment"] == "禁食\n到二楼"
    (extension,) = found["extension"]
    assert extension["valueAnnotation"]["text"] == "带片"
    body = back(made.bundle, "SIU_S12")
    assert sorted(each[3] for each in segments(body, "NTE")) == sorted(["禁食", "到二楼", "带片"])


def test_a_coded_note_alone_keeps_its_kind_beside_a_code_that_is_known_already() -> None:
    """What a code became is remembered and shared: what one note says besides is not said of the next."""
    code = "K1^禁食^L^B2^空腹^99ZZZ^1^2^原文"
    for kind in ("RE^备注^L", "GI^说明^L", "RE^备注^L"):
        made = into(message("SIU^S12", SCH, f"NTE|1|||{kind}|||||{code}"))
        (note,) = only(made, "Appointment")["extension"]
        assert note["valueCodeableConcept"]["text"] == "原文"
        kinds = [each for each in note["valueCodeableConcept"]["extension"] if "valueCodeableConcept" in each]
        assert [each["valueCodeableConcept"]["text"] for each in kinds] == [kind.split("^")[1]]
        assert [(each[4], each[9]) for each in segments(back(made.bundle, "SIU_S12"), "NTE")] == [(kind, code)]


def test_a_request_does_not_change_what_is_booked() -> None:
    made = into(message("SRM^S04", "ARQ|P1^HIS|F1^RIS||||PAT^患者要求", "RGS|1"))
    (entry,) = [each for each in made.bundle["entry"] if each["resource"]["resourceType"] == "Appointment"]
    assert entry["request"]["method"] == "POST"
    task = only(made, "Task")
    assert (task["status"], task["code"]["coding"][0]["code"]) == ("requested", "abort")
    assert follow(made, task["focus"]) is entry["resource"]
    assert all_of(into(message("SRM^S01", "ARQ|P1^HIS", "RGS|1")), "Task") == []


@pytest.mark.parametrize(("answer", "status"), [("AA", "booked"), ("AE", "cancelled")])
def test_the_answer_to_a_request(answer: str, status: str) -> None:
    made = into(message("SRR^S01^SRR_S01", f"MSA|{answer}|M0", SCH))
    assert only(made, "Appointment")["status"] == status


def test_a_message_without_sch_is_refused_with_its_place() -> None:
    with pytest.raises(Permanent) as refused:
        into(message("SIU^S12"))
    assert (refused.value.place, "no SCH segment" in refused.value.cause) == ("SCH", True)
