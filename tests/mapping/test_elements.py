"""Blocks that make elements of a list: `ROL => Patient.contact*`, going in and coming back."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.codec import hl7v2
from gateway.errors import Configuration
from gateway.mapping.maps import Address, Maps, Translation, load, shipped
from tests.mapping.house import PV1, SHANGHAI, WHEN, all_of, by_reference, message, only, segments

CONTACTS = """
codes contact-sex M=male F=female

ZKN => Patient.contact*
  ZKN-2   <-> name                : XPN
  ZKN-3*  <-> telecom*            : XTN
  ZKN-4   <-> gender              | contact-sex
  ZKN-5   <-> organization => Organization : XON

ZEX => Patient.photo*{contentType=image/png}
  ZEX-1   <-> title               : text

ZCM => Patient.communication*
  ZCM-1   ->  language            : CWE
  ZCM-2   ->  preferred           : yn
"""
STRUCTURE = """
message ADT_A01 for Encounter once Practitioner Organization Location
  events ADT_A01
  : MSH [EVN] PID [PV1] ZKN* ZEX* ZCM*
"""
KIN = "ZKN|1|王^芳|13900000001~13900000002|F"


@pytest.fixture
def maps(tmp_path: Path) -> Maps:
    (tmp_path / "own.map").write_text(CONTACTS + STRUCTURE, encoding="utf-8")
    return load([shipped(), tmp_path])


def forth(maps: Maps, *lines: str) -> Translation:
    body = message("ADT^A01^ADT_A01", PV1, *lines)
    return maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN, explain=True)


def back(maps: Maps, made: Translation) -> bytes:
    leads = [url for url, each in by_reference(made.bundle).items() if each["resourceType"] == "Encounter"]
    to = Address(profile=SHANGHAI, facility="COUNTY", control_id="B1", when=WHEN, event="A01")
    return maps.from_fhir(by_reference(made.bundle), leads, structure="ADT_A01", to=to)


def test_each_segment_makes_one_element(maps: Maps) -> None:
    patient = only(forth(maps, KIN, "ZKN|2|李四||M"), "Patient")
    assert [each["name"]["text"] for each in patient["contact"]] == ["王芳", "李四"]
    assert [each["value"] for each in patient["contact"][0]["telecom"]] == ["13900000001", "13900000002"]
    assert [each["gender"] for each in patient["contact"]] == ["female", "male"]


def test_a_segment_that_says_nothing_makes_none(maps: Maps) -> None:
    assert "contact" not in only(forth(maps, "ZKN|1"), "Patient")


def test_an_element_without_what_r4_demands_is_not_made_and_told(maps: Maps) -> None:
    made = forth(maps, "ZCM|zh^中文|Y", "ZCM||N")
    (spoken,) = only(made, "Patient")["communication"]
    assert (spoken["language"]["text"], spoken["preferred"]) == ("中文", True)
    assert "no Patient.communication was made: the message gives no language" in made.notes


def test_nothing_is_made_of_a_resource_that_is_not_there(maps: Maps) -> None:
    body = message("ADT^A01^ADT_A01", PV1, KIN, pid="PID|1")
    made = maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN)
    assert all_of(made, "Patient") == []


def test_elements_come_back_each_in_its_own_segment(maps: Maps) -> None:
    made = forth(maps, KIN, "ZKN|2|李四||M", "ZEX|正面")
    body = back(maps, made)
    assert [each[2:] for each in segments(body, "ZKN")] == [
        ["王^芳", "13900000001~13900000002", "F"],
        ["李四", "", "M"],
    ]
    assert [each[1] for each in segments(body, "ZEX")] == ["正面"]
    again = maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN)
    assert only(again, "Patient") == only(made, "Patient")


def test_an_element_that_the_slice_or_the_first_line_does_not_fit_is_left(maps: Maps) -> None:
    made = forth(maps)
    only(made, "Patient")["contact"] = [{"gender": "male"}]
    only(made, "Patient")["photo"] = [{"title": "侧面", "contentType": "image/jpeg"}]
    body = back(maps, made)
    assert segments(body, "ZKN") == []
    assert segments(body, "ZEX") == []


def test_elements_are_explained(maps: Maps) -> None:
    made = forth(maps, KIN)
    found = {each.path: (each.field, each.line.partition(":")[0].rpartition("/")[2]) for each in made.lineage}
    assert found["Patient.contact.name"] == (2, "own.map")
    assert found["Patient.contact.gender"] == (4, "own.map")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PID => Patient.kontakt*\n  PID-8 -> gender | sex\n", "did you mean contact"),
        ("PID => Patient.maritalStatus*\n  PID-8 -> text\n", "occurs once in R4"),
        ("PID => Patient.contact\n  PID-8 -> gender | sex\n", "Resource.element"),
        ("PID => Patient.contact*.name*\n  PID-8 -> text\n", "Resource.element"),
        ("PID => Patient*\n  PID-8 -> gender | sex\n", "Resource.element"),
        ("PID => Invoice.participant*\n  PID-8 -> actor.display\n", "no block makes a Invoice"),
        ("PID => Patient.contact* key PID-3\n  PID-8 -> gender | sex\n", "no key of its own"),
        ("PID => Patient.contact*\n  . -> organization = @@Organization\n", "belong to the resource"),
    ],
)
def test_a_mistake_in_such_a_block(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.map").write_text(text, encoding="utf-8")
    with pytest.raises(Configuration, match=said):
        load([shipped(), tmp_path])
