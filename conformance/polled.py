"""kill -9 while a member's views are polled and written to: nothing lost, nothing doubled (`conformance.faults`)."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections import defaultdict
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg

from conformance import databases
from conformance.gateway import Gateway

COMMUNITY = """\
id: faults
name: Faults 故障测试
members:
  - id: county
    name: 县医院
    facilities: [COUNTY]
    channels:
      - id: county-views
        transport: database
        format: rows
        database:
          url: {url}
          every: 1
          views:
            - {{view: 就诊, watermark: 修改时间, overlap: 120}}
            - {{view: 申请, watermark: 修改时间, overlap: 120}}
            - {{view: 结果, watermark: 修改时间, overlap: 120}}
"""
SCHEMA = """
CREATE TABLE visit(n int PRIMARY KEY, state int, at timestamp);
CREATE TABLE ordered(n int PRIMARY KEY, state int, at timestamp);
CREATE TABLE item(n int, i int, value int, at timestamp, PRIMARY KEY (n, i));
CREATE VIEW 就诊 AS SELECT 'V' || n AS 就诊流水号, n % 7 + 1 AS 病人ID, '某' || n % 7 AS 姓名, 0 AS 就诊类别,
       '2026-03-12 08:00:00' AS 就诊时间, 'J18.900' AS 诊断编码, '肺炎' AS 诊断名称, state AS 记录状态,
       at AS 修改时间 FROM visit;
CREATE VIEW 申请 AS SELECT 'O' || n AS 申请单号, 'V' || n AS 就诊流水号, 'LIS' AS 申请类别, '0203' AS 项目代码,
       '电解质' AS 项目名称, '2026-03-12 09:00:00' AS 申请时间, state AS 状态, at AS 修改时间 FROM ordered;
CREATE VIEW 结果 AS SELECT 'R' || n AS 报告单号, 'O' || n AS 申请单号, '2026-03-12 10:00:00' AS 检验时间, i AS 序号,
       'K' || i AS 项目代码, '项目' || i AS 项目名称, value AS 结果, 'mmol/L' AS 单位, '1-99' AS 参考范围,
       '' AS 高低标志, at AS 修改时间 FROM item;
