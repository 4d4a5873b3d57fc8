"""Endpoints that clients chose: only addresses that may be spoken to, connected to as judged, no redirects."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.errors import Ambiguous, Configuration, HutongError, Permanent, Transient
from gateway.model import Hooks
from gateway.transport.hook import ANSWER_LIMIT, Call, HookSender
from gateway.transport.reach import Reach, judged, reach, target_of

LOOPBACK = reach(Hooks(networks=("127.0.0.0/8", "::1/128")))
NOTHING = Reach()


def problem(url: str, allowed: Reach = NOTHING, address: str = "") -> str:
    """Why it may not be spoken to, as written or, where an address is given, as resolved."""
    try:
        target = target_of(url)
    except ValueError as error:
        return str(error)
    return judged(allowed, target, [address])[1] if address else allowed.written_problem(target)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://LOCALHOST./", "https://a.localhost/",
        "https://169.254.169.254/latest/meta-data", "https://[::ffff:169.254.169.254]/", "https://10.1.2.3/",
        "https://172.16.0.1/", "https://192.168.1.1/", "https://100.100.100.200/", "https://[fe80::1]/",
        "https://[fd00::1]/", "https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/", "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/", "https://255.255.255.255/", "http://93.184.216.34/", "https://93.184.216.34:22/",
        "https://example.org:6379/", "http://example.org/", "ftp://example.org/", "https:///x", "gopher://x/",
        "https://user:password@example.org/", "https://example.org/#x", "https://example.org/\r\nX: y",
        "https://example.org:99999/", "https://exa mple.org/", "file:///etc/passwd", "https://例子.cn/",
        "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://012.0.0.1/",
    ],
)  # fmt: skip
def test_what_is_refused_as_it_is_written(url: str) -> None:
    assert problem(url)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "::7f00:1"])
def test_a_public_name_with_an_inner_address_is_refused(address: str) -> None:
    assert problem("https://hook.example.org/", address=address)


@pytest.mark.parametrize("url", ["https://134744072/", "https://dead.beef/", "https://10.example.org/"])
def test_a_number_may_mean_a_public_address_and_letters_are_a_name(url: str) -> None:
    assert not problem(url)


def test_one_bad_address_spoils_a_name() -> None:
    target = target_of("https://hook.example.org/")
    assert judged(NOTHING, target, ["93.184.216.34", "127.0.0.1"]) == ("", problem("https://x.org/", address="::1"))
    assert judged(NOTHING, target, ["93.184.216.34"]) == ("93.184.216.34", "")
    assert judged(NOTHING, target, [])[1]


@pytest.mark.parametrize("url", ["https://example.org/hook", "https://example.org:8443/a?b=c", "https://8.8.8.8/"])
def test_public_addresses_take_https(url: str) -> None:
    assert not problem(url)


def test_listed_networks_are_spoken_to_also_by_http() -> None:
    allowed = reach(Hooks(networks=("10.20.0.0/16",), hosts=("his.county.local",)))
    assert not problem("http://10.20.3.4:8080/hook", allowed)
    assert not problem("http://his.county.local:9000/", allowed, "10.99.0.1")
    assert problem("http://his.county.local:9000/", allowed, "127.0.0.1")
    assert problem("http://10.21.3.4/hook", allowed)
    assert problem("http://10.20.3.4:25/hook", allowed)
    assert problem("http://10.20.3.4:8081/", reach(Hooks(networks=("10.20.0.0/16",), ports=(8080,))))


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254"])
def test_everything_listed_opens_neither_loopback_nor_clouds_secrets(address: str) -> None:
    everything = reach(Hooks(networks=("0.0.0.0/0", "::/0")))
    assert problem(f"http://{address}:8080/", everything)
    assert not problem("http://192.168.0.1:8080/", everything)
    assert not problem("http://127.0.0.1:8080/", LOOPBACK)


Answer = Callable[[bytes], bytes]


@asynccontextmanager
async def endpoint(answer: Answer, *, pause: float = 0.0) -> AsyncIterator[tuple[int, list[bytes]]]:
    """(port, requests seen) of an HTTP server that answers once a connection."""
    seen: list[bytes] = []
    serving: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        serving.append(ended)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        seen.append(head + await reader.readexactly(length))
        await asyncio.sleep(pause)
        writer.write(answer(head))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()
        await asyncio.gather(*(each.wait() for each in serving))


def said(status: str, *, headers: str = "", body: bytes = b"") -> Answer:
    return lambda _: f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def send(url: str, allowed: Reach = LOOPBACK, **more: object) -> str:
    """The code of the receipt."""
    sender = HookSender(url, allowed)
    try:
        call = Call(method="POST", url=url, headers={"X-Own": "a"}, body=b"{}", **more)  # type: ignore[arg-type]
        return (await sender.send(call)).code
    finally:
        await sender.close()


async def test_a_call_arrives_whole() -> None:
    async with endpoint(said("201 Created")) as (port, seen):
        assert await send(f"http://127.0.0.1:{port}/hook?a=b") == "201"
    assert seen[0].startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in seen[0]
    assert b"X-Own: a\r\n" in seen[0]
    assert seen[0].endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        ("302 Found", "Location: http://127.0.0.1:1/\r\n", Configuration),
        ("500 No", "", Transient),
        ("429 Slow", "Retry-After: 7\r\n", Transient),
        ("400 No", "", Permanent),
    ],
)
async def test_what_an_answer_means(status: str, headers: str, kind: type[HutongError]) -> None:
    async with endpoint(said(status, headers=headers)) as (port, seen):
        with pytest.raises(kind) as caught:
            await send(f"http://127.0.0.1:{port}/secret-path")
        assert "secret-path" not in str(caught.value)
        assert getattr(caught.value, "wait", 0) in (0, 7)
    assert len(seen) == 1


async def test_an_endpoint_that_dawdles_is_left_in_time() -> None:
    async with endpoint(said("200 OK"), pause=0.4) as (port, _):
        with pytest.raises(Ambiguous):
            await send(f"http://127.0.0.1:{port}/", timeout=0.1)


async def test_of_a_long_answer_the_beginning_is_read() -> None:
    async with endpoint(said("200 OK", body=b"x" * (1 << 22))) as (port, _):
        sender = HookSender(f"http://127.0.0.1:{port}/", LOOPBACK)
        receipt = await sender.send(Call(method="POST", url=f"http://127.0.0.1:{port}/"))
        await sender.close()
    assert len(receipt.body) == ANSWER_LIMIT


async def test_nobody_there_and_no_such_name_are_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Transient):
        await send(f"http://127.0.0.1:{port}/")

    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    sender = HookSender("https://nowhere.example.org/", NOTHING, resolve=unknown)
    with pytest.raises(Transient):
        await sender.send(Call(method="POST", url="https://nowhere.example.org/"))
    await sender.close()


async def test_the_address_that_was_judged_is_the_one_that_is_connected_to() -> None:
    """DNS rebinding: the second look-up would be an inner address, and there is none."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async with endpoint(said("200 OK")) as (port, seen):
        url = f"http://hook.test:{port}/"
        sender = HookSender(url, LOOPBACK, resolve=rebinding)
        assert (await sender.send(Call(method="POST", url=url))).code == "200"
        assert asked == ["hook.test"]
        with pytest.raises(Configuration):  # a new connection is judged anew
            await sender.send(Call(method="POST", url=url))
        await sender.close()
    assert len(seen) == 1


async def test_an_inner_address_is_never_connected_to() -> None:
    async with endpoint(said("200 OK")) as (port, seen):
        with pytest.raises(Configuration):
            await send(f"http://127.0.0.1:{port}/", NOTHING)
        sender = HookSender("https://example.org/", LOOPBACK)
        with pytest.raises(Configuration):
            await sender.send(Call(method="POST", url=f"http://127.0.0.1:{port}/"))
    assert not seen
