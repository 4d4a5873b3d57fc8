"""The watched folder and the folder sender, with real files."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.errors import Configuration, Transient
from gateway.model import Frame
from gateway.transport.files import Folder
from gateway.transport.folder_sender import FolderSender, file_name, named
from gateway.transport.pickup import SIZE_LIMIT, Pickup, control_id
from tests.transport.lines import Receiver, delivery, until

SETTLE = 0.08


def taken(_frame: Frame) -> bytes:
    return b""


@asynccontextmanager
async def watching(
    folder: Path, receiver: Receiver, *, pattern: str = "*", limit: int = SIZE_LIMIT
) -> AsyncIterator[Pickup]:
    place = Folder(folder, channel="c1", pattern=pattern)
    listener = Pickup(place=place, channel="c1", settle=SETTLE, poll=0.05, limit=limit)
    await listener.listen(receiver)
    try:
        yield listener
    finally:
        async with asyncio.timeout(60):
            await listener.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_is_handed_on_whole_and_moved(tmp_path: Path) -> None:
    receiver = Receiver(answer=taken)
    body = "姓名,结果\n王,阳性".encode("gb18030")  # no final newline
    (tmp_path / "结果.csv").write_bytes(body)
    async with watching(tmp_path, receiver) as listener:
        await until(lambda: listener.counters.taken)
    frame = receiver.frames[0]
    assert (frame.body, frame.channel) == (body, "c1")
    assert frame.peer == f"结果.csv@{(tmp_path / 'done' / '结果.csv').stat().st_mtime_ns}"
    assert names(tmp_path) == ["done", "error"]
    assert (tmp_path / "done" / "结果.csv").read_bytes() == body


async def test_a_file_that_grows_is_read_only_when_it_has_come_to_rest(tmp_path: Path) -> None:
    receiver = Receiver(answer=taken)
    async with watching(tmp_path, receiver) as listener:
        with (tmp_path / "slow.csv").open("wb") as file:
            for number in range(10):
                file.write(b"%d\n" % number)
                file.flush()
                await asyncio.sleep(SETTLE / 3)
        await until(lambda: listener.counters.taken)
    assert receiver.bodies == [b"".join(b"%d\n" % number for number in range(10))]


async def test_a_file_that_is_renamed_into_place(tmp_path: Path) -> None:
    receiver = Receiver(answer=taken)
    async with watching(tmp_path, receiver) as listener:
        (tmp_path / "a.csv.tmp").write_bytes(b"1")
        await asyncio.sleep(SETTLE * 2)
        assert receiver.frames == []
        (tmp_path / "a.csv.tmp").rename(tmp_path / "a.csv")
        await until(lambda: listener.counters.taken)
    assert receiver.bodies == [b"1"]


async def test_what_is_not_for_us_stays(tmp_path: Path) -> None:
    secret = tmp_path.parent / f"{tmp_path.name}-secret.csv"
    secret.write_bytes(b"secret")
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "link.csv").symlink_to(secret)
    (folder / "dangling.csv").symlink_to(tmp_path / "nothing")
    (folder / "sub.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    for name in (".hidden.csv", "~$open.csv", "a.csv.part", "b.csv.FILEPART", "c.csv.tmp", "other.xml"):
        (folder / name).write_bytes(b"x")
    before = names(folder)
    receiver = Receiver(answer=taken)
    async with watching(folder, receiver, pattern="*.CSV") as listener:
        (folder / "good.csv").write_bytes(b"1")
        await until(lambda: listener.counters.taken)
        await asyncio.sleep(SETTLE * 2)
    assert receiver.bodies == [b"1"]
    assert names(folder) == sorted([*before, "done", "error"])


async def test_refused_files_lie_beside_their_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.pickup.EMPTY_PATIENCE", 3)
    receiver = Receiver(answer=lambda frame: "第 3 行缺少姓名 / line 3 has no name".encode())
    (tmp_path / "bad.csv").write_bytes(b"x")
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "large.csv").write_bytes(b"x" * 101)
    async with watching(tmp_path, receiver, limit=100) as listener:
        await until(lambda: listener.counters.refused == 3)
    assert receiver.bodies == [b"x"]
    error = tmp_path / "error"
    assert names(error) == ["bad.csv", "bad.csv.txt", "empty.csv", "empty.csv.txt", "large.csv", "large.csv.txt"]
    said = (error / "bad.csv.txt").read_text("utf-8-sig")
    assert "第 3 行缺少姓名" in said
    assert "文件未被接收" in said
    assert "was not taken" in said
    assert "100" in (error / "large.csv.txt").read_text("utf-8-sig")


async def test_the_same_name_twice_is_two_files(tmp_path: Path) -> None:
    receiver = Receiver(answer=taken)
    async with watching(tmp_path, receiver) as listener:
        for number in range(3):
            (tmp_path / "a.csv").write_bytes(b"same")
            await until(lambda number=number: listener.counters.taken == number + 1)  # type: ignore[misc]
    assert names(tmp_path / "done") == ["a-2.csv", "a-3.csv", "a.csv"]
    assert len({control_id(frame) for frame in receiver.frames}) == 3


async def test_found_again_after_a_crash_it_has_the_same_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between journalling and moving: the file still lies there, and the journal must know it."""
    stuck = Receiver(answer=taken)
    (tmp_path / "a.csv").write_bytes(b"1")
    numbers: list[str] = []

    def killed(*_: object) -> None:
        raise OSError("killed")

    monkeypatch.setattr(Folder, "_move", killed)
    for _ in range(2):
        async with watching(tmp_path, stuck):
            await until(lambda: len(stuck.frames) > len(numbers))
            await asyncio.sleep(SETTLE * 3)
        numbers.append(control_id(stuck.frames[-1]))
    assert len(stuck.frames) == 2  # once a start: a failed move is repeated without reading again
    assert numbers[0] == numbers[1]
    monkeypatch.undo()
    async with watching(tmp_path, stuck) as listener:
        await until(lambda: listener.counters.taken)
    assert control_id(stuck.frames[-1]) == numbers[0]


