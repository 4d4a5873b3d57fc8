"""Acknowledgements: what is refused, in which form, and what never gets into one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import hl7v2
from gateway.errors import HutongError, Permanent

WHEN = datetime(2026, 3, 4, 6, 15, tzinfo=UTC)


def message(**facts: str) -> bytes:
    values = {
        "id": "M1",
        "type": "ORU^R01^ORU_R01",
        "processing": "P",
        "version": "2.5.1",
        "accept": "",
        "application": "",
    }
    values |= {"charset": "UNICODE UTF-8", "rest": "PID|1||P1||SECRETNAME^X\rOBR|1\r"} | facts
    return (
        f"MSH|^~\\&|LIS|TOWN01|GW|COUNTY|20260304||{values['type']}|{values['id']}|{values['processing']}"
        f"|{values['version']}|||{values['accept']}|{values['application']}|CHN|{values['charset']}\r{values['rest']}"
    ).encode("gb18030" if values["charset"].startswith("GB") else "utf-8")


def answer(body: bytes, code: str = "AA", error: HutongError | None = None, mode: str = "original") -> hl7v2.Message:
    header = hl7v2.decode(body).header
    raw = hl7v2.acknowledge(
        header,
        code=code,
        error=error,
        own_application="HUTONG",
        own_facility="县医院",
        control_id="A1",
        when=WHEN,
        mode=mode,
    )
    return hl7v2.decode(raw)


def test_header_is_swapped_and_echoed() -> None:
    ack = answer(message(processing="D", version="2.4"))
    assert ack.segments[0][3:7] == ["HUTONG", "县医院", "LIS", "TOWN01"]
    assert ack.segments[0][7] == "20260304061500+0000"
    assert ack.segments[0][9:13] == ["ACK^R01^ACK", "A1", "D", "2.4"]
    assert ack.segments[1] == ["MSA", "AA", "M1"]
    assert len(ack.segments) == 2


def test_every_segment_ends_with_cr_and_none_with_lf() -> None:
    raw = hl7v2.acknowledge(hl7v2.decode(message()).header, code="AA", control_id="A1", when=WHEN)
    assert raw.endswith(b"MSA|AA|M1\r")
    assert b"\n" not in raw


@pytest.mark.parametrize(("charset", "codec"), [("GB 18030-2000", "gb18030"), ("UNICODE UTF-8", "utf-8")])
def test_the_senders_charset_is_repeated(charset: str, codec: str) -> None:
    ack = answer(message(charset=charset))
    assert (ack.charset, ack.header.declared_charset) == (codec, charset)


def test_utf8_where_the_senders_charset_cannot_write_the_answer() -> None:
    ack = answer(message(charset="ASCII"))
    assert ack.header.declared_charset == "UNICODE UTF-8"
    assert ack.get("MSH-4") == ["县医院"]


@pytest.mark.parametrize("version", ["2.5", "2.5.1", "2.6", "2.6^^&&&&V1.0", "2.8.2"])
def test_err_since_2_5(version: str) -> None:
    error = Permanent("the value is not in the table", place="OBX[2]-3(1).4", remedy="map the code", code="103")
    ack = answer(message(version=version), "AE", error)
    err = ack.segments[2]
    assert err[:5] == ["ERR", "", "OBX^2^3^1^4", "103^Table value not found^HL70357", "E"]
    assert "map the code" in err[7]
    assert err[8] == "the value is not in the table"
    assert ack.segments[0][12] == version


@pytest.mark.parametrize("version", ["2.2", "2.3.1", "2.4"])
def test_err_before_2_5(version: str) -> None:
    ack = answer(message(version=version), "AE", Permanent("no patient", place="PID", code="100"))
    assert ack.segments[1] == ["MSA", "AE", "M1", "no patient"]
    assert ack.segments[2] == ["ERR", "PID^1^^100&Segment sequence error&HL70357"]


def test_an_answer_without_a_readable_header() -> None:
    raw = hl7v2.acknowledge(
        None, code="AE", error=Permanent("no MSH", place="MSH", code="100"), control_id="A1", when=WHEN
    )
    ack = hl7v2.decode(raw)
    assert ack.segments[1][:3] == ["MSA", "AE", ""]
    assert ack.segments[2][2] == "MSH^1"
    assert ack.header.version == "2.5.1"


def test_an_unknown_version_is_answered_in_2_5_1() -> None:
    body = message(version="9.9", type="ZZZ^bad")
    (error,) = hl7v2.check(hl7v2.decode(body))
    ack = answer(body, "AR", error)
    assert (ack.header.version, ack.segments[0][9]) == ("2.5.1", "ACK")


@pytest.mark.parametrize(
    ("facts", "code", "place", "answered"),
    [
        ({"type": ""}, "101", "MSH-9", "AE"),
        ({"id": ""}, "101", "MSH-10", "AE"),
        ({"id": " "}, "101", "MSH-10", "AE"),
        ({"id": "A" * 5000}, "102", "MSH-10", "AE"),
        ({"id": "M\x001"}, "102", "MSH-10", "AE"),
        ({"id": "消息1"}, "102", "MSH-10", "AE"),
        ({"processing": "X"}, "202", "MSH-11", "AR"),
        ({"processing": ""}, "202", "MSH-11", "AR"),
        ({"version": "9.9"}, "203", "MSH-12", "AR"),
        ({"version": ""}, "203", "MSH-12", "AR"),
        ({"rest": "OBR|1\r"}, "100", "PID", "AE"),
        ({"rest": "PID|1\r"}, "100", "OBR", "AE"),
        ({"type": "%%"}, "200", "MSH-9.1", "AR"),
    ],
)
def test_what_is_refused_at_receipt(facts: dict[str, str], code: str, place: str, answered: str) -> None:
    body = message(**facts)
    error = hl7v2.check(hl7v2.decode(body))[0]
    assert (error.code, error.place, hl7v2.refusal_code(error)) == (code, place, answered)
    ack = answer(body, hl7v2.refusal_code(error), error)
    assert ack.segments[1][1] == answered
    assert len(ack.segments[1][2]) <= 199
    assert "SECRETNAME" not in str(ack.segments)


@pytest.mark.parametrize("version", ["2.1", "2.3.1", "2.5.1", "2.6^^&&&&V1.0", "2.9"])
@pytest.mark.parametrize("processing", ["P", "T", "D", "N", "P^I"])
def test_what_is_accepted(version: str, processing: str) -> None:
    assert hl7v2.check(hl7v2.decode(message(version=version, processing=processing))) == []


def test_kinds_without_a_map_are_rejected_when_the_maps_are_known() -> None:
    decoded = hl7v2.decode(message(type="ZZZ^Z99"))
    assert hl7v2.check(decoded) == []
    (error,) = hl7v2.check(decoded, known_kinds={"ORU^R01"})
    assert (error.code, hl7v2.refusal_code(error)) == ("200", "AR")
    assert hl7v2.check(hl7v2.decode(message()), known_kinds={"ORU^R01"}) == []


def test_a_bed_status_has_no_patient() -> None:
    assert hl7v2.check(hl7v2.decode(message(type="ADT^A20", rest="NPU|1\r"))) == []
    assert hl7v2.check(hl7v2.decode(message(type="ADT^A01", rest="EVN|A01\r")))[0].place == "PID"


@pytest.mark.parametrize(
    ("accept", "application", "mode", "good", "bad"),
    [
        ("", "", "original", True, True),
        ("AL", "NE", "enhanced", True, True),
        ("NE", "NE", "enhanced", False, False),
        ("ER", "NE", "enhanced", False, True),
        ("SU", "AL", "enhanced", True, False),
        ("", "AL", "original", True, True),
        ("", "ER", "original", False, True),
        ("CE", "", "original", True, True),  # a vendor's own use of MSH-15
    ],
)
def test_modes(accept: str, application: str, mode: str, good: bool, bad: bool) -> None:
    header = hl7v2.decode(message(accept=accept, application=application)).header
    assert hl7v2.mode(header) == mode
    assert hl7v2.wants_accept_acknowledgement(header, success=True) is good
    assert hl7v2.wants_accept_acknowledgement(header, success=False) is bad
    ack = answer(message(accept=accept, application=application), "AR", mode=hl7v2.mode(header))
    assert ack.segments[1][1] == ("CR" if mode == "enhanced" else "AR")


def test_modes_without_a_header_and_the_second_answer() -> None:
    assert hl7v2.mode(None) == "original"
    assert hl7v2.wants_accept_acknowledgement(None, success=False)
    both = hl7v2.decode(message(accept="AL", application="AL")).header
    assert hl7v2.wants_application_acknowledgement(both, success=True)
    plain = hl7v2.decode(message()).header
    assert not hl7v2.wants_application_acknowledgement(plain, success=True)


@pytest.mark.parametrize(
    "control_id",
    ["A\\X0D\\MSA\\F\\AA\\F\\B", "A\nMSA|AA|B", "A" * 5000, "../../../etc/passwd", "x';drop table m;--", "<script>"],
)
def test_a_control_id_cannot_add_segments(control_id: str) -> None:
    raw = hl7v2.acknowledge(hl7v2.decode(message(id=control_id)).header, code="AE", control_id="A1", when=WHEN)
    lines = raw.split(b"\r")
    assert [line[:3] for line in lines] == [b"MSH", b"MSA", b""]
    assert lines[1].split(b"|")[2].decode() == control_id.split("\n")[0][:199]


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.text(max_size=30))
def test_no_text_breaks_an_acknowledgement(first: str, second: str, cause: str, place: str) -> None:
    body = f"MSH|^~\\&|{first}|{second}|||||ORU^{second}|{first}|{second}|2.{first}|||||{second}\r"
    try:
        header = hl7v2.decode(body.encode("utf-8", "ignore")).header
    except HutongError:
        header = hl7v2.peek(body.encode("utf-8", "ignore"))
    error = Permanent(cause.encode("utf-8", "ignore").decode(), place=place, code="999")
    raw = hl7v2.acknowledge(header, code="AE", text=error.cause, error=error, control_id="A1", when=WHEN)
    ack = hl7v2.decode(raw)
    assert [segment[0] for segment in ack.segments] == ["MSH", "MSA", "ERR"]
    assert ack.residue == ()
    assert not set(raw) & {0, 0x0A, 0x0B, 0x1C}
