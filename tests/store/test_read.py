"""Versions, histories, the record as it was, what belongs together."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Permanent
from gateway.store.read import Looked
from tests.store.conftest import Ward
from tests.store.samples import laboratory, patient, put

P = "urn:uuid:p"


def grown(ward: Ward, versions: int = 3) -> str:
    """A patient with several versions."""
    reference = ""
    for number in range(versions):
        reference = ward.apply(put(patient(language=f"x{number}"), P)).references[P]
    return reference.removeprefix("Patient/")


def test_versions(ward: Ward) -> None:
    key = grown(ward)
    record = ward.record
    current = record.read("Patient", key)
    assert current is not None
    assert (current.version, current.deleted, current.resource["language"]) == (3, False, "x2")
    assert [each.version for each in record.history("Patient", key).matches] == [3, 2, 1]
    for version in (1, 2, 3):
        stored = record.vread("Patient", key, version)
        assert stored is not None
        assert stored.resource["language"] == f"x{version - 1}"
        assert stored.resource["meta"]["versionId"] == str(version)
    assert record.vread("Patient", key, 4) is None
    assert record.read("Patient", "absent") is None
    assert record.history("Patient", "absent").matches == []


def test_as_it_was(ward: Ward) -> None:
    key = grown(ward)
    ward.apply({"request": {"method": "DELETE", "url": f"Patient/{key}"}})
    with ward.engine.reading() as reader:
        for transaction in (1, 2, 3):
            stored = ward.record.as_of(reader, "Patient", key, transaction)
            assert stored is not None
            assert stored.version == transaction
        assert ward.record.as_of(reader, "Patient", key, 0) is None
        gone = ward.record.as_of(reader, "Patient", key, 4)
        assert gone is not None
        assert gone.deleted


def test_the_history_of_a_type_in_pages(ward: Ward) -> None:
    for number in range(3):
        ward.apply(*[put(patient(f"P{each}", language=f"x{number}"), f"urn:uuid:{each}") for each in range(5)])
    seen: list[tuple[str, int]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ward.record.versions("Patient", count=4, cursor=cursor)
        seen += [(each.id, each.version) for each in page.matches]
        cursor = page.next
    assert len(seen) == len(set(seen)) == 15
    assert [version for _, version in seen] == [3] * 5 + [2] * 5 + [1] * 5
    with pytest.raises(Permanent, match="cursor"):
        ward.record.versions("Patient", cursor="x.y")


def test_what_a_report_needs(ward: Ward) -> None:
    entries = laboratory(1, 1)["entry"]
    done = ward.apply(*entries)
    report = next(change for change in done.changes if change.type == "DiagnosticReport")
    later: list[Any] = [entry for entry in entries if entry["resource"]["resourceType"] == "Observation"]
    for entry in later:
        entry["resource"] = {**entry["resource"], "status": "corrected"}
        entry["resource"].pop("subject")
        entry["resource"].pop("encounter")
    ward.apply(*later)
    with ward.engine.reading() as reader:
        found = ward.record.related(reader, "DiagnosticReport", report.id, done.transaction)
        assert next(iter(found)) == report.reference
        kinds = sorted(each["resourceType"] for each in found.values())
        assert kinds == ["DiagnosticReport", "Encounter", *["Observation"] * 8, "Patient", "ServiceRequest"]
        assert {each["status"] for each in found.values() if each["resourceType"] == "Observation"} == {"final"}
        now = ward.record.related(reader, "DiagnosticReport", report.id, done.transaction + 1)
        assert {each["status"] for each in now.values() if each["resourceType"] == "Observation"} == {"corrected"}
        assert len(ward.record.related(reader, "DiagnosticReport", report.id, done.transaction, depth=0)) == 1
        assert ward.record.related(reader, "DiagnosticReport", "absent", 9) == {}
        known: Looked = {}
        for number in (done.transaction, done.transaction + 1, done.transaction):
            again = ward.record.related(reader, "DiagnosticReport", report.id, number, known=known)
            assert again == (found if number == done.transaction else now)
        assert len(known) == 2 * len(found)


def test_statistics(ward: Ward) -> None:
    ward.apply(*laboratory(1, 1)["entry"])
    assert ward.record.statistics() == {
        "DiagnosticReport": 1,
        "Encounter": 1,
        "Observation": 8,
        "Patient": 1,
        "ServiceRequest": 1,
    }
