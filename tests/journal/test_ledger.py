"""What a person sees and decides: lists, one entry, counts, replay."""

from __future__ import annotations

import pytest

from gateway.errors import Configuration, Permanent, Transient
from gateway.journal.ledger import (
    DELIVERIES_OF,
    DELIVERY_COUNTS,
    STANDING,
    UNFINISHED,
    UNFINISHED_COUNTS,
    UNFINISHED_DELIVERIES,
    Ledger,
    Standing,
)
from gateway.journal.outbox import Outbox
from gateway.model import Receipt
from tests.engines import SQLITE_ONLY
from tests.journal.databases import NOW, Databases, change, frame, in_seconds, verdict


@pytest.fixture
def ledger(databases: Databases) -> Ledger:
    return Ledger(databases.journal, databases.record)


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (UNFINISHED, ("parked", 1, "", "", 9), "work_open"),
        (UNFINISHED_COUNTS, (), "work_open"),
        (STANDING, (1,), "PRIMARY KEY"),
        (UNFINISHED_DELIVERIES, ("dead", 1, "", "", 9), "delivery_open"),
        (DELIVERY_COUNTS, (), "COVERING INDEX delivery_open"),
        (DELIVERIES_OF, ("Patient", "1", 9), "delivery_resource"),
    ],
)
@SQLITE_ONLY
def test_plans(databases: Databases, sql: str, parameters: tuple[object, ...], index: str) -> None:
    with databases.record.reading() as reader:
        plan = [row[3] for row in reader.execute("EXPLAIN QUERY PLAN " + sql, parameters)]
    assert any(index in step for step in plan), plan


def mixed(databases: Databases) -> list[int]:
    """done, parked, dead, waiting to be tried again, refused, new."""
    ids = databases.add("a", "b", "c", "d")
    with databases.pending() as (transaction, jobs):
        databases.work.done(transaction, jobs[0], 7)
        databases.work.parked(
            transaction, jobs[1], Configuration("unknown code", place="OBX-3", remedy="map it", code="103")
        )
        databases.work.dead(transaction, jobs[2], Permanent("broken", place="PID"))
        databases.work.retry(transaction, jobs[3], Transient("locked"), in_seconds(9))
    ids += databases.add("e", accepted=False)
    return ids + databases.add("f")


def test_lists_by_state(databases: Databases, ledger: Ledger) -> None:
    done, parked, dead, waiting, refused, new = mixed(databases)
    found = {
        state: [line.id for line in ledger.entries(state=state)]
        for state in ("done", "parked", "dead", "waiting", "refused")
    }
    assert found == {
        "done": [done],
        "parked": [parked],
        "dead": [dead],
        "waiting": [new, waiting],
        "refused": [refused],
    }
    everything = ledger.entries()
    assert [line.id for line in everything] == [new, refused, waiting, dead, parked, done]
    assert [line.state for line in everything] == ["waiting", "refused", "waiting", "dead", "parked", "done"]


def test_a_line_says_why_and_what_to_do(databases: Databases, ledger: Ledger) -> None:
    mixed(databases)
    line = ledger.entries(state="parked")[0]
    assert (line.error, line.cause, line.place, line.remedy) == ("Configuration", "unknown code", "OBX-3", "map it")
    assert (line.received_at, line.channel, line.member, line.kind, line.size) == (NOW, "c1", "m1", "ORU^R01", 5)
    assert (line.attempts, line.due_at) == (1, None)
    assert ledger.entries(state="refused")[0].cause == "no patient"
    assert ledger.entries(state="done")[0].transaction == 7
    assert ledger.entries(state="waiting")[1].due_at == in_seconds(9)


def test_channels_and_pages(databases: Databases, ledger: Ledger) -> None:
    for number in range(5):
        databases.intake.write_now(frame(f"MSH|{number}", channel=f"c{number % 2}"), verdict("", accepted=number < 3))
    for state in ("", "waiting", "refused"):
        everything = [line.id for line in ledger.entries(state=state)]
        pages, before = [], 2**62
        while page := ledger.entries(state=state, limit=2, before=before):
            pages += [line.id for line in page]
            before = page[-1].id
        assert pages == everything
        assert [line.id for line in ledger.entries(state=state, channel="c1")] == [
            one for one in everything if one % 2 == 0
        ]


