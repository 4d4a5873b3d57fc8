"""The speed benchmark runs and prints what it promises; no time is asserted, machines differ."""

from __future__ import annotations

import cProfile
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.speed import growth, translation

ROOT = Path(__file__).parents[1]


def speed(*arguments: str) -> str:
    command = [sys.executable, "-m", "conformance.speed", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=True).stdout


@pytest.mark.slow
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


@pytest.mark.slow
def test_long_reports_and_large_documents() -> None:
    printed = speed("growth", "--rounds", "1", "--megabytes", "2")
    assert re.search(r"^into FHIR, checked( +[\d.]+){4}$", printed, re.MULTILINE)
    assert re.search(r"^back, checked( +[\d.]+){4}$", printed, re.MULTILINE)
    assert re.search(r"a document of 2 MB: \d\.\d\d s .* times its base64 decoding; memory", printed)


@pytest.mark.slow
def test_rows_of_exports() -> None:
    printed = speed("exports", "--alone", "--rounds", "1", "--rows", "300", "--growth", "50,4000", "--kinds", "csv,xml")
    for tool in ("csv → FHIR", "xlsx → FHIR", "openpyxl"):
        assert re.search(rf"^{tool} +[\d.]+ +\d+", printed, re.MULTILINE)
    assert re.search(r"^xlsx → FHIR / openpyxl: [\d.]+ times its time", printed, re.MULTILINE)
    assert len(re.findall(r"^ +\d+ +[\d.]+ +[\d.]+ +\d+ +\d+$", printed, re.MULTILINE)) == 4
    assert "memory, the last / the first: " in printed


@pytest.mark.slow
def test_the_record_as_it_grows() -> None:
    printed = speed("record", "--sizes", "300,900", "--transactions", "5", "--searches", "5")
    figures = r"^ +[39]00( +[\d.]+){6}   identifier .* patient\+date\+code"
    assert len(re.findall(figures, printed, re.MULTILINE)) == 2
    assert "cost at the last size" in printed


def calls(results: int) -> tuple[int, int]:
    """How many functions are called for a report of so many results: into FHIR, checked, and back."""
    formats, profile = translation.shipped()
    body = growth.report(results)
    made = translation.bundle(body, formats=formats, profile=profile, check=True)
    translation.message(made, formats=formats, check=True)
    counts = []
    for run in (
        lambda: translation.bundle(body, formats=formats, profile=profile, check=True),
        lambda: translation.message(made, formats=formats, check=True),
    ):
        counter = cProfile.Profile()
        counter.runcall(run)
        counts.append(sum(each.callcount for each in counter.getstats()))
    return counts[0], counts[1]


def test_a_result_costs_the_same_in_a_long_report() -> None:
    """Counted in calls, not timed: ten times the results are no more than twelve times the work."""
    into_few, back_few = calls(30)
    into_many, back_many = calls(300)
    assert into_many < 12 * into_few
    assert back_many < 12 * back_few
