"""$export: what is in it, who gets it, what happens to it when things change, fail and start again."""

from __future__ import annotations

import errno
import gzip
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.bulk import Exporter, Jobs
from gateway.bulk import exporter as writing
from gateway.bulk.job import KEPT, PER_TOKEN
from gateway.fhir import json
from tests.api.conftest import BASE, START, Door, observation, patient
from tests.engines import Engines

ASYNC = {"prefer": "respond-async"}


@pytest.fixture
def databases(engines: Engines) -> Engines:
    return engines


@pytest.fixture
async def ward(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Three patients with results; a doctor that one result names, and one whom nobody names."""
    group = {
        "resourceType": "Group", "id": "g", "type": "person", "actual": True,
        "member": [
            {"entity": {"reference": "Patient/one"}}, {"entity": {"reference": "Patient/two"}, "inactive": True},
        ],
    }  # fmt: skip
    for resource in (
        *(patient(number, id=number) for number in ("one", "two", "three")), group,
        {"resourceType": "Practitioner", "id": "known"}, {"resourceType": "Practitioner", "id": "unknown"},
        observation("1", "Patient/one", id="o1", performer=[{"reference": "Practitioner/known"}]),
        observation("2", "Patient/two", id="o2"), observation("3", "Patient/one", id="o3", status="preliminary"),
        {"resourceType": "Slot", "id": "s", "schedule": {"reference": "Schedule/x"}, "status": "free",
         "start": "2026-03-05T10:00:00+08:00", "end": "2026-03-05T11:00:00+08:00"},
    ):  # fmt: skip
        await put(client, resource)
    return client


async def put(client: httpx.AsyncClient, resource: dict[str, Any]) -> None:
    answer = await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.is_success, answer.text


async def begun(client: httpx.AsyncClient, path: str, **more: Any) -> str:
    """The address of the status."""
    if more:
        answer = await client.post(path, headers=ASYNC, **more)
    else:
        answer = await client.get(path, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["content-location"])


def finish(door: Door) -> None:
    exporter = door.services.bulk
    while exporter.jobs.running():
        exporter.turn()


async def exported(door: Door, client: httpx.AsyncClient, path: str, **more: Any) -> dict[str, list[str]]:
    """Type → ids, in their order."""
    status = await begun(client, path, **more)
    finish(door)
    return await content(client, (await client.get(status)).json())


async def lines(client: httpx.AsyncClient, manifest: dict[str, Any], kind: str = "output") -> list[dict[str, Any]]:
    found = []
    for each in manifest[kind]:
        answer = await client.get(each["url"])
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/fhir+ndjson")
        resources = [json.loads(line) for line in answer.content.splitlines()]
        assert len(resources) == each["count"]
        assert {resource["resourceType"] for resource in resources} == {each["type"]}
        found += resources
    return found


async def content(client: httpx.AsyncClient, manifest: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in await lines(client, manifest):
        found.setdefault(each["resourceType"], []).append(each["id"])
    return found


async def test_the_whole_system(door: Door, ward: httpx.AsyncClient) -> None:
    status = await begun(ward, "/fhir/$export")
    waiting = await ward.get(status)
    assert waiting.status_code == 202
    assert waiting.headers["retry-after"]
    assert "resources written" in waiting.headers["x-progress"]
    finish(door)
    done = await ward.get(status)
    assert done.status_code == 200
    assert done.headers["expires"]
    manifest = done.json()
    assert manifest["request"] == f"{BASE}/fhir/$export"
    assert manifest["requiresAccessToken"] is True
    last = (await ward.get("/fhir/Slot/s")).json()["meta"]["lastUpdated"]
    assert manifest["transactionTime"] == last
    assert manifest["error"] == manifest["deleted"] == []
    assert await content(ward, manifest) == {
        "Group": ["g"], "Observation": ["o1", "o2", "o3"], "Patient": ["one", "three", "two"],
        "Practitioner": ["known", "unknown"], "Slot": ["s"],
    }  # fmt: skip


async def test_what_belongs_to_patients_and_whom_it_names(door: Door, ward: httpx.AsyncClient) -> None:
    assert await exported(door, ward, "/fhir/Patient/$export") == {
        "Group": ["g"], "Observation": ["o1", "o2", "o3"], "Patient": ["one", "three", "two"],
        "Practitioner": ["known"],
    }  # fmt: skip


async def test_a_group_holds_its_active_members(door: Door, ward: httpx.AsyncClient) -> None:
    assert await exported(door, ward, "/fhir/Group/g/$export?_type=Observation,Patient,Practitioner") == {
        "Observation": ["o1", "o3"], "Patient": ["one"], "Practitioner": ["known"],
    }  # fmt: skip
    assert (await ward.get("/fhir/Group/none/$export", headers=ASYNC)).status_code == 404


async def test_named_patients(door: Door, ward: httpx.AsyncClient) -> None:
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueReference": {"reference": "Patient/two"}},
            {"name": "_type", "valueString": "Observation,Patient"},
        ],
    }
    assert await exported(door, ward, "/fhir/Patient/$export", json=parameters) == {
        "Observation": ["o2"], "Patient": ["two"],
    }  # fmt: skip
    assert await exported(door, ward, "/fhir/Group/g/$export", json=parameters) == {}


async def test_filters_elements_and_time(door: Door, ward: httpx.AsyncClient) -> None:
    path = "/fhir/$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Dpreliminary"
    assert await exported(door, ward, path) == {"Observation": ["o3"]}
    value_set = {
        "resourceType": "ValueSet", "id": "v", "status": "active", "url": "urn:v",
        "compose": {"include": [{"system": "http://loinc.org", "concept": [{"code": "718-7"}]}]},
    }  # fmt: skip
    await put(ward, value_set)
    members = "/fhir/$export?_type=Observation&_typeFilter=Observation%3Fcode:{}%3Durn:v"
    assert await exported(door, ward, members.format("in")) == {"Observation": ["o1", "o2", "o3"]}
    assert await exported(door, ward, members.format("not-in")) == {}
    both = f"{path},Observation%3F_id%3Do1"
    assert await exported(door, ward, both) == {"Observation": ["o1", "o3"]}
    status = await begun(ward, "/fhir/$export?_type=Patient&_elements=Patient.birthDate,Observation.code")
    finish(door)
    found = await lines(ward, (await ward.get(status)).json())
    assert all("name" not in each and each["meta"]["tag"] for each in found)
    await put(ward, patient("two", id="two", birthDate="1990-01-01"))
    instant = (await ward.get("/fhir/Patient/two")).json()["meta"]["lastUpdated"]
    assert await exported(door, ward, f"/fhir/$export?_since={instant}") == {}
    await put(ward, patient("three", id="three", birthDate="1990-01-01"))
    assert await exported(door, ward, f"/fhir/$export?_since={instant}") == {"Patient": ["three"]}


async def test_what_was_deleted_since(door: Door, ward: httpx.AsyncClient) -> None:
    instant = (await ward.get("/fhir/Slot/s")).json()["meta"]["lastUpdated"]
    await ward.delete("/fhir/Observation/o1")
    await ward.delete("/fhir/Slot/s")
    status = await begun(ward, f"/fhir/Patient/$export?_since={instant}")
    finish(door)
    manifest = (await ward.get(status)).json()
    assert manifest["output"] == []
    (deleted,) = await lines(ward, manifest, "deleted")
    assert deleted["entry"] == [{"request": {"method": "DELETE", "url": "Observation/o1"}}]


@pytest.mark.parametrize(
    "asked", ["", "&_typeFilter=Observation%3Fstatus%3Dfinal", "&_typeFilter=Observation%3Fdate%3D2026"]
)
async def test_an_export_is_of_one_instant(door: Door, ward: httpx.AsyncClient, asked: str) -> None:
    """Changed, deleted and made before, between and behind its pages."""
    door.services.bulk.rows = 1
    path = f"/fhir/$export?_type=Observation{asked}"
    expected = await exported(door, ward, path)
    status = await begun(ward, path)
    door.services.bulk.turn()
    await put(ward, observation("1", "Patient/two", id="o1", status="amended"))
    await put(ward, observation("0", "Patient/two", id="a0"))
    await put(ward, observation("9", "Patient/two", id="z9"))
    await put(ward, observation("2", "Patient/one", id="o2", status="cancelled", effectiveDateTime="1999"))
    await ward.delete("/fhir/Observation/o3")
    finish(door)
    found = await lines(ward, (await ward.get(status)).json())
    assert {"Observation": [each["id"] for each in found]} == expected
    assert all(each["meta"]["versionId"] == "1" for each in found)


async def test_a_patient_who_moved_meanwhile(door: Door, ward: httpx.AsyncClient) -> None:
    door.services.bulk.rows = 1
    status = await begun(ward, "/fhir/Group/g/$export?_type=Observation")
    await put(ward, observation("1", "Patient/two", id="o1"))
    await put(ward, observation("2", "Patient/one", id="o2"))
    finish(door)
    assert await content(ward, (await ward.get(status)).json()) == {"Observation": ["o1", "o3"]}


async def test_it_goes_on_after_a_restart(door: Door, ward: httpx.AsyncClient) -> None:
    first = door.services.bulk
    first.rows = 1
    status = await begun(ward, "/fhir/$export?_type=Observation,Patient")
    first.turn()
    first.turn()
    (file,) = [each for each in first.folder.rglob("*.ndjson") if "Observation" in each.name]
    with file.open("ab") as half:
        half.write(b'{"half of a line that was never comm')
    door.services.bulk = Exporter(Jobs(first.jobs.engine, first.jobs.now), first.folder)
    finish(door)
    assert await content(ward, (await ward.get(status)).json()) == {
        "Observation": ["o1", "o2", "o3"], "Patient": ["one", "three", "two"],
    }  # fmt: skip


async def test_a_full_disk_heals(door: Door, ward: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    status = await begun(ward, "/fhir/$export?_type=Patient")

    def full(path: Path, length: int, body: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(writing.Exporter, "_append", staticmethod(full))
        assert not door.services.bulk.turn()
        waiting = await ward.get(status)
        assert waiting.status_code == 503
        assert waiting.json()["issue"][0]["code"] == "transient"
    finish(door)
    assert await content(ward, (await ward.get(status)).json()) == {"Patient": ["one", "three", "two"]}


async def test_a_lost_file_is_told(door: Door, ward: httpx.AsyncClient) -> None:
    door.services.bulk.rows = 1
    status = await begun(ward, "/fhir/$export?_type=Patient")
    door.services.bulk.turn()
    next(door.services.bulk.folder.rglob("*.ndjson")).unlink()
    finish(door)
    failed = await ward.get(status)
    assert failed.status_code == 500
    assert "ask for the export again" in failed.json()["issue"][0]["diagnostics"]


async def test_it_can_be_cancelled(door: Door, ward: httpx.AsyncClient) -> None:
    door.services.bulk.rows = 1
    status = await begun(ward, "/fhir/$export")
    while not list(door.services.bulk.folder.rglob("*.ndjson")):
        door.services.bulk.turn()
    assert (await ward.delete(status)).status_code == 202
    assert (await ward.get(status)).status_code == 404
    assert (await ward.delete(status)).status_code == 404
    assert not list(door.services.bulk.folder.iterdir())


async def test_old_ones_are_deleted(door: Door, ward: httpx.AsyncClient) -> None:
    status = await begun(ward, "/fhir/$export")
    finish(door)
    (door.services.bulk.folder / "left-over").mkdir()
    door.services.bulk.sweep()
    assert len(list(door.services.bulk.folder.iterdir())) == 1
    door.services.now = lambda: START + timedelta(milliseconds=KEPT)
    assert (await ward.get(status)).status_code == 404
    door.services.bulk.sweep()
    assert not list(door.services.bulk.folder.iterdir())


async def test_only_who_asked_sees_it(door: Door, ward: httpx.AsyncClient) -> None:
    narrow = {"authorization": f"Bearer {door.token('system/Patient.rs')}"}
    other = {"authorization": f"Bearer {door.token('system/Patient.rs system/Slot.rs')}"}
    answer = await ward.get("/fhir/$export", headers={**ASYNC, **narrow})
    status = answer.headers["content-location"]
    finish(door)
    manifest = (await ward.get(status, headers=narrow)).json()
    assert [each["type"] for each in manifest["output"]] == ["Patient"]
    file = manifest["output"][0]["url"]
    assert (await ward.get(file, headers=narrow)).status_code == 200
    for address in (status, file):
        assert (await ward.get(address, headers=other)).status_code == 404
        assert (await ward.get(address)).status_code == 200  # an administrator
    assert (await ward.delete(status, headers=other)).status_code == 404
    refused = await ward.get("/fhir/$export?_type=Patient,Slot", headers={**ASYNC, **narrow})
    assert refused.status_code == 403
    assert "system/Slot.rs" in refused.text


async def test_a_token_has_few_at_a_time(door: Door, ward: httpx.AsyncClient) -> None:
    for _ in range(PER_TOKEN):
        await begun(ward, "/fhir/$export")
    answer = await ward.get("/fhir/$export", headers=ASYNC)
    assert answer.status_code == 429
    assert answer.headers["retry-after"]
    finish(door)
    await begun(ward, "/fhir/$export")


async def test_a_file_in_parts_and_compressed(door: Door, ward: httpx.AsyncClient) -> None:
    status = await begun(ward, "/fhir/$export?_type=Patient")
    finish(door)
    url = (await ward.get(status)).json()["output"][0]["url"]
    whole = (await ward.get(url, headers={"accept-encoding": "identity"})).content
    assert whole.count(b"\n") == 3
    part = await ward.get(url, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    async with ward.stream("GET", url, headers={"accept-encoding": "gzip"}) as answer:
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    assert gzip.decompress(packed) == whole
    for name in ("2.Patient.ndjson", "..%2Frecord.sqlite"):
        assert (await ward.get(f"{status}/{name}")).status_code == 404


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/fhir/$export?_outputFormat=text/csv", "NDJSON"),
        ("/fhir/$export?_type=Nothing", "no resource type"),
        ("/fhir/Patient/$export?_type=Slot", "belongs to no patient"),
        ("/fhir/$export?_since=yesterday", "_since"),
        ("/fhir/$export?includeAssociatedData=LatestProvenanceResources", "does not know"),
        ("/fhir/$export?patient=Patient/one", "POST"),
        ("/fhir/$export?_elements=1", "_elements"),
        ("/fhir/$export?_typeFilter=status%3Dfinal", "_typeFilter"),
        ("/fhir/$export?_typeFilter=Observation%3Fsubject.name%3DX", "chains"),
        ("/fhir/$export?_typeFilter=Observation%3Fstatus%3Dfinal%26_sort%3Ddate", "_sort"),
        ("/fhir/$export?_type=Patient&_typeFilter=Observation%3Fstatus%3Dfinal", "not among"),
    ],
)
async def test_what_is_refused(ward: httpx.AsyncClient, path: str, says: str) -> None:
    answer = await ward.get(path, headers=ASYNC)
    assert answer.status_code == 400
    assert says in answer.json()["issue"][0]["diagnostics"]


async def test_how_it_is_asked_for(door: Door, ward: httpx.AsyncClient) -> None:
    assert (await ward.get("/fhir/$export")).status_code == 400
    lenient = {"prefer": "respond-async, handling=lenient"}
    answer = await ward.get("/fhir/$export?includeAssociatedData=x", headers=lenient)
    assert answer.status_code == 202
    assert "includeAssociatedData" in answer.text
    fine = await ward.get("/fhir/$export?_outputFormat=application/fhir+ndjson&_type=Slot", headers=ASYNC)
    assert fine.status_code == 202
    assert (await ward.get("/fhir/$export/none")).status_code == 404


async def test_an_empty_record(door: Door, client: httpx.AsyncClient) -> None:
    assert await exported(door, client, "/fhir/$export") == {}


async def test_the_statement_names_it(client: httpx.AsyncClient) -> None:
    rest = (await client.get("/fhir/metadata")).json()["rest"][0]
    definition = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
    assert {"name": "export", "definition": f"{definition}/export"} in rest["operation"]
    types = {each["type"]: each.get("operation", []) for each in rest["resource"]}
    assert {"name": "export", "definition": f"{definition}/patient-export"} in types["Patient"]
    assert {"name": "export", "definition": f"{definition}/group-export"} in types["Group"]
