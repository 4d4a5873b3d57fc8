"""A real record in a folder, and a clock that moves a minute a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.db.engine import Engine
from gateway.fhir import bundle
from gateway.model import Resource
from gateway.store.record import Record
from gateway.store.stored import Applied
from tests.engines import Engines

START = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)


class Ward:
    """A record with its engine; each `apply` is one committed transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.record = Record(engine)
        self.minutes = 0

    def apply(
        self, *entries: Mapping[str, Any], patients: Mapping[str, str | None] | None = None, at: datetime | None = None
    ) -> Applied:
        self.minutes += 1
        at = at or START + timedelta(minutes=self.minutes)
        with self.engine.transaction() as transaction:
            return self.record.apply(transaction, bundle.transaction(entries), at=at, patients=patients or {})

    def get(self, reference: str) -> Resource:
        stored = self.record.read(*reference.split("/"))
        assert stored is not None
        return stored.resource

    def ids(self, type: str, query: str) -> set[str]:
        return {match.id for match in self.record.search(type, query).matches}


@pytest.fixture
def ward(tmp_path: Path, engines: Engines) -> Iterator[Ward]:
    engine = engines.open(tmp_path, "record")
    yield Ward(engine)
    engine.close()
