"""The half that empties the queues. Only one may run over a data directory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from gateway import patience, telemetry, worker
from gateway.api.security import Tokens
from gateway.app.charts import Charts
from gateway.app.rooms import Rooms
from gateway.app.translator import Translator
from gateway.errors import Transient
from gateway.fhir import bundle as bundles
from gateway.inbound import Processor, nothing_ahead
from gateway.journal import unknown
from gateway.journal.suspect import Suspect
from gateway.mapping.context import CREDIT_CODE
from gateway.model import Member, Resource, State, Subscription
from gateway.outbound import Dispatcher
from gateway.parts import Parts
from gateway.store.record import Record
from gateway.subscriptions import topics
from gateway.subscriptions.keeper import Keeper
from gateway.subscriptions.owing import Owing
from gateway.transport import Sender, sender

SHARED_EVERY = 1.0  # seconds between two looks whether the worker has counted something
CHARTS_AGAIN = 10.0  # seconds until code tables that could not be written are tried again


class Back:
    """One thread that works on what arrived, and one task for every subscription that sends what is owed."""

    def __init__(self, rooms: Rooms, translator: Translator | None = None, *, fell: bool = False) -> None:
        self.rooms = rooms
        self.translator = translator
        self.suspect = Suspect(rooms.data / "in-work", fell=fell)
        self.record = Record(rooms.record)
        self._stop = threading.Event()
        self._stopping = asyncio.Event()
        self._senders: list[Sender] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._bells: list[asyncio.Event] = []
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Raises Transient when the record cannot be written, Configuration when a sender cannot be made."""
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self.rooms.index)
        await asyncio.to_thread(self._know_members)
        await asyncio.to_thread(
            unknown.ask_again, self.rooms.journal, self.rooms.record, self.rooms.formats.knows
        )  # codes that were mapped since: their messages are translated again
        processor = Processor(
            community=self.rooms.community,
            formats=self.rooms.formats,
            record=self.record,
            channels=self.rooms.channels,
            parts=Parts(self.rooms.bodies),
            made_ahead=self.translator.fetch if self.translator else nothing_ahead,
            subscribed=Owing(self.record, topics.known(self.rooms.community.topics)),
        )
        for member in self.rooms.community.members.values():
            for subscription in member.subscriptions:
                self._tasks.append(asyncio.create_task(self._line(member, subscription).run()))
        self._tasks.append(asyncio.create_task(self._keeper(processor).run()))
        drain = worker.EntryDrain(
            journal=self.rooms.journal,
            record=self.rooms.record,
            process=processor.process,
            stop=self._stop,
            ahead=self.translator.ask if self.translator else None,
            suspect=self.suspect,
            told=lambda state, seconds: self.rooms.metrics.processed(state.value, seconds=seconds),
            committed=lambda: _ring(loop, self._bells),
        )
        self._tasks.append(asyncio.create_task(self._share_metrics()))
        self._tasks.append(asyncio.create_task(self._write_charts(processor)))
        self._thread = threading.Thread(target=drain.run, name="worker", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Ends the work under way (under 2 s); what is left is done after the next start."""
        self._stop.set()
        self._stopping.set()
        if self.translator is not None:
            await asyncio.to_thread(self.translator.close)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in self._senders:
            await each.close()
        self.suspect.close()

    async def _share_metrics(self) -> None:
        while not self._stopping.is_set():
            await asyncio.to_thread(self.rooms.metrics.share)
            with suppress(TimeoutError):
                async with asyncio.timeout(SHARED_EVERY):
                    await self._stopping.wait()

    async def _write_charts(self, processor: Processor) -> None:
        """Beside the work; where the record cannot be written now, once more a little later."""
        made = Charts(
            engine=self.rooms.record,
            formats=self.rooms.formats,
            owe=lambda transaction, change: processor.owe(transaction, change, ""),
            stopped=self._stop.is_set,
        )
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(made.write)
                return
            except Transient as error:
                telemetry.logger().warning("code tables not written", trouble=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(CHARTS_AGAIN):
                    await self._stopping.wait()

    def _line(self, member: Member, subscription: Subscription) -> worker.DeliveryDrain:
        profile = subscription.profile or member.profile
        made = sender(msgspec.structs.replace(subscription, profile=profile), self.rooms.data)
        self._senders.append(made)
        dispatcher = Dispatcher(
            community=self.rooms.community,
            maps=self.rooms.formats.maps,
            record=self.record,
            engine=self.rooms.record,
            member=member,
            subscription=subscription,
            sender=made,
        )
        bell = asyncio.Event()
        self._bells.append(bell)
        return worker.DeliveryDrain(
            subscription=subscription.id,
            record=self.rooms.record,
            send=dispatcher.send,
            stop=self._stopping,
            wake=bell,
            parallel=made.parallel,
            policy=patience.Policy(refusals=subscription.attempts),
            told=_counted(self.rooms.metrics, subscription.id),
        )

    def _keeper(self, processor: Processor) -> Keeper:
        tokens, community = Tokens(self.rooms.record), self.rooms.community
        keeper = Keeper(
            record=self.record, engine=self.rooms.record, topics=topics.known(community.topics), hooks=community.hooks,
            grants=lambda maker: grant.allows if (grant := tokens.of_digest(maker)) else None,
            changed=lambda transaction, change: processor.owe(transaction, change, ""), stop=self._stopping,
            told=lambda line: _counted(self.rooms.metrics, line),
        )  # fmt: skip
        self._bells.append(keeper.bell)
        return keeper

    def _know_members(self) -> None:
        """Every member is an Organization of the record, with its name; the same at every start."""
        entries = []
        for each in map(organization, self.rooms.community.members.values()):
            number = each["identifier"][0]
            url = bundles.full_url("Organization", number["value"])
            entries.append(bundles.entry(each, url, bundles.update("Organization", number["system"], number["value"])))
        if entries:
            with self.rooms.record.transaction() as transaction:
                self.record.apply(transaction, bundles.transaction(entries), at=datetime.now(UTC))


def organization(member: Member) -> Resource:
    """A member as FHIR Organization, under all numbers that mean it."""
    numbers = [each for each in (member.identifier, *member.facilities) if CREDIT_CODE.fullmatch(each)]
    identifiers = [{"system": "urn:oid:2.16.156.10011.1.5", "value": each} for each in dict.fromkeys(numbers)]
    return {
        "resourceType": "Organization",
        "identifier": [*identifiers, {"system": "urn:hutong:member", "value": member.id}],
        "active": True,
        "name": member.name,
    }


def _counted(metrics: telemetry.Metrics, subscription: str) -> Callable[[State, float], None]:
    return lambda state, seconds: metrics.delivered(subscription, outcome=state.value, seconds=seconds)


def _ring(loop: asyncio.AbstractEventLoop, bells: list[asyncio.Event]) -> None:
    for bell in bells:
        loop.call_soon_threadsafe(bell.set)