async def test_when_receive_raises_the_file_stays_and_is_tried_again(tmp_path: Path) -> None:
    problems: list[Exception] = [Transient("disk full"), ValueError("王五")]

    def answer(frame: Frame) -> bytes:
        if problems:
            raise problems.pop()
        return b""

    receiver = Receiver(answer=answer)
    (tmp_path / "a.csv").write_bytes(b"1")
    async with watching(tmp_path, receiver) as listener:
        await until(lambda: listener.counters.taken)
        assert listener.counters.failed == 2
    assert len(receiver.frames) == 3
    assert len({control_id(frame) for frame in receiver.frames}) == 1


async def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    def answer(frame: Frame) -> bytes:
        if frame.peer.startswith("bad"):
            raise Transient("never")
        return b""

    receiver = Receiver(answer=answer)
    for name in ("bad.csv", "good1.csv", "good2.csv"):
        (tmp_path / name).write_bytes(name.encode())
    async with watching(tmp_path, receiver) as listener:
        await until(lambda: listener.counters.taken == 2)
    assert (tmp_path / "bad.csv").exists()


async def test_polling_alone_serves_where_no_events_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_events(*_: object, **__: object) -> object:
        raise OSError("inotify limit")

    monkeypatch.setattr("gateway.transport.files.watchfiles.awatch", no_events)
    receiver = Receiver(answer=taken)
    async with watching(tmp_path, receiver) as listener:
        (tmp_path / "a.csv").write_bytes(b"1")
        await until(lambda: listener.counters.taken)


async def test_a_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    receiver = Receiver(answer=taken)
    async with watching(folder, receiver) as listener:
        folder.rename(tmp_path / "away")
        await asyncio.sleep(0.1)
        (tmp_path / "away").rename(folder)
        (folder / "a.csv").write_bytes(b"1")
        await until(lambda: listener.counters.taken)


async def test_done_must_be_a_real_folder(tmp_path: Path) -> None:
    (tmp_path / "done").symlink_to(tmp_path.parent)
    with pytest.raises(Configuration, match="c1"):
        await Folder(tmp_path, channel="c1").open()


# ---------------------------------------------------------------------------------------------- sending


async def test_a_delivery_is_one_whole_file(tmp_path: Path) -> None:
    sender = FolderSender(tmp_path / "out", format="hl7v2")
    taken = await sender.send(b"MSH|1", delivery(idempotency="00000000000A1234ABCD"))
    assert taken.code == "written"
    written = tmp_path / "out" / "00000000000A1234ABCD.hl7"
    assert written.read_bytes() == b"MSH|1"
    assert stat.S_IMODE(written.stat().st_mode) & 0o007 == 0
    assert names(tmp_path / "out") == [written.name]


async def test_the_same_delivery_twice_is_the_same_file_once(tmp_path: Path) -> None:
    sender = FolderSender(tmp_path, format="fhir")
    for body in (b"{}", b"{}", b"{1}"):
        await sender.send(body, delivery(idempotency="K"))
    assert names(tmp_path) == ["K.json"]
    assert (tmp_path / "K.json").read_bytes() == b"{1}"


async def test_a_folder_that_cannot_be_written_is_transient(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(Transient):
        await FolderSender(tmp_path / "out").send(b"{}", delivery())


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b", "", ".hidden", "x" * 300, "名字", "a\x00b", "CON:1"])
def test_names_never_leave_the_folder(key: str) -> None:
    name = file_name(key)
    assert name == Path(name).name
    assert not name.startswith(".")
    assert len(name) < 150
    assert name.isascii()
    assert file_name("ok-1") == "ok-1"


def test_the_receiver_says_what_its_files_are_called() -> None:
    key = file_name(delivery().idempotency)
    patterns = {"": f"{key}.xlsx", "LIS_{key}": f"LIS_{key}.xlsx", "检验_{key}.TXT": f"检验_{key}.TXT"}
    assert {each: named(delivery(), "workbook", each) for each in patterns} == patterns


def test_different_keys_have_different_names() -> None:
    assert len({file_name(key) for key in ("a/b", "a_b", "a:b", "ab")}) == 4
