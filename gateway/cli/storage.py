"""Opens the databases of a data directory for one command, beside a running server or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway import errors
from gateway.db.engine import Engine
from gateway.db.sqlite import SqliteEngine

RECORD = "record.sqlite"
JOURNAL = "journal.sqlite"


@contextmanager
def record(data: Path, *, create: bool = False) -> Iterator[Engine]:
    """The record's database; with `create` a new data directory is made (readable by its owner only)."""
    if create:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _opened(data, RECORD, "record", create=create) as engine:
        yield engine


@contextmanager
def both(data: Path) -> Iterator[tuple[Engine, Engine]]:
    """(journal, record) of a data directory that has been served before."""
    with _opened(data, JOURNAL, "journal") as journal, _opened(data, RECORD, "record") as record_engine:
        yield journal, record_engine


@contextmanager
def _opened(data: Path, name: str, schema: str, *, create: bool = False) -> Iterator[Engine]:
    path = data / name
    if not create and not path.is_file():
        remedy = "check --data, or start `hutong serve --data …` once"
        raise errors.Configuration(f"there is no {name} in this data directory", place=str(data), remedy=remedy)
    engine = SqliteEngine(path, schema=schema)
    try:
        yield engine
    finally:
        engine.close()
