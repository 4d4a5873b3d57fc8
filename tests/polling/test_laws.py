"""Whatever a hospital does to its views, and whenever we fall: at the end each record is taken as it is, once a change.

Rows are written, changed, written late and cancelled; the poller looks, is started anew, and its disk fails while it
writes, all in an order that hypothesis chooses.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import defaultdict
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from conformance.polled import SCHEMA
from gateway.errors import Transient
from gateway.journal import polled
from gateway.polling import poller
from tests.polling.rooms import House, house, numbers

VIEWS = "".join(
    f"          - {{view: {name}, watermark: 修改时间, overlap: 600}}\n" for name in ("就诊", "申请", "结果")
)
LATE = 500  # seconds: within the overlap

NEW = some.tuples(some.just("new"), some.integers(1, 4), some.integers(0, LATE))
CHANGE = some.tuples(some.just("change"), some.integers(0, 30), some.integers(100, 105))
CANCEL = some.tuples(some.just("cancel"), some.integers(0, 30), some.integers(0, LATE))
LOOK = some.tuples(some.just("look"), some.integers(0, 400), some.just(0))
START = some.tuples(some.just("start"), some.just(0), some.just(0))
FALL = some.tuples(some.just("fall"), some.integers(1, 4), some.just(0))
STEPS = some.lists(some.one_of(NEW, NEW, CHANGE, CHANGE, CANCEL, LOOK, START, FALL), max_size=25)


class Hospital:
    """Its database, and the clock that its rows are marked with."""

    def __init__(self, path: Path) -> None:
        self.line = sqlite3.connect(path)
        self.line.executescript(SCHEMA.replace("timestamp", "text"))
        self.reports: list[int] = []
        self.clock = 1_000_000

    def at(self, late: int = 0) -> str:
        seconds = self.clock - late
        return (
            f"2026-03-{1 + seconds // 86400:02d} {seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        )

    def new(self, items: int, late: int) -> None:
        n, at = len(self.reports), self.at(late)
        self.line.execute("INSERT INTO visit VALUES (?, 1, ?)", (n, at))
        self.line.execute("INSERT INTO ordered VALUES (?, 1, ?)", (n, at))
        self.line.executemany("INSERT INTO item VALUES (?, ?, ?, ?)", [(n, i, 50 + i, at) for i in range(items)])
        self.reports.append(n)
        self.line.commit()

    def change(self, report: int, value: int) -> None:
        if self.reports:
            n = self.reports[report % len(self.reports)]
            self.line.execute("UPDATE item SET value = ?, at = ? WHERE n = ? AND i = 0", (value, self.at(), n))
            self.line.commit()

    def cancel(self, report: int, late: int) -> None:
        if self.reports:
            n = self.reports[report % len(self.reports)]
            self.line.execute("UPDATE ordered SET state = 9, at = ? WHERE n = ?", (self.at(late), n))
            self.line.commit()

    def results(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for n, value in self.line.execute("SELECT n, value FROM item ORDER BY n, i"):
            found[f"R{n}"].append(str(value))
        return dict(found)

    def orders(self) -> dict[str, str]:
        return {f"O{n}": str(state) for n, state in self.line.execute("SELECT n, state FROM ordered")}


def falling(after: int) -> object:
    """The disk fails at the so-manieth transaction that takes something."""
    calls = 0

    def take(*given: object, **said: object) -> None:
        nonlocal calls
        calls += 1
        if calls == after:
            raise Transient("the disk is full", place="journal")
        real(*given, **said)  # type: ignore[arg-type]

    real = polled.take
    return patch.object(polled, "take", take)


def step(there: House, hospital: Hospital, name: str, one: int, two: int) -> None:
    hospital.clock += 7
    match name:
        case "new":
            hospital.new(one, two)
        case "change":
            hospital.change(one, two)
        case "cancel":
            hospital.cancel(one, two)
        case "look":
            hospital.clock += one
            there.poller.look()
        case "start":
            there.poller = there.fresh()
        case _:
            with falling(one), suppress(Transient):  # type: ignore[attr-defined]
                there.poller.look()
            there.poller = there.fresh()


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, together=some.integers(1, 3), page=some.integers(1, 5))
def test_nothing_is_lost_doubled_or_split(steps: list[tuple[str, int, int]], together: int, page: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "his.db"
        hospital = Hospital(path)
        with (
            patch.object(poller, "TOGETHER", together),
            patch.object(poller, "PAGE", page),
            house(Path(folder) / "gateway", f"sqlite:///{path}", views=VIEWS) as there,
        ):
            for each in steps:
                step(there, hospital, *each)
            there.poller.look()
            assert there.look() == []
            told: dict[str, list[list[str]]] = defaultdict(list)
            orders: dict[str, str] = {}
            for line in there.lines():
                sheets = there.sheets(line.id)
                if sheets[0].name == "结果":
                    (number,) = set(numbers(sheets, "报告单号"))
                    told[number].append(numbers(sheets, "结果"))
                elif sheets[0].name == "申请":
                    orders[numbers(sheets, "申请单号")[0]] = numbers(sheets, "状态")[0]
            assert {number: found[-1] for number, found in told.items()} == hospital.results()
            assert orders == hospital.orders()
            assert not [number for number, found in told.items() if any(one == two for one, two in pairwise(found))]
        hospital.line.close()
