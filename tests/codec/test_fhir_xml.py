"""FHIR as XML says the same as FHIR as JSON; what is no R4 is refused with its place."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.codec import fhir_xml
from gateway.errors import Permanent
from gateway.fhir import validate

PATIENT = """<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir">
  <id value="p1"/>
  <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>蓝小满</p></div></text>
  <identifier><system value="urn:oid:1.2.3"/><value value="7"/></identifier>
  <name><text value="蓝小满"/><given value="小"/>
    <given value="满"><extension url="urn:x"><valueString value="y"/></extension></given></name>
  <birthDate value="1990-03-07"><extension url="urn:t">
    <valueDateTime value="1990-03-07T08:00:00+08:00"/></extension></birthDate>
  <deceasedBoolean value="false"/>
  <contact><name><text value="蓝大满"/></name></contact>
</Patient>"""
BUNDLE = """<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/>
  <entry><resource><Observation><status value="final"/><code><text value="血清钾"/></code>
    <valueQuantity><value value="5.60"/><unit value="mmol/L"/></valueQuantity></Observation></resource></entry>
  <entry><resource><Patient><contained><Organization><id value="o"/><name value="卫生院"/></Organization></contained>
    <multipleBirthInteger value="2"/>
    <managingOrganization><reference value="#o"/></managingOrganization></Patient></resource></entry></Bundle>"""


def test_a_patient_reads_as_its_json() -> None:
    found = fhir_xml.decode(PATIENT.encode())
    validate.check(found)
    assert found["name"] == [
        {
            "text": "蓝小满",
            "given": ["小", "满"],
            "_given": [None, {"extension": [{"url": "urn:x", "valueString": "y"}]}],
        }
    ]
    assert found["birthDate"] == "1990-03-07"
    assert found["_birthDate"]["extension"][0]["valueDateTime"] == "1990-03-07T08:00:00+08:00"
    assert found["deceasedBoolean"] is False
    assert found["contact"] == [{"name": {"text": "蓝大满"}}]
    assert found["text"]["div"] == '<div xmlns="http://www.w3.org/1999/xhtml"><p>蓝小满</p></div>'


def test_resources_inside_others_and_digits() -> None:
    found = fhir_xml.decode(BUNDLE.encode())
    validate.check_bundle(found)
    first, second = (each["resource"] for each in found["entry"])
    assert str(first["valueQuantity"]["value"]) == str(Decimal("5.60"))
    assert second["contained"] == [{"resourceType": "Organization", "id": "o", "name": "卫生院"}]
    assert second["multipleBirthInteger"] == 2


def test_its_charset_is_the_one_it_declares() -> None:
    body = PATIENT.replace("UTF-8", "GB18030").encode("gb18030")
    assert fhir_xml.decode(body)["name"][0]["text"] == "蓝小满"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("<birthDate", "<birthday", "Patient.birthday"),
        ('<id value="p1"/>', "<id>p1</id>", "Patient.id"),
        ("<contact>", "<contact>free text", "Patient.contact"),
        ('<deceasedBoolean value="false"/>', '<deceasedBoolean value="no"/>', "Patient.deceasedBoolean"),
        ('<id value="p1"/>', '<id value="p1"/><id value="p2"/>', "Patient.id"),
        ('<id value="p1"/>', '<id val="p1"/>', "Patient.id"),
        ('xmlns="http://hl7.org/fhir"', 'xmlns="http://hl7.org/fhir/" xmlns:f="http://hl7.org/fhir"', "Patient"),
    ],
)
def test_what_is_no_fhir_is_refused_with_its_place(old: str, new: str, place: str) -> None:
    body = PATIENT.replace(old, new).replace("</birthDate>", f"</{new[1:]}>" if "birthday" in new else "</birthDate>")
    with pytest.raises(Permanent) as caught:
        fhir_xml.decode(body.encode())
    assert caught.value.place == place


def test_no_entities_and_no_damage() -> None:
    with pytest.raises(Permanent, match="DOCTYPE"):
        fhir_xml.decode(b'<!DOCTYPE x [<!ENTITY a "b">]><Patient xmlns="http://hl7.org/fhir"/>')
    with pytest.raises(Permanent, match="not well-formed at line 1"):
        fhir_xml.decode(b'<Patient xmlns="http://hl7.org/fhir">')


def test_it_is_known_by_its_namespace() -> None:
    assert fhir_xml.is_fhir_xml(PATIENT.encode())
    assert not fhir_xml.is_fhir_xml(b"<JZXXLB><JZXX/></JZXXLB>")
