"""The loop and its table: every error ends somewhere, nothing is lost, nobody waits for another's trouble."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.db.engine import Transaction
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Ambiguous, Configuration, Permanent, Transient
from gateway.journal.ledger import Ledger
from gateway.journal.outbox import Outbox
from gateway.model import Delivery, Entry, Receipt, State
from gateway.patience import Policy, next_state
from gateway.transport.memory import MemorySender
from gateway.worker import DeliveryDrain, EntryDrain, Processed
from tests.journal.databases import NOW, Databases, change
from tests.transport.lines import until

QUICK = Policy(refusals=3, first=0.06, longest=0.1, longest_refused=0.1)


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    both = Databases(tmp_path)
    yield both
    both.close()


# ---------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize(
    ("error", "attempts", "refusals", "state", "delay"),
    [
        (Transient("x"), 1, None, State.WAITING, 1.0),
        (Transient("x"), 3, None, State.WAITING, 4.0),
        (Transient("x"), 9999, None, State.WAITING, 8.0),
        (Ambiguous("x"), 2, None, State.WAITING, 2.0),
        (Ambiguous("x"), 9999, None, State.WAITING, 8.0),
        (Configuration("x"), 1, None, State.PARKED, 0.0),
        (Permanent("x"), 2, None, State.WAITING, 2.0),
        (Permanent("x"), 3, None, State.DEAD, 0.0),
        (Permanent("x"), 50, 1, State.WAITING, 1.0),  # the line was dead 49 times; refused once
        (Permanent("x"), 3, 3, State.DEAD, 0.0),
        (ValueError("x"), 1, None, State.PARKED, 0.0),
        (MemoryError(), 1, None, State.PARKED, 0.0),
    ],
)
def test_the_table(error: Exception, attempts: int, refusals: int | None, state: State, delay: float) -> None:
    policy = Policy(refusals=3, first=1.0, longest=8.0, longest_refused=60.0)
    assert next_state(error, attempts, policy, refusals=refusals, chance=lambda: 1.0) == (state, delay)


def test_an_entry_that_is_refused_once_is_dead() -> None:
    assert next_state(Permanent("x"), 1, Policy()) == (State.DEAD, 0.0)


def test_the_receivers_wish_to_wait_counts() -> None:
    error = Transient("busy")
    error.wait = 120.0
    assert next_state(error, 1, Policy()) == (State.WAITING, 120.0)


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_pauses_are_never_nothing_and_never_beyond_the_cap(attempts: int, chance: float) -> None:
    policy = Policy(first=0.5, longest=4.0)
    state, delay = next_state(Transient("x"), attempts, policy, chance=lambda: chance)
    assert state is State.WAITING
    assert 0.05 <= delay <= 4.0


# ---------------------------------------------------------------------------------------------- entries


class Writing:
    """Keeps in the database what it was given, so that a rollback is seen; raises what a body asks for."""

    def __init__(self) -> None:
        self.errors: dict[bytes, list[BaseException]] = {}

    def __call__(self, transaction: Transaction, entry: Entry) -> Processed:
        transaction.execute(
            "INSERT INTO record_transaction (number, at, entry) VALUES (?, ?, ?)", (1000 + entry.id, entry.id, entry.id)
        )
        if self.errors.get(entry.frame.body):
            raise self.errors[entry.frame.body].pop(0)
        return Processed(1000 + entry.id)


def drain(databases: Databases, process: Callable[[Transaction, Entry], Processed], **options: object) -> EntryDrain:
    return EntryDrain(
        journal=databases.journal,
        record=databases.record,
        process=process,
        stop=threading.Event(),
        **options,  # type: ignore[arg-type]
    )


@contextmanager
def running(one: EntryDrain) -> Iterator[None]:
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield
    finally:
        one.stop.set()
        began = time.monotonic()
        thread.join()
        assert time.monotonic() - began < 60


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def kept(databases: Databases) -> list[int]:
    with databases.record.reading() as reader:
        return [row[0] for row in reader.execute("SELECT entry FROM record_transaction ORDER BY number")]


def states(databases: Databases) -> dict[int, str]:
    return {line.id: line.state for line in Ledger(databases.journal, databases.record).entries(limit=1000)}


def test_all_entries_are_done_once(databases: Databases) -> None:
    told: list[State] = []
    commits: list[int] = []
    one = drain(databases, Writing(), told=lambda state, _: told.append(state), committed=lambda: commits.append(1))
    ids = databases.add(*["a", "b"] * 75)
    with running(one):
        wait_until(lambda: len(told) == 150)
        ids += databases.add("c")
        wait_until(lambda: len(told) == 151)
    assert kept(databases) == ids
    assert set(states(databases).values()) == {"done"}
    assert 2 <= len(commits) < 60


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Configuration("no map"), "parked"),
        (Permanent("broken"), "dead"),
        (ValueError("王五"), "parked"),
        (RecursionError(), "parked"),
    ],
)
def test_a_failing_entry_undoes_only_itself(databases: Databases, error: Exception, state: str) -> None:
    process = Writing()
    process.errors[b"MSH|bad"] = [error]
    first, bad, last = databases.add("good", "bad", "bad")
    process.errors[b"MSH|bad"].append(error)
    one = drain(databases, process)
    handled = 0
    while batch := one.once():
        handled += batch
    assert handled == 3
    assert kept(databases) == [first]
    assert states(databases) == {first: "done", bad: state, last: state}
    assert one.once() == 0
    assert "王" not in repr(Ledger(databases.journal, databases.record).entries())


def test_a_retry_keeps_the_order_of_its_key(databases: Databases) -> None:
    process = Writing()
    process.errors[b"MSH|a"] = [Transient("locked"), Transient("locked")]
    first, other, second = databases.add("a", "b", "a")
    with running(drain(databases, process, policy=QUICK)):
        wait_until(lambda: set(states(databases).values()) == {"done"})
    order = kept(databases)
    assert sorted(order) == [first, other, second]
    with databases.record.reading() as reader:
        changed = dict(reader.execute("SELECT entry, changed FROM work"))
        attempts = dict(reader.execute("SELECT entry, attempts FROM work"))
    assert changed[other] <= changed[first] <= changed[second]
    assert attempts == {first: 2, other: 0, second: 0}


def test_a_disk_that_fails_stops_nothing_for_good(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    databases.add("a", "b")
    failures = [Transient("the disk is full")] * 3
    begin = SqliteEngine.transaction

    @contextmanager
    def failing(engine: SqliteEngine) -> Iterator[Transaction]:
        with begin(engine) as transaction:
            yield transaction
            if engine is databases.record and failures:
                raise failures.pop()

    monkeypatch.setattr(SqliteEngine, "transaction", failing)
    with running(drain(databases, Writing(), policy=QUICK)):
        wait_until(lambda: set(states(databases).values()) == {"done"})
    assert len(kept(databases)) == 2


def test_an_entry_that_breaks_its_whole_batch_is_found_and_parked(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = databases.add("a", "b", "bad", "c")
    begin = SqliteEngine.transaction

    @contextmanager
    def breaking(engine: SqliteEngine) -> Iterator[Transaction]:
        with begin(engine) as transaction:
            yield transaction
            if transaction.execute("SELECT 1 FROM record_transaction WHERE entry = ?", (ids[2],)):
                raise Permanent("constraint failed at the commit")

    monkeypatch.setattr(SqliteEngine, "transaction", breaking)
    with running(drain(databases, Writing(), policy=QUICK)):
        wait_until(lambda: "waiting" not in states(databases).values())
    assert list(states(databases).values()) == ["done", "parked", "done", "done"]


def test_a_defect_is_no_hot_loop(databases: Databases) -> None:
    calls = Counter[str]()

    class Broken:
        def waits(self, *_: object) -> bool:
            calls["waits"] += 1
            raise KeyError("defect")

    one = drain(databases, Writing(), work=Broken())
    with running(one):
        time.sleep(0.2)
    assert calls["waits"] < 10


KILLED = """
import sys, threading, pathlib
sys.path.insert(0, "")
from tests.journal.databases import Databases
from tests.test_worker import Writing, drain
databases = Databases(pathlib.Path(sys.argv[1]))
one = drain(databases, Writing(), told=lambda state, seconds: print(state.value, flush=True), batch=7)
one.run()
"""


@pytest.mark.parametrize("lines", [1, 40, 111])
@pytest.mark.slow
def test_kill_9_in_the_middle_does_everything_once(databases: Databases, tmp_path: Path, lines: int) -> None:
    ids = databases.add(*[f"k{number % 5}" for number in range(150)])
    killed = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    for _ in range(lines):
        killed.stdout.readline()
    killed.kill()
    killed.stdout.close()
    killed.wait()
    with running(drain(databases, Writing())):  # a second time would break the primary key, and be parked
        wait_until(lambda: len(kept(databases)) == 150)
    assert kept(databases) == ids
    assert Counter(states(databases).values()) == {"done": 150}


# ---------------------------------------------------------------------------------------------- deliveries


def owe(databases: Databases, *keys: str, subscription: str = "s1") -> list[int]:
    with databases.record.transaction() as transaction:
        return [Outbox().owe(transaction, subscription, key, change(f"o-{key}")) for key in keys]


def owing(databases: Databases, subscription: str = "s1") -> dict[str, int]:
    standing = Ledger(databases.journal, databases.record).owing().get(subscription)
    return standing.counts if standing else {}


@asynccontextmanager
async def delivering(
    databases: Databases, send: Callable[[Delivery], object], **options: object
) -> AsyncIterator[DeliveryDrain]:
    one = DeliveryDrain(
        record=databases.record,
        send=send,  # type: ignore[arg-type]
        stop=asyncio.Event(),
        **{"subscription": "s1", "policy": QUICK, **options},  # type: ignore[arg-type]
    )
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        one.stop.set()
        async with asyncio.timeout(30):
            await task


def through(sender: MemorySender) -> Callable[[Delivery], object]:
    return lambda delivery: sender.send(f"{delivery.id}".encode(), delivery)


async def test_everything_owed_is_sent_in_order(databases: Databases) -> None:
    sender = MemorySender()
    ids = owe(databases, *["a", "b", "a"] * 10)
    async with delivering(databases, through(sender)):
        await until(lambda: owing(databases) == {"done": 30})
        ids += owe(databases, "c")
        await until(lambda: owing(databases) == {"done": 31})
    assert [int(body) for body in sender.taken.values()] == ids


async def test_parallel_keeps_the_order_of_each_key(databases: Databases) -> None:
    seen: list[Delivery] = []
    under_way: list[str] = []
    most = 0

    async def send(delivery: Delivery) -> Receipt:
        nonlocal most
        assert delivery.key not in under_way
        under_way.append(delivery.key)
        most = max(most, len(under_way))
        await asyncio.sleep(0.001 * (delivery.id % 4))
        under_way.remove(delivery.key)
        seen.append(delivery)
        return Receipt(at=NOW, code="AA")

    owe(databases, *["a", "b", "c", "d", "a", "e"] * 8)
    async with delivering(databases, send, parallel=4):
        await until(lambda: owing(databases) == {"done": 48})
    assert most == 4
    for key in "abcde":
        ids = [one.id for one in seen if one.key == key]
        assert ids == sorted(ids)


async def test_transient_and_ambiguous_are_tried_again_with_the_same_key(databases: Databases) -> None:
    sender = MemorySender([Transient("down"), Ambiguous("no answer"), Ambiguous("no answer"), Transient("down")] * 3)
    owe(databases, "a")
    async with delivering(databases, through(sender)):
        await until(lambda: owing(databases) == {"done": 1})
    assert len(sender.attempts) == 13
    assert len(sender.taken) == 1


@pytest.mark.parametrize(
    ("error", "state", "attempts"),
    [
        (Permanent("AE"), "dead", 3),
        (Configuration("no map"), "parked", 1),
        (KeyError("王五"), "parked", 1),
    ],
)
async def test_one_that_is_refused_for_ever_ends_and_the_next_of_its_key_goes(
    databases: Databases, error: Exception, state: str, attempts: int
) -> None:
    tried = Counter[int]()

    async def send(delivery: Delivery) -> Receipt:
        tried[delivery.id] += 1
        if delivery.id == 1:
            raise error
        return Receipt(at=NOW, code="AA")

    owe(databases, "a", "a", "b")
    async with delivering(databases, send):
        await until(lambda: owing(databases) == {state: 1, "done": 2})
    assert tried == {1: attempts, 2: 1, 3: 1}


async def test_one_that_fails_for_ever_delays_only_its_own_key(databases: Databases) -> None:
    async def send(delivery: Delivery) -> Receipt:
        if delivery.key == "poison":
            raise Transient("500")
        return Receipt(at=NOW, code="200")

    owe(databases, "poison", *[f"k{number}" for number in range(50)], "poison")
    async with delivering(databases, send, policy=Policy(first=1000.0, longest=1000.0)):
        await until(lambda: owing(databases).get("done") == 50)
    assert owing(databases)["waiting"] == 2


async def test_a_line_that_is_down_is_probed_not_stormed_and_comes_back_quickly(databases: Databases) -> None:
    down = True
    attempts = 0

    async def send(delivery: Delivery) -> Receipt:
        nonlocal attempts
        attempts += 1
        if down:
            raise Transient("refused")
        return Receipt(at=NOW, code="AA")

    owe(databases, *[f"k{number}" for number in range(100)])
    policy = Policy(first=0.1, longest=0.2)
    async with delivering(databases, send, policy=policy, parallel=8):
        await asyncio.sleep(0.5)
        assert attempts < 8 + 12
        down = False
        probed = attempts
        await until(lambda: owing(databases) == {"done": 100})
        assert attempts <= probed + 100


async def test_one_dead_receiver_does_not_stop_another(databases: Databases) -> None:
    owe(databases, "a", "b", "c")
    owe(databases, "a", "b", "c", subscription="s2")
    dead = MemorySender([Transient("down")] * 10_000)
    alive = MemorySender()
    async with delivering(databases, through(dead)), delivering(databases, through(alive), subscription="s2"):
        await until(lambda: owing(databases, "s2") == {"done": 3})
    assert owing(databases) == {"waiting": 3}


async def test_stopping_does_not_wait_for_a_pause_or_a_hanging_receiver(databases: Databases) -> None:
    started = asyncio.Event()

    async def hangs(delivery: Delivery) -> Receipt:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    owe(databases, "a", "b")
    async with delivering(databases, hangs):
        await started.wait()
    assert owing(databases) == {"waiting": 2}
    patient = Policy(first=1000.0, longest=1000.0)
    sender = MemorySender([Transient("down")] * 10)
    began = time.monotonic()
    async with delivering(databases, through(sender), policy=patient):
        await until(lambda: len(sender.attempts) == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 90


async def test_what_is_under_way_at_the_stop_may_finish(databases: Databases) -> None:
    started = asyncio.Event()

    async def slow(delivery: Delivery) -> Receipt:
        started.set()
        await asyncio.sleep(0.15)
        return Receipt(at=NOW, code="AA")

    owe(databases, "a", "b")
    async with delivering(databases, slow):
        await started.wait()
    assert owing(databases) == {"waiting": 1, "done": 1}


async def test_a_receipt_is_noted_though_the_disk_was_full(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = MemorySender()
    owe(databases, "a")
    failures = [Transient("the disk is full")] * 2
    begin = SqliteEngine.transaction

    @contextmanager
    def failing(engine: SqliteEngine) -> Iterator[Transaction]:
        with begin(engine) as transaction:
            yield transaction
            if failures:
                raise failures.pop()

    monkeypatch.setattr(SqliteEngine, "transaction", failing)
    async with delivering(databases, through(sender)):
        await until(lambda: owing(databases) == {"done": 1})
    assert len(sender.attempts) == 1


async def test_the_bell_and_another_process_wake_it(databases: Databases, tmp_path: Path) -> None:
    sender = MemorySender()
    other = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    async with delivering(databases, through(sender)) as one:
        await asyncio.sleep(0.3)
        with other.transaction() as transaction:
            Outbox().owe(transaction, "s1", "a", change())
        await until(lambda: len(sender.taken) == 1, 1.0)
        owe(databases, "b")
        one.wake.set()
        await until(lambda: len(sender.taken) == 2, 1.0)
    other.close()


async def test_waking_needs_no_reading_while_nothing_changes(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    due = Outbox.due

    def counted(self: Outbox, *args: object, **options: object) -> list[Delivery]:
        nonlocal looks
        looks += 1
        return due(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Outbox, "due", counted)
    async with delivering(databases, through(MemorySender())):
        await asyncio.sleep(0.5)
    assert looks == 1
