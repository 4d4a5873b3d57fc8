"""FHIR messages by their ids: whether one came before, as which entry, what became of it (R4 messaging.html#reliable).

A sender that got no answer sends the message again, in the same envelope or in a new one; both find the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.db.engine import Engine

REMEMBERED: Final = timedelta(days=30)

_NOTE: Final = """
    INSERT INTO processed_message (channel, message, digest, control, body, at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (channel, message, digest) DO NOTHING
"""
_FIND: Final = "SELECT control, body FROM processed_message WHERE channel = ? AND message = ? AND digest = ?"
_FORGET: Final = "DELETE FROM processed_message WHERE at < ?"
_ENTRY: Final = """
    SELECT id, received FROM entry WHERE control_id = ? AND channel = ? AND digest = ? AND accepted = 1
     ORDER BY id LIMIT 1
"""
_WORK: Final = "SELECT state, cause, place, remedy FROM work WHERE entry = ?"


@dataclass(frozen=True, slots=True)
class Message:
    """What tells a message from all others."""

    channel: str
    id: str
    digest: bytes  # of its content without the envelope


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as the journal holds it."""

    control: str
    body: bytes  # SHA-256


@dataclass(frozen=True, slots=True)
class Standing:
    """How far it is."""

    received: int  # milliseconds since 1970
    state: str  # waiting done parked dead
    cause: str = ""
    place: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Conversations:
    """Both databases; safe from several threads."""

    journal: Engine
    record: Engine

    def known(self, message: Message, fresh: Taken, now: datetime) -> Taken:
        """How it was taken the first time; this way, where it is new. Durable when this returns."""
        key = (message.channel, message.id, message.digest)
        with self.record.transaction() as transaction:
            transaction.execute(_FORGET, (_milliseconds(now - REMEMBERED),))
            transaction.execute(_NOTE, (*key, fresh.control, fresh.body, _milliseconds(now)))
            control, body = transaction.execute(_FIND, key)[0]
        return Taken(control, bytes(body))

    def standing(self, channel: str, taken: Taken) -> Standing | None:
        """How far it is; None where it never got into the journal."""
        with self.journal.reading() as journal:
            rows = journal.execute(_ENTRY, (taken.control, channel, taken.body))
        if not rows:
            return None
        entry, received = rows[0]
        with self.record.reading() as record:
            work = record.execute(_WORK, (entry,))
        return Standing(received, *work[0]) if work else Standing(received, "waiting")


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
