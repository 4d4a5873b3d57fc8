"""Writing down: one fsync for many, once for the same message, never a promise that does not hold."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.db.engine import Engine, Transaction
from gateway.db.sqlite import SqliteEngine
from gateway.errors import HutongError, Permanent, Transient
from gateway.journal.intake import ACCEPTED_BEFORE, REFUSED_BEFORE, Intake, Written
from tests.engines import SQLITE_ONLY
from tests.journal.databases import Databases, frame, verdict


def rows(engine: Engine, sql: str = "SELECT id, accepted, flags, body FROM entry ORDER BY id") -> list[tuple]:  # type: ignore[type-arg]
    with engine.reading() as reader:
        return reader.execute(sql)


async def test_what_is_written_can_be_read_and_has_growing_ids(databases: Databases) -> None:
    written = [await databases.intake.write(frame(f"MSH|{n}"), verdict(f"M{n}")) for n in range(3)]
    assert written == [Written(1), Written(2), Written(3)]
    assert [row[3] for row in rows(databases.journal)] == [b"MSH|0", b"MSH|1", b"MSH|2"]


async def test_many_share_one_commit(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = 0
    kind = type(databases.journal)
    begin = kind.transaction

    @contextmanager
    def counted(engine: Any) -> Iterator[Transaction]:
        nonlocal commits
        commits += 1
        with begin(engine) as transaction:
            yield transaction

    monkeypatch.setattr(kind, "transaction", counted)
    await asyncio.gather(*(databases.intake.write(frame(f"MSH|{n}"), verdict(f"M{n}")) for n in range(500)))
    assert len(rows(databases.journal)) == 500
    assert commits < 50


async def test_order_of_asking_is_order_of_ids(databases: Databases) -> None:
    written = await asyncio.gather(*(databases.intake.write(frame(f"MSH|{n}"), verdict(f"M{n}")) for n in range(300)))
    assert [one.entry_id for one in written] == sorted(one.entry_id for one in written)


async def test_the_same_message_is_stored_once(databases: Databases) -> None:
    asked = [databases.intake.write(frame(), verdict()) for _ in range(20)]
    written = await asyncio.gather(*asked)
    assert {one.entry_id for one in written} == {1}
    assert sorted(one.duplicate for one in written) == [False] + [True] * 19
    assert len(rows(databases.journal)) == 1


async def test_the_same_across_restarts_and_processes(tmp_path: Path) -> None:
    for expected in (Written(1), Written(1, duplicate=True)):
        both = Databases(tmp_path)
        assert both.intake.write_now(frame(), verdict()) == expected
        both.close()
    one, two = Databases(tmp_path), Databases(tmp_path)
    assert two.intake.write_now(frame(), verdict()).duplicate
    assert not one.intake.write_now(frame("MSH|2"), verdict("M2")).duplicate
    assert two.intake.write_now(frame("MSH|2"), verdict("M2")).duplicate
    one.close()
    two.close()


async def test_same_number_other_bytes_is_stored_and_flagged(databases: Databases) -> None:
    write = databases.intake.write
    assert await write(frame("MSH|a"), verdict()) == Written(1)
    assert await write(frame("MSH|b"), verdict()) == Written(2, reused=True)
    assert await write(frame("MSH|b"), verdict()) == Written(2, duplicate=True)
    assert await write(frame("MSH|a"), verdict()) == Written(1, duplicate=True)
    assert [row[2] for row in rows(databases.journal)] == ["", "reused"]


async def test_other_senders_may_use_the_same_number(databases: Databases) -> None:
    write = databases.intake.write
    assert await write(frame(), verdict()) == Written(1)
    assert await write(frame(), verdict(member="m2")) == Written(2)
    assert await write(frame(channel="c2"), verdict()) == Written(3)


async def test_without_a_number_everything_is_stored(databases: Databases) -> None:
    written = [await databases.intake.write(frame(), verdict("")) for _ in range(3)]
    assert written == [Written(1), Written(2), Written(3)]


async def test_refused_ones_are_kept_once_and_do_not_stand_in_the_way(databases: Databases) -> None:
    write = databases.intake.write
    assert await write(frame(), verdict(accepted=False)) == Written(1)
    assert await write(frame(), verdict(accepted=False)) == Written(1, duplicate=True)
    assert await write(frame(), verdict()) == Written(2)  # the settings were mended
    assert await write(frame("MSH|other"), verdict(accepted=False)) == Written(3, reused=True)
    assert rows(databases.journal, "SELECT cause, place FROM entry WHERE id = 1") == [("no patient", "PID")]
    assert rows(databases.journal, "SELECT channel, accepted, total FROM entry_count ORDER BY 2") == [
        ("c1", 0, 2),
        ("c1", 1, 1),
    ]


async def test_a_frame_that_cannot_be_stored_fails_alone(databases: Databases) -> None:
    bad = replace(verdict("BAD"), kind="\ud800")  # no UTF-8 for it
    asked = [databases.intake.write(frame(f"MSH|{n}"), bad if n == 5 else verdict(f"M{n}")) for n in range(10)]
    written = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(written[5], HutongError)
    assert "\ud800" not in str(written[5])
    assert all(isinstance(one, Written) for number, one in enumerate(written) if number != 5)
    assert len(rows(databases.journal)) == 9


async def test_a_failing_disk_fails_all_and_work_goes_on_after_it(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    kind = type(databases.journal)
    begin = kind.transaction

    @contextmanager
    def failing(engine: Any) -> Iterator[Transaction]:
        with begin(engine) as transaction:
            yield transaction
            if full:
                raise Transient("the disk is full")

    monkeypatch.setattr(kind, "transaction", failing)
    asked = (databases.intake.write(frame(f"MSH|{n}"), verdict(f"M{n}")) for n in range(20))
    assert {type(one) for one in await asyncio.gather(*asked, return_exceptions=True)} == {Transient}
    assert rows(databases.journal) == []
    full = False
    assert not (await databases.intake.write(frame(), verdict())).duplicate
    assert len(rows(databases.journal)) == 1


async def test_a_full_queue_turns_away(tmp_path: Path, databases: Databases) -> None:
    slow = Intake(databases.journal, waiting=3, waiting_bytes=1000)  # never started: nothing leaves the queue
    asked = [asyncio.ensure_future(slow.write(frame(), verdict())) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Transient, match="too many"):
        await slow.write(frame(), verdict())
    for one in asked:
        one.cancel()
    heavy = Intake(databases.journal, waiting=100, waiting_bytes=10)
    first = asyncio.ensure_future(heavy.write(frame(b"x" * 50), verdict()))  # one is always allowed, else none ever
    await asyncio.sleep(0)
    with pytest.raises(Transient, match="too many"):
        await heavy.write(frame(), verdict())
    first.cancel()


async def test_who_gave_up_waiting_disturbs_nobody(databases: Databases) -> None:
    asked = [asyncio.create_task(databases.intake.write(frame(f"{n}"), verdict(f"M{n}"))) for n in range(50)]
    await asyncio.sleep(0)
    for one in asked[::2]:
        one.cancel()
    written = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, Written) for one in written[1::2])


async def test_close_writes_what_has_queued(tmp_path: Path) -> None:
    both = Databases(tmp_path)
    asked = [asyncio.ensure_future(both.intake.write(frame(f"{n}"), verdict(f"M{n}"))) for n in range(100)]
    await asyncio.sleep(0)
    await asyncio.to_thread(both.intake.close)
    assert all(isinstance(one, Written) for one in await asyncio.gather(*asked))
    with pytest.raises(Transient, match="closed"):
        await both.intake.write(frame(), verdict())
    both.close()


def test_threads_may_write_too(databases: Databases) -> None:
    found: list[Written] = []
    write = databases.intake.write_now
    threads = [
        threading.Thread(target=lambda n=n: found.append(write(frame(f"{n}"), verdict(f"M{n}")))) for n in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.entry_id for one in found) == list(range(1, 11))
    with pytest.raises(Permanent):
        raise Permanent("the thread lives on")
    assert write(frame(), verdict()).entry_id == 11


@pytest.mark.parametrize("sql", [ACCEPTED_BEFORE, REFUSED_BEFORE])
@SQLITE_ONLY
def test_looking_for_a_duplicate_reads_the_index_only(databases: Databases, sql: str) -> None:
    with databases.journal.reading() as reader:
        plan = [row[3] for row in reader.execute("EXPLAIN QUERY PLAN " + sql, ("M", "c", "m", b"", "M", "c", "m"))]
    searches = [step for step in plan if step.startswith(("SEARCH", "SCAN entry"))]
    assert len(searches) == 2
    assert all("COVERING INDEX entry_control (control_id=? AND channel=? AND member=?" in step for step in searches)


KILLED = """
import asyncio, pathlib, sys
from gateway.db.sqlite import SqliteEngine
from gateway.journal.intake import Intake
from tests.journal.databases import frame, verdict

