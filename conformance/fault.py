"""What every fault needs: a gateway of its own, results that can be told apart, waiting until something holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
      - id: county-reports
        criteria: [DiagnosticReport]
        transport: {transport}
        address: {address}
        format: {format}
        message: {message}
        timeout: 2
        attempts: 3
"""
NAMES = "赵钱孙李周吴郑王冯陈褚卫"
PATIENCE = 60.0

Result = tuple[str, str]  # figures, and what does not hold ("" when all does)


def result(number: int, *, patients: int = len(NAMES), text: str = "") -> bytes:
    """A laboratory result; its patient by turns, its value its number."""
    patient = number % patients
    order, report = f"O{number:05d}", f"F{number:05d}"
    segments = (
        f"MSH|^~\\&|LIS|TOWN|GW|COUNTY|20260312110000||ORU^R01^ORU_R01|M{number:05d}|P|2.5.1|||||CHN|UNICODE UTF-8",
        f"PID|1||P{patient:02d}^^^TOWN^MR||{NAMES[patient % len(NAMES)]}^某甲||19720608|M",
        "PV1|1|O",
        f"ORC|RE|{order}|{report}",
        f"OBR|1|{order}|{report}|0201^电解质^L|||20260312100000|||||||||||||||20260312111500||LAB|F",
        f"OBX|1|NM|2823-3^钾^LN||{number}|mmol/L|||||F",
        text,
    )
    return ("\r".join(filter(None, segments)) + "\r").encode()


class Fault:
    """One gateway of its own in a folder that is removed when all held."""

    def __init__(self, home: Path, command: list[str]) -> None:
        self.home = home
        self.command = command

    @contextmanager
    def gateway(
        self, address: str, *, transport: str = "mllp", format: str = "hl7v2", message: str = "ORU_R01"
    ) -> Iterator[Gateway]:
        """Running, with one receiver."""
        config = self.home / "community.yaml"
        text = COMMUNITY.format(address=address, transport=transport, format=format, message=message)
        config.write_text(text, "utf-8")
        with Gateway(self.command, self.home, config=config) as gateway:
            gateway.start()
            yield gateway


def until(look: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """How long it took, -1.0 when it did not come."""
    began = time.monotonic()
    while not look():
        if time.monotonic() - began > seconds:
            return -1.0
        time.sleep(0.05)
    return time.monotonic() - began


def settled(gateway: Gateway) -> bool:
    """Nothing waits any more."""
    totals = gateway.get("/operations/status")["totals"]
    return not any(counts.get("waiting") for counts in totals.values())


def in_order(reports: list[str], patients: int) -> bool:
    """First arrivals of each patient's reports in the order in which they were sent."""
    first = [int(each[1:]) for each in dict.fromkeys(reports)]
    return all(
        (mine := [each for each in first if each % patients == patient]) == sorted(mine) for patient in range(patients)
    )
