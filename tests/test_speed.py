"""The speed benchmark runs and prints what it promises; no time is asserted, machines differ."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def speed(*arguments: str) -> str:
    command = [sys.executable, "-m", "conformance.speed", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=True).stdout


def test_both_ways_side_by_side() -> None:
    printed = speed("peers", "--alone", "--rounds", "1", "--messages", "24", "--slice", "6")
    assert "can translate, of 24 : split 24, bundle 24, bundle+check 24, message 24, message+check 24" in printed
    assert set(re.findall(r"^(\S+) +\d+ +\d+ +[\d.]+$", printed, re.MULTILINE)) == {
        "split", "bundle", "bundle+check", "message", "message+check",
    }  # fmt: skip
    assert len(re.findall(r"^rate of the way back, \w+ +\d+\.\d\d ", printed, re.MULTILINE)) == 2
    assert "Observation" in printed
    caught = re.search(r"bundle\+check catches (\d+) of 17 faults and takes the good Bundle", printed)
    assert caught
    assert int(caught[1]) >= 14
