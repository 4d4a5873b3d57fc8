"""The same Subscriptions on every engine."""

from __future__ import annotations

from pathlib import Path

from gateway.model import Hooks
from tests.engines import Engines
from tests.subscriptions.conftest import Endpoint, Post, hook, made, reaches, result, topical, until


async def test_both_kinds_from_making_to_ending(tmp_path: Path, engines: Engines, endpoint: Endpoint) -> None:
    hooks = Hooks(networks=("127.0.0.0/8",), attempts=2)
    post = Post(tmp_path, hooks=hooks, opened=lambda home, schema: engines.open(home, schema))
    post.open()
    async with post.client() as client:
        plain = await made(client, hook(endpoint.url, "Observation?patient=p1", header=["X-Key: secret"]))
        topic = await made(client, topical(endpoint.url, max_count=2))
        await reaches(client, topic, "active")
        await post.rest()
        for _ in range(3):
            await made(client, result())
        post.open()
        await until(lambda: len(endpoint.taken) == 6)
        notified = [each for each in endpoint.taken[1:] if each.method == "POST"]
        assert [each.events for each in notified] == [[1, 2], [3]]
        assert {each.headers["x-key"] for each in endpoint.taken if each.method == "PUT"} == {"secret"}
        events = (await client.get(f"/fhir/Subscription/{topic['id']}/$events?eventsSinceNumber=2")).json()
        assert len(events["entry"]) == 3
        endpoint.always = "400 No"
        await made(client, result())
        await reaches(client, topic, "error")
        endpoint.always = "200 OK"
        await client.put(f"/fhir/Subscription/{topic['id']}", json={**topic, "status": "requested"})
        await until(lambda: any(each.method == "POST" and each.events == [4] for each in endpoint.taken))
        shown = {each.id: each.events for each in post.overview.status().subscriptions}
        assert shown == {plain["id"]: 4, topic["id"]: 4}
        for each in (plain, topic):
            assert (await client.delete(f"/fhir/Subscription/{each['id']}")).status_code == 204
    await post.rest()
    post.close()
