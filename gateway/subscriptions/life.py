"""The states of a Subscription (R4 valueset-subscription-status.html), and what moves it.

    requested   a handshake is awaited (topics); changes are owed already
    active      what is owed is sent
    error       the endpoint took nothing for too long, refused too often, or may not be spoken to: what is owed is
                kept; a client that writes `requested` has it sent
    off         nothing is owed, what waited is dropped: by the client, by its end, by the end of its token

Everything here happens inside the caller's transaction: with the receipt, or with the failure, that it follows from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway import telemetry
from gateway.db.engine import Transaction
from gateway.errors import Configuration, HutongError
from gateway.journal.outbox import Outbox
from gateway.model import Change, Delivery, Hooks, Receipt, Resource, State
from gateway.store.exchange import Asked
from gateway.store.record import Record
from gateway.subscriptions import registry
from gateway.subscriptions.owing import EVENTS, HANDSHAKE
from gateway.subscriptions.registry import LINE, Standing
from gateway.subscriptions.sending import Ended

SIGNS = frozenset({"handshake", "heartbeat"})
HANDSHAKE_PATIENCE = 300.0  # seconds; the endpoint should answer while its maker looks on

Changed = Callable[[Transaction, Change], None]  # a change of a Subscription, as any other change


def owe_sign(transaction: Transaction, outbox: Outbox, id: str, change: Change) -> None:
    """A handshake or a heartbeat is owed like a change: `change` is one of the Subscription, by interaction."""
    key = EVENTS
    if change.interaction == "handshake":
        key = HANDSHAKE
        registry.drop(transaction, id, "a newer one is sent", key=HANDSHAKE)
    outbox.owe(transaction, f"{LINE}{id}", key, change)


@dataclass(slots=True, kw_only=True, eq=False)
class Life:
    """What the worker's findings mean for a Subscription. The verbs run inside its transactions."""

    record: Record
    hooks: Hooks
    changed: Changed
    moved: Callable[[], None]  # told that lines must be looked at
    _first: dict[int, int] = field(default_factory=dict, init=False)  # delivery → when it first failed

    def taken(self, transaction: Transaction, delivery: Delivery, _receipt: Receipt) -> None:
        """The endpoint took it."""
        key = delivery.subscription.removeprefix(LINE)
        self._first.pop(delivery.id, None)
        standing = registry.one(transaction, key)
        if standing is None:
            return
        registry.took(transaction, key)
        kind = delivery.change.interaction
        if kind == "handshake" and standing.state == "requested":
            self.turn(transaction, key, "active")
        if kind in SIGNS:
            transaction.execute(registry.FORGET, (delivery.id,))

    def failed(self, transaction: Transaction, delivery: Delivery, error: Exception, state: State) -> State:
        """It did not; returns how the delivery is left. What is owed to an endpoint in error waits."""
        key = delivery.subscription.removeprefix(LINE)
        standing = registry.one(transaction, key)
        if standing is None or standing.state == "off":
            return State.DEAD  # it was dropped while it was under way
        if standing.state == "error":
            return State.WAITING
        if isinstance(error, Ended):
            self.turn(transaction, key, "off", str(error.cause))
            return State.DEAD
        if not isinstance(error, HutongError):
            return state  # a defect of ours, parked by itself
        first = self._first.setdefault(delivery.id, registry.now())
        registry.failing(transaction, key)
        if state is State.DEAD and delivery.key not in (EVENTS, HANDSHAKE) and standing.spoke > first:
            self._first.pop(delivery.id)
            return State.DEAD  # the endpoint takes others: it is this one that it does not want
        if state is not State.WAITING or self._too_long(standing, delivery):
            self._first.clear()
            self.turn(transaction, key, "error", _words(error))
        return State.WAITING

    def _too_long(self, standing: Standing, delivery: Delivery) -> bool:
        patience = self.hooks.patience
        if delivery.key == HANDSHAKE:
            patience = min(patience, HANDSHAKE_PATIENCE)
        return bool(standing.failing) and registry.now() - standing.failing > patience * 1000

    def turn(self, transaction: Transaction, id: str, state: str, error: str = "") -> None:
        """It stands otherwise: its row, and its resource for everybody to see."""
        registry.turn(transaction, id, state)
        if state == "off":
            registry.drop(transaction, id, "the Subscription is off")
        asked = Asked(method="PATCH", type="Subscription", id=id, patch=lambda stored: _said(stored, state, error))
        made = self.record.exchange(transaction, [asked], at=datetime.now(UTC))
        for change in made.changes:
            self.changed(transaction, change)
        telemetry.logger().info("subscription turned", subscription=f"{LINE}{id}", state=state)
        self.moved()


def _said(stored: Resource, state: str, error: str) -> Resource:
    rest = {name: value for name, value in stored.items() if name != "error"}
    return {**rest, "status": state, **({"error": error} if error else {})}


def _words(error: HutongError) -> str:
    kind = "" if isinstance(error, Configuration) else "tried again and again: "
    return f"{kind}{error.cause}{f' ({error.place})' if error.place else ''}"[:500]
