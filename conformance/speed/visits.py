"""Laboratory visits of invented people: transactions of 12 resources, any number of them, always the same ones."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from gateway.fhir import json

PATIENTS = "urn:oid:1.2.3.4.5.6"
LOINC = "http://loinc.org"
VISITS = 5  # of one patient
_TESTS = (
    ("6690-2", "白细胞计数", "10*9/L", 350, 950), ("789-8", "红细胞计数", "10*12/L", 430, 580),
    ("718-7", "血红蛋白", "g/L", 11500, 17500), ("777-3", "血小板计数", "10*9/L", 12500, 35000),
    ("2345-7", "葡萄糖", "mmol/L", 390, 610), ("2160-0", "肌酐", "umol/L", 5700, 9700),
    ("1742-6", "谷丙转氨酶", "U/L", 900, 5000),
)  # fmt: skip
_SURNAMES, _GIVEN = "王李张刘陈杨黄赵吴周", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平"


@dataclass(frozen=True, slots=True)
class Visit:
    """One transaction, and what is searched for afterwards."""

    body: bytes
    patient: str  # number of the patient
    day: str
    code: str


def visit(number: int) -> Visit:
    """The visit of that number: always the same one. Everybody in it is made up."""
    chance = random.Random(number)
    person = number // VISITS
    who = random.Random(f"person {person}")
    born = date(1930, 1, 1) + timedelta(days=who.randrange(33_000))
    day = date(2020, 1, 1) + timedelta(days=chance.randrange(2_500))
    at = f"{day}T{chance.randrange(7, 18):02d}:{chance.randrange(60):02d}:00+08:00"
    names = {kind: f"urn:uuid:{kind:08d}-0000-4000-8000-{number:012d}" for kind in range(12)}
    patient, encounter, order, specimen, report = (names[kind] for kind in range(5))
    subject = {"subject": {"reference": patient}}
    results = [
        (names[5 + place], _result(chance, at, test, names, f"{number}-{place}")) for place, test in enumerate(_TESTS)
    ]
    condition = f"{PATIENTS}|{person}"
    entries = [
        _entry(patient, {
            "resourceType": "Patient", "identifier": [{"system": PATIENTS, "value": str(person)}],
            "name": [{"text": who.choice(_SURNAMES) + "".join(who.choices(_GIVEN, k=2))}],
            "gender": who.choice(("male", "female")), "birthDate": str(born),
            "telecom": [{"system": "phone", "value": f"138{who.randrange(10**8):08d}"}],
        }, condition),
        _entry(encounter, {
            "resourceType": "Encounter", "identifier": [{"system": "urn:visits", "value": str(number)}],
            "status": "finished", "period": {"start": at}, **subject,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        }),
        _entry(order, {
            "resourceType": "ServiceRequest", "identifier": [{"system": "urn:orders", "value": str(number)}],
            "status": "completed", "intent": "order", "code": {"text": "检验"}, "authoredOn": at, **subject,
            "encounter": {"reference": encounter},
        }),
        _entry(specimen, {
            "resourceType": "Specimen", "identifier": [{"system": "urn:specimens", "value": str(number)}],
            "type": {"text": "血清"}, "collection": {"collectedDateTime": at}, **subject,
        }),
        _entry(report, {
            "resourceType": "DiagnosticReport", "identifier": [{"system": "urn:reports", "value": str(number)}],
            "status": "final", "code": {"coding": [{"system": LOINC, "code": "11502-2"}], "text": "检验报告"},
            "effectiveDateTime": at, "issued": at, **subject, "basedOn": [{"reference": order}],
            "specimen": [{"reference": specimen}], "result": [{"reference": name} for name, _ in results],
        }),
        *(_entry(name, result) for name, result in results),
    ]  # fmt: skip
    body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    return Visit(body, str(person), str(day), chance.choice(_TESTS)[0])


def _result(chance: random.Random, at: str, test: tuple[Any, ...], names: dict[int, str], number: str) -> Any:
    code, name, unit, low, high = test
    value = {"unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {
        "resourceType": "Observation", "identifier": [{"system": "urn:results", "value": number}], "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory",
        }]}],
        "code": {"coding": [{"system": LOINC, "code": code}], "text": name}, "effectiveDateTime": at,
        "subject": {"reference": names[0]}, "encounter": {"reference": names[1]}, "specimen": {"reference": names[3]},
        "basedOn": [{"reference": names[2]}],
        "valueQuantity": {"value": chance.randrange(low // 2, high * 2) / 100, **value},
        "referenceRange": [{"low": {"value": low / 100, **value}, "high": {"value": high / 100, **value}}],
    }  # fmt: skip


def _entry(url: str, resource: dict[str, Any], condition: str = "") -> dict[str, Any]:
    request = {"method": "POST", "url": resource["resourceType"]}
    if condition:
        request["ifNoneExist"] = f"identifier={condition}"
    return {"fullUrl": url, "resource": resource, "request": request}
