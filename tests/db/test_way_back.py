"""Every step forward has a way back: N → N+1 → N → N+1 over live rows leaves what both know as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.api.security import Tokens
from gateway.db import copying, migrations
from gateway.db.engine import Engine, Reader
from gateway.db.migrations import Migration
from gateway.errors import Configuration
from gateway.journal.intake import add
from gateway.journal.outbox import Outbox
from gateway.journal.work import Work
from gateway.store.record import Record
from tests.engines import Engines
from tests.journal.databases import NOW, change, frame, verdict
from tests.store import samples

AT = datetime(2026, 3, 5, tzinfo=UTC)


def live(journal: Engine, record: Engine, number: int) -> None:
    """What the product writes: entries, resources in two versions, deliveries, a token, work that is done and waits."""
    with journal.transaction() as transaction:
        add(transaction, [(frame(f"MSH|{number}|{n}"), verdict(f"M{number}-{n}", key="k")) for n in range(3)])
    with record.transaction() as transaction, journal.reading() as arrived:
        work = Work()
        for job in work.pending(transaction, arrived, now=NOW, limit=2):
            sent = samples.laboratory(number, 1)
            work.done(transaction, job, Record(record).apply(transaction, sent, at=AT).transaction)
        Outbox().owe(transaction, "s", "k", change(f"o{number}"))
    Tokens(record).create(name=f"t{number}", scope="system/*.*")


def rows(reader: Reader, tables: dict[str, tuple[str, ...]]) -> dict[str, copying.Sum]:
    return {name: copying.summed(reader, name, columns) for name, columns in tables.items()}


def step_back(engine: Engine, steps: tuple[Migration, ...], to: int) -> None:
    with engine.transaction() as transaction:
        migrations.back(transaction, steps, to)


@pytest.mark.parametrize("schema", ["journal", "record"])
def test_every_step_is_rehearsed_on_live_rows(tmp_path: Path, engines: Engines, schema: str) -> None:
    journal, record = engines.open(tmp_path, "journal"), engines.open(tmp_path, "record")
    engine = journal if schema == "journal" else record
    steps = migrations.known(schema)
    live(journal, record, 1)
    for number in range(len(steps), 0, -1):
        with engine.reading() as reader:
            before = rows(reader, reader.tables())
        step_back(engine, steps, number - 1)
        with engine.reading() as reader:
            kept = dict(reader.tables())
            below = rows(reader, kept)
        assert all(below[name].rows == before[name].rows for name in below if name != copying.VERSION)
        with engine.transaction() as transaction:
            migrations.migrate(transaction, schema, steps[:number])
        with engine.reading() as reader:
            again = rows(reader, {name: columns for name, columns in kept.items() if name != copying.VERSION})
            assert {name: set(columns) for name, columns in reader.tables().items()}.keys() == before.keys()
        assert again == {name: each for name, each in below.items() if name != copying.VERSION}
        step_back(engine, steps, number - 1)
    with engine.transaction() as transaction:
        assert migrations.migrate(transaction, schema) == len(steps)
    journal.close()
    record.close()


def test_the_newest_step_back_and_forth_keeps_a_record_that_works(tmp_path: Path, engines: Engines) -> None:
    """Written before, after and after again by the product itself; read by it at the end."""
    journal, record = engines.open(tmp_path, "journal"), engines.open(tmp_path, "record")
    for schema, engine in (("journal", journal), ("record", record)):
        steps = migrations.known(schema)
        live(journal, record, 1 if schema == "journal" else 2)
        known = Record(record).statistics()
        step_back(engine, steps, len(steps) - 1)
        with engine.transaction() as transaction:
            assert migrations.migrate(transaction, schema) == 1
        assert Record(record).statistics() == known
        live(journal, record, 3 if schema == "journal" else 4)
    assert Record(record).statistics()["Patient"] == 4
    assert len(Record(record).search("Observation", "code=718-7").matches) >= 4
    journal.close()
    record.close()


def test_an_older_program_refuses_until_the_newer_one_went_back(tmp_path: Path, engines: Engines) -> None:
    record = engines.open(tmp_path, "record")
    steps = migrations.known("record")
    with pytest.raises(Configuration, match="knows"), record.transaction() as transaction:
        migrations.migrate(transaction, "record", steps[:-1])
    step_back(record, steps, len(steps) - 1)
    with record.transaction() as transaction:
        assert migrations.migrate(transaction, "record", steps[:-1]) == 0
    with pytest.raises(Configuration, match="no way back"):
        step_back(record, steps, len(steps))
    record.close()


def test_a_way_back_is_what_was_made_taken_away_or_a_file_of_its_own() -> None:
    made = Migration(1, "x", "CREATE TABLE a (b TEXT); -- a\nCREATE INDEX i ON a (b);\nINSERT INTO a VALUES ('1');\n")
    assert migrations.way_back(made) == ["DROP TABLE a"]
    more = Migration(2, "y", "ALTER TABLE a ADD COLUMN c TEXT;\nCREATE UNIQUE INDEX j ON a (c);\n")
    assert migrations.way_back(more) == ["DROP INDEX j", "ALTER TABLE a DROP COLUMN c"]
    moved = "UPDATE a SET c = b;\n"
    with pytest.raises(Configuration, match="cannot be undone"):
        migrations.way_back(Migration(3, "z", moved))
    assert migrations.way_back(Migration(3, "z", moved, "UPDATE a SET c = NULL;\n")) == ["UPDATE a SET c = NULL;"]


def test_what_going_back_forgets_is_told(tmp_path: Path, engines: Engines) -> None:
    record = engines.open(tmp_path, "record")
    steps = migrations.known("record")
    with record.reading() as reader:
        assert "token" not in migrations.forgotten(reader, steps, 2)
    Tokens(record).create(name="t", scope="system/*.*")
    with record.reading() as reader:
        assert migrations.forgotten(reader, steps, 2)["token"] == 1
        assert "token" not in migrations.forgotten(reader, steps, 3)
    record.close()
