"""FHIR REST writes over a real record: create, update, patch, delete, conditions, versions, formats, errors."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.fhir import json, xml
from tests.api.conftest import BASE, Door, observation, patient
from tests.api.test_rest import found, says

JSON_PATCH = {"content-type": "application/json-patch+json"}
LAB = "urn:hutong:id:LAB"


async def created(client: httpx.AsyncClient, number: str = "1", **more: Any) -> dict[str, Any]:
    answer = await client.post("/fhir/Patient", json=patient(number, **more))
    assert answer.status_code == 201, answer.text
    resource: dict[str, Any] = json.loads(answer.content)
    return resource


async def test_create_gives_an_id_a_version_and_a_location(door: Door, client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/fhir/Patient", json=patient("1", id="mine", meta={"versionId": "7", "tag": [{"code": "t"}]})
    )
    resource = answer.json()
    assert answer.status_code == 201
    assert resource["id"] != "mine"
    assert (resource["meta"]["versionId"], resource["meta"]["tag"]) == ("1", [{"code": "t"}])
    assert answer.headers["location"] == f"{BASE}/fhir/Patient/{resource['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert await found(client, f"/fhir/Patient/{resource['id']}") == resource
    assert [(each.type, each.interaction) for each in door.changes] == [("Patient", "create")]


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [("return=minimal", ""), ("return=OperationOutcome", "OperationOutcome"), ("return=representation", "Patient")],
)
async def test_prefer_says_what_comes_back(client: httpx.AsyncClient, prefer: str, kind: str) -> None:
    answer = await client.post("/fhir/Patient", json=patient("1"), headers={"prefer": prefer})
    assert answer.status_code == 201
    assert (answer.json()["resourceType"] if answer.content else "") == kind
    assert "location" in answer.headers


async def test_xml_goes_in_and_out(client: httpx.AsyncClient) -> None:
    body = xml.to_xml(patient("1"))
    headers = {"content-type": "application/fhir+xml", "accept": "application/fhir+xml"}
    answer = await client.post("/fhir/Patient", content=body, headers=headers)
    assert answer.status_code == 201
    assert xml.from_xml(answer.content)["name"] == patient("1")["name"]


async def test_what_is_no_valid_resource_is_refused_with_its_place(client: httpx.AsyncClient) -> None:
    for body, status in (
        (b"{", 400),
        (b"[]", 400),
        (json.dumps({"resourceType": "Observation"}), 400),
        (json.dumps(patient("1", gender="m")), 400),
        (json.dumps(patient("1", colour="red")), 400),
    ):
        answer = await client.post("/fhir/Patient", content=body, headers={"content-type": "application/fhir+json"})
        assert answer.status_code == status, answer.text
        assert answer.json()["resourceType"] == "OperationOutcome"
    wrong = await client.post("/fhir/Patient", json=patient("1", gender="m"))
    assert wrong.json()["issue"][0]["expression"] == ["Patient.gender"]
    text = await client.post("/fhir/Patient", content=b"x", headers={"content-type": "text/csv"})
    says(text, 415, "not-supported")
    says(await client.post("/fhir/Nothing", json=patient("1")), 404, "not-found")


async def test_update_replaces_the_whole_resource(door: Door, client: httpx.AsyncClient) -> None:
    before = await created(client, birthDate="1990-01-01")
    address = f"/fhir/Patient/{before['id']}"
    del before["birthDate"]
    answer = await client.put(address, json={**before, "gender": "male"})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    now = await found(client, address)
    assert ("birthDate" in now, now["gender"]) == (False, "male")
    same = await client.put(address, json=now)
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"2"')  # nothing new: no new version
    assert len(door.changes) == 2
    says(await client.put(address, json=patient("1")), 400, "invalid")  # no id
    says(await client.put(address, json=patient("1", id="other")), 400, "invalid")
    says(await client.put("/fhir/Patient/a_b", json=patient("1", id="a_b")), 400, "invalid")


async def test_update_makes_what_is_not_there_under_the_given_id(client: httpx.AsyncClient) -> None:
    answer = await client.put("/fhir/Patient/mine", json=patient("1", id="mine"))
    assert (answer.status_code, answer.headers["location"]) == (201, f"{BASE}/fhir/Patient/mine/_history/1")


async def test_two_who_update_the_same_version(client: httpx.AsyncClient) -> None:
    before = await created(client)
    address = f"/fhir/Patient/{before['id']}"
    first = await client.put(address, json={**before, "gender": "male"}, headers={"if-match": 'W/"1"'})
    second = await client.put(address, json={**before, "gender": "female"}, headers={"if-match": 'W/"1"'})
    assert first.status_code == 200
    says(second, 412, "conflict")
    assert (await found(client, address))["gender"] == "male"
    says(await client.put("/fhir/Patient/x", json=patient("1", id="x"), headers={"if-match": 'W/"1"'}), 412, "conflict")
    only_new = await client.put(address, json={**before, "gender": "other"}, headers={"if-none-match": "*"})
    says(only_new, 412, "conflict")


async def test_delete_and_come_back(client: httpx.AsyncClient) -> None:
    before = await created(client)
    address = f"/fhir/Patient/{before['id']}"
    assert (await client.delete(address)).status_code == 204
    gone = await client.get(address)
    says(gone, 410, "deleted")
    assert (await client.delete(address)).status_code == 204  # gone already
    assert (await client.delete("/fhir/Patient/never")).status_code == 204
    back = await client.put(address, json=patient("1", id=before["id"]))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    history = await found(client, f"{address}/_history")
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "DELETE", "POST"]


async def test_conditional_create(client: httpx.AsyncClient) -> None:
    condition = {"if-none-exist": f"identifier={LAB}|1"}
    first = await client.post("/fhir/Patient", json=patient("1"), headers=condition)
    second = await client.post("/fhir/Patient", json=patient("1", gender="male"), headers=condition)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()  # what is there stays
    assert second.headers["location"] == first.headers["location"]
    third = await client.post(f"/fhir/Patient?identifier={LAB}|1&_format=json", json=patient("1"))
    assert (third.status_code, third.json()) == (200, first.json())
    await client.post("/fhir/Patient", json=patient("1"))
    says(await client.post("/fhir/Patient", json=patient("1"), headers=condition), 412, "conflict")
    unknown = await client.post("/fhir/Patient", json=patient("1"), headers={"if-none-exist": "colour=red"})
    says(unknown, 400, "invalid")


async def test_conditional_update(client: httpx.AsyncClient) -> None:
    address = f"/fhir/Patient?identifier={LAB}|1"
    first = await client.put(address, json=patient("1"))
    second = await client.put(address, json=patient("1", gender="male"))
    assert (first.status_code, second.status_code, second.headers["etag"]) == (201, 200, 'W/"2"')
    assert second.json()["id"] == first.json()["id"]
    says(await client.put(address, json=patient("1", id="other")), 400, "invalid")
    mine = await client.put(f"/fhir/Patient?identifier={LAB}|2", json=patient("2", id="mine"))
    assert (mine.status_code, mine.json()["id"]) == (201, "mine")
    another = await client.put(f"/fhir/Patient?identifier={LAB}|3", json=patient("3", id="mine"))
    says(another, 412, "conflict")  # nobody is written over by somebody else
    assert (await client.get("/fhir/Patient/mine")).json() == mine.json()
    await client.post("/fhir/Patient", json=patient("1"))
    says(await client.put(address, json=patient("1")), 412, "conflict")
    says(await client.put("/fhir/Patient", json=patient("1")), 400, "invalid")


async def test_conditional_delete(client: httpx.AsyncClient) -> None:
    await created(client, "1")
    await created(client, "2")
    says(await client.delete("/fhir/Patient?name=张三"), 412, "conflict")
    assert (await client.delete(f"/fhir/Patient?identifier={LAB}|1")).status_code == 204
    assert (await client.delete(f"/fhir/Patient?identifier={LAB}|1")).status_code == 204
    left = await found(client, "/fhir/Patient")
    assert [entry["resource"]["identifier"][0]["value"] for entry in left["entry"]] == ["2"]
    for nothing in ("", "?_count=1", "?_elements=id", "?_foo=1", "?identifier="):
        says(await client.delete(f"/fhir/Patient{nothing}"), 400, "invalid")


async def test_json_patch(client: httpx.AsyncClient) -> None:
    before = await created(client, birthDate="1990-01-01")
    address = f"/fhir/Patient/{before['id']}"
    operations = [
        {"op": "replace", "path": "/birthDate", "value": "1991-01-01"},
        {"op": "add", "path": "/gender", "value": "male"},
    ]
    answer = await client.patch(address, content=json.dumps(operations), headers=JSON_PATCH)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert (answer.json()["birthDate"], answer.json()["gender"]) == ("1991-01-01", "male")
    for wrong in (
        [{"op": "test", "path": "/gender", "value": "female"}],
        [{"op": "replace", "path": "/nothing/there", "value": 1}],
        [{"op": "replace", "path": "/gender", "value": "m"}],
        [{"op": "replace", "path": "/id", "value": "other"}],
        [{"op": "sing", "path": "/id"}],
        {"op": "replace"},
    ):
        refused = await client.patch(address, content=json.dumps(wrong), headers=JSON_PATCH)
        assert refused.status_code == 400, refused.text
    stale = await client.patch(address, content=json.dumps(operations), headers={**JSON_PATCH, "if-match": 'W/"1"'})
    says(stale, 412, "conflict")
    says(
        await client.patch("/fhir/Patient/never", content=json.dumps(operations), headers=JSON_PATCH), 404, "not-found"
    )


async def test_merge_patch_also_as_plain_json(client: httpx.AsyncClient) -> None:
    before = await created(client, birthDate="1990-01-01")
    address = f"/fhir/Patient/{before['id']}"
    answer = await client.patch(address, json={"birthDate": None, "gender": "male"})
    assert ("birthDate" in answer.json(), answer.json()["gender"]) == (False, "male")


async def test_fhirpath_patch_by_condition(client: httpx.AsyncClient) -> None:
    await created(client, birthDate="1990-01-01")
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.birthDate"},
        {"name": "value", "valueDate": "1991-01-01"},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    headers = {"content-type": "application/fhir+json"}
    address = f"/fhir/Patient?identifier={LAB}|"
    answer = await client.patch(f"{address}1", content=json.dumps(parameters), headers=headers)
    assert (answer.status_code, answer.json()["birthDate"]) == (200, "1991-01-01")
    says(await client.patch(f"{address}9", content=json.dumps(parameters), headers=headers), 404, "not-found")


async def test_a_token_that_may_only_read_writes_nothing(door: Door, anyone: httpx.AsyncClient) -> None:
    anyone.headers["authorization"] = f"Bearer {door.token('system/*.read')}"
    says(await anyone.post("/fhir/Patient", json=patient("1")), 403, "forbidden")
    says(await anyone.put("/fhir/Patient/x", json=patient("1", id="x")), 403, "forbidden")
    says(await anyone.delete("/fhir/Patient/x"), 403, "forbidden")
    assert not door.changes


async def test_sixteen_who_create_the_same_make_one(client: httpx.AsyncClient) -> None:
    condition = {"if-none-exist": f"identifier={LAB}|1"}
    answers = await asyncio.gather(
        *(client.post("/fhir/Patient", json=patient("1"), headers=condition) for _ in range(16))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_body_past_the_limit_is_refused(door: Door, client: httpx.AsyncClient) -> None:
    door.services.resource_limit = 1000
    says(await client.post("/fhir/Patient", json=patient("1" * 2000)), 413, "too-long")


async def test_a_binary_is_what_it_holds(client: httpx.AsyncClient) -> None:
    pdf = {"content-type": "application/pdf", "x-security-context": "Patient/1"}
    made = await client.post("/fhir/Binary", content=b"%PDF \xff", headers=pdf)
    assert (made.status_code, made.json()["securityContext"]) == (201, {"reference": "Patient/1"})
    address = f"/fhir/Binary/{made.json()['id']}"
    content = await client.get(address)
    assert (content.content, content.headers["content-type"]) == (b"%PDF \xff", "application/pdf")
    assert content.headers["content-disposition"] == "attachment"
    for headers in ({"accept": "application/fhir+json"}, {"accept": "application/fhir+xml"}):
        assert b"application/pdf" in (await client.get(address, headers=headers)).content
    assert (await client.get(f"{address}?_format=json")).json()["resourceType"] == "Binary"
    changed = await client.put(address, content=b"text", headers={"content-type": "text/plain"})
    assert (changed.status_code, (await client.get(address)).content) == (200, b"text")
    resource = {"resourceType": "Binary", "contentType": "x\r\ny: z", "data": "QQ=="}
    odd = await client.post("/fhir/Binary", json=resource)
    says(odd, 400, "value")  # a line of a header is no media type


async def test_every_problem_is_told_at_once_with_its_place(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/Patient", json={"resourceType": "Patient", "gender": "x", "foo": 1, "active": 1})
    issues = answer.json()["issue"]
    assert answer.status_code == 400
    assert [each["expression"] for each in issues] == [["Patient.gender"], ["Patient.foo"], ["Patient.active"]]
    assert [each["code"] for each in issues] == ["code-invalid", "structure", "value"]
    assert all(each["diagnostics"] for each in issues)
    answer = await client.post("/fhir/Observation", json={"resourceType": "Observation", "code": {"text": "x"}})
    says(answer, 400, "required")
    answer = await client.post("/fhir/Patient", json={"resourceType": "Patient", "contact": [{"gender": "male"}]})
    says(answer, 400, "invariant")  # pat-1


async def test_if_match_of_any_version_wants_one_to_be_there(client: httpx.AsyncClient) -> None:
    """RFC 9110 §13.1.1."""
    person = await created(client)
    address, headers = f"/fhir/Patient/{person['id']}", {"if-match": "*"}
    assert (await client.put(address, json={**person, "gender": "male"}, headers=headers)).status_code == 200
    assert (await client.put("/fhir/Patient/new", json=patient("2", id="new"), headers=headers)).status_code == 412
    assert (await client.get("/fhir/Patient/new")).status_code == 404


@pytest.mark.parametrize(("version", "status"), [("4.0", 201), ("3.0", 415), ("5.0", 415)])
async def test_another_version_of_fhir_is_not_taken_for_this_one(
    client: httpx.AsyncClient, version: str, status: int
) -> None:
    """R4 http.html#version-parameter."""
    kind = f"application/fhir+json; fhirVersion={version}"
    answer = await client.post("/fhir/Patient", content=json.dumps(patient("1")), headers={"content-type": kind})
    assert answer.status_code == status
    assert (await client.get("/fhir/Patient", headers={"accept": kind})).status_code == (
        200 if version == "4.0" else 406
    )


