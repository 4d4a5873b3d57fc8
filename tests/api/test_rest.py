"""FHIR REST over a real record: read, versions, history, search, formats, errors."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.fhir import bundle, json, validate
from tests.api.conftest import BASE, Door, observation, patient


def url(kind: str, number: str) -> str:
    return bundle.full_url(kind, number)


@pytest.fixture
def filled(door: Door) -> Door:
    """Two patients, three results of the first, one of them changed once."""
    door.store(patient("1", birthDate="1990-03-05"), observation("a", url("Patient", "1")))
    door.store(patient("2"))
    for number in ("b", "c"):
        door.store(patient("1"), observation(number, url("Patient", "1"), valueQuantity={"value": 5, "unit": "g"}))
    door.store(patient("1"), observation("a", url("Patient", "1"), status="corrected"))
    return door


async def found(client: httpx.AsyncClient, address: str, **headers: str) -> dict[str, Any]:
    answer = await client.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    resource: dict[str, Any] = json.loads(answer.content)
    return resource


async def one(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    page = await found(client, address)
    assert len(page["entry"]) == 1, page
    resource: dict[str, Any] = page["entry"][0]["resource"]
    return resource


def says(answer: httpx.Response, status: int, code: str) -> str:
    """The text of an OperationOutcome."""
    assert answer.status_code == status, answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    (issue,) = outcome["issue"]
    assert (issue["severity"], issue["code"]) == ("error", code)
    return str(issue["diagnostics"])


async def test_read_gives_the_stored_bytes_with_version_and_time(filled: Door, client: httpx.AsyncClient) -> None:
    resource = await one(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a")
    answer = await client.get(f"/fhir/Observation/{resource['id']}")
    stored = filled.services.record.read("Observation", resource["id"])
    assert stored
    assert answer.content == stored.body
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["last-modified"] == "Thu, 05 Mar 2026 02:05:00 GMT"
    head = await client.head(f"/fhir/Observation/{resource['id']}")
    assert (head.status_code, head.headers["etag"]) == (200, 'W/"2"')


@pytest.mark.parametrize(("tag", "status"), [('W/"2"', 304), ('W/"1", W/"2"', 304), ("*", 304), ('W/"1"', 200)])
async def test_if_none_match(filled: Door, client: httpx.AsyncClient, tag: str, status: int) -> None:
    resource = await one(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a")
    answer = await client.get(f"/fhir/Observation/{resource['id']}", headers={"if-none-match": tag})
    assert answer.status_code == status
    assert answer.headers["etag"] == 'W/"2"'
    assert bool(answer.content) is (status == 200)


async def test_versions_and_history(filled: Door, client: httpx.AsyncClient) -> None:
    resource = await one(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a")
    address = f"/fhir/Observation/{resource['id']}"
    assert (await found(client, f"{address}/_history/1"))["status"] == "final"
    assert (await found(client, f"{address}/_history/2"))["status"] == "corrected"
    for wrong in ("3", "x", "99999999999"):
        says(await client.get(f"{address}/_history/{wrong}"), 404, "not-found")
    history = await found(client, f"{address}/_history")
    validate.check_bundle(history)
    assert (history["type"], history["total"]) == ("history", 2)
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "POST"]
    assert [entry["response"]["etag"] for entry in history["entry"]] == ['W/"2"', 'W/"1"']
    assert history["entry"][0]["fullUrl"] == f"{BASE}{address}"
    assert history["link"][0]["url"] == f"{BASE}{address}/_history"


async def test_the_history_of_a_type_has_pages(filled: Door, client: httpx.AsyncClient) -> None:
    address, versions = "/fhir/Observation/_history?_count=3", []
    while address:
        page = await found(client, address)
        versions += [entry["resource"]["meta"]["versionId"] for entry in page["entry"]]
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert versions == ["2", "1", "1", "1"]
    since = await found(client, "/fhir/Observation/_history?_since=2026-03-05T10:03:00%2B08:00")
    assert [entry["resource"]["meta"]["versionId"] for entry in since["entry"]] == ["2", "1", "1"]
    assert since["total"] == len(since["entry"])
    assert (await found(client, "/fhir/Observation/_history?_since=2030"))["total"] == 0
    assert "total" not in await found(client, "/fhir/Observation/_history?_count=3")
    says(await client.get("/fhir/Observation/_history?_since=yesterday"), 400, "invalid")
    says(await client.get("/fhir/Observation/_history?_at=noon"), 400, "invalid")
    says(await client.get("/fhir/Observation/_history?_at=ap2026"), 400, "invalid")
    says(await client.get("/fhir/Observation/_history?_count=-1"), 400, "invalid")
    says(await client.get("/fhir/Observation/_history?_cursor=x"), 400, "invalid")


async def test_the_history_of_everything_and_of_one_have_pages(filled: Door, client: httpx.AsyncClient) -> None:
    person = await one(client, "/fhir/Patient?identifier=urn:hutong:id:LAB|2")
    result = await one(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a")
    for start, expected in (("/fhir/_history?_count=2", 6), (f"/fhir/Observation/{result['id']}/_history?_count=1", 2)):
        address, versions = start, []
        while address:
            page = await found(client, address)
            versions += [(entry["fullUrl"], entry["response"]["etag"]) for entry in page["entry"]]
            address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        assert len(versions) == len(set(versions)) == expected
    await client.delete(f"/fhir/Patient/{person['id']}")
    newest = (await found(client, "/fhir/_history?_count=1"))["entry"][0]
    assert newest["request"] == {"method": "DELETE", "url": f"Patient/{person['id']}"}
    future = await found(client, f"/fhir/Patient/{person['id']}/_history?_since=2030")
    assert (future["total"], "entry" in future) == (0, False)


async def test_versions_of_a_history_are_cut_like_others(filled: Door, client: httpx.AsyncClient) -> None:
    result = await one(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a")
    address = f"/fhir/Observation/{result['id']}/_history"
    for asked in ("_elements=status", "_summary=text"):
        for path in (address, "/fhir/Observation/_history", "/fhir/_history"):
            for entry in (await found(client, f"{path}?{asked}"))["entry"]:
                assert entry["resource"]["meta"]["tag"][-1]["code"] == "SUBSETTED"
                assert "subject" not in entry["resource"]
    whole = (await found(client, f"{address}?_summary=false"))["entry"][0]["resource"]
    assert "subject" in whole
    says(await client.get(f"{address}?_summary=some"), 400, "invalid")
    says(await client.get(f"{address}?_sort=status"), 400, "invalid")


async def test_a_history_tells_an_update_that_created_from_a_create(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Basic/mine", json={"resourceType": "Basic", "id": "mine", "code": {"text": "x"}})
    made = await client.post("/fhir/Basic", json={"resourceType": "Basic", "code": {"text": "x"}})
    for key, method, url in (("mine", "PUT", "Basic/mine"), (made.json()["id"], "POST", "Basic")):
        (version,) = (await found(client, f"/fhir/Basic/{key}/_history"))["entry"]
        assert (version["request"], version["response"]["status"]) == ({"method": method, "url": url}, "201")


async def test_a_history_tells_what_lives_again_from_what_was_changed(client: httpx.AsyncClient) -> None:
    for words in ("x", "y", "", "x", "z"):
        body = {"resourceType": "Basic", "id": "mine", "code": {"text": words}}
        made = await (client.put("/fhir/Basic/mine", json=body) if words else client.delete("/fhir/Basic/mine"))
        assert made.status_code < 300
    for path in ("Basic/mine/_history", "Basic/_history", "_history", "_history?_at=ge2020"):
        versions = (await found(client, f"/fhir/{path}"))["entry"]
        assert [each["response"]["status"] for each in versions] == ["200", "201", "204", "200", "201"]


async def test_a_history_can_be_only_counted(filled: Door, client: httpx.AsyncClient) -> None:
    result = await one(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a")
    for path, number in ((f"Observation/{result['id']}/_history", 2), ("Observation/_history", 4), ("_history", 6)):
        for asked, expected in (("_count=0", number), ("_summary=count", number), ("_count=0&_since=2030", 0)):
            page = await found(client, f"/fhir/{path}?{asked}")
            assert (page["total"], "entry" in page, len(page["link"])) == (expected, False, 2)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-05T10:00:30%2B08:00", []),  # before all
        ("2026-03-05T10:02:00%2B08:00", ["1"]),  # while the first was current
        ("2026-03-05T10:05:00%2B08:00", ["2"]),  # the very second of the change; the first ended with it
        ("2026-03-05", ["2", "1"]),  # at some time of that day
        ("ge2026-03-06", ["2"]),
        ("gt2026-03-05", ["2"]),
        ("lt2026-03-05T10:05:00%2B08:00", ["1"]),
        ("le2026-03-05T10:05:00%2B08:00", ["2", "1"]),
    ],
)
async def test_versions_that_were_current_at_a_time(
    filled: Door, client: httpx.AsyncClient, at: str, expected: list[str]
) -> None:
    result = await one(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a")
    page = await found(client, f"/fhir/Observation/{result['id']}/_history?_at={at}")
    assert [entry["resource"]["meta"]["versionId"] for entry in page.get("entry", ())] == expected
    assert page["total"] == len(expected)
    of_type = await found(client, f"/fhir/Observation/_history?_at={at}")
    mine = [entry["resource"] for entry in of_type.get("entry", ()) if entry["resource"]["id"] == result["id"]]
    assert [resource["meta"]["versionId"] for resource in mine] == expected


async def test_other_servers_words_about_the_answer_are_passed_over(filled: Door, client: httpx.AsyncClient) -> None:
    page = await found(client, "/fhir/Patient?name=张&_count=0&_totalMethod=count")
    assert page["total"] == 2
    for narrowing in ("_text=x", "_filter=x", "_content=x", "_list=x"):
        says(await client.get(f"/fhir/Patient?{narrowing}"), 400, "invalid")


@pytest.mark.parametrize(
    ("since", "status"),
    [("Thu, 05 Mar 2026 02:05:00 GMT", 304), ("Thu, 05 Mar 2026 02:04:59 GMT", 200), ("yesterday", 200)],
)
async def test_if_modified_since(filled: Door, client: httpx.AsyncClient, since: str, status: int) -> None:
    resource = await one(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a")
    answer = await client.get(f"/fhir/Observation/{resource['id']}", headers={"if-modified-since": since})
    assert answer.status_code == status


async def test_a_part_of_one_resource(filled: Door, client: httpx.AsyncClient) -> None:
    resource = await one(client, "/fhir/Patient?identifier=urn:hutong:id:LAB|1")
    part = await found(client, f"/fhir/Patient/{resource['id']}?_elements=birthDate")
    assert part.keys() == {"resourceType", "id", "meta", "birthDate"}
    assert part["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_search_pages_with_next_until_all_were_seen(filled: Door, client: httpx.AsyncClient) -> None:
    address, seen, pages = "/fhir/Observation?_count=2&_sort=_id&status=final,corrected", [], 0
    while address:
        page = await found(client, address)
        validate.check_bundle(page)
        assert page["type"] == "searchset"
        assert page["link"][0]["relation"] == "self"
        seen += [entry["resource"]["identifier"][0]["value"] for entry in page["entry"]]
        assert all(entry["search"] == {"mode": "match"} for entry in page["entry"])
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        pages += 1
    assert (sorted(seen), pages) == (["a", "b", "c"], 2)


async def test_every_parameter_that_is_promised(filled: Door, client: httpx.AsyncClient) -> None:
    person = await one(client, "/fhir/Patient?identifier=urn:hutong:id:LAB|1")
    for query, count in (
        (f"patient=Patient/{person['id']}", 3),
        (f"subject={person['id']}&status=final", 2),
        ("date=2026-03-05&code=http://loinc.org|718-7", 3),
        ("date=gt2026-03-05", 0),
        ("status=corrected", 1),
        ("_lastUpdated=ge2026-03-05T02:05:00Z", 1),
        (f"patient.identifier=urn:hutong:id:LAB|1&subject={person['id']}", 3),
    ):
        page = await found(client, f"/fhir/Observation?{query}")
        assert page["total"] == count, query
        assert len(page.get("entry", [])) == count, query
    assert (await one(client, f"/fhir/Patient?_id={person['id']}"))["birthDate"] == "1990-03-05"


async def test_include_and_revinclude(filled: Door, client: httpx.AsyncClient) -> None:
    page = await found(client, "/fhir/Observation?identifier=urn:hutong:id:LAB:OBX|a&_include=Observation:patient")
    modes = [(entry["resource"]["resourceType"], entry["search"]["mode"]) for entry in page["entry"]]
    assert modes == [("Observation", "match"), ("Patient", "include")]
    assert page["total"] == 1
    page = await found(client, "/fhir/Patient?identifier=urn:hutong:id:LAB|1&_revinclude=Observation:patient")
    assert [entry["search"]["mode"] for entry in page["entry"]] == ["match", "include", "include", "include"]
    assert page["entry"][1]["fullUrl"] == f"{BASE}/fhir/Observation/{page['entry'][1]['resource']['id']}"


async def test_a_count_has_no_entries(filled: Door, client: httpx.AsyncClient) -> None:
    page = await found(client, "/fhir/Observation?_summary=count")
    assert page["total"] == 3
    assert "entry" not in page


async def test_search_by_post_keeps_the_values_out_of_the_address(filled: Door, client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/Patient/_search", data={"identifier": "urn:hutong:id:LAB|1", "name": "张"})
    assert answer.status_code == 200
    assert answer.json()["total"] == 1
    says(await client.post("/fhir/Patient/_search", json={"name": "x"}), 415, "not-supported")
    says(await client.post("/fhir/Patient/_search", data={"name": "x" * 70_000}), 413, "too-long")
    form = {"content-type": "application/x-www-form-urlencoded"}
    says(await client.post("/fhir/Patient/_search", content=b"name=%FF", headers=form), 400, "invalid")


async def test_what_is_not_known_is_refused_and_named(client: httpx.AsyncClient) -> None:
    assert "nmae" in says(await client.get("/fhir/Patient?nmae=x"), 400, "invalid")
    page = await found(client, "/fhir/Patient?nmae=x&name=y", prefer="handling=lenient")
    assert page["entry"][0]["search"]["mode"] == "outcome"
    assert "nmae" in page["entry"][0]["resource"]["issue"][0]["diagnostics"]
    assert page["link"][0]["url"] == f"{BASE}/fhir/Patient?name=y"
    says(await client.get("/fhir/Pateint/1"), 404, "not-found")
    says(await client.get("/fhir/Patient/nobody"), 404, "not-found")
    says(await client.get("/fhir/Patient/nobody/_history"), 404, "not-found")
    says(await client.get("/fhir/Patient?_cursor=x"), 400, "invalid")
    says(await client.get("/nothing"), 404, "not-found")
    refused = await client.post("/fhir/Patient/1", json={})
    says(refused, 405, "not-supported")
    assert "GET" in refused.headers["allow"]


async def test_pretty_and_xml_and_formats_that_there_are_not(filled: Door, client: httpx.AsyncClient) -> None:
    address = "/fhir/Patient?identifier=urn:hutong:id:LAB|1"
    assert b"\n  " in (await client.get(f"{address}&_pretty=true")).content
    for answer in (
        await client.get(f"{address}&_format=xml"),
        await client.get(f"{address}&_format=application/fhir%2Bxml"),
        await client.get(address, headers={"accept": "application/fhir+json;q=0.5, application/fhir+xml"}),
    ):
        assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
        assert "<Bundle" in answer.text
        assert "张三" in answer.text
    for accept in ("*/*", "application/json", "text/html,application/xml;q=0.9,*/*;q=0.8", "application/fhir+json"):
        assert (
            (await client.get(address, headers={"accept": accept}))
            .headers["content-type"]
            .startswith("application/fhir+json")
        )
    assert (await client.get(f"{address}&_format=json", headers={"accept": "image/png"})).status_code == 200
    says(await client.get(address, headers={"accept": "image/png"}), 406, "not-supported")
    says(await client.get(f"{address}&_format=yaml"), 406, "not-supported")


async def test_the_capability_statement_is_true(filled: Door, client: httpx.AsyncClient) -> None:
    statement = await found(client, "/fhir/metadata")
    validate.check(statement)
    assert (statement["fhirVersion"], statement["software"]["version"]) == ("4.0.1", "1.2.3")
    assert statement["implementation"]["url"] == f"{BASE}/fhir"
    resources = {each["type"]: each for each in statement["rest"][0]["resource"]}
    assert len(resources) == 146
    assert (await client.get("/fhir/metadata?_format=xml")).status_code == 200


@pytest.mark.parametrize("address", ["/fhir/$nothing", "/fhir/Patient/$nothing", "/fhir/Patient/one/$nothing"])
async def test_an_operation_that_there_is_not_is_told_as_such(client: httpx.AsyncClient, address: str) -> None:
    answer = await client.get(address)
    says(answer, 404, "not-found")
    assert "no such operation" in answer.text
