"""The list of pairs that a person must decide, and the log of everything that was decided, by people and by rules.

Rows hold ids and words, never a name, a number or a date of birth. All calls run inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.db.engine import Reader, Row, Transaction

Answer = Literal["same", "apart"]

_COLUMNS: Final = "number, one, other, score, reasons, entry, asked, state, decided, by_whom, why"
OPEN: Final = f"SELECT {_COLUMNS} FROM person_review WHERE state = 'open' ORDER BY score DESC, number LIMIT ?"  # noqa: S608
COUNT: Final = "SELECT count(*) FROM person_review WHERE state = 'open'"
NUMBERED: Final = f"SELECT {_COLUMNS} FROM person_review WHERE number = ?"  # noqa: S608
OF_PAIR: Final = f"SELECT {_COLUMNS} FROM person_review WHERE one = ? AND other = ?"  # noqa: S608
OF_PATIENT: Final = (
    f"SELECT {_COLUMNS} FROM person_review WHERE one = ? UNION SELECT {_COLUMNS} FROM person_review WHERE other = ?"  # noqa: S608
)
ASK: Final = """
    INSERT INTO person_review (one, other, score, reasons, entry, asked, state, by_whom, why)
    VALUES (?, ?, ?, ?, ?, ?, 'open', '', '') ON CONFLICT (one, other) DO NOTHING
"""
DECIDE: Final = """
    INSERT INTO person_review (one, other, score, reasons, entry, asked, state, decided, by_whom, why)
    VALUES (?, ?, 0, '', NULL, ?, ?, ?, ?, ?)
    ON CONFLICT (one, other) DO UPDATE SET state = excluded.state, decided = excluded.decided,
    by_whom = excluded.by_whom, why = excluded.why
"""
LOG: Final = "INSERT INTO person_log (at, deed, one, other, by_whom, why, entry) VALUES (?, ?, ?, ?, ?, ?, ?)"
LOGGED: Final = """
    SELECT number, at, deed, one, other, by_whom, why, entry FROM person_log WHERE one = ?
    UNION SELECT number, at, deed, one, other, by_whom, why, entry FROM person_log WHERE other = ? ORDER BY 1 DESC
"""
LAST: Final = "SELECT number, at, deed, one, other, by_whom, why, entry FROM person_log ORDER BY number DESC LIMIT ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two Patients that may be one person, and what was decided."""

    number: int
    one: str
    other: str
    odds: float  # logarithm, base 2
    reasons: tuple[str, ...]
    entry: int | None
    asked: int  # milliseconds since 1970
    state: str  # open, same, apart
    decided: int | None
    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A line of the log."""

    number: int
    at: int  # milliseconds since 1970
    deed: str  # merge, unmerge, apart
    one: str
    other: str
    by: str
    why: str
    entry: int | None


def ask(
    transaction: Transaction, one: str, other: str, *, odds: float, reasons: Sequence[str], entry: int | None, at: int
) -> None:
    """Put a pair on the list, once; one that was decided stays decided."""
    row = (*_sorted(one, other), round(odds * 1000), " ".join(reasons), entry, at)
    transaction.execute(ASK, row)


def decide(transaction: Transaction, one: str, other: str, answer: Answer, *, by: str, why: str, at: int) -> None:
    """Remember what was decided of a pair, whether it was asked or not."""
    transaction.execute(DECIDE, (*_sorted(one, other), at, answer, at, by, why))


def log(
    transaction: Transaction, deed: str, one: str, other: str, *, by: str, why: str, at: int, entry: int | None = None
) -> None:
    """Write down who did what to whom, and why."""
    transaction.execute(LOG, (at, deed, one, other, by, why, entry))


def listed(reader: Reader, *, limit: int = 100) -> list[Pair]:
    """Open questions, the likeliest first."""
    return [_pair(row) for row in reader.execute(OPEN, (limit,))]


def count(reader: Reader) -> int:
    """How many are open."""
    return int(reader.execute(COUNT)[0][0])


def numbered(reader: Reader, number: int) -> Pair | None:
    """The question of that number."""
    rows = reader.execute(NUMBERED, (number,))
    return _pair(rows[0]) if rows else None


def of_patient(reader: Reader, patient: str) -> list[Pair]:
    """Every question, open or decided, about a Patient."""
    return sorted((_pair(row) for row in reader.execute(OF_PATIENT, (patient, patient))), key=lambda pair: pair.number)


def decided_apart(reader: Reader, patients: Collection[str]) -> set[str]:
    """The ids of Patients of which somebody said that they are another person than one of these."""
    found = (pair for patient in patients for pair in of_patient(reader, patient) if pair.state == "apart")
    return {each for pair in found for each in (pair.one, pair.other)} - set(patients)


def deeds(reader: Reader, *, patient: str = "", limit: int = 100) -> list[Deed]:
    """The log, newest first; of one Patient, or of all."""
    rows = reader.execute(LOGGED, (patient, patient)) if patient else reader.execute(LAST, (limit,))
    return [
        Deed(number=number, at=at, deed=deed, one=one, other=other, by=by, why=why, entry=entry)
        for number, at, deed, one, other, by, why, entry in rows[:limit]
    ]


def _sorted(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _pair(row: Row) -> Pair:
    number, one, other, score, reasons, entry, asked, state, decided, by, why = row
    return Pair(
        number=number, one=one, other=other, odds=score / 1000, reasons=tuple(reasons.split()), entry=entry,
        asked=asked, state=state, decided=decided, by=by, why=why,
    )  # fmt: skip
