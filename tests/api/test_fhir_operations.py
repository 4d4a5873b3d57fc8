"""$everything, $validate, searches of a compartment and of the whole system, over a real record."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.fhir import json
from gateway.store import across
from tests.api.conftest import BASE, Door, observation, patient
from tests.api.test_rest import found, says

FHIR = {"content-type": "application/fhir+json"}


@pytest.fixture
async def ward(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Two patients; one of them with a visit, three results and an order, a practitioner who asked for it."""
    encounter = {
        "resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "IMP"},
        "subject": {"reference": "Patient/one"}, "period": {"start": "2026-03-01", "end": "2026-03-04"},
    }  # fmt: skip
    order = {
        "resourceType": "ServiceRequest", "id": "s", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/one"}, "encounter": {"reference": "Encounter/e"},
        "requester": {"reference": "Practitioner/d"},
    }  # fmt: skip
    for resource in (
        patient("1", id="one"), patient("2", id="two"), {"resourceType": "Practitioner", "id": "d"}, encounter, order,
        *(observation(number, "Patient/one", id=number, encounter={"reference": "Encounter/e"}) for number in "abc"),
        observation("x", "Patient/two", id="x"),
    ):  # fmt: skip
        answer = await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 201, answer.text
    return client


def references(page: dict[str, Any], mode: str) -> list[str]:
    return [
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in page.get("entry", ())
        if entry["search"]["mode"] == mode
    ]


async def test_everything_of_a_patient_and_what_that_refers_to(ward: httpx.AsyncClient) -> None:
    page = await found(ward, "/fhir/Patient/one/$everything")
    expected = ["Patient/one", "Encounter/e", "Observation/a", "Observation/b", "Observation/c", "ServiceRequest/s"]
    assert references(page, "match") == expected
    assert references(page, "include") == ["Practitioner/d"]
    assert page["total"] == 6


async def test_everything_comes_in_pages(ward: httpx.AsyncClient) -> None:
    address, seen = "/fhir/Patient/one/$everything?_count=2", []
    while address:
        page = await found(ward, address)
        assert len(references(page, "match")) <= 2
        seen += references(page, "match")
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert len(seen) == len(set(seen)) == 6
    says(await ward.get("/fhir/Patient/one/$everything?_cursor=x"), 400, "invalid")


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("_type=Observation", 3),
        ("_since=2030-01-01", 0),
        ("start=2026-03-05", 4),
        ("end=2026-03-04", 2),
        ("start=2030", 1),
    ],
)  # the patient is of all times; an order without a date is in none that is asked for
async def test_a_part_of_everything(ward: httpx.AsyncClient, asked: str, count: int) -> None:
    page = await found(ward, f"/fhir/Patient/one/$everything?{asked}")
    assert len(references(page, "match")) == count, references(page, "match")


async def test_everything_by_parameters_and_of_an_encounter(ward: httpx.AsyncClient) -> None:
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 1}]}
    answer = await ward.post("/fhir/Patient/one/$everything", content=json.dumps(parameters), headers=FHIR)
    assert len(references(answer.json(), "match")) == 1
    page = await found(ward, "/fhir/Encounter/e/$everything")
    assert references(page, "match")[0] == "Encounter/e"
    assert "Patient/one" in references(page, "include")
    says(await ward.get("/fhir/Patient/never/$everything"), 404, "not-found")
    says(await ward.get("/fhir/Observation/a/$everything"), 404, "not-found")
    says(await ward.get("/fhir/Patient/one/$everything?colour=red"), 400, "invalid")


async def test_a_compartment(ward: httpx.AsyncClient) -> None:
    page = await found(ward, "/fhir/Patient/one/Observation?_count=2&status=final")
    assert len(references(page, "match")) == 2
    assert page["link"][1]["url"].startswith(f"{BASE}/fhir/Patient/one/Observation?")
    assert (await found(ward, "/fhir/Encounter/e/ServiceRequest"))["total"] == 1
    assert (await found(ward, "/fhir/Patient/never/Observation"))["total"] == 0
    says(await ward.get("/fhir/Observation/a/Patient"), 404, "not-found")
    says(await ward.get("/fhir/Patient/one/Questionnaire"), 404, "not-found")


async def test_the_whole_system(ward: httpx.AsyncClient) -> None:
    page = await found(ward, "/fhir?_type=Patient,Practitioner&_id=one,d")
    assert references(page, "match") == ["Patient/one", "Practitioner/d"]
    address, seen = "/fhir?_count=3", []
    while address:
        page = await found(ward, address)
        seen += references(page, "match")
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert len(seen) == len(set(seen)) == 9
    posted = await ward.post("/fhir/_search", data={"_type": "Patient"})
    assert posted.json()["total"] == 2
    says(await ward.get("/fhir?_type=Nothing"), 400, "invalid")


async def test_a_token_for_one_type_sees_no_other(door: Door, ward: httpx.AsyncClient) -> None:
    ward.headers["authorization"] = f"Bearer {door.token('system/Patient.rs')}"
    assert (await found(ward, "/fhir?_type=Patient"))["total"] == 2
    for address in (
        "/fhir",
        "/fhir?_type=Observation",
        "/fhir/Patient/one/Observation",
        "/fhir/Patient/one/$everything",
    ):
        says(await ward.get(address), 403, "forbidden")


