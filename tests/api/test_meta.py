"""$meta, $meta-add and $meta-delete over a real record."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import Door, observation, patient
from tests.engines import Engines

TAG = {"system": "urn:tags", "code": "study"}
SECRET = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
PROFILE = "http://example.org/StructureDefinition/own"


@pytest.fixture
def databases(engines: Engines) -> Engines:
    return engines


def sent(**meta: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def meta_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    parameters = answer.json()
    assert parameters["resourceType"] == "Parameters"
    found: dict[str, Any] = next((each["valueMeta"] for each in parameters.get("parameter", ())), {})
    return found


@pytest.fixture
async def ward(client: httpx.AsyncClient) -> httpx.AsyncClient:
    for resource in (patient("1", id="one"), observation("a", "Patient/one", id="a", meta={"tag": [TAG]})):
        assert (await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)).is_success
    return client


async def test_labels_are_added_once_and_taken_away(ward: httpx.AsyncClient) -> None:
    path = "/fhir/Patient/one"
    added = await ward.post(f"{path}/$meta-add", json=sent(tag=[TAG, TAG], security=[SECRET], profile=[PROFILE]))
    assert added.headers["etag"] == 'W/"2"'
    meta = meta_of(added)
    assert (meta["tag"], meta["security"], meta["profile"]) == ([TAG], [SECRET], [PROFILE])
    again = await ward.post(f"{path}/$meta-add", json=sent(tag=[{**TAG, "display": "other"}], profile=[PROFILE]))
    assert again.headers["etag"] == 'W/"2"'
    assert meta_of(again) == meta
    assert (await ward.get("/fhir/Patient?_tag=urn:tags|study")).json()["total"] == 1
    gone = await ward.post(f"{path}/$meta-delete", json=sent(tag=[TAG, {"code": "never"}], profile=[PROFILE]))
    assert {"tag", "profile"}.isdisjoint(meta_of(gone))
    assert meta_of(gone)["security"] == [SECRET]
    stored = (await ward.get(path)).json()
    assert stored["meta"] == meta_of(await ward.get(f"{path}/$meta"))
    assert stored["name"][0]["family"] == "张"
    assert meta_of(await ward.get(f"{path}/_history/2/$meta")) == meta


async def test_labels_in_use(ward: httpx.AsyncClient) -> None:
    await ward.post(
        "/fhir/Patient/one/$meta-add", json=sent(tag=[{"code": "plain"}], security=[SECRET], profile=[PROFILE])
    )
    assert meta_of(await ward.get("/fhir/Observation/$meta")) == {"tag": [TAG]}
    assert meta_of(await ward.get("/fhir/$meta")) == {
        "profile": [PROFILE], "security": [SECRET], "tag": [{"code": "plain"}, TAG],
    }  # fmt: skip
    assert meta_of(await ward.get("/fhir/Encounter/$meta")) == {}
    assert "<Parameters" in (await ward.get("/fhir/$meta?_format=xml")).text


async def test_a_change_meets_its_conditions(ward: httpx.AsyncClient) -> None:
    stale = await ward.post("/fhir/Patient/one/$meta-add", json=sent(tag=[TAG]), headers={"if-match": 'W/"7"'})
    assert stale.status_code == 412
    assert (await ward.post("/fhir/Patient/none/$meta-add", json=sent(tag=[TAG]))).status_code == 404
    assert (await ward.get("/fhir/Patient/none/$meta")).status_code == 404
    assert (await ward.post("/fhir/Patient/one/_history/1/$meta-add", json=sent(tag=[TAG]))).status_code == 405
    for wrong in ({"resourceType": "Parameters"}, patient("1")):
        assert (await ward.post("/fhir/Patient/one/$meta-add", json=wrong)).status_code == 400
    await ward.delete("/fhir/Observation/a")
    assert (await ward.get("/fhir/Observation/a/$meta")).status_code == 410


async def test_scopes(door: Door, ward: httpx.AsyncClient) -> None:
    reads = {"authorization": f"Bearer {door.token('system/Patient.rs')}"}
    assert (await ward.get("/fhir/Patient/one/$meta", headers=reads)).status_code == 200
    assert (await ward.get("/fhir/$meta", headers=reads)).status_code == 403
    assert (await ward.post("/fhir/Patient/one/$meta-add", json=sent(tag=[TAG]), headers=reads)).status_code == 403
    assert (await ward.post("/fhir/Patient/one/$meta-delete", json=sent(tag=[TAG]), headers=reads)).status_code == 403
