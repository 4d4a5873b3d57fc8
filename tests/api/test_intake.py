"""Messages over HTTP: what is answered, what is refused before it is read, what waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.api import answer, arriving
from tests.api.conftest import Door

MESSAGE = "MSH|^~\\&|LIS|LAB|||20260305||ORU^R01|1|P|2.4\r".encode("gb18030")
ACK = b"MSH|^~\\&|||LIS|LAB|20260305||ACK|1|P|2.4\rMSA|%s|1\r"


@pytest.mark.parametrize(("code", "status"), [(b"AA", 200), (b"CA", 200), (b"AE", 400), (b"AR", 400), (b"CR", 400)])
async def test_the_acknowledgement_and_its_http_code(
    door: Door, client: httpx.AsyncClient, code: bytes, status: int
) -> None:
    door.reply = ACK % code
    got = await client.post("/intake/lab-web", content=MESSAGE)
    assert (got.status_code, got.content) == (status, door.reply)
    assert got.headers["content-type"] == "application/hl7-v2"
    (frame,) = door.frames
    assert (frame.channel, frame.body) == ("lab-web", MESSAGE)
    assert frame.peer.startswith("127.0.0.1")


@pytest.mark.parametrize(
    ("reply", "status", "text"),
    [
        (b"", 202, "received"),
        (b'{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"x"}]}', 202, "information"),
        (b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"x"}]}', 400, "error"),
    ],
)
async def test_other_formats_are_answered_with_an_outcome(
    door: Door, client: httpx.AsyncClient, reply: bytes, status: int, text: str
) -> None:
    door.reply = reply
    got = await client.post("/intake/lab-web", content=b'{"resourceType":"Bundle"}')
    assert got.status_code == status
    assert got.json()["resourceType"] == "OperationOutcome"
    assert text in got.text


@pytest.mark.parametrize("channel", ["nobody", "lab-mllp", "a b"])
async def test_a_channel_that_is_none_of_http(door: Door, client: httpx.AsyncClient, channel: str) -> None:
    assert (await client.post(f"/intake/{channel}", content=MESSAGE)).status_code == 404
    assert not door.frames


async def test_an_empty_body(client: httpx.AsyncClient) -> None:
    assert (await client.post("/intake/lab-web", content=b"")).status_code == 400


async def test_too_large_is_said_before_it_is_read(door: Door, client: httpx.AsyncClient) -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            read.append(1)
            yield b"x" * 8192

    got = await client.post("/intake/lab-web", content=body(), headers={"content-length": str(100 * 8192)})
    assert got.status_code == 413
    assert got.json()["issue"][0]["code"] == "too-long"
    got = await client.post("/intake/lab-web", content=body())  # of unknown length: counted while it comes
    assert got.status_code == 413
    assert not door.frames


async def test_compressed_bodies_are_refused(client: httpx.AsyncClient) -> None:
    got = await client.post("/intake/lab-web", content=b"x", headers={"content-encoding": "gzip"})
    assert got.status_code == 415


async def test_a_full_disk_is_503_and_asks_to_send_again(door: Door, client: httpx.AsyncClient) -> None:
    door.broken = True
    got = await client.post("/intake/lab-web", content=MESSAGE)
    assert got.status_code == 503
    assert got.headers["retry-after"] == str(answer.RETRY_SECONDS)
    assert "the disk is full" in got.json()["issue"][0]["diagnostics"]


async def test_too_much_at_once_is_503_and_the_first_still_gets_through(door: Door, client: httpx.AsyncClient) -> None:
    go = asyncio.Event()
    begun = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 60_000
        begun.set()
        await go.wait()
        yield b"y"

    first = asyncio.create_task(client.post("/intake/lab-web", content=slow()))
    await begun.wait()
    await asyncio.sleep(0)
    refused = await client.post("/intake/lab-web", content=b"z" * 60_000)
    assert refused.status_code == 503
    go.set()
    assert (await first).status_code == 202
    assert (await client.post("/intake/lab-web", content=b"z" * 60_000)).status_code == 202


async def test_a_sender_that_falls_silent_is_cut_off(
    door: Door, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "IDLE_SECONDS", 0.05)

    async def silent() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(5)

    got = await client.post("/intake/lab-web", content=silent())
    assert got.status_code == 408
    assert not door.frames
