"""A backup taken while others write fits together, and what comes back is what was; damage is named, not served."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conformance.fault import until
from gateway.db import address, copying, opening
from gateway.errors import Configuration, Permanent
from gateway.journal.bodies import Bodies
from gateway.journal.intake import add
from gateway.journal.outbox import Outbox
from gateway.journal.work import Work
from gateway.keeping.backup import MANIFEST, back_up, restore
from tests.db.test_way_back import live
from tests.engines import Engines, Postgresql
from tests.journal.databases import NOW, change, frame, verdict


@pytest.fixture
def data(tmp_path: Path, engines: Engines) -> Iterator[Path]:
    """A data directory that was served from: rows, a large file, settings, a file that a member has not fetched yet."""
    folder = tmp_path / "data"
    folder.mkdir()
    if isinstance(engines, Postgresql):
        address.remember(folder, engines.address(folder))
    with closing(opening.opened(folder, "journal")) as journal, closing(opening.opened(folder, "record")) as record:
        live(journal, record, 1)
    Bodies(folder).keep(frame(b"x" * 9 * 2**20))
    for name in ("settings/state.json", "out/clinic/1.json", "metrics/front", "lock", "bodies/arriving/half"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def content(data: Path) -> dict[str, dict[str, copying.Sum]]:
    found = {}
    for schema in opening.SCHEMAS:
        with closing(opening.opened(data, schema)) as engine, engine.reading() as reader:
            found[schema] = copying.sums(reader)
    return found


@pytest.mark.parametrize("name", ["copy", "copy.tar"])
def test_what_comes_back_is_what_was(data: Path, tmp_path: Path, name: str) -> None:
    before = content(data)
    made = back_up(data, tmp_path / name, program="1")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([name, "data"])
    restore(tmp_path / name, tmp_path / "again")
    again = tmp_path / "again"
    assert content(again) == before
    assert (again / "settings/state.json").read_text() == "{}"
    assert (again / "out/clinic/1.json").exists()
    assert not (again / "metrics").exists()
    assert not (again / "lock").exists()
    assert not (again / address.REMEMBERED).exists()
    (body,) = (file for file in (again / "bodies").rglob("*") if file.is_file())
    assert body.read_bytes() == b"x" * 9 * 2**20
    assert made["schemas"] == {schema: sums["schema_version"].rows for schema, sums in before.items()}


def test_nothing_is_overwritten(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "copy", program="1")
    with pytest.raises(Configuration, match="there already"):
        back_up(data, tmp_path / "copy", program="1")
    with pytest.raises(Configuration, match="not empty"):
        restore(tmp_path / "copy", data)
    with pytest.raises(Configuration, match="nothing to back up"):
        back_up(tmp_path / "nowhere", tmp_path / "other", program="1")


@pytest.mark.parametrize("name", ["record.sqlite", "out/clinic/1.json"])
def test_a_flipped_bit_is_named(data: Path, tmp_path: Path, name: str) -> None:
    back_up(data, tmp_path / "copy", program="1")
    file = tmp_path / "copy" / name
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)
    with pytest.raises(Permanent, match="damaged") as caught:
        restore(tmp_path / "copy", tmp_path / "again")
    assert caught.value.place == name
    assert not (tmp_path / "again").exists()


def test_half_a_backup_and_a_newer_one_are_refused(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "copy", program="1")
    manifest = tmp_path / "copy" / MANIFEST
    text = manifest.read_text()
    manifest.write_text(text.replace('"record": ', '"record": 99'))
    with pytest.raises(Configuration, match="newer"):
        restore(tmp_path / "copy", tmp_path / "again")
    manifest.unlink()
    with pytest.raises(Permanent, match="no whole backup"):
        restore(tmp_path / "copy", tmp_path / "again")


def test_a_damaged_large_file_is_not_carried_on(data: Path, tmp_path: Path) -> None:
    (body,) = (file for file in (data / "bodies").rglob("*") if len(file.name) == 64)
    body.write_bytes(b"y")
    with pytest.raises(Permanent, match="large file is damaged"):
        back_up(data, tmp_path / "copy", program="1")
    assert not (tmp_path / "copy").exists()


def test_taken_under_load_both_databases_fit_together(data: Path, tmp_path: Path) -> None:
    """What was acknowledged before is in; the record knows of nothing that the journal lacks; what is done is owed."""
    journal, record = opening.opened(data, "journal"), opening.opened(data, "record")
    taken: list[int] = []
    stopped = threading.Event()

    def take() -> None:
        while not stopped.is_set():
            number = len(taken)
            with journal.transaction() as transaction:
                (written,) = add(transaction, [(frame(f"MSH|load|{number}" + "x" * 500), verdict(f"L{number}"))])
            taken.append(written.entry_id)
            time.sleep(0.002)

    def work() -> None:
        while not stopped.is_set():
            with record.transaction() as transaction, journal.reading() as arrived:
                for job in Work().pending(transaction, arrived, now=NOW, limit=20):
                    Outbox().owe(transaction, "s", "", change(str(job.entry.id)))
                    Work().done(transaction, job, None)
            time.sleep(0.002)

    threads = [threading.Thread(target=each) for each in (take, work)]
    for thread in threads:
        thread.start()
    try:
        assert until(lambda: len(taken) > 50) >= 0
        for number in range(2):
            promised = list(taken)
            back_up(data, tmp_path / f"copy{number}", program="1")
            restore(tmp_path / f"copy{number}", tmp_path / f"again{number}")
            fits_together(tmp_path / f"again{number}", promised)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
        journal.close()
        record.close()


def fits_together(data: Path, promised: list[int]) -> None:
    journal, record = opening.opened(data, "journal"), opening.opened(data, "record")
    with closing(journal), closing(record), journal.reading() as arrived, record.reading() as known:
        entries = {entry for (entry,) in arrived.execute("SELECT id FROM entry")}
        done = {entry for (entry,) in known.execute("SELECT entry FROM work WHERE state = 'done' AND entry > 3")}
        deliveries = known.execute("SELECT resource FROM delivery WHERE subscription = 's' AND version = 1")
        owed = {int(resource) for (resource,) in deliveries if resource.isdecimal()}
        (mark,) = known.execute("SELECT through FROM work_mark")[0]
    assert set(promised) <= entries
    assert done <= entries
    assert mark <= max(entries)
    assert {entry for entry in owed if entry > 3} == done
