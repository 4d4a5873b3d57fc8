"""The MLLP server over real sockets: order, limits, back-pressure, and who is closed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from gateway.errors import Ambiguous, Configuration, Transient
from gateway.model import Frame
from gateway.transport.mllp import Limits, MllpListener, Receive
from gateway.transport.mllp_framing import Deframer, frame
from gateway.transport.mllp_sender import MllpSender
from tests.transport.lines import Receiver, delivery, message, until


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.deframer = reader, writer, Deframer()
        self.waiting: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, seconds: float = 30.0) -> bytes | None:
        """The next answer; None when the server closed."""
        async with asyncio.timeout(seconds):
            while not self.waiting:
                try:
                    data = await self.reader.read(65536)
                except ConnectionError:
                    return None
                if not data:
                    return None
                self.waiting += self.deframer.feed(data)
        return self.waiting.pop(0)

    async def ask(self, body: bytes) -> bytes | None:
        self.send(frame(body))
        return await self.answer()


@asynccontextmanager
async def listening(
    receive: Receive, limits: Limits | None = None, **options: ssl.SSLContext
) -> AsyncIterator[tuple[MllpListener, Callable[[], asyncio.Future[Client]]]]:
    listener = MllpListener("127.0.0.1:0", channel="c1", limits=limits, tls=options.get("server_tls"))
    await listener.listen(receive)
    clients: list[Client] = []

    async def connect() -> Client:
        tls = options.get("client_tls")
        host, port = listener.address
        reader, writer = await asyncio.open_connection(
            host, port, ssl=tls, server_hostname="localhost" if tls else None
        )
        clients.append(Client(reader, writer))
        return clients[-1]

    try:
        yield listener, lambda: asyncio.ensure_future(connect())
    finally:
        for client in clients:
            client.writer.transport.abort()
        await listener.close()
        assert listener.held == 0


async def test_a_frame_is_handed_on_exactly_and_its_answer_comes_back_framed() -> None:
    receiver = Receiver()
    async with listening(receiver) as (listener, connect):
        client = await connect()
        assert await client.ask("MSH|王".encode("gb18030")) == b"ACK:" + "MSH|王".encode("gb18030")
        arrived = receiver.frames[0]
        assert arrived.channel == "c1"
        assert arrived.peer == f"127.0.0.1:{client.writer.get_extra_info('sockname')[1]}"
        assert arrived.received_at.tzinfo is not None
        assert listener.counters.frames == 1


async def test_one_byte_at_a_time() -> None:
    async with listening(Receiver()) as (_, connect):
        client = await connect()
        for byte in frame(b"MSH|1"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert await client.answer() == b"ACK:MSH|1"


async def test_pipelined_answers_leave_in_order_though_they_are_ready_in_another() -> None:
    async def receive(arrived: Frame) -> bytes:
        await asyncio.sleep(0.001 * (7 - int(arrived.body) % 7))
        return arrived.body

    async with listening(receive, Limits(unanswered=16)) as (_, connect):
        client = await connect()
        client.send(b"".join(frame(b"%d" % number) for number in range(200)))
        assert [await client.answer() for _ in range(200)] == [b"%d" % number for number in range(200)]


async def test_never_more_than_the_limit_is_under_way() -> None:
    under_way, most, gate = 0, 0, asyncio.Event()

    async def receive(arrived: Frame) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return b"A"

    async with listening(receive, Limits(unanswered=4)) as (listener, connect):
        client = await connect()
        client.send(frame(b"MSH") * 50)
        await until(lambda: under_way == 4)
        line = listener.lines()[0]
        assert line.unanswered == 50
        gate.set()
        assert [await client.answer() for _ in range(50)] == [b"A"] * 50
        assert most == 4


async def test_no_answer_when_none_is_wanted() -> None:
    async with listening(Receiver(answer=lambda arrived: b"" if arrived.body == b"quiet" else b"A")) as (_, connect):
        client = await connect()
        client.send(frame(b"quiet") + frame(b"loud"))
        assert await client.answer() == b"A"


@pytest.mark.parametrize("error", [Transient("disk full"), ValueError("王五")])
async def test_a_failed_receive_closes_after_the_answers_before_it(error: Exception) -> None:
    def answer(arrived: Frame) -> bytes:
        if arrived.body == b"2":
            raise error
        return b"A" + arrived.body

    async with listening(Receiver(answer=answer)) as (listener, connect):
        client = await connect()
        client.send(frame(b"1") + frame(b"2") + frame(b"3"))
        assert await client.answer() == b"A1"
        assert await client.answer() is None
        assert listener.counters.failed == 1
        assert await (await connect()).ask(b"4") == b"A4"


async def test_end_without_return_is_answered_after_a_quiet_moment_and_once() -> None:
    receiver = Receiver()
    async with listening(receiver, Limits(quiet=0.05)) as (_, connect):
        client = await connect()
        client.send(b"\x0bMSH|1\x1c")
        assert await client.answer() == b"ACK:MSH|1"
        client.send(b"\r" + frame(b"MSH|2"))
        assert await client.answer() == b"ACK:MSH|2"
        assert receiver.bodies == [b"MSH|1", b"MSH|2"]


@pytest.mark.parametrize("last", [b"\x1c\r", b"\x1c"])
async def test_half_close_still_gets_its_answer(last: bytes) -> None:
    async def receive(arrived: Frame) -> bytes:
        await asyncio.sleep(0.02)
        return b"A"

    async with listening(receive) as (_, connect):
        client = await connect()
        client.send(b"\x0bMSH|1" + last)
        client.writer.write_eof()
        assert await client.answer() == b"A"
        assert await client.answer() is None


async def test_cut_off_messages_are_neither_handed_on_nor_merged() -> None:
    receiver = Receiver()
    async with listening(receiver) as (listener, connect):
        client = await connect()
        client.send(b"\x0bMSH|half" + frame(b"MSH|2"))
        assert await client.answer() == b"ACK:MSH|2"
        client.send(b"\x0bMSH|never ended")
        await client.writer.drain()
        client.writer.close()
        await until(lambda: not listener.open)
        assert receiver.bodies == [b"MSH|2"]
        assert listener.counters.cut == 1


async def test_an_unfinished_frame_that_stands_still_is_closed_and_a_silent_line_is_not() -> None:
    async with listening(Receiver(), Limits(idle=0.1)) as (listener, connect):
        silent, stuck, stray = await connect(), await connect(), await connect()
        stuck.send(b"\x0bMSH|half")
        stray.send(b"GET / HTTP/1.1\r\n")
        assert await stuck.answer() is None
        assert await stray.answer() is None
        assert listener.counters.idle == 2
        assert await silent.ask(b"MSH") == b"ACK:MSH"


async def test_a_slow_receive_is_no_idle_line() -> None:
    async def receive(arrived: Frame) -> bytes:
        await asyncio.sleep(0.3)
        return b"A"

    async with listening(receive, Limits(idle=0.1, unanswered=1)) as (_, connect):
        client = await connect()
        client.send(frame(b"1") + b"\x0bMSH")
        assert await client.answer() == b"A"


async def test_too_large_is_closed_without_an_answer() -> None:
    receiver = Receiver()
    async with listening(receiver, Limits(frame=1000)) as (listener, connect):
        client = await connect()
        client.send(b"\x0b" + b"x" * 5000)
        assert await client.answer() is None
        assert (receiver.frames, listener.counters.broken) == ([], 1)


async def test_no_mllp_at_all_is_closed() -> None:
    async with listening(Receiver()) as (listener, connect):
        client = await connect()
        client.send(b"x" * 5000)
        assert await client.answer() is None
        assert listener.counters.broken == 1


@pytest.mark.parametrize(
    ("sent", "limits", "cause"),
    [
        (b"\x0b" + b"x" * 5000, Limits(frame=1000), "larger than 1000 bytes"),
        (b"x" * 5000, Limits(), "more than 4096 bytes came outside any MLLP frame"),
        (b"\x0bMSH|", Limits(idle=0.1), "stopped in its middle"),
        (b"\x0b" + b"x" * 5000, Limits(memory=1000), "hold more than 1000 bytes"),
    ],
    ids=["large", "stray", "idle", "heavy"],
)
async def test_the_log_says_why_a_line_was_closed(sent: bytes, limits: Limits, cause: str) -> None:
    with structlog.testing.capture_logs() as lines:
        async with listening(Receiver(), limits) as (_, connect):
            client = await connect()
            client.send(sent)
            assert await client.answer() is None
    (told,) = [line["trouble"] for line in lines if line["event"] == "mllp line closed"]
    assert cause in told
    assert told.endswith("have the sender frame each message as VT … FS CR, and large ones in parts")


async def test_too_many_connections_are_closed_at_once() -> None:
    async with listening(Receiver(), Limits(connections=2)) as (listener, connect):
        first, second, third = await connect(), await connect(), await connect()
        assert await third.answer() is None
        assert await first.ask(b"MSH") == b"ACK:MSH"
        second.writer.close()
        await until(lambda: len(listener.open) == 1)
        assert await (await connect()).ask(b"MSH") == b"ACK:MSH"
        assert listener.counters.crowded == 1


async def test_over_the_memory_limit_the_large_holders_are_closed() -> None:
    async with listening(Receiver(), Limits(memory=500_000)) as (listener, connect):
        small, large = await connect(), await connect()
        small.send(b"\x0bMSH")
        large.send(b"\x0b" + b"x" * 2_000_000)
        assert await large.answer() is None
        small.send(b"|1\x1c\r")
        assert await small.answer() == b"ACK:MSH|1"
        assert listener.counters.heavy == 1


async def test_a_client_that_never_reads_holds_nobody_up_and_costs_little() -> None:
    answer = b"A" * 20_000
    async with listening(Receiver(answer=lambda arrived: answer if arrived.body == b"M" else b"A")) as (
        listener,
        connect,
    ):
        deaf = await connect()
        deaf.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]
        deaf.send(frame(b"M") * 5000)  # would be answered by 100 MB
        await until(lambda: any(connection.full for connection in listener.open))
        handled = listener.counters.frames
        assert await (await connect()).ask(b"other") == b"A"
        await asyncio.sleep(0.1)
        connection = next(one for one in listener.open if one.full)
        assert listener.counters.frames - handled < 2
        assert connection.paused
        assert connection.transport.get_write_buffer_size() < 64 * len(answer) + 200_000


async def test_a_large_frame_costs_less_than_three_times_its_size() -> None:
    size = 20 * 2**20
    sizes: list[int] = []
    receiver = Receiver(answer=lambda arrived: b"%d" % len(arrived.body))
    body = b"MSH" + b"x" * (size - 3)
    async with listening(receiver) as (_, connect):
        client = await connect()
        client.writer.transport.set_write_buffer_limits(high=65536)
        tracemalloc.start()
        try:
            client.send(b"\x0b")
            for start in range(0, size, 2**18):
                client.send(body[start : start + 2**18])
                await client.writer.drain()
            client.send(b"\x1c\r")
            sizes.append(int(await client.answer(20) or b"0"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert sizes == [size]
    assert peak < 3 * size


async def test_close_answers_what_is_under_way() -> None:
    async def receive(arrived: Frame) -> bytes:
        await asyncio.sleep(0.1)
        return b"A"

    async with listening(receive) as (listener, connect):
        client = await connect()
        client.send(frame(b"MSH"))
        await until(lambda: listener.counters.frames)
        await listener.close()
        assert await client.answer() == b"A"
        assert await client.answer() is None


async def test_close_does_not_wait_for_a_receive_that_hangs() -> None:
    async with listening(lambda arrived: asyncio.Event().wait()) as (listener, connect):  # type: ignore[arg-type, return-value]
        client = await connect()
        client.send(frame(b"MSH"))
        await until(lambda: listener.counters.frames)
        async with asyncio.timeout(30):
            await listener.close(grace=0.05)
        assert await client.answer() is None


async def test_a_port_in_use_is_a_mistake_in_the_settings() -> None:
    async with listening(Receiver()) as (listener, _):
        second = MllpListener(f"127.0.0.1:{listener.address[1]}", channel="c2")
        with pytest.raises(Configuration, match="c2"):
            await second.listen(Receiver())


async def test_addresses_that_are_none() -> None:
    for address in ("2575", "host:", ":2575", "host:http", "host:70000"):
        with pytest.raises(Configuration):
            MllpListener(address, channel="c")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-nodes"]
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *subject]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


async def test_tls(certificate: tuple[Path, Path]) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate[1], certificate[0])
    client = ssl.create_default_context(cafile=certificate[1])
    async with listening(Receiver(), server_tls=server, client_tls=client) as (listener, connect):
        one = await connect()
        one.send(b"".join(frame(b"MSH|%d" % number) for number in range(100)))
        assert [await one.answer() for _ in range(100)] == [b"ACK:MSH|%d" % number for number in range(100)]
        reader, writer = await asyncio.open_connection(*listener.address)  # without TLS
        writer.write(frame(b"MSH|plain"))
        assert b"ACK" not in await reader.read(1000)
        writer.close()
        sender = MllpSender(f"localhost:{listener.address[1]}", timeout=1.0, tls=ssl.create_default_context())
        with pytest.raises(Transient, match="SSL"):  # nobody vouches for the certificate
            await sender.send(message("M1"), delivery())
        trusting = MllpSender(f"localhost:{listener.address[1]}", timeout=1.0, tls=client)
        with pytest.raises(Ambiguous):  # the answer is no acknowledgement, but it came
            await trusting.send(message("M1"), delivery())
        await trusting.close()
