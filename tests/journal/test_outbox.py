"""What is owed: order per subscription and key, a stable key, receipts kept, nothing lost."""

from __future__ import annotations

from datetime import datetime

import pytest

from gateway.errors import Ambiguous, Configuration, Permanent, Transient
from gateway.journal.outbox import DUE, NEXT_DUE, Outbox, idempotency
from gateway.journal.work import due_between
from gateway.model import Delivery, Receipt
from tests.engines import SQLITE_ONLY
from tests.journal.databases import NOW, Databases, change, in_seconds

outbox = Outbox()


def owe(databases: Databases, *keys: str, subscription: str = "s1") -> list[int]:
    with databases.record.transaction() as transaction:
        return [outbox.owe(transaction, subscription, key, change(f"o-{key}")) for key in keys]


def due(
    databases: Databases, *, now: datetime = NOW, limit: int = 100, blocked: set[str] | None = None
) -> list[Delivery]:
    with databases.record.reading() as reader:
        return outbox.due(reader, "s1", now=now, limit=limit, blocked=blocked or set())


def ids(deliveries: list[Delivery]) -> list[int]:
    return [one.id for one in deliveries]


def sent(databases: Databases, delivery: Delivery) -> None:
    with databases.record.transaction() as transaction:
        outbox.sent(transaction, delivery, Receipt(at=NOW, code="AA", body=b"MSA|AA"))


def test_the_first_of_each_key_is_due(databases: Databases) -> None:
    first, second, other, free1, free2 = owe(databases, "a", "a", "b", "", "")
    owe(databases, "a", subscription="s2")
    assert ids(due(databases)) == [first, other, free1, free2]
    assert ids(due(databases, limit=2)) == [first, other]
    assert ids(due(databases, blocked={"a"})) == [other, free1, free2]
    sent(databases, due(databases)[0])
    assert ids(due(databases)) == [second, other, free1, free2]


def test_what_a_delivery_says(databases: Databases) -> None:
    owe(databases, "a")
    one = due(databases)[0]
    assert (one.subscription, one.key, one.change, one.attempts) == ("s1", "a", change("o-a"), 0)


def test_the_idempotency_key_is_stable_short_sorted_and_unlike_another_installations(databases: Databases) -> None:
    owe(databases, "a", "b")
    one, two = due(databases)
    with databases.record.transaction() as transaction:
        outbox.later(transaction, one, Ambiguous("no answer"), in_seconds(5))
    again = due(databases, now=in_seconds(5))[0]
    assert again.idempotency == one.idempotency
    assert again.attempts == 1
    assert len(one.idempotency) == len(idempotency(10**14, "ABCDEF01")) == 20
    assert one.idempotency < two.idempotency
    assert one.idempotency[12:] != two.idempotency[12:]


def test_later_holds_its_key_and_nobody_else(databases: Databases) -> None:
    first, _, other = owe(databases, "a", "a", "b")
    with databases.record.transaction() as transaction:
        outbox.later(transaction, due(databases)[0], Transient("down"), in_seconds(60))
    assert ids(due(databases)) == [other]
    assert ids(due(databases, now=in_seconds(60))) == [first, other]
    assert ids(due(databases, now=in_seconds(-86400))) == [first, other]  # the clock was set back
    with databases.record.reading() as reader:
        assert outbox.next_due(reader, "s1", now=NOW) == in_seconds(60).timestamp() * 1000
        assert outbox.next_due(reader, "s1", now=in_seconds(60)) is None
        assert outbox.next_due(reader, "nobody", now=NOW) is None


@pytest.mark.parametrize("state", ["parked", "dead"])
def test_parked_and_dead_hold_nobody_up_and_can_be_replayed(databases: Databases, state: str) -> None:
    first, second = owe(databases, "a", "a")
    one = due(databases)[0]
    with databases.record.transaction() as transaction:
        getattr(outbox, state)(transaction, one, Configuration("no map"))
    assert ids(due(databases)) == [second]
    with databases.record.transaction() as transaction:
        assert outbox.replay(transaction, [first, second, 99]) == [first]
    assert ids(due(databases)) == [first]
    assert due(databases)[0].idempotency == one.idempotency
    assert due(databases)[0].attempts == 0


def test_refusals_are_counted_apart_from_a_dead_line(databases: Databases) -> None:
    owe(databases, "a")
    one = due(databases)[0]
    with databases.record.transaction() as transaction:
        for error in (Transient("down"), Permanent("no"), Ambiguous("?"), Permanent("no")):
            outbox.later(transaction, one, error, NOW)
        assert outbox.refusals(transaction, one) == 2
    assert due(databases)[0].attempts == 4


def test_a_receipt_is_kept(databases: Databases) -> None:
    owe(databases, "a")
    sent(databases, due(databases)[0])
    with databases.record.reading() as reader:
        assert reader.execute("SELECT state, code, answer FROM delivery") == [("done", "AA", b"MSA|AA")]


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (DUE, ("s1", *due_between(NOW), 5), "delivery_line (subscription=?)"),
        (DUE, ("s1", *due_between(NOW), 5), "delivery_key (subscription=? AND key=? AND id<?)"),
        (NEXT_DUE, ("s1", 1), "delivery_due (subscription=? AND due>?)"),
    ],
)
@SQLITE_ONLY
def test_plans(databases: Databases, sql: str, parameters: tuple[object, ...], index: str) -> None:
    with databases.record.reading() as reader:
        plan = [row[3] for row in reader.execute("EXPLAIN QUERY PLAN " + sql, parameters)]
    assert any(index in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
