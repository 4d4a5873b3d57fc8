"""What a FHIR client writes, with what a Subscription needs besides: checks, hidden headers, its row, its handshake.

A Subscription belongs to the token that wrote it last: it is told what that may read, and nothing when it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from gateway.api import listing
from gateway.api.guard import require
from gateway.api.services import Services
from gateway.db.engine import Transaction
from gateway.errors import Configuration
from gateway.fhir import definitions, validate
from gateway.journal.outbox import Outbox
from gateway.model import Change, Resource
from gateway.store.exchange import Asked, Done, Exchanged
from gateway.subscriptions import registry, topics
from gateway.subscriptions.life import owe_sign
from gateway.subscriptions.wish import Header, Wish, headers, masked, read, unmasked
from gateway.transport.hook import ENDPOINT
from gateway.transport.reach import reach, target_of

TYPE = "Subscription"
_ASKED_FOR = ("criteria", "_criteria", "channel", "end")  # of another value of these the endpoint is asked anew


def exchanged(
    services: Services, request: Request, transaction: Transaction, asked: Sequence[Asked], *, together: bool = False
) -> Exchanged:
    """Everything that a client writes goes this way. Raises what Record.exchange does; Configuration naming the element
    of a Subscription that makes no sense, Refusal for one that wants to hear what its maker may not read."""
    drafts = {id(each): _Draft(services, request, transaction) for each in asked if each.type == TYPE}
    for each in asked if drafts else ():
        if each.type == TYPE and each.method != "DELETE":
            each.settle = drafts[id(each)].settle
    base = listing.base_url(request)
    made = services.record.exchange(transaction, asked, at=services.now(), together=together, base=base)
    for done in made.done if drafts else ():
        if done.asked.type == TYPE and done.stored is not None:
            drafts[id(done.asked)].note(done)
    return made


@dataclass(slots=True, eq=False)
class _Draft:
    """One Subscription on its way into the record."""

    services: Services
    request: Request
    transaction: Transaction
    settled: bool = False
    secrets: list[Header] = field(default_factory=list)

    def settle(self, arriving: Resource, stored: Resource | None) -> Resource:
        """The Subscription as it is kept."""
        validate.check(arriving)
        arriving = _relative(arriving, listing.base_url(self.request))
        standing = registry.one(self.transaction, str(arriving["id"]))
        self.secrets = unmasked(headers(arriving), standing.headers if standing else ())
        status = str(arriving["status"])
        wish = None if status == "off" else self._wish(arriving)
        hidden = masked(arriving)
        same = stored is not None and all(hidden.get(name) == stored.get(name) for name in _ASKED_FOR)
        same = same and standing is not None and list(standing.headers) == self.secrets
        before = str((stored or {}).get("status", "")) if standing is not None else ""
        status = _status(status, before, same=same, topic=wish is not None and wish.topic is not None)
        kept: dict[str, Any] = {name: value for name, value in hidden.items() if name != "error"}
        if status == "error" and stored is not None and "error" in stored:
            kept["error"] = stored["error"]
        self.settled = True
        return {**kept, "status": status}

    def _wish(self, arriving: Resource) -> Wish:
        """Raises Configuration or Refusal for what it may not ask for."""
        community = self.services.community
        wish = read(arriving, topics.known(community.topics))
        try:
            problem = reach(community.hooks).written_problem(target_of(wish.endpoint))
        except ValueError as error:
            problem = str(error)
        if problem:
            raise Configuration(problem, place=ENDPOINT, remedy="choose another, or have its network listed")
        if wish.ends and wish.ends <= registry.now():
            raise Configuration("its end is over", place="Subscription.end", remedy="choose a later one")
        grant = self.request.state.grant
        for type_name in sorted(wish.types):
            require(self.request, grant.allows(type_name, "r"), f"system/{type_name}.r")
        if wish.chained:
            require(self.request, grant.allows("*", "s"), "system/*.s for chained criteria")
        return wish

    def note(self, done: Done) -> None:
        """Its row, and the handshake that a topic's endpoint has to answer before it is told anything."""
        stored = done.stored
        if stored is None:
            return
        if stored.deleted:
            registry.drop(self.transaction, stored.id, "the Subscription was deleted")
            registry.remove(self.transaction, stored.id)
            return
        if not self.settled:
            return  # If-None-Exist found one: it stays as it is
        status = str(stored.resource["status"])
        registry.put(
            self.transaction, stored.id, state=status, maker=self.request.state.grant.digest,
            base=listing.base_url(self.request), headers=self.secrets,
        )  # fmt: skip
        if status == "off":
            registry.drop(self.transaction, stored.id, "the Subscription is off")
        if status == "requested":
            owe_sign(self.transaction, Outbox(), stored.id, Change(
                type=TYPE, id=stored.id, version=stored.version, transaction=stored.transaction,
                interaction="handshake",
            ))  # fmt: skip


def _relative(subscription: Resource, base: str) -> Resource:
    """Criteria are a search of this service, and some clients write its address before them."""
    text = str(subscription["criteria"]).strip()
    search = text.removeprefix(f"{base}/")
    if search == text or search.partition("?")[0] not in definitions.resource_types():
        return subscription
    return {**subscription, "criteria": search}


def _status(asked: str, before: str, *, same: bool, topic: bool) -> str:
    """R4 subscription.html: a client asks for `requested` or `off`, the server says `active` and `error`. Whoever
    writes back what it read changes nothing."""
    match asked:
        case "off":
            return "off"
        case "error":
            if before != "error":
                remedy = "write requested or off"
                raise Configuration("only the server says error", place="Subscription.status", remedy=remedy)
            return "error"
        case "active" if same and before == "active":
            return "active"
    return "requested" if topic else "active"
