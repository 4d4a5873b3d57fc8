"""Any life of a Subscription: whatever its client, its endpoint and the worker do, no event is lost, doubled in number
or out of order, and what everybody reads is what is so."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model import Hooks
from tests.subscriptions.conftest import Endpoint, Post, hook, made, result, topical, until

pytestmark = pytest.mark.slow  # real waiting

HOOKS = Hooks(networks=("127.0.0.0/8",), attempts=2, patience=0.3)
STEPS = ("event", "event", "event", "fail", "mend", "slow", "off", "request", "restart", "again", "wait")


class Model:
    """What must be so, beside the real thing."""

    def __init__(self, post: Post, endpoint: Endpoint, client: httpx.AsyncClient, subscription: dict[str, Any]) -> None:
        self.post, self.endpoint, self.client = post, endpoint, client
        self.where = f"/fhir/Subscription/{subscription['id']}"
        self.owed: list[str] = []  # versions that it must get, in their order, since it was last off
        self.on = True

    async def read(self) -> dict[str, Any]:
        return dict((await self.client.get(self.where)).json())

    async def write(self, status: str) -> None:
        answered = await self.client.put(self.where, json={**await self.read(), "status": status})
        assert answered.status_code == 200, answered.text

    async def step(self, name: str) -> None:
        match name:
            case "event":
                resource = await made(self.client, result())
                self.owed += [resource["id"]] if self.on else []
            case "fail" | "mend" | "slow":
                self.endpoint.always = "400 No" if name == "fail" else "200 OK"
                self.endpoint.pause = 0.05 if name == "slow" else 0.0
            case "off":
                await self.write("off")
                self.on, self.owed = False, []
            case "request":
                await self.write("requested")
                self.on = True
            case "restart":
                await self.post.rest()
                self.post.open()
            case "again":
                before = await self.read()
                await self.client.put(self.where, json=before)
                now = await self.read()
                assert now["status"] in (before["status"], "requested", "active", "error")
            case "wait":
                await asyncio.sleep(0.1)

    async def end(self) -> None:
        """The endpoint is well and its client wants it: everything owed since it was last off arrives."""
        self.endpoint.always, self.endpoint.pause = "200 OK", 0.0
        if not self.on:
            assert (await self.read())["status"] == "off"
            assert not self.post.owed("waiting")
            return
        for _ in range(400):
            if (await self.read())["status"] == "error":
                await self.write("requested")
            if (await self.read())["status"] == "active" and not self.post.owed("waiting"):
                break
            await asyncio.sleep(0.02)
        assert (await self.read())["status"] == "active"
        assert not self.post.owed("waiting")


async def lived(steps: list[str], *, topic: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        post, endpoint = Post(Path(folder), hooks=HOOKS), Endpoint()
        await endpoint.start()
        post.open()
        try:
            async with post.client() as client:
                wish = topical(endpoint.url, max_count=3) if topic else hook(endpoint.url)
                model = Model(post, endpoint, client, await made(client, wish))
                for step in steps:
                    await model.step(step)
                await model.end()
                told(model, topic=topic)
        finally:
            await post.rest()
            post.close()
            await endpoint.close()


def told(model: Model, *, topic: bool) -> None:
    seen = model.endpoint.taken
    if not topic:
        got = [each.path.rpartition("/")[2] for each in seen]
        assert [each for each in dict.fromkeys(got) if each in model.owed] != [] or not model.owed
        dead = {each.reference.partition("/")[2] for each in model.post.owed("dead")}
        assert set(model.owed) <= set(got) | dead
        return
    numbers = [number for each in seen if each.kind == "event-notification" for number in each.events]
    first = list(dict.fromkeys(numbers))
    assert first == sorted(first)  # what comes again has come before
    names = [
        entry["fullUrl"].rpartition("/")[2]
        for each in seen
        if each.kind == "event-notification"
        for entry in each.json["entry"][1:]
    ]
    arrived = list(dict.fromkeys(names))
    assert [each for each in arrived if each in model.owed] == model.owed


LIVES = st.lists(st.sampled_from(STEPS), max_size=12)
ANYTHING = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("topic", [True, False])
async def test_a_hard_life(topic: bool) -> None:
    await lived(
        ["event", "wait", "fail", "event", "event", "wait", "restart", "event", "request", "wait", "mend", "event"],
        topic=topic,
    )


@given(steps=LIVES, topic=st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=ANYTHING)
def test_any_life(steps: list[str], topic: bool) -> None:
    asyncio.run(lived(steps, topic=topic))


async def test_a_worker_that_falls_between_answer_and_receipt_sends_again_with_the_same_key(tmp_path: Path) -> None:
    """At least once, and the receiver can tell."""
    post, endpoint = Post(tmp_path, hooks=HOOKS), Endpoint()
    await endpoint.start()
    post.open()
    async with post.client() as client:
        await made(client, hook(endpoint.url))
        await made(client, result())
        await until(lambda: endpoint.taken)
        await until(lambda: not post.owed("waiting"))
        await post.rest()
        with post.engine.transaction() as transaction:  # as if the receipt had not been noted
            transaction.execute("UPDATE delivery SET state = 'waiting', due = 0")
        post.open()
        await until(lambda: len(endpoint.taken) == 2)
    first, second = endpoint.taken
    assert (first.headers["idempotency-key"], first.body) == (second.headers["idempotency-key"], second.body)
    await post.rest()
    post.close()
    await endpoint.close()


async def test_the_keeper_outlives_whatever_fails(post: Post, endpoint: Endpoint, monkeypatch: Any) -> None:
    await post.rest()
    keeper, failed = post.keeper(), 0
    read = keeper._read

    def failing() -> Any:
        nonlocal failed
        failed += 1
        if failed == 1:
            raise ZeroDivisionError
        return read()

    monkeypatch.setattr(type(keeper), "_read", lambda _: failing())
    post.stop = keeper.stop = asyncio.Event()
    post.keeping = asyncio.create_task(keeper.run())
    async with post.client() as client:
        await made(client, hook(endpoint.url))
        await made(client, result())
        await until(lambda: endpoint.taken)
    assert failed > 1
