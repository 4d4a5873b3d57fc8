"""Faults that need a machine of their own for a while; conformance/report.md has the figures of a whole run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["poison", "disk_full", "killed_while_picking_up", "killed_while_notifying"])
def test_what_was_promised_holds(fault: str) -> None:
    if fault == "disk_full" and os.geteuid():
        pytest.skip("a small disk can only be mounted by root")
    command = [sys.executable, "-m", "conformance.faults", fault]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout.startswith(f"ok   {fault}: "), done.stdout + done.stderr
    assert done.returncode == 0
