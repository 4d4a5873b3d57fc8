"""The rows beside the Subscription resources: what matching and sending need, and nobody reads by the web door.

The resource says what is asked for, its row where it stands. Whoever changes a row so that other changes are owed, or
other endpoints called, gives the table another edition; others keep what they have read until they see that.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.db.engine import Reader, Row, Transaction
from gateway.errors import Configuration
from gateway.subscriptions.wish import Header

LINE: Final = "Subscription/"  # + id: to whom deliveries are owed
MAXIMUM: Final = 1000  # Subscriptions that are not off

_COLUMNS = "id, state, maker, base, headers, events, spoke, failing, changed, edition"
ONE = f"SELECT {_COLUMNS} FROM subscription WHERE id = ?"  # noqa: S608
LIVING = f"SELECT {_COLUMNS} FROM subscription WHERE state <> 'off' ORDER BY id"  # noqa: S608
COUNT = "SELECT count(*) FROM subscription WHERE state <> 'off' AND id <> ?"
PUT = """
    INSERT INTO subscription (id, state, maker, base, headers, events, spoke, failing, changed, edition)
    VALUES (?, ?, ?, ?, ?, 0, 0, 0, ?, 1)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, maker = excluded.maker, base = excluded.base,
        headers = excluded.headers, failing = 0, changed = excluded.changed, edition = subscription.edition + 1
"""
STATE = "UPDATE subscription SET state = ?, failing = 0, changed = ?, edition = edition + 1 WHERE id = ?"
TOOK = "UPDATE subscription SET spoke = ?, failing = 0 WHERE id = ?"
FAILING = "UPDATE subscription SET failing = ? WHERE id = ? AND failing = 0"
DELETE = "DELETE FROM subscription WHERE id = ?"
EDITION = "SELECT nonce FROM subscription_edition WHERE one = 1"
NEW_EDITION = "UPDATE subscription_edition SET nonce = ? WHERE one = 1"

NEXT_EVENT = "UPDATE subscription SET events = events + 1 WHERE id = ? RETURNING events"
ADD_EVENT = "INSERT INTO subscription_event (subscription, number, delivery, at) VALUES (?, ?, ?, ?)"
DELETE_EVENTS = "DELETE FROM subscription_event WHERE subscription = ?"
EVENTS = """
    SELECT e.number, e.at, d.type, d.resource, d.version, d.interaction
      FROM subscription_event e JOIN delivery d ON d.id = e.delivery
     WHERE e.subscription = ? AND e.number >= ? AND e.number <= ? ORDER BY e.number LIMIT ?
"""
EVENT_OF = """
    SELECT e.number, e.at, d.type, d.resource, d.version, d.interaction
      FROM subscription_event e JOIN delivery d ON d.id = e.delivery WHERE e.delivery = ? AND e.subscription = ?
"""
FOLLOWING = """
    SELECT id FROM delivery WHERE subscription = ? AND key = ? AND state = 'waiting' AND id > ? ORDER BY id LIMIT ?
"""
OWED_AT = "SELECT owed FROM delivery WHERE id = ?"
DROP = """
    UPDATE delivery SET state = 'dead', changed = ?, error = 'Configuration', cause = ?, place = '', remedy = ''
     WHERE subscription = ? AND state = 'waiting' AND (? = '' OR key = ?)
"""
REARM = """
    UPDATE delivery SET due = 0, attempts = 0, refusals = 0 WHERE subscription = ? AND state = 'waiting'
"""
FORGET = "DELETE FROM delivery WHERE id = ?"
WAITING = """
    SELECT s.id FROM subscription s WHERE s.state IN ('active', 'requested') AND EXISTS (
        SELECT 1 FROM delivery d WHERE d.subscription = 'Subscription/' || s.id AND d.state = 'waiting' AND d.due <= ?)
