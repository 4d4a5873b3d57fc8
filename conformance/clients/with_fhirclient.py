"""fhirclient (PyPI, SMART): `python with_fhirclient.py BASE TOKEN`."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def main(base: str, token: str) -> None:
    smart: Any = importlib.import_module("fhirclient.client")
    patients: Any = importlib.import_module("fhirclient.models.patient")
    observations: Any = importlib.import_module("fhirclient.models.observation")
    server = smart.FHIRClient(settings={"app_id": "conformance", "api_base": base}).server
    server.session.headers["Authorization"] = f"Bearer {token}"
    made = patients.Patient({"name": [{"text": "王五", "family": "王"}], "birthDate": "1970-01-01"}).create(server)
    patient = patients.Patient.read(made["id"], server)
    assert patient.name[0].text == "王五"
    patient.gender = "male"
    assert patient.update(server)["meta"]["versionId"] == "2"
    search = patients.Patient.where(struct={"family": "王", "gender": "male"})
    assert [each.id for each in search.perform_resources(server)] == [patient.id]
    about = {"reference": f"Patient/{patient.id}"}
    result = observations.Observation({"status": "final", "code": {"text": "血糖"}, "subject": about})
    assert result.create(server)["id"]
    patient.delete(server)


if __name__ == "__main__":
    main(*sys.argv[1:])
