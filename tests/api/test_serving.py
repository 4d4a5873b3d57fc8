"""The door behind a real socket."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

from gateway.api import prompt
from tests.api.conftest import Door, patient


async def test_read_search_and_head_over_http(door: Door, address: str) -> None:
    door.store(patient("1"))
    async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {door.token()}"}) as client:
        assert (await client.get("/health")).status_code == 200
        page = (await client.get("/fhir/Patient?identifier=urn:hutong:id:LAB|1")).json()
        target = page["entry"][0]["fullUrl"]
        assert target.startswith(f"{address}/fhir/Patient/")
        assert (await client.get(target)).json()["name"][0]["text"] == "张三"
        head = await client.head(target)
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", 'W/"1"')
        assert "server" not in head.headers
        post = await client.post("/intake/lab-web", content=b"MSH|")
        assert post.status_code == 202


async def test_large_answers_are_compressed_for_who_takes_it(door: Door, address: str) -> None:
    door.store(patient("1"))
    headers = {"authorization": f"Bearer {door.token()}", "accept-encoding": "identity"}
    async with httpx.AsyncClient(base_url=address, headers=headers) as client:
        plain = await client.get("/fhir/metadata")
        assert "content-encoding" not in plain.headers
        taken = await client.get("/fhir/metadata", headers={"accept-encoding": "gzip"})
        assert taken.headers["content-encoding"] == "gzip"
        assert int(taken.headers["content-length"]) < len(plain.content) / 5
        assert taken.content == plain.content
        small = await client.get("/fhir/Patient", headers={"accept-encoding": "gzip"})
        assert (small.json()["total"], "content-encoding" in small.headers) == (1, False)
        refused = await client.get("/fhir/Nothing", headers={"accept-encoding": "gzip"})
        assert (refused.status_code, refused.json()["resourceType"]) == (404, "OperationOutcome")


async def test_a_body_that_is_too_large_is_answered_before_it_is_sent(door: Door, address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        "POST /intake/lab-web HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\n"
        f"authorization: Bearer {door.token()}\r\n\r\n"
    )
    writer.write(head.encode())
    first = await asyncio.wait_for(reader.readline(), 5)
    assert first.split()[1] == b"413"
    writer.close()
    await writer.wait_closed()
    assert not door.frames


async def test_who_sends_too_large_a_body_without_asking_hears_why(door: Door, address: str) -> None:
    """Most programs write all of a body before they read: a connection that is closed on them tells them nothing."""
    async with httpx.AsyncClient(base_url=address) as client:
        headers = {"authorization": f"Bearer {door.token()}"}
        got = await client.post("/intake/lab-web", content=b"x" * (25 << 20), headers=headers)
    assert got.status_code == 413
    assert "larger than" in got.text
    assert not door.frames


async def said(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.read()


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"])
async def test_a_head_that_never_ends_is_cut_off(address: str, monkeypatch: pytest.MonkeyPatch, before: bytes) -> None:
    """The first request of a connection, and one behind another."""
    monkeypatch.setattr(prompt, "HEAD_SECONDS", 0.3)
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(before)
    answering = asyncio.create_task(reader.readuntil(b"HTTP/1.1 408 "))
    writer.write(b"GET /health HTTP/1.1\r\n")
    async with asyncio.timeout(60):
        while not answering.done():
            writer.write(b"x: y\r\n")
            await asyncio.sleep(0.05)
    assert await answering
    writer.close()
    async with httpx.AsyncClient(base_url=address) as client:
        assert (await client.get("/health")).status_code == 200


async def test_a_connection_that_says_nothing_is_closed_without_a_word(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt, "HEAD_SECONDS", 0.2)
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    assert await said(reader) == b""
    writer.close()


async def test_a_head_without_an_end_is_cut_off_by_its_length(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answering = asyncio.create_task(said(reader))
    writer.write(b"GET /health HTTP/1.1\r\n")
    sent = 0
    while not answering.done() and sent < 2**26:
        writer.write(b"x: " + b"y" * 4000 + b"\r\n")
        sent += 4005
        await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        assert b" 431 " in await answering
    assert sent < 2**24
    writer.close()


async def test_a_large_body_right_behind_its_head_is_no_large_head(door: Door, address: str) -> None:
    body = b"x" * 60_000
    async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {door.token()}"}) as client:
        for _ in range(3):
            assert (await client.post("/intake/lab-web", content=body)).status_code == 202
