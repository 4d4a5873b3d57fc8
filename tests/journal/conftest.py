"""Both databases, fresh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import Engines
from tests.journal.databases import Databases


@pytest.fixture
def databases(tmp_path: Path, engines: Engines) -> Iterator[Databases]:
    both = Databases(tmp_path, engines)
    yield both
    both.close()