async def line(intake, name):
    for number in range(100_000):
        written = await intake.write(frame(f"MSH|{name}|{number}"), verdict(f"{name}-{number}"))
        print(name, number, written.entry_id, flush=True)

async def main():
    intake = Intake(SqliteEngine(pathlib.Path(sys.argv[1]), schema="journal"))
    intake.start()
    await asyncio.gather(*(line(intake, name) for name in "abcd"))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 37, 400])
def test_kill_9_loses_nothing_that_was_promised(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "journal.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    promised = [writer.stdout.readline().split() for _ in range(lines)]
    writer.kill()
    promised += [line.split() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    engine = SqliteEngine(path, schema="journal")
    found = {row[0]: row[3] for row in rows(engine)}
    assert rows(engine, "PRAGMA integrity_check") == [("ok",)]
    engine.close()
    assert len(promised) >= lines
    for name, number, entry in promised:
        assert found[int(entry)] == f"MSH|{name}|{number}".encode()
    assert len(set(found.values())) == len(found)


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a small file system")
@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount")
    try:
        journal = SqliteEngine(tmp_path / "journal.sqlite", schema="journal")
        intake = Intake(journal)
        intake.start()
        promised: list[int] = []
        refusals = 0
        for number in range(200):
            body = b"%06d" % number + os.urandom(40_000)
            try:
                promised.append(intake.write_now(frame(body), verdict(f"M{number}")).entry_id)
            except Transient:
                refusals += 1
        assert promised
        assert refusals
        assert [row[0] for row in rows(journal, "SELECT id FROM entry ORDER BY id")] == promised
        subprocess.run(["mount", "-o", "remount,size=30m", str(tmp_path)], check=True)
        promised.append(intake.write_now(frame("MSH|again"), verdict("M-again")).entry_id)
        assert [row[0] for row in rows(journal, "SELECT id FROM entry ORDER BY id")] == promised
        assert rows(journal, "PRAGMA integrity_check") == [("ok",)]
        intake.close()
        journal.close()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
