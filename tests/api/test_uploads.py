"""Files handed in over HTTP, most of it over a real socket: names, bodies in every manner, the same one again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateway.api import answer, arriving
from gateway.api.uploads import REMEMBERED, Uploads, safe_name
from tests.api.conftest import Door

CSV = "姓名,结果\n张三,阳性\n".encode("gb18030")


class Caller:
    """One connection that writes what it is told, byte for byte."""

    def __init__(self, address: str) -> None:
        self.host, _, self.port = address.removeprefix("http://").partition(":")

    async def __aenter__(self) -> Caller:
        self.reader, self.writer = await asyncio.open_connection(self.host, int(self.port))
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.writer.close()
        await asyncio.wait([asyncio.ensure_future(self.writer.wait_closed())])

    def say(self, door: Door, path: str, *headers: str, method: str = "PUT") -> None:
        lines = [f"{method} {path} HTTP/1.1", "host: x", f"authorization: Bearer {door.token()}"]
        self.writer.write("\r\n".join([*lines, *headers, "", ""]).encode())

    async def status(self) -> int:
        async with asyncio.timeout(60):
            line = await self.reader.readline()
            while (await self.reader.readline()).strip():
                pass
        return int(line.split()[1])


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_file_with_its_name(door: Door, client: httpx.AsyncClient, method: str) -> None:
    got = await client.request(method, "/intake/lab-web/检验 结果.csv", content=CSV)
    assert got.status_code == 202
    (frame,) = door.frames
    assert (frame.channel, frame.body) == ("lab-web", CSV)
    assert frame.peer.startswith("检验 结果.csv@127.0.0.1")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"a.csv", "a.csv"),
        ("检验.csv".encode("gbk"), "检验.csv"),
        (b"%BC%EC%D1%E9.csv", "检验.csv"),
        (b"%E6%A3%80.csv", "检.csv"),
        (b"..a..csv", "..a..csv"),
    ],
)
def test_names(raw: bytes, name: str) -> None:
    assert safe_name(raw) == name


@pytest.mark.parametrize(
    "raw",
    [
        b"", b".", b"..", b"%2e%2e", b"..%2f..%2fetc%2fpasswd", b"a/b", b"a%5cb", b"c:x", b"a%00b",
        b"a%0d%0aSet-Cookie:x", b"%7f", b"x" * 256, b"%ff%ff%fe", "\u202ecsv.exe".encode(), b"   ",
    ],
)  # fmt: skip
def test_names_that_are_none(raw: bytes) -> None:
    with pytest.raises(answer.Refusal) as raised:
        safe_name(raw)
    assert raised.value.status_code == 400


@pytest.mark.parametrize(
    "path", ["/intake/lab-web/..%2f..%2fetc%2fpasswd", "/intake/lab-web/a%00b", "/intake/lab-web/"]
)
async def test_a_name_that_is_none_is_refused_before_the_body_is_read(door: Door, address: str, path: str) -> None:
    async with Caller(address) as caller:
        caller.say(door, path, "content-length: 5")
        assert await caller.status() == 400
    assert not door.frames


async def test_no_token_no_scope_no_channel_no_form(door: Door, anyone: httpx.AsyncClient) -> None:
    assert (await anyone.put("/intake/lab-web/a.csv", content=CSV)).status_code == 401
    anyone.headers["authorization"] = f"Bearer {door.token('intake/other')}"
    assert (await anyone.put("/intake/lab-web/a.csv", content=CSV)).status_code == 403
    anyone.headers["authorization"] = f"Bearer {door.token('intake/*')}"
    assert (await anyone.put("/intake/lab-mllp/a.csv", content=CSV)).status_code == 404
    form = await anyone.post("/intake/lab-web", files={"file": ("a.csv", CSV)})
    assert form.status_code == 415
    assert "curl -T" in form.text
    assert not door.frames


async def test_the_same_upload_again_has_the_same_identity(door: Door, client: httpx.AsyncClient) -> None:
    again = {"idempotency-key": "K2"}
    for name, body, headers in [
        ("a.csv", b"1", {}), ("a.csv", b"1", {}), ("b.csv", b"1", {}), ("a.csv", b"1", again), ("a.csv", b"2", {}),
        ("a.csv", b"1", {}), ("a.csv", b"1", {}),
    ]:  # fmt: skip
        assert (await client.put(f"/intake/lab-web/{name}", content=body, headers=headers)).status_code == 202
        door.services.now = lambda: datetime.now(UTC)
    identities = [frame.identity for frame in door.frames]
    assert identities[0] == identities[1]
    assert len({identities[0], identities[2], identities[3]}) == 3
    assert identities[5] == identities[6] != identities[0]  # other bytes came in between: it is new


def test_only_so_many_names_are_remembered() -> None:
    uploads, at = Uploads(), datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(REMEMBERED + 5):
        uploads.identity("c", str(number), "", b"", at + timedelta(seconds=number))
    assert len(uploads._last) == REMEMBERED


async def test_it_waits_for_the_word_to_go_on(door: Door, address: str) -> None:
    async with Caller(address) as caller:
        caller.say(door, "/intake/lab-web/a.csv", f"content-length: {len(CSV)}", "expect: 100-continue")
        assert await caller.status() == 100
        caller.writer.write(CSV)
        assert await caller.status() == 202
    assert door.frames[0].body == CSV


async def test_a_body_that_is_too_large_never_gets_the_word_to_go_on(door: Door, address: str) -> None:
    async with Caller(address) as caller:
        caller.say(door, "/intake/lab-web/a.csv", "content-length: 999999", "expect: 100-continue")
        assert await caller.status() == 413
    assert not door.frames


async def test_chunks(door: Door, address: str) -> None:
    async with Caller(address) as caller:
        caller.say(door, "/intake/lab-web/a.csv", "transfer-encoding: chunked")
        for start in range(0, len(CSV), 5):
            part = CSV[start : start + 5]
            caller.writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        caller.writer.write(b"0\r\n\r\n")
        assert await caller.status() == 202
    assert door.frames[0].body == CSV


async def test_chunks_without_an_end_are_cut_off_at_the_limit(door: Door, address: str) -> None:
    """The sender never says how much will come; it is refused long before it would end."""
    sent = 0

    async def without_end() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 2**26:
            sent += 16384
            yield b"x" * 16384

    headers = {"authorization": f"Bearer {door.token()}"}
    async with httpx.AsyncClient(base_url=address, headers=headers) as client:
        try:
            got = await client.put("/intake/lab-web/a.csv", content=without_end())
        except httpx.HTTPError:  # it was still writing when we hung up
            pass
        else:
            assert got.status_code == 413
    assert sent < 2**25
    assert not door.frames


@pytest.mark.parametrize("manner", ["silent", "dribbling"])
async def test_slow_clients_are_cut_off(door: Door, address: str, monkeypatch: pytest.MonkeyPatch, manner: str) -> None:
    monkeypatch.setattr(arriving, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(arriving, "SLOW_SECONDS", 0.3)
    async with Caller(address) as caller:
        caller.say(door, "/intake/lab-web/a.csv", "content-length: 5000")
        caller.writer.write(b"x")
        answered = asyncio.create_task(caller.status())
        while manner == "dribbling" and not answered.done():
            caller.writer.write(b"x")
            await asyncio.sleep(0.05)
        assert await answered == 408
    assert not door.frames


async def test_what_is_received_counts_no_more_once_it_is_answered(door: Door, client: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert (await client.put("/intake/lab-web/a.csv", content=b"x" * 60_000)).status_code == 202
    assert (await client.put("/intake/lab-web/a.csv", content=b"x" * 70_000)).status_code == 413
    assert (await client.put("/intake/lab-web/a.csv", content=b"x" * 60_000)).status_code == 202
