"""The engine promises: durable or nothing, one writer, snapshots, foreign errors translated. Real files throughout."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.db import sqlite as sqlite_engine
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Permanent, Transient


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.sqlite"


@pytest.fixture
def engine(path: Path):
    engine = SqliteEngine(path, schema="none", busy_seconds=0.2)
    with engine.transaction() as transaction:
        transaction.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    yield engine
    engine.close()


def count(engine: SqliteEngine) -> int:
    with engine.reading() as reader:
        return reader.execute("SELECT count(*) FROM t")[0][0]


def child(path: Path, code: str) -> subprocess.Popen[str]:
    """A second process with the file open as `engine`."""
    head = f"from gateway.db.sqlite import SqliteEngine\nengine = SqliteEngine({str(path)!r}, schema='none')\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def test_it_is_durable_wal_with_full_synchronous(engine: SqliteEngine) -> None:
    with engine.transaction() as transaction:
        assert transaction.execute("PRAGMA synchronous") == [(2,)]
        assert transaction.execute("PRAGMA journal_mode") == [("wal",)]
        assert transaction.execute("PRAGMA foreign_keys") == [(1,)]


def test_a_reader_sees_one_instant(engine: SqliteEngine) -> None:
    with engine.reading() as reader:
        assert reader.execute("SELECT count(*) FROM t") == [(0,)]
        with engine.transaction() as transaction:
            transaction.execute("INSERT INTO t (b) VALUES ('x')")
        assert reader.execute("SELECT count(*) FROM t") == [(0,)]
        with engine.reading() as later:
            assert later.execute("SELECT count(*) FROM t") == [(1,)]
    with engine.reading() as reader, pytest.raises(Transient, match="read-only"):
        reader.execute("INSERT INTO t (b) VALUES ('y')")


def test_threads_write_one_after_the_other(engine: SqliteEngine) -> None:
    def add() -> None:
        for _ in range(25):
            with engine.transaction() as transaction:
                (last,) = transaction.execute("SELECT coalesce(max(a), 0) FROM t")[0]
                transaction.execute("INSERT INTO t (a) VALUES (?)", (last + 1,))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(engine) == 100


def test_a_second_process_writes_too(engine: SqliteEngine, path: Path) -> None:
    other = child(
        path,
        "for _ in range(20):\n  with engine.transaction() as t:\n"
        "    t.execute('INSERT INTO t SELECT coalesce(max(a), 0) + 1, NULL FROM t')\nengine.close()",
    )
    patient = SqliteEngine(path, schema="none")
    for _ in range(20):
        with patient.transaction() as transaction:
            transaction.execute("INSERT INTO t SELECT coalesce(max(a), 0) + 1, NULL FROM t")
    assert other.wait(20) == 0
    other.communicate()
    patient.close()
    assert count(engine) == 40


def test_opening_another_connection_writes_nothing(engine: SqliteEngine, path: Path) -> None:
    before = engine.data_version()
    with engine.reading(), engine.reading():
        pass
    SqliteEngine(path, schema="none").close()
    engine.checkpoint()
    assert engine.data_version() == before


def test_data_version_changes_with_commits_of_anyone(engine: SqliteEngine, path: Path) -> None:
    before = engine.data_version()
    assert engine.data_version() == before
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO t (b) VALUES ('x')")
    own = engine.data_version()
    assert own != before
    other = child(path, "with engine.transaction() as t: t.execute('INSERT INTO t (b) VALUES (1)')\nengine.close()")
    assert other.wait(20) == 0
    other.communicate()
    assert engine.data_version() != own


def test_kill_inside_a_transaction_leaves_nothing(engine: SqliteEngine, path: Path) -> None:
    other = child(
        path,
        "with engine.transaction() as t:\n  t.execute('INSERT INTO t (b) VALUES (1)')\n"
        "with engine.transaction() as t:\n"
        "  t.executemany('INSERT INTO t (b) VALUES (?)', [(str(i) * 900,) for i in range(5000)])\n"
        "  print('ready', flush=True)\n  input()",
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    other.communicate()
    assert count(engine) == 1
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO t (b) VALUES ('after')")
        assert transaction.execute("PRAGMA integrity_check") == [("ok",)]


def test_a_full_disk_is_transient_and_work_goes_on_once_freed(engine: SqliteEngine) -> None:
    with engine.transaction() as transaction:
        (pages,) = transaction.execute("PRAGMA page_count")[0]
        transaction.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite answers SQLITE_FULL, as for a full disk
    with pytest.raises(Transient, match="disk is full"), engine.transaction() as transaction:
        transaction.executemany("INSERT INTO t (b) VALUES (?)", [("x" * 3000,)] * 20)
    assert count(engine) == 0
    with engine.transaction() as transaction:  # the connection was opened anew: the limit is gone
        transaction.executemany("INSERT INTO t (b) VALUES (?)", [("x" * 3000,)] * 20)
    assert count(engine) == 20


def test_what_cannot_be_opened_is_transient_and_what_is_damaged_permanent(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="cannot be opened"):
        SqliteEngine(tmp_path / "absent" / "x.sqlite", schema="none")
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"this is no database" * 500)
    with pytest.raises(Permanent, match="damaged"):
        SqliteEngine(damaged, schema="none")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, Transient),
        (sqlite3.SQLITE_IOERR_FSYNC, Transient),
        (sqlite3.SQLITE_READONLY_DBMOVED, Transient),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Transient),
        (sqlite3.SQLITE_CORRUPT_INDEX, Permanent),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Permanent),
    ],
)
def test_every_code_has_its_error(code: int, expected: type[Exception]) -> None:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    assert isinstance(sqlite_engine.translated(error, Path("a/b.sqlite")), expected)


def test_an_error_names_no_value(engine: SqliteEngine) -> None:
    with pytest.raises(Permanent) as caught, engine.transaction() as transaction:
        transaction.executemany("INSERT INTO t (a, b) VALUES (1, ?)", [("secret",), ("secret",)])
    assert "secret" not in str(caught.value)
    assert "SQLITE_CONSTRAINT" in str(caught.value)


def test_the_wal_starts_over_under_steady_writing(
    engine: SqliteEngine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_engine, "WAL_FRAMES", 50)
    wal = path.with_name(path.name + "-wal")
    largest = 0
    for _ in range(6):
        with engine.transaction() as transaction:
            transaction.executemany("INSERT INTO t (b) VALUES (?)", [("x" * 3000,)] * 100)
        engine.checkpoint()
        largest = max(largest, wal.stat().st_size)
    assert largest < 3 * 110 * 4096
    assert count(engine) == 600


def test_committed_pages_are_copied_without_a_commit_waiting(engine: SqliteEngine, path: Path) -> None:
    before = path.stat().st_size
    with engine.transaction() as transaction:
        transaction.executemany("INSERT INTO t (b) VALUES (?)", [("x" * 3000,)] * 100)
    deadline = time.monotonic() + 5
    while path.stat().st_size == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.stat().st_size > before


def test_a_closed_engine_says_so(path: Path) -> None:
    engine = SqliteEngine(path, schema="none")
    with engine.reading() as reader:
        engine.close()
        reader.execute("SELECT 1")
    with pytest.raises(Transient, match="closed"), engine.reading():
        pass
    with pytest.raises(Transient, match="closed"), engine.transaction():
        pass
    assert not path.with_name(path.name + "-wal").exists()
