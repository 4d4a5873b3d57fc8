"""The gateway's rooms in one process, for tests that look inside: receive, process once, see what is owed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import config, telemetry
from gateway.app.rooms import channels_of
from gateway.db.sqlite import SqliteEngine
from gateway.formats import Formats
from gateway.inbound import Processor, Receiver
from gateway.inquiries import Inquiries
from gateway.journal.bodies import Bodies
from gateway.journal.intake import Intake
from gateway.journal.ledger import Ledger, Line, Owed
from gateway.mapping import maps
from gateway.model import Frame, Resource
from gateway.parts import Parts
from gateway.store.record import Record
from gateway.worker import EntryDrain
from tests import community

MAPS = maps.load([maps.shipped()])  # once for all tests: it takes a quarter of a second


class House:
    """All rooms over fresh databases; nothing runs by itself."""

    def __init__(self, home: Path, *, everybody: bool = False, own_maps: Path | None = None) -> None:
        self.community = config.load(community.write(home / "community", everybody=everybody))
        self.data = home / "data"
        self.data.mkdir()
        self.journal = SqliteEngine(self.data / "journal.sqlite", schema="journal")
        self.record = SqliteEngine(self.data / "record.sqlite", schema="record")
        self.channels = channels_of(self.community)
        self.bodies = Bodies(self.data)
        self.intake = Intake(self.journal)
        self.intake.start()
        self.metrics = telemetry.Metrics()
        self.ledger = Ledger(self.journal, self.record)
        self.store = Record(self.record)
        self.use(own_maps)

    def use(self, own_maps: Path | None) -> None:
        """As after a start with these maps beside the shipped ones."""
        known = maps.load([maps.shipped(), own_maps]) if own_maps else MAPS
        self.formats = Formats(self.community, known)
        self.receiver = Receiver(
            community=self.community,
            formats=self.formats,
            intake=self.intake,
            metrics=self.metrics,
            channels=self.channels,
            inquiries=Inquiries(formats=self.formats, record=self.store, engine=self.record),
            bodies=self.bodies,
        )
        self.processor = Processor(
            community=self.community, formats=self.formats, record=self.store, channels=self.channels,
            parts=Parts(self.bodies),
        )  # fmt: skip

    def drain(self, **changes: Any) -> EntryDrain:
        """A worker over these rooms; `changes` are fields of the Processor."""
        processor = replace(self.processor, **changes)
        return EntryDrain(journal=self.journal, record=self.record, process=processor.process, stop=threading.Event())

    def process(self, **changes: Any) -> None:
        """Everything that waits, until nothing does."""
        drain = self.drain(**changes)
        while drain.once():
            pass

    async def receive(
        self, body: bytes, *, channel: str = "mllp", peer: str = "127.0.0.1:5000", identity: str = ""
    ) -> bytes:
        """The answer to one frame."""
        at = datetime.now(UTC)
        return await self.receiver.receive(
            Frame(channel=channel, body=body, peer=peer, received_at=at, identity=identity)
        )

    async def walk(self, *bodies: bytes, channel: str = "mllp") -> list[Line]:
        """Receive these, process everything; what became of them."""
        for body in bodies:
            await self.receive(body, channel=channel)
        self.process()
        return self.entries()[-len(bodies) :]

    def entries(self) -> list[Line]:
        """All entries in the order in which they came."""
        return self.ledger.entries()[::-1]

    def owed(self) -> list[Owed]:
        """All deliveries in the order in which they were owed."""
        return self.ledger.deliveries()[::-1]

    def search(self, query: str) -> list[Resource]:
        """The resources that a FHIR search finds."""
        kind, _, parameters = query.partition("?")
        return [each.resource for each in self.store.search(kind, parameters).matches]

    def counts(self) -> Mapping[str, int]:
        """How many resources of each type the record holds."""
        return self.store.statistics()

    def close(self) -> None:
        self.intake.close()
        self.journal.close()
        self.record.close()


def states(lines: Iterable[Line]) -> list[str]:
    """Where they stand."""
    return [line.state for line in lines]
