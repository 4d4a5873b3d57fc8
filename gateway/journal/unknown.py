"""Codes that no table knew: which, how often, in which entries; and the entries that are translated again for them.

They lie in the record's database and commit with what their entry became, so the counts are true after any crash.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.db.engine import Engine, Reader, Transaction
from gateway.journal.work import at

NOTE = """
    INSERT INTO unknown_code (entry, code_table, code, member, words, times, at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (entry, code_table, code) DO UPDATE SET words = excluded.words, times = excluded.times, again = 0
"""
OF = "SELECT code_table, code, again FROM unknown_code WHERE entry = ?"
ADD = """
    INSERT INTO unknown_code (entry, code_table, code, member, words, times, at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (entry, code_table, code) DO UPDATE SET times = unknown_code.times + excluded.times
"""
FORGET = "DELETE FROM unknown_code WHERE entry = ?"
LISTED = """
    SELECT member, code_table, code, max(words), sum(times), count(*), min(at), max(at), max(entry) FROM unknown_code
     WHERE (? = '' OR member = ?) AND (? = '' OR code_table = ?)
     GROUP BY member, code_table, code ORDER BY sum(times) DESC, member, code_table, code
"""
ENTRIES = "SELECT entry FROM unknown_code WHERE member = ? AND code_table = ? AND code = ? ORDER BY entry"
ASK = "UPDATE unknown_code SET again = 1 WHERE member = ? AND code_table = ? AND code = ? AND entry = ?"
AGAIN = """
    UPDATE work SET state = 'waiting', due = 0, attempts = 0, changed = ?
     WHERE entry = ? AND state = 'done' RETURNING entry
"""
KEPT = "SELECT 1 FROM entry WHERE id = ?"

LONGEST = 24  # characters of a code that is shown; a longer one, or one like a person's number, may be something else
_LIKE_A_NUMBER = re.compile(r"\d{7}")

Codes = Iterable[tuple[str, str]]  # (table, code) of one translation, as often as they stand there
Words = Mapping[tuple[str, str], str]  # how the sender calls them
Knows = Callable[[str, str, str], bool]  # is the code of this member and table known by now?


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownCode:
    """One code of one member that a table does not know."""

    member: str
    table: str
    code: str
    words: str
    times: int
    entries: int
    first_seen: datetime
    last_seen: datetime
    example: int  # the newest entry that holds it


def note(transaction: Transaction, entry: int, member: str, codes: Codes, *, words: Words, received: datetime) -> None:
    """What one entry's translation did not know; takes the place of what an earlier translation of it did not."""
    transaction.execute(FORGET, (entry,))
    _noted(NOTE, transaction, entry, member, codes, words, received)


def begun(transaction: Transaction, entry: int) -> None:
    """A large file is worked off from its first batch on."""
    transaction.execute(f"{FORGET} AND again = 0", (entry,))


def ended(transaction: Transaction, entry: int) -> None:
    """All its batches have been translated with the codes that are known by now."""
    transaction.execute(f"{FORGET} AND again = 1", (entry,))


def add(transaction: Transaction, entry: int, member: str, codes: Codes, *, words: Words, received: datetime) -> None:
    """The same of one batch of it, beside what the others did not know."""
    _noted(ADD, transaction, entry, member, codes, words, received)


def _noted(
    sql: str, transaction: Transaction, entry: int, member: str, codes: Codes, words: Words, received: datetime
) -> None:
    moment = int(received.timestamp() * 1000)
    for (table, code), times in Counter(codes).items():
        name = words.get((table, code), "")
        transaction.execute(sql, (entry, table, code, member, name, times, moment))


def of(reader: Reader, entry: int) -> dict[tuple[str, str], bool]:
    """The (table, code) that an earlier translation of this entry did not know: is it translated again for them?"""
    return {(table, code): bool(again) for table, code, again in reader.execute(OF, (entry,))}


def listed(reader: Reader, *, member: str = "", table: str = "") -> list[UnknownCode]:
    """The most frequent first; "" = all."""
    return [
        UnknownCode(
            member=row[0], table=row[1], code=row[2], words=row[3], times=row[4], entries=row[5],
            first_seen=at(row[6]), last_seen=at(row[7]), example=row[8],
        )
        for row in reader.execute(LISTED, (member, member, table, table))
    ]  # fmt: skip


def shown(code: str) -> str:
    """The code as a person may read it anywhere."""
    return code if len(code) <= LONGEST and not _LIKE_A_NUMBER.search(code) else f"({len(code)} characters)"


def ask_again(journal: Engine, record: Engine, knows: Knows) -> tuple[int, int]:
    """Every entry with a code that is known by now waits to be translated again: (codes, entries). Asking twice changes
    nothing; an entry whose bytes are gone from the journal stays as it is."""
    with record.reading() as reader:
        known = [each for each in listed(reader) if knows(each.member, each.table, each.code)]
    waiting: set[int] = set()
    for each in known:
        with record.transaction() as transaction, journal.reading() as arrived:
            key = (each.member, each.table, each.code)
            for (entry,) in transaction.execute(ENTRIES, key):
                if not arrived.execute(KEPT, (entry,)):
                    continue
                moved = transaction.execute(AGAIN, (int(time.time() * 1000), entry))
                if moved or entry in waiting:
                    transaction.execute(ASK, (*key, entry))
                    waiting.add(entry)
    return len(known), len(waiting)
