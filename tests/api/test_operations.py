"""Health, status, lists without bodies, replay."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from gateway import errors
from gateway.journal.work import Work
from gateway.model import Change
from tests.api.conftest import Door, patient

BODY = "MSH|^~\\&|LIS|LAB\rPID|1||7||张三\r".encode()


@pytest.fixture
def busy(door: Door) -> Door:
    """One entry parked, one waiting, one refused, one delivery dead, one Patient."""
    door.store(patient("1"))
    door.write(BODY, kind="ORU^R01", control_id="1")
    overview, work = door.services.overview, Work()
    now = datetime.now(UTC)
    with overview.record.transaction() as transaction, overview.journal.reading() as journal:
        (job,) = work.pending(transaction, journal, now=now, limit=1)
        work.parked(transaction, job, errors.Configuration("unknown code", place="OBX-3", remedy="map it"))
    door.write(BODY + b"2", kind="ORU^R01", control_id="2")
    door.write(b"rubbish", accepted=False, cause="no MSH", place="line 1")
    outbox = overview.ledger.outbox
    change = Change(type="Patient", id="p", version=1, transaction=1, interaction="create")
    with overview.record.transaction() as transaction:
        outbox.owe(transaction, "town", "", change)
        (delivery,) = outbox.due(transaction, "town", now=now, limit=1)
        outbox.dead(transaction, delivery, errors.Permanent("refused", place="AR"))
    return door


async def test_health_tells_whether_everything_listens(door: Door, anyone: httpx.AsyncClient) -> None:
    got = await anyone.get("/health")
    assert (got.status_code, got.json()) == (200, {"status": "ok", "version": "1.2.3"})
    door.state = "starting"
    assert (await anyone.get("/health")).status_code == 503


async def test_while_the_record_is_indexed_messages_are_taken_and_nobody_looks_for_anything(
    door: Door, client: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    """Who is not found yet would be made a second time."""
    door.state = "indexing"
    health = await anyone.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "indexing")
    for address in ("/fhir/Patient?name=a", "/fhir/Patient/$match", "/people"):
        refused = await client.get(address)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    made = await client.post("/fhir/Patient", json={"resourceType": "Patient"}, headers={"If-None-Exist": "name=a"})
    assert made.status_code == 503
    assert "indexed anew" in made.json()["issue"][0]["diagnostics"]
    assert (await client.post("/intake/lab-web", content=BODY)).status_code == 202
    assert (await client.get("/operations/status")).status_code == 200
    assert (await client.get("/metrics")).status_code == 200
    assert (await client.get("/fhir/metadata")).status_code == 200
    door.state = "ok"
    assert (await client.get("/fhir/Patient?name=a")).status_code == 200


async def test_status(busy: Door, client: httpx.AsyncClient) -> None:
    status = (await client.get("/operations/status")).json()
    assert status["entries"]["lab"]["counts"] == {"parked": 1, "waiting": 1, "refused": 1, "done": 0}
    assert status["entries"]["lab"]["oldest_seconds"] > 0
    assert status["deliveries"]["town"]["counts"] == {"dead": 1}
    assert status["totals"]["entries"] == {"parked": 1, "waiting": 1, "refused": 1, "done": 0, "dead": 0}
    assert (status["resources"], status["tables"]) == ({"Patient": 1}, 0)


async def test_code_tables_are_counted_apart(busy: Door, client: httpx.AsyncClient) -> None:
    table = {"resourceType": "ValueSet", "status": "active", "url": "urn:a"}
    assert (await client.post("/fhir/ValueSet", json=table)).status_code == 201
    status = (await client.get("/operations/status")).json()
    assert (status["resources"], status["tables"]) == ({"Patient": 1}, 1)


async def test_lists_say_why_and_never_what(busy: Door, client: httpx.AsyncClient) -> None:
    got = await client.get("/operations/entries?state=parked")
    (entry,) = got.json()["entries"]
    assert (entry["channel"], entry["kind"], entry["cause"], entry["place"]) == (
        "lab",
        "ORU^R01",
        "unknown code",
        "OBX-3",
    )
    assert "张三" not in got.text
    assert (await client.get("/operations/entries?state=refused")).json()["entries"][0]["cause"] == "no MSH"
    assert (await client.get(f"/operations/entries?state=parked&before={entry['id']}")).json() == {"entries": []}
    (delivery,) = (await client.get("/operations/deliveries?state=dead")).json()["deliveries"]
    assert (delivery["subscription"], delivery["cause"]) == ("town", "refused")
    for wrong in ("state=x", "limit=x", "limit=1001", "before=-1"):
        assert (await client.get(f"/operations/entries?{wrong}")).status_code == 400


async def test_a_body_as_it_arrived(busy: Door, client: httpx.AsyncClient) -> None:
    got = await client.get("/operations/entries/1/body")
    assert got.content == BODY
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"] == 'attachment; filename="entry-1"'
    assert (await client.get("/operations/entries/99/body")).status_code == 404
    assert (await client.get("/operations/entries/x/body")).status_code == 400


async def test_replay(busy: Door, client: httpx.AsyncClient) -> None:
    for wrong in (b"", b"[]", b'{"entries": ["1"]}', b'{"all": true}', b"\xff"):
        assert (await client.post("/operations/replay", content=wrong)).status_code == 400
    got = await client.post("/operations/replay", json={"entries": [1, 2, 3, 99], "deliveries": [1]})
    assert got.json() == {"entries": 2, "deliveries": 1}  # the parked and the refused one; one that waits is left alone
    again = await client.post("/operations/replay", json={"entries": [1, 3], "parked": True})
    assert again.json() == {"entries": 0, "deliveries": 0}
    status = (await client.get("/operations/status")).json()
    assert status["totals"]["entries"]["parked"] == 0
    assert status["totals"]["deliveries"]["waiting"] == 1


async def test_everything_parked_at_once(busy: Door, client: httpx.AsyncClient) -> None:
    assert (await client.post("/operations/replay", json={"parked": True})).json() == {"entries": 1, "deliveries": 0}


async def test_metrics_show_the_queues(busy: Door, client: httpx.AsyncClient) -> None:
    got = await client.get("/metrics")
    assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'hutong_queue_depth{line="lab",queue="intake",state="parked"} 1.0' in got.text
    assert 'hutong_queue_depth{line="town",queue="delivery",state="dead"} 1.0' in got.text