async def test_validate_says_all_that_is_wrong(client: httpx.AsyncClient) -> None:
    wrong = patient("1", gender="m", birthDate="yesterday")
    answer = await client.post("/fhir/Patient/$validate", json=wrong)
    issues = answer.json()["issue"]
    assert answer.status_code == 200
    assert sorted(issue["expression"][0] for issue in issues) == ["Patient.birthDate", "Patient.gender"]
    fine = await client.post("/fhir/Patient/$validate", json=patient("1"))
    assert [issue["severity"] for issue in fine.json()["issue"]] == ["information"]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": wrong}]}
    same = await client.post("/fhir/Patient/$validate", content=json.dumps(parameters), headers=FHIR)
    assert same.json()["issue"] == issues
    other = await client.post("/fhir/Observation/$validate", json=patient("1"))
    assert other.json()["issue"][0]["severity"] == "error"


async def test_validate_what_is_stored(ward: httpx.AsyncClient) -> None:
    assert (await found(ward, "/fhir/Patient/one/$validate"))["issue"][0]["severity"] == "information"
    says(await ward.get("/fhir/Patient/never/$validate"), 404, "not-found")
    mismatch = await ward.post("/fhir/Patient/one/$validate", json=patient("1", id="two"))
    assert mismatch.json()["issue"][0]["severity"] == "error"


async def put(client: httpx.AsyncClient, *resources: dict[str, Any]) -> None:
    for resource in resources:
        answer = await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.is_success, answer.text


async def test_an_operation_may_be_called_without_a_body(ward: httpx.AsyncClient) -> None:
    for path in ("Patient/one/$everything", "Encounter/e/$everything", "Patient/one/$validate", "Subscription/$status"):
        assert (await ward.post(f"/fhir/{path}")).status_code == 200
    says(await ward.post("/fhir/Patient/$validate"), 400, "invalid")
    says(await ward.post("/fhir/Patient/$match"), 400, "invalid")
    says(await ward.post("/fhir/Patient/one/$meta-add"), 400, "invalid")


async def test_an_operation_that_is_called_otherwise_says_how(ward: httpx.AsyncClient) -> None:
    for path, method, allowed in (
        ("Patient/$match", "GET", "POST"),
        ("Patient/$validate", "GET", "POST"),
        ("Patient/one/$meta-add", "GET", "POST"),
        ("Patient/one/$everything", "DELETE", "GET, HEAD, POST"),
    ):
        refused = await ward.request(method, f"/fhir/{path}")
        says(refused, 405, "not-supported")
        assert refused.headers["allow"] == allowed
    says(await ward.get("/fhir/Patient/$nothing"), 404, "not-found")


async def test_everything_brings_nobody_elses_record(ward: httpx.AsyncClient) -> None:
    """`one` is the mother of `two`, noted a result of the child, and bore it in the same stay."""
    await put(
        ward, patient("1", id="one", link=[{"other": {"reference": "Patient/two"}, "type": "seealso"}]),
        observation("y", "Patient/two", id="y", performer=[{"reference": "Patient/one"}]),
        observation("z", "Patient/two", id="z", encounter={"reference": "Encounter/e"}),
    )  # fmt: skip
    for path in ("Patient/one", "Encounter/e"):
        page = await found(ward, f"/fhir/{path}/$everything")
        everything = {*references(page, "match"), *references(page, "include")}
        assert everything.isdisjoint({"Patient/two", "Observation/x", "Observation/y", "Observation/z"})
        assert {"Patient/one", "Encounter/e", "Observation/a"} <= everything
    child = await found(ward, "/fhir/Patient/two/$everything")
    assert {"Observation/x", "Observation/y", "Observation/z"} <= set(references(child, "match"))
    assert "Patient/one" not in references(child, "include")


async def test_everything_with_who_and_what_it_names(ward: httpx.AsyncClient) -> None:
    await put(
        ward, {"resourceType": "Organization", "id": "org", "name": "县医院"},
        {"resourceType": "Binary", "id": "b", "contentType": "text/plain"},
        {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/d"},
         "organization": {"reference": "Organization/org"}},
        observation("a", "Patient/one", id="a", performer=[{"reference": "PractitionerRole/r"}]),
        {"resourceType": "Media", "id": "m", "status": "completed", "subject": {"reference": "Patient/one"},
         "content": {"url": "Binary/b"}, "createdDateTime": "2026-03-02"},
        {"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/one"},
         "birthDate": "1960-01-01"},
    )  # fmt: skip
    page = await found(ward, "/fhir/Patient/one/$everything?start=2026-01-01")
    assert {"PractitionerRole/r", "Practitioner/d", "Organization/org", "Binary/b"} <= set(references(page, "include"))
    assert "RelatedPerson/rp" in references(page, "match")
    only = await found(ward, "/fhir/Patient/one/$everything?_type=Practitioner&_type=Encounter")
    assert references(only, "match") == ["Encounter/e"]
    assert references(only, "include") == ["Practitioner/d"]
    says(await ward.get("/fhir/Patient/one/$everything?_type=Nothing"), 400, "invalid")


