"""fhirpy (PyPI): `python with_fhirpy.py BASE TOKEN`."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def main(base: str, token: str) -> None:
    fhirpy: Any = importlib.import_module("fhirpy")
    client = fhirpy.SyncFHIRClient(base, authorization=f"Bearer {token}")
    number = {"system": "urn:conformance:fhirpy", "value": "1"}
    patient = client.resource("Patient", name=[{"text": "李四", "family": "李"}], gender="male", identifier=[number])
    patient.save()
    assert patient.id
    patient["gender"] = "female"
    patient.save()
    assert patient["meta"]["versionId"] == "2"
    patient.patch(birthDate="1981-01-01")
    assert patient["birthDate"] == "1981-01-01"
    result = client.resource("Observation", status="final", code={"text": "血糖"}, subject=patient.to_reference())
    result.save()
    assert result["subject"].to_resource().id == patient.id

    mine = client.resources("Patient").search(identifier="urn:conformance:fhirpy|1")
    assert mine.get().id == patient.id
    assert mine.count() == 1
    found = client.resources("Observation").search(patient=f"Patient/{patient.id}").include("Observation", "subject")
    assert [each.id for each in found.fetch_all()] == [result.id]
    second = client.resource("Patient", identifier=[{**number, "value": "2"}])
    other = client.resources("Patient").search(identifier="urn:conformance:fhirpy|2")
    assert [other.get_or_create(second)[1] for _ in range(2)] == [True, False]
    second["gender"] = "other"
    assert other.update(second)[0]["gender"] == "other"
    assert other.patch(gender="unknown")["gender"] == "unknown"
    entries = [{"resource": second.serialize(), "request": {"method": "POST", "url": "Patient"}}]
    bundle = client.resource("Bundle", type="transaction", entry=entries)
    bundle.save()
    assert bundle["type"] == "transaction-response"
    assert patient.is_valid()
    patient.delete()
    assert not mine.fetch()


if __name__ == "__main__":
    main(*sys.argv[1:])
