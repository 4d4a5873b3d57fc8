"""Where work on the entries stands: nothing lost, nothing twice, order kept per key."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Configuration, Permanent, Transient
from gateway.journal.work import ANY_DUE, BLOCKED, DUE, NEWEST, due_between
from gateway.model import State
from tests.engines import SQLITE_ONLY
from tests.journal.databases import NOW, Databases, in_seconds


def test_new_entries_come_in_order_and_whole(databases: Databases) -> None:
    assert not databases.waits()
    ids = databases.add("a", "b", "a")
    assert databases.waits()
    with databases.pending() as (_, jobs):
        assert [job.entry.id for job in jobs] == ids
        first = jobs[0]
        assert (first.key, first.entry.frame.body, first.entry.member, first.entry.format) == (
            "a",
            b"MSH|a",
            "m1",
            "hl7v2",
        )
        assert (first.entry.frame.received_at, first.entry.state, first.entry.attempts) == (NOW, State.WAITING, 0)


def test_done_parked_and_dead_do_not_come_again_and_hold_nobody_up(databases: Databases) -> None:
    *_, fourth = databases.add("a", "a", "a", "a")
    with databases.pending() as (transaction, jobs):
        databases.work.done(transaction, jobs[0], 1)
        databases.work.parked(transaction, jobs[1], Configuration("no code", place="OBX-3"))
        databases.work.dead(transaction, jobs[2], Permanent("broken"))
    assert databases.peek() == [fourth]


def test_what_was_rolled_back_comes_again(databases: Databases) -> None:
    ids = databases.add("a", "b")
    with suppress(ZeroDivisionError), databases.pending() as (transaction, jobs):
        databases.work.done(transaction, jobs[1], 1)
        raise ZeroDivisionError
    assert databases.peek() == ids


def test_one_that_is_left_out_comes_again(databases: Databases) -> None:
    ids = databases.add("a", "b", "c")
    with databases.pending() as (transaction, jobs):
        databases.work.done(transaction, jobs[1], 1)
    assert databases.peek() == [ids[0], ids[2]]


def test_a_retry_holds_its_key_until_it_is_due(databases: Databases) -> None:
    first, second, _ = databases.add("a", "a", "b")
    with databases.pending() as (transaction, jobs):
        databases.work.retry(transaction, jobs[0], Transient("locked"), in_seconds(60))
        databases.work.done(transaction, jobs[2], 1)
    (third,) = databases.add("a")
    assert databases.peek() == []
    assert databases.peek(now=in_seconds(59)) == []
    assert databases.peek(now=in_seconds(60)) == [first, second, third]
    with databases.pending(now=in_seconds(60)) as (transaction, jobs):
        assert [job.entry.attempts for job in jobs] == [1, 0, 0]
        for job in jobs:
            databases.work.done(transaction, job, 1)
    assert databases.peek(now=in_seconds(61)) == []


def test_entries_without_a_key_wait_for_nobody(databases: Databases) -> None:
    first, second = databases.add("", "")
    with databases.pending() as (transaction, jobs):
        databases.work.retry(transaction, jobs[0], Transient("locked"), in_seconds(60))
    assert databases.peek() == [second]
    assert databases.peek(now=in_seconds(60)) == [first, second]


def test_a_clock_set_back_does_not_stop_retries(databases: Databases) -> None:
    (first,) = databases.add("a")
    with databases.pending() as (transaction, jobs):
        databases.work.retry(transaction, jobs[0], Transient("locked"), in_seconds(60))
    assert databases.peek(now=in_seconds(-2 * 86400)) == [first]
    assert databases.peek(now=in_seconds(365 * 86400)) == [first]


def test_refused_entries_are_no_work(databases: Databases) -> None:
    databases.add("a", accepted=False)
    (good,) = databases.add("b")
    assert databases.peek() == [good]
    with databases.pending() as (transaction, jobs):
        databases.work.done(transaction, jobs[0], 1)
    databases.add("a", accepted=False)
    assert databases.peek() == []
    assert not databases.waits()  # the mark moved over them: idle looks stay cheap


def test_replay(databases: Databases) -> None:
    ids = databases.add("a", "b", "c", "d")
    with databases.pending() as (transaction, jobs):
        databases.work.parked(transaction, jobs[0], Configuration("no code"))
        databases.work.dead(transaction, jobs[1], Permanent("broken"))
        databases.work.done(transaction, jobs[2], 1)
    with databases.record.transaction() as transaction:
        assert databases.work.replay(transaction, [*ids, 99]) == ids[:2]
    assert databases.peek() == [ids[0], ids[1], ids[3]]


def test_of_an_unforeseen_error_only_the_class_is_kept(databases: Databases) -> None:
    databases.add("a")
    with databases.pending() as (transaction, jobs):
        databases.work.parked(transaction, jobs[0], ValueError("王五 110101199003077571"))
        kept = transaction.execute("SELECT error, cause, place, remedy FROM work")
    assert kept == [("ValueError", "unforeseen", "", "report this defect, then replay")]


def test_bodies_are_read_only_as_far_as_they_fit(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = databases.add("a", "b", "c")
    monkeypatch.setattr("gateway.journal.work.BATCH_BYTES", 10)
    assert databases.peek() == ids[:2]
    monkeypatch.setattr("gateway.journal.work.BATCH_BYTES", 1)
    assert databases.peek() == ids[:1]


def test_bytes_that_are_gone_end_the_work_on_them(databases: Databases) -> None:
    databases.add("a")
    with databases.pending() as (transaction, jobs):
        databases.work.retry(transaction, jobs[0], Transient("locked"), NOW)
    with databases.journal.transaction() as journal:
        journal.execute("DELETE FROM entry")
    assert databases.peek(now=in_seconds(1)) == []
    assert not databases.waits(now=in_seconds(1))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_everything_is_done_once_and_in_order_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    databases = Databases(tmp_path_factory.mktemp("work"))
    keys = data.draw(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=25))
    ids = databases.add(*keys)
    key_of = dict(zip(ids, keys, strict=True))
    done: list[int] = []
    now = NOW
    for _ in range(200):
        if len(done) == len(ids):
            break
        batch: list[int] = []
        try:
            with databases.pending(now=now, limit=data.draw(st.integers(1, 7))) as (transaction, jobs):
                held: set[str] = set()
                for job in jobs:
                    if job.key in held:
                        continue
                    if data.draw(st.integers(0, 3)) == 0:
                        databases.work.retry(transaction, job, Transient("no"), in_seconds(len(done) + 5))
                        held |= {job.key} - {""}
                    else:
                        databases.work.done(transaction, job, 1)
                        batch.append(job.entry.id)
                if data.draw(st.integers(0, 5)) == 0:
                    raise ZeroDivisionError  # kill -9 in the middle
        except ZeroDivisionError:
            batch = []
        done += batch
        now = in_seconds(data.draw(st.integers(0, 100)))
    databases.close()
    assert len(set(done)) == len(done)
    for key in "abc":
        of_key = [one for one in done if key_of[one] == key]
        assert of_key == sorted(of_key)


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (DUE, (*due_between(NOW), *due_between(NOW), 5), "work_due"),
        (BLOCKED, ("a", 1), "work_waiting"),
        (ANY_DUE, due_between(NOW), "work_due"),
    ],
)
@SQLITE_ONLY
def test_plans(databases: Databases, sql: str, parameters: tuple[object, ...], index: str) -> None:
    with databases.record.reading() as reader:
        plan = [row[3] for row in reader.execute("EXPLAIN QUERY PLAN " + sql, parameters)]
    assert any(index in step for step in plan)
    assert not any(step == "SCAN work" for step in plan)
    with databases.journal.reading() as reader:
        assert reader.execute("EXPLAIN QUERY PLAN " + NEWEST)[0][3].startswith("SEARCH")
