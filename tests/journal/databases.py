"""What the journal tests share: both databases, a frame, a verdict, a change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.db.engine import Transaction
from gateway.journal.intake import Intake, Verdict
from gateway.journal.work import Job, Work
from gateway.model import Change, Frame
from tests.engines import Engines, Sqlite

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def in_seconds(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def frame(body: bytes | str = b"MSH|1", *, channel: str = "c1") -> Frame:
    raw = body.encode() if isinstance(body, str) else body
    return Frame(channel=channel, body=raw, peer="127.0.0.1:5", received_at=NOW)


def verdict(control_id: str = "M1", *, key: str = "", accepted: bool = True, member: str = "m1") -> Verdict:
    cause, place = ("", "") if accepted else ("no patient", "PID")
    return Verdict(
        member=member,
        format="hl7v2",
        charset="utf-8",
        control_id=control_id,
        key=key,
        kind="ORU^R01",
        accepted=accepted,
        cause=cause,
        place=place,
    )


def change(id: str = "o1", version: int = 1) -> Change:
    return Change(type="Observation", id=id, version=version, transaction=7, interaction="create")


class Databases:
    def __init__(self, folder: Path, engines: Engines | None = None) -> None:
        engines = engines or Sqlite()
        self.journal = engines.open(folder, "journal")
        self.record = engines.open(folder, "record")
        self.intake = Intake(self.journal)
        self.intake.start()
        self.work = Work()

    def close(self) -> None:
        self.intake.close()
        self.journal.close()
        self.record.close()

    def add(self, *keys: str, accepted: bool = True) -> list[int]:
        """New entries with these order keys; returns their ids."""
        return [
            self.intake.write_now(frame(f"MSH|{key}"), verdict("", key=key, accepted=accepted)).entry_id for key in keys
        ]

    @contextmanager
    def pending(self, *, now: datetime = NOW, limit: int = 100) -> Iterator[tuple[Transaction, list[Job]]]:
        with self.record.transaction() as transaction, self.journal.reading() as journal:
            yield transaction, self.work.pending(transaction, journal, now=now, limit=limit)

    def peek(self, *, now: datetime = NOW, limit: int = 100) -> list[int]:
        with self.pending(now=now, limit=limit) as (_, jobs):
            return [job.entry.id for job in jobs]

    def waits(self, *, now: datetime = NOW) -> bool:
        with self.record.reading() as record, self.journal.reading() as journal:
            return self.work.waits(journal, record, now)
