"""$hl7v2: resources as messages in a member's own terms, messages as Bundles, and what was lost on the way."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from gateway.api.hl7v2 import ER7
from gateway.codec import hl7v2
from gateway.fhir import validate
from tests.api.conftest import Door, observation, patient

V2 = {"content-type": ER7}
ADMISSION = (
    "MSH|^~\\&|HIS|LAB|HUTONG|C|20260305100000||ADT^A01^ADT_A01|M1|P|2.5.1|||AL|NE|CHN|UNICODE UTF-8\r"
    "EVN|A01|20260305100000\rPID|1||P1^^^LAB^MR||张^三||19800102|M\rPV1|1|I|W1^101^1\rZZZ|own\r"
).encode()


def report(subject: str, result: str) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport", "id": "r", "status": "final", "subject": {"reference": subject},
        "identifier": [{"system": "urn:hutong:id:LAB:FILL", "value": "F1"}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "58410-2"}], "text": "血常规"},
        "issued": "2026-03-05T10:00:00+08:00", "result": [{"reference": result}],
    }  # fmt: skip


@pytest.fixture
async def ward(client: httpx.AsyncClient) -> httpx.AsyncClient:
    value = {"valueQuantity": {"value": 120, "unit": "g/L", "system": "http://unitsofmeasure.org", "code": "g/L"}}
    for resource in (
        patient("P1", id="p"), observation("1", "Patient/p", id="o", **value), report("Patient/p", "Observation/o"),
    ):  # fmt: skip
        answer = await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 201, answer.text
    return client


async def test_a_stored_report_with_what_belongs_to_it(ward: httpx.AsyncClient) -> None:
    answer = await ward.get("/fhir/DiagnosticReport/r/$hl7v2?receiver=lab")
    assert answer.status_code == 200, answer.text
    message = hl7v2.decode(answer.content)
    assert answer.headers["content-type"].startswith(ER7)
    assert (message.header.kind, message.header.version) == ("ORU^R01", "2.4")
    text = answer.content.decode("gb18030")
    assert "张" in text
    assert "718-7" in text
    assert "120" in text
    assert (await ward.get("/fhir/DiagnosticReport/r/$hl7v2?receiver=lab")).content == answer.content
    newer = await ward.get("/fhir/DiagnosticReport/r/$hl7v2?receiver=lab&version=2.5.1&charset=UTF-8")
    assert hl7v2.decode(newer.content).header.version == "2.5.1"
    assert "张" in newer.content.decode()


async def test_by_accept(ward: httpx.AsyncClient) -> None:
    path = "/fhir/Patient/p/$hl7v2?event=ADT^A08"
    plain = await ward.get(path, headers={"accept": "text/plain"})
    assert plain.headers["content-type"].startswith("text/plain")
    assert b"ADT^A08" in plain.content
    fhir = (await ward.get(path, headers={"accept": "application/fhir+json"})).json()
    binary = fhir["parameter"][0]["resource"]
    assert base64.b64decode(binary["data"]) == plain.content
    assert binary["contentType"].startswith(ER7)
    with_account = (await ward.get(f"{path}&account=true")).json()
    assert [each["name"] for each in with_account["parameter"]] == ["return", "outcome"]
    assert "values are carried" in with_account["parameter"][1]["resource"]["issue"][0]["diagnostics"]
    xml = await ward.get(path, headers={"accept": "application/fhir+xml"})
    assert "<Parameters" in xml.text


async def test_a_bundle_a_resource_and_parameters(client: httpx.AsyncClient) -> None:
    person = patient("P1", id="p")
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": person}]}
    parameter = [{"name": "resource", "resource": person}, {"name": "receiver", "valueString": "lab"},
                 {"name": "event", "valueString": "ADT^A31"}]  # fmt: skip
    for body, event in (
        (person, "A08"),
        (bundle, "A08"),
        ({"resourceType": "Parameters", "parameter": parameter}, "A31"),
    ):
        answer = await client.post("/fhir/$hl7v2", json=body)
        assert answer.status_code == 200, answer.text
        assert hl7v2.decode(answer.content, "gb18030").header.trigger == event


async def test_a_message_becomes_a_bundle_and_nothing_is_stored(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/$hl7v2", content=ADMISSION, headers=V2)
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    assert {"Patient", "Encounter"} <= {each["resource"]["resourceType"] for each in bundle["entry"]}
    assert (await client.get("/fhir/Patient")).json()["total"] == 0
    back = await client.post("/fhir/$hl7v2", json=bundle)
    assert hl7v2.decode(back.content).header.kind == "ADT^A01"
    told = (await client.post("/fhir/$hl7v2?account=true", content=ADMISSION, headers=V2)).json()
    assert told["parameter"][0]["resource"] == bundle
    issues = told["parameter"][1]["resource"]["issue"]
    assert any("ZZZ" in each["diagnostics"] for each in issues)
    assert "张" not in str(issues)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/fhir/Patient/none/$hl7v2", 404, "no Patient"),
        ("/fhir/Patient/p/$hl7v2?version=9", 400, "version is one of"),
        ("/fhir/Patient/p/$hl7v2?charset=KLINGON", 400, "charset"),
        ("/fhir/Patient/p/$hl7v2?other=1", 400, "$hl7v2 takes"),
        ("/fhir/Patient/p/$hl7v2?event=ORU^R01", 400, "about a"),
        ("/fhir/Patient/p/$hl7v2?event=XYZ^Q99", 422, "no map writes"),
    ],
)
async def test_what_is_refused(ward: httpx.AsyncClient, path: str, status: int, says: str) -> None:
    answer = await ward.get(path)
    assert answer.status_code == status
    assert says in answer.json()["issue"][0]["diagnostics"]


async def test_it_is_defined(client: httpx.AsyncClient) -> None:
    rest = (await client.get("/fhir/metadata")).json()["rest"][0]
    (address,) = [each["definition"] for each in rest["operation"] if each["name"] == "hl7v2"]
    found = (await client.get(address)).json()
    assert (found["resourceType"], found["code"]) == ("OperationDefinition", "hl7v2")
    assert list(validate.problems(found)) == []


async def test_refusals_of_what_is_sent(door: Door, client: httpx.AsyncClient) -> None:
    broken = await client.post("/fhir/$hl7v2", content=b"MSH|^~\\&|A", headers=V2)
    assert broken.status_code == 400
    assert broken.json()["issue"][0]["diagnostics"]
    empty = await client.post("/fhir/$hl7v2", json={"resourceType": "Parameters", "parameter": []})
    assert empty.status_code == 400
    nothing = await client.post("/fhir/$hl7v2", json={"resourceType": "Slot"})
    assert nothing.status_code == 400
    narrow = {"authorization": f"Bearer {door.token('system/Patient.rs')}"}
    assert (await client.get("/fhir/Patient/p/$hl7v2", headers=narrow)).status_code == 403
    assert (await client.post("/fhir/$hl7v2", json={"resourceType": "Slot"}, headers=narrow)).status_code == 403
