"""The one to read first: a message from one member becomes FHIR, reaches another member, and the answer comes back.

A gateway as a process of its own, four members of a made-up community around it, real sockets and files between them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from conformance.gateway import Gateway
from conformance.receivers import Hospital, WebAddress
from tests import community

SECRET = "Bearer what-the-imaging-centre-wants-to-see"
Found = TypeVar("Found")


@dataclass(frozen=True)
class Town:
    """The gateway, and the ports on which three of the members take what they asked for."""

    gateway: Gateway
    township: Hospital  # takes HL7 v2.4 in GB18030
    county: Hospital  # takes HL7 v2.5.1 in UTF-8
    imaging: WebAddress  # takes FHIR

    @property
    def drop(self) -> Path:
        """Where the township's laboratory system leaves its exports."""
        return self.gateway.data / "drop" / "qinghe-lab"

    @property
    def clinic(self) -> Path:
        """Where the village clinic finds what it asked for."""
        return self.gateway.data / "out" / "clinic"

    def receipts(self, subscription: str) -> list[str]:
        """What the member answered to each delivery."""
        lines = self.gateway.get("/operations/deliveries?state=done")["deliveries"]
        return [each["code"] for each in lines if each["subscription"] == subscription]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home = tmp_path_factory.mktemp("walk")
    os.environ["SANHE_IMAGING"] = SECRET
    with Hospital() as township, Hospital() as county, WebAddress() as imaging:
        config = community.write(
            home / "community", township=township.address, county=county.address, imaging=imaging.address
        )
        with Gateway([sys.executable, "-m", "gateway"], home, config=config) as gateway:
            gateway.start()
            yield Town(gateway, township, county, imaging)
            assert gateway.stop() == ""
    del os.environ["SANHE_IMAGING"]


def eventually(look: Callable[[], Found], seconds: float = 60.0) -> Found:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def resource(bundle: bytes, kind: str) -> dict[str, Any]:
    """The one resource of a type in a transaction Bundle."""
    found = [each["resource"] for each in json.loads(bundle)["entry"] if each["resource"]["resourceType"] == kind]
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.slow
def test_an_order_goes_up_and_its_report_comes_down(town: Town) -> None:
    # The township's HIS registers a patient and orders a chest CT, in the charset it has had since 2008.
    assert town.gateway.send(community.registration("R1")).one("MSA", 1) == "AA"
    answer = town.gateway.send(community.order("O1", placer="QX1"))
    assert (answer.one("MSA", 1), answer.one("MSA", 2)) == ("AA", "O1")

    # It is FHIR now: one patient, one active order of that patient.
    patient = eventually(lambda: town.gateway.search("Patient?identifier=urn:hutong:id:QINGHE:PI|QH1"))[0]
    assert patient["name"][0]["text"] == "周小䶮"
    request = eventually(lambda: town.gateway.search("ServiceRequest?identifier=QX1"))[0]
    assert (request["status"], request["subject"]["reference"]) == ("active", f"Patient/{patient['id']}")

    # The imaging centre gets it as a Bundle that it can take twice, with the secret it asked for and a key of its own.
    headers, order = town.imaging.wait(1)[0]
    assert headers["authorization"] == SECRET
    assert headers["content-type"] == "application/fhir+json"
    assert len(headers["idempotency-key"]) == 20
    asked, examined = resource(order, "ServiceRequest"), resource(order, "Patient")
    assert asked["code"]["text"] == "胸部CT平扫"
    assert examined["name"][0]["text"] == "周小䶮"

    # It reports in FHIR, first preliminary and then final, naming order and patient by the numbers it was given.
    for status, issued, text in (
        ("preliminary", "2026-03-12T09:55:00+08:00", "右肺上叶炎症可能。"),
        ("final", "2026-03-12T10:40:00+08:00", "右肺上叶炎症，建议复查。"),
    ):
        body = report(asked, examined, status=status, issued=issued, text=text)
        code, _ = town.gateway.post("/intake/imaging-reports", json.dumps(body).encode(), "application/fhir+json")
        assert code == 202
    stored = eventually(lambda: town.gateway.search("DiagnosticReport?identifier=CT1&status=final"))[0]
    assert stored["basedOn"] == [{"reference": f"ServiceRequest/{request['id']}"}]

    # The township reads both, one after the other, as HL7 v2.4 in GB18030, under its own order and patient numbers.
    preliminary, final = town.township.wait(2)
    for message in (preliminary, final):
        assert b"\xe5" not in message.body.partition(b"\r")[0]
        assert message.body.decode("gb18030")  # not UTF-8: a byte of it would not fit
        assert (message.kind, message.one("MSH", 12), message.one("MSH", 18)) == ("ORU^R01", "2.4", "GB 18030-2000")
        assert (message.patient, message.order) == ("QH1", "QX1")
        assert message.one("PID", 5, 1) == "周小䶮"
    assert [preliminary.one("OBR", 25), final.one("OBR", 25)] == ["P", "F"]
    assert any("右肺上叶炎症，建议复查。" in text for text in final.all("OBX", 5))

    # And the receipts are kept: the order was taken with 201, both reports with AA.
    eventually(lambda: town.receipts("qinghe-reports") == ["AA", "AA"])
    assert town.receipts("imaging-orders") == ["201"]


