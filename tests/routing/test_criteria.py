"""FHIR searches held against resources in memory."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway import errors, routing
from gateway.model import Subscription

REPORT: dict[str, Any] = {
    "resourceType": "DiagnosticReport",
    "id": "r1",
    "identifier": [{"system": "urn:hutong:id:LAB", "value": "R|1"}],
    "status": "final",
    "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "58410-2", "display": "CBC panel"}], "text": "血常规"},
    "subject": {"reference": "Patient/p1", "identifier": {"system": "urn:x", "value": "7"}},
    "effectiveDateTime": "2026-03-05T10:00:00+08:00",
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"text": "张三", "family": "张", "given": ["三"]}, {"family": "Müller"}],
    "birthDate": "1990-03",
    "gender": "male",
}
RISK: dict[str, Any] = {
    "resourceType": "RiskAssessment",
    "id": "x",
    "status": "final",
    "subject": {"reference": "Patient/p1"},
    "prediction": [{"probabilityDecimal": Decimal("0.50")}],
}


@pytest.mark.parametrize(
    ("resource", "criteria", "expected"),
    [
        (REPORT, "DiagnosticReport", True),
        (REPORT, "DiagnosticReport?", True),
        (REPORT, "Observation", False),
        (REPORT, "DiagnosticReport?status=final", True),
        (REPORT, "DiagnosticReport?status=preliminary,final", True),
        (REPORT, "DiagnosticReport?status=preliminary", False),
        (REPORT, "DiagnosticReport?status=final&category=LAB", True),
        (REPORT, "DiagnosticReport?status=final&category=RAD", False),
        (REPORT, "DiagnosticReport?status=final&status=amended", False),
        (REPORT, "DiagnosticReport?status:not=final", False),
        (REPORT, "DiagnosticReport?status:not=amended", True),
        (REPORT, "DiagnosticReport?specimen:missing=true", True),
        (REPORT, "DiagnosticReport?code:missing=true", False),
        (REPORT, "DiagnosticReport?code:missing=false", True),
        (REPORT, "DiagnosticReport?code=http://loinc.org|58410-2", True),
        (REPORT, "DiagnosticReport?code=http%3A%2F%2Floinc.org%7C58410-2", True),
        (REPORT, "DiagnosticReport?code=http://loinc.org|", True),
        (REPORT, "DiagnosticReport?code=|58410-2", False),
        (REPORT, "DiagnosticReport?code=http://snomed.info/sct|58410-2", False),
        (REPORT, "DiagnosticReport?code:text=cbc", True),
        (REPORT, "DiagnosticReport?code:text=血", True),
        (REPORT, r"DiagnosticReport?identifier=urn:hutong:id:LAB|R\|1", True),
        (REPORT, "DiagnosticReport?patient=Patient/p1", True),
        (REPORT, "DiagnosticReport?patient=p1", True),
        (REPORT, "DiagnosticReport?subject:Patient=p1", True),
        (REPORT, "DiagnosticReport?subject:Group=p1", False),
        (REPORT, "DiagnosticReport?subject=Group/p1", False),
        (REPORT, "DiagnosticReport?subject:identifier=urn:x|7", True),
        (REPORT, "DiagnosticReport?subject:identifier=urn:y|7", False),
        (REPORT, "DiagnosticReport?date=2026-03-05", True),
        (REPORT, "DiagnosticReport?date=2026-03", True),
        (REPORT, "DiagnosticReport?date=ne2026-03", False),
        (REPORT, "DiagnosticReport?date=ge2026-03-05&date=lt2026-03-06", True),
        (REPORT, "DiagnosticReport?date=gt2026-03-05", False),
        (REPORT, "DiagnosticReport?date=sa2026-03-04", True),
        (REPORT, "DiagnosticReport?date=eb2026-03-05T11:00:00+08:00", True),
        (REPORT, "DiagnosticReport?date=le2026-03-05T01:00:00Z", False),
        (REPORT, "DiagnosticReport?_id=r1", True),
        (REPORT, "DiagnosticReport?_id=r2", False),
        (PATIENT, "Patient?name=张", True),
        (PATIENT, "Patient?name=muller", True),
        (PATIENT, "Patient?name:exact=muller", False),
        (PATIENT, "Patient?family:exact=Müller", True),
        (PATIENT, "Patient?name:contains=ULL", True),
        (PATIENT, "Patient?birthdate=1990", True),
        (PATIENT, "Patient?birthdate=1990-03-05", False),
        (PATIENT, "Patient?gender=male&active:missing=true", True),
        (RISK, "RiskAssessment?probability=0.5", True),
        (RISK, "RiskAssessment?probability=gt0.5", False),
        (RISK, "RiskAssessment?probability=ge0.5", True),
        (RISK, "RiskAssessment?probability=lt0.6", True),
    ],
)
def test_matches(resource: dict[str, Any], criteria: str, expected: bool) -> None:
    assert routing.matches(resource, criteria) is expected


@pytest.mark.parametrize(
    ("criteria", "cause"),
    [
        ("Pateint?name=x", "did you mean 'Patient'"),
        ("", "unknown resource type"),
        ("Patient?nmae=x", "did you mean 'name'"),
        ("Patient?name:soundex=x", "modifier"),
        ("Patient?organization.name=x", "no search parameter"),
        ("Patient?_has:Observation:patient:code=x", "no search parameter"),
        ("Patient?_count=5", "no search parameter"),
        ("Patient?_text=5", "no search parameter"),
        ("Patient?birthdate=soon", "is no date"),
        ("Patient?name:missing=yes", "missing=true"),
        ("Patient?name=", "has no value"),
        ("Observation?code-value-quantity=1$2", "composite parameter"),
        ("RiskAssessment?probability=high", "is no number"),
        ("RiskAssessment?probability=NaN", "is no number"),
    ],
)
def test_what_is_no_criteria_is_said_before_a_message_comes(criteria: str, cause: str) -> None:
    with pytest.raises(errors.Configuration, match=cause):
        routing.matches(PATIENT, criteria)


def test_a_subscription_wants_what_any_of_its_criteria_finds() -> None:
    wants = routing.compile(Subscription(id="s", criteria=("Patient?gender=female", "DiagnosticReport?status=final")))
    assert wants(REPORT)
    assert not wants(PATIENT)
