"""The half that takes messages and answers reads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from gateway import telemetry
from gateway.api.door import create
from gateway.api.overview import Overview
from gateway.api.security import Tokens
from gateway.api.services import Services, State
from gateway.api.serving import configuration
from gateway.app import charts
from gateway.app.editions import Edition
from gateway.app.rooms import EXPORTS, SHARED, Channels, Rooms, version
from gateway.bulk import Exporter, Jobs
from gateway.db.commits import Commits
from gateway.db.engine import Transaction
from gateway.errors import Configuration, Transient
from gateway.formats import Formats
from gateway.inbound import Processor, Receiver
from gateway.inquiries import Inquiries
from gateway.journal.intake import Intake
from gateway.model import Channel, Frame
from gateway.people import RULE, compare
from gateway.store import reindexing
from gateway.store.exchange import Exchanged
from gateway.store.joining import Reason
from gateway.store.record import Record
from gateway.subscriptions import topics
from gateway.subscriptions.owing import Owing
from gateway.transport import Listener, listener
from gateway.transport.address import host_and_port
from gateway.transport.mllp import MllpListener
from gateway.transport.pickup import Pickup
from gateway.transport.secret import is_there

if TYPE_CHECKING:
    from gateway.polling import Poller


TABLES = 15.0  # seconds
INDEXED_EVERY = 0.5  # seconds between two looks whether the record is indexed


class Front:
    """MLLP, folders and the web door over one journal. `start` returns when everything listens."""

    def __init__(self, rooms: Rooms, *, http: str, mllp: str) -> None:
        self.rooms = rooms
        self.intake = Intake(rooms.journal)
        self._commits = Commits(rooms.record)
        self.receiver = Receiver(
            community=rooms.community,
            formats=rooms.formats,
            intake=self.intake,
            metrics=rooms.metrics,
            channels=rooms.channels,
            inquiries=self._inquiries(rooms.formats),
            bodies=rooms.bodies,
        )
        self.processor = self._processor(rooms.formats, rooms.channels)
        self.mllp = MllpListener(mllp, channel=SHARED.id)
        self.exporter = Exporter(Jobs(rooms.record, lambda: datetime.now(UTC)), rooms.data / EXPORTS)
        self.state: State = "starting"
        self._indexing: asyncio.Task[None] | None = None
        self._tables = False
        self.settings: dict[str, object] = {"edition": 1, "problem": ""}  # what /health says of them
        self._services = self._rooms_behind_the_door()
        self._http = host_and_port(http, place="--http")
        self._listeners: list[Listener] = []  # those that listen
        self._pollers: list[Poller] = []
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def http_address(self) -> tuple[str, int]:
        """(host, port) as bound; after `start`."""
        if self._server is None or not self._server.servers:
            return self._http
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        return host, port

    async def receive(self, frame: Frame) -> bytes:
        """One frame, by the settings of this moment."""
        return await self.receiver.receive(frame)

    async def write(self, work: Callable[[Transaction], Exchanged]) -> Exchanged:
        """What a FHIR client writes: durable together with what is owed for it."""
        return await self._commits.write(partial(self._owed, work))

    def _owed(self, work: Callable[[Transaction], Exchanged], transaction: Transaction) -> Exchanged:
        made = work(transaction)
        compare(transaction, made.changes, reason=Reason(by=RULE, why="", at=datetime.now(UTC)), join=False)
        for change in made.changes:
            self.processor.owe(transaction, change, "")
        return made

    async def tables(self) -> None:
        """Returns once the record holds the code tables: the worker of a new one writes them first of all. Never waits
        longer than TABLES seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TABLES):
                while not self._tables:
                    self._tables = await asyncio.to_thread(charts.written, self.rooms.record)
                    if not self._tables:
                        await asyncio.sleep(0.05)
        self._tables = True  # whoever waits once has waited for all

    def take(self, edition: Edition) -> None:
        """Other settings and maps, from the next message on. Ports and folders stay as they were opened."""
        formats = edition.formats
        self.receiver = replace(
            self.receiver, community=formats.community, formats=formats, channels=edition.channels,
            inquiries=self._inquiries(formats),
        )  # fmt: skip
        self.processor = self._processor(formats, edition.channels)
        self._services.community = formats.community
        listening, wanted = _doors(self.rooms.channels), _doors(edition.channels)
        restart = sorted(name for name in listening.keys() | wanted.keys() if listening.get(name) != wanted.get(name))
        self.settings = {"edition": edition.number, "problem": "", **({"restart for": restart} if restart else {})}

    def _inquiries(self, formats: Formats) -> Inquiries:
        return Inquiries(
            formats=formats, record=Record(self.rooms.record), engine=self.rooms.record,
            indexed=lambda: self.state != "indexing",
        )  # fmt: skip

    async def start(self) -> None:
        """Raises Configuration when a port or folder cannot be opened."""
        self.intake.start()
        if not await asyncio.to_thread(reindexing.is_current, self.rooms.record):
            self.state = "indexing"
        own = [channel for _, channel in self.rooms.channels.values() if _listens(channel)]
        for each in (self.mllp, *map(self._listener, own)):
            await each.listen(self.receive)
            self._listeners.append(each)
        await self._open_web_door()
        self._poll()
        if self.state == "indexing":
            self._indexing = asyncio.create_task(self._indexed())
        else:
            self._served()

    async def _indexed(self) -> None:
        """Messages are taken meanwhile; the worker makes the index."""
        while self.state == "indexing":
            await asyncio.sleep(INDEXED_EVERY)
            with contextlib.suppress(Transient):
                if await asyncio.to_thread(reindexing.is_current, self.rooms.record):
                    self._served()

    def _served(self) -> None:
        self.exporter.start()
        self.state = "ok"

    def _listener(self, channel: Channel) -> Listener:
        made = listener(channel, self.rooms.data)
        if isinstance(made, Pickup):
            made.told = lambda outcome: self.rooms.metrics.filed(channel.id, outcome)
        return made

    def _poll(self) -> None:
        """The databases of members; one that is away keeps nobody waiting."""
        for member, channel in self.rooms.channels.values():
            if member is not None and channel.database is not None:
                if channel.database.optional and not is_there(channel.database.url):
                    telemetry.logger().info("database off", channel=channel.id, place=channel.database.url)
                    continue
                from gateway.polling import Poller  # half a second that only this needs

                poller = Poller(
                    member=member, channel=channel, settings=channel.database, formats=lambda: self.receiver.formats,
                    journal=self.rooms.journal, metrics=self.rooms.metrics,
                )  # fmt: skip
                poller.start()
                self._pollers.append(poller)

    async def _open_web_door(self) -> None:
        host, port = self._http
        self._server = uvicorn.Server(configuration(create(self._services), host=host, port=port))
        self._serving = asyncio.create_task(_quietly(self._server))
        while not self._server.started:
            if self._serving.done():
                remedy = "free it, or choose another"
                raise Configuration("the port cannot be opened", place=f"--http {host}:{port}", remedy=remedy)
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Takes nothing new, answers what is under way; under 4 s."""
        self.state = "starting"
        if self._indexing is not None:
            self._indexing.cancel()
        if self._server is not None:
            self._server.should_exit = True
        polled = (asyncio.to_thread(each.close) for each in self._pollers)
        await asyncio.gather(*(each.close() for each in self._listeners), *polled)
        if self._serving is not None:
            await self._serving
        await asyncio.to_thread(self._commits.close)
        await asyncio.to_thread(self.exporter.stop)
        await asyncio.to_thread(self.intake.close)

    def _processor(self, formats: Formats, channels: Channels) -> Processor:
        record = Record(self.rooms.record)
        return Processor(
            community=formats.community, formats=formats, record=record, channels=channels,
            subscribed=Owing(record, topics.known(formats.community.topics)),
        )  # fmt: skip

    def _rooms_behind_the_door(self) -> Services:
        rooms = self.rooms
        return Services(
            community=rooms.community,
            record=Record(rooms.record),
            overview=Overview(rooms.journal, rooms.record, rooms.bodies),
            tokens=Tokens(rooms.record),
            metrics=rooms.metrics,
            receive=self.receive,
            write=self.write,
            formats=lambda: self.receiver.formats,
            bulk=self.exporter,
            settings=lambda: self.settings,
            state=lambda: self.state,
            tables=self.tables,
            version=version(),
        )


def _listens(channel: Channel) -> bool:
    """An http channel is the web door's; an mllp channel without an address of its own uses the shared port."""
    return channel.of_files or (channel.transport == "mllp" and bool(channel.listen))


def _doors(channels: Channels) -> dict[str, Channel]:
    """The channels with a port, a folder or a database of their own."""
    return {
        name: channel for name, (_, channel) in channels.items() if _listens(channel) or channel.transport == "database"
    }


async def _quietly(server: uvicorn.Server) -> None:
    """uvicorn leaves the program when a port is taken; here it is an error like any other."""
    with contextlib.suppress(SystemExit):
        await server._serve()  # `serve` would take over the signals
