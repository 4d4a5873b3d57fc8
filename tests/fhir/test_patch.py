"""FHIRPath Patch (R4 fhirpatch.html): values of types that are no data types, and what an add may meet."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Permanent
from gateway.fhir import validate
from gateway.fhir.patch import fhirpath_patch

PATIENT: dict[str, Any] = {"resourceType": "Patient", "gender": "male", "deceasedBoolean": False}


def operation(kind: str, path: str, **parts: Any) -> dict[str, Any]:
    made = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    made += [{"name": name, **value} for name, value in parts.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": made}]}


def added(name: str, *parts: dict[str, Any], path: str = "Patient") -> dict[str, Any]:
    return operation("add", path, name={"valueString": name}, value={"part": list(parts)})


def test_the_parts_of_an_extension_choose_the_form_of_its_value() -> None:
    asked = added("extension", {"name": "url", "valueUri": "urn:e"}, {"name": "value", "valueString": "x"})
    made = fhirpath_patch(PATIENT, asked)
    assert made["extension"] == [{"url": "urn:e", "valueString": "x"}]
    validate.check(made)


def test_a_primitive_is_chosen_by_what_it_is_itself() -> None:
    patient = {"resourceType": "Patient", "name": [{"given": ["a", "b"]}]}
    path = "Patient.name.given.where($this = 'b')"
    made = fhirpath_patch(patient, operation("replace", path, value={"valueString": "c"}))
    assert made["name"] == [{"given": ["a", "c"]}]


def test_what_may_come_again_is_a_list_though_it_came_once() -> None:
    phone = {"name": "telecom", "valueContactPoint": {"system": "phone", "value": "1"}}
    inner = {
        "name": "extension",
        "part": [{"name": "url", "valueUri": "urn:e"}, {"name": "value", "valueBoolean": True}],
    }
    made = fhirpath_patch(PATIENT, added("contact", phone, inner))
    assert made["contact"] == [
        {"telecom": [{"system": "phone", "value": "1"}], "extension": [{"url": "urn:e", "valueBoolean": True}]}
    ]
    validate.check(made)
    replaced = fhirpath_patch(made, operation("replace", "Patient.contact[0]", value={"part": [phone, phone]}))
    assert replaced["contact"] == [{"telecom": [{"system": "phone", "value": "1"}] * 2}]


@pytest.mark.parametrize(
    ("name", "value"), [("gender", {"valueCode": "female"}), ("deceased", {"valueDateTime": "2026"})]
)
def test_nothing_is_added_where_it_stands_already(name: str, value: dict[str, Any]) -> None:
    with pytest.raises(Permanent, match="is there already"):
        fhirpath_patch(PATIENT, operation("add", "Patient", name={"valueString": name}, value=value))


@pytest.mark.parametrize("part", [{"name": "gender"}, {"name": "colour", "valueString": "red"}])
def test_parts_that_say_nothing_or_what_there_is_not_are_refused(part: dict[str, Any]) -> None:
    with pytest.raises(Permanent):
        fhirpath_patch(PATIENT, added("contact", part))
