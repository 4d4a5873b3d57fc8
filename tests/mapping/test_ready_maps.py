"""The maps of common Chinese systems (china.md §2.8): what takes a record back, what says that there is nothing, and
what stands in two columns, is read as it is meant."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gateway.codec import delimited
from gateway.mapping.export_records import Part
from gateway.mapping.maps import Translation, shipped
from gateway.model import Resource
from tests.mapping.house import SHANGHAI, maps

EXAMPLES = shipped() / "exports" / "examples"
NAMES = sorted(
    path.name.partition(".")[0]
    for path in EXAMPLES.glob("*.csv")
    if path.name.startswith(("bsoft", "jiahe", "list", "neusoft", "oracle", "upload", "winning", "zhifang", "zlsoft"))
    and ".back." not in path.name
)
COUNTS = {  # what each row of an example becomes
    "bsoft_inpatients": ("Encounter", ["in-progress", "finished", "cancelled"]),
    "jiahe_results": ("DiagnosticReport", ["final", "entered-in-error"]),
    "neusoft_inpatients": ("Encounter", ["in-progress", "finished", "cancelled"]),
    "neusoft_orders": ("ServiceRequest", ["active", "revoked"]),
    "oracle_results": ("Observation", ["final", "final", "entered-in-error"]),
    "upload_referrals": ("Task", ["requested", "entered-in-error", "requested"]),
    "upload_results": ("Observation", ["final", "entered-in-error"]),
    "upload_visits": ("Encounter", ["unknown", "cancelled", "unknown", "unknown"]),
    "winning_visits": ("Encounter", ["finished", "cancelled", "finished"]),
    "zhifang_results": ("Observation", ["final", "final", "final"]),
    "zlsoft_imaging": ("DiagnosticReport", ["final", "entered-in-error"]),
    "list_visits": ("Encounter", ["finished", "cancelled"]),
}


def translated(name: str, **changes: str) -> Translation:
    """An example, its first row with other cells."""
    table = delimited.decode((EXAMPLES / f"{name}.csv").read_bytes())
    found = maps().exports.of_columns(table.columns)
    assert found == name.replace("_", "-")  # each is recognised by its own columns
    rows = [table.rows[0] | changes, *table.rows[1:]]
    part = Part(name=found, records=rows, numbers=table.numbers)
    return maps().exports.to_fhir([part], profile=SHANGHAI, facility="HIS", control_id="1")


def resources(made: Translation, type_: str) -> list[Resource]:
    return [each["resource"] for each in made.bundle["entry"] if each["resource"]["resourceType"] == type_]


def first(name: str, type_: str, **changes: str) -> dict[str, Any]:
    return resources(translated(name, **changes), type_)[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_taken(name: str) -> None:
    made = translated(name)
    assert [each for each in made.rejects if not each.cell] == []
    assert made.unknown == ()
    assert made.notes == ()


@pytest.mark.parametrize("name", COUNTS)
def test_what_was_taken_back_says_so(name: str) -> None:
    type_, wanted = COUNTS[name]
    assert [each["status"] for each in resources(translated(name), type_)] == wanted


def test_there_is_a_map_of_each_system() -> None:
    assert Counter(name.partition("_")[0] for name in NAMES) == {
        "bsoft": 2, "jiahe": 1, "list": 3, "neusoft": 3, "oracle": 2, "upload": 3, "winning": 2, "zhifang": 1,
        "zlsoft": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "column", "gone"),
    [
        ("neusoft_patients", "IS_VALID", "0"),
        ("oracle_patients", "有效标志", "0"),
        ("bsoft_patients", "ZXBZ", "1"),
    ],
)
def test_a_person_whose_file_was_closed_stays_and_is_not_active(name: str, column: str, gone: str) -> None:
    assert first(name, "Patient", **{column: gone})["active"] is False
    assert first(name, "Patient").get("active", True) is True


def test_days_that_say_there_is_none_end_no_stay() -> None:
    assert "end" not in first("neusoft_inpatients", "Encounter")["period"]


def test_a_day_and_its_time_stand_in_two_columns() -> None:
    report = first("zhifang_results", "DiagnosticReport")
    assert (report["effectiveDateTime"], report["issued"]) == (
        "2026-03-12T07:39:00+08:00",
        "2026-03-12T09:14:00+08:00",
    )
    assert first("zhifang_results", "Specimen", CollectTime="")["collection"]["collectedDateTime"] == "2026-03-12"


def test_a_number_and_words_stand_in_two_columns() -> None:
    number, words, _ = resources(translated("zhifang_results"), "Observation")
    assert str(number["valueQuantity"]["value"]) == "6.8"
    assert words["valueString"] == "轻度溶血"


def test_a_medicine_is_no_request() -> None:
    numbers = [each["identifier"][0]["value"] for each in resources(translated("neusoft_orders"), "ServiceRequest")]
    assert numbers == ["9000001", "9000002"]


def test_an_order_that_makes_no_request_is_told_with_its_number_and_its_class() -> None:
    made = translated("neusoft_orders", CLASS_CODE="P")
    told = {each.column: (each.cause, each.value) for each in made.rejects if each.row == 2}
    assert told["MO_ORDER"] == ("no ServiceRequest is made of such a row", "9000001")
    assert told["CLASS_CODE"] == ("no ServiceRequest is made of such a row", "P")


def test_findings_and_what_they_mean_stay_two_texts() -> None:
    made = translated("zlsoft_imaging")
    assert resources(made, "DiagnosticReport")[0]["conclusion"] == "右下肺炎症。"
    assert resources(made, "Observation")[0]["valueString"] == "右下肺斑片影。"


def test_an_unknown_allergy_is_none() -> None:
    assert len(resources(translated("upload_visits"), "AllergyIntolerance")) == 1
    assert resources(translated("upload_visits", gms=""), "AllergyIntolerance") == []