async def test_a_name_that_stands_twice_in_an_object_is_refused_with_its_place(client: httpx.AsyncClient) -> None:
    body = '{"resourceType":"Patient","name":[{"text":"甲","text":"乙"}]}'
    answer = await client.post("/fhir/Patient", content=body, headers={"content-type": "application/fhir+json"})
    assert answer.status_code == 400
    assert "name[0].text" in answer.text
    assert "甲" not in answer.text


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"deceasedBoolean": True, "deceasedDateTime": "2026"}, "Patient.deceased"),
        ({"contained": [{"resourceType": "Organization", "id": "o", "name": "x"}]}, "Patient"),
    ],
)
async def test_an_outcome_names_the_place_of_choices_and_of_rules_of_the_whole(
    client: httpx.AsyncClient, wrong: dict[str, Any], place: str
) -> None:
    answer = await client.post("/fhir/Patient", json=patient("1", **wrong))
    assert (answer.status_code, answer.json()["issue"][0].get("expression")) == (400, [place])


async def test_references_with_the_address_of_this_service_are_those_without(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/one", json=patient("1", id="one"))
    whole = f"{BASE}/fhir/Patient/one"
    for key, subject in (("a", whole), ("b", f"{whole}/_history/1"), ("c", "http://other.test/fhir/Patient/one")):
        await client.put(f"/fhir/Observation/{key}", json=observation(key, subject, id=key))
    await client.patch("/fhir/Observation/c", json={"specimen": {"reference": f"{BASE}/fhir/Specimen/s"}})
    kind = {"resourceType": "Bundle", "type": "transaction"}
    requests = [{"resource": observation("d", whole, id="d"), "request": {"method": "PUT", "url": "Observation/d"}}]
    assert (await client.post("/fhir", json={**kind, "entry": requests})).status_code == 200
    page = await found(client, "/fhir/Observation?_sort=_id")
    told = {entry["resource"]["id"]: entry["resource"]["subject"]["reference"] for entry in page["entry"]}
    assert told == {
        "a": "Patient/one", "b": "Patient/one/_history/1", "c": "http://other.test/fhir/Patient/one", "d": "Patient/one"
    }  # fmt: skip
    assert page["entry"][2]["resource"]["specimen"] == {"reference": "Specimen/s"}
    for asked in ("patient=one", f"subject={whole}", "patient.identifier=1"):
        assert (await found(client, f"/fhir/Observation?{asked}"))["total"] == 3, asked


async def test_references_of_a_bundle_that_is_kept_meet_its_entries(client: httpx.AsyncClient) -> None:
    whole = f"{BASE}/fhir/Patient/one"
    entries = [{"fullUrl": whole, "resource": patient("1", id="one")}, {"resource": observation("a", whole)}]
    kept = await client.post("/fhir/Bundle", json={"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert kept.json()["entry"][1]["resource"]["subject"] == {"reference": whole}
