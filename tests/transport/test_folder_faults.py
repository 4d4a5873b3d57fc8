"""The watched folder when things go wrong around it: writers that pause, folders that go, names of every kind, and
kill -9 at every step of a pick-up.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from gateway.db.sqlite import SqliteEngine
from gateway.errors import Transient
from gateway.model import Frame
from gateway.transport import files
from gateway.transport.files import Folder
from gateway.transport.pickup import LONGEST_WAIT, Look, Pickup, control_id
from tests.transport.lines import Receiver, until

SETTLE = 0.08


def taken(_frame: Frame) -> bytes:
    return b""


@asynccontextmanager
async def watching(path: Path, receiver: Receiver, *, pattern: str = "*", poll: float = 0.05) -> AsyncIterator[Pickup]:
    listener = Pickup(place=Folder(path, channel="c1", pattern=pattern), channel="c1", settle=SETTLE, poll=poll)
    await listener.listen(receiver)
    try:
        yield listener
    finally:
        async with asyncio.timeout(60):
            await listener.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------------------- half-written files


async def test_a_file_that_somebody_still_writes_is_left_alone_however_long_he_pauses(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    with probe.open("wb") as file:
        file.write(b"1")
        file.flush()
        with probe.open("rb") as reading:
            if not files._is_written(reading.fileno()):
                pytest.skip("this file system gives leases on files that are being written")
    probe.unlink()
    receiver = Receiver(answer=taken)
    async with watching(tmp_path, receiver) as listener:
        with (tmp_path / "slow.csv").open("wb") as file:
            file.write(b"half")
            file.flush()
            await asyncio.sleep(SETTLE * 6)
            assert receiver.frames == []
            file.write(b" and half")
        await until(lambda: listener.counters.taken)
    assert receiver.bodies == [b"half and half"]
    assert listener.counters.failed == 0


async def test_a_writer_that_comes_while_we_look_is_not_disturbed(tmp_path: Path) -> None:
    """A lease that is broken sends a signal; it must do nothing."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"1")
    stop = False

    def write() -> None:
        while not stop:
            with path.open("ab"):
                pass

    writing = asyncio.create_task(asyncio.to_thread(write))
    for _ in range(300):
        with path.open("rb") as file:
            files._is_written(file.fileno())
        await asyncio.sleep(0)
    stop = True
    await writing


# ---------------------------------------------------------------------------------------------- names


async def test_the_same_content_under_two_names_and_a_name_with_new_content(tmp_path: Path) -> None:
    receiver = Receiver(answer=taken)
    async with watching(tmp_path, receiver) as listener:
        (tmp_path / "a.csv").write_bytes(b"same")
        (tmp_path / "b.csv").write_bytes(b"same")
        await until(lambda: listener.counters.taken == 2)
        (tmp_path / "a.csv").write_bytes(b"other")
        await until(lambda: listener.counters.taken == 3)
    assert len({control_id(frame) for frame in receiver.frames}) == 3
    assert names(tmp_path / "done") == ["a-2.csv", "a.csv", "b.csv"]
    assert (tmp_path / "done" / "a-2.csv").read_bytes() == b"other"


async def test_nothing_in_done_or_error_is_ever_written_over(tmp_path: Path) -> None:
    receiver = Receiver(answer=lambda frame: b"" if frame.body.startswith(b"good") else b"bad")
    async with watching(tmp_path, receiver) as listener:
        for number in range(4):
            for word in (b"good", b"bad"):
                (tmp_path / "a.csv").write_bytes(word + b"%d" % number)
                wanted = listener.counters.taken + listener.counters.refused + 1
                await until(lambda wanted=wanted: listener.counters.taken + listener.counters.refused == wanted)  # type: ignore[misc]
    kept = sorted(path.read_bytes() for path in (tmp_path / "done").iterdir())
    assert kept == [b"good%d" % number for number in range(4)]
    refused = [path for path in (tmp_path / "error").iterdir() if path.suffix == ".csv"]
    assert sorted(path.read_bytes() for path in refused) == [b"bad%d" % number for number in range(4)]
    assert all(path.with_name(path.name + ".txt").exists() for path in refused)


def test_a_free_name_among_very_many_takes_few_looks(tmp_path: Path) -> None:
    looks = 0

    def taken_up_to_9999(path: Path) -> bool:
        nonlocal looks
        looks += 1
        number = path.stem.rpartition("-")[2]
        return (int(number) if number.isdigit() else 1) <= 9999

    assert files._free(tmp_path, "a.csv", taken_up_to_9999).name == "a-10000.csv"
    assert looks < 40


