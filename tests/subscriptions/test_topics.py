"""Topic-based Subscriptions: handshake, events by number, batches, heartbeats, what was missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.fhir import json as fhir_json
from gateway.fhir import validate
from gateway.model import Hooks, Topic, Trigger
from gateway.subscriptions.topics import PREFIX, SHIPPED
from tests.subscriptions.conftest import BASE, GUIDE, Endpoint, Post, made, reaches, result, topical, until

pytestmark = pytest.mark.slow  # real endpoints, real waiting

OWN = Topic(
    url="http://sanhe.example.cn/topics/critical",
    title="危急值",
    triggers=(Trigger(resource="Observation", on=("create", "update", "delete"), current="category=HH,LL"),),
    filters=("patient",),
)


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Post]:
    """Gives an endpoint up after three refusals or half a second."""
    post = Post(tmp_path, hooks=Hooks(networks=("127.0.0.0/8",), attempts=3, patience=0.5), own=(OWN,))
    post.open()
    yield post
    await post.rest()
    post.close()


async def active(client: httpx.AsyncClient, subscription: dict[str, Any]) -> dict[str, Any]:
    answered = await made(client, subscription)
    assert answered["status"] == "requested"
    return await reaches(client, answered, "active")


def valid(bundle: dict[str, Any]) -> None:
    assert validate.problems(fhir_json.loads(fhir_json.dumps(bundle))) == []


async def test_it_is_active_once_the_endpoint_has_answered(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    endpoint.answers = ["503 Busy"]
    subscription = await active(client, topical(endpoint.url))
    assert [each.kind for each in endpoint.seen] == ["handshake", "handshake"]
    assert len({each.headers["idempotency-key"] for each in endpoint.seen}) == 1
    seen = endpoint.taken[0]
    valid(seen.json)
    assert (seen.method, seen.path) == ("POST", "/hook")
    assert seen.json["type"] == "history"
    assert seen.facts["subscription"] == {"reference": f"{BASE}/fhir/Subscription/{subscription['id']}"}
    assert (seen.facts["status"], seen.facts["topic"]) == ("requested", subscription["criteria"])
    assert seen.facts["events-since-subscription-start"] == "0"
    assert seen.json["entry"][0]["resource"]["meta"]["profile"] == [f"{GUIDE}backport-subscription-status-r4"]


async def test_events_are_numbered_and_tell_what_is_wished(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    await active(client, topical(endpoint.url, filters=("Observation?code=718-7",)))
    await made(client, result(status="preliminary"))
    await made(client, result("777-3"))
    observation = await made(client, result())
    corrected = {**observation, "status": "corrected"}
    assert (await client.put(f"/fhir/Observation/{observation['id']}", json=corrected)).status_code == 200
    await until(lambda: len(endpoint.taken) == 3)
    first, second = endpoint.taken[1:]
    valid(first.json)
    assert [first.events, second.events] == [[1], [2]]
    assert [first.facts["events-since-subscription-start"], first.facts["status"]] == ["1", "active"]
    assert first.json["entry"][1] == {
        "fullUrl": f"{BASE}/fhir/Observation/{observation['id']}",
        "request": {"method": "POST", "url": "Observation"},
        "response": {"status": "201"},
    }
    assert second.json["entry"][1]["request"] == {"method": "PUT", "url": f"Observation/{observation['id']}"}


async def test_whole_resources_as_they_were_and_xml(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    await active(client, topical(endpoint.url, content="full-resource"))
    await active(
        client, {**(x := topical(endpoint.url)), "channel": {**x["channel"], "payload": "application/fhir+xml"}}
    )
    observation = await made(client, result())
    await until(lambda: len(endpoint.taken) == 4)
    whole = next(each for each in endpoint.taken[2:] if each.body.startswith(b"{"))
    assert whole.json["entry"][1]["resource"] == observation
    valid(whole.json)
    xml = next(each for each in endpoint.taken[2:] if not each.body.startswith(b"{"))
    assert b"<Bundle" in xml.body
    assert xml.headers["content-type"].startswith("application/fhir+xml")


async def test_empty_content_names_no_resource(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    await active(client, topical(endpoint.url, content="empty"))
    observation = await made(client, result())
    await until(lambda: len(endpoint.taken) == 2)
    assert endpoint.taken[1].events == [1]
    assert observation["id"] not in endpoint.taken[1].body.decode()
    assert len(endpoint.taken[1].json["entry"]) == 1
    valid(endpoint.taken[1].json)


async def test_several_events_go_together(client: httpx.AsyncClient, post: Post, endpoint: Endpoint) -> None:
    await active(client, topical(endpoint.url, max_count=3))
    await post.rest()
    for _ in range(7):
        await made(client, result())
    post.open()
    await until(lambda: sum(len(each.events) for each in endpoint.taken) == 7)
    assert [each.events for each in endpoint.taken[1:]] == [[1, 2, 3], [4, 5, 6], [7]]
    valid(endpoint.taken[1].json)
    await until(lambda: not post.owed("waiting"))
    assert {each.state for each in post.owed()} == {"done"}
    assert len({each.headers["idempotency-key"] for each in endpoint.taken}) == 4


async def test_a_batch_that_failed_goes_again_whole(client: httpx.AsyncClient, post: Post, endpoint: Endpoint) -> None:
    await active(client, topical(endpoint.url, max_count=2))
    await post.rest()
    endpoint.answers = ["500 No", "503 Busy"]
    for _ in range(4):
        await made(client, result())
    post.open()
    await until(lambda: sum(len(each.events) for each in endpoint.taken) == 4)
    assert [each.events for each in endpoint.seen[1:]] == [[1, 2], [1, 2], [1, 2], [3, 4]]
    assert len({each.body for each in endpoint.seen[1:4]}) == 1


async def test_a_quiet_endpoint_hears_heartbeats(client: httpx.AsyncClient, post: Post, endpoint: Endpoint) -> None:
    subscription = await active(client, topical(endpoint.url, heartbeat_period=5))
    with post.engine.transaction() as transaction:
        transaction.execute("UPDATE subscription SET spoke = spoke - 6000, changed = changed - 6000")
    await until(lambda: len(endpoint.taken) == 2)
    assert endpoint.taken[1].kind == "heartbeat"
    assert endpoint.taken[1].facts["events-since-subscription-start"] == "0"
    valid(endpoint.taken[1].json)
    await until(lambda: not post.owed("waiting"))
    await asyncio.sleep(0.1)
    assert len(endpoint.taken) == 2
    assert [each.state for each in post.owed()] == []  # neither is kept once it was taken
    assert (await client.get(f"/fhir/Subscription/{subscription['id']}")).json()["status"] == "active"


async def test_an_endpoint_that_refuses_is_in_error_and_hears_what_it_missed(
    impatient: Post, endpoint: Endpoint
) -> None:
    async with impatient.client() as client:
        subscription = await active(client, topical(endpoint.url, max_count=10))
        endpoint.always = "400 No"
        await made(client, result())
        read = await reaches(client, subscription, "error")
        assert "400" in read["error"]
        refused = len(endpoint.seen)
        await made(client, result())
        await made(client, result())
        await asyncio.sleep(0.2)
        assert len(endpoint.seen) == refused
        told = (await client.get(f"/fhir/Subscription/{subscription['id']}/$status")).json()
        parameters = {each["name"]: each for each in told["entry"][0]["resource"]["parameter"]}
        assert parameters["status"]["valueCode"] == "error"
        assert "400" in parameters["error"]["valueCodeableConcept"]["text"]
        assert parameters["events-since-subscription-start"]["valueString"] == "3"
        endpoint.always = "200 OK"
        again = {**read, "status": "requested"}
        assert "error" not in (await client.put(f"/fhir/Subscription/{subscription['id']}", json=again)).json()
        await reaches(client, subscription, "active")
        await until(lambda: sum(len(each.events) for each in endpoint.taken) == 3)
    assert [each.kind for each in endpoint.taken] == ["handshake", "handshake", "event-notification"]
    assert endpoint.taken[2].events == [1, 2, 3]


@pytest.mark.parametrize("answer", ["404 No", "302 Found", "503 Busy"])
async def test_an_endpoint_that_shakes_no_hands_is_in_error(impatient: Post, endpoint: Endpoint, answer: str) -> None:
    endpoint.always = answer
    async with impatient.client() as client:
        subscription = await made(client, topical(endpoint.url))
        read = await reaches(client, subscription, "error")
        assert answer[:3] in read["error"]
        if answer[0] == "3":
            assert len(endpoint.seen) == 1
        await made(client, result())
        seen = len(endpoint.seen)
        await asyncio.sleep(0.1)
        assert len(endpoint.seen) == seen


async def test_what_was_missed_is_asked_for(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    subscription = await active(client, topical(endpoint.url))
    found = [await made(client, result()) for _ in range(4)]
    where = f"/fhir/Subscription/{subscription['id']}/$events"
    answered = (await client.get(f"{where}?eventsSinceNumber=2&eventsUntilNumber=3&content=full-resource")).json()
    valid(answered)
    status = answered["entry"][0]["resource"]["parameter"]
    assert [each["valueCode"] for each in status if each["name"] == "type"] == ["query-event"]
    assert [each["part"][0]["valueString"] for each in status if each["name"] == "notification-event"] == ["2", "3"]
    assert [each["resource"] for each in answered["entry"][1:]] == found[1:3]
    asked = {"resourceType": "Parameters", "parameter": [{"name": "eventsSinceNumber", "valueString": "4"}]}
    posted = (await client.post(where, json=asked)).json()
    assert len(posted["entry"]) == 2
    assert "resource" not in posted["entry"][1]
    for bad in ("?eventsSinceNumber=x", "?content=much", "?other=1"):
        assert (await client.get(f"{where}{bad}")).status_code == 400
    assert (await client.get("/fhir/Subscription/none/$events")).status_code == 404


async def test_events_are_told_to_whom_may_read_them(post: Post, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    subscription = await active(client, topical(endpoint.url))
    await made(client, result())
    where = f"/fhir/Subscription/{subscription['id']}"
    async with post.client("system/Subscription.r") as narrow:
        assert (await narrow.get(f"{where}/$status")).status_code == 200
        assert (await narrow.get(f"{where}/$events")).status_code == 403
        assert (await narrow.get(f"{where}/$events?content=empty")).status_code == 200
    async with post.client("system/Observation.*") as other:
        assert (await other.get(f"{where}/$status")).status_code == 403


async def test_status_of_several(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    one = await active(client, topical(endpoint.url))
    two = await active(client, topical(endpoint.url))
    off = {**two, "status": "off"}
    assert (await client.put(f"/fhir/Subscription/{two['id']}", json=off)).status_code == 200

    async def states(query: str) -> list[str]:
        bundle = (await client.get(f"/fhir/Subscription/$status{query}")).json()
        valid(bundle)
        return sorted(
            parameter["valueCode"]
            for entry in bundle.get("entry", ())
            for parameter in entry["resource"]["parameter"]
            if parameter["name"] == "status"
        )

    assert await states("") == ["active", "off"]
    assert await states("?status=active") == ["active"]
    assert await states(f"?id={one['id']}&id={two['id']}&id=none") == ["active", "off"]
    assert await states(f"?id={one['id']},{two['id']}&status=off") == ["off"]
    assert (await client.get("/fhir/Subscription/$status?status=nonsense")).status_code == 400


async def test_what_was_deleted_is_told_where_the_topic_says_so(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    await active(client, topical(endpoint.url, f"{PREFIX}task-changed", filters=("Task?status=requested",)))
    task = {"resourceType": "Task", "status": "requested", "intent": "order"}
    kept, other = await made(client, task), await made(client, {**task, "status": "draft"})
    for each in (other, kept):
        assert (await client.delete(f"/fhir/Task/{each['id']}")).status_code == 204
    await until(lambda: len(endpoint.taken) == 3)
    assert endpoint.taken[2].json["entry"][1]["request"] == {"method": "DELETE", "url": f"Task/{kept['id']}"}
    valid(endpoint.taken[2].json)


async def test_visits_begin_move_and_end(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    for name in ("encounter-admit", "encounter-transfer", "encounter-discharge"):
        await active(client, topical(endpoint.url, f"{PREFIX}{name}"))
    visit = {
        "resourceType": "Encounter", "status": "planned", "subject": {"reference": "Patient/p1"},
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
    }  # fmt: skip
    visit = await made(client, visit)
    steps = [
        {"status": "in-progress", "location": [{"location": {"reference": "Location/a"}}]},
        {"priority": {"text": "urgent"}},
        {"location": [{"location": {"reference": "Location/b"}}]},
        {"status": "finished"},
        {"priority": {"text": "none"}},
    ]
    for step in steps:
        visit = (await client.put(f"/fhir/Encounter/{visit['id']}", json={**visit, **step})).json()
    await until(lambda: len(endpoint.taken) == 7)
    await asyncio.sleep(0.1)
    told = [each.facts["topic"].removeprefix(PREFIX) for each in endpoint.taken if each.kind == "event-notification"]
    assert sorted(told) == ["encounter-admit", "encounter-discharge", "encounter-transfer", "encounter-transfer"]


async def test_a_topic_of_the_settings(impatient: Post, endpoint: Endpoint) -> None:
    async with impatient.client() as client:
        statement = (await client.get("/fhir/metadata")).json()
        resource = next(each for each in statement["rest"][0]["resource"] if each["type"] == "Subscription")
        assert [each["valueCanonical"] for each in resource["extension"]] == [*(t.url for t in SHIPPED), OWN.url]
        assert {each["name"] for each in resource["operation"]} >= {"status", "events"}
        valid(statement)
        await active(client, topical(endpoint.url, OWN.url, filters=("patient=Patient/p1",)))
        high = {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "HH"}]
        }
        await made(client, result(category=[high], subject="Patient/p2"))
        await made(client, result())
        observation = await made(client, result(category=[high]))
        await until(lambda: len(endpoint.taken) == 2)
    assert endpoint.taken[1].json["entry"][1]["fullUrl"].endswith(observation["id"])


@pytest.mark.parametrize(
    ("filters", "numbers", "content"),
    [
        (("Patient?_id=1",), {}, "id-only"), (("Observation?method=1",), {}, "id-only"),
        (("Observation?patient.name=x",), {}, "id-only"), (("Observation?code=",), {}, "id-only"),
        ((), {"max_count": 0}, "id-only"), ((), {"timeout": -1}, "id-only"), ((), {}, "everything"),
    ],
)  # fmt: skip
async def test_what_a_topic_does_not_offer_is_refused(
    client: httpx.AsyncClient, filters: tuple[str, ...], numbers: dict[str, int], content: str
) -> None:
    subscription = topical("https://hook.example.org/", filters=filters, content=content, **numbers)
    answered = await client.post("/fhir/Subscription", json=subscription)
    assert answered.status_code in (400, 422), answered.text
    assert answered.json()["issue"][0]["expression"][0].startswith("Subscription.c")
