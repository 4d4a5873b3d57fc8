"""SFTP lines against a real server over a real socket: who is let in, what is taken, what is brought."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from gateway.errors import Configuration, Transient
from gateway.model import Frame
from gateway.transport import sftp
from gateway.transport.pickup import SIZE_LIMIT, Look, Pickup, UnsettledError, control_id
from gateway.transport.sftp import Line
from gateway.transport.sftp_folder import RemoteFolder, Seen
from gateway.transport.sftp_sender import SftpSender
from tests.transport.lines import Receiver, delivery, until
from tests.transport.sftp_server import PASSWORD, Running, serving

pytestmark = pytest.mark.slow  # against a real server

SETTLE = 0.15


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(tmp_path) as running:
        yield running


def taken(_frame: Frame) -> bytes:
    return b""


@asynccontextmanager
async def polling(
    server: Running, receiver: Receiver, *, pattern: str = "*", leave: bool = False, limit: int = SIZE_LIMIT
) -> AsyncIterator[Pickup]:
    seen = Seen(server.home / "seen" / "c1.files") if leave else None
    place = RemoteFolder(server.line(), "/out", pattern=pattern, seen=seen)
    listener = Pickup(place=place, channel="c1", settle=SETTLE, poll=0.05, limit=limit)
    await listener.listen(receiver)
    try:
        yield listener
    finally:
        async with asyncio.timeout(60):
            await listener.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------------------- who is let in


async def test_a_server_with_another_host_key_gets_nothing(server: Running) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    line = server.line(host_keys=(other.export_public_key().decode(),))
    with pytest.raises(Transient) as raised:
        async with line.client("look"):
            pass
    assert server.host_key.get_fingerprint("sha256") in raised.value.cause
    assert "host_keys" in raised.value.remedy
    assert raised.value.wait >= 60
    assert PASSWORD not in str(raised.value)
    assert str(server.port) in raised.value.place


@pytest.mark.parametrize("form", ["fingerprint", "line of ssh-keyscan", "the second of two"])
async def test_host_keys_may_be_written_in_several_forms(server: Running, form: str) -> None:
    key = server.host_key.export_public_key().decode().strip()
    fingerprint = server.host_key.get_fingerprint("sha256")
    other = asyncssh.generate_private_key("ssh-rsa").export_public_key().decode()
    written = {
        "fingerprint": (fingerprint,),
        "line of ssh-keyscan": (f"127.0.0.1 {key} a comment",),
        "the second of two": (other, fingerprint),
    }
    line = server.line(host_keys=written[form])
    async with line.client("look") as client:
        assert await client.isdir("/out")
    await line.close()


async def test_a_server_with_several_host_keys_is_asked_for_the_one_that_is_known(server: Running) -> None:
    await server.down()
    server.more_keys = [asyncssh.generate_private_key("ssh-rsa"), asyncssh.generate_private_key("ecdsa-sha2-nistp256")]
    await server.up()
    for key in (server.host_key, *server.more_keys):
        line = server.line(host_keys=(key.export_public_key().decode(),))
        async with line.client("look") as client:
            assert await client.isdir("/out")
        await line.close()


async def test_a_wrong_password_is_told_without_it_and_not_tried_again_soon(server: Running) -> None:
    (server.home / "password").write_text("wrong horse")
    with pytest.raises(Transient, match="does not let 'hutong' in") as raised:
        async with server.line().client("look"):
            pass
    assert "wrong horse" not in f"{raised.value} {raised.value.__cause__}"
    assert raised.value.wait >= 60


@pytest.mark.parametrize("phrase", ["", "open sesame"])
async def test_a_key_lets_us_in(server: Running, monkeypatch: pytest.MonkeyPatch, phrase: str) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    (server.home / "ours").write_bytes(key.export_private_key(passphrase=phrase or None))
    (server.home / "ours.pub").write_bytes(key.export_public_key())
    monkeypatch.setenv("OUR_PHRASE", phrase)
    line = server.line(password="", key="file:ours", passphrase="env:OUR_PHRASE" if phrase else "")
    async with line.client("look") as client:
        assert await client.isdir("/out")
    await line.close()


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"password": "env:NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
        ({"password": "file:nothing"}, "nothing"),
        ({"key": "file:password"}, "private key"),
        ({"host_keys": ("ssh-ed25519 AAAA",)}, "host key"),
    ],
)
async def test_what_is_missing_here_is_told_before_anything_is_sent(
    server: Running, settings: dict[str, object], cause: str
) -> None:
    place = RemoteFolder(server.line(**settings), "/out")
    await place.open()  # the other lines of the gateway work all the same
    with pytest.raises(Configuration, match=cause) as raised:
        await place.look()
    assert raised.value.remedy
    assert PASSWORD not in str(raised.value)


async def test_a_secret_that_comes_later_is_found(server: Running) -> None:
    receiver = Receiver(answer=taken)
    (server.home / "password").unlink()
    (server.root / "out" / "a.csv").write_bytes(b"1")
    async with polling(server, receiver) as listener:
        await until(lambda: listener.counters.away)
        (server.home / "password").write_text(PASSWORD)
        await until(lambda: listener.counters.taken)


async def test_without_the_library_the_remedy_is_a_command(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "asyncssh", None)
    with pytest.raises(Configuration, match=r"pip install 'hutong\[sftp\]'"):
        await RemoteFolder(server.line(), "/out").open()


# ---------------------------------------------------------------------------------------------- taking


async def test_a_file_is_taken_whole_and_moved(server: Running) -> None:
    receiver = Receiver(answer=taken)
    body = os.urandom(5_000_000)
    (server.root / "out" / "结果.csv").write_bytes(body)
    async with polling(server, receiver) as listener:
        await until(lambda: listener.counters.taken)
    (frame,) = receiver.frames
    assert frame.body == body
    assert frame.peer == f"结果.csv@{int((server.root / 'out/done/结果.csv').stat().st_mtime) * 10**9}"
    assert names(server.root / "out") == ["done"]


async def test_a_large_file_is_brought_piece_by_piece(server: Running, tmp_path: Path) -> None:
    body = os.urandom(9_000_000)
    (server.root / "out" / "a.csv").write_bytes(body)
    place = RemoteFolder(server.line(), "/out")
    look = (await place.look())["a.csv"]
    await place.bring("a.csv", look, tmp_path / "new" / "a")
    assert (tmp_path / "new" / "a").read_bytes() == body
    with pytest.raises(UnsettledError):
        await place.bring("a.csv", replace(look, size=7), tmp_path / "new" / "a")
    with pytest.raises(Transient, match="cannot be written here"):
        await place.bring("a.csv", look, Path("/dev/full"))
    await place.close()


async def test_a_file_that_grows_and_files_that_are_not_for_us(server: Running) -> None:
    out = server.root / "out"
    (out / "link.csv").symlink_to(server.home / "password")
    (out / "sub.csv").mkdir()
    for name in (".hidden.csv", "~$open.csv", "a.csv.part", "b.csv.filepart", "c.csv.TMP", "other.xml"):
        (out / name).write_bytes(b"x")
    before = names(out)
    receiver = Receiver(answer=taken)
    async with polling(server, receiver, pattern="*.csv") as listener:
        with (out / "slow.csv").open("wb") as file:
            for number in range(8):
                file.write(b"%d\n" % number)
                file.flush()
                await asyncio.sleep(SETTLE / 3)
        await until(lambda: listener.counters.taken)
        await asyncio.sleep(SETTLE * 2)
    assert receiver.bodies == [b"".join(b"%d\n" % number for number in range(8))]
    assert names(out) == sorted([*before, "done"])


async def test_a_refused_file_lies_beside_its_cause_and_a_large_one_is_never_read(server: Running) -> None:
    receiver = Receiver(answer=lambda frame: "第 3 行缺少姓名 / line 3 has no name".encode())
    (server.root / "out" / "bad.csv").write_bytes(b"x")
    (server.root / "out" / "large.csv").write_bytes(b"x" * 101)
    async with polling(server, receiver, limit=100) as listener:
        await until(lambda: listener.counters.refused == 2)
    error = server.root / "out" / "error"
    assert names(error) == ["bad.csv", "bad.csv.txt", "large.csv", "large.csv.txt"]
    assert "第 3 行缺少姓名" in (error / "bad.csv.txt").read_text("utf-8-sig")
    assert not any("large.csv" in path and not path.endswith(".txt") for path in server.opened)


async def test_the_same_name_again_is_another_file(server: Running) -> None:
    receiver = Receiver(answer=taken)
    async with polling(server, receiver) as listener:
        for number in range(3):
            path = server.root / "out" / "a.csv"
            path.write_bytes(b"same")
            os.utime(path, (number, number))
            await until(lambda number=number: listener.counters.taken == number + 1)  # type: ignore[misc]
    assert len(names(server.root / "out" / "done")) == 3
    assert len({control_id(frame) for frame in receiver.frames}) == 3


async def test_killed_between_journal_and_move_it_has_the_same_number(server: Running) -> None:
    receiver = Receiver(answer=taken)
    (server.root / "out" / "a.csv").write_bytes(b"1")
    server.read_only = True
    for start in range(2):
        async with polling(server, receiver) as listener:
            await until(lambda: listener.counters.failed)
        assert len(receiver.frames) == start + 1  # a failed move is repeated without reading again
    server.read_only = False
    async with polling(server, receiver) as listener:
        await until(lambda: listener.counters.taken)
    assert len({control_id(frame) for frame in receiver.frames}) == 1
    assert names(server.root / "out" / "done") == ["a.csv"]


async def test_where_we_may_only_read_each_file_is_taken_once_in_spite_of_new_starts(server: Running) -> None:
    server.read_only = True
    receiver = Receiver(answer=taken)
    path = server.root / "out" / "a.csv"
    path.write_bytes(b"1")
    for _ in range(2):
        async with polling(server, receiver, leave=True) as listener:
            await until(lambda: len(receiver.frames) == 1)
            await asyncio.sleep(SETTLE * 3)
            assert listener.counters.failed == 0
    assert len(receiver.frames) == 1
    path.write_bytes(b"22")
    (server.root / "out" / "b.csv").write_bytes(b"3")
    async with polling(server, receiver, leave=True):
        await until(lambda: len(receiver.frames) == 3)
    assert sorted(receiver.bodies) == [b"1", b"22", b"3"]
    assert names(server.root / "out") == ["a.csv", "b.csv"]


def test_what_is_remembered_survives_a_line_cut_short_and_forgets_what_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "seen" / "c.files"
    seen = Seen(path)
    odd = os.fsdecode("检验.csv".encode("gbk"))
    for number, name in enumerate(["a.csv", odd, "名 字\n.csv"]):
        seen.add(name, Look(number, number))
    with path.open("a") as file:
        file.write('\n["cut.csv", 1')
    again = Seen(path)
    again.load()
    again.add("d.csv", Look(9, 9))
    once_more = Seen(path)
    once_more.load()
    all_of_them = {"a.csv": Look(0, 0), odd: Look(1, 1), "名 字\n.csv": Look(2, 2), "d.csv": Look(9, 9)}
    assert once_more.new({**all_of_them, "cut.csv": Look(1, 1)}) == {"cut.csv": Look(1, 1)}
    assert once_more.new({"a.csv": Look(5, 5)}) == {"a.csv": Look(5, 5)}
    assert "d.csv" not in path.read_text()


async def test_names_that_are_no_utf_8(server: Running) -> None:
    receiver = Receiver(answer=taken)
    raw = "检验结果.csv".encode("gbk")
    Path(os.fsdecode(os.fsencode(server.root / "out") + b"/" + raw)).write_bytes(b"1")
    async with polling(server, receiver, pattern="检验*.csv") as listener:
        await until(lambda: listener.counters.taken)
    assert receiver.frames[0].peer.startswith("检验结果.csv@")
    assert names(server.root / "out" / "done") == [os.fsdecode(raw)]


async def test_a_server_that_goes_and_comes_back(server: Running) -> None:
    receiver = Receiver(answer=taken)
    async with polling(server, receiver) as listener:
        await until(lambda: not listener.counters.away and listener._failures == 0)
        await server.down()
        await until(lambda: listener.counters.away >= 2)
        (server.root / "out" / "a.csv").write_bytes(b"1")
        await server.up()
        await until(lambda: listener.counters.taken)
    assert receiver.bodies == [b"1"]


async def test_a_folder_that_is_not_there_is_named(server: Running) -> None:
    place = RemoteFolder(server.line(), "/nowhere")
    with pytest.raises(Transient, match="not there") as raised:
        await place.look()
    assert "channel c1" in raised.value.place
    assert raised.value.remedy
    await place.close()


async def test_too_many_names_are_refused(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.sftp_folder.NAMES_LIMIT", 5)
    for number in range(6):
        (server.root / "out" / f"{number}.csv").write_bytes(b"1")
    place = RemoteFolder(server.line(), "/out")
    with pytest.raises(Transient, match="more than 5 names"):
        await place.look()
    await place.close()


async def test_a_server_that_falls_silent_is_given_up(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and never says a word."""
    monkeypatch.setattr(sftp, "OPENING", 0.2)

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    silent = await asyncio.start_server(nothing, "127.0.0.1", 0)
    line = server.line(port=silent.sockets[0].getsockname()[1])
    with pytest.raises(Transient, match="no connection"):
        async with line.client("look"):
            pass
    await asyncio.sleep(0.05)
    silent.close()
    await silent.wait_closed()


