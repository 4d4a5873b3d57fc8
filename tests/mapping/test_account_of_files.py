"""What became of every element of resources that became a file: nothing is left out of it in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.fhir import json
from gateway.mapping.accounting.account import State
from gateway.mapping.accounting.elements import leaves
from gateway.mapping.accounting.writing_files import account_of_file
from gateway.model import Resource
from tests.mapping.house import maps
from tests.mapping.test_foreign_resources import TO, amount, flags, report, written


def kept(resources: dict[str, Resource], name: str = "laboratory-results") -> dict[str, str]:
    """The elements that are not in the file, with the reason."""
    account = account_of_file(maps(), resources, name=name, to=TO)
    assert len(account.rows) == sum(len(list(leaves(each))) for each in resources.values())  # each element once
    return {row.place: row.reason for row in account.rows if row.state is State.KEPT}


def test_what_is_said_is_carried() -> None:
    resources = report({"valueQuantity": amount("5.60"), "interpretation": flags("H"), "note": [{"text": "甲"}]})
    told = kept(resources)
    assert not [place for place in told if "value" in place or "interpretation" in place or "note" in place]
    assert not [place for place in told if place.startswith("DiagnosticReport")]


@pytest.mark.parametrize(
    ("result", "place"),
    [
        ({"component": [{"code": {"text": "A"}, "valueString": "x"}]}, "component[0].valueString"),
        ({"dataAbsentReason": {"text": "溶血"}}, "dataAbsentReason.text"),
        ({"bodySite": {"text": "左臂"}}, "bodySite.text"),
        ({"valueSampledData": {"data": "1 2"}}, "valueSampledData.data"),
        ({"interpretation": flags("H", "HH"), "valueString": "x"}, "interpretation[0].coding[0].code"),
    ],
)
def test_what_no_cell_says_is_told(result: dict[str, Any], place: str) -> None:
    assert f"Observation[1].{place}" in kept(report(result))


def test_a_result_that_is_left_out_is_told_whole() -> None:
    resources = report({"valueString": "x", "status": "entered-in-error"}, {"valueString": "y"})
    told = kept(resources, "zhifang-results")
    assert "Observation[1].valueString" in told
    assert "Observation[2].valueString" not in told


def test_what_no_lead_is_about_is_told() -> None:
    other: Resource = {"resourceType": "Immunization", "status": "completed"}
    told = kept({**report({"valueString": "x"}), "i": other})
    assert told["Immunization[1].status"] == "laboratory-results has no place for Immunization"


@pytest.mark.parametrize(
    ("name", "taken", "told"),
    [("laboratory-results", "采样时间", "报告时间"), ("upload-results", "cysj", "bgrq")],
)
def test_the_times_of_a_result_are_written(name: str, taken: str, told: str) -> None:
    times = {"effectiveDateTime": "2026-03-12T07:00:00+08:00", "issued": "2026-03-12T09:00:00+08:00"}
    (row,) = written(report({"valueString": "x", **times}), name).rows
    assert (row[taken], row[told]) == ("2026-03-12 07:00:00", "2026-03-12 09:00:00")


def test_the_command_tells_it(tmp_path: Path) -> None:
    entries = [{"fullUrl": f"urn:x:{url}", "resource": each} for url, each in report({"valueString": "x"}).items()]
    for entry in entries:
        entry["resource"] = _renamed(entry["resource"])
    entries[1]["resource"]["bodySite"] = {"text": "左臂"}
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    arguments = ["translate", str(bundle), "--to", "delimited", "--message", "laboratory-results", "--loss"]
    made = CliRunner().invoke(app, arguments)
    assert made.exit_code == 0, made.output
    assert "Observation[1].bodySite.text\tkept" in made.stderr
    assert "Observation[1].valueString\tcarried" in made.stderr


def _renamed(value: Any) -> Any:
    """With references by full URL."""
    if isinstance(value, dict):
        return {name: f"urn:x:{each}" if name == "reference" else _renamed(each) for name, each in value.items()}
    return [_renamed(each) for each in value] if isinstance(value, list) else value
