"""Bytes → document → Bundle: what is seen at the door, and what is made of it later, for each format."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Configuration, Permanent
from gateway.formats import Formats, Look
from gateway.mapping import maps
from gateway.model import Channel, Community, Entry, Frame, Member, Profile

FIXTURES = Path(__file__).parent / "mapping" / "fixtures"
AT = datetime(2026, 3, 12, 6, 30, tzinfo=UTC)
COUNTY = Member(id="county", name="青岚县人民医院", facilities=("12529901MB9900013D",))
TOWN = Member(
    id="town", name="石桥中心卫生院", facilities=("12529901MB990011XK", "石桥"), profile=Profile(charset="GB18030")
)
A01 = b"MSH|^~\\&|HIS|12529901MB9900013D|GW|HUB|20260312||ADT^A08^ADT_A01|7|P|2.5.1\rPID|1||300^^^C^PI||Doe\r"


@cache
def shipped() -> maps.Maps:
    return maps.load([maps.shipped()])


def formats(*, open: bool = False) -> Formats:
    members = {each.id: each for each in (COUNTY, TOWN)}
    return Formats(Community(id="hub", name="Hub", open=open, members=members), shipped())


def frame(body: bytes) -> Frame:
    return Frame(channel="x", body=body, peer="test", received_at=AT)


def channel(format: str, **more: Any) -> Channel:
    return Channel(id="x", transport="files", format=format, **more)


def entry(look: Look, body: bytes) -> Entry:
    return Entry(
        id=1,
        frame=frame(body),
        member=look.member.id,
        format=look.format,
        charset=look.charset,
        control_id=look.control_id,
    )


# ----------------------------------------------------------------------------------------------- hl7 v2


def test_a_message_is_known_by_its_sender() -> None:
    look = formats().look(frame(A01), None, None)
    assert look.error is None
    assert (look.member, look.format, look.kind, look.control_id) == (COUNTY, "hl7v2", "ADT^A08", "7")
    assert look.key == "12529901MB9900013D|300"
    assert look.header is not None


def test_a_sender_may_have_a_chinese_name_in_its_own_charset() -> None:
    body = A01.replace(b"12529901MB9900013D", "石桥".encode("gb18030")).replace(b"Doe", "周玘".encode("gb18030"))
    look = formats().look(frame(body), None, None)
    assert look.member == TOWN
    assert look.error is None
    made = formats().translate(entry(look, body), None)
    assert "周玘" in str(made.bundle)


def test_the_owner_of_a_channel_is_the_sender_whatever_the_message_says() -> None:
    assert formats().look(frame(A01), channel("hl7v2"), TOWN).member == TOWN


def test_a_stranger_is_refused_in_a_closed_community_and_named_in_an_open_one() -> None:
    body = A01.replace(b"12529901MB9900013D", b"ELSEWHERE")
    look = formats().look(frame(body), None, None)
    assert look.error is not None
    assert (look.error.place, look.error.code, look.member.id) == ("MSH-4", "103", "unknown")
    look = formats(open=True).look(frame(body), None, None)
    assert (look.error, look.member.id, look.member.confirmed) == (None, "ELSEWHERE", False)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "MSH"),
        (b"\x00\x01", "MSH"),
        (b"junk" + A01, "MSH"),
        (A01.replace(b"ADT^A08^ADT_A01", b"NMQ^N01"), "MSH-9"),
        (A01.replace(b"|7|P", b"||P"), "MSH-10"),
    ],
)
def test_what_cannot_be_taken_says_where(body: bytes, place: str) -> None:
    look = formats().look(frame(body), channel("hl7v2"), COUNTY)
    assert look.error is not None
    assert look.error.place.startswith(place)
    assert look.error.cause


def test_a_merge_goes_by_the_surviving_patient() -> None:
    body = (FIXTURES / "12_adt_a40_merge.hl7").read_bytes()
    assert formats().look(frame(body), None, None).key == "12529901MB9900013D|300002"


def test_what_is_no_valid_fhir_is_refused_with_map_and_place(tmp_path: Path) -> None:
    (tmp_path / "own.map").write_text("PID => Patient in ADT_A01\n  PID-8 -> id : text\n", encoding="utf-8")
    own = replace(formats(), maps=maps.load([maps.shipped(), tmp_path]))
    body = A01.replace(b"||Doe", b"||Doe|||two words")
    look = own.look(frame(body), None, None)
    with pytest.raises(Permanent, match="what the maps make is not valid FHIR") as raised:
        own.translate(entry(look, body), None)
    assert raised.value.place.startswith("ADT_A01, Bundle.entry")
    assert "two words" not in str(raised.value)


# --------------------------------------------------------------------------------------- tables and trees

CSV = (FIXTURES / "lab_shiqiao_20260312.csv").read_bytes()


def test_a_table_is_known_by_its_columns() -> None:
    look = formats().look(frame(CSV), channel("delimited"), TOWN)
    assert (look.error, look.kind, look.charset) == (None, "laboratory-results", "gb18030")
    made = formats().translate(entry(look, CSV), channel("delimited"))
    assert len(made.bundle["entry"]) > 170
    assert made.rejects == ()


def test_the_same_file_makes_the_same_bundle_and_another_file_other_keys() -> None:
    look = formats().look(frame(CSV), channel("delimited"), TOWN)
    first, again = (formats().translate(entry(look, CSV), channel("delimited")) for _ in range(2))
    assert first.bundle == again.bundle
    provenance = first.bundle["entry"][-1]["resource"]["entity"][0]["what"]["identifier"]["value"]
    assert len(provenance) == 32


def test_bad_rows_are_set_aside_by_their_line_in_the_file() -> None:
    lines = CSV.decode("gb18030").splitlines()
    lines[3] = lines[3].partition(",")[0]  # a row that was cut
    cells = lines[5].split(",")
    cells[2] = ""
    lines[5] = ",".join(cells)
    body = "\r\n".join(lines).encode("gb18030")
    look = formats().look(frame(body), channel("delimited"), TOWN)
    made = formats().translate(entry(look, body), channel("delimited"))
    assert [each.row for each in made.rejects] == [4, 6]
    assert (made.rejects[1].cause, made.rejects[1].column) == ("申请单号 is empty", "申请单号")


def test_a_cell_that_is_not_what_its_column_says_is_told_and_the_row_flows() -> None:
    lines = CSV.decode("gb18030").splitlines()
    columns = lines[0].split(",")
    for line, value in ((3, "2026-13-45 07:39:00"), (4, "0000-00-00 00:00:00")):
        cells = lines[line].split(",")
        cells[columns.index("接收时间")] = value
        cells[columns.index("条码号")] = f"B{line}"
        lines[line] = ",".join(cells)
    body = "\r\n".join(lines).encode("gb18030")
    look = formats().look(frame(body), channel("delimited"), TOWN)
    made = formats().translate(entry(look, body), channel("delimited"))
    (told,) = made.rejects
    assert (told.row, told.column, told.value, told.cell) == (4, "接收时间", "2026-13-45 07:39:00", True)
    whole = formats().translate(entry(look, CSV), channel("delimited"))
    assert len(made.bundle["entry"]) == len(whole.bundle["entry"]) + 2  # two tubes of their own


def test_a_workbook_is_known_by_its_bytes_and_its_sheets_by_their_columns() -> None:
    body = (FIXTURES / "imaging_center_202603.xlsx").read_bytes()
    look = formats().look(frame(body), None, TOWN)
    assert (look.error, look.format, look.kind) == (None, "workbook", "imaging-reports")
    made = formats().translate(entry(look, body), None)
    assert sum(each["resource"]["resourceType"] == "DiagnosticReport" for each in made.bundle["entry"]) == 36
    assert made.rejects == ()
    assert "检查报告: row 41 was taken for a footer and left out" in made.notes


def test_a_table_that_no_map_knows_is_held() -> None:
    look = formats().look(frame(b"a,b\r\n1,2\r\n"), channel("delimited"), TOWN)
    assert isinstance(look.error, Configuration)
    assert look.error.place == "header row"


@pytest.mark.parametrize("wanted", ["laboratory-results", "no-such-map"])
def test_a_channel_may_name_its_map(wanted: str) -> None:
    look = formats().look(frame(CSV), channel("delimited", map=wanted), TOWN)
    assert look.kind == "laboratory-results"


FORM = {
    "转诊单列表": [
        {"转诊单号": "ZZ1", "患者": {"姓名": "张伟", "患者ID": "7"}, "转出": {}, "转入": {}, "状态": "待接收"}
    ]
}


def test_a_form_is_known_by_its_names() -> None:
    body = json.dumps(FORM, ensure_ascii=False).encode("gb18030")
    look = formats().look(frame(body), channel("json"), TOWN)
    assert (look.error, look.kind) == (None, "referral-form")
    made = formats().translate(entry(look, body), channel("json"))
    kinds = [each["resource"]["resourceType"] for each in made.bundle["entry"]]
    assert kinds.count("ServiceRequest") == kinds.count("Task") == kinds.count("Patient") == 1


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b'{"a": 1}', "no map knows"),
        (b"[1, 2]", "no map knows"),
        (b'{"a": ', ""),
        (json.dumps({"转诊单列表": []}, ensure_ascii=False).encode(), "no map knows"),
    ],
)
def test_a_form_that_cannot_be_taken(body: bytes, cause: str) -> None:
    look = formats().look(frame(body), channel("json"), TOWN)
    assert look.error is not None
    assert cause in look.error.cause


# ------------------------------------------------------------------------------------------------ fhir

PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}], "gender": "male"}


def looked(resource: Any) -> tuple[Look, bytes]:
    body = json.dumps(resource).encode()
    return formats().look(frame(body), channel("fhir"), COUNTY), body


def test_a_resource_becomes_a_transaction_that_changes_nothing_twice() -> None:
    look, body = looked(PATIENT)
    assert (look.error, look.kind, look.charset) == (None, "Patient", "utf-8")
    made = formats().translate(entry(look, body), channel("fhir"))
    assert made.bundle["entry"][0]["request"]["ifNoneExist"] == "identifier=urn:x|1"
    assert formats().translate(entry(look, body), channel("fhir")).bundle == made.bundle


def test_a_bundle_may_carry_its_own_control_id() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "identifier": {"value": "B7"},
        "entry": [{"resource": PATIENT}],
    }
    look, _ = looked(bundle)
    assert (look.error, look.kind, look.control_id) == (None, "Bundle", "B7")


@pytest.mark.parametrize(
    "resource",
    [
        {},
        [],
        7,
        {"resourceType": "Patent"},
        {**PATIENT, "gender": "man"},
        {"resourceType": "Bundle", "type": "searchset"},
    ],
)
def test_what_is_no_fhir_is_refused(resource: Any) -> None:
    look, _ = looked(resource)
    assert look.error is not None
    assert look.error.place
