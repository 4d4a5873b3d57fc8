"""A committed change → what is owed to Subscriptions, in the transaction of the change.

They are kept by the type they tell about, so that a change of which nobody wants to hear costs one look at a number.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.db.engine import Reader, Transaction
from gateway.errors import Configuration
from gateway.journal.outbox import Outbox
from gateway.model import Change, Resource, Topic, Trigger
from gateway.routing.criteria import compile_criteria, indexed
from gateway.store.alone import Alone, Keys, question
from gateway.store.exchange import Asked
from gateway.store.record import Record
from gateway.store.stored import Stored
from gateway.subscriptions import registry
from gateway.subscriptions.wish import Wish, masked, read

EVENTS = "events"  # the order key of all that is sent about a topic: strictly by number
HANDSHAKE = "handshake"

_NEVER = -1


@dataclass(slots=True, eq=False)
class _Subject:
    """One change as it is looked at: the version now, and the one before where somebody asks."""

    transaction: Reader
    record: Record
    change: Change
    now: Stored
    _before: Stored | None = None

    @property
    def before(self) -> Stored | None:
        """The version before; None for a new resource, and for one that was deleted before."""
        if self._before is None and self.change.version > 1:
            change = self.change
            found = self.record.vread(change.type, change.id, change.version - 1, reader=self.transaction)
            self._before = None if found is None or found.deleted else found
        return self._before


@dataclass(slots=True, eq=False)
class _Wishes:
    """Those that tell about one resource type, the rare ones by what a resource must have."""

    every: list[Wish] = field(default_factory=list)
    keyed: dict[tuple[int, str], list[Wish]] = field(default_factory=dict)

    def add(self, wish: Wish) -> None:
        needs = wish.question.needs if wish.question else ()
        for key in needs[0] if needs else ():
            self.keyed.setdefault(key, []).append(wish)
        if not needs:
            self.every.append(wish)

    def among(self, keys: Keys) -> list[Wish]:
        """Those that may want a resource with these keys, each once."""
        found = [wish for key in keys for wish in self.keyed.get(key, ())]
        return [*self.every, *{wish.id: wish for wish in found}.values()]


@dataclass(slots=True, eq=False)
class Owing:
    """Call it for every change. For one writer at a time."""

    record: Record
    topics: Mapping[str, Topic]
    outbox: Outbox = field(default_factory=Outbox)
    _alone: Alone = field(default_factory=Alone, init=False)
    _transaction: Transaction | None = field(default=None, init=False)  # in which the number was looked at
    _edition: int = field(default=_NEVER, init=False)
    _wishes: Mapping[str, _Wishes] = field(default_factory=dict, init=False)  # by resource type

    def __call__(self, transaction: Transaction, change: Change) -> None:
        """Owe it to whoever asked for it."""
        if change.type == "Subscription":
            self._not_by_message(transaction, change)
        if transaction is not self._transaction or change.type == "Subscription":
            self._look(transaction)
        wishes = self._wishes.get(change.type)
        if wishes is None:
            return
        stored = self.record.vread(change.type, change.id, change.version, reader=transaction)
        if stored is None:
            return
        subject = _Subject(transaction, self.record, change, stored)
        keys = self._alone.keys(stored) if wishes.keyed and not stored.deleted else frozenset()
        for wish in wishes.among(keys):
            if self._wants(wish, subject):
                self._owe(transaction, wish, change)

    def forget(self) -> None:
        """The next change looks anew."""
        self._transaction = None

    def _not_by_message(self, transaction: Transaction, change: Change) -> None:
        """One that came in a message has no maker whose rights it could have: it is off, and says so."""
        if change.interaction == "delete" or registry.one(transaction, change.id) is not None:
            return
        stored = self.record.read(change.type, change.id, reader=transaction)
        if stored is None or stored.resource.get("status") == "off":
            return
        off = {**masked(stored.resource), "status": "off", "error": "a Subscription is made at the web door"}
        asked = Asked(method="PUT", type=change.type, id=change.id, resource=off)
        self.record.exchange(transaction, [asked], at=datetime.now(UTC))

    def _look(self, transaction: Transaction) -> None:
        self._transaction = transaction
        edition = registry.edition(transaction)
        if edition == self._edition:
            return
        wishes: dict[str, _Wishes] = {}
        for standing in registry.living(transaction):
            wish = wish_of(self.record, transaction, standing.id, self.topics)
            if wish is not None:
                for type_name in wish.types:
                    wishes.setdefault(type_name, _Wishes()).add(wish)
        self._wishes, self._edition = wishes, edition

    def _owe(self, transaction: Transaction, wish: Wish, change: Change) -> None:
        number = registry.next_event(transaction, wish.id)
        key = EVENTS if wish.topic else change.reference
        delivery = self.outbox.owe(transaction, f"{registry.LINE}{wish.id}", key, change)
        if wish.topic:
            registry.add_event(transaction, wish.id, number, delivery)

    # ------------------------------------------------------------------------------------------ who wants it

    def _wants(self, wish: Wish, subject: _Subject) -> bool:
        if wish.question is not None:  # R4: "the server checks every resource that is created or updated"
            return self._alone.found(wish.question, subject.now, subject.transaction)
        triggers = wish.topic.triggers if wish.topic else ()
        return any(self._triggered(each, subject) for each in triggers) and self._kept(wish, subject)

    def _triggered(self, trigger: Trigger, subject: _Subject) -> bool:
        if trigger.resource != subject.change.type or subject.change.interaction not in trigger.on:
            return False
        if trigger.current and not subject.now.deleted:
            asked = _asked(trigger.resource, trigger.current)
            if not self._alone.found(asked, subject.now, subject.transaction):
                return False
        before = subject.before if trigger.previous or trigger.changed else None
        if before is None:
            return True
        if trigger.previous and not _held(f"{trigger.resource}?{trigger.previous}", before.resource):
            return False
        now, then = subject.now.resource, before.resource
        return not trigger.changed or any(now.get(name) != then.get(name) for name in trigger.changed)

    def _kept(self, wish: Wish, subject: _Subject) -> bool:
        """Do the filters of the Subscription let it through?"""
        filters = [each for each in wish.filters if each.type == subject.change.type]
        if subject.now.deleted:
            before = subject.before
            gone = before.resource if before else {}
            return all(each.gone.holds(gone, indexed(gone)) for each in filters)
        return all(self._alone.found(each.now, subject.now, subject.transaction) for each in filters)


_asked = functools.lru_cache(maxsize=1024)(question)  # of the topics


def _held(criteria: str, resource: Resource) -> bool:
    return compile_criteria(criteria).holds(resource, indexed(resource))


def wish_of(record: Record, reader: Reader, id: str, topics: Mapping[str, Topic]) -> Wish | None:
    """What a stored Subscription asks for; None where that makes no sense any more (a topic that is gone)."""
    stored = record.read("Subscription", id, reader=reader)
    if stored is None or stored.deleted:
        return None
    try:
        return read(stored.resource, topics)
    except Configuration:
        return None
