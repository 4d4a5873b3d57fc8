"""A whole web door over real databases in a folder, called in this process without a socket."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from gateway.api.door import create
from gateway.api.overview import Overview
from gateway.api.security import Tokens
from gateway.api.services import Services, State
from gateway.api.serving import configuration
from gateway.bulk import Exporter, Jobs
from gateway.db.commits import Commits
from gateway.db.engine import Transaction
from gateway.errors import Transient
from gateway.fhir import bundle
from gateway.formats import Formats
from gateway.journal.intake import Intake, Verdict
from gateway.mapping import maps
from gateway.model import Change, Channel, Community, Frame, Member, Profile
from gateway.store.exchange import Exchanged
from gateway.store.record import Record
from gateway.telemetry import Metrics
from tests.engines import Engines, Sqlite

BASE = "http://gateway.test"
START = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)


@dataclass(eq=False)
class Door:
    """The services, and switches for what the rooms behind do."""

    services: Services
    intake: Intake
    commits: Commits
    frames: list[Frame] = field(default_factory=list)
    reply: bytes = b""
    changes: list[Change] = field(default_factory=list)
    broken: bool = False
    state: State = "ok"
    minutes: int = 0
    tokens: dict[str, str] = field(default_factory=dict)  # scope → token

    async def receive(self, frame: Frame) -> bytes:
        if self.broken:
            raise Transient("the disk is full", place="journal.sqlite", remedy="free some space")
        self.frames.append(frame)
        return self.reply

    def store(self, *resources: dict[str, Any]) -> None:
        """Put resources into the record, each found again by its first identifier."""
        entries = []
        for resource in resources:
            number = resource["identifier"][0]
            request = bundle.update(resource["resourceType"], number["system"], number["value"])
            url = bundle.full_url(resource["resourceType"], number["value"])
            entries.append(bundle.entry(resource, url, request))
        self.minutes += 1
        at = START + timedelta(minutes=self.minutes)
        with self.services.tokens.engine.transaction() as transaction:
            self.services.record.apply(transaction, bundle.transaction(entries), at=at)

    async def write_record(self, work: Callable[[Transaction], Exchanged]) -> Exchanged:
        """What a client writes; its changes are kept for the test."""
        made = await self.commits.write(work)
        self.changes.extend(made.changes)
        return made

    def token(self, scope: str = "system/*.*") -> str:
        if scope not in self.tokens:
            self.tokens[scope] = self.services.tokens.create(name=scope, scope=scope)
        return self.tokens[scope]

    def write(self, body: bytes, **verdict: Any) -> int:
        """Put a message into the journal."""
        frame = Frame(channel="lab", body=body, peer="test", received_at=START)
        return self.intake.write_now(frame, Verdict(**verdict)).entry_id


@functools.cache
def shipped() -> Formats:
    """The maps as they are shipped, for an open community with one member."""
    lab = Member(id="lab", name="Lab", facilities=("LAB",), profile=Profile(version="2.4", charset="GB18030"))
    return Formats(Community(id="c", name="c", members={"lab": lab}, open=True), maps.load([maps.shipped()]))


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> Engines:
    """What the door stands on, --engine; a module whose SQL is its own asks for both engines."""
    if request.config.getoption("--engine") == "postgresql":
        found: Engines = request.getfixturevalue("postgresql")
        return found
    return Sqlite()


@pytest.fixture
def door(tmp_path: Path, databases: Engines) -> Iterator[Door]:
    journal = databases.open(tmp_path, "journal")
    record = databases.open(tmp_path, "record")
    intake = Intake(journal)
    intake.start()
    channels = (
        Channel(id="lab-web", transport="http", format="hl7v2"),
        Channel(id="lab-mllp", transport="mllp", format="hl7v2"),
    )
    services = Services(
        community=Community(id="c", name="c", members={"lab": Member(id="lab", name="Lab", channels=channels)}),
        record=Record(record),
        overview=Overview(journal, record),
        tokens=Tokens(record),
        metrics=Metrics(),
        receive=lambda frame: made.receive(frame),
        write=lambda work: made.write_record(work),
        formats=shipped,
        bulk=Exporter(Jobs(record, lambda: made.services.now()), tmp_path / "exports"),
        state=lambda: made.state,
        version="1.2.3",
        now=lambda: START,
        intake_limit=64 * 1024,
        waiting_limit=96 * 1024,
    )
    made = Door(services, intake, Commits(record))
    yield made
    made.commits.close()
    intake.close()
    journal.close()
    record.close()


@pytest.fixture
async def address(door: Door) -> AsyncIterator[str]:
    server = uvicorn.Server(configuration(create(door.services), host="127.0.0.1", port=0))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


@pytest.fixture
async def anyone(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a token."""
    transport = httpx.ASGITransport(create(door.services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


@pytest.fixture
async def client(door: Door, anyone: httpx.AsyncClient) -> httpx.AsyncClient:
    """A caller who may everything."""
    anyone.headers["authorization"] = f"Bearer {door.token()}"
    return anyone


def patient(number: str, **more: Any) -> dict[str, Any]:
    identifier = [{"system": "urn:hutong:id:LAB", "value": number}]
    return {"resourceType": "Patient", "identifier": identifier, "name": [{"text": "张三", "family": "张"}], **more}


def observation(number: str, subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "identifier": [{"system": "urn:hutong:id:LAB:OBX", "value": number}],
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": subject},
        "effectiveDateTime": "2026-03-05T10:00:00+08:00",
        **more,
    }