async def test_everything_of_everybody_is_that_of_each(ward: httpx.AsyncClient) -> None:
    patients = [f"Patient/{entry['resource']['id']}" for entry in (await found(ward, "/fhir/Patient"))["entry"]]
    each = [await found(ward, f"/fhir/{reference}/$everything") for reference in patients]
    page = await found(ward, "/fhir/Patient/$everything")
    assert len(patients) > 1
    assert sorted(references(page, "match")) == sorted(name for one in each for name in references(one, "match"))
    assert set(references(page, "include")) == {name for one in each for name in references(one, "include")}
    assert page["total"] == sum(one["total"] for one in each)
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Patient"}]}
    posted = await ward.post("/fhir/Patient/$everything", content=json.dumps(parameters), headers=FHIR)
    assert sorted(references(posted.json(), "match")) == sorted(patients)
    says(await ward.get("/fhir/Patient/$everything?colour=red"), 400, "invalid")
    says(await ward.get("/fhir/Encounter/$everything"), 404, "not-found")


@pytest.mark.parametrize(("count", "people"), [(2, 100), (3, 1), (100, 1)])
async def test_everything_of_everybody_comes_in_pages(
    ward: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, count: int, people: int
) -> None:
    whole = references(await found(ward, "/fhir/Patient/$everything"), "match")
    monkeypatch.setattr(across, "PEOPLE", people)
    address, seen, pages = f"/fhir/Patient/$everything?_count={count}", [], 0
    while address:
        page = await found(ward, address)
        assert len(references(page, "match")) <= count
        seen += references(page, "match")
        pages += 1
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert pages > 1
    assert seen == whole


async def test_everything_comes_at_once_unless_pages_are_asked_for(ward: httpx.AsyncClient) -> None:
    await put(ward, *(observation(f"m{number}", "Patient/one", id=f"m{number}") for number in range(60)))
    page = await found(ward, "/fhir/Patient/one/$everything")
    assert page["total"] == 66
    assert "next" not in [link["relation"] for link in page["link"]]


async def test_validate_by_mode_and_profile(ward: httpx.AsyncClient) -> None:
    base = "http://hl7.org/fhir/StructureDefinition"
    body = json.dumps(patient("1", id="one"))
    for query, status in (
        ("mode=create", 200), ("mode=update", 400), ("mode=delete", 400), ("mode=other", 400),
        (f"profile={base}/Patient", 200), (f"profile={base}/Patient|4.0.1", 200),
        ("profile=http://example.org/own", 422),
    ):  # fmt: skip
        answer = await ward.post(f"/fhir/Patient/$validate?{query}", content=body, headers=FHIR)
        assert answer.status_code == status, query
    fine = await ward.post("/fhir/Patient/one/$validate?mode=update", content=body, headers=FHIR)
    assert fine.json()["issue"][0]["severity"] == "information"
    other = await ward.post("/fhir/Patient/two/$validate?mode=update", content=body, headers=FHIR)
    assert other.json()["issue"][0]["severity"] == "error"
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "delete"}]}
    assert (await ward.post("/fhir/Patient/one/$validate", json=parameters)).status_code == 200
    assert (await ward.post("/fhir/Patient/never/$validate", json=parameters)).status_code == 404
    named = [{"name": "profile", "valueUri": "http://example.org/own"}, {"name": "resource", "resource": patient("1")}]
    sent = {"resourceType": "Parameters", "parameter": named}
    assert (await ward.post("/fhir/Patient/$validate", json=sent)).status_code == 422
    assert (await ward.get(f"/fhir/Patient/one/$validate?profile={base}/Patient")).status_code == 200
    assert (await ward.post("/fhir/Patient/$validate", json={**sent, "parameter": []})).status_code == 400


async def test_what_is_no_parameter_is_the_callers_mistake(ward: httpx.AsyncClient) -> None:
    for path in (
        *("Patient/one/$everything", "Patient/$validate", "$export", "$hl7v2", "Composition/$document"),
        *("Observation/$lastn", "Patient/one/$meta-add", "$process-message"),
    ):
        for parameter in (5, {"name": "x"}, [1], [{"name": 3, "valueString": {}}], [{"valueReference": {}}]):
            body = {"resourceType": "Parameters", "parameter": parameter}
            answer = await ward.post(f"/fhir/{path}", json=body, headers={"prefer": "respond-async"})
            assert answer.status_code < 500, (path, parameter)


async def test_an_error_about_what_xml_cannot_write_is_told_in_xml(client: httpx.AsyncClient) -> None:
    wrong = '{"resourceType": "Patient", "na\\u0005\\u0089me": false, "colour\\u0005": 1}'
    for address in ("/fhir/Patient", "/fhir/Patient/$validate"):
        headers = {"content-type": "application/fhir+json"}
        told = await client.post(f"{address}?_format=xml", content=wrong, headers=headers)
        assert told.status_code == 400, told.text
        assert told.headers["content-type"].startswith("application/fhir+xml")
        assert "<OperationOutcome" in told.text
