"""A web door with everything behind it that Subscriptions need, in this process, and endpoints on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.door import create
from gateway.api.overview import Overview
from gateway.api.security import Tokens
from gateway.api.services import Services
from gateway.bulk import Exporter, Jobs
from gateway.db.engine import Engine, Transaction
from gateway.db.sqlite import SqliteEngine
from gateway.journal.ledger import Owed
from gateway.model import Community, Hooks, State, Topic
from gateway.store.exchange import Exchanged
from gateway.store.record import Record
from gateway.subscriptions import topics
from gateway.subscriptions.keeper import Keeper
from gateway.subscriptions.owing import Owing
from gateway.telemetry import Metrics
from tests.api.conftest import shipped

BASE = "http://gateway.test"
LOOPBACK = Hooks(networks=("127.0.0.0/8",))


def _sqlite(home: Path, schema: str) -> Engine:
    return SqliteEngine(home / f"{schema}.sqlite", schema=schema)


@dataclass(eq=False)
class Post:
    """A door over a record, and a keeper that is started by `open`."""

    home: Path
    hooks: Hooks = LOOPBACK
    own: tuple[Topic, ...] = ()
    opened: Callable[[Path, str], Engine] = _sqlite
    told: list[tuple[str, State]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = self.opened(self.home, "journal")
        self.engine = self.opened(self.home, "record")
        self.record = Record(self.engine)
        self.tokens = Tokens(self.engine)
        self.owing = Owing(self.record, topics.known(self.own))
        self.overview = Overview(self.journal, self.engine)
        self.services = Services(
            community=Community(id="c", name="c", topics=self.own, hooks=self.hooks), record=self.record,
            overview=self.overview, tokens=self.tokens, metrics=Metrics(), receive=_nobody, write=self.write,
            state=lambda: "ok", version="1", formats=shipped,
            bulk=Exporter(Jobs(self.engine, lambda: datetime.now(UTC)), self.home / "exports"),
        )  # fmt: skip
        self.stop = asyncio.Event()
        self.keeping: asyncio.Task[None] | None = None
        self.made: dict[str, str] = {}

    async def write(self, work: Callable[[Transaction], Exchanged]) -> Exchanged:
        with self.engine.transaction() as transaction:
            made = work(transaction)
            for change in made.changes:
                self.owing(transaction, change)
        return made

    def keeper(self) -> Keeper:
        def counted(line: str) -> Callable[[State, float], None]:
            return lambda state, _: self.told.append((line, state))

        return Keeper(
            record=self.record, engine=self.engine, topics=topics.known(self.own), hooks=self.hooks,
            grants=lambda maker: grant.allows if (grant := self.tokens.of_digest(maker)) else None,
            changed=self.owing, stop=self.stop, told=counted,
        )  # fmt: skip

    def open(self) -> None:
        """What is owed is sent from now on."""
        self.stop = asyncio.Event()
        self.keeping = asyncio.create_task(self.keeper().run())

    async def rest(self) -> None:
        """Nothing is sent any more; as at the end of the worker."""
        self.stop.set()
        if self.keeping is not None:
            await self.keeping
            self.keeping = None

    def token(self, scope: str = "system/*.*") -> str:
        if scope not in self.made:
            self.made[scope] = self.tokens.create(name=scope, scope=scope)
        return self.made[scope]

    def client(self, scope: str = "system/*.*") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(create(self.services), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {self.token(scope)}", "content-type": "application/fhir+json"}
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)

    def owed(self, state: str = "") -> list[Owed]:
        return self.overview.ledger.deliveries(state=state, limit=1000)[::-1]

    def close(self) -> None:
        self.journal.close()
        self.engine.close()


async def _nobody(_frame: object) -> bytes:
    return b""


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    made = Post(tmp_path)
    made.open()
    yield made
    await made.rest()
    made.close()


@pytest.fixture
async def client(post: Post) -> AsyncIterator[httpx.AsyncClient]:
    async with post.client() as made:
        yield made


@dataclass(frozen=True)
class Seen:
    """One request that an endpoint got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """Of a notification: handshake, heartbeat, event-notification."""
        return str(self.facts["type"])

    @property
    def facts(self) -> dict[str, Any]:
        """The plain parameters of a notification's status."""
        found = self.json["entry"][0]["resource"]["parameter"]
        return {each["name"]: next((v for k, v in each.items() if k.startswith("value")), None) for each in found}

    @property
    def events(self) -> list[int]:
        """The numbers of a notification's events."""
        found = self.json["entry"][0]["resource"]["parameter"]
        return [int(each["part"][0]["valueString"]) for each in found if each["name"] == "notification-event"]