# ---------------------------------------------------------------------------------------------- bringing


def sender(server: Running, folder: str = "/in") -> SftpSender:
    return SftpSender(Line(server.settings(), data=server.home, place="subscription s"), folder, format="hl7v2")


@pytest.mark.parametrize("old", [False, True])
async def test_a_delivery_is_one_whole_file_and_twice_the_same_file_once(server: Running, old: bool) -> None:
    server.old = old
    one = sender(server)
    for body in (b"MSH|1", b"MSH|1", os.urandom(9_000_000)):
        receipt = await one.send(body, delivery(idempotency="KEY"))
        assert receipt.code == "written"
        assert (server.root / "in" / "KEY.hl7").read_bytes() == body
    assert names(server.root / "in") == ["KEY.hl7"]
    await one.close()


async def test_a_server_that_is_away_or_refuses_asks_for_patience(server: Running) -> None:
    one = sender(server, "/nowhere")
    with pytest.raises(Transient, match="not there") as raised:
        await one.send(b"MSH|1", delivery())
    assert "subscription s" in raised.value.place
    await server.down()
    two = sender(server)
    with pytest.raises(Transient, match="no connection"):
        await two.send(b"MSH|1", delivery())
    await server.up()
    await two.send(b"MSH|1", delivery())
    assert len(names(server.root / "in")) == 1
    await two.close()
    await one.close()
