"""One delivery → a call to the endpoint of a Subscription, and its receipt.

An R4 Subscription has each resource PUT to `endpoint/Type/id`, or the endpoint called with nothing (R4
subscription.html#2.46.7.1). One about a topic has its notification POSTed, with the events that wait behind it as far
as it takes several. Only what the token that made it may read is told; when that token is gone, so is it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from gateway.db.engine import Engine, Reader
from gateway.errors import Configuration, Transient
from gateway.fhir import json, xml
from gateway.model import Delivery, Receipt, Resource
from gateway.store.record import Record
from gateway.subscriptions import notification, registry
from gateway.subscriptions.notification import About, Told
from gateway.subscriptions.registry import Event, Standing
from gateway.subscriptions.wish import Wish
from gateway.transport.hook import Call

LARGEST = 8 * 1024 * 1024  # bytes of resources in one notification: no further event is added beyond
_CHANGES = frozenset({"create", "update", "delete"})

Allows = Callable[[str, str], bool]  # (resource type, verb r or s)
Grants = Callable[[bytes], Allows | None]  # by the SHA-256 of a token; None: it is not valid any more


class Ended(Configuration):
    """Nothing may be sent to it any more: the token that made it is gone."""


class Sender(Protocol):
    """Sends one call: transport/hook.py."""

    async def send(self, call: Call) -> Receipt:
        """Raises our errors."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """Writes and sends what is owed to one Subscription."""

    wish: Wish
    record: Record
    engine: Engine
    sender: Sender
    grants: Grants

    async def send(self, delivery: Delivery) -> Receipt:
        """The endpoint's receipt, with what else it took. Raises our errors; the worker decides what happens next."""
        call, also = await asyncio.to_thread(self.write, delivery)
        return replace(await self.sender.send(call), also=also)

    def write(self, delivery: Delivery) -> tuple[Call, tuple[int, ...]]:
        """The call of one delivery, and the ids of further ones that it holds. Raises Ended, or Transient when the
        Subscription does not stand as it did."""
        with self.engine.reading() as reader:
            standing = registry.one(reader, self.wish.id)
            if standing is None or standing.state not in ("active", "requested"):
                raise Transient("the Subscription is not active", place=standing.line if standing else "")
            allows = self.grants(standing.maker)
            if allows is None or not all(allows(each, "r") for each in self.wish.types):
                cause = "the token that made the Subscription is not valid any more"
                raise Ended(cause, place=standing.line, remedy="make it anew with a valid token")
            if self.wish.topic is None:
                return self._plain(reader, standing, delivery), ()
            if delivery.change.interaction in _CHANGES:
                return self._events(reader, standing, delivery)
            return self._sign(reader, standing, delivery), ()

    def _call(self, standing: Standing, *, method: str, url: str, body: bytes, key: str) -> Call:
        own = {"Content-Type": f"{self.wish.payload}; charset=utf-8"} if body else {}
        headers = {**own, "Idempotency-Key": key, **dict(standing.headers)}
        return Call(method=method, url=url, headers=headers, body=body, timeout=self.wish.timeout)

    def _body(self, resource: Resource) -> bytes:
        return xml.to_xml(resource) if self.wish.payload.endswith("xml") else json.dumps(resource)

    # ------------------------------------------------------------------------------------------ criteria of its own

    def _plain(self, reader: Reader, standing: Standing, delivery: Delivery) -> Call:
        key = delivery.idempotency
        if not self.wish.payload:
            return self._call(standing, method="POST", url=self.wish.endpoint, body=b"", key=key)
        change = delivery.change
        stored = self.record.vread(change.type, change.id, change.version, reader=reader)
        if stored is None or stored.deleted:
            raise Configuration("the record no longer holds what is owed", place=change.reference, remedy="let it rest")
        body = stored.body if self.wish.payload.endswith("json") else xml.to_xml(stored.resource)
        return self._call(standing, method="PUT", url=_below(self.wish.endpoint, change.reference), body=body, key=key)

    # ------------------------------------------------------------------------------------------ topics

    def _about(self, standing: Standing, events: int) -> About:
        topic = self.wish.topic.url if self.wish.topic else ""
        return About(base=standing.base, id=standing.id, topic=topic, state=standing.state, events=events)

    def _sign(self, reader: Reader, standing: Standing, delivery: Delivery) -> Call:
        """A handshake or a heartbeat."""
        kind = delivery.change.interaction
        at = reader.execute(registry.OWED_AT, (delivery.id,))[0][0]
        about = self._about(standing, standing.events)
        key = delivery.idempotency
        made = notification.bundle(about, kind, content="empty", at=at, key=key)
        return self._call(standing, method="POST", url=self.wish.endpoint, body=self._body(made), key=key)

    def _events(self, reader: Reader, standing: Standing, delivery: Delivery) -> tuple[Call, tuple[int, ...]]:
        """This event and those behind it, as many as it takes and as fit."""
        ids = [delivery.id]
        asked = (delivery.subscription, delivery.key, delivery.id, self.wish.most - 1)
        ids += [number for (number,) in reader.execute(registry.FOLLOWING, asked)] if self.wish.most > 1 else []
        told: list[Told] = []
        size = 0
        for number in ids:
            found = registry.event_of(reader, standing.id, number)
            if found is None:
                break  # a heartbeat: it is sent by itself
            resource, length = self._told(reader, found)
            size += length
            if told and size > LARGEST:
                break
            told.append(Told(event=found, resource=resource))
        if not told:
            raise Configuration("the event of this delivery is not known", place=standing.line, remedy="let it rest")
        key = delivery.idempotency if len(told) == 1 else f"{delivery.idempotency}-{len(told)}"
        last = told[-1].event
        made = notification.bundle(
            self._about(standing, last.number), "event-notification", told, content=self.wish.content, at=last.at,
            key=key,
        )  # fmt: skip
        call = self._call(standing, method="POST", url=self.wish.endpoint, body=self._body(made), key=key)
        return call, tuple(ids[1 : len(told)])

    def _told(self, reader: Reader, event: Event) -> tuple[Resource | None, int]:
        """The resource of an event as it stood then, and its size; None where it is not told whole."""
        if self.wish.content != "full-resource":
            return None, 0
        stored = self.record.vread(event.type, event.id, event.version, reader=reader)
        return (stored.resource, len(stored.body)) if stored is not None and not stored.deleted else (None, 0)


def _below(endpoint: str, path: str) -> str:
    """`endpoint/path`, in front of the query that the endpoint may have."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))
