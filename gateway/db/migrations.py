"""Numbered SQL files bring a database to the schema this program knows, in one transaction.

The files lie in `migrations/<schema>/NNNN_name.sql`, numbered from 1 without gaps; `schema_version` remembers
which ran.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gateway.db.engine import Transaction
from gateway.errors import Configuration

FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step and its SQL text."""

    number: int
    name: str
    text: str


@cache
def known(schema: str) -> tuple[Migration, ...]:
    """The steps this program knows for a schema, in order. Raises Configuration when a number is missing or double."""
    folder = resources.files("gateway.db") / "migrations" / schema
    files = folder.iterdir() if folder.is_dir() else ()
    named = ((FILE_NAME.fullmatch(file.name), file) for file in files)
    found = [Migration(int(match[1]), match[2], file.read_text("utf-8")) for match, file in named if match]
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


def version(transaction: Transaction) -> int:
    """The number of the last step that ran here; 0 for a new database."""
    transaction.execute("CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    return int(transaction.execute("SELECT coalesce(max(number), 0) FROM schema_version")[0][0])


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
            remedy="start the newer program, or restore the backup made before the upgrade",
        )
    for step in steps[current:]:
        for statement in statements(step.text):
            transaction.execute(statement)
        transaction.execute("INSERT INTO schema_version (number, name) VALUES (?, ?)", (step.number, step.name))
    return len(steps) - current
