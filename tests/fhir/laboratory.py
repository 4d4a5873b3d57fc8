"""A small laboratory Bundle of our own, and resources that use the rarer corners of R4 JSON. Invented people."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from gateway.fhir import bundle, json

SHARED = Path(__file__).parents[3] / "shared"
HOSPITAL = "urn:id:XZRMYY"
PATIENT, REPORT, GLUCOSE = (
    bundle.full_url(kind, key)
    for kind, key in (("Patient", "1000"), ("DiagnosticReport", "R1"), ("Observation", "R1-1"))
)

_PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [
        {
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
            "system": HOSPITAL,
            "value": "1000",
        }
    ],
    "name": [{"family": "欧阳", "given": ["小燕"]}, {"family": "Müller", "given": ["Ana"], "text": "Ana Müller"}],
    "gender": "female",
    "birthDate": "1985-03",
    "telecom": [{"system": "phone", "value": "13800000000", "use": "mobile"}],
    "address": [{"line": ["索河街道1号"], "city": "郑州市"}],
}
_OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "14771-0", "display": "空腹血糖"}]},
    "subject": {"reference": PATIENT},
    "effectiveDateTime": "2026-03-14T11:05:00+08:00",
    "valueQuantity": {"value": 0, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
    "referenceRange": [{"low": {"value": 3}, "high": {"value": 6}}],
}
_REPORT: dict[str, Any] = {
    "resourceType": "DiagnosticReport",
    "id": "r1",
    "status": "final",
    "code": {"text": "生化"},
    "subject": {"reference": PATIENT},
    "result": [{"reference": GLUCOSE}],
    "performer": [{"identifier": {"system": HOSPITAL, "value": "20013"}, "display": "李医生"}],
}
# Contained resource, primitive extensions, null in an array, a required value that is only an extension, exact decimal.
_CORNERS = (
    '{"resourceType":"Patient","id":"c1","contained":[{"resourceType":"Organization","id":"org","name":"卫生院"}],'
    '"managingOrganization":{"reference":"#org"},"name":[{"given":[null,"小"],"_given":[{"extension":['
    '{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},null]}],'
    '"_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime",'
    '"valueDateTime":"1985-03-12T07:00:00.50+08:00"}]},"communication":[{"language":{"text":"中文"}}],'
    '"extension":[{"url":"urn:x:weight","valueDecimal":0.10}]}'
)


def patient() -> dict[str, Any]:
    return copy.deepcopy(_PATIENT)


def observation(**changes: Any) -> dict[str, Any]:
    made = {**copy.deepcopy(_OBSERVATION), **changes}
    return {key: value for key, value in made.items() if value is not None}


def report() -> dict[str, Any]:
    return copy.deepcopy(_REPORT)


def corners() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(_CORNERS)
    return made


def transaction() -> dict[str, Any]:
    return bundle.transaction(
        [
            bundle.entry(patient(), PATIENT, bundle.update("Patient", HOSPITAL, "1000")),
            bundle.entry(report(), REPORT, bundle.update("DiagnosticReport", HOSPITAL, "R1")),
            bundle.entry(observation(), GLUCOSE, bundle.create("Observation", HOSPITAL, "R1-1")),
        ]
    )
