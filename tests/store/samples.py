"""Small bundles as the mapping makes them, for the tests of the store."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gateway.fhir import bundle
from gateway.model import Resource

MRN = "urn:hutong:mrn:county"
PLACER = "urn:hutong:placer:county"
FILLER = "urn:hutong:filler:county"
VISIT = "urn:hutong:visit:county"
TESTS = ("718-7", "4544-3", "6690-2", "777-3", "2345-7", "2160-0", "1742-6", "1920-8")


def identifier(system: str, value: str, kind: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"system": system, "value": value}
    if kind:
        made["type"] = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": kind}]}
    return made


def coded(code: str, system: str = "http://loinc.org") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def put(resource: Resource, url: str, **more: Any) -> dict[str, Any]:
    """A conditional update on the resource's first identifier."""
    first = resource["identifier"][0]
    return bundle.entry(resource, url, bundle.update(resource["resourceType"], first["system"], first["value"]), **more)


def post(resource: Resource, url: str) -> dict[str, Any]:
    """Create if absent, on the resource's first identifier."""
    first = resource["identifier"][0]
    return bundle.entry(resource, url, bundle.create(resource["resourceType"], first["system"], first["value"]))


def patient(number: str = "P1", **elements: Any) -> Resource:
    return {
        "resourceType": "Patient",
        "identifier": [identifier(MRN, number, "MR")],
        "name": [{"text": "张伟", "family": "张", "given": ["伟"]}],
        "gender": "male",
        "birthDate": "1980-02-29",
        **elements,
    }


def order(number: str = "O1", subject: str = "urn:p", **elements: Any) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "identifier": [identifier(PLACER, number, "PLAC")],
        "status": "active",
        "intent": "order",
        "code": coded("58410-2"),
        "subject": {"reference": subject},
        "authoredOn": "2026-03-01T08:00:00+08:00",
        **elements,
    }


def observation(number: str, subject: str = "urn:p", **elements: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "identifier": [identifier(FILLER, number)],
        "status": "final",
        "category": [coded("laboratory", "http://terminology.hl7.org/CodeSystem/observation-category")],
        "code": coded("718-7"),
        "subject": {"reference": subject},
        "effectiveDateTime": "2026-03-01T09:00:00+08:00",
        "valueQuantity": {
            "value": Decimal("5.40"),
            "unit": "g/L",
            "system": "http://unitsofmeasure.org",
            "code": "g/L",
        },
        **elements,
    }


def report(number: str = "R1", subject: str = "urn:p", **elements: Any) -> Resource:
    return {
        "resourceType": "DiagnosticReport",
        "identifier": [identifier(FILLER, number, "FILL")],
        "status": "final",
        "code": coded("58410-2"),
        "subject": {"reference": subject},
        "issued": "2026-03-01T10:00:00+08:00",
        **elements,
    }


def laboratory(person: int, visit: int) -> Resource:
    """A Bundle of 12 resources: Patient, Encounter, ServiceRequest, DiagnosticReport and 8 Observations."""
    number = f"{person}-{visit}"
    day = f"2026-{visit % 12 + 1:02d}-{person % 28 + 1:02d}"
    url = {name: bundle.full_url(name, number) for name in ("Patient", "Encounter", "ServiceRequest", "Report")}
    subject = {"reference": url["Patient"]}
    encounter = {"reference": url["Encounter"]}
    urls = [bundle.full_url("Observation", f"{number}-{index}") for index in range(8)]
    entries = [
        post(patient(f"P{person}"), url["Patient"]),
        post(
            {
                "resourceType": "Encounter",
                "identifier": [identifier(VISIT, number, "VN")],
                "status": "in-progress",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "subject": subject,
                "period": {"start": f"{day}T07:00:00+08:00"},
            },
            url["Encounter"],
        ),
        put(
            order(number, url["Patient"], encounter=encounter, authoredOn=f"{day}T08:00:00+08:00"),
            url["ServiceRequest"],
        ),
        put(
            report(
                number,
                url["Patient"],
                encounter=encounter,
                basedOn=[{"reference": url["ServiceRequest"]}],
                effectiveDateTime=f"{day}T09:00:00+08:00",
                issued=f"{day}T10:00:00+08:00",
                result=[{"reference": each} for each in urls],
            ),
            url["Report"],
        ),
    ]
    for index, each in enumerate(urls):
        value = Decimal(person * 7 + visit * 3 + index * 11) / 10
        entries.append(
            put(
                observation(
                    f"{number}-{index}",
                    url["Patient"],
                    encounter=encounter,
                    code=coded(TESTS[index]),
                    effectiveDateTime=f"{day}T09:00:00+08:00",
                    valueQuantity={"value": value, "unit": "g/L", "system": "http://unitsofmeasure.org", "code": "g/L"},
                ),
                each,
            )
        )
    return bundle.transaction(entries)
