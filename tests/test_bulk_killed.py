"""A gateway that is killed in the middle of an export goes on: every resource once, in the version of its time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx
import pytest

from conformance.gateway import Gateway
from conformance.speed.bulk import KINDS, fill
from gateway.db.sqlite import SqliteEngine
from gateway.fhir import json

SIZE = 40_000


@pytest.mark.slow
def test_killed_in_the_middle(tmp_path: Path) -> None:
    gateway = Gateway([sys.executable, "-m", "gateway"], tmp_path, config=None)
    gateway.data.mkdir(mode=0o700)
    engine = SqliteEngine(gateway.data / "record.sqlite", schema="record")
    fill(engine, SIZE)
    engine.close()
    with gateway, httpx.Client(timeout=30, trust_env=False) as client:
        gateway.start()
        client.headers["authorization"] = f"Bearer {gateway.token}"
        base = f"{gateway.address}/fhir"
        asked = client.get(f"{base}/$export?_type={','.join(KINDS)}", headers={"prefer": "respond-async"})
        assert asked.status_code == 202
        status = asked.headers["content-location"]
        for share in (0.05, 0.4):
            early = not wait_for(client, status, int(SIZE * share))
            assert early or share > 0.1  # the second time it may have got through meanwhile
            gateway.kill()
            gateway.start()
            changed = client.put(f"{base}/Patient/r{SIZE - 3:09d}", json={**PATIENT, "id": f"r{SIZE - 3:09d}"})
            assert changed.status_code == 200
        manifest = wait_for(client, status, SIZE + 1)
        ids = [line for each in manifest["output"] for line in versions(client.get(each["url"]))]
        assert len(ids) == SIZE
        assert set(ids) == {(f"r{number:09d}", "1") for number in range(SIZE)}


PATIENT = {"resourceType": "Patient"}


def wait_for(client: httpx.Client, status: str, written: int) -> dict[str, list[dict[str, str]]]:
    """The manifest, or {} once so many resources are written."""
    for _ in range(6000):
        answer = client.get(status)
        if answer.status_code == 200:
            found: dict[str, list[dict[str, str]]] = answer.json()
            return found
        assert answer.status_code == 202
        if int(answer.headers["x-progress"].partition(" ")[0]) >= written:
            return {}
        time.sleep(0.01)
    raise AssertionError("the export does not come forward")


def versions(answer: httpx.Response) -> list[tuple[str, str]]:
    found = [json.loads(line) for line in answer.content.splitlines()]
    return [(each["id"], each["meta"]["versionId"]) for each in found]