"""
ITEMS = 4
REPORTS = 400


class Hospital(threading.Thread):
    """Writes reports and changes them, some with an older time, until it is told to stop."""

    def __init__(self, url: str, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.url, self.chance = url, chance
        self.stopping = threading.Event()
        self.reports = self.changes = 0

    def run(self) -> None:
        with psycopg.connect(self.url) as line:
            while not self.stopping.is_set():
                if self.reports < REPORTS and self.chance.random() < 0.6:
                    self._report(line, self.reports)
                    self.reports += 1
                elif self.reports:
                    self._change(line, self.chance.randrange(self.reports))
                    self.changes += 1
                time.sleep(self.chance.random() * 0.08)

    def _at(self) -> str:
        """Mostly now, sometimes a minute ago: written late."""
        return "now()::timestamp - interval '60 s'" if self.chance.random() < 0.2 else "clock_timestamp()::timestamp"

    def _report(self, line: psycopg.Connection[Any], n: int) -> None:
        at = self._at()
        if self.chance.random() < 0.5:  # the order is there before its result, or comes with it
            line.execute(f"INSERT INTO visit VALUES ({n}, 1, {at})".encode())
            line.execute(f"INSERT INTO ordered VALUES ({n}, 1, {at})".encode())
            line.commit()
        else:
            line.execute(f"INSERT INTO visit VALUES ({n}, 1, {at})".encode())
            line.execute(f"INSERT INTO ordered VALUES ({n}, 1, {at})".encode())
        for i in range(ITEMS):
            line.execute(f"INSERT INTO item VALUES ({n}, {i}, {self.chance.randrange(1, 99)}, {at})".encode())
        line.commit()

    def _change(self, line: psycopg.Connection[Any], n: int) -> None:
        at, value = self._at(), self.chance.randrange(100, 100_000)
        line.execute(f"UPDATE item SET value = {value}, at = {at} WHERE n = {n} AND i = {value % ITEMS}".encode())
        if value % 5 == 0:
            line.execute(f"UPDATE ordered SET state = 9, at = {at} WHERE n = {n}".encode())
        line.commit()


def killed_while_polling(home: Path, command: list[str], *, kills: int = 20) -> tuple[str, str]:
    """(figures, what does not hold)."""
    try:
        with databases.postgresql() as server:
            return _killed(server.url, home, command, kills)
    except databases.Unavailable as reason:
        return f"skipped: {reason}", ""


def _killed(url: str, home: Path, command: list[str], kills: int) -> tuple[str, str]:
    with psycopg.connect(url) as line:
        line.execute(SCHEMA.encode())
    chance = random.Random(11)
    config = home / "community.yaml"
    config.write_text(COMMUNITY.format(url=url), "utf-8")
    hospital = Hospital(url, chance)
    with Gateway(command, home, config=config) as gateway:
        gateway.start()
        hospital.start()
        for _ in range(kills):
            time.sleep(chance.random() * 2.5)
            gateway.kill()
            gateway.start()
        hospital.stopping.set()
        hospital.join()
        with psycopg.connect(url) as line:
            final = {
                f"R{n}": [str(value) for value in values]
                for n, values in line.execute("SELECT n, array_agg(value ORDER BY i) FROM item GROUP BY n").fetchall()
            }
        _until_settled(gateway, final)
        told = _entries(gateway.data / "journal.sqlite")
        stored = gateway.count("DiagnosticReport?status=final")
        values = _values(gateway.data / "record.sqlite")
    entries = sum(map(len, told.values()))
    figures = (
        f"{kills} kills, {hospital.reports} reports of {ITEMS} items, {hospital.changes} changes, {entries} entries of "
        f"results"
    )
    return figures, _wrong(final, told, stored, values)


def _until_settled(gateway: Gateway, final: dict[str, list[str]], seconds: float = 240.0) -> None:
    """What the hospital has now is journalled and processed, or the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        told = _entries(gateway.data / "journal.sqlite")
        if {name: found[-1] for name, found in told.items()} == final and not gateway.entries().get("waiting"):
            return
        time.sleep(0.5)


def _entries(path: Path) -> dict[str, list[list[str]]]:
    """Of each report the values of its entries, one after the other."""
    told: dict[str, list[list[str]]] = defaultdict(list)
    with closing(sqlite3.connect(path)) as journal:
        for (body,) in journal.execute("SELECT body FROM entry WHERE kind = 'his-results' ORDER BY id"):
            sheet = json.loads(body)["tables"][0]
            number, value, item = (sheet["columns"].index(each) for each in ("报告单号", "结果", "序号"))
            rows = sorted(sheet["cells"], key=lambda cells: int(cells[item]))
            told[rows[0][number]].append([cells[value] for cells in rows])
    return dict(told)


def _values(path: Path) -> int:
    """Observations in the record: one for each item, however often it changed."""
    with closing(sqlite3.connect(path)) as record:
        return int(record.execute("SELECT count(*) FROM resource WHERE type = 'Observation'").fetchone()[0])


def _wrong(final: dict[str, list[str]], told: dict[str, list[list[str]]], stored: int, observations: int) -> str:
    lost = [name for name, values in final.items() if not told.get(name) or told[name][-1] != values]
    split = [name for name, found in told.items() if any(len(each) != ITEMS for each in found)]
    doubled = [name for name, found in told.items() if any(one == two for one, two in pairwise(found))]
    if lost or split or doubled:
        return f"{len(lost)} lost, {len(split)} split, {len(doubled)} doubled"
    if stored != len(final) or observations != ITEMS * len(final):
        return f"{stored} reports and {observations} results are stored, of {len(final)} and {ITEMS * len(final)}"
    return ""
