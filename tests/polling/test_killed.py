"""kill -9 in the middle of polling; `python -m conformance.faults killed_while_polling` does it twenty times."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conformance import polled


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    figures, wrong = polled.killed_while_polling(tmp_path, [sys.executable, "-m", "gateway"], kills=4)
    if figures.startswith("skipped"):
        pytest.skip(figures)
    assert not wrong, figures
