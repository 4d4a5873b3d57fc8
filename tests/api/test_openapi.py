"""The OpenAPI description says what the routes do."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest

from gateway.fhir import definitions, json_schema, validate


async def described(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/openapi.json{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_every_address_is_described_once(client: httpx.AsyncClient) -> None:
    document = await described(client)
    paths = document["paths"]
    assert {"get", "put", "patch", "delete"} <= paths["/fhir/{type}/{id}"].keys()
    assert {"get", "post"} <= paths["/fhir/{type}"].keys()
    assert "/operations/status" in paths
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(names) == len(set(names))
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            in_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert in_path == {part.strip("{}") for part in path.split("/") if part.startswith("{")}


async def test_a_type_is_described_with_its_search_parameters_and_its_schema(client: httpx.AsyncClient) -> None:
    document = await described(client, "?type=Patient,Task")
    asked = {each["name"] for each in document["paths"]["/fhir/Patient"]["get"]["parameters"]}
    assert {"birthdate", "identifier", "general-practitioner", "_include"} <= asked
    assert "birthdate" not in {each["name"] for each in document["paths"]["/fhir/Task"]["get"]["parameters"]}
    assert document["components"]["schemas"]["Patient"]["properties"]["gender"]["enum"] == [
        *("female", "male", "other", "unknown")
    ]
    used = str(document).split("'#/components/schemas/")[1:]
    assert {each.partition("'")[0] for each in used} <= document["components"]["schemas"].keys()


async def test_unknown_types_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json?type=Patience")
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_a_wrong_method_is_told_all_that_an_address_serves(client: httpx.AsyncClient) -> None:
    answer = await client.request("PUT", "/fhir")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    answer = await client.request("DELETE", "/fhir/Patient/1/_history")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("resource", "right"),
    [
        ({"resourceType": "Patient", "name": [{"text": "张三", "given": ["三"]}], "birthDate": "1980-02"}, True),
        ({"resourceType": "Patient", "birthDate": "1980-02-01", "_birthDate": {"id": "a"}}, True),
        ({"resourceType": "Patient", "deceasedBoolean": False, "link": []}, False),
        ({"resourceType": "Patient", "birthDate": "80-2-1"}, False),
        ({"resourceType": "Patient", "gender": "m"}, False),
        ({"resourceType": "Patient", "surname": "张"}, False),
        ({"resourceType": "Patient", "contact": [{"gender": "x"}]}, False),
        ({"resourceType": "Patient", "multipleBirthInteger": 1.5}, False),
    ],
)
def test_the_schema_agrees_with_the_validator(resource: dict[str, Any], right: bool) -> None:
    found = json_schema.schemas(["Patient"], at="#/$defs/")
    schema = {"$defs": found, "$ref": "#/$defs/Patient"}
    assert (not list(jsonschema.Draft202012Validator(schema).iter_errors(resource))) is right
    assert (not validate.problems(resource)) is right


def test_every_type_has_a_schema() -> None:
    found = json_schema.schemas(sorted(definitions.resource_types()), at="#/$defs/")
    assert definitions.resource_types() <= found.keys()
    for name in ("Task", "Timing.repeat", "HumanName", "Element", "Extension"):
        jsonschema.Draft202012Validator.check_schema(found[name])
