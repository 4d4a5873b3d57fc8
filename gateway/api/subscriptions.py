"""Operations on Subscriptions: $status and $events (R5 Backport guide 1.1, for R4).

What is told of an event's resource is what the caller may read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer, listing
from gateway.api.arriving import Waiting
from gateway.api.guard import require
from gateway.api.offered import Offered
from gateway.api.parameters import pairs_of
from gateway.api.services import Services
from gateway.db.engine import Reader
from gateway.model import Resource
from gateway.store.stored import Stored
from gateway.subscriptions import notification, registry, topics
from gateway.subscriptions.notification import About, Told
from gateway.subscriptions.owing import wish_of
from gateway.subscriptions.wish import CONTENTS, GUIDE, Wish

T = TypeVar("T")
Asked = list[tuple[str, str]]

OFFERED = (
    Offered("status", f"{GUIDE}/OperationDefinition/backport-subscription-status", ("Subscription",)),
    Offered("events", f"{GUIDE}/OperationDefinition/backport-subscription-events", ("Subscription",)),
)
TOPICS = f"{GUIDE}/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
DOCUMENTATION = (
    "Channels of type rest-hook. The criteria is a search, or one of the topics named here (R5 Backport). Endpoints "
    "take https; private networks and http where the settings list them. Values of headers are kept secret."
)
EVENTS = 100  # in one answer of $events
STATUSES = 1000
_BIG = 1 << 62
_STATES = frozenset({"requested", "active", "error", "off"})


@dataclass(slots=True, eq=False)
class Subscriptions:
    """The handlers; each returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """They stand before those with an id in that place."""
        return [
            Route("/fhir/Subscription/$status", self.status, methods=["GET", "POST"]),
            Route("/fhir/Subscription/{id}/$status", self.status, methods=["GET", "POST"]),
            Route("/fhir/Subscription/{id}/$events", self.events, methods=["GET", "POST"]),
        ]

    async def status(self, request: Request) -> Response:
        """How it stands with one Subscription, with those that are named by `id`, or with all in a `status`."""
        require(request, request.state.grant.allows("Subscription", "r"), "system/Subscription.r")
        asked = await self._asked(request, frozenset({"id", "status"}))
        one = request.path_params.get("id", "")
        named = [one] if one else [each for name, value in asked if name == "id" for each in value.split(",") if each]
        states = {each for name, value in asked if name == "status" for each in value.split(",")}
        if states - _STATES:
            raise answer.Refusal(400, f"status is one of {', '.join(sorted(_STATES))}")
        return await self._hop(lambda: answer.fhir(request, self._statuses(request, named, states, only=one)))

    def _statuses(self, request: Request, named: list[str], states: set[str], *, only: str) -> Resource:
        record = self.services.record
        with self.services.overview.record.reading() as reader:
            if only:
                found = [self._stored(reader, only)]
            elif named:
                read = (record.read("Subscription", each, reader=reader) for each in dict.fromkeys(named))
                found = [each for each in read if each is not None and not each.deleted]
            else:
                found = record.search("Subscription", [("_count", str(STATUSES))], reader=reader).matches
            told = [(each.id, self._status(request, reader, each)) for each in found]
        kept = [
            (key, each) for key, each, state in ((key, *pair) for key, pair in told) if not states or state in states
        ]
        return notification.searchset(kept)

    def _status(self, request: Request, reader: Reader, stored: Stored) -> tuple[Resource, str]:
        resource = stored.resource
        about = self._about(request, reader, resource)
        return notification.status(about, "query-status", error=str(resource.get("error", ""))), about.state

    async def events(self, request: Request) -> Response:
        """The events of a topic's Subscription from eventsSinceNumber to eventsUntilNumber, both included."""
        require(request, request.state.grant.allows("Subscription", "r"), "system/Subscription.r")
        asked = dict(await self._asked(request, frozenset({"eventsSinceNumber", "eventsUntilNumber", "content"})))
        since, until = (_number(asked, name) for name in ("eventsSinceNumber", "eventsUntilNumber"))
        content = asked.get("content", "")
        if content and content not in CONTENTS:
            raise answer.Refusal(400, f"content is one of {', '.join(CONTENTS)}")
        return await self._hop(lambda: answer.fhir(request, self._events(request, since or 1, until or _BIG, content)))

    def _events(self, request: Request, since: int, until: int, content: str) -> Resource:
        services, key = self.services, request.path_params["id"]
        with services.overview.record.reading() as reader:
            stored = self._stored(reader, key)
            wish = wish_of(services.record, reader, key, topics.known(services.community.topics))
            if wish is None or wish.topic is None:
                raise answer.Refusal(422, "only Subscriptions to topics have events that are numbered")
            content = content or wish.content
            found = registry.events(reader, key, since=since, until=until, most=EVENTS)
            told = [self._told(request, reader, each, content) for each in found]
            about = self._about(request, reader, stored.resource, wish)
        at = found[-1].at if found else registry.now()
        return notification.bundle(
            about, "query-event", told, content=content, at=at, key=f"{since}-{until}-{content}-{len(told)}"
        )

    def _told(self, request: Request, reader: Reader, event: registry.Event, content: str) -> Told:
        if content != "empty":
            require(request, request.state.grant.allows(event.type, "r"), f"system/{event.type}.r")
        if content != "full-resource":
            return Told(event=event)
        stored = self.services.record.vread(event.type, event.id, event.version, reader=reader)
        return Told(event=event, resource=stored.resource if stored is not None and not stored.deleted else None)

    # ------------------------------------------------------------------------------------------ both

    def _stored(self, reader: Reader, key: str) -> Stored:
        stored = self.services.record.read("Subscription", key, reader=reader)
        if stored is None:
            raise answer.Refusal(404, "there is no Subscription with this id")
        if stored.deleted:
            raise answer.Refusal(410, "this Subscription was deleted")
        return stored

    def _about(self, request: Request, reader: Reader, resource: Resource, wish: Wish | None = None) -> About:
        standing = registry.one(reader, str(resource["id"]))
        criteria = str(resource["criteria"])
        topic = criteria if criteria in topics.known(self.services.community.topics) else ""
        topic = wish.topic.url if wish and wish.topic else topic
        return About(
            base=listing.base_url(request), id=str(resource["id"]), topic=topic, state=str(resource["status"]),
            events=standing.events if standing else 0,
        )  # fmt: skip

    async def _asked(self, request: Request, known: frozenset[str]) -> Asked:
        """The parameters of the address, and of a POST's Parameters."""
        pairs = await pairs_of(request, self.waiting, self.services.resource_limit)
        strange = next((name for name, _ in pairs if name not in known), None)
        if strange is not None:
            raise answer.Refusal(400, f"it takes {', '.join(sorted(known))}; not {strange[:40]!r}")
        return pairs

    async def _hop(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)


def _number(asked: dict[str, str], name: str) -> int:
    text = asked.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise answer.Refusal(400, f"{name} is the number of an event")
    return int(text)
