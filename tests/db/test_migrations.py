"""Numbered steps: run once, in one transaction, never on a newer database."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.db import migrations
from gateway.db.migrations import Migration
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Configuration, Permanent

ONE = Migration(1, "one", "CREATE TABLE one (a INTEGER); -- the first;\nINSERT INTO one VALUES (1);\n")
TWO = Migration(2, "two", "-- a comment;\nCREATE TABLE two (\n  b TEXT DEFAULT 'x;'\n);\n")
BROKEN = Migration(2, "broken", "CREATE TABLE two (b TEXT);\nINSERT INTO absent VALUES (1);\n")


@pytest.fixture
def engine(tmp_path: Path):
    engine = SqliteEngine(tmp_path / "x.sqlite", schema="none")
    yield engine
    engine.close()


def test_steps_run_once_and_in_order(engine: SqliteEngine) -> None:
    with engine.transaction() as transaction:
        assert migrations.migrate(transaction, "x", (ONE,)) == 1
    with engine.transaction() as transaction:
        assert migrations.migrate(transaction, "x", (ONE, TWO)) == 1
        assert migrations.migrate(transaction, "x", (ONE, TWO)) == 0
    with engine.reading() as reader:
        assert reader.execute("SELECT a FROM one") == [(1,)]
        assert reader.execute("SELECT number, name FROM schema_version") == [(1, "one"), (2, "two")]


def test_a_failing_step_leaves_nothing(engine: SqliteEngine) -> None:
    with pytest.raises(Permanent), engine.transaction() as transaction:
        migrations.migrate(transaction, "x", (ONE, BROKEN))
    with engine.reading() as reader:
        tables = {name for (name,) in reader.execute("SELECT name FROM sqlite_schema")}
    assert tables == {"schema_version"}


def test_a_newer_database_is_refused_untouched(engine: SqliteEngine) -> None:
    with engine.transaction() as transaction:
        migrations.migrate(transaction, "x", (ONE, TWO))
    with pytest.raises(Configuration, match="schema 2, this program knows 1"), engine.transaction() as transaction:
        migrations.migrate(transaction, "x", (ONE,))
    with engine.reading() as reader:
        assert reader.execute("SELECT count(*) FROM schema_version") == [(2,)]


@pytest.mark.parametrize("schema", ["record", "journal"])
def test_the_shipped_steps_are_numbered_without_gaps_and_run(schema: str, tmp_path: Path) -> None:
    steps = migrations.known(schema)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    engine = SqliteEngine(tmp_path / "y.sqlite", schema=schema)
    with engine.reading() as reader:
        assert reader.execute("SELECT count(*) FROM schema_version") == [(len(steps),)]
    engine.close()


def test_statements_are_split_at_their_ends() -> None:
    text = "CREATE TABLE a (b TEXT DEFAULT ';');\n-- note;\nCREATE TABLE c (d);\n-- the end\n"
    assert len(list(migrations.statements(text))) == 2
