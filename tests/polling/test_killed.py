"""kill -9 while views are polled and while rows are written; `python -m conformance.faults` does it oftener."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conformance import middle_table, polled


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    figures, wrong = polled.killed_while_polling(tmp_path, [sys.executable, "-m", "gateway"], kills=4)
    if figures.startswith("skipped"):
        pytest.skip(figures)
    assert not wrong, figures


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_middle_table_has_each_delivery_once(tmp_path: Path) -> None:
    figures, wrong = middle_table.killed_while_writing_a_table(tmp_path, [sys.executable, "-m", "gateway"], kills=2)
    if figures.startswith("skipped"):
        pytest.skip(figures)
    assert not wrong, figures
