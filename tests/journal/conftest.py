"""Both databases, fresh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.databases import Databases


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    both = Databases(tmp_path)
    yield both
    both.close()
