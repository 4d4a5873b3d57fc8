"""Fields of segments of one kind: `ZRO[ZRO-1.1 = OWN]-2`, going in and coming back."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.codec import hl7v2
from gateway.mapping.maps import Address, Maps, Translation, load, shipped
from gateway.model import Resource
from tests.mapping.house import SHANGHAI, WHEN, by_reference, follow, message, only, segments

MAPS = """
message ZRQ_Z01 for ServiceRequest
  events ZRQ_Z01
  : MSH PID ZRQ ZRO* ZTX*

ZRQ => ServiceRequest
  ZRQ-1                              <-> identifier*                  : EI
  ZRO[ZRO-1.1 = OWN]-2               <-> requester => Organization    : XON
  ZRO[ZRO-1.1 in (HEAD DEAN)]-3      <-> performer* => Practitioner   : XCN
  ZRO[ZRO-1.1 = OWN]-4.2             <-> patientInstruction
  ZTX[!ZTX-2]-1                      <-> code.text
  .                                  ->  status  = active
  .                                  ->  intent  = order
  .                                  ->  subject = @Patient
"""


@pytest.fixture
def maps(tmp_path: Path) -> Maps:
    (tmp_path / "own.map").write_text(MAPS, encoding="utf-8")
    return load([shipped(), tmp_path])


def forth(maps: Maps, *lines: str) -> Translation:
    body = message("ZRQ^Z01", "ZRQ|7^HIS", *lines)
    return maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN)


def back(maps: Maps, made: Translation) -> bytes:
    leads = [url for url, each in by_reference(made.bundle).items() if each["resourceType"] == "ServiceRequest"]
    to = Address(profile=SHANGHAI, facility="COUNTY", sender="COUNTY", control_id="B1", when=WHEN)
    return maps.from_fhir(by_reference(made.bundle), leads, structure="ZRQ_Z01", to=to)


def order(made: Translation) -> Resource:
    return only(made, "ServiceRequest")


def test_only_segments_of_the_kind_are_read_and_the_first_of_a_single_element_stays(maps: Maps) -> None:
    made = forth(maps, "ZRO|DEAN||9^冯远", "ZRO|OWN|甲院^^71", "ZRO|OWN|乙院^^72", "ZRO|HEAD||8^林海", "ZRO|X||7^韦刚")
    assert order(made)["requester"]["display"] == "甲院"
    assert [follow(made, each)["name"][0]["text"] for each in order(made)["performer"]] == ["冯远", "林海"]


def test_they_are_written_as_that_kind_in_as_few_segments_as_can_be(maps: Maps) -> None:
    made = forth(maps, "ZRO|DEAN||9^冯远", "ZRO|OWN|甲院^^71||", "ZRO|HEAD||8^林海", "ZRO|OWN|||^带片")
    body = back(maps, made)
    assert segments(body, "ZRO") == [
        ["ZRO", "OWN", "甲院^^^^^^^^^71", "", "^带片"],
        ["ZRO", "HEAD", "", "9^冯远"],
        ["ZRO", "HEAD", "", "8^林海"],
    ]
    again = maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN)
    assert order(again) == order(made)


def test_several_segments_are_lines_of_one_text_and_come_back_as_several(maps: Maps) -> None:
    made = forth(maps, "ZTX|第一行", "ZTX|别处|2", "ZTX|第二行\\.br\\第三行")
    assert order(made)["code"]["text"] == "第一行\n第二行\n第三行"
    assert [each[1] for each in segments(back(maps, made), "ZTX")] == ["第一行", "第二行", "第三行"]
