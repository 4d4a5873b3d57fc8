"""How far each view of a member's database was taken, and what each of its records was then.

Kept in the journal's database and written in the transaction of the entries themselves: after kill -9 at any moment
either both are there or neither is. Of a record only two digests are kept, for as long as the journal.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from gateway.db.engine import Reader, Transaction
from gateway.errors import HutongError
from gateway.journal.work import at

VIEW = "SELECT id, position, columns, sequence FROM polled_view WHERE channel = ? AND view = ?"
ADD = """
    INSERT INTO polled_view (channel, view, position, columns, sequence, looked, since, error, cause, place, remedy)
    VALUES (?, ?, '', '', 0, 0, 0, '', '', '', '') ON CONFLICT (channel, view) DO NOTHING
"""
MOVE = "UPDATE polled_view SET position = ? WHERE id = ?"
COUNT = "UPDATE polled_view SET sequence = ? WHERE id = ?"
COLUMNS = "UPDATE polled_view SET columns = ? WHERE id = ?"
KNOWN = "SELECT digest FROM polled_record WHERE view = ? AND number = ?"
TAKE = """
    INSERT INTO polled_record (view, number, digest) VALUES (?, ?, ?)
    ON CONFLICT (view, number) DO UPDATE SET digest = excluded.digest
"""
ORPHANS = "SELECT number, since FROM polled_orphan WHERE view = ? ORDER BY since, number"
ORPHAN = "INSERT INTO polled_orphan (view, number, since) VALUES (?, ?, ?) ON CONFLICT (view, number) DO NOTHING"
FOUND = "DELETE FROM polled_orphan WHERE view = ? AND number = ?"
TROUBLE = """
    UPDATE polled_view SET since = CASE WHEN since = 0 THEN ? ELSE since END,
           error = ?, cause = ?, place = ?, remedy = ?
     WHERE channel = ? AND view = ?
"""
WELL = """
    UPDATE polled_view SET looked = ?, since = 0, error = '', cause = '', place = '', remedy = ''
     WHERE channel = ? AND view = ?
"""
ALL = """
    SELECT channel, view, sequence, looked, since, error, cause, place, remedy,
           (SELECT count(*) FROM polled_orphan WHERE polled_orphan.view = polled_view.id)
      FROM polled_view ORDER BY channel, view
"""

Number = tuple[str, ...]  # what names a record, as its cells say it


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """Where one view stands."""

    id: int
    position: str  # the watermark as transport/watermark.py writes it; "" = nothing was taken
    columns: frozenset[str]  # in small letters
    sequence: int  # entries made of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One view as a list shows it; `view` is "" for the database itself."""

    channel: str
    view: str
    entries: int
    looked_at: datetime | None  # when all of it was last looked through
    orphans: int  # records that wait for their order or visit
    since: datetime | None = None  # of the problem
    error: str = ""
    cause: str = ""
    place: str = ""
    remedy: str = ""


def number_digest(number: Number) -> bytes:
    """What a record is known by."""
    return blake2b(json.dumps(number, ensure_ascii=False).encode(), digest_size=16).digest()


def rows_digest(rows: Iterable[Sequence[str]], *, orphan: bool) -> bytes:
    """What a record was: equal rows in the same order have the same. `orphan`: without what it leads to."""
    told = blake2b(digest_size=16, salt=b"orphan" if orphan else b"")
    for row in rows:
        told.update(json.dumps(list(row), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return told.digest()


def standing(transaction: Transaction, channel: str, view: str) -> Polled:
    """Where a view stands; a new one at its beginning."""
    transaction.execute(ADD, (channel, view))
    id_, position, columns, sequence = transaction.execute(VIEW, (channel, view))[0]
    return Polled(id=id_, position=position, columns=frozenset(filter(None, columns.split("\n"))), sequence=sequence)


def known(reader: Reader, view: int, number: Number) -> bytes:
    """The digest of a record when it was taken last; b"" for a new one."""
    found = reader.execute(KNOWN, (view, number_digest(number)))
    return bytes(found[0][0]) if found else b""


def take(transaction: Transaction, view: int, records: Mapping[Number, bytes], *, sequence: int) -> None:
    """These are taken now, with these digests."""
    transaction.executemany(TAKE, ((view, number_digest(each), digest) for each, digest in records.items()))
    transaction.execute(COUNT, (sequence, view))


def move(transaction: Transaction, view: int, position: str) -> None:
    """Everything up to here is taken."""
    transaction.execute(MOVE, (position, view))


def has_columns(transaction: Transaction, view: int, columns: Iterable[str]) -> None:
    """What a view is known to have from now on."""
    transaction.execute(COLUMNS, ("\n".join(sorted(columns)), view))


def orphans(reader: Reader, view: int) -> dict[Number, float]:
    """The records that wait for others, each with the seconds since 1970 since which it does."""
    return {tuple(json.loads(number)): since / 1000 for number, since in reader.execute(ORPHANS, (view,))}


def wait(transaction: Transaction, view: int, numbers: Iterable[Number], *, now: datetime) -> None:
    """These wait for others, since now where they did not before."""
    since = int(now.timestamp() * 1000)
    transaction.executemany(ORPHAN, ((view, _told(each), since) for each in numbers))


def gone(transaction: Transaction, view: int, numbers: Iterable[Number]) -> None:
    """These wait no longer: what they lead to is there, or they are not there any more."""
    transaction.executemany(FOUND, ((view, _told(each)) for each in numbers))


def trouble(transaction: Transaction, channel: str, view: str, error: HutongError) -> None:
    """What a person is to know, since the first time."""
    transaction.execute(ADD, (channel, view))
    said = (type(error).__name__, error.cause, error.place, error.remedy)
    transaction.execute(TROUBLE, (int(time.time() * 1000), *said, channel, view))


def well(transaction: Transaction, channel: str, view: str) -> None:
    """All of it was looked through just now, and nothing is wrong."""
    transaction.execute(ADD, (channel, view))
    transaction.execute(WELL, (int(time.time() * 1000), channel, view))


def everything(reader: Reader) -> list[Looked]:
    """All views of all channels."""
    return [
        Looked(
            channel=channel, view=view, entries=entries, orphans=waiting, error=error, cause=cause, place=place,
            remedy=remedy, looked_at=at(looked) if looked else None, since=at(since) if since else None,
        )
        for channel, view, entries, looked, since, error, cause, place, remedy, waiting in reader.execute(ALL)
    ]  # fmt: skip


def _told(number: Number) -> str:
    return json.dumps(number, ensure_ascii=False)
