"""What holds in every room of tests: hypothesis draws the same examples each time, so a red test is red for everybody.
New examples are looked for with `pytest --hypothesis-profile=search`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.engines import engines, postgresql, server

__all__ = ["engines", "postgresql", "server"]

# Files that take longest, by the half minute, the longest first: none of them is left over when all others are done.
LONGEST = (
    "test_conformance", "test_app", "test_faults", "test_on_postgresql", "test_demo", "test_sftp_service",
    "test_broken", "test_killed", "test_hostile", "test_speed", "test_streaming", "test_sample",
    "test_resources_come_back", "test_generated", "test_streaming_trees", "test_readme", "test_running",
    "test_hostile_files", "test_editions", "test_bulk_killed", "test_walk", "test_examples", "test_there_and_back",
    "test_cli",
)  # fmt: skip
SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=1000, deadline=None)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/api --engine postgresql`: the whole door over the other engine."""
    parser.addoption("--engine", default="sqlite", choices=("sqlite", "postgresql"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first. What is marked `samples` is skipped where they are absent."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))
    if not SAMPLES.is_dir():
        for item in items:
            if item.get_closest_marker("samples"):
                item.add_marker(pytest.mark.skip(reason="the samples are not beside the repository"))
