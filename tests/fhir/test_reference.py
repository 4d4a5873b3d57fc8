"""References are found where they are, and replaced there."""

from __future__ import annotations

import pytest

from gateway.fhir import reference
from tests.fhir import laboratory


def test_walk_names_the_place_of_every_reference() -> None:
    found = {path: each.get("reference") for path, each in reference.walk(laboratory.report())}
    assert found == {
        "DiagnosticReport.subject": laboratory.PATIENT,
        "DiagnosticReport.result[0]": laboratory.GLUCOSE,
        "DiagnosticReport.performer[0]": None,  # only an identifier
    }


def test_find_gives_the_same_dictionaries_as_walk() -> None:
    for resource in (laboratory.transaction(), laboratory.corners()):
        assert {id(each) for each in reference.find(resource)} == {id(each) for _, each in reference.walk(resource)}


def test_what_only_looks_like_a_reference_is_none() -> None:
    resource = {
        "resourceType": "Bundle",
        "identifier": {"system": "a", "value": "b"},
        "expression": {"language": "text/cql", "reference": "http://x"},
        "subject": {"display": "nobody"},
    }
    assert list(reference.walk(resource)) == []


def test_replace_changes_in_place_and_counts() -> None:
    resource = laboratory.transaction()
    changed = reference.replace(resource, {laboratory.PATIENT: "Patient/7"}.get)
    assert changed == 2
    assert resource["entry"][1]["resource"]["subject"] == {"reference": "Patient/7"}
    assert resource["entry"][1]["resource"]["result"] == [{"reference": laboratory.GLUCOSE}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", reference.Literal("Patient", "1")),
        ("Patient/1/_history/2", reference.Literal("Patient", "1", version="2")),
        ("https://h/fhir/Patient/a-1.b", reference.Literal("Patient", "a-1.b", base="https://h/fhir/")),
        ("#p", None),
        ("urn:uuid:0", None),
        ("Patient?identifier=a|b", None),
        ("Patient/1 2", None),
        ("Patient/1\n", None),
    ],
)
def test_parse(text: str, expected: reference.Literal | None) -> None:
    assert reference.parse(text) == expected
