"""The Bundles and Parameters of topic-based Subscriptions, as the R5 Backport guide 1.1 writes them for R4. Pure.

A notification is a Bundle of type history: first the status as Parameters, then, as the Subscription wishes, nothing,
the addresses, or the resources of its events. The same call gives the same bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.model import Resource
from gateway.store.stored import instant
from gateway.subscriptions.registry import Event
from gateway.subscriptions.wish import GUIDE

STATUS: Final = f"{GUIDE}/StructureDefinition/backport-subscription-status-r4"
NOTIFICATION: Final = f"{GUIDE}/StructureDefinition/backport-subscription-notification-r4"

_METHODS = {"create": ("POST", "201"), "update": ("PUT", "200"), "delete": ("DELETE", "204")}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whose notification it is."""

    base: str  # address of this service
    id: str  # of the Subscription
    topic: str  # canonical; "" for one with criteria of its own
    state: str
    events: int  # since it was made

    @property
    def url(self) -> str:
        return f"{self.base}/Subscription/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event and, where it is told whole, its resource."""

    event: Event
    resource: Resource | None = None


def status(about: About, kind: str, told: Sequence[Told] = (), *, content: str = "empty", error: str = "") -> Resource:
    """The status as Parameters. `kind`: handshake, heartbeat, event-notification, query-status, query-event."""
    parameters: list[dict[str, Any]] = [{"name": "subscription", "valueReference": {"reference": about.url}}]
    if about.topic:
        parameters.append({"name": "topic", "valueCanonical": about.topic})
    parameters += [
        {"name": "status", "valueCode": about.state},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(about.events)},
        *(_event(about, each.event, content) for each in told),
    ]
    if error:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": error}})
    return {"resourceType": "Parameters", "meta": {"profile": [STATUS]}, "parameter": parameters}


def bundle(about: About, kind: str, told: Sequence[Told] = (), *, content: str, at: int, key: str) -> Resource:
    """The notification. `at` (milliseconds since 1970) and `key` make it the same whenever it is written."""
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{about.url}#{key}")
    own = {"id": str(name), **status(about, kind, told, content=content)}
    head = {
        "fullUrl": f"urn:uuid:{name}",
        "resource": {"resourceType": own.pop("resourceType"), **own},
        "request": {"method": "GET", "url": f"{about.url}/$status"},
        "response": {"status": "200"},
    }
    return {
        "resourceType": "Bundle",
        "id": str(uuid.uuid5(name, "bundle")),
        "meta": {"profile": [NOTIFICATION]},
        "type": "history",
        "timestamp": instant(at),
        "entry": [head, *(_entry(about, each) for each in _once(told) if content != "empty")],
    }


def searchset(statuses: Iterable[tuple[str, Resource]]) -> Resource:
    """The answer of $status: (id of the Subscription, its status as Parameters)."""
    entries = [
        {"fullUrl": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, key)}", "resource": each, "search": {"mode": "match"}}
        for key, each in statuses
    ]
    found: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return {**found, "entry": entries} if entries else found


def _event(about: About, event: Event, content: str) -> dict[str, Any]:
    """No reference to the resource where the Subscription wishes none of its content."""
    parts: list[dict[str, Any]] = [
        {"name": "event-number", "valueString": str(event.number)},
        {"name": "timestamp", "valueInstant": instant(event.at)},
    ]
    if content != "empty":
        parts.append({"name": "focus", "valueReference": {"reference": f"{about.base}/{event.type}/{event.id}"}})
    return {"name": "notification-event", "part": parts}


def _once(told: Sequence[Told]) -> list[Told]:
    """Of several events about one version only the last (R4 bundle.html bdl-7 holds by the version)."""
    return list({(each.event.type, each.event.id, each.event.version): each for each in told}.values())


def _entry(about: About, told: Told) -> dict[str, Any]:
    event = told.event
    method, code = _METHODS[event.interaction]
    address = event.type if method == "POST" else f"{event.type}/{event.id}"
    entry: dict[str, Any] = {"fullUrl": f"{about.base}/{event.type}/{event.id}"}
    if told.resource is not None:
        entry["resource"] = told.resource
    return {**entry, "request": {"method": method, "url": address}, "response": {"status": code}}
