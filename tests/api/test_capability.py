"""The CapabilityStatement against what the door does: everything it states works, what it does not state is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.routing import Route

from gateway.api.door import create
from gateway.fhir import searchparameters, validate
from tests.api.conftest import Door

VALUES = {
    "token": "http://loinc.org|718-7",
    "string": "张",
    "date": "ge2026-01",
    "reference": "Patient/1",
    "quantity": "lt5.4|http://unitsofmeasure.org|mg",
    "number": "0.8",
    "uri": "http://example.org/a",
}
OWN_VALUES = {"_lastUpdated": "ge2026-01-01", "_id": "1", "local-field": "ZLB-1|2H"}
INTERACTIONS = {
    "create": ("POST", "{type}", 201),
    "read": ("GET", "{type}/{id}", 200),
    "vread": ("GET", "{type}/{id}/_history/1", 200),
    "update": ("PUT", "{type}/{id}", 200),
    "history-instance": ("GET", "{type}/{id}/_history", 200),
    "history-type": ("GET", "{type}/_history", 200),
    "search-type": ("GET", "{type}", 200),
    "patch": ("PATCH", "{type}/{id}", 200),
    "delete": ("DELETE", "{type}/{id}", 204),
}  # in an order that works
SAMPLES: tuple[dict[str, Any], ...] = (
    {"resourceType": "Patient", "active": True},
    {"resourceType": "Basic", "code": {"text": "一"}},
    {"resourceType": "Task", "status": "requested", "intent": "order"},
)


@pytest.fixture
async def statement(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/fhir/metadata")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def resource_of(statement: dict[str, Any], type: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in statement["rest"][0]["resource"] if each["type"] == type)
    return found


async def test_it_is_valid(statement: dict[str, Any]) -> None:
    assert validate.problems(statement) == []


def value_of(type: str, parameter: dict[str, str]) -> str:
    """A value of its kind; of a composite one of each of its halves."""
    known = searchparameters.parameters(type).get(parameter["name"])
    halves = [VALUES[kind] for _, kind in known.components] if known is not None else []
    return "$".join(halves) or VALUES[parameter["type"]]


async def test_every_search_parameter_that_it_names_is_searched(statement: dict[str, Any], door: Door) -> None:
    record = door.services.record
    asked = 0
    for resource in statement["rest"][0]["resource"]:
        for each in resource["searchParam"]:
            value = OWN_VALUES.get(each["name"]) or value_of(resource["type"], each)
            record.search(resource["type"], [(each["name"], value)])
            asked += 1
    assert asked > 2000


async def test_every_include_that_it_names_is_taken(statement: dict[str, Any], door: Door) -> None:
    record = door.services.record
    for resource in statement["rest"][0]["resource"]:
        for value in resource.get("searchInclude", ()):
            record.search(resource["type"], [("_include", value)])
        for value in resource.get("searchRevInclude", ()):
            record.search(resource["type"], [("_revinclude", value)])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["resourceType"])
async def test_every_interaction_that_it_names_works(
    statement: dict[str, Any], client: httpx.AsyncClient, sample: dict[str, Any]
) -> None:
    kind = sample["resourceType"]
    stated = {each["code"] for each in resource_of(statement, kind)["interaction"]}
    assert stated == set(INTERACTIONS)
    key = ""
    for code, (method, path, status) in INTERACTIONS.items():
        headers, body = {}, None
        if method in ("POST", "PUT"):
            body = sample | ({"id": key, "language": "zh"} if key else {})
        elif method == "PATCH":
            body, headers = (
                [{"op": "add", "path": "/language", "value": "en"}],
                {"content-type": "application/json-patch+json"},
            )
        answer = await client.request(method, f"/fhir/{path.format(type=kind, id=key)}", json=body, headers=headers)
        assert answer.status_code == status, (code, answer.text)
        key = key or answer.json()["id"]


async def test_conditions_are_taken_as_it_says(statement: dict[str, Any], client: httpx.AsyncClient) -> None:
    stated = resource_of(statement, "Patient")
    assert stated["conditionalCreate"] is stated["conditionalUpdate"] is True
    assert stated["conditionalDelete"] == "single"
    assert stated["updateCreate"] is True
    assert stated["versioning"] == "versioned-update"
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:a", "value": "1"}]}
    twice = [
        await client.post("/fhir/Patient", json=patient, headers={"if-none-exist": "identifier=urn:a|1"})
        for _ in range(2)
    ]
    assert [each.status_code for each in twice] == [201, 200]
    changed = await client.put("/fhir/Patient?identifier=urn:a|1", json={**patient, "active": True})
    assert changed.status_code == 200
    stale = await client.put(
        f"/fhir/Patient/{changed.json()['id']}", json=changed.json(), headers={"if-match": 'W/"1"'}
    )
    assert stale.status_code == 412
    assert (await client.put("/fhir/Patient/own", json={"resourceType": "Patient", "id": "own"})).status_code == 201
    for header, value in (
        ("if-none-match", changed.headers["etag"]),
        ("if-modified-since", changed.headers["last-modified"]),
    ):
        read = await client.get(f"/fhir/Patient/{changed.json()['id']}", headers={header: value})
        assert read.status_code == 304  # conditionalRead: full-support
    assert (await client.delete("/fhir/Patient?identifier=urn:a|1")).status_code == 204


async def test_every_operation_that_it_names_has_an_address(statement: dict[str, Any], door: Door) -> None:
    served = {
        route.path.rpartition("/")[2].removeprefix("$")
        for route in create(door.services).routes
        if isinstance(route, Route) and "$" in route.path
    }
    rest = statement["rest"][0]
    named = {each["name"] for each in rest.get("operation", ())} | {
        each["name"] for resource in rest["resource"] for each in resource.get("operation", ())
    }
    assert named <= served
    assert all(each["definition"].startswith("http") for each in rest.get("operation", ()))


async def test_what_it_does_not_name_is_refused(statement: dict[str, Any], client: httpx.AsyncClient) -> None:
    names = {each["name"] for each in resource_of(statement, "Patient")["searchParam"]}
    assert "accession" not in names
    strict = {"prefer": "handling=strict"}
    assert (await client.get("/fhir/Patient?accession=1", headers=strict)).status_code == 400
    assert (await client.get("/fhir/Nothing")).status_code == 404
    assert (await client.get("/fhir/Patient/$nothing")).status_code in (400, 404)


async def test_formats_that_it_names_are_spoken(statement: dict[str, Any], client: httpx.AsyncClient) -> None:
    for kind in statement["format"]:
        answer = await client.get("/fhir/Patient", headers={"accept": kind})
        assert answer.headers["content-type"].startswith(kind)
    assert (await client.get("/fhir/Patient", headers={"accept": "application/pdf"})).status_code == 406
