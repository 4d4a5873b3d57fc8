"""Pharmacy messages before v2.4: their event is O01, that of their answers O02 (HL7 v2.3.1 §4.8)."""

from __future__ import annotations

import pytest

from gateway.codec import hl7v2
from gateway.model import Profile
from tests.mapping.house import PID, all_of, back, into

MESSAGES = {
    ("RDE^O01", "O11"): ("ORC|NW|RX1^HIS", "RXE|1^BID|Y1^阿司匹林^L|100||mg"),
    ("RDS^O01", "O13"): ("ORC|RE|RX1^HIS", "RXD|1|Y1^阿司匹林^L|20260315|20|片||N1"),
    ("RGV^O01", "O15"): ("ORC|RE|RX1^HIS", "RXG|1|1|1^BID|Y1^阿司匹林^L|100||mg"),
    ("RAS^O01", "O17"): ("ORC|RE|RX1^HIS", "RXA|0|1|20260315110000|20260315113000|Y1^阿司匹林^L|100|mg"),
    ("RRE^O02", "O12"): ("MSA|AA|M0", "ORC|OK|RX1^HIS", "RXE|1^BID|Y1^阿司匹林^L|100||mg"),
}


@pytest.mark.parametrize(("kind", "now"), MESSAGES)
def test_they_are_read_and_written_with_the_event_of_the_version(kind: str, now: str) -> None:
    lines = ("MSH|^~\\&|HIS|COUNTY|GW|HUB|20260315083012||" + kind + "|M1|P|2.3.1", PID, *MESSAGES[kind, now])
    made = into("".join(f"{line}\r" for line in lines).encode())
    assert [each for each in made.bundle["entry"] if each["resource"]["resourceType"].startswith("Medication")]
    assert all_of(made, "Patient")
    code, _, event = kind.partition("^")
    written = {
        version: hl7v2.decode(
            back(made.bundle, f"{code}_{now}", event=event, profile=Profile(time_zone="Asia/Shanghai", version=version))
        ).header
        for version in ("2.3.1", "2.5.1")
    }
    assert written["2.3.1"].kind == kind
    assert written["2.5.1"].kind == f"{code}^{now}"