@dataclass(eq=False)
class Endpoint:
    """An HTTP server that keeps what it gets. `answers` are given first, then `always`."""

    answers: list[str] = field(default_factory=list)
    always: str = "200 OK"
    pause: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    taken: list[Seen] = field(default_factory=list)  # answered with 2xx
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await self.one(reader, writer)
        writer.close()
        with suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()
        self.tasks.discard(task)

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        seen = Seen(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
        self.seen.append(seen)
        await asyncio.sleep(self.pause)
        answer = self.answers.pop(0) if self.answers else self.always
        if answer.startswith("2"):
            self.taken.append(seen)
        more = "Location: http://127.0.0.1:1/\r\n" if answer.startswith("3") else ""
        writer.write(f"HTTP/1.1 {answer}\r\n{more}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async def close(self) -> None:
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    await made.start()
    yield made
    await made.close()


async def until(truth: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Returns when it holds; fails when it never does."""
    for _ in range(int(seconds / 0.01)):
        if truth():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


async def made(client: httpx.AsyncClient, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as the record made it."""
    answered = await client.post(f"/fhir/{resource['resourceType']}", json=resource)
    assert answered.status_code == 201, answered.text
    return dict(answered.json())


async def reaches(client: httpx.AsyncClient, subscription: dict[str, Any], status: str) -> dict[str, Any]:
    """The Subscription once it has this status."""
    for _ in range(1000):
        read = (await client.get(f"/fhir/Subscription/{subscription['id']}")).json()
        if read["status"] == status:
            return dict(read)
        await asyncio.sleep(0.01)
    raise AssertionError(f"it stayed {read['status']}")


def hook(url: str, criteria: str = "Observation?code=718-7", **channel: Any) -> dict[str, Any]:
    """An R4 Subscription."""
    return {
        "resourceType": "Subscription", "status": "requested", "reason": "a test", "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": url, "payload": "application/fhir+json", **channel},
    }  # fmt: skip


GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"


def topical(
    url: str,
    topic: str = "urn:hutong:topic:result-available",
    *,
    filters: tuple[str, ...] = (),
    content: str = "id-only",
    **numbers: int,
) -> dict[str, Any]:
    """A Subscription to a topic. `numbers`: heartbeat_period, timeout, max_count."""
    extra = [
        {
            "url": f"{GUIDE}backport-{name.replace('_', '-')}",
            ("valuePositiveInt" if name == "max_count" else "valueUnsignedInt"): value,
        }
        for name, value in numbers.items()
    ]
    made = hook(url, topic)
    made["meta"] = {"profile": [f"{GUIDE}backport-subscription"]}
    if filters:
        made["_criteria"] = {
            "extension": [{"url": f"{GUIDE}backport-filter-criteria", "valueString": each} for each in filters]
        }
    made["channel"]["_payload"] = {"extension": [{"url": f"{GUIDE}backport-payload-content", "valueCode": content}]}
    if extra:
        made["channel"]["extension"] = extra
    return made


def result(code: str = "718-7", status: str = "final", subject: str = "Patient/p1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "status": status, "subject": {"reference": subject},
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **more,
    }  # fmt: skip
