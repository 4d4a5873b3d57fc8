"""Works that wait together share one commit, and none of them notices what becomes of another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.db import commits as room
from gateway.db.commits import Commits
from gateway.db.engine import Engine, Transaction
from gateway.errors import HutongError, Permanent, Transient
from tests.engines import Engines


class Counting:
    """An engine that counts its transactions, and whose commits can fail; a writer needs no more of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.begun = 0
        self.fails: Exception | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self.begun += 1
        with self._engine.transaction() as transaction:
            yield transaction
            if self.fails:
                raise self.fails


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, what waits is taken along."""
    monkeypatch.setattr(room, "LONG", 60.0)


@pytest.fixture
def engine(tmp_path: Path, engines: Engines) -> Iterator[Engine]:
    engine = engines.open(tmp_path, "none")
    with engine.transaction() as transaction:
        transaction.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    yield engine
    engine.close()


def rows(engine: Engine) -> list[int]:
    with engine.reading() as reader:
        return [row[0] for row in reader.execute("SELECT a FROM t ORDER BY a")]


def add(number: int, then: Exception | None = None) -> Callable[[Transaction], int]:
    def work(transaction: Transaction) -> int:
        transaction.execute("INSERT INTO t VALUES (?)", (number,))
        if then:
            raise then
        return number

    return work


async def written(engine: Counting, *works: Callable[[Transaction], int]) -> list[int | BaseException]:
    """What each is told; all but the first wait while the first is at work."""
    commits = Commits(engine)  # type: ignore[arg-type]
    all_wait = threading.Event()

    def first(transaction: Transaction) -> int:
        assert all_wait.wait(10)
        return works[0](transaction)

    told = asyncio.gather(*map(commits.write, (first, *works[1:])), return_exceptions=True)
    await asyncio.sleep(0)
    all_wait.set()
    found = await told
    commits.close()
    return found


async def test_what_waits_shares_a_commit(engine: Engine) -> None:
    counting = Counting(engine)
    assert await written(counting, *map(add, range(20))) == list(range(20))
    assert rows(engine) == list(range(20))
    assert counting.begun == 1


async def test_nobody_is_told_before_the_commit(engine: Engine) -> None:
    counting, told = Counting(engine), []
    commits = Commits(counting)  # type: ignore[arg-type]

    def work(transaction: Transaction) -> None:
        told.append(rows(engine))  # by another connection: what those before it were told is there

    for number in range(3):
        await commits.write(add(number))
        await commits.write(work)
    assert told == [[0], [0, 1], [0, 1, 2]]
    commits.close()


async def test_one_that_fails_leaves_nothing_and_takes_nobody_with_it(engine: Engine) -> None:
    wrong = Permanent("no", place="here")
    told = await written(Counting(engine), add(1), add(2), add(3, wrong), add(2), add(4), add(5, ValueError("x")))
    assert told[:3] == [1, 2, wrong]
    assert isinstance(told[3], HutongError)  # a key that is there: refused by the database itself
    assert told[4] == 4
    assert isinstance(told[5], ValueError)
    assert rows(engine) == [1, 2, 4]


def look(then: Exception | None = None) -> Callable[[Transaction], int]:
    def work(transaction: Transaction) -> int:
        count: int = transaction.execute("SELECT count(*) FROM t")[0][0]
        if then:
            raise then
        return count

    return work


async def test_one_that_fails_before_it_writes_costs_the_others_nothing(engine: Engine) -> None:
    calls: list[int] = []

    def counted(number: int) -> Callable[[Transaction], int]:
        def work(transaction: Transaction) -> int:
            calls.append(number)
            return add(number)(transaction)

        return work

    counting, wrong = Counting(engine), Permanent("no", place="here")
    told = await written(counting, look(wrong), counted(1), look(wrong), look(), counted(2), look(wrong))
    assert told == [wrong, 1, wrong, 1, 2, wrong]
    assert (calls, counting.begun) == ([1, 2], 1)
    assert rows(engine) == [1, 2]


async def test_one_that_fails_after_it_wrote_has_the_others_done_again(engine: Engine) -> None:
    counting, wrong = Counting(engine), Permanent("no", place="here")
    told = await written(counting, add(1), look(), add(2, wrong), look(), add(3))
    assert told == [1, 1, wrong, 1, 3]
    assert counting.begun == 3  # together, again, and those whose turn had not come
    assert rows(engine) == [1, 3]


async def test_the_first_may_fail_too(engine: Engine) -> None:
    wrong = Permanent("no", place="here")
    assert await written(Counting(engine), add(1, wrong), add(2), add(3)) == [wrong, 2, 3]
    assert rows(engine) == [2, 3]


async def test_a_commit_that_fails_is_told_to_all_of_it(engine: Engine) -> None:
    counting = Counting(engine)
    counting.fails = Transient("the disk is full", place="t")
    assert await written(counting, add(1), add(2), add(3)) == [counting.fails] * 3
    assert rows(engine) == []


async def test_a_disk_that_fails_inside_a_work_fails_what_shares_its_commit(engine: Engine) -> None:
    full = Transient("the disk is full", place="t")
    assert await written(Counting(engine), add(1), add(2), add(3, full)) == [full] * 3
    assert rows(engine) == []


async def test_each_sees_what_those_before_it_wrote(engine: Engine) -> None:
    def next_number(transaction: Transaction) -> int:
        return add(transaction.execute("SELECT count(*) FROM t")[0][0])(transaction)

    assert await written(Counting(engine), *[next_number] * 16) == list(range(16))


async def test_who_stops_waiting_keeps_nobody_else_from_being_told(engine: Engine) -> None:
    commits = Commits(engine)
    gone = asyncio.ensure_future(commits.write(add(1)))
    stays = asyncio.ensure_future(commits.write(add(2)))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 2
    assert rows(engine) == [1, 2]
    commits.close()
