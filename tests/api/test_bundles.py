"""Batches and transactions over a real record: all or nothing, order, references between entries, answers."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest

from gateway.api.bundles import LARGE
from gateway.fhir import json, validate
from tests.api.conftest import BASE, Door, observation, patient
from tests.api.test_rest import found, says

LAB = "urn:hutong:id:LAB"
ONE, TWO = "urn:uuid:11111111-1111-4111-8111-111111111111", "urn:uuid:22222222-2222-4222-8222-222222222222"


def entry(
    method: str, url: str, resource: dict[str, Any] | None = None, full_url: str = "", **more: str
) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if resource:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


async def sent(client: httpx.AsyncClient, kind: str, *entries: dict[str, Any], **headers: str) -> httpx.Response:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await client.post(
        "/fhir", content=json.dumps(bundle), headers={"content-type": "application/fhir+json", **headers}
    )


async def answers(
    client: httpx.AsyncClient, kind: str, *entries: dict[str, Any], **headers: str
) -> list[dict[str, Any]]:
    answer = await sent(client, kind, *entries, **headers)
    assert answer.status_code == 200, answer.text
    bundle = json.loads(answer.content)
    validate.check_bundle(bundle)
    assert bundle["type"] == f"{kind}-response"
    made: list[dict[str, Any]] = bundle["entry"]
    return made


async def test_a_transaction_points_its_entries_at_each_other(door: Door, client: httpx.AsyncClient) -> None:
    result = observation("a", ONE)
    made = await answers(
        client, "transaction", entry("POST", "Observation", result, TWO), entry("POST", "Patient", patient("1"), ONE)
    )  # fmt: skip
    assert [each["response"]["status"] for each in made] == ["201 Created", "201 Created"]
    assert [each["response"]["etag"] for each in made] == ['W/"1"', 'W/"1"']
    assert not any("resource" in each for each in made)
    observed, person = (each["response"]["location"].partition("/_history")[0] for each in made)
    assert (await found(client, f"/fhir/{observed}"))["subject"] == {"reference": person}
    assert {each.transaction for each in door.changes} == {1}


async def test_relative_references_follow_a_restful_full_url(client: httpx.AsyncClient) -> None:
    made = await answers(
        client, "transaction",
        entry("POST", "Patient", patient("1"), "http://example.org/fhir/Patient/77"),
        entry("POST", "Observation", observation("a", "Patient/77"), "http://example.org/fhir/Observation/78"),
    )  # fmt: skip
    person, observed = (each["response"]["location"].partition("/_history")[0] for each in made)
    assert (await found(client, f"/fhir/{observed}"))["subject"] == {"reference": person}


async def test_links_and_images_of_a_narrative_follow_the_entries(client: httpx.AsyncClient) -> None:
    inside = f'<a class="x" href="{ONE}">{ONE}</a><img alt="" src=\'{ONE}\'/><a href="http://example.org/">y</a>'
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'
    told = {**observation("a", ONE), "text": {"status": "generated", "div": div}}
    made = await answers(
        client, "transaction", entry("POST", "Observation", told), entry("POST", "Patient", patient("1"), ONE)
    )
    observed, person = (each["response"]["location"].partition("/_history")[0] for each in made)
    stored = (await found(client, f"/fhir/{observed}"))["text"]["div"]
    assert stored == div.replace(f'"{ONE}"', f'"{person}"').replace(f"'{ONE}'", f"'{person}'")


async def test_a_transaction_is_all_or_nothing(door: Door, client: httpx.AsyncClient) -> None:
    for bad in (
        entry("PUT", "Patient/x", patient("2", id="x"), ifMatch='W/"3"'),
        entry("PATCH", "Patient/never", {"resourceType": "Parameters"}),
        entry("PUT", "Patient/x", patient("2", id="y")),
        entry("POST", "Observation", observation("a", TWO)),
        entry("POST", "Observation", observation("a", "Patient?identifier=nobody")),
        entry("GET", "Patient/never"),
        entry("POST", "Patient/x", patient("2")),
        entry("DELETE", "Patient"),
    ):
        refused = await sent(client, "transaction", entry("POST", "Patient", patient("1"), ONE), bad)
        assert 400 <= refused.status_code < 500, (bad, refused.text)
        assert refused.json()["resourceType"] == "OperationOutcome"
    assert (await found(client, "/fhir/Patient"))["total"] == 0
    assert not door.changes


async def test_what_comes_at_once_stands_and_falls_alone(door: Door, client: httpx.AsyncClient) -> None:
    same = entry("POST", "Patient", patient("0"), ONE, ifNoneExist=f"identifier={LAB}|0")
    nobody = entry("POST", "Observation", observation("a", "Patient?identifier=nobody"))

    def asked(number: int) -> list[dict[str, Any]]:
        own = entry("POST", "Patient", patient(str(number + 1)))
        result = entry("POST", "Observation", observation(str(number), ONE))
        return [same, own, result, *([nobody] if number % 3 else [])]

    answers = await asyncio.gather(*(sent(client, "transaction", *asked(number)) for number in range(16)))
    assert [answer.status_code for answer in answers] == [412 if number % 3 else 200 for number in range(16)]
    assert (await found(client, "/fhir/Patient"))["total"] == 1 + 6
    assert (await found(client, f"/fhir/Observation?patient.identifier={LAB}|0"))["total"] == 6
    assert len(door.changes) == 13


async def test_a_large_one_is_checked_too(client: httpx.AsyncClient) -> None:
    many = [entry("POST", "Patient", patient(f"{number}{'0' * 50}")) for number in range(LARGE // 100)]
    assert all(each["response"]["status"] == "201 Created" for each in await answers(client, "transaction", *many))
    says(
        await sent(client, "transaction", *many, entry("POST", "Patient", patient("x", gender="x"))),
        400,
        "code-invalid",
    )


async def test_the_order_of_methods_not_of_entries(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/old", json=patient("1", id="old"))
    made = await answers(
        client, "transaction",
        entry("GET", f"Patient?identifier={LAB}|1"),
        entry("PUT", "Patient/new", patient("1", id="new")),
        entry("DELETE", "Patient/old"),
    )  # fmt: skip
    assert [each["response"]["status"] for each in made] == ["200 OK", "201 Created", "204 No Content"]
    assert [each["resource"]["id"] for each in made[0]["resource"]["entry"]] == ["new"]


async def test_two_entries_about_the_same_resource_are_refused(client: httpx.AsyncClient) -> None:
    twice = [entry("PUT", "Patient/x", patient(number, id="x")) for number in "12"]
    text = says(await sent(client, "transaction", *twice), 400, "invalid")
    assert "the same Patient" in text


async def test_two_creates_of_one_condition_are_one(client: httpx.AsyncClient) -> None:
    condition = {"ifNoneExist": f"identifier={LAB}|1"}
    made = await answers(
        client, "transaction",
        entry("POST", "Patient", patient("1"), ONE, **condition),
        entry("POST", "Patient", patient("1"), TWO, **condition),
        entry("POST", "Observation", observation("a", TWO)),
    )  # fmt: skip
    assert [each["response"]["status"] for each in made] == ["201 Created", "200 OK", "201 Created"]
    assert made[0]["response"]["location"] == made[1]["response"]["location"]
    assert (await found(client, "/fhir/Patient"))["total"] == 1


async def test_a_conditional_reference_finds_what_is_stored(client: httpx.AsyncClient) -> None:
    person = (await client.post("/fhir/Patient", json=patient("1"))).json()
    reference = f"Patient?identifier={LAB}|1"
    (made,) = await answers(client, "transaction", entry("POST", "Observation", observation("a", reference)))
    stored = await found(client, f"/fhir/{made['response']['location'].partition('/_history')[0]}")
    assert stored["subject"] == {"reference": f"Patient/{person['id']}"}


async def test_each_entry_of_a_batch_stands_alone(door: Door, client: httpx.AsyncClient) -> None:
    made = await answers(
        client, "batch",
        entry("POST", "Patient", patient("1")),
        entry("POST", "Patient", patient("2", gender="m")),
        entry("GET", "Patient/never"),
        entry("PUT", "Patient/x", patient("3", id="x")),
        entry("GET", "Patient/x"),
        entry("SING", "Patient/x"),
        {"resource": patient("4")},
        entry("GET", f"Patient?identifier={LAB}|1&_elements=id"),
        entry("GET", "Patient?colour=red"),
    )  # fmt: skip
    statuses = [int(each["response"]["status"][:3]) for each in made]
    assert statuses == [201, 400, 404, 201, 200, 400, 400, 200, 400]
    assert made[1]["response"]["outcome"]["issue"][0]["expression"] == ["Patient.gender"]
    assert made[4]["resource"]["id"] == "x"
    assert made[4]["fullUrl"] == f"{BASE}/fhir/Patient/x"
    assert (await found(client, "/fhir/Patient"))["total"] == 2
    assert len(door.changes) == 2


async def test_the_resources_come_back_when_they_are_wanted(client: httpx.AsyncClient) -> None:
    (made,) = await answers(client, "batch", entry("POST", "Patient", patient("1")), prefer="return=representation")
    assert made["resource"]["name"] == patient("1")["name"]
    assert made["fullUrl"] == f"{BASE}/fhir/Patient/{made['resource']['id']}"


async def test_patches_in_bundles(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/x", json=patient("1", id="x"))
    operations = json.dumps([{"op": "add", "path": "/gender", "value": "male"}])
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(operations).decode(),
    }
    (made,) = await answers(client, "transaction", entry("PATCH", "Patient/x", binary))
    assert made["response"]["status"] == "200 OK"
    assert (await found(client, "/fhir/Patient/x"))["gender"] == "male"


async def test_reads_in_bundles(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/x", json=patient("1", id="x"))
    await client.put("/fhir/Patient/x", json=patient("1", id="x", gender="male"))
    await client.put("/fhir/Patient/y", json=patient("2", id="y"))
    await client.delete("/fhir/Patient/y")
    made = await answers(
        client, "batch",
        entry("GET", "Patient/x/_history/1"), entry("GET", "Patient/x/_history"),
        entry("GET", f"{BASE}/fhir/Patient/x"), entry("GET", "Patient/x", ifNoneMatch='W/"2"'),
        entry("GET", "Patient/y"), entry("GET", "Patient/x/else"),
    )  # fmt: skip
    assert [int(each["response"]["status"][:3]) for each in made] == [200, 200, 200, 304, 410, 404]
    assert made[1]["resource"]["total"] == 2


@pytest.mark.parametrize(
    ("bundle", "code"),
    [({"type": "searchset"}, "invalid"), ({"type": "transaction", "entry": [{}]}, "structure"), ({}, "invalid")],
)
async def test_what_is_no_request_is_refused(client: httpx.AsyncClient, bundle: dict[str, Any], code: str) -> None:
    headers = {"content-type": "application/fhir+json"}
    refused = await client.post("/fhir", content=json.dumps({"resourceType": "Bundle", **bundle}), headers=headers)
    says(refused, 400, code)


async def test_a_token_covers_only_its_types(door: Door, anyone: httpx.AsyncClient) -> None:
    anyone.headers["authorization"] = f"Bearer {door.token('system/Patient.cruds')}"
    entries = [entry("POST", "Patient", patient("1"), ONE), entry("POST", "Observation", observation("a", ONE))]
    says(await sent(anyone, "transaction", *entries), 403, "forbidden")
    made = await answers(anyone, "batch", entries[0], entry("GET", "Observation?status=final"))
    assert [each["response"]["status"][:3] for each in made] == ["201", "403"]


async def test_what_a_transaction_deletes_fulfils_no_condition_of_it(client: httpx.AsyncClient) -> None:
    old = (await client.post("/fhir/Patient", json=patient("1"))).json()["id"]
    gone, made = await answers(
        client, "transaction", entry("DELETE", f"Patient/{old}"),
        entry("POST", "Patient", patient("1"), ifNoneExist=f"identifier={LAB}|1"),
    )  # fmt: skip
    assert (gone["response"]["status"], made["response"]["status"]) == ("204 No Content", "201 Created")
    assert old not in made["response"]["location"]
    refused = await sent(
        client, "transaction", entry("DELETE", made["response"]["location"].partition("/_history")[0]),
        entry("POST", "Observation", observation("a", f"Patient?identifier={LAB}|1")),
    )  # fmt: skip
    assert refused.status_code == 412


async def test_a_batch_asks_for_whatever_has_an_address(client: httpx.AsyncClient) -> None:
    """R4 http.html#transaction: operations, the CapabilityStatement, compartments, searches by POST, histories."""
    (made,) = await answers(client, "batch", entry("POST", "Patient", patient("1")))
    person = made["response"]["location"].partition("/_history")[0]
    label = {"name": "meta", "valueMeta": {"tag": [{"system": "urn:t", "code": "a"}]}}
    asked = (
        entry("GET", "metadata"), entry("GET", f"{person}/$everything?_format=xml"),
        entry("POST", f"{person}/$meta-add", {"resourceType": "Parameters", "parameter": [label]}),
        entry("POST", f"Patient/_search?identifier={LAB}%7C1"), entry("GET", f"{person}/Observation?code=718-7"),
        entry("GET", "Patient/_history"), entry("GET", f"{BASE}/fhir/?_type=Patient"), entry("GET", "Patient/$nothing"),
        entry("GET", person),
    )  # fmt: skip
    made_of = await answers(client, "batch", *asked)
    kinds = [each.get("resource", each["response"].get("outcome", {}))["resourceType"] for each in made_of]
    assert kinds == ["CapabilityStatement", "Bundle", "Parameters", *["Bundle"] * 4, "OperationOutcome", "Patient"]
    assert [each["response"]["status"] for each in made_of] == [*["200 OK"] * 7, "404 Not Found", "200 OK"]
    assert [made_of[place]["resource"]["total"] for place in (3, 4, 6)] == [1, 0, 1]
    assert (await found(client, f"/fhir/{person}"))["meta"]["tag"] == label["valueMeta"]["tag"]
    refused = await sent(client, "batch", *[entry("GET", "metadata")] * 101)
    assert "send several Bundles" in says(refused, 400, "invalid")


