"""Composition/$document over a real record."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.fhir import validate
from tests.api.conftest import BASE, Door, observation, patient


def composition(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "转诊"}, "title": "转诊记录",
        "date": "2026-03-05T10:00:00+08:00", "subject": {"reference": "Patient/one"},
        "author": [{"reference": "Practitioner/d"}], "custodian": {"reference": "Organization/o"},
        "section": [{"title": "结果", "entry": [{"reference": "Observation/a"}]}], **more,
    }  # fmt: skip


@pytest.fixture
async def ward(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A document of one patient, who is linked with another one."""
    link = [{"other": {"reference": "Patient/other"}, "type": "seealso"}]
    for resource in (
        patient("2", id="other"), patient("1", id="one", link=link), {"resourceType": "Practitioner", "id": "d"},
        {"resourceType": "Organization", "id": "o", "name": "县医院"},
        {"resourceType": "Device", "id": "far", "owner": {"reference": "Organization/o"}},
        observation("a", "Patient/one", id="a", device={"reference": "Device/far"}), composition(),
        observation("b", "Patient/one", id="b"),
    ):  # fmt: skip
        answer = await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 201, answer.text
    return client


def urls(bundle: dict[str, Any]) -> list[str]:
    return [each["fullUrl"].removeprefix(f"{BASE}/fhir/") for each in bundle["entry"]]


async def test_everything_that_it_refers_to_and_nothing_else(ward: httpx.AsyncClient) -> None:
    answer = await ward.get("/fhir/Composition/c/$document")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["type"], bundle["entry"][0]["resource"]["resourceType"]) == ("document", "Composition")
    assert set(urls(bundle)) == {
        "Composition/c", "Patient/one", "Practitioner/d", "Organization/o", "Observation/a", "Device/far",
    }  # fmt: skip
    assert bundle["identifier"]["value"].startswith("urn:uuid:")
    assert bundle["timestamp"]
    assert list(validate.problems(bundle)) == []
    assert (await ward.get("/fhir/Bundle")).json()["total"] == 0


async def test_the_same_versions_are_the_same_document(ward: httpx.AsyncClient) -> None:
    first = (await ward.get("/fhir/Composition/c/$document")).json()
    assert (await ward.get("/fhir/Composition/$document?id=c")).json() == first
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueUri": f"{BASE}/fhir/Composition/c"}]}
    assert (await ward.post("/fhir/Composition/$document", json=parameters)).json() == first
    assert (await ward.post("/fhir/Composition/c/$document")).json() == first
    await ward.put("/fhir/Organization/o", json={"resourceType": "Organization", "id": "o", "name": "市医院"})
    assert (await ward.get("/fhir/Composition/c/$document")).json()["id"] != first["id"]


async def test_it_can_be_kept(door: Door, ward: httpx.AsyncClient) -> None:
    answer = await ward.post("/fhir/Composition/c/$document?persist=true")
    kept = await ward.get(answer.headers["location"])
    assert kept.json()["entry"] == answer.json()["entry"]
    await ward.get("/fhir/Composition/c/$document?persist=true")
    assert (await ward.get(answer.headers["location"])).json()["meta"]["versionId"] == "1"
    reads = {"authorization": f"Bearer {door.token('system/*.rs')}"}
    assert (await ward.get("/fhir/Composition/c/$document", headers=reads)).status_code == 200
    assert (await ward.get("/fhir/Composition/c/$document?persist=true", headers=reads)).status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Composition/none/$document", 404),
        ("Composition/$document", 400),
        ("Composition/$document?id=https://elsewhere.example/fhir/Composition/1", 400),
        ("Composition/c/$document?id=c", 400),
        ("Composition/c/$document?graph=http://example.org/g", 400),
        ("Composition/c/$document?persist=maybe", 400),
        ("Composition/c/$document?other=1", 400),
    ],
)
async def test_what_is_refused(ward: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await ward.get(f"/fhir/{path}")).status_code == status


async def test_what_is_missing_is_told(door: Door, ward: httpx.AsyncClient) -> None:
    narrow = {"authorization": f"Bearer {door.token('system/Composition.rs')}"}
    assert (await ward.get("/fhir/Composition/c/$document", headers=narrow)).status_code == 403
    await ward.put("/fhir/Composition/c", json=composition(encounter={"reference": "Encounter/gone"}))
    answer = await ward.get("/fhir/Composition/c/$document")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Composition.encounter"]
    await ward.delete("/fhir/Composition/c")
    assert (await ward.get("/fhir/Composition/c/$document")).status_code == 410
