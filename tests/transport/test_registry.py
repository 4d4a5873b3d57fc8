"""The shared suite: every transport in the tables keeps these promises. To be registered is to be tested."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from pathlib import Path

import pytest

from gateway.codec import rows
from gateway.errors import Configuration, HutongError, Transient
from gateway.model import Channel, Receipt, Server, Subscription, Table
from gateway.transport import Listener, listener, listeners, sender, senders
from gateway.transport.mllp import MllpListener
from gateway.transport.mllp_framing import Deframer, frame
from gateway.transport.pickup import Pickup
from tests.transport import sftp_server
from tests.transport.lines import Receiver, acknowledgement, delivery, message, until
from tests.transport.test_http import serving

HOST_KEY = "SHA256:" + "A" * 43


def subscription(transport: str, address: str, server: Server | None = None) -> Subscription:
    wish = "fhir" if transport == "http" else "hl7v2"
    return Subscription(
        id="s1", criteria=("Patient",), transport=transport, address=address, format=wish, timeout=1.0, server=server,
        table=Table(name="middle", delivery="number"),
    )  # fmt: skip


def body(name: str) -> bytes:
    """What a sender of this name brings."""
    if name == "database":
        return rows.encode([rows.Sheet(name="x", columns=("结果",), cells=(("1",),))])
    return message("M1")


async def acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    deframer = Deframer()
    while data := await reader.read(65536):
        for _ in deframer.feed(data):
            writer.write(frame(acknowledgement("M1")))
    writer.close()


@pytest.mark.parametrize("name", senders)
async def test_senders_bring_a_delivery_and_say_so(name: str, tmp_path: Path) -> None:
    mllp = await asyncio.start_server(acknowledge, "127.0.0.1", 0)
    async with serving() as http, sftp_server.serving(tmp_path) as sftp:
        middle = sqlite3.connect(tmp_path / "middle.db")
        middle.execute("CREATE TABLE middle(number TEXT PRIMARY KEY, 结果 TEXT)")
        middle.close()
        own = {"mllp": f"127.0.0.1:{mllp.sockets[0].getsockname()[1]}", "http": http.url}
        address = {**own, "database": f"sqlite:///{tmp_path}/middle.db"}.get(name, "out")
        one = sender(subscription(name, address, sftp.settings()), sftp.home)
        try:
            for _ in range(2):
                taken = await one.send(body(name), delivery(1))
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
    (tmp_path / "password").write_text("x")
    away = Server(host="127.0.0.1", port=1, user="u", host_keys=(HOST_KEY,), password="file:password")
    nowhere = {"mllp": "127.0.0.1:1", "http": "http://127.0.0.1:1/", "database": f"sqlite:///{tmp_path}/none.db"}
    address = nowhere.get(name, "file/out")
    one = sender(subscription(name, address, away), tmp_path)
    for _ in range(2):
        with pytest.raises(HutongError) as raised:
            await one.send(body(name), delivery(1))
        assert isinstance(raised.value, Transient)
        assert raised.value.place
    await one.close()


@pytest.mark.parametrize("name", listeners)
async def test_listeners_hand_on_frames_of_their_channel_and_end_quickly(name: str, tmp_path: Path) -> None:
    async with sftp_server.serving(tmp_path) as sftp:
        channel = Channel(
            id="c1", transport=name, format="hl7v2", listen="127.0.0.1:0", folder="in", server=sftp.settings()
        )
        folder = (sftp.root if name == "sftp" else sftp.home) / "in"
        await hand_on(listener(channel, sftp.home), folder)


async def hand_on(one: Listener, folder: Path) -> None:
    receiver = Receiver(answer=lambda _: b"")
    assert inspect.iscoroutinefunction(one.listen)
    await one.listen(receiver)
    match one:
        case MllpListener():
            _, writer = await asyncio.open_connection(*one.address)
            writer.write(frame(b"MSH|1"))
            await until(lambda: receiver.frames)
            writer.close()
        case Pickup():
            one.settle = one.poll = 0.02
            (folder / "a.hl7").write_bytes(b"MSH|1")
            one._changed.set()
            await until(lambda: receiver.frames)
        case _:
            await one.arrive(b"MSH|1")  # type: ignore[attr-defined]
    async with asyncio.timeout(60):
        await one.close()
    assert [(one.channel, one.body) for one in receiver.frames] == [("c1", b"MSH|1")]


def test_unknown_names_are_mistakes_in_the_settings(tmp_path: Path) -> None:
    with pytest.raises(Configuration, match=r"pigeon.*write one of"):
        sender(subscription("pigeon", "x"), tmp_path)
    with pytest.raises(Configuration, match="pigeon"):
        listener(Channel(id="c", transport="pigeon", format="hl7v2"), tmp_path)
