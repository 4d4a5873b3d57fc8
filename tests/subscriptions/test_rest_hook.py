"""R4 Subscriptions: made, matched, sent, kept in order, ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.subscriptions.conftest import BASE, Endpoint, Post, hook, made, reaches, result, until

pytestmark = pytest.mark.slow  # real endpoints, real waiting


async def test_a_matching_resource_is_put_to_the_endpoint(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    subscription = await made(client, hook(endpoint.url, header=["Authorization: Bearer secret-of-mine"]))
    assert subscription["status"] == "active"
    await made(client, result("other"))
    observation = await made(client, result())
    await until(lambda: endpoint.taken)
    seen = endpoint.taken[0]
    assert (seen.method, seen.path) == ("PUT", f"/hook/Observation/{observation['id']}")
    assert seen.json == observation
    assert seen.headers["authorization"] == "Bearer secret-of-mine"
    assert seen.headers["content-type"].startswith("application/fhir+json")
    assert len(seen.headers["idempotency-key"]) == 20
    await asyncio.sleep(0.1)
    assert len(endpoint.seen) == 1


async def test_without_payload_it_is_called_with_nothing(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    subscription = hook(endpoint.url)
    del subscription["channel"]["payload"]
    await made(client, subscription)
    await made(client, result())
    await until(lambda: endpoint.taken)
    assert (endpoint.taken[0].method, endpoint.taken[0].path, endpoint.taken[0].body) == ("POST", "/hook", b"")


async def test_xml_where_it_is_asked_for(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    await made(client, hook(f"{endpoint.url}?to=me", payload="application/fhir+xml"))
    observation = await made(client, result())
    await until(lambda: endpoint.taken)
    assert endpoint.taken[0].body.lstrip().startswith(b"<")
    assert b"Observation" in endpoint.taken[0].body
    assert endpoint.taken[0].path == f"/hook/Observation/{observation['id']}?to=me"


async def test_every_version_of_a_resource_in_its_order(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    endpoint.answers = ["503 Busy", "500 No", "200 OK", "503 Busy"]
    await made(client, hook(endpoint.url, "Observation?"))
    observation = await made(client, result())
    for status in ("amended", "corrected"):
        changed = {**observation, "status": status}
        assert (await client.put(f"/fhir/Observation/{observation['id']}", json=changed)).status_code == 200
    await until(lambda: len(endpoint.taken) == 3)
    assert [each.json["status"] for each in endpoint.taken] == ["final", "amended", "corrected"]
    keys = [each.headers["idempotency-key"] for each in endpoint.seen]
    assert len(set(keys)) == 3
    assert keys[0] == keys[1] == keys[2]


async def test_headers_are_read_by_nobody_and_kept(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    subscription = await made(client, hook(endpoint.url, header=["X-Key: secret-of-mine"]))
    where = f"/fhir/Subscription/{subscription['id']}"
    for address in (where, f"{where}/_history", "/fhir/Subscription", f"{where}/_history/1", f"{where}?_format=xml"):
        text = (await client.get(address)).text
        assert "secret-of-mine" not in text
        assert "X-Key: ********" in text
    read = (await client.get(where)).json()
    assert (await client.put(where, json={**read, "reason": "another"})).status_code == 200
    await made(client, result())
    await until(lambda: endpoint.taken)
    assert endpoint.taken[0].headers["x-key"] == "secret-of-mine"
    unknown = await client.put(where, json={**read, "channel": {**read["channel"], "header": ["X-Other: ********"]}})
    assert unknown.status_code == 422


async def test_off_ends_it_and_requested_begins_it_again(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    subscription = await made(client, hook(endpoint.url))
    where = f"/fhir/Subscription/{subscription['id']}"
    assert (await client.put(where, json={**subscription, "status": "off"})).json()["status"] == "off"
    await made(client, result(status="preliminary"))
    assert (await client.put(where, json={**subscription, "status": "requested"})).json()["status"] == "active"
    await made(client, result())
    await until(lambda: endpoint.taken)
    assert (await client.delete(where)).status_code == 204
    await made(client, result())
    await asyncio.sleep(0.2)
    assert [each.json["status"] for each in endpoint.taken] == ["final"]


async def test_the_address_of_the_service_may_stand_before_criteria(
    client: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    subscription = await made(client, hook(endpoint.url, f"{BASE}/fhir/Observation?code=718-7"))
    assert (subscription["criteria"], subscription["status"]) == ("Observation?code=718-7", "active")
    await made(client, result())
    await until(lambda: endpoint.taken)
    other = await client.post(
        "/fhir/Subscription", json=hook(endpoint.url, "http://other.test/fhir/Observation?code=1")
    )
    assert other.status_code == 422


async def test_a_patch_is_checked_like_all_else(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    subscription = await made(client, hook(endpoint.url))
    where, headers = f"/fhir/Subscription/{subscription['id']}", {"content-type": "application/json-patch+json"}
    bad = [{"op": "replace", "path": "/criteria", "value": "Observation?nonsense=1"}]
    assert (await client.patch(where, json=bad, headers=headers)).status_code == 422
    off = [{"op": "replace", "path": "/status", "value": "off"}]
    done = await client.patch(where, json=off, headers=headers)
    assert done.status_code == 200, done.text


async def test_one_of_a_transaction_hears_of_its_own_transaction(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    entries = [
        {"resource": each, "request": {"method": "POST", "url": each["resourceType"]}}
        for each in (result(), hook(endpoint.url))
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert (await client.post("/fhir", json=bundle)).status_code == 200
    await until(lambda: endpoint.taken)


@pytest.mark.parametrize(
    ("change", "element"),
    [
        ({"criteria": "Observation?nonsense=1"}, "Subscription.criteria"),
        ({"criteria": "Nothing?code=1"}, "Subscription.criteria"),
        ({"criteria": "Observation?_sort=date"}, "Subscription.criteria"),
        ({"criteria": "Observation?code="}, "Subscription.criteria"),
        ({"criteria": "Observation?date=yesterday"}, "Subscription.criteria"),
        ({"criteria": "http://example.org/SubscriptionTopic/none"}, "Subscription.criteria"),
        ({"end": "2020-01-01T00:00:00Z"}, "Subscription.end"),
        ({"status": "error"}, "Subscription.status"),
        ({"type": "websocket"}, "Subscription.channel.type"),
        ({"type": "email"}, "Subscription.channel.type"),
        ({"type": "sms"}, "Subscription.channel.type"),
        ({"endpoint": None}, "Subscription.channel.endpoint"),
        ({"endpoint": "http://169.254.169.254/latest"}, "Subscription.channel.endpoint"),
        ({"endpoint": "https://10.0.0.1/"}, "Subscription.channel.endpoint"),
        ({"endpoint": "ftp://example.org/"}, "Subscription.channel.endpoint"),
        ({"endpoint": "https://a:b@example.org/"}, "Subscription.channel.endpoint"),
        ({"payload": "text/plain"}, "Subscription.channel.payload"),
        ({"header": ["Nothing"]}, "Subscription.channel.header[0]"),
        ({"header": ["X: 1", "X-Key: a\r\nX-Evil: b"]}, "Subscription.channel.header[1]"),
        ({"header": ["Host: other"]}, "Subscription.channel.header[0]"),
    ],
)
async def test_what_makes_no_sense_is_refused_at_once(
    client: httpx.AsyncClient, change: dict[str, object], element: str
) -> None:
    subscription = hook("https://hook.example.org/in")
    for name, value in change.items():
        place = subscription if name in ("criteria", "end", "status") else subscription["channel"]
        place[name] = value
        if value is None:
            del place[name]
    answered = await client.post("/fhir/Subscription", json=subscription)
    assert answered.status_code == 422, answered.text
    assert answered.json()["issue"][0]["expression"] == [element]
    assert (await client.get("/fhir/Subscription")).json()["total"] == 0


async def test_only_what_its_maker_may_read(post: Post, endpoint: Endpoint) -> None:
    async with post.client("system/Subscription.cruds system/Patient.rs") as narrow:
        assert (await narrow.post("/fhir/Subscription", json=hook(endpoint.url))).status_code == 403
        assert (await narrow.post("/fhir/Subscription", json=hook(endpoint.url, "Patient?"))).status_code == 201
        chained = hook(endpoint.url, "Patient?organization.name=x")
        assert (await narrow.post("/fhir/Subscription", json=chained)).status_code == 403
    async with post.client("system/Observation.*") as without:
        assert (await without.post("/fhir/Subscription", json=hook(endpoint.url))).status_code == 403


async def test_who_takes_it_over_is_told_what_he_may_read(post: Post, endpoint: Endpoint) -> None:
    async with post.client() as wide, post.client("system/Subscription.cruds") as narrow:
        subscription = await made(wide, hook(endpoint.url))
        where = f"/fhir/Subscription/{subscription['id']}"
        assert (await narrow.put(where, json={**subscription, "reason": "mine now"})).status_code == 403


async def test_a_revoked_token_turns_it_off(client: httpx.AsyncClient, post: Post, endpoint: Endpoint) -> None:
    async with post.client("system/Subscription.cruds system/Observation.*") as other:
        subscription = await made(other, hook(endpoint.url))
    await post.rest()
    await made(client, result())
    post.tokens.revoke("system/Subscription.cruds system/Observation.*")
    post.open()
    assert "token" in (await reaches(client, subscription, "off"))["error"]
    assert not endpoint.seen
    assert [each.state for each in post.owed()] == ["dead"]


async def test_its_end_ends_it(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    end = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat(timespec="milliseconds")
    subscription = await made(client, {**hook(endpoint.url), "end": end})
    await reaches(client, subscription, "off")
    await made(client, result())
    await asyncio.sleep(0.1)
    assert not endpoint.seen


async def test_the_status_shows_how_each_stands(client: httpx.AsyncClient, post: Post, endpoint: Endpoint) -> None:
    endpoint.always = "503 Busy"
    subscription = await made(client, hook(f"{endpoint.url}/secret-path", "Observation?code=718-7&patient=secret-id"))
    await made(client, result(subject="Patient/secret-id"))
    await until(lambda: endpoint.seen)
    await until(lambda: post.overview.status().subscriptions[0].failing_seconds > 0)
    status = post.overview.status()
    (shown,) = status.subscriptions
    assert (shown.id, shown.state, shown.maker, shown.events) == (subscription["id"], "active", "system/*.*", 1)
    assert status.deliveries[f"Subscription/{shown.id}"].counts["waiting"] == 1
    assert "secret" not in repr(status)
    assert "secret-path" not in repr(post.owed())


async def test_one_that_came_in_a_message_is_off(client: httpx.AsyncClient, post: Post, endpoint: Endpoint) -> None:
    subscription = {**hook(endpoint.url, header=["X-Key: secret"]), "status": "active", "id": "foreign"}
    entry = {"fullUrl": "urn:x", "resource": subscription, "request": {"method": "PUT", "url": "Subscription/foreign"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    with post.engine.transaction() as transaction:
        applied = post.record.apply(transaction, bundle, at=datetime.now(UTC))
        for change in applied.changes:
            post.owing(transaction, change)
    read = (await client.get("/fhir/Subscription/foreign")).json()
    assert (read["status"], read["channel"]["header"]) == ("off", ["X-Key: ********"])
    assert "web door" in read["error"]
