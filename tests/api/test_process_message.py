"""$process-message through the real rooms: received, journaled, processed, answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.door import create
from gateway.api.overview import Overview
from gateway.api.security import Tokens
from gateway.fhir import validate
from gateway.model import Frame
from tests.api.conftest import BASE, Door, observation, patient
from tests.rooms import House


def message(*resources: dict[str, Any], id: str = "m1", envelope: str = "b1", **more: Any) -> dict[str, Any]:
    header = {
        "resourceType": "MessageHeader", "id": id, "source": {"name": "imaging", "endpoint": "http://imaging.test/in"},
        "eventCoding": {"system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": "R01"}, **more,
    }  # fmt: skip
    entries = [{"fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012d}", "resource": each}
               for number, each in enumerate((header, *resources))]  # fmt: skip
    return {"resourceType": "Bundle", "id": envelope, "type": "message", "entry": entries}


RESULT = observation("o1", "urn:uuid:00000000-0000-4000-8000-000000000001")
CONTENT = (patient("P1"), RESULT, {"resourceType": "Communication", "status": "completed"})


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def sender(house: House, door: Door, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A member's system; what it sends is worked on at once."""
    monkeypatch.setattr("gateway.api.process_message.PATIENCE", 0.1)

    async def receive(frame: Frame) -> bytes:
        said = await house.receiver.receive(frame)
        if door.state == "ok":
            house.process()
        return said

    tokens = Tokens(house.record)
    services = replace(
        door.services, community=house.community, record=house.store, receive=receive, tokens=tokens,
        overview=Overview(house.journal, house.record), intake_limit=1 << 20, waiting_limit=1 << 20,
    )  # fmt: skip
    transport = httpx.ASGITransport(create(services), raise_app_exceptions=False)
    token = tokens.create(name="imaging", scope="intake/imaging-reports")
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        client.headers["authorization"] = f"Bearer {token}"
        yield client


async def answered(client: httpx.AsyncClient, bundle: dict[str, Any], code: str) -> dict[str, Any]:
    answer = await client.post("/fhir/$process-message", json=bundle)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    header = made["entry"][0]["resource"]
    assert (made["type"], header["resourceType"]) == ("message", "MessageHeader")
    assert (header["response"]["identifier"], header["response"]["code"]) == (
        bundle["entry"][0]["resource"]["id"],
        code,
    )
    assert header["destination"][0]["endpoint"] == "http://imaging.test/in"
    assert list(validate.problems(made)) == []
    return made


async def test_it_is_in_the_record_once(house: House, sender: httpx.AsyncClient) -> None:
    first = await answered(sender, message(*CONTENT), "ok")
    before = dict(house.counts())
    assert before["Patient"] == before["Observation"] == before["Communication"] == 1
    assert await answered(sender, message(*CONTENT), "ok") == first
    again = await answered(sender, message(*CONTENT, envelope="b2"), "ok")
    assert again["entry"][0]["resource"]["response"] == first["entry"][0]["resource"]["response"]
    assert dict(house.counts()) == before
    assert len(house.entries()) == 1
    (line,) = house.entries()
    assert (line.channel, line.member) == ("imaging-reports", "imaging")


async def test_it_may_be_the_content_of_parameters(house: House, sender: httpx.AsyncClient) -> None:
    """R4 messageheader-operation-process-message.html."""
    sent = {"resourceType": "Parameters", "parameter": [{"name": "content", "resource": message(*CONTENT)}]}
    answer = await sender.post("/fhir/$process-message", json=sent)
    assert (answer.status_code, answer.json()["entry"][0]["resource"]["response"]["code"]) == (200, "ok")
    assert house.counts()["Observation"] == 1
    for parameters in ([], [*sent["parameter"], {"name": "async", "valueBoolean": True}]):
        refused = await sender.post("/fhir/$process-message", json={**sent, "parameter": parameters})
        assert refused.status_code == 400


async def test_the_same_id_with_other_content_is_never_dropped(house: House, sender: httpx.AsyncClient) -> None:
    await answered(sender, message(*CONTENT), "ok")
    await answered(sender, message(patient("P2")), "ok")
    assert house.counts()["Patient"] == 2


@pytest.mark.parametrize(
    ("subject", "code"),
    [("Patient?identifier=urn:nobody|1", "transient-error"), ("Patient?nothing=1", "fatal-error")],
)
async def test_what_is_not_in_the_record_says_why(sender: httpx.AsyncClient, subject: str, code: str) -> None:
    made = await answered(sender, message(observation("o9", subject), id="bad"), code)
    (outcome,) = [each["resource"] for each in made["entry"][1:]]
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["diagnostics"]
    assert made["entry"][0]["resource"]["response"]["details"]["reference"] == made["entry"][1]["fullUrl"]


async def test_while_it_is_worked_on(door: Door, house: House, sender: httpx.AsyncClient) -> None:
    door.state = "starting"
    waiting = await sender.post("/fhir/$process-message", json=message(*CONTENT))
    assert waiting.status_code == 202
    assert waiting.headers["retry-after"]
    house.process()
    await answered(sender, message(*CONTENT), "ok")
    assert len(house.entries()) == 1


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [
        (patient("1"), "", 400),
        ({"resourceType": "Bundle", "type": "transaction"}, "", 400),
        ({"resourceType": "Bundle", "type": "message", "entry": [{"resource": patient("1")}]}, "", 400),
        (message(response={"identifier": "x", "code": "ok"}), "", 400),
        (message(source={"name": "x"}), "", 400),
        (message(patient("P1")), "?async=true", 400),
        (message(patient("P1")), "?channel=nothing", 400),
    ],
)
async def test_what_is_no_message(sender: httpx.AsyncClient, body: dict[str, Any], query: str, status: int) -> None:
    answer = await sender.post(f"/fhir/$process-message{query}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_whose_it_is(house: House, sender: httpx.AsyncClient) -> None:
    other = Tokens(house.record).create(name="other", scope="intake/county-his system/*.rs")
    answer = await sender.post(
        "/fhir/$process-message", json=message(patient("P1")), headers={"authorization": f"Bearer {other}"}
    )
    assert answer.status_code == 403
    assert house.entries() == []
