"""XML both ways, exact; and what fhir.resources thinks."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest

from gateway import errors
from gateway.fhir import json, resources_door
from tests.fhir import laboratory

EXAMPLES = laboratory.SHARED / "reference" / "r4" / "examples.ndjson.gz"
XHTML = "http://www.w3.org/1999/xhtml"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def test_the_letter_of_the_xml() -> None:
    resource = json.loads(
        '{"resourceType":"Observation","id":"1","status":"final","text":{"status":"generated","div":'
        '"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">a &lt; b<br/></div>"},"code":{"text":"血\\"糖\\n"},'
        '"valueQuantity":{"value":5.10},"effectiveDateTime":"2026-03-14T11:05:00.120+08:00",'
        '"extension":[{"url":"urn:x","valueBoolean":true}]}'
    )
    assert resources_door.to_xml(resource).decode() == (
        f'{HEAD}<Observation xmlns="http://hl7.org/fhir"><id value="1"/><text><status value="generated"/>'
        '<div xmlns="http://www.w3.org/1999/xhtml">a &lt; b<br/></div></text><extension url="urn:x">'
        '<valueBoolean value="true"/></extension><status value="final"/>'
        "<code><text value='血\"糖&#10;'/></code>"
        '<effectiveDateTime value="2026-03-14T11:05:00.120+08:00"/><valueQuantity><value value="5.10"/>'
        "</valueQuantity></Observation>"
    )
    assert resources_door.from_xml(resources_door.to_xml(resource)) == resource


@pytest.mark.parametrize("resource", [laboratory.patient(), laboratory.transaction(), laboratory.corners()])
def test_there_and_back(resource: dict[str, Any]) -> None:
    back = resources_door.from_xml(resources_door.to_xml(resource))
    assert back == resource
    assert json.dumps(back).count(b"0.10") == json.dumps(resource).count(b"0.10")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('<Patient xmlns="http://hl7.org/fhir"><foo value="1"/></Patient>', "Patient.foo"),
        ('<Patient xmlns="http://hl7.org/fhir"><active value="yes"/></Patient>', "Patient.active"),
        ('<Patient xmlns="http://hl7.org/fhir"><x:active xmlns:x="u" value="true"/></Patient>', "Patient.active"),
        ('<Patient><active value="true"/></Patient>', "root element"),
        ('<Nothing xmlns="http://hl7.org/fhir"/>', "root element"),
        ('<Patient xmlns="http://hl7.org/fhir"><contained/></Patient>', "Patient.contained"),
        ('<!DOCTYPE Patient [<!ENTITY a "b">]><Patient xmlns="http://hl7.org/fhir"/>', "FHIR XML"),
        ("<Patient", "FHIR XML"),
        ('<Patient xmlns="http://hl7.org/fhir"><gender>male</gender></Patient>', "Patient.gender"),
        ('<Patient xmlns="http://hl7.org/fhir">male<gender value="male"/></Patient>', "Patient"),
        ('<Patient xmlns="http://hl7.org/fhir"><gender/></Patient>', "Patient.gender"),
        (
            '<Patient xmlns="http://hl7.org/fhir"><gender value="male"/><gender value="other"/></Patient>',
            "Patient.gender",
        ),
        ('<Patient xmlns="http://hl7.org/fhir" id="1"/>', "Patient"),
        ('<Patient xmlns="http://hl7.org/fhir"><identifier value="1"/></Patient>', "Patient.identifier"),
        ('<Patient xmlns="http://hl7.org/fhir"><active value="true" other="1"/></Patient>', "Patient.active"),
        (
            '<Patient xmlns="http://hl7.org/fhir"><multipleBirthInteger value="1_0"/></Patient>',
            "Patient.multipleBirthInteger",
        ),
        (
            '<Location xmlns="http://hl7.org/fhir"><position><longitude value="0x1"/></position></Location>',
            "Location.position.longitude",
        ),
        (
            '<Location xmlns="http://hl7.org/fhir"><position><longitude value="1_0.5"/></position></Location>',
            "Location.position.longitude",
        ),
        (f'<Patient xmlns="http://hl7.org/fhir">{"<extension>" * 200}', "FHIR XML"),
    ],
)
def test_what_is_not_fhir_xml_is_refused_at_its_place(body: str, place: str) -> None:
    with pytest.raises(errors.Permanent) as caught:
        resources_door.from_xml(body.encode())
    assert caught.value.place == place


def test_pretty_xml_says_the_same() -> None:
    resource = {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": f'<div xmlns="{XHTML}">a <b>c</b>\n<div>d</div> e</div>'},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "1 > 0"}], "active": True,
    }  # fmt: skip
    pretty = resources_door.to_xml(resource, pretty=True)
    assert b'\n    <Organization>\n      <id value="o"/>\n' in pretty
    assert pretty.endswith(b'\n  <active value="true"/>\n</Patient>')
    assert resources_door.from_xml(pretty) == resource


def test_a_narrative_without_its_namespace_gets_it() -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": "<div>a</div>"}}
    assert f'<div xmlns="{XHTML}">a</div>'.encode() in resources_door.to_xml(resource)


def test_repeated_primitives_without_any_value_have_no_list_of_values() -> None:
    """JSON would have a list of nothing but null."""
    shadows = [{"id": "a"}, {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}]
    resource = {"resourceType": "Patient", "name": [{"_given": shadows}]}
    assert resources_door.from_xml(resources_door.to_xml(resource)) == resource


def test_the_place_of_a_schema_is_no_content() -> None:
    instance = "http://www.w3.org/2001/XMLSchema-instance"
    names = f'xmlns="http://hl7.org/fhir" xmlns:x="{instance}" x:schemaLocation="a b"'
    body = f'<Patient {names}><active value="true"/></Patient>'
    assert resources_door.from_xml(body.encode()) == {"resourceType": "Patient", "active": True}


def test_deep_and_foreign_bytes_are_refused() -> None:
    deep = '<Patient xmlns="http://hl7.org/fhir">' + '<extension url="a">' * 150 + "</extension>" * 150 + "</Patient>"
    for body in (deep.encode(), "<Patient/>".encode("utf-16"), b"\xb2\xe2"):
        with pytest.raises(errors.Permanent):
            resources_door.from_xml(body)


@pytest.mark.parametrize(
    ("resource", "shown"),
    [
        ({"resourceType": "Patient", "name": [{"text": "bell \x07"}]}, "bell \u2407"),
        ({"resourceType": "Patient", "name": [{"text": "none \uffff"}]}, "none \ufffd"),
        ({"resourceType": "Patient", "text": {"div": "<div>&nbsp;</div>"}}, ">\xa0</div>"),
        (
            {"resourceType": "Patient", "text": {"div": "<div>&amp;&quot;</div>"}},
            ">&amp;&quot;</div>",
        ),
        (
            {"resourceType": "Patient", "text": {"div": "<div><b>x</div>"}},
            "&lt;b&gt;x&lt;/div&gt;</pre>",
        ),
    ],
)
def test_what_xml_cannot_hold_is_shown(resource: dict[str, Any], shown: str) -> None:
    made = resources_door.to_xml(resource).decode()
    assert shown in made
    assert resources_door.from_xml(made.encode())["resourceType"] == "Patient"


def test_what_is_no_resource_is_permanent() -> None:
    with pytest.raises(errors.Permanent):
        resources_door.to_xml({"resourceType": "Patientt"})


def test_the_second_opinion_names_the_place_and_no_value() -> None:
    assert resources_door.second_opinion(laboratory.patient()) == []
    found = resources_door.second_opinion({**laboratory.patient(), "birthDate": "张三", "foo": 1})
    assert any("birthDate" in each for each in found)
    assert not re.search("张三", str(found))
    assert resources_door.second_opinion({"resourceType": "MedicinalProduct"}) == []


@pytest.mark.samples
@pytest.mark.slow
@pytest.mark.skipif(not EXAMPLES.exists(), reason="the R4 examples are not beside the repository")
def test_every_example_survives_xml() -> None:
    def without_narrative(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_narrative(each) for key, each in value.items() if key != "div"}
        return [without_narrative(each) for each in value] if isinstance(value, list) else str(value)

    with gzip.open(EXAMPLES) as lines:
        for line in lines:
            resource = json.loads(line)
            back = resources_door.from_xml(resources_door.to_xml(resource))
            assert without_narrative(back) == without_narrative(resource)


def test_xml_that_would_fill_the_memory_or_the_stack_is_refused() -> None:
    inside = "<b>" * 2_000 + "</b>" * 2_000
    narrative = f'<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">{inside}</div></text>'
    for content, cause in ((narrative, "nested over 100 levels"), ("<a/>" * 2_000_000, "more than 2000000 tags")):
        with pytest.raises(errors.Permanent, match=cause):
            resources_door.from_xml(f'<Patient xmlns="http://hl7.org/fhir">{content}</Patient>'.encode())
