"""Exports and how far they are, as rows of the record's database: what a restart goes on from."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from gateway.db.engine import Engine, Reader, Row
from gateway.errors import HutongError
from gateway.store.stored import milliseconds

PER_TOKEN: Final = 3  # exports that one token may have running
KEPT: Final = 24 * 3600 * 1000  # milliseconds that finished files are kept

_LAST = "SELECT number, at FROM record_transaction ORDER BY number DESC LIMIT 1"
_COLUMNS = "id, token, address, asked, cut, at, state, started, changed, expires, stage, after, written, cause"
_INSERT = f"INSERT INTO bulk_export ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?, 0, 0, '', 0, '')"  # noqa: S608
_RUNNING = f"SELECT {_COLUMNS} FROM bulk_export WHERE state = 'running' ORDER BY started, id"  # noqa: S608
_OF_TOKEN = "SELECT count(*) FROM bulk_export WHERE state = 'running' AND token = ?"  # noqa: S105
_ONE = f"SELECT {_COLUMNS} FROM bulk_export WHERE id = ?"  # noqa: S608
_IDS = "SELECT id FROM bulk_export"
_EXPIRED = "SELECT id FROM bulk_export WHERE expires > 0 AND expires <= ?"
_ADVANCE = """
    UPDATE bulk_export SET stage = ?, after = ?, written = ?, changed = ? WHERE id = ? AND state = 'running'
    RETURNING id
"""
_END = "UPDATE bulk_export SET state = ?, cause = ?, changed = ?, expires = ? WHERE id = ? AND state = 'running'"
_FILES = "SELECT number, kind, type, resources, bytes FROM bulk_file WHERE export = ? ORDER BY number"
_PUT_FILE = """
    INSERT INTO bulk_file (export, number, kind, type, resources, bytes) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (export, number) DO UPDATE SET resources = excluded.resources, bytes = excluded.bytes
"""
_MENTION = """
    INSERT INTO bulk_mention (export, type, id, written) VALUES (?, ?, ?, 0) ON CONFLICT (export, type, id) DO NOTHING
"""
_MENTIONED = "SELECT type, id FROM bulk_mention WHERE export = ? AND written = 0 ORDER BY type, id LIMIT ?"
_LOOKED_AT = "UPDATE bulk_mention SET written = 1 WHERE export = ? AND type = ? AND id = ?"
_DELETE = (
    "DELETE FROM bulk_export WHERE id = ?",
    "DELETE FROM bulk_file WHERE export = ?",
    "DELETE FROM bulk_mention WHERE export = ?",
)


class TooMany(HutongError):
    """This token has as many exports running as it may."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be exported."""

    level: str  # '' everything, 'Patient' what belongs to patients, 'Group' to those of a group
    group: str = ""  # its id
    types: tuple[str, ...]
    since: int | None = None  # changed after; microseconds since 1970
    filters: tuple[str, ...] = ()  # 'Observation?status=final'
    elements: tuple[str, ...] = ()  # 'Patient.name', 'code'
    patients: tuple[str, ...] = ()  # ids; (): all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One export."""

    id: str
    token: str
    address: str
    asked: Asked
    cut: int
    at: int
    state: str
    started: int
    changed: int
    expires: int
    stage: int
    after: str
    written: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of an export, as far as it counts."""

    number: int
    kind: str  # output | deleted
    type: str
    resources: int = 0
    bytes: int = 0

    @property
    def name(self) -> str:
        return f"{self.number}.{self.type}.ndjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one page adds."""

    stage: int
    after: str
    written: int  # in all
    files: Sequence[File] = ()
    mentions: Iterable[tuple[str, str]] = ()  # (type, id) found on the page
    looked_at: Iterable[tuple[str, str]] = ()  # mentions that the page was about


@dataclass(frozen=True, slots=True)
class Jobs:
    """The table of exports."""

    engine: Engine
    now: Callable[[], datetime]

    def begin(self, *, token: str, address: str, asked: Asked) -> Job:
        """A new export of what the record holds at this moment. Raises TooMany."""
        id_, now = secrets.token_hex(16), milliseconds(self.now())
        with self.engine.transaction() as transaction:
            if transaction.execute(_OF_TOKEN, (token,))[0][0] >= PER_TOKEN:
                raise TooMany(f"{PER_TOKEN} exports of this token run already", remedy="wait until one has ended")
            rows = transaction.execute(_LAST)
            cut, at = rows[0] if rows else (0, now)
            transaction.execute(_INSERT, (id_, token, address, msgspec.json.encode(asked), cut, at, now, now))
            return _job(transaction.execute(_ONE, (id_,))[0])

    def find(self, id_: str) -> Job | None:
        """One export; None where there is none, or no more."""
        with self.engine.reading() as reader:
            rows = reader.execute(_ONE, (id_,))
        return _job(rows[0]) if rows else None

    def running(self) -> list[Job]:
        """Those to be worked on, the oldest first."""
        with self.engine.reading() as reader:
            return [_job(row) for row in reader.execute(_RUNNING)]

    def files(self, id_: str, reader: Reader | None = None) -> list[File]:
        """Its files in the order in which they were begun."""
        if reader is None:
            with self.engine.reading() as snapshot:
                return self.files(id_, snapshot)
        names = ("number", "kind", "type", "resources", "bytes")
        return [File(**dict(zip(names, row, strict=True))) for row in reader.execute(_FILES, (id_,))]

    def mentioned(self, id_: str, reader: Reader, limit: int) -> list[tuple[str, str]]:
        """(type, id) of what was mentioned and not looked at; of one type."""
        rows = reader.execute(_MENTIONED, (id_, limit))
        return [(row[0], row[1]) for row in rows if row[0] == rows[0][0]]

    def advance(self, job: Job, step: Step) -> bool:
        """One page more, durable. False for an export that is no longer there."""
        with self.engine.transaction() as transaction:
            values = (step.stage, step.after, step.written, milliseconds(self.now()), job.id)
            if not transaction.execute(_ADVANCE, values):
                return False
            for each in step.files:
                transaction.execute(_PUT_FILE, (job.id, each.number, each.kind, each.type, each.resources, each.bytes))
            transaction.executemany(_MENTION, [(job.id, *each) for each in step.mentions])
            transaction.executemany(_LOOKED_AT, [(job.id, *each) for each in step.looked_at])
        return True

    def end(self, job: Job, *, state: str, cause: str = "") -> None:
        """It is done, or failed for good."""
        now = milliseconds(self.now())
        with self.engine.transaction() as transaction:
            transaction.execute(_END, (state, cause, now, now + KEPT, job.id))

    def forget(self, id_: str) -> None:
        """Nothing of it is left in the database."""
        with self.engine.transaction() as transaction:
            for statement in _DELETE:
                transaction.execute(statement, (id_,))

    def expired(self) -> list[str]:
        """Those whose time is over."""
        with self.engine.reading() as reader:
            return [row[0] for row in reader.execute(_EXPIRED, (milliseconds(self.now()),))]

    def ids(self) -> set[str]:
        """All that there are."""
        with self.engine.reading() as reader:
            return {row[0] for row in reader.execute(_IDS)}


def _job(row: Row) -> Job:
    id_, token, address, asked, *rest = row
    names = ("cut", "at", "state", "started", "changed", "expires", "stage", "after", "written", "cause")
    known = dict(zip(names, rest, strict=True))
    return Job(id=id_, token=token, address=address, asked=msgspec.json.decode(asked, type=Asked), **known)