async def test_a_batch_asks_other_addresses_with_its_own_token(door: Door, anyone: httpx.AsyncClient) -> None:
    anyone.headers["authorization"] = f"Bearer {door.token('system/Patient.rs')}"
    (made,) = await answers(anyone, "batch", entry("GET", "_history"))
    assert made["response"]["status"] == "403 Forbidden"


async def test_reads_in_bundles_are_conditional_and_cut(client: httpx.AsyncClient) -> None:
    (made,) = await answers(client, "batch", entry("POST", "Patient", patient("1", gender="male")))
    person = made["response"]["location"].partition("/_history")[0]
    old, fresh, cut = await answers(
        client, "batch", entry("GET", person, ifModifiedSince="2099-01-01T00:00:00Z"),
        entry("GET", person, ifModifiedSince="2001-01-01T00:00:00Z"), entry("GET", f"{person}?_elements=gender"),
    )  # fmt: skip
    assert [each["response"]["status"] for each in (old, fresh, cut)] == ["304 Not Modified", "200 OK", "200 OK"]
    assert cut["resource"].keys() == {"resourceType", "id", "meta", "gender"}
    (wrong,) = await answers(client, "batch", entry("GET", person, ifModifiedSince="yesterday"))
    assert wrong["response"]["status"] == "400 Bad Request"


