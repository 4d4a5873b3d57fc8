"""What is left of a resource by _summary and _elements."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.fhir import json, validate
from gateway.store import subset
from gateway.store.stored import Stored, moment

CODE = {"text": "血压"}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "1",
    "meta": {"versionId": "1"},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'},
    "contained": [{"resourceType": "Patient", "id": "p"}],
    "modifierExtension": [{"url": "urn:x", "valueCode": "a"}],
    "status": "final",
    "code": CODE,
    "subject": {"reference": "#p"},
    "note": [{"text": "x"}],
    "component": [{"code": CODE, "valueString": "x", "interpretation": [CODE], "referenceRange": [{"text": "1"}]}],
}


def cut(resource: dict[str, Any], **how: Any) -> dict[str, Any]:
    body = json.dumps(resource)
    version = Stored(
        type=resource["resourceType"], id="1", version=1, updated=moment(0), deleted=False, body=body, transaction=1
    )
    made: dict[str, Any] = json.loads(subset.cut(version, **how).body)
    assert validate.problems(made) == []
    if how:
        assert made["meta"]["tag"][0]["code"] == "SUBSETTED"
    return made


def test_a_summary_holds_what_the_definition_marks() -> None:
    made = cut(OBSERVATION, summary="true")
    assert made["component"] == [{"code": CODE, "valueString": "x"}]
    assert made.keys() == OBSERVATION.keys() - {"text", "note"}  # what a reference leads to inside is kept


def test_text_and_mandatory_elements() -> None:
    made = cut(OBSERVATION, summary="text")
    assert made.keys() == {"resourceType", "id", "meta", "text", "modifierExtension", "status", "code"}


def test_data_is_everything_but_the_text() -> None:
    assert cut(OBSERVATION, summary="data").keys() == OBSERVATION.keys() - {"text"}


@pytest.mark.parametrize(("elements", "more"), [(("note",), {"note"}), (("subject",), {"subject", "contained"})])
def test_named_elements_and_mandatory_ones(elements: tuple[str, ...], more: set[str]) -> None:
    made = cut(OBSERVATION, elements=elements)
    assert made.keys() == {"resourceType", "id", "meta", "modifierExtension", "status", "code", *more}


def test_a_structure_without_anything_for_a_summary_is_left_out() -> None:
    patient = {"resourceType": "Patient", "id": "1", "contact": [{"name": {"text": "x"}}], "name": [{"text": "张伟"}]}
    assert cut(patient, summary="true").keys() == {"resourceType", "id", "meta", "name"}
    assert cut(patient) == patient
