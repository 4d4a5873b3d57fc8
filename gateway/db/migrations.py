"""Numbered SQL files bring a database to the schema this program knows, in one transaction; and back again.

The files lie in `migrations/<schema>/NNNN_name.sql`, numbered from 1 without gaps; `schema_version` remembers which
ran. The way back of a step that only makes tables, indexes and columns is to take them away; any other step has it in
`NNNN_name.down.sql`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gateway.db.engine import Reader, Transaction
from gateway.errors import Configuration

VERSIONS = "schema_version"
FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_COMMENT = re.compile(r"--[^\n]*")
_TABLE = re.compile(r"\s*CREATE\s+TABLE\s+(\w+)", re.IGNORECASE)
_INDEX = re.compile(r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+(\w+)\s+ON\s+(\w+)", re.IGNORECASE)
_COLUMN = re.compile(r"\s*ALTER\s+TABLE\s+(\w+)\s+ADD\s+(?:COLUMN\s+)?(\w+)", re.IGNORECASE)
_ROW = re.compile(r"\s*INSERT\s+INTO\s+(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step, its SQL text, and the text of its way back ("" = what it made is taken away)."""

    number: int
    name: str
    text: str
    down: str = ""


@cache
def known(schema: str) -> tuple[Migration, ...]:
    """The steps this program knows for a schema, in order. Raises Configuration when a number is missing or double."""
    folder = resources.files("gateway.db") / "migrations" / schema
    files = {file.name: file.read_text("utf-8") for file in folder.iterdir()} if folder.is_dir() else {}
    named = ((FILE_NAME.fullmatch(name), text) for name, text in files.items())
    found = [
        Migration(int(match[1]), match[2], text, files.get(match[0].replace(".sql", ".down.sql"), ""))
        for match, text in named
        if match
    ]
    found.sort(key=lambda migration: migration.number)
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise Configuration(
            f"migration files are not numbered 1 to {len(found)}",
            place=f"gateway/db/migrations/{schema}",
            remedy="install the program again",
        )
    return tuple(found)


def statements(text: str) -> Iterator[str]:
    """The single statements of an SQL file, comments kept with the statement behind them."""
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in pending.splitlines()):
        yield pending.strip()


def way_back(step: Migration) -> list[str]:
    """The statements that undo a step. Raises Configuration for one that does more than make things and has no file."""
    if step.down:
        return list(statements(step.down))
    made: set[str] = set()
    undo: list[str] = []
    for statement in statements(step.text):
        text = _COMMENT.sub("", statement)
        if match := _TABLE.match(text):
            made.add(match[1])
            undo.append(f"DROP TABLE {match[1]}")
        elif match := _INDEX.match(text):
            undo += [] if match[2] in made else [f"DROP INDEX {match[1]}"]
        elif match := _COLUMN.match(text):
            undo.append(f"ALTER TABLE {match[1]} DROP COLUMN {match[2]}")
        elif not ((match := _ROW.match(text)) and match[1] in made):
            cause = f"step {step.number} ({step.name}) cannot be undone"
            raise Configuration(cause, place="migrations", remedy="restore the backup made before the upgrade")
    return undo[::-1]


def forgotten(reader: Reader, steps: tuple[Migration, ...], to: int) -> dict[str, int]:
    """The tables that going back to a schema takes away, with their rows; those without any are left out."""
    tables = [text.split()[-1] for step in steps[to:] for text in way_back(step) if text.startswith("DROP TABLE")]
    counted = {name: int(reader.execute(f"SELECT count(*) FROM {name}")[0][0]) for name in tables}  # noqa: S608  names of our own
    return {name: count for name, count in counted.items() if count}


def version(transaction: Transaction) -> int:
    """The number of the last step that ran here; 0 for a new database."""
    transaction.execute("CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    return int(transaction.execute("SELECT coalesce(max(number), 0) FROM schema_version")[0][0])


@cache
def seeded() -> frozenset[str]:
    """The tables into which a step itself puts a row."""
    steps = (*known("journal"), *known("record"))
    texts = (_COMMENT.sub("", text) for step in steps for text in statements(step.text))
    return frozenset(match[1] for text in texts if (match := _ROW.match(text)))


def is_current(reader: Reader, schema: str) -> bool:
    """Does the database have exactly the schema that this program knows? Then nothing need be written to open it."""
    if VERSIONS not in reader.tables():
        return False
    return bool(reader.execute("SELECT coalesce(max(number), 0) FROM schema_version")[0][0] == len(known(schema)))


def migrate(transaction: Transaction, schema: str, steps: tuple[Migration, ...] | None = None) -> int:
    """Run the steps that are missing, inside the caller's transaction; returns how many ran.

    A database made by a newer program is refused with Configuration before anything in it is touched.
    """
    steps = known(schema) if steps is None else steps
    current = version(transaction)
    if current > len(steps):
        raise Configuration(
            f"the {schema} database has schema {current}, this program knows {len(steps)}",
            place="data directory",
            remedy=f"start the newer program, or let it go back: hutong migrate --schema {schema} --to {len(steps)}",
        )
    for step in steps[current:]:
        for statement in statements(step.text):
            transaction.execute(statement)
        transaction.execute("INSERT INTO schema_version (number, name) VALUES (?, ?)", (step.number, step.name))
    return len(steps) - current


def back(transaction: Transaction, steps: tuple[Migration, ...], to: int) -> int:
    """Undo the steps behind number `to`, the newest first, inside the caller's transaction; returns how many."""
    current = version(transaction)
    if not 0 <= to <= current <= len(steps):
        remedy = f"name a number up to {current}"
        raise Configuration(f"there is no way back from {current} to {to}", place="migrations", remedy=remedy)
    for step in reversed(steps[to:current]):
        for statement in way_back(step):
            transaction.execute(statement)
        transaction.execute("DELETE FROM schema_version WHERE number = ?", (step.number,))
    return current - to
