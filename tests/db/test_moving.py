"""From SQLite to PostgreSQL and back: every row, every number, nothing twice; what is in the way is refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gateway.db import address, copying, moving, opening
from gateway.db.engine import Engine
from gateway.errors import Configuration, Permanent
from gateway.journal.outbox import Outbox
from tests.db.test_way_back import live
from tests.engines import Postgresql, Sqlite
from tests.journal.databases import change


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(address.ENVIRONMENT, raising=False)


def silent(schema: str, table: str, rows: int) -> None:
    """Nobody listens."""


def used(data: Path) -> None:
    with closing(opening.opened(data, "journal")) as journal, closing(opening.opened(data, "record")) as record:
        live(journal, record, 1)
        live(journal, record, 2)
        with journal.transaction() as transaction:  # retention: its numbers are not given again
            transaction.execute("DELETE FROM entry WHERE id = 6")


def content(data: Path) -> dict[str, dict[str, copying.Sum]]:
    found = {}
    for schema in opening.SCHEMAS:
        with closing(opening.opened(data, schema)) as engine, engine.reading() as reader:
            found[schema] = copying.sums(reader)
    return found


def test_a_copy_is_the_same_and_goes_on_counting(tmp_path: Path) -> None:
    used(tmp_path)
    (tmp_path / "copy").mkdir()
    with (
        closing(opening.opened(tmp_path, "journal")) as source,
        closing(Sqlite().open(tmp_path / "copy", "journal")) as target,
    ):
        told: list[tuple[str, int]] = []
        with source.reading() as reader:
            copying.copy(reader, target, lambda table, rows: told.append((table, rows)))
            with target.reading() as there:
                assert copying.same(reader, there)
            assert ("entry", 5) in told
            with pytest.raises(Configuration, match="not empty"):
                copying.copy(reader, target, lambda *_: None)
        with target.transaction() as transaction:
            assert transaction.counters()["entry"] == 6


def test_what_does_not_arrive_whole_does_not_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used(tmp_path)
    (tmp_path / "copy").mkdir()
    with (
        closing(opening.opened(tmp_path, "journal")) as source,
        closing(Sqlite().open(tmp_path / "copy", "journal")) as target,
    ):
        sums = iter([copying.Sum(1, "a"), copying.Sum(1, "b")])
        monkeypatch.setattr(copying, "summed", lambda *_: next(sums))
        with pytest.raises(Permanent, match="not the same"), source.reading() as reader:
            copying.copy(reader, target, lambda *_: None)
        with target.reading() as reader:
            assert reader.execute("SELECT count(*) FROM entry") == [(0,)]


def owes(engine: Engine) -> int:
    with engine.transaction() as transaction:
        return Outbox().owe(transaction, "s", "k", change("after"))


@pytest.mark.slow
def test_there_and_back_again(tmp_path: Path, postgresql: Postgresql) -> None:
    used(tmp_path)
    before = content(tmp_path)
    where = postgresql.address(tmp_path)
    moving.move(tmp_path, where, silent)
    assert address.remembered(tmp_path) == where
    assert not (tmp_path / "record.sqlite").exists()
    assert (tmp_path / "record.sqlite.moved").exists()
    assert content(tmp_path) == before
    with closing(opening.opened(tmp_path, "record")) as record:
        assert owes(record) == 3
    with closing(opening.opened(tmp_path, "journal")) as journal, closing(opening.opened(tmp_path, "record")) as record:
        live(journal, record, 3)
        with journal.reading() as reader:
            assert reader.execute("SELECT min(id) FROM entry WHERE control_id LIKE 'M3-%'") == [(7,)]
    after = content(tmp_path)
    with pytest.raises(Configuration, match="there already"):
        moving.move(tmp_path, where, silent)
    moving.move(tmp_path, "sqlite", silent)
    assert address.remembered(tmp_path) == ""
    assert content(tmp_path) == after
    with closing(opening.opened(tmp_path, "record")) as record:
        owes(record)
    with pytest.raises(Configuration, match="not empty"):  # PostgreSQL still holds what it held, and this grew
        moving.move(tmp_path, where, silent)


@pytest.mark.slow
def test_a_move_that_was_ended_half_way_is_taken_up(tmp_path: Path, postgresql: Postgresql) -> None:
    used(tmp_path)
    before = content(tmp_path)
    where = postgresql.address(tmp_path)
    journal, there = opening.opened(tmp_path, "journal"), opening.named(where, "journal")
    with closing(journal) as source, closing(there) as target, source.reading() as reader:
        copying.copy(reader, target, lambda *_: None)
    moving.move(tmp_path, where, silent)
    assert content(tmp_path) == before