def report(order: dict[str, Any], patient: dict[str, Any], *, status: str, issued: str, text: str) -> dict[str, Any]:
    """The imaging centre's report: it knows the order and the patient by number, not by the gateway's ids."""

    def by_number(kind: str, known: dict[str, Any]) -> dict[str, str]:
        number = known["identifier"][0]
        return {"reference": f"{kind}?identifier={number['system']}|{number['value']}"}

    made = {
        "resourceType": "DiagnosticReport",
        "identifier": [{"system": "http://imaging.example/report", "value": "CT1"}],
        "status": status,
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}],
        "code": {"text": "胸部CT平扫"},
        "subject": by_number("Patient", patient),
        "basedOn": [by_number("ServiceRequest", order)],
        "effectiveDateTime": "2026-03-12T09:40:00+08:00",
        "issued": issued,
        "conclusion": text,
    }
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": made}]}


def test_a_laboratory_export_reaches_the_county_hospital(town: Town) -> None:
    before = len(town.county.received)
    (town.drop / "血钾_20260312.csv.part").write_bytes(community.export(("S1", "QH7", "6.8"), ("S2", "QH8", "4.1")))
    (town.drop / "血钾_20260312.csv.part").rename(town.drop / "血钾_20260312.csv")

    messages = town.county.wait(before + 2)[before:]
    assert [(each.patient, each.results) for each in messages] == [("QH7", ["6.8"]), ("QH8", ["4.1"])]
    assert {(each.kind, each.one("MSH", 12), each.one("MSH", 18)) for each in messages} == {
        ("ORU^R01", "2.5.1", "UNICODE UTF-8")
    }
    assert messages[0].one("PID", 5, 1) == "司马青"
    eventually(lambda: (town.drop / "done" / "血钾_20260312.csv").exists())
    assert [each.name for each in town.drop.iterdir() if each.is_file()] == []


def test_rows_that_cannot_be_read_wait_for_a_person_and_the_others_flow(town: Town) -> None:
    before = len(town.county.received)
    good, ragged = community.export(("S3", "QH7", "5.0")), "12529901MB990011XK,清河镇卫生院,S4\r\n".encode("gb18030")
    (town.drop / "b.csv").write_bytes(good + ragged)
    assert town.county.wait(before + 1)[before].results == ["5.0"]
    held = eventually(lambda: town.gateway.get("/operations/entries?state=parked")["entries"])
    assert [(each["channel"], each["place"]) for each in held] == [("qinghe-lab", "line 3")]
    assert "1 of its rows" in held[0]["cause"]


def test_the_village_clinic_finds_files(town: Town) -> None:
    assert town.gateway.send(community.registration("R9", number="QH9", name="孙桂英")).one("MSA", 1) == "AA"

    def about() -> list[dict[str, Any]]:
        found = [json.loads(each.read_bytes()) for each in sorted(town.clinic.glob("*.json"))]
        return [each for each in found if each["name"][0]["text"] == "孙桂英"]

    patient = eventually(about)[0]
    assert patient["identifier"][0]["value"] == "QH9"
    assert [each.suffix for each in town.clinic.iterdir()] == [".json"] * len(list(town.clinic.iterdir()))


def test_every_step_of_a_message_can_be_followed(town: Town) -> None:
    """The entry, its record transaction by Provenance, and who was told."""
    assert town.gateway.send(community.result("L1", number="C20", report="F20")).one("MSA", 1) == "AA"
    stored = eventually(lambda: town.gateway.search("DiagnosticReport?identifier=F20"))[0]
    origin = eventually(lambda: town.gateway.search(f"Provenance?target=DiagnosticReport/{stored['id']}"))[0]
    assert "L1" in json.dumps(origin)

    def told() -> bool:
        deliveries = town.gateway.get("/operations/deliveries?state=done")["deliveries"]
        to_county = {each["reference"] for each in deliveries if each["subscription"] == "county-laboratory"}
        return f"DiagnosticReport/{stored['id']}" in to_county

    assert eventually(told)


def test_a_stranger_is_refused_and_kept(town: Town) -> None:
    answer = town.gateway.send(community.result("X1", facility="ELSEWHERE", report="F99"))
    assert (answer.one("MSA", 1), answer.one("MSA", 2)) == ("AE", "X1")
    assert "MSH" in answer.one("ERR", 2)
    refused = town.gateway.get("/operations/entries?state=refused")["entries"][0]
    assert (refused["control_id"], refused["place"], refused["member"]) == ("X1", "MSH-4", "unknown")
    assert town.gateway.count("DiagnosticReport?identifier=F99") == 0


def test_nobody_reads_without_a_token(town: Town) -> None:
    for path in ("/fhir/Patient", "/fhir/metadata", "/metrics", "/operations/status", "/operations/entries?state=done"):
        assert town.gateway.status_of(path, token="") == 401
        assert town.gateway.status_of(path, token="hutong_" + "x" * 43) == 401
    assert town.gateway.status_of("/health", token="") == 200


def test_no_patient_is_in_a_log_a_metric_or_a_list(town: Town) -> None:
    """Whatever went through this gateway before: names, numbers and values stay in the record."""
    seen = town.gateway.log.read_text("utf-8") + town.gateway.text("/metrics") + town.gateway.text("/operations/status")
    for state in ("done", "parked", "refused"):
        seen += town.gateway.text(f"/operations/entries?state={state}")
        seen += town.gateway.text(f"/operations/deliveries?state={state}") if state != "refused" else ""
    for secret in (
        "周小",
        "司马青",
        "孙桂英",
        "赵",
        "QH1",
        "QH7",
        "QH20",
        "河口路",
        "19680315",
        "1968-03-15",
        SECRET,
    ):
        assert secret not in seen, "a patient's data is outside the record"