async def test_a_move_that_a_crash_cut_short_ends_under_the_same_name(tmp_path: Path) -> None:
    place = Folder(tmp_path, channel="c1")
    await place.open()
    (tmp_path / "a.csv").write_bytes(b"1")
    (tmp_path / "error" / "a.csv.txt").write_bytes(files.explanation("bad"))
    (tmp_path / "error" / "b.csv.txt").write_bytes(b"of somebody else")
    await place.put_away("a.csv", (await place.look())["a.csv"], "bad")
    (tmp_path / "b.csv").write_bytes(b"1")
    await place.put_away("b.csv", (await place.look())["b.csv"], "bad")
    assert names(tmp_path / "error") == ["a.csv", "a.csv.txt", "b-2.csv", "b-2.csv.txt", "b.csv.txt"]


@pytest.mark.parametrize(
    "name", ["检验结果.csv", "a b  c.csv", "-rf.csv", "'; drop.csv", "x" * 240 + ".csv", "结果\n2.csv"]
)
async def test_names_of_every_kind(tmp_path: Path, name: str) -> None:
    receiver = Receiver(answer=taken)
    (tmp_path / name).write_bytes(b"1")
    async with watching(tmp_path, receiver, pattern="*.csv") as listener:
        await until(lambda: listener.counters.taken)
    assert names(tmp_path / "done") == [name]


async def test_names_in_gbk_bytes_are_shown_as_what_they_say(tmp_path: Path) -> None:
    receiver = Receiver(answer=lambda frame: b"" if frame.body == b"1" else b"bad")
    good, bad = (os.fsdecode(text.encode("gbk")) for text in ("检验结果.csv", "检验坏.csv"))
    async with watching(tmp_path, receiver, pattern="检验*.CSV") as listener:
        (tmp_path / good).write_bytes(b"1")
        (tmp_path / bad).write_bytes(b"2")
        await until(lambda: listener.counters.taken and listener.counters.refused, 10)
    assert sorted(frame.peer.partition("@")[0] for frame in receiver.frames) == ["检验坏.csv", "检验结果.csv"]
    assert all(control_id(frame) for frame in receiver.frames)
    assert names(tmp_path / "done") == [good]
    assert names(tmp_path / "error") == [bad, f"{bad}.txt"]


# ---------------------------------------------------------------------------------------------- the folder


async def test_done_and_error_that_somebody_took_away_are_made_again(tmp_path: Path) -> None:
    receiver = Receiver(answer=taken)
    async with watching(tmp_path, receiver) as listener:
        (tmp_path / "done").rmdir()
        (tmp_path / "a.csv").write_bytes(b"1")
        await until(lambda: listener.counters.taken)
    assert names(tmp_path / "done") == ["a.csv"]


async def test_a_folder_that_goes_is_told_seldom_and_taken_up_when_it_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    receiver = Receiver(answer=taken)
    with structlog.testing.capture_logs() as lines:
        async with watching(folder, receiver, poll=0.02) as listener:
            folder.rename(tmp_path / "away")
            await until(lambda: listener.counters.away >= 4)
            assert not folder.exists()  # a share that is not mounted must not be written into
            folder.mkdir()
            (folder / "a.csv").write_bytes(b"1")
            await until(lambda: listener.counters.taken)
    told = [line for line in lines if line["event"] == "files cannot be looked at"]
    assert 0 < len(told) <= 4
    assert "mounted" in told[0]["trouble"]
    assert str(folder) in told[0]["place"]
    assert names(folder / "done") == ["a.csv"]


