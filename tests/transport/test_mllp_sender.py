"""The MLLP client against servers that behave badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.errors import Ambiguous, HutongError, Permanent, Transient
from gateway.transport.answer import control_id
from gateway.transport.mllp_framing import Deframer, frame
from gateway.transport.mllp_sender import MllpSender
from tests.transport.lines import acknowledgement, delivery, message

Talk = Callable[[list[bytes], asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[tuple[MllpSender, list[int]]]:
    """`talk` gets the bodies that are new on a connection; the list counts connections."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        deframer = Deframer()
        try:
            while data := await reader.read(65536):
                if bodies := deframer.feed(data):
                    await talk(bodies, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    sender = MllpSender(f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", timeout=0.3)
    try:
        yield sender, connections
    finally:
        await sender.close()
        listening.close()
        await listening.wait_closed()
        await asyncio.sleep(0.01)


async def takes(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
    for body in bodies:
        writer.write(frame(acknowledgement(control_id(body))))


async def test_one_connection_serves_all() -> None:
    async with server(takes) as (sender, connections):
        for number in range(5):
            taken = await sender.send(message(f"M{number}"), delivery(number))
            assert taken.code == "AA"
        assert len(connections) == 1


async def test_one_at_a_time_though_many_ask() -> None:
    async with server(takes) as (sender, connections):
        receipts = await asyncio.gather(*(sender.send(message(f"M{n}"), delivery(n)) for n in range(20)))
        assert [taken.body for taken in receipts] == [acknowledgement(f"M{n}") for n in range(20)]
        assert len(connections) == 1


async def test_a_closed_line_is_opened_again() -> None:
    async def once(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
        await takes(bodies, writer)
        await writer.drain()
        writer.close()

    async with server(once) as (sender, connections):
        await sender.send(message("M1"), delivery(1))
        await asyncio.sleep(0.02)
        await sender.send(message("M2"), delivery(2))
        assert len(connections) == 2


async def test_a_late_answer_is_not_taken_for_the_next_message() -> None:
    async def late(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        await takes(bodies, writer)

    async with server(late) as (sender, connections):
        for number in (1, 2):
            with pytest.raises(Ambiguous, match="no acknowledgement within"):
                await sender.send(message(f"M{number}"), delivery(number))
        assert len(connections) == 2


async def test_an_answer_nobody_asked_for_closes_the_line() -> None:
    async def twice(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
        await takes(bodies * 2, writer)

    async with server(twice) as (sender, connections):
        await sender.send(message("M1"), delivery(1))
        await asyncio.sleep(0.02)
        await sender.send(message("M2"), delivery(2))
        assert len(connections) == 2


async def answers_another(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.write(frame(acknowledgement("OTHER")))


async def hangs_up(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def speaks_http(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n" * 300)


async def refuses(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.write(frame(acknowledgement("M1", "AE", "ERR||PID^1|101|E||||no")))


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (answers_another, Ambiguous),
        (hangs_up, Ambiguous),
        (resets, Ambiguous),
        (speaks_http, Ambiguous),
        (refuses, Permanent),
    ],
)
async def test_what_goes_wrong(talk: Talk, error: type[HutongError]) -> None:
    async with server(talk) as (sender, _):
        with pytest.raises(error) as raised:
            await sender.send(message("M1"), delivery(1))
        assert type(raised.value) is error


async def test_an_answer_without_its_return_counts_when_the_receiver_closes() -> None:
    async def sloppy(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
        writer.write(frame(acknowledgement("M1"))[:-1])
        writer.close()

    async with server(sloppy) as (sender, _):
        assert (await sender.send(message("M1"), delivery(1))).code == "AA"


async def test_a_cancelled_send_leaves_no_line_behind() -> None:
    answer = asyncio.Event()

    async def waits(bodies: list[bytes], writer: asyncio.StreamWriter) -> None:
        if bodies[0] == message("M1"):
            await answer.wait()
        await takes(bodies, writer)

    async with server(waits) as (sender, connections):
        sending = asyncio.create_task(sender.send(message("M1"), delivery(1)))
        await asyncio.sleep(0.02)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        answer.set()
        await sender.send(message("M2"), delivery(2))
        assert len(connections) == 2


async def test_nobody_there_is_transient_and_no_control_id_is_permanent() -> None:
    sender = MllpSender("127.0.0.1:1", timeout=0.3)
    with pytest.raises(Transient, match="cannot be reached"):
        await sender.send(message("M1"), delivery(1))
    with pytest.raises(Permanent, match="MSH-10"):
        await sender.send(b"MSH|^~\\&|A", delivery(1))
    await sender.close()
