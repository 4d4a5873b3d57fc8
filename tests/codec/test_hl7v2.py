"""HL7 v2 messages, clean and broken."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import hl7v2, hl7v2_lines
from gateway.errors import Configuration, HutongError, Permanent

TEXT = (
    "MSH|^~\\&|LIS|TOWN01|GW|COUNTY|20260304061500||ORU^R01^ORU_R01|M1|P|2.5.1|||AL|NE|CHN|UNICODE UTF-8\r"
    "PID|1||300005^^^TOWN01^MR~110101199003077571^^^CHN^NNCHN||欧阳^建国||19900307|M\r"
    "OBR|1|P1|F1|58410-2^CBC panel^LN\r"
    "OBX|1|NM|718-7^Hemoglobin^LN||132|g/L|120-160|N|||F\r"
    "OBX|2|TX|CMT^备注&x&y||一般\\.br\\良好~第二||||||F\r"
)


def test_fields_have_their_hl7_numbers_also_in_msh() -> None:
    message = hl7v2.decode(TEXT.encode())
    assert message.segments[0][1:4] == ["|", "^~\\&", "LIS"]
    assert message.segments[0][18] == "UNICODE UTF-8"
    assert message.segments[1][8] == "M"
    assert (message.kind, message.charset, message.notes, message.residue) == ("hl7v2", "utf-8", (), ())


def test_header_facts() -> None:
    header = hl7v2.decode(TEXT.encode()).header
    assert (header.sending_application, header.sending_facility) == ("LIS", "TOWN01")
    assert (header.receiving_application, header.receiving_facility) == ("GW", "COUNTY")
    assert (header.code, header.trigger, header.structure, header.kind) == ("ORU", "R01", "ORU_R01", "ORU^R01")
    assert (header.control_id, header.processing_id, header.version) == ("M1", "P", "2.5.1")
    assert (header.accept_ack, header.application_ack, header.declared_charset) == ("AL", "NE", "UNICODE UTF-8")


def test_header_of_a_short_and_odd_msh() -> None:
    header = hl7v2.decode(b"MSH|^~\\&|A|^1.2.3^ISO|||||ADT^A04|7|P^T|2.6^^&&&&V1.0\r").header
    assert (header.sending_facility, header.structure, header.version) == ("1.2.3", "", "2.6")
    assert (header.processing_id, header.accept_ack, header.declared_charset) == ("P", "", "")
    assert hl7v2.decode(b"MSH|^~\\&|A|B|||||ACK|7|P|2.5\r").header.kind == "ACK"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("PID-5.1", ["欧阳"]),
        ("PID-3", ["300005^^^TOWN01^MR", "110101199003077571^^^CHN^NNCHN"]),
        ("PID-3(2).4", ["CHN"]),
        ("PID-3.1", ["300005", "110101199003077571"]),
        ("OBX-1", ["1", "2"]),
        ("OBX[2]-5", ["一般\n良好", "第二"]),
        ("OBX[2]-3.2.2", ["x"]),
        ("OBX[3]-5", []),
        ("PID-99", []),
        ("PID-5.7", []),
        ("MSH-2", ["^~\\&"]),
        ("ZZZ-1", []),
    ],
)
def test_get(path: str, values: list[str]) -> None:
    assert hl7v2.decode(TEXT.encode()).get(path) == values


@pytest.mark.parametrize("path", ["PID", "pid-5", "PID-x", "PID-5.1.1.1", "PID--5", ""])
def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(Configuration):
        hl7v2.decode(TEXT.encode()).get(path)


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("before", [b"", b"\x0b", b"\xef\xbb\xbf", b"\r\n \r\n", b"\x0b\xef\xbb\xbf"])
@pytest.mark.parametrize("after", [b"", b"\x1c\r", b"\x1c", b"\n\x00"])
def test_terminators_and_what_surrounds_a_message(ending: str, before: bytes, after: bytes) -> None:
    body = before + TEXT.replace("\r", ending).encode() + after
    assert hl7v2.decode(body).segments == hl7v2.decode(TEXT.encode()).segments


@pytest.mark.parametrize("codec", ["gb18030", "utf-16", "utf-16-le", "utf-8-sig"])
def test_charsets(codec: str) -> None:
    name = {"gb18030": "GB 18030-2000"}.get(codec, "UNICODE")
    message = hl7v2.decode(TEXT.replace("UNICODE UTF-8", name).encode(codec))
    assert message.get("PID-5.1") == ["欧阳"]
    assert message.header.declared_charset == name


def test_gb18030_bytes_that_look_like_separators() -> None:
    for name in ("周玘", "珅", "硚皛", "郳昞", "皘癪皛癨"):
        body = TEXT.replace("欧阳", name).replace("UNICODE UTF-8", "GB 18030-2000").encode("gb18030")
        assert hl7v2.decode(body).get("PID-5.1") == [name]
        assert hl7v2.decode(body.replace(b"GB 18030-2000", b"")).get("PID-5.1") == [name]


def test_the_members_rule_beats_msh_18() -> None:
    body = TEXT.replace("UNICODE UTF-8", "8859/1").encode("gb18030")
    assert hl7v2.decode(body, "GBK").get("PID-5.1") == ["欧阳"]


def test_a_charset_shifted_into_msh_17() -> None:
    body = TEXT.replace("|||AL|NE|CHN|UNICODE UTF-8", "||||CHN|UNICODE UTF-8").encode()
    message = hl7v2.decode(body)
    assert message.header.declared_charset == "UNICODE UTF-8"
    assert any("MSH-17" in note for note in message.notes)


def test_an_unknown_charset_is_refused() -> None:
    with pytest.raises(Permanent) as caught:
        hl7v2.decode(TEXT.replace("UNICODE UTF-8", "KLINGON").encode())
    assert (caught.value.code, caught.value.place) == ("103", "MSH-18")


def test_other_separators_become_the_standard_ones() -> None:
    own = "MSH#*~!@#LIS#TOWN01#GW##20260304##ORU*R01*ORU_R01#M1#P#2.5.1\rOBX#1#ST#a*b@c##x!F!y|z^w&v\\u\r"
    message = hl7v2.decode(own.encode())
    assert message.segments[0][:4] == ["MSH", "|", "^~\\&", "LIS"]
    assert message.header.kind == "ORU^R01"
    assert message.segments[1][3] == "a^b&c"
    assert message.get("OBX-5") == ["x|y|z^w&v\\u"]
    assert any("nonstandard" in note for note in message.notes)


@pytest.mark.parametrize("encoding", ["^", "^~", "^~\\", "", "^^^^", "^~\\&#", "abcd", "^~\\&amp;"])
def test_msh_2_too_short_or_odd(encoding: str) -> None:
    message = hl7v2.decode(f"MSH|{encoding}|LIS|TOWN01|||||ADT^A01|1|P|2.5\rPID|1||A^B~C\r".encode())
    assert message.segments[0][2] == "^~\\&"
    assert message.header.kind == "ADT^A01"
    assert message.get("PID-3.1") == ["A", "C"]


@pytest.mark.parametrize(
    "body", [b"", b"MSH", b"PID|1||P1\rOBR|1\r", b"MSHX|^~\\&|A\r", b"MSH\r", b"msk|^~\\&|", b"\x00\xff", b"MSH |a"]
)
def test_no_readable_msh(body: bytes) -> None:
    with pytest.raises(Permanent) as caught:
        hl7v2.decode(body)
    assert caught.value.place in {"MSH", "charset"}


def test_two_messages_in_one_frame_are_never_merged() -> None:
    for second in (TEXT, TEXT.replace("|", "#").replace("^", "*")):
        with pytest.raises(Permanent) as caught:
            hl7v2.decode((TEXT + second).encode())
        assert (caught.value.code, caught.value.place) == ("100", "MSH[2]")


def test_a_line_break_inside_a_text_joins_again() -> None:
    broken = TEXT.replace("一般\\.br\\良好", "一般\n良好,\n\nOK then")
    message = hl7v2.decode(broken.encode())
    assert message.get("OBX[2]-5") == ["一般\n良好,\nOK then", "第二"]
    assert message.get("OBX[2]-11") == ["F"]
    assert any("joined" in note for note in message.notes)


def test_lines_that_are_no_segment_stay_as_residue() -> None:
    message = hl7v2.decode((TEXT.replace("\rPID", "\rstray words\rPID") + "OB").encode())
    assert message.residue == ("stray words", "OB")
    assert len(message.segments) == 5
    assert any("may be cut" in note for note in message.notes)


def test_a_line_break_right_after_the_name() -> None:
    message = hl7v2.decode(TEXT.replace("OBR|1", "OBR\r|1").replace("OBX|2", "OBX\rwords\r|2").encode())
    assert message.segments[2][:3] == ["OBR", "1", "P1"]
    assert message.segments[4][:3] == ["OBX", "2", "TX"]
    assert message.residue == ("words",)


def test_unknown_and_oddly_named_segments_are_kept() -> None:
    message = hl7v2.decode((TEXT + "ZPI|1|甲\rzds|2\rPV2\r").encode())
    assert message.segments[-3:] == [["ZPI", "1", "甲"], ["ZDS", "2"], ["PV2"]]


def test_control_characters_are_removed_and_noted() -> None:
    message = hl7v2.decode(TEXT.replace("欧阳", "欧\x00阳\x01\x02").encode())
    assert message.get("PID-5.1") == ["欧阳"]
    assert any("3 control characters removed" in note for note in message.notes)


def test_split_batch() -> None:
    batch = "FHS|^~\\&|A\rBHS|^~\\&|A\r" + TEXT + TEXT.replace("|M1|", "|M2|") + "BTS|2\rFTS|1\r"
    for text in (batch, batch.replace("\r", "\r\n"), TEXT + TEXT.replace("|M1|", "|M2|")):
        messages = [hl7v2.decode(part.encode()) for part in hl7v2.split_batch(text)]
        assert [message.header.control_id for message in messages] == ["M1", "M2"]
        assert [len(message.segments) for message in messages] == [5, 5]
    with pytest.raises(Permanent, match="trailer"):
        hl7v2.split_batch(batch.replace("BTS|2", "BTS|3"))
    with pytest.raises(Permanent, match="batch"):
        hl7v2.decode(batch.encode())
    assert hl7v2.split_batch("nothing here") == []


def test_a_batch_of_bytes_in_gb18030() -> None:
    text = "BHS|^~\\&|A\r" + TEXT.replace("UNICODE UTF-8", "GB 18030-2000") + "BTS|1\r"
    (body,) = hl7v2.decode_batch(text.encode("gb18030"))
    assert hl7v2.decode(body).get("PID-5.1") == ["欧阳"]


def test_encode_declares_the_charset_and_trims() -> None:
    message = hl7v2.decode(TEXT.encode())
    message.segments.append(["NTE", "1", "", ""])
    body = hl7v2.encode(message, "GBK")
    assert b"|GB 18030-2000\r" in body
    assert body.endswith(b"NTE|1\r")
    again = hl7v2.decode(body)
    assert again.charset == "gb18030"
    assert again.segments[1:5] == message.segments[1:5]
    assert hl7v2.encode(hl7v2.decode(TEXT.encode())) == TEXT.encode()


def test_no_field_can_add_a_segment_or_a_field() -> None:
    segments = [["MSH", "|", "^~\\&", "A|B", "C\rMSA|AA"], ["OBX", "1", "x\x1c\x0b\r\ny"]]
    again = hl7v2.decode(hl7v2.encode(segments, "utf-8"))
    assert [segment[0] for segment in again.segments] == ["MSH", "OBX"]
    assert again.get("MSH-3") == ["A|B"]
    assert again.get("MSH-4") == ["C\nMSA|AA"]
    assert again.segments[1][2] == "x\\X1C\\\\X0B\\\\.br\\y"
    with pytest.raises(Permanent):
        hl7v2.encode([["PID", "1"]], "utf-8")
    with pytest.raises(Permanent):
        hl7v2.encode(hl7v2.decode(TEXT.encode()), "8859/1")


def test_span_finds_the_bytes() -> None:
    broken = "\ufeff" + TEXT.replace("\r", "\r\n").replace("一般\\.br\\良好", "一般\n良好")
    for body in (TEXT.encode(), TEXT.replace("UNICODE UTF-8", "GBK").encode("gb18030"), broken.encode()):
        message = hl7v2.decode(body)

        def read(*place: int, body: bytes = body, message: hl7v2.Message = message) -> str:
            offset, length = message.span(*place)
            return body[offset : offset + length].decode(message.charset)

        assert read(0, 1) == "|"
        assert read(0, 2) == "^~\\&"
        assert read(0, 3) == "LIS"
        assert read(1, 5) == "欧阳^建国"
        assert read(1, 5, 1, 2) == "建国"
        assert read(1, 3, 2, 4) == "CHN"
        assert read(4, 3, 1, 2, 3) == "y"
        assert read(4, 5, 2) == "第二"
        assert read(4, 11) == "F"
        assert read(4, 12) == ""
        assert read(1, 5, 1, 9) == ""


def test_span_in_utf16_and_with_other_separators() -> None:
    body = "MSH#*~!@#LIS#TOWN01\rPID#1##a*王*c".encode("utf-16")
    offset, length = hl7v2.decode(body).span(1, 3, 1, 2)
    assert body[offset : offset + length].decode("utf-16-le") == "王"


def test_peek_reads_what_it_can() -> None:
    header = hl7v2.peek(TEXT.replace("UNICODE UTF-8", "KLINGON").encode("gb18030"))
    assert header is not None
    assert header.control_id == "M1"
    for body in (b"", b"MSH", b"\xff\xfe\x00", b"PID|1", b"MSHX|"):
        assert hl7v2.peek(body) is None


@pytest.mark.parametrize(
    ("code", "trigger", "structure"),
    [
        ("ADT", "A04", "ADT_A01"),
        ("ADT", "A08", "ADT_A01"),
        ("ADT", "A40", "ADT_A39"),
        ("ADT", "A28", "ADT_A05"),
        ("ADT", "A03", "ADT_A03"),
        ("ORM", "O01", "ORM_O01"),
        ("ORU", "R01", "ORU_R01"),
        ("MDM", "T08", "MDM_T02"),
        ("SIU", "S15", "SIU_S12"),
        ("REF", "I14", "REF_I12"),
        ("ACK", "R01", "ACK"),
        ("ACK", "", "ACK"),
        ("ZZZ", "Z01", "ZZZ_Z01"),
    ],
)
def test_structure_of(code: str, trigger: str, structure: str) -> None:
    assert hl7v2.structure_of(code, trigger) == structure


HEAD = "MSH|^~\\&|A|B|C|D|20260312||ORU^R01|1|P|2.4\r"


@pytest.mark.parametrize(
    ("rest", "cause"),
    [
        ("OBX" + "|" * 5_000_001, "more than 5000000 fields and components"),
        ("OBX|1|ST|1||" + "^" * 5_000_001, "more than 5000000 fields and components"),
        ("OBX|1|ST|1||x\r" + "y\r" * 200_001, "more than 100000 segments or 200000 lines"),
        ("y\r" * 200_001, "more than 100000 segments or 200000 lines"),
    ],
    ids=["fields", "components", "broken lines", "residue"],
)
def test_what_would_fill_the_memory_is_refused(rest: str, cause: str) -> None:
    with pytest.raises(Permanent, match=cause):
        hl7v2.decode((HEAD + rest).encode())


def test_too_many_messages_of_a_batch_are_refused_before_they_are_cut_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hl7v2_lines, "MESSAGES_LIMIT", 2)
    assert len(hl7v2.split_batch(HEAD * 2)) == 2
    with pytest.raises(Permanent, match="more than 2 messages in a batch"):
        hl7v2.split_batch(HEAD * 3 + "BTS|9\r")


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hl7v2_lines, "SEGMENTS_LIMIT", 3)
    with pytest.raises(Permanent, match="segments"):
        hl7v2.decode(TEXT.encode())


def test_wide_and_deep_messages_are_read_in_linear_time() -> None:
    for name in (
        "~".join(["A^B"] * 20_000),
        "^".join("A" * 20_000),
        "A" * 2_000_000,
        "&".join("A" * 20_000),
        "\\" * 20_001,
    ):
        message = hl7v2.decode(TEXT.replace("欧阳^建国", name).encode())
        assert message.get("PID-5")
        assert message.span(1, 5, 1)[1] > 0
    assert len(hl7v2.decode((TEXT + "ZZZ|1|x\r" * 5_000).encode()).segments) == 5_005


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12).map(
    lambda text: hl7v2.escape("".join(c for c in text if c >= " " and c not in "\x7f\ufeff\ufffd"))
)
SEGMENT = st.tuples(st.from_regex(r"[A-Z][A-Z0-9]{2}", fullmatch=True), st.lists(FIELD, min_size=1, max_size=6))


@given(st.lists(SEGMENT.filter(lambda s: s[0] not in {"MSH", "FHS", "BHS", "BTS", "FTS"}), max_size=6), st.booleans())
def test_encode_and_decode_are_inverse(drawn: list[tuple[str, list[str]]], chinese: bool) -> None:
    # 王: without a character above U+07FF short Latin text in UTF-8 may be read as GB18030 (charset.py)
    segments = [["MSH", "|", "^~\\&", "A"], *([name, *fields, "王"] for name, fields in drawn)]
    charset = "gb18030" if chinese else "utf-8"
    message = hl7v2.decode(hl7v2.encode(segments, charset))
    assert message.segments[1:] == segments[1:]
    assert message.charset == charset
    assert message.notes == ()


@given(st.lists(SEGMENT.filter(lambda s: s[0] != "MSH"), max_size=5), st.sampled_from(["\r", "\n", "\r\n"]))
def test_the_fast_and_the_careful_way_agree(drawn: list[tuple[str, list[str]]], ending: str) -> None:
    lines = ["MSH|^~\\&|A|B", *("|".join([name, *fields]) for name, fields in drawn)]
    body = (ending.join(lines) + ending).encode()
    assert hl7v2.decode(body).segments == hl7v2.decode(b"\x0b" + body + b"\x1c\r").segments


PIECES = [
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\r",
    b"\n",
    b"\x00",
    b"\xff\xfe",
    b"|" * 30,
    b"\\X",
    b"MSH|^~\\&|",
    b'""',
    b"\x0b",
]
EDIT = st.tuples(st.integers(0, 5), st.integers(0, 400), st.integers(0, 40), st.sampled_from(PIECES))


@settings(max_examples=400)
@given(st.lists(EDIT, min_size=1, max_size=6), st.sampled_from(["utf-8", "gb18030"]))
def test_a_damaged_message_is_read_or_refused_and_always_answered(
    edits: list[tuple[int, int, int, bytes]], codec: str
) -> None:
    body = bytearray(TEXT.encode(codec))
    for kind, at, length, piece in edits:
        at %= len(body) or 1
        match kind:
            case 0:
                body[at : at + 1] = bytes([length])
            case 1:
                del body[at : at + length]
            case 2:
                body[at:at] = piece
            case 3:
                body[at:at] = body[:length]
            case 4:
                body[at : at + 1] = bytes([255 - length])
            case _:
                del body[at:]
    _read_fully(bytes(body))


@given(st.binary(max_size=200))
def test_any_bytes_after_msh(body: bytes) -> None:
    for start in (b"", b"MSH", b"MSH|^~\\&|", b"\xff\xfeM\x00S\x00H\x00|\x00"):
        _read_fully(start + body)


def _read_fully(body: bytes) -> None:
    hl7v2.peek(body)
    try:
        message = hl7v2.decode(body)
    except HutongError:
        return
    assert message.segments[0][:3] == ["MSH", "|", "^~\\&"]
    hl7v2.check(message)
    for index, segment in itertools.islice(enumerate(message.segments), 20):
        assert not set("".join(segment[1:])) & set("\r\n\x00\x0b\x1c")
        for number in range(1, len(segment)):
            offset, length = message.span(index, number)
            assert 0 <= offset <= offset + length <= len(body)
    assert hl7v2.decode(hl7v2.encode(message, "utf-8")).segments[1:] == [_trimmed(s) for s in message.segments[1:]]


def _trimmed(segment: list[str]) -> list[str]:
    while len(segment) > 1 and not segment[-1]:
        segment = segment[:-1]
    return segment
