"""Our code tables and HL7's guide: every difference is deliberate, and has its reason beside it."""

from __future__ import annotations

import csv

from gateway.fhir import definitions
from gateway.mapping import guide
from gateway.mapping.maps import shipped
from tests.mapping.house import maps

LISTED = shipped() / "hl7v2" / "guide_differences.tsv"


def listed() -> list[dict[str, str]]:
    lines = [line for line in LISTED.read_text("utf-8").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t"))


def test_every_difference_from_the_guide_is_deliberate() -> None:
    found = {(each.table, each.code, each.guide, each.ours) for each in guide.differences(maps().library.codes)}
    assert found == {(row["table"], row["code"], row["guide"], row["ours"]) for row in listed()}


def test_every_difference_has_its_reason() -> None:
    assert [row for row in listed() if not row["why"].strip()] == []


def test_no_status_of_the_guide_is_left_without_a_target() -> None:
    """OBX-11, OBR-25 and ORC-1: FHIR requires a status."""
    for table, path in (
        ("result-status", "Observation.status"),
        ("report-status", "DiagnosticReport.status"),
        ("order-control", "ServiceRequest.status"),
        ("order-status", "ServiceRequest.status"),
    ):
        into = maps().library.codes[table].into
        allowed = definitions.resolve(path).codes
        assert allowed is not None
        assert {row.code for row in guide.of(table)} <= into.keys()
        assert set(into.values()) <= allowed


def test_the_guide_is_all_there() -> None:
    assert len(guide.maps()) == 78  # those that name codes of a table; the others only list what FHIR has
    assert sum(map(len, guide.maps().values())) > 2_800
    assert set(guide.GUIDED.values()) <= guide.maps().keys()
    assert next(row.text for row in guide.of("sex") if row.code == "F") == "Female"
