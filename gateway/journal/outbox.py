"""Deliveries owed: written in the transaction of the change, kept until the receiver's receipt or a person's decision.

Order: of one subscription and key, strictly by id; the next leaves when the one before it is done, parked or dead.
A delivery may be sent twice (after a crash before its receipt was noted), always with the same idempotency key.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable
from datetime import datetime

from gateway.db.engine import Reader, Row, Transaction
from gateway.errors import Permanent
from gateway.journal.work import due_between, told
from gateway.model import Change, Delivery, Receipt, State

ANSWER_LIMIT = 64 * 1024  # bytes kept of an answer

OWE = """
    INSERT INTO delivery (subscription, key, state, due, attempts, refusals, nonce, type, resource, version, committed,
                          interaction, owed, changed, error, cause, place, remedy, code)
    VALUES (?, ?, 'waiting', 0, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', '', '') RETURNING id
"""
DUE = """
    SELECT id, subscription, key, type, resource, version, committed, interaction, attempts, nonce
      FROM delivery
     WHERE subscription = ? AND state = 'waiting' AND (due <= ? OR due > ?)
       AND (key = '' OR NOT EXISTS (SELECT 1 FROM delivery AS earlier
             WHERE earlier.subscription = delivery.subscription AND earlier.key = delivery.key
               AND earlier.state = 'waiting' AND earlier.id < delivery.id))
     ORDER BY id LIMIT ?
"""
NEXT_DUE = "SELECT min(due) FROM delivery WHERE subscription = ? AND state = 'waiting' AND due > ?"
REFUSALS = "SELECT refusals FROM delivery WHERE id = ?"
SENT = """
    UPDATE delivery SET state = 'done', changed = ?, code = ?, answer = ?,
           error = '', cause = '', place = '', remedy = ''
     WHERE id = ?
"""
COUNT_SENT = """
    INSERT INTO delivery_count (subscription, sent) VALUES (?, 1)
    ON CONFLICT (subscription) DO UPDATE SET sent = delivery_count.sent + 1
"""
FAILED = """
    UPDATE delivery SET state = ?, due = ?, attempts = attempts + 1, refusals = refusals + ?, changed = ?,
           error = ?, cause = ?, place = ?, remedy = ?
     WHERE id = ?
"""
REPLAY = """
    UPDATE delivery SET state = 'waiting', due = 0, attempts = 0, refusals = 0, changed = ?
     WHERE id = ? AND state IN ('parked', 'dead') RETURNING id
"""


class Outbox:
    """All methods run inside the caller's transaction or snapshot. Times are aware."""

    def owe(self, transaction: Transaction, subscription: str, key: str, change: Change) -> int:
        """Owe one subscription one change; `key` keeps the order ("" = none). Returns the delivery's id."""
        now = int(time.time() * 1000)
        nonce = secrets.token_hex(4).upper()
        moved = (change.type, change.id, change.version, change.transaction, change.interaction)
        return int(transaction.execute(OWE, (subscription, key, nonce, *moved, now, now))[0][0])

    def due(
        self, reader: Reader, subscription: str, *, now: datetime, limit: int, blocked: Collection[str] = ()
    ) -> list[Delivery]:
        """The first waiting delivery of each key, where it is due and its key is not `blocked` (under way)."""
        rows = reader.execute(DUE, (subscription, *due_between(now), limit + len(blocked)))
        found = (_delivery(row) for row in rows)
        return [delivery for delivery in found if delivery.key not in blocked][:limit]

    def next_due(self, reader: Reader, subscription: str, *, now: datetime) -> int | None:
        """When the first that is not due yet will be, in milliseconds since 1970; None when nothing is to be tried."""
        earliest: int | None = reader.execute(NEXT_DUE, (subscription, _ms(now)))[0][0]
        return earliest

    def refusals(self, reader: Reader, delivery: Delivery) -> int:
        """How often the receiver has said no so far (a dead line does not count)."""
        found = reader.execute(REFUSALS, (delivery.id,))
        return int(found[0][0]) if found else 0

    def sent(self, transaction: Transaction, delivery: Delivery, receipt: Receipt) -> None:
        """The receiver took it, and what else the receipt names; the receipt is kept."""
        at, answer = int(receipt.at.timestamp() * 1000), receipt.body[:ANSWER_LIMIT]
        for number in (delivery.id, *receipt.also):
            transaction.execute(SENT, (at, receipt.code, answer if number == delivery.id else b"", number))
            transaction.execute(COUNT_SENT, (delivery.subscription,))

    def later(self, transaction: Transaction, delivery: Delivery, error: Exception, due: datetime) -> None:
        """It is tried again when due, at most an hour from now; later ones of its key wait behind it."""
        self._failed(transaction, delivery, State.WAITING, error, due=_ms(due))

    def parked(self, transaction: Transaction, delivery: Delivery, error: Exception) -> None:
        """It waits for a person."""
        self._failed(transaction, delivery, State.PARKED, error)

    def dead(self, transaction: Transaction, delivery: Delivery, error: Exception) -> None:
        """It will not be taken as it is."""
        self._failed(transaction, delivery, State.DEAD, error)

    def replay(self, transaction: Transaction, ids: Iterable[int]) -> list[int]:
        """Parked and dead deliveries wait again, with the same idempotency key; returns which."""
        now = int(time.time() * 1000)
        return [delivery for delivery in ids if transaction.execute(REPLAY, (now, delivery))]

    def _failed(
        self, transaction: Transaction, delivery: Delivery, state: State, error: Exception, *, due: int = 0
    ) -> None:
        refused = isinstance(error, Permanent)
        now = int(time.time() * 1000)
        transaction.execute(FAILED, (state.value, due, refused, now, *told(error), delivery.id))


def idempotency(id: int, nonce: str) -> str:
    """20 characters (MSH-10 in HL7 v2.5.1 §2.14.9.10 takes 20): sorts by id, and differs between installations."""
    return f"{id:012X}{nonce}"


def _delivery(row: Row) -> Delivery:
    number, subscription, key, kind, resource, version, committed, interaction, attempts, nonce = row
    change = Change(type=kind, id=resource, version=version, transaction=committed, interaction=interaction)
    return Delivery(
        id=number,
        subscription=subscription,
        key=key,
        change=change,
        attempts=attempts,
        idempotency=idempotency(number, nonce),
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
