"""Files that mean harm in the folders of a running gateway (conformance.hostile, here a few of them)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conformance import hostile

FEW = (
    "a zip bomb with a member outside", "a billion laughs", "elements inside each other", "one line without end",
    "a sparse file of 10 GB", "a link to a file of the machine", "a pipe", "a name with a line end",
)  # fmt: skip


@pytest.mark.slow
def test_what_comes_behind_a_hostile_file_flows_on(tmp_path: Path) -> None:
    assert hostile.run(tmp_path, [sys.executable, "-m", "gateway"], FEW) == []
