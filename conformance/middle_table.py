"""kill -9 while rows are written into a member's middle table: each delivery whole, and once (`conformance.faults`)."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from pathlib import Path

import psycopg

from conformance import databases
from conformance.gateway import Gateway

COMMUNITY = """\
id: faults
name: Faults 故障测试
open: true
members:
  - id: county
    name: 县医院
    facilities: [COUNTY]
    profile: {{charset: UTF-8}}
    subscriptions:
      - id: county-table
        criteria: [DiagnosticReport]
        transport: database
        address: {url}
        format: rows
        message: laboratory-results
        table:
          name: jyjg
          delivery: jhlsh
          number: hh
          columns: {{申请单号: sqdh, 项目名称: xmmc, 结果: jg}}
        timeout: 5
"""
TABLE = "CREATE TABLE jyjg(jhlsh varchar(20), hh int, sqdh varchar(20), xmmc varchar(40), jg varchar(20)"
ITEMS = 3


def result(number: int) -> bytes:
    """A report of three results."""
    segments = [
        f"MSH|^~\\&|LIS|TOWN|GW|COUNTY|20260312110000||ORU^R01^ORU_R01|M{number:05d}|P|2.5.1|||||CHN|UNICODE UTF-8",
        f"PID|1||P{number % 12:02d}^^^TOWN^MR||某^甲||19720608|M",
        "PV1|1|O",
        f"ORC|RE|O{number:05d}|F{number:05d}",
        f"OBR|1|O{number:05d}|F{number:05d}|0201^电解质^L|||20260312100000|||||||||||||||20260312111500||LAB|F",
        *(f"OBX|{i}|NM|K{i}^项目{i}^L||{number}|mmol/L|||||F" for i in range(1, ITEMS + 1)),
    ]
    return ("\r".join(segments) + "\r").encode()


def killed_while_writing_a_table(home: Path, command: list[str], *, kills: int = 8) -> tuple[str, str]:
    """(figures, what does not hold). The table has no unique index: nothing but the delivery's number tells."""
    try:
        with databases.postgresql() as server:
            return _killed(server.url, home, command, kills)
    except databases.Unavailable as reason:
        return f"skipped: {reason}", ""


def _killed(url: str, home: Path, command: list[str], kills: int) -> tuple[str, str]:
    with psycopg.connect(url) as line:
        line.execute(f"{TABLE})".encode())
    config = home / "community.yaml"
    config.write_text(COMMUNITY.format(url=url), "utf-8")
    chance, sent = random.Random(5), 0
    with Gateway(command, home, config=config) as gateway:
        gateway.start()
        for _ in range(kills):
            for _ in range(25):
                if gateway.send(result(sent)).one("MSA", 1) != "AA":
                    return "", f"message {sent} was not taken"
                sent += 1
            time.sleep(chance.random())
            gateway.kill()
            gateway.start()
        began = time.monotonic()
        while time.monotonic() - began < 60 and len(_there(url)) < sent:
            time.sleep(0.2)
        found = _there(url)
    figures = f"{kills} kills, {sent} reports of {ITEMS} results, {sum(map(len, found.values()))} rows"
    wrong = [order for order, rows in found.items() if rows != list(range(1, ITEMS + 1))]
    if len(found) != sent or wrong:
        return figures, f"{sent - len(found)} lost, {len(wrong)} doubled or in part"
    return figures, ""


def _there(url: str) -> dict[str, list[int]]:
    """The numbers of the rows of each order."""
    found: dict[str, list[int]] = defaultdict(list)
    with psycopg.connect(url) as line:
        for order, number in line.execute(b"SELECT sqdh, hh FROM jyjg ORDER BY sqdh, hh").fetchall():
            found[order].append(number)
    return dict(found)