"""
ANYTHING = "SELECT 1 FROM delivery WHERE subscription = ? AND state = 'waiting' LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one Subscription stands. Times are milliseconds since 1970, 0 for never."""

    id: str
    state: str  # requested (a handshake is awaited) | active | error | off
    maker: bytes  # SHA-256 of the token that wrote it last: it is told what that may read
    base: str  # address of this service, as its maker wrote it
    headers: tuple[Header, ...]  # secret
    events: int  # number of the last one
    spoke: int  # the endpoint last took something
    failing: int  # it has taken nothing since; 0: nothing is wrong
    changed: int  # the state, last
    edition: int  # grows with every change of what is asked for, and of the state

    @property
    def line(self) -> str:
        return f"{LINE}{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a topic: the change of one resource."""

    number: int
    at: int
    type: str
    id: str
    version: int
    interaction: str


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def one(reader: Reader, id: str) -> Standing | None:
    """The row of a Subscription; None for one that is not alive here."""
    rows = reader.execute(ONE, (id,))
    return _standing(rows[0]) if rows else None


def living(reader: Reader) -> list[Standing]:
    """All that are not off."""
    return [_standing(row) for row in reader.execute(LIVING)]


def edition(reader: Reader) -> int:
    """A number that differs after every change of the table that matters to others."""
    return int(reader.execute(EDITION)[0][0])


def put(transaction: Transaction, id: str, *, state: str, maker: bytes, base: str, headers: Sequence[Header]) -> None:
    """A client wrote it. Raises Configuration when there are too many."""
    if state != "off" and transaction.execute(COUNT, (id,))[0][0] >= MAXIMUM:
        remedy = "end those that nobody needs"
        raise Configuration(f"there are {MAXIMUM} Subscriptions already", place="Subscription.status", remedy=remedy)
    transaction.execute(PUT, (id, state, maker, base, json.dumps(headers), now()))
    transaction.execute(REARM, (f"{LINE}{id}",))  # what waited in vain is tried at once
    _touch(transaction)


def turn(transaction: Transaction, id: str, state: str) -> None:
    """It stands otherwise now."""
    transaction.execute(STATE, (state, now(), id))
    _touch(transaction)


def remove(transaction: Transaction, id: str) -> None:
    """Its resource was deleted."""
    transaction.execute(DELETE, (id,))
    transaction.execute(DELETE_EVENTS, (id,))
    _touch(transaction)


def took(transaction: Transaction, id: str) -> None:
    """The endpoint took something."""
    transaction.execute(TOOK, (now(), id))


def failing(transaction: Transaction, id: str) -> None:
    """The endpoint took nothing; since when is kept."""
    transaction.execute(FAILING, (now(), id))


def drop(transaction: Transaction, id: str, cause: str, *, key: str = "") -> None:
    """What waits for it (of one order key, where one is named) is sent no more."""
    transaction.execute(DROP, (now(), cause, f"{LINE}{id}", key, key))


def waiting(reader: Reader) -> list[str]:
    """The Subscriptions to which something is to be sent now."""
    return [key for (key,) in reader.execute(WAITING, (now(),))]


def next_event(transaction: Transaction, id: str) -> int:
    """The number of a new event: one more than the last one's."""
    return int(transaction.execute(NEXT_EVENT, (id,))[0][0])


def add_event(transaction: Transaction, id: str, number: int, delivery: int) -> None:
    """That number is this delivery's."""
    transaction.execute(ADD_EVENT, (id, number, delivery, now()))


def events(reader: Reader, id: str, *, since: int, until: int, most: int) -> list[Event]:
    """The events from one number to another, both included, at most so many."""
    return [_event(row) for row in reader.execute(EVENTS, (id, since, until, most))]


def event_of(reader: Reader, id: str, delivery: int) -> Event | None:
    """The event that a delivery tells of; None for a handshake or a heartbeat."""
    rows = reader.execute(EVENT_OF, (delivery, id))
    return _event(rows[0]) if rows else None


def _standing(row: Row) -> Standing:
    key, state, maker, base, headers, number, spoke, failing_since, changed, edition_ = row
    return Standing(
        id=key, state=state, maker=bytes(maker), base=base, events=number, spoke=spoke, failing=failing_since,
        headers=tuple((name, value) for name, value in json.loads(headers)), changed=changed, edition=edition_,
    )  # fmt: skip


def _event(row: Row) -> Event:
    number, at, kind, key, version, interaction = row
    return Event(number=number, at=at, type=kind, id=key, version=version, interaction=interaction)


def _touch(transaction: Transaction) -> None:
    """Not counted up: a number that a transaction gave and took back must not come again."""
    transaction.execute(NEW_EDITION, (secrets.randbits(62),))
