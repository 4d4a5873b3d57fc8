"""The shared suite: every transport in the tables keeps these promises. To be registered is to be tested."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from gateway.errors import Configuration, HutongError, Transient
from gateway.model import Channel, Receipt, Subscription
from gateway.transport import listener, listeners, sender, senders
from gateway.transport.files import FolderListener
from gateway.transport.mllp import MllpListener
from gateway.transport.mllp_framing import Deframer, frame
from tests.transport.lines import Receiver, acknowledgement, delivery, message, until
from tests.transport.test_http import serving


def subscription(transport: str, address: str) -> Subscription:
    wish = "fhir" if transport == "http" else "hl7v2"
    return Subscription(id="s1", criteria=("Patient",), transport=transport, address=address, format=wish, timeout=1.0)


async def acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    deframer = Deframer()
    while data := await reader.read(65536):
        for _ in deframer.feed(data):
            writer.write(frame(acknowledgement("M1")))
    writer.close()


@pytest.mark.parametrize("name", senders)
async def test_senders_bring_a_delivery_and_say_so(name: str, tmp_path: Path) -> None:
    mllp = await asyncio.start_server(acknowledge, "127.0.0.1", 0)
    async with serving() as http:
        address = {"mllp": f"127.0.0.1:{mllp.sockets[0].getsockname()[1]}", "http": http.url}.get(name, "out")
        one = sender(subscription(name, address), tmp_path)
        try:
            for _ in range(2):
                taken = await one.send(message("M1"), delivery(1))
                assert isinstance(taken, Receipt)
                assert taken.code
            assert one.parallel >= 1
        finally:
            await one.close()
    mllp.close()
    await mllp.wait_closed()


@pytest.mark.parametrize("name", [name for name in senders if name != "memory"])
async def test_senders_without_a_receiver_ask_for_patience(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    address = {"mllp": "127.0.0.1:1", "http": "http://127.0.0.1:1/"}.get(name, "file/out")
    one = sender(subscription(name, address), tmp_path)
    for _ in range(2):
        with pytest.raises(HutongError) as raised:
            await one.send(message("M1"), delivery(1))
        assert isinstance(raised.value, Transient)
        assert raised.value.place
    await one.close()


@pytest.mark.parametrize("name", listeners)
async def test_listeners_hand_on_frames_of_their_channel_and_end_quickly(name: str, tmp_path: Path) -> None:
    channel = Channel(id="c1", transport=name, format="hl7v2", listen="127.0.0.1:0", folder="in")
    receiver = Receiver(answer=lambda _: b"")
    one = listener(channel, tmp_path)
    assert inspect.iscoroutinefunction(one.listen)
    await one.listen(receiver)
    match one:
        case MllpListener():
            _, writer = await asyncio.open_connection(*one.address)
            writer.write(frame(b"MSH|1"))
            await until(lambda: receiver.frames)
            writer.close()
        case FolderListener():
            one.settle = 0.02
            (tmp_path / "in" / "a.hl7").write_bytes(b"MSH|1")
            await until(lambda: receiver.frames)
        case _:
            await one.arrive(b"MSH|1")  # type: ignore[attr-defined]
    async with asyncio.timeout(2):
        await one.close()
    assert [(one.channel, one.body) for one in receiver.frames] == [("c1", b"MSH|1")]


def test_unknown_names_are_mistakes_in_the_settings(tmp_path: Path) -> None:
    with pytest.raises(Configuration, match=r"pigeon.*write one of"):
        sender(subscription("pigeon", "x"), tmp_path)
    with pytest.raises(Configuration, match="pigeon"):
        listener(Channel(id="c", transport="pigeon", format="hl7v2"), tmp_path)
