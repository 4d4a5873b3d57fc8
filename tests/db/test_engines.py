"""What both engines promise alike: durable or nothing, one writer among all processes, snapshots, errors translated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.db.engine import Engine
from gateway.errors import Permanent, Transient
from tests.engines import Engines


@pytest.fixture
def engine(tmp_path: Path, engines: Engines) -> Iterator[Engine]:
    engine = engines.open(tmp_path, "none", busy_seconds=0.3)
    with engine.transaction() as transaction:
        transaction.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB, d REAL)")
    yield engine
    engine.close()


def count(engine: Engine) -> int:
    with engine.reading() as reader:
        return int(reader.execute("SELECT count(*) FROM t")[0][0])


def child(engines: Engines, folder: Path, code: str) -> subprocess.Popen[str]:
    """A second process with the same database open as `engine`."""
    text = engines.code(folder, "none") + code
    return subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def test_values_come_back_as_they_went_in(engine: Engine) -> None:
    body = bytes(range(256))
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO t VALUES (?, ?, ?, ?)", (2**62, "张伟 100% ?", body, 0.1))
        transaction.execute("INSERT INTO t VALUES (?, ?, ?, ?)", (1, None, None, float("inf")))
        transaction.execute("INSERT INTO t (a, b, d) VALUES (2, 'a?%', ?)", (True,))
    with engine.reading() as reader:
        assert reader.execute("SELECT * FROM t WHERE a = ?", (2**62,)) == [(2**62, "张伟 100% ?", body, 0.1)]
        assert reader.execute("SELECT b, c, d FROM t WHERE a = 1") == [(None, None, float("inf"))]
        assert reader.execute("SELECT b, d FROM t WHERE b LIKE 'a%' AND ? = ''", ("",)) == [("a?%", 1.0)]
        (total,) = reader.execute("SELECT sum(a) FROM t WHERE a = 1")[0]
        assert (total, type(total)) == (1, int)


def test_rows_that_are_numbered_get_their_numbers_in_their_order(engine: Engine) -> None:
    first = [(f"{number}", b"") for number in range(70)]
    with engine.transaction() as transaction:
        assert transaction.append("t", "a", ("b",), ("b", "c"), []) == []
        numbers = transaction.append("t", "a", ("b",), ("b", "c"), first)
        more = transaction.append("t", "a", ("b",), ("b", "c"), [("x", b"1"), ("y", b"2")])
    assert len({*numbers, *more}) == 72
    with engine.reading() as reader:
        there = dict(reader.execute("SELECT b, a FROM t"))
    assert [there[word] for word, _ in first] == numbers
    assert [there["x"], there["y"]] == more


def test_what_was_written_is_told_from_what_was_only_asked(engine: Engine) -> None:
    with engine.transaction() as transaction:
        before = transaction.written
        transaction.execute("SELECT a FROM t")
        assert transaction.written == before
        transaction.executemany("INSERT INTO t (b) VALUES (?)", [("x",)])
        between = transaction.written
        assert between != before
        transaction.execute("DELETE FROM t")
        assert transaction.written != between


def test_texts_are_ordered_by_their_bytes(engine: Engine) -> None:
    words = ["b", "B", "a", "Ä", "_", "张", "é", "1"]
    with engine.transaction() as transaction:
        transaction.executemany("INSERT INTO t (b) VALUES (?)", [(word,) for word in words])
    with engine.reading() as reader:
        found = [word for (word,) in reader.execute("SELECT b FROM t ORDER BY b")]
        assert found == sorted(words, key=str.encode)
        assert reader.execute("SELECT count(*) FROM t WHERE b >= ? AND b < ?", ("B", "a")) == [(2,)]


def test_a_commit_is_seen_and_an_error_leaves_nothing(engine: Engine) -> None:
    with engine.transaction() as transaction:
        assert len(transaction.execute("INSERT INTO t (b) VALUES (?) RETURNING a", ("x",))) == 1
        transaction.executemany("INSERT INTO t (b) VALUES (?)", [("y",), ("z",)])
        assert transaction.execute("SELECT count(*) FROM t") == [(3,)]
    assert count(engine) == 3

    def fail() -> None:
        with engine.transaction() as transaction:
            transaction.execute("DELETE FROM t")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert count(engine) == 3


def test_what_a_savepoint_undoes_is_undone_and_the_rest_stays(engine: Engine) -> None:
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO t (a, b) VALUES (1, 'kept')")
        transaction.execute("SAVEPOINT entry")
        with pytest.raises(Permanent):
            transaction.execute("INSERT INTO t (a, b) VALUES (1, 'again')")
        transaction.execute("ROLLBACK TO entry")
        transaction.execute("RELEASE entry")
        transaction.execute("INSERT INTO t (a, b) VALUES (2, 'kept')")
    assert count(engine) == 2


def test_a_reader_sees_one_instant_and_cannot_write(engine: Engine) -> None:
    with engine.reading() as reader:
        assert reader.execute("SELECT count(*) FROM t") == [(0,)]
        with engine.transaction() as transaction:
            transaction.execute("INSERT INTO t (b) VALUES ('x')")
        assert reader.execute("SELECT count(*) FROM t") == [(0,)]
        with engine.reading() as later:
            assert later.execute("SELECT count(*) FROM t") == [(1,)]
    with engine.reading() as reader, pytest.raises(Transient, match="read-only"):
        reader.execute("INSERT INTO t (b) VALUES ('y')")
    with engine.reading() as reader:
        assert reader.execute("SELECT count(*) FROM t") == [(1,)]


def test_a_transaction_inside_a_transaction_is_refused(engine: Engine) -> None:
    with engine.transaction(), pytest.raises(Permanent, match="inside"), engine.transaction():
        pass
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO t (b) VALUES ('x')")
    assert count(engine) == 1


ADD_ONE = "INSERT INTO t (a) SELECT coalesce(max(a), 0) + 1 FROM t"


def test_threads_and_processes_write_one_after_the_other(engine: Engine, engines: Engines, tmp_path: Path) -> None:
    code = f"for _ in range(20):\n  with engine.transaction() as t: t.execute({ADD_ONE!r})\nengine.close()"
    other = child(engines, tmp_path, code)
    patient = engines.open(tmp_path, "none")

    def add() -> None:
        for _ in range(20):
            with patient.transaction() as transaction:
                transaction.execute(ADD_ONE)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert other.wait(20) == 0
    other.communicate()
    patient.close()
    with engine.reading() as reader:
        assert reader.execute("SELECT count(*), max(a) FROM t") == [(100, 100)]


def test_a_lock_held_elsewhere_is_transient(engine: Engine, engines: Engines, tmp_path: Path) -> None:
    other = engines.open(tmp_path, "none")
    with other.transaction(), pytest.raises(Transient, match="locked by another process"), engine.transaction():
        pass
    other.close()
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO t (b) VALUES ('x')")
    assert count(engine) == 1


def test_data_version_changes_with_commits_of_anyone(engine: Engine, engines: Engines, tmp_path: Path) -> None:
    before = engine.data_version()
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO t (b) VALUES ('x')")
    own = engine.data_version()
    assert own != before
    other = engines.open(tmp_path, "none")
    with other.transaction() as transaction:
        transaction.execute("INSERT INTO t (b) VALUES ('y')")
        uncommitted = engine.data_version()
    other.close()
    assert engine.data_version() not in (own, uncommitted)


def test_a_transaction_that_writes_nothing_wakes_nobody(engine: Engine) -> None:
    before = engine.data_version()
    with engine.transaction() as transaction:
        transaction.execute("SELECT count(*) FROM t")
        transaction.execute("SAVEPOINT entry")
        transaction.execute("RELEASE entry")
    assert engine.data_version() == before


def test_kill_inside_a_transaction_leaves_nothing(engine: Engine, engines: Engines, tmp_path: Path) -> None:
    other = child(
        engines,
        tmp_path,
        "with engine.transaction() as t:\n  t.execute(\"INSERT INTO t (b) VALUES ('x')\")\n"
        "with engine.transaction() as t:\n"
        "  t.executemany('INSERT INTO t (b) VALUES (?)', [(str(i) * 900,) for i in range(2000)])\n"
        "  print('ready', flush=True)\n  input()",
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    other.communicate()
    assert count(engine) == 1
    until = time.monotonic() + 5
    while time.monotonic() < until:  # a server may take a moment to see that its client is gone
        try:
            with engine.transaction() as transaction:
                transaction.execute("INSERT INTO t (b) VALUES ('after')")
        except Transient:
            continue
        break
    assert count(engine) == 2


def test_an_error_names_no_value(engine: Engine) -> None:
    with pytest.raises(Permanent) as caught, engine.transaction() as transaction:
        transaction.executemany("INSERT INTO t (a, b) VALUES (1, ?)", [("secret",), ("secret",)])
    assert "secret" not in str(caught.value)
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO t (a) VALUES (1)")


def test_a_closed_engine_says_so(tmp_path: Path, engines: Engines) -> None:
    engine = engines.open(tmp_path, "none")
    with engine.reading() as reader:
        engine.close()
        reader.execute("SELECT 1")
    with pytest.raises(Transient, match="closed"), engine.reading():
        pass
    with pytest.raises(Transient, match="closed"), engine.transaction():
        pass


def test_tables_are_listed_filled_and_counted_on(engine: Engine) -> None:
    with engine.transaction() as transaction:
        transaction.execute("CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT)")
        assert transaction.tables() == {
            "schema_version": ("number", "name"),
            "t": ("a", "b", "c", "d"),
            "numbered": ("id", "word"),
        }
        transaction.fill("t", ("a", "b", "c", "d"), [(7, "张\t\\N\n", b"\0\\", 0.1), (8, None, None, float("inf"))])
        transaction.fill("numbered", ("id", "word"), ((number, "") for number in range(1, 4)))
        transaction.count_on({"numbered": 40})
    with engine.reading() as reader:
        assert list(reader.rows("SELECT * FROM t WHERE a > ? ORDER BY a", (0,))) == [
            (7, "张\t\\N\n", b"\0\\", 0.1),
            (8, None, None, float("inf")),
        ]
        assert reader.counters()["numbered"] == 40
    with engine.transaction() as transaction:
        transaction.execute("DELETE FROM numbered")
        assert transaction.execute("INSERT INTO numbered (word) VALUES ('') RETURNING id") == [(41,)]
        assert transaction.execute("INSERT INTO t (b) VALUES ('') RETURNING a") == [(9,)]