async def test_links_are_never_followed_and_somebody_is_told(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "drop"
    outside.mkdir()
    (outside / "secret.csv").write_bytes(b"secret")
    folder.mkdir()
    (folder / "link.csv").symlink_to(outside / "secret.csv")
    receiver = Receiver(answer=taken)
    with structlog.testing.capture_logs() as lines:
        async with watching(folder, receiver) as listener:
            (folder / "done").rmdir()
            (folder / "done").symlink_to(outside)
            (folder / "a.csv").write_bytes(b"1")
            await until(lambda: listener.counters.failed)
            assert names(outside) == ["secret.csv"]
            (folder / "done").unlink()
            await until(lambda: listener.counters.taken)
    assert receiver.bodies == [b"1"]
    assert [line["count"] for line in lines if line["event"].startswith("links or folders")] == [1]
    assert "link.csv" not in str(lines)


async def test_a_file_that_became_a_link_after_it_was_looked_at(tmp_path: Path) -> None:
    place = Folder(tmp_path, channel="c1")
    await place.open()
    (tmp_path / "a.csv").write_bytes(b"1")
    look = (await place.look())["a.csv"]
    (tmp_path / "a.csv").unlink()
    (tmp_path / "a.csv").symlink_to("/etc/passwd")
    with pytest.raises(Transient) as raised:
        await place.read("a.csv", look)
    assert "a.csv" not in str(raised.value)


async def test_an_unreadable_file_is_told_by_cause_and_remedy_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver(answer=taken)
    (tmp_path / "张三.csv").write_bytes(b"1")
    (tmp_path / "b.csv").write_bytes(b"2")
    real = os.open

    def denied(path: object, *rest: object, **more: object) -> int:
        if str(path).endswith("张三.csv"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("gateway.transport.files.os.open", denied)
    with structlog.testing.capture_logs() as lines:
        async with watching(tmp_path, receiver) as listener:
            await until(lambda: listener.counters.taken and listener.counters.failed)
            monkeypatch.undo()
            await until(lambda: listener.counters.taken == 2)
    (told, *_) = (line for line in lines if line["event"] == "file not taken")
    assert "Permission denied" in told["trouble"]
    assert "give us the right" in told["trouble"]
    assert "张三" not in str(lines)


def test_the_longest_wait_is_short_enough_for_a_night_shift() -> None:
    assert LONGEST_WAIT <= 60


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_ten_thousand_files_in_the_order_of_their_times(tmp_path: Path) -> None:
    count = 10_000
    for number in range(count):
        path = tmp_path / f"{number * 7919 % count:05d}.csv"
        path.write_bytes(b"%d" % number)
        os.utime(path, ns=(number * 10**9, number * 10**9))
    receiver = Receiver(answer=taken)
    async with watching(tmp_path, receiver, poll=2) as listener:
        await until(lambda: listener.counters.taken == count, 300)
    assert receiver.bodies == [b"%d" % number for number in range(count)]
    assert len(names(tmp_path / "done")) == count


# ---------------------------------------------------------------------------------------------- kill -9

STEPS = [
    "before the file is read", "after the file is read", "before the journal", "after the journal",
    "before the move", "before the explanation", "after the explanation", "after the move", "nowhere",
]  # fmt: skip
PROGRAM = r"""
import asyncio, os, signal, sys
from pathlib import Path
from gateway.db.sqlite import SqliteEngine
from gateway.journal.intake import Intake, Verdict
from gateway.transport import files
from gateway.transport.files import Folder
from gateway.transport.pickup import Pickup, control_id

home, step = Path(sys.argv[1]), sys.argv[2]
seen = 0

def at(name):
    global seen
    if name == step:
        seen += 1
        if seen == 2:  # the second file of this life
            os.kill(os.getpid(), signal.SIGKILL)

def around(owner, method, before, after):
    real = getattr(owner, method)
    def replaced(*arguments, **more):
        at(before)
        made = real(*arguments, **more)
        at(after)
        return made
    setattr(owner, method, replaced)

around(files, "_read", "before the file is read", "after the file is read")
around(Folder, "_move", "before the move", "after the move")
around(Path, "write_bytes", "before the explanation", "after the explanation")
engine = SqliteEngine(home / "journal.sqlite", schema="journal")
intake = Intake(engine)
intake.start()

async def receive(frame):
    at("before the journal")
    good = frame.body.startswith(b"good")
    await intake.write(frame, Verdict(member="m", control_id=control_id(frame), accepted=good))
    at("after the journal")
    return b"" if good else b"bad"

async def main():
    pickup = Pickup(place=Folder(home / "drop", channel="c"), channel="c", settle=0.02, poll=0.02)
    await pickup.listen(receive)
    while len(os.listdir(home / "drop")) > 2:
        await asyncio.sleep(0.01)
    await pickup.close()
    intake.close()
    engine.close()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_every_step_each_file_is_written_down_and_moved_once(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    dropped: list[bytes] = []
    for life, step in enumerate(STEPS):
        for number in range(6):
            body = (b"bad %d" if number % 2 else b"good %d") % (life * 10 + number)
            (drop / f"{'same' if number < 2 else life}-{number}.csv").write_bytes(body)
            dropped.append(body)
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), step]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode == (0 if step == "nowhere" else -signal.SIGKILL), (step, done.stderr.decode())
    engine = SqliteEngine(tmp_path / "journal.sqlite", schema="journal")
    with engine.reading() as reader:
        written = [bytes(body) for (body,) in reader.execute("SELECT body FROM entry ORDER BY id")]
    engine.close()
    moved = [path.read_bytes() for folder in ("done", "error") for path in (drop / folder).glob("*.csv")]
    # A name that is reused while the one before still lies there replaces it, as any file system does.
    assert sorted(written) == sorted(set(written))
    assert sorted(moved) == sorted(set(moved))
    assert sorted(moved) == sorted(written)
    assert set(dropped) - set(written) <= {body for body in dropped if int(body.split()[1]) % 10 < 2}
    assert names(drop) == ["done", "error"]
    error = names(drop / "error")
    assert [name for name in error if name.endswith(".csv")] == [name[:-4] for name in error if name.endswith(".txt")]
    assert all(path.read_bytes().startswith(b"good") for path in (drop / "done").iterdir())


def test_a_look_tells_a_replaced_file_from_the_one_before() -> None:
    assert Look(1, 2, 3) != Look(1, 2, 4)
