"""The HTTP sender against a real server that answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from gateway.errors import Ambiguous, Configuration, HutongError, Permanent, Transient
from gateway.transport.http import HttpSender, retry_after
from tests.transport.lines import acknowledgement, delivery, message

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    url: str = ""
    answer: bytes = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    delay: float = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length"))
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(int(length.split(":")[1])))
                await asyncio.sleep(self.delay)
                writer.write(self.answer)
                await writer.drain()
                if not self.answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/fhir?secret=1"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
        await asyncio.sleep(0.01)


async def test_a_post_with_the_key_the_type_and_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUTONG_TEST_TOKEN", "t0p")
    async with serving() as server:
        headers = {"Authorization": "Bearer env:HUTONG_TEST_TOKEN", "X-Plain": "not-env:HUTONG_TEST_TOKEN"}
        sender = HttpSender(server.url, headers=headers)
        taken = await sender.send(b'{"a":1}', delivery(idempotency="K-1"))
        await sender.close()
        head = server.heads[0].lower()
        assert (taken.code, taken.body) == ("201", b"{}")
        assert server.bodies == [b'{"a":1}']
        assert head.startswith("post /fhir?secret=1 ")
        assert "content-type: application/fhir+json\r\n" in head
        assert "idempotency-key: k-1\r\n" in head
        assert "authorization: bearer t0p\r\n" in head
        assert "x-plain: not-env:hutong_test_token\r\n" in head


async def test_a_missing_secret_is_a_mistake_in_the_settings() -> None:
    sender = HttpSender("http://127.0.0.1:1/", headers={"Authorization": "env:HUTONG_NOT_SET"})
    with pytest.raises(Configuration, match="HUTONG_NOT_SET"):
        await sender.send(b"", delivery())
    await sender.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, Configuration),
        (307, Configuration),
        (400, Permanent),
        (404, Permanent),
        (409, Permanent),
        (422, Permanent),
        (408, Transient),
        (425, Transient),
        (429, Transient),
        (500, Transient),
        (503, Transient),
    ],
)
async def test_statuses(status: int, error: type[HutongError]) -> None:
    async with serving() as server:
        server.answer = f"HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".encode()
        sender = HttpSender(server.url)
        with pytest.raises(error) as raised:
            await sender.send(b"{}", delivery())
        await sender.close()
        assert type(raised.value) is error
        assert str(status) in raised.value.cause
        assert "secret" not in str(raised.value)
        assert len(server.bodies) == 1  # no redirect was followed, nothing was tried twice


async def test_the_receivers_words_and_its_wish_to_wait() -> None:
    async with serving() as server:
        outcome = b'{"resourceType":"OperationOutcome","issue":[{"diagnostics":"unknown code"}]}'
        server.answer = b"HTTP/1.1 422 X\r\nContent-Length: %d\r\n\r\n%s" % (len(outcome), outcome)
        sender = HttpSender(server.url)
        with pytest.raises(Permanent, match="unknown code"):
            await sender.send(b"{}", delivery())
        server.answer = b"HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
        with pytest.raises(Transient) as raised:
            await sender.send(b"{}", delivery())
        await sender.close()
        assert raised.value.wait == 7.0


async def test_no_answer_is_ambiguous_and_nobody_there_transient() -> None:
    async with serving() as server:
        sender = HttpSender(server.url, timeout=0.5)
        server.delay = 1.0
        with pytest.raises(Ambiguous, match="ReadTimeout"):
            await sender.send(b"{}", delivery())
        server.delay, server.answer = 0.0, b""
        with pytest.raises(Ambiguous):
            await sender.send(b"{}", delivery())
        await sender.close()
        await asyncio.sleep(0.6)
    sender = HttpSender("http://127.0.0.1:1/", timeout=0.3)
    with pytest.raises(Transient):
        await sender.send(b"{}", delivery())
    await sender.close()


async def test_an_endless_answer_is_cut() -> None:
    async with serving() as server:
        server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 200_000
        sender = HttpSender(server.url)
        taken = await sender.send(b"{}", delivery())
        await sender.close()
        assert len(taken.body) == 65536


async def test_hl7_over_http_is_answered_by_its_acknowledgement() -> None:
    async with serving() as server:
        for code, error in (("AA", None), ("AE", Permanent)):
            answer = acknowledgement("M1", code)
            server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
            sender = HttpSender(server.url, format="hl7v2", charset="gb18030")
            if error:
                with pytest.raises(error):
                    await sender.send(message("M1"), delivery())
            else:
                assert (await sender.send(message("M1"), delivery())).code == "AA"
            await sender.close()
        assert "content-type: x-application/hl7-v2+er7; charset=gb18030\r\n" in server.heads[0].lower()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("", 0.0), ("soon", 0.0), ("-3", 0.0), ("99999999", 3600.0), ("Sat, 21 Nov 2026 10:00:30 GMT", 30.0)],
)
def test_retry_after(value: str, seconds: float) -> None:
    assert retry_after(value, datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)) == seconds


async def test_an_address_that_is_none() -> None:
    for address in ("ftp://host/", "http://host:port/", "nonsense"):
        sender = HttpSender(address)
        with pytest.raises(Configuration):
            await sender.send(b"{}", delivery())
        await sender.close()