def test_one_entry_with_its_bytes(databases: Databases, ledger: Ledger) -> None:
    _, parked, *_ = mixed(databases)
    found = ledger.entry(parked)
    assert found is not None
    line, entry = found
    assert (line.state, entry.id, entry.frame.body, entry.control_id) == ("parked", parked, b"MSH|b", "")
    assert ledger.entry(99) is None


def test_counts_and_the_oldest(databases: Databases, ledger: Ledger) -> None:
    mixed(databases)
    databases.intake.write_now(frame("MSH|x", channel="c2"), verdict(""))
    expected = {"done": 1, "parked": 1, "dead": 1, "waiting": 2, "refused": 1}
    standing = ledger.standing()
    assert standing["c1"] == Standing(expected, oldest=NOW)
    assert standing["c2"].counts == {"done": 0, "waiting": 1}


def test_when_all_is_done_nothing_is_old(databases: Databases, ledger: Ledger) -> None:
    databases.add("a", "b")
    with databases.pending() as (transaction, jobs):
        for job in jobs:
            databases.work.done(transaction, job, 1)
    assert ledger.standing() == {"c1": Standing({"done": 2}, oldest=None)}
    assert ledger.entries(state="waiting") == []


def test_replay_of_parked_dead_and_refused(databases: Databases, ledger: Ledger) -> None:
    done, parked, dead, waiting, refused, new = mixed(databases)
    again = ledger.replay([done, parked, dead, waiting, refused, 99, parked])
    assert again == [parked, dead, new + 1]
    assert set(databases.peek()) == {parked, dead, new, new + 1}
    replayed = ledger.entries(state="waiting")[0]
    assert (replayed.id, replayed.source, replayed.flags) == (new + 1, refused, "replay")
    assert ledger.replay([refused]) == []  # once
    counts = ledger.standing()["c1"].counts
    assert counts == {"done": 1, "parked": 0, "dead": 0, "waiting": 5, "refused": 1} or counts == {
        "done": 1,
        "waiting": 5,
        "refused": 1,
    }


def test_a_replayed_message_that_comes_again_is_a_duplicate(databases: Databases, ledger: Ledger) -> None:
    write = databases.intake.write_now
    refused = write(frame(), verdict(accepted=False)).entry_id
    (accepted,) = ledger.replay([refused])
    assert write(frame(), verdict()).entry_id == accepted


def test_deliveries(databases: Databases, ledger: Ledger) -> None:
    outbox = Outbox()
    with databases.record.transaction() as transaction:
        for key in "abcd":
            outbox.owe(transaction, "s1", key, change(f"o-{key}", version=3))
        outbox.owe(transaction, "s2", "a", change("o-a"))
        one, two, three, _ = outbox.due(transaction, "s1", now=NOW, limit=9)
        outbox.sent(transaction, one, Receipt(at=NOW, code="AA"))
        outbox.dead(transaction, two, Permanent("AE: no", place="his:2575", remedy="mend the map"))
        outbox.parked(transaction, three, KeyError("王五"))
    states = {line.id: line.state for line in ledger.deliveries()}
    assert states == {1: "done", 2: "dead", 3: "parked", 4: "waiting", 5: "waiting"}
    (dead,) = ledger.deliveries(state="dead", subscription="s1")
    assert (dead.reference, dead.version, dead.cause, dead.place) == ("Observation/o-b", 3, "AE: no", "his:2575")
    assert dead.idempotency == two.idempotency
    assert ledger.deliveries(state="done")[0].code == "AA"
    assert "王" not in repr(ledger.deliveries(state="parked"))
    assert [line.subscription for line in ledger.deliveries_of("Observation", "o-a")] == ["s2", "s1"]
    owing = ledger.owing()
    assert owing["s1"].counts == {"dead": 1, "parked": 1, "waiting": 1, "done": 1}
    assert owing["s1"].oldest is not None
    assert owing["s2"].counts == {"waiting": 1}
    assert ledger.replay_deliveries([1, 2, 3, 4]) == [2, 3]
    assert ledger.owing()["s1"].counts == {"waiting": 3, "done": 1}
