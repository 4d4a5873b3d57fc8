"""The list of pairs and the log: asked once, decided once, nothing taken out; on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.db.engine import Engine
from gateway.identity import review
from tests.engines import Engines


@pytest.fixture
def engine(engines: Engines, tmp_path: Path) -> Iterator[Engine]:
    engine = engines.open(tmp_path, "record")
    yield engine
    engine.close()


def asked(engine: Engine, one: str, other: str, odds: float) -> None:
    with engine.transaction() as transaction:
        review.ask(transaction, one, other, odds=odds, reasons=("name-equal", "birth-equal"), entry=7, at=1000)


def test_a_pair_is_asked_once_and_the_likeliest_comes_first(engine: Engine) -> None:
    asked(engine, "b", "a", 4.5)
    asked(engine, "a", "b", 9.0)
    asked(engine, "c", "a", 7.25)
    with engine.reading() as reader:
        pairs = review.listed(reader)
        assert [(each.one, each.other, each.odds) for each in pairs] == [("a", "c", 7.25), ("a", "b", 4.5)]
        assert (review.count(reader), pairs[0].entry, pairs[0].reasons) == (2, 7, ("name-equal", "birth-equal"))
        assert review.numbered(reader, pairs[0].number) == pairs[0]
        assert review.numbered(reader, 99) is None
        assert [each.other for each in review.of_patient(reader, "a")] == ["b", "c"]


def test_what_is_decided_is_never_asked_again(engine: Engine) -> None:
    asked(engine, "a", "b", 4.5)
    with engine.transaction() as transaction:
        review.decide(transaction, "b", "a", "apart", by="李主任", why="papers", at=2000)
        review.decide(transaction, "c", "a", "same", by="李主任", why="papers", at=2000)  # nobody had asked
    asked(engine, "b", "a", 9.0)
    with engine.reading() as reader:
        assert review.listed(reader) == []
        assert review.decided_apart(reader, {"a"}) == {"b"}
        assert review.decided_apart(reader, {"c"}) == set()
    with engine.transaction() as transaction:
        review.decide(transaction, "a", "b", "same", by="张主任", why="other papers", at=3000)
    with engine.reading() as reader:
        assert review.decided_apart(reader, {"a"}) == set()


def test_the_log_keeps_everything(engine: Engine) -> None:
    with engine.transaction() as transaction:
        for number, deed in enumerate(("merge", "unmerge", "merge")):
            review.log(transaction, deed, "a", "b", by="李主任", why="papers", at=number, entry=None)
        review.log(transaction, "apart", "c", "d", by="李主任", why="", at=9)
    with engine.reading() as reader:
        assert [each.deed for each in review.deeds(reader, patient="b")] == ["merge", "unmerge", "merge"]
        assert [each.one for each in review.deeds(reader, limit=2)] == ["c", "a"]
