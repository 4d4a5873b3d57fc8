"""Composition root: builds the rooms, starts and stops them. The only file that knows all.

    Front   takes messages and answers reads: MLLP, folders, the web door; writes the journal, never the record
    Back    empties the queues: translates, applies to the record, sends what is owed; the record's only steady writer

`serve` runs the two as two processes over the same files: translation never delays an acknowledgement, and each half
is restarted when it falls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import uvicorn

from gateway import config, telemetry, worker
from gateway.api import Services, create
from gateway.api.overview import Overview
from gateway.api.security import Tokens
from gateway.api.serving import configuration
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Configuration
from gateway.formats import Formats
from gateway.inbound import Processor, Receiver
from gateway.journal.intake import Intake
from gateway.mapping import maps
from gateway.mapping.context import CREDIT_CODE
from gateway.model import Channel, Community, Member, Resource, State, Subscription
from gateway.outbound import Dispatcher
from gateway.store.record import Record
from gateway.transport import Listener, Sender, listener, sender
from gateway.transport.address import host_and_port
from gateway.transport.mllp import MllpListener

SHARED = Channel(id="mllp", transport="mllp", format="hl7v2")  # the port that all members may use, known by MSH-4
METRICS = "metrics"  # folder in the data directory that the two processes share
READY = b"ready\n"

Channels = Mapping[str, tuple[Member | None, Channel]]


@dataclass(slots=True, kw_only=True)
class Rooms:
    """What both halves need: settings, maps, databases."""

    community: Community
    data: Path
    metrics: telemetry.Metrics
    formats: Formats = field(init=False)
    journal: SqliteEngine = field(init=False)
    record: SqliteEngine = field(init=False)
    channels: Channels = field(init=False)

    def __post_init__(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        folders = [maps.shipped(), *map(Path, self.community.map_folders)]
        self.formats = Formats(self.community, maps.load(folders))
        self.journal = SqliteEngine(self.data / "journal.sqlite", schema="journal")
        self.record = SqliteEngine(self.data / "record.sqlite", schema="record")
        own = {channel.id: (member, channel) for member in self.community.members.values() for channel in member.channels}
        self.channels = {SHARED.id: (None, SHARED), **own}

    def close(self) -> None:
        self.journal.close()
        self.record.close()


def settings(path: Path | None) -> Community:
    """The checked settings of a community.yaml, or the open starter community."""
    return config.load(path) if path else config.starter()


# -------------------------------------------------------------------------------------------------- front


class Front:
    """Takes messages and answers reads. `start` returns when everything listens."""

    def __init__(self, rooms: Rooms, *, http: str, mllp: str) -> None:
        self.rooms = rooms
        self.intake = Intake(rooms.journal)
        self.receiver = Receiver(
            community=rooms.community, formats=rooms.formats, intake=self.intake, metrics=rooms.metrics, channels=rooms.channels
        )
        self.mllp = MllpListener(mllp, channel=SHARED.id)
        self._http = host_and_port(http, place="--http")
        self._listeners: list[Listener] = [self.mllp]
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.ready = False

    @property
    def http_address(self) -> tuple[str, int]:
        """(host, port) as bound, after `start`."""
        assert self._server is not None
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        return host, port

    async def start(self) -> None:
        """Raises Configuration when a port or folder cannot be opened."""
        self.intake.start()
        self._listeners += [listener(channel, self.rooms.data) for _, channel in self.rooms.channels.values() if _listens(channel)]
        for each in self._listeners:
            await each.listen(self.receiver.receive)
        self._server = uvicorn.Server(configuration(create(self._services()), host=self._http[0], port=self._http[1]))
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # stopping is `serve`'s
        self._serving = asyncio.create_task(_quietly(self._server))
        while not self._server.started:
            if self._serving.done():
                raise Configuration("the port cannot be opened", place=f"--http {self._http[0]}:{self._http[1]}", remedy="free it or choose another")
            await asyncio.sleep(0.005)
        self.ready = True

    async def stop(self) -> None:
        """Takes nothing new, answers what is under way."""
        self.ready = False
        for each in self._listeners:
            await each.close()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        await asyncio.to_thread(self.intake.close)

    def _services(self) -> Services:
        rooms = self.rooms
        return Services(
            community=rooms.community,
            record=Record(rooms.record),
            overview=Overview(rooms.journal, rooms.record),
            tokens=Tokens(rooms.record),
            metrics=rooms.metrics,
            receive=self.receiver.receive,
            ready=lambda: self.ready,
            version=version(),
        )


def _listens(channel: Channel) -> bool:
    return channel.transport == "files" or (channel.transport == "mllp" and bool(channel.listen))


async def _quietly(server: uvicorn.Server) -> None:
    """uvicorn leaves the program when a port is taken; here it is an error like any other."""
    with contextlib.suppress(SystemExit):
        await server._serve()  # noqa: SLF001 - `serve` would take over the signals


def version() -> str:
    try:
        return metadata.version("hutong")
    except metadata.PackageNotFoundError:
        return "0"


# --------------------------------------------------------------------------------------------------- back


class Back:
    """Empties the queues. Only one may run over a data directory."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.record = Record(rooms.record)
        self._stop = threading.Event()
        self._stopping = asyncio.Event()
        self._senders: list[Sender] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._bells: list[asyncio.Event] = []
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._know_members)
        processor = Processor(community=self.rooms.community, formats=self.rooms.formats, record=self.record, channels=self.rooms.channels)
        for member in self.rooms.community.members.values():
            for subscription in member.subscriptions:
                self._tasks.append(asyncio.create_task(self._line(member, subscription).run()))
        drain = worker.EntryDrain(
            journal=self.rooms.journal,
            record=self.rooms.record,
            process=processor.process,
            stop=self._stop,
            told=lambda state, seconds: self.rooms.metrics.processed(state.value, seconds=seconds),
            committed=lambda: loop.call_soon_threadsafe(self._ring),
        )
        self._thread = threading.Thread(target=drain.run, name="worker", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Ends the work under way (under 2 s); what is left is done after the next start."""
        self._stop.set()
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in self._senders:
            await each.close()

    def _line(self, member: Member, subscription: Subscription) -> worker.DeliveryDrain:
        profiled = subscription if subscription.profile else _with_profile(subscription, member)
        made = sender(profiled, self.rooms.data)
        self._senders.append(made)
        dispatcher = Dispatcher(
            community=self.rooms.community, maps=self.rooms.formats.maps, record=self.record, engine=self.rooms.record,
            member=member, subscription=subscription, sender=made,
        )  # fmt: skip
        bell = asyncio.Event()
        self._bells.append(bell)
        return worker.DeliveryDrain(
            subscription=subscription.id,
            record=self.rooms.record,
            send=dispatcher.send,
            stop=self._stopping,
            wake=bell,
            parallel=made.parallel,
            policy=worker.Policy(refusals=subscription.attempts),
            told=_delivered(self.rooms.metrics, subscription.id),
        )

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()

    def _know_members(self) -> None:
        """Every member is an Organization of the record, with its name; the same at every start."""
        organizations = [organization(member) for member in self.rooms.community.members.values()]
        if not organizations:
            return
        from gateway.fhir import bundle as bundles

        entries = []
        for each in organizations:
            number = each["identifier"][0]
            url = bundles.full_url("Organization", number["value"])
            entries.append(bundles.entry(each, url, bundles.update("Organization", number["system"], number["value"])))
        with self.rooms.record.transaction() as transaction:
            self.record.apply(transaction, bundles.transaction(entries), at=datetime.now(UTC))


def organization(member: Member) -> Resource:
    """A member as FHIR Organization, under all numbers that mean it."""
    numbers = [*(each for each in (member.identifier, *member.facilities) if CREDIT_CODE.fullmatch(each))]
    identifiers = [{"system": "urn:oid:2.16.156.10011.1.5", "value": each} for each in dict.fromkeys(numbers)]
    made: Resource = {"resourceType": "Organization", "identifier": [*identifiers, {"system": "urn:hutong:member", "value": member.id}]}
    return {**made, "active": True, "name": member.name}


def _with_profile(subscription: Subscription, member: Member) -> Subscription:
    import msgspec

    return msgspec.structs.replace(subscription, profile=member.profile)


def _delivered(metrics: telemetry.Metrics, subscription: str) -> Callable[[State, float], None]:
    return lambda state, seconds: metrics.delivered(subscription, outcome=state.value, seconds=seconds)


# -------------------------------------------------------------------------------------------------- serve


def serve(*, config: Path | None, data: Path, http: str, mllp: str) -> None:
    """Runs the gateway until SIGTERM or SIGINT. The worker is a process of its own and is started again when it falls."""
    telemetry.configure(sys.stderr)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as stack:
        stack.enter_context(alone(data))
        telemetry.clear(data / METRICS)
        helper = _Supervisor(config=config, data=data)
        stack.callback(helper.stop)
        helper.start()
        asyncio.run(_front(config=config, data=data, http=http, mllp=mllp))


async def _front(*, config: Path | None, data: Path, http: str, mllp: str) -> None:
    rooms = Rooms(community=settings(config), data=data, metrics=telemetry.Metrics(data / METRICS))
    front = Front(rooms, http=http, mllp=mllp)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await front.start()
        telemetry.logger().info("serving", address=f"{front.http_address[0]}:{front.http_address[1]}")
        await stopped.wait()
    finally:
        await front.stop()
        rooms.close()


def work(*, config: Path | None, data: Path) -> None:
    """The worker process: runs until its standard input closes (its supervisor is gone) or it is told to stop."""
    telemetry.configure(sys.stderr)
    asyncio.run(_back(config=config, data=data))


async def _back(*, config: Path | None, data: Path) -> None:
    rooms = Rooms(community=settings(config), data=data, metrics=telemetry.Metrics(data / METRICS))
    back = Back(rooms)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C reaches the whole group; the supervisor decides
    threading.Thread(target=_watch_parent, args=(lambda: loop.call_soon_threadsafe(stopped.set),), daemon=True).start()
    try:
        await back.start()
        await stopped.wait()
    finally:
        await back.stop()
        rooms.close()


def _watch_parent(gone: Callable[[], object]) -> None:
    while os.read(0, 1024):
        pass
    gone()


class _Supervisor:
    """Keeps one worker process alive."""

    PAUSES = (0.2, 1.0, 5.0)  # seconds before it is started again

    def __init__(self, *, config: Path | None, data: Path) -> None:
        chosen = ["--config", str(config)] if config else []
        self._command = [sys.executable, "-m", "gateway", "work", "--data", str(data), *chosen]
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._process = self._spawn()
        self._thread.start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE)  # noqa: S603 - our own program

    def _run(self) -> None:
        falls = 0
        while not self._stopping.is_set() and self._process is not None:
            began = time.monotonic()
            code = self._process.wait()
            if self._stopping.is_set():
                return
            falls = 0 if time.monotonic() - began > 60 else falls + 1
            telemetry.logger().error("worker fell", code=str(code))
            self._stopping.wait(self.PAUSES[min(falls, len(self.PAUSES) - 1)])
            if not self._stopping.is_set():
                self._process = self._spawn()

    def stop(self) -> None:
        self._stopping.set()
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=8)
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


@contextlib.contextmanager
def alone(data: Path) -> Iterator[None]:
    """Only one gateway runs over a data directory. Raises Configuration when another one does."""
    import fcntl

    with (data / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Configuration("another gateway runs over this data directory", place=str(data), remedy="stop it or choose another --data") from None
        yield


