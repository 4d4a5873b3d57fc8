"""Opens the databases of a data directory for one command, beside a running server or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway import errors
from gateway.db import opening
from gateway.db.engine import Engine


@contextmanager
def record(data: Path, *, create: bool = False) -> Iterator[Engine]:
    """The record's database; with `create` a new data directory is made (readable by its owner only)."""
    if create:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _opened(data, "record", create=create) as engine:
        yield engine


@contextmanager
def both(data: Path) -> Iterator[tuple[Engine, Engine]]:
    """(journal, record) of a data directory that has been served before."""
    with _opened(data, "journal") as journal, _opened(data, "record") as record_engine:
        yield journal, record_engine


@contextmanager
def _opened(data: Path, schema: str, *, create: bool = False) -> Iterator[Engine]:
    if not create and not opening.exists(data, schema):
        remedy = "check --data, or start `hutong serve --data …` once"
        cause = f"there is no {schema}.sqlite in this data directory"
        raise errors.Configuration(cause, place=str(data), remedy=remedy)
    if create:
        opening.settle(data, "")
    engine = opening.opened(data, schema)
    try:
        yield engine
    finally:
        engine.close()
