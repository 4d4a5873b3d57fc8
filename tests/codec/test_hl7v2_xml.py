"""HL7 v2 in XML: read as the same message, written so that it reads the same again, and nothing dangerous opened."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import hl7v2, hl7v2_xml, hl7v2_xml_writer
from gateway.errors import Permanent

XML = """<?xml version="1.0" encoding="UTF-8"?>
<ORU_R01 xmlns="urn:hl7-org:v2xml">
  <MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.4><HD.1>LAB</HD.1></MSH.4>
    <MSH.9><MSG.1>ORU</MSG.1><MSG.2>R01</MSG.2><MSG.3>ORU_R01</MSG.3></MSH.9><MSH.10>M1</MSH.10>
    <MSH.11><PT.1>P</PT.1></MSH.11><MSH.12><VID.1>2.5.1</VID.1></MSH.12></MSH>
  <ORU_R01.PATIENT_RESULT><ORU_R01.PATIENT>
    <PID><PID.3><CX.1>1</CX.1><CX.4><HD.1>A</HD.1><HD.2>1.2</HD.2></CX.4></PID.3><PID.3><CX.1>2</CX.1></PID.3>
      <PID.5><XPN.1><FN.1>张</FN.1></XPN.1><XPN.2>伟 &amp; 娜</XPN.2></PID.5></PID>
  </ORU_R01.PATIENT></ORU_R01.PATIENT_RESULT>
</ORU_R01>"""
ER7 = (
    "MSH|^~\\&||LAB|||||ORU^R01^ORU_R01|M1|P|2.5.1\r"
    "PID|1||1^^^A&1.2~2||张^伟\\T\\娜\r"
    "OBR|1||F1|0201^血^L|||20260312\r"
    "OBX|1|FT|1^结论^L||一行\\.br\\二行||||||F\r"
    "ZLB|加急^L|x&y\r"
    "OBX|2|NM|2^钾^L||4.10|mmol/L|||||F\r"
)


def test_it_reads_as_the_message_with_separators() -> None:
    message = hl7v2.decode(XML.encode())
    assert message.header.kind == "ORU^R01"
    assert message.segments[1] == ["PID", "", "", "1^^^A&1.2~2", "", "张^伟 \\T\\ 娜"]
    assert message.charset == "utf-8"


def test_the_first_look_knows_it_too() -> None:
    """MSH-11 is read here: a training message in XML must not enter the record."""
    header = hl7v2.peek(XML.replace("<PT.1>P", "<PT.1>T").encode())
    assert header is not None
    assert header.processing_id == "T"


def test_a_declared_charset_is_used() -> None:
    body = XML.replace('encoding="UTF-8"', 'encoding="GB18030"').encode("gb18030")
    assert hl7v2.decode(body).get("PID-5.1") == ["张"]


def test_what_is_written_reads_the_same() -> None:
    message = hl7v2.decode(ER7.encode())
    written = hl7v2_xml_writer.write(message.segments)
    assert b"<ORU_R01.ORDER_OBSERVATION>" in written
    assert b"<CX.4><HD.1>A</HD.1><HD.2>1.2</HD.2></CX.4>" in written
    assert b'<escape V=".br"/>' in written
    again = hl7v2.decode(written)
    assert again.segments[1:] == message.segments[1:]


FIELD = st.text(st.sampled_from("张a1 .^&~"), max_size=12)


def plain(field: str) -> str:
    """Without separators at the ends of their levels, which say nothing, and without fields of blanks alone."""
    repetitions = []
    for repetition in field.split("~"):
        pieces = [[each if each.strip() else "" for each in part.split("&")] for part in repetition.split("^")]
        repetitions.append("^".join("&".join(part).rstrip("&") for part in pieces).rstrip("^"))
    while repetitions and not repetitions[-1]:
        repetitions.pop()
    return "~".join(repetitions)


@settings(max_examples=60, deadline=None)
@given(st.lists(FIELD, min_size=1, max_size=5))
def test_any_field_comes_back(fields: list[str]) -> None:
    segments = [*hl7v2.decode(ER7.encode()).segments, ["ZZZ", *fields], ["ZEN", "e"]]
    again = hl7v2.decode(hl7v2_xml_writer.write(segments)).segments[-2]
    assert valued(again) == valued(["ZZZ", *fields])


def valued(segment: list[str]) -> list[str]:
    found = [plain(each) for each in segment]
    while not found[-1]:
        found.pop()
    return found


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ('<!DOCTYPE x [<!ENTITY e "boom">]><ACK><MSH>&e;</MSH></ACK>', "DOCTYPE"),
        ("<ACK><MSH><MSH.1>", "not well-formed"),
        ("<ACK><MSA/><MSH/></ACK>", "the first segment is not MSH"),
        ("<ACK><MSH><PID.3>1</PID.3><odd/></MSH></ACK>", "is no field of it"),
        ("<A>" * 30 + "<MSH/>" + "</A>" * 30, "deeper than"),
        (
            "<ACK><MSH><MSH.9><M.1><M.2><M.3><M.4>x</M.4></M.3></M.2></M.1></MSH.9></MSH></ACK>",
            "subcomponent has parts",
        ),
    ],
)
def test_what_is_refused(body: str, cause: str) -> None:
    assert hl7v2_xml.is_xml(body.encode())
    with pytest.raises(Permanent, match=cause):
        hl7v2.decode(body.encode())
    assert hl7v2.peek(body.encode()) is None


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"MSH|^~\\&|", b"<Patient xmlns='http://hl7.org/fhir'/>"])
def test_what_is_no_message_in_xml(body: bytes) -> None:
    assert not hl7v2_xml.is_xml(body)


def test_tags_that_would_fill_the_memory_are_refused() -> None:
    with pytest.raises(Permanent, match="more than 2000000 tags"):
        hl7v2.decode(b"<ACK><MSH/>" + b"<A/>" * 2_000_000 + b"</ACK>")