async def test_outcomes_come_back_when_they_are_wanted(client: httpx.AsyncClient) -> None:
    (made,) = await answers(
        client, "transaction", entry("POST", "Patient", patient("1")), prefer="return=OperationOutcome"
    )
    assert made["response"]["outcome"]["issue"][0]["severity"] == "information"


async def test_any_version_is_there_or_not(client: httpx.AsyncClient) -> None:
    (made,) = await answers(client, "transaction", entry("PUT", "Patient/p", patient("1", id="p")))
    (again,) = await answers(client, "transaction", entry("PUT", "Patient/p", patient("2", id="p"), ifMatch="*"))
    assert (made["response"]["status"], again["response"]["status"]) == ("201 Created", "200 OK")
    refused = await sent(client, "transaction", entry("PUT", "Patient/q", patient("3", id="q"), ifMatch="*"))
    assert refused.status_code == 412
    refused = await sent(client, "transaction", entry("PUT", "Patient/p", patient("4", id="p"), ifNoneMatch="*"))
    assert refused.status_code == 412
    (fresh,) = await answers(client, "transaction", entry("PUT", "Patient/r", patient("5", id="r"), ifNoneMatch="*"))
    assert fresh["response"]["status"] == "201 Created"


async def test_head_in_a_bundle_brings_no_body(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/x", json=patient("1", id="x"))
    (made,) = await answers(client, "batch", entry("HEAD", "Patient/x"))
    assert (made["response"]["etag"], "resource" in made) == ('W/"1"', False)


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_history_in_a_bundle_hears_what_it_is_asked(client: httpx.AsyncClient, kind: str) -> None:
    for gender in ("male", "female"):
        await client.put("/fhir/Patient/mine", json={"resourceType": "Patient", "id": "mine", "gender": gender})
    (made,) = await answers(client, kind, entry("GET", "Patient/mine/_history?_count=1&_format=json&_elements=active"))
    page = made["resource"]
    assert (page["total"], len(page["entry"])) == (2, 1)
    assert "gender" not in page["entry"][0]["resource"]
    assert "next" in [link["relation"] for link in page["link"]]


async def test_a_history_of_what_never_was_is_told_in_a_batch(client: httpx.AsyncClient) -> None:
    never, wrong = await answers(
        client, "batch", entry("GET", "Patient/never/_history"), entry("GET", "Patient/x/_history?name=a")
    )
    assert (never["response"]["status"][:3], wrong["response"]["status"][:3]) == ("404", "400")


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_bundle_that_asks_for_nothing_is_answered(client: httpx.AsyncClient, kind: str) -> None:
    for nothing in ({}, {"entry": []}):
        answer = await client.post("/fhir", json={"resourceType": "Bundle", "type": kind, **nothing})
        assert (answer.status_code, answer.json()["type"]) == (200, f"{kind}-response")
