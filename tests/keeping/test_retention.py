"""What goes and what stays: nothing owed, nothing unfinished, nothing held. The disk gets its room back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.db.engine import Engine
from gateway.errors import Configuration, Permanent
from gateway.fhir import bundle
from gateway.journal.bodies import Bodies
from gateway.journal.intake import add
from gateway.journal.outbox import Outbox
from gateway.journal.work import Work
from gateway.keeping import hold
from gateway.keeping.retention import Gone, Sweep
from gateway.model import Change, Receipt, Retention
from gateway.store.record import Record
from gateway.store.stored import Applied
from tests.engines import Engines
from tests.journal.databases import NOW, frame, verdict
from tests.store.samples import MRN, patient, put

LATER = datetime.now(UTC) + timedelta(days=400)  # the product stamps what it does with the clock of this machine
ALL = Retention(messages=365, deliveries=365, history=365)


@dataclass
class Place:
    """A data directory, and what a worker does in it."""

    data: Path
    journal: Engine
    record: Engine

    def entry(self, control_id: str, *, key: str = "", body: bytes = b"MSH|", accepted: bool = True) -> int:
        brought = Bodies(self.data).keep(frame(body))
        with self.journal.transaction() as transaction:
            said = verdict(control_id, key=key, accepted=accepted)
            return add(transaction, [(brought, said)])[0].entry_id

    def work(self, finish: Callable[..., None] | None = None) -> None:
        """Everything that is due: done, each with a version of its own patient, or as `finish` says."""
        with self.record.transaction() as transaction, self.journal.reading() as arrived:
            for job in Work().pending(transaction, arrived, now=NOW, limit=100):
                if finish:
                    finish(transaction, job)
                    continue
                made = self.apply(transaction, job.key or "nobody", job.entry.id)
                Work().done(transaction, job, made.transaction)

    def apply(self, transaction, number: str, entry: int) -> Applied:  # type: ignore[no-untyped-def]
        one = {**patient(number), "birthDate": f"19{entry % 90 + 10}-01-01"}
        return Record(self.record).apply(
            transaction, bundle.transaction([put(one, "urn:uuid:p")]), at=NOW, entry_id=entry
        )

    def patient(self, number: str) -> str:
        (match,) = Record(self.record).search("Patient", f"identifier={MRN}|{number}").matches
        return match.id

    def owe(self, change: Change, *, sent: bool) -> int:
        with self.record.transaction() as transaction:
            owed = Outbox().owe(transaction, "s", "", change)
            if sent:
                (delivery,) = (each for each in Outbox().due(transaction, "s", now=NOW, limit=100) if each.id == owed)
                Outbox().sent(transaction, delivery, Receipt(code="AA", body=b"", at=datetime.now(UTC)))
        return owed

    def sweep(self, settings: Retention = ALL, *, dry: bool = False) -> Gone:
        run = Sweep(
            journal=self.journal, record=self.record, bodies=Bodies(self.data), settings=settings, now=LATER, dry=dry,
            pause=lambda _: None,
        )  # fmt: skip
        return run.run(by="tester")

    def ids(self, sql: str, *, journal: bool = False) -> list[int]:
        with (self.journal if journal else self.record).reading() as reader:
            return [row[0] for row in reader.execute(sql)]

    @property
    def entries(self) -> list[int]:
        return self.ids("SELECT id FROM entry ORDER BY id", journal=True)


@pytest.fixture
def place(tmp_path: Path, engines: Engines) -> Iterator[Place]:
    found = Place(tmp_path, engines.open(tmp_path, "journal"), engines.open(tmp_path, "record"))
    yield found
    found.journal.close()
    found.record.close()


def test_what_is_done_goes_and_what_waits_stays(place: Place) -> None:
    done = place.entry("A", key="k1")
    refused = place.entry("B", accepted=False)
    place.work()
    dead = place.entry("C")
    place.work(lambda transaction, job: Work().dead(transaction, job, Permanent("x")))
    parked = place.entry("D")
    place.work(lambda transaction, job: Work().parked(transaction, job, Configuration("x")))
    waits = place.entry("E", key="k2")
    assert place.sweep(dry=True).entries == 2
    assert place.entries == [done, refused, dead, parked, waits]
    gone = place.sweep()
    assert (gone.entries, gone.held) == (2, 0)
    assert place.entries == [dead, parked, waits]
    assert place.ids("SELECT entry FROM work ORDER BY entry") == [dead, parked]
    assert place.sweep().entries == 0
    place.work()
    assert place.sweep().entries == 1  # done by now
    assert place.ids("SELECT entries FROM retention_run ORDER BY number") == [2, 0, 1]


def test_what_is_young_stays_and_nothing_goes_unasked(place: Place) -> None:
    place.entry("A")
    place.work()
    assert place.sweep(Retention()) == Gone(freed=0)
    assert place.sweep(Retention(messages=36_500)).entries == 0
    assert len(place.entries) == 1


def test_codes_that_are_to_be_translated_again_keep_their_message(place: Place) -> None:
    kept = place.entry("A")
    place.work()
    with place.record.transaction() as transaction:
        row = (kept, "t", "c", "m", "", 1, 1, 1)
        transaction.execute("INSERT INTO unknown_code VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    assert place.sweep().entries == 0
    with place.record.transaction() as transaction:
        transaction.execute("UPDATE unknown_code SET again = 0")
    assert place.sweep().entries == 1
    assert place.ids("SELECT entry FROM unknown_code") == []


def test_versions_that_were_replaced_go_unless_something_is_owed_of_them(place: Place) -> None:
    for number in range(3):
        place.entry(f"A{number}", key="k1")
        place.work()
    who = place.patient("k1")
    owed = place.owe(Change(type="Patient", id=who, version=1, transaction=1, interaction="create"), sent=False)
    sent = place.owe(Change(type="Patient", id=who, version=2, transaction=2, interaction="update"), sent=True)
    gone = place.sweep()
    assert (gone.versions, gone.deliveries) == (0, 1)
    assert place.ids("SELECT id FROM delivery") == [owed]
    assert sent not in place.ids("SELECT id FROM delivery")
    with place.record.transaction() as transaction:
        transaction.execute("DELETE FROM delivery")
    assert place.sweep().versions == 2
    stored = Record(place.record).read("Patient", who)
    assert stored is not None
    assert stored.version == 3


def test_a_large_file_goes_with_its_last_message(place: Place) -> None:
    body = b"x" * 9 * 2**20
    place.entry("A", body=body)
    place.work()
    again = place.entry("B", body=body)
    (file,) = (path for path in (place.data / "bodies").rglob("*") if path.is_file())
    os.utime(file, (1, 1))
    assert place.sweep().files == 0
    assert place.entries == [again]
    assert file.exists()
    place.work()
    assert place.sweep().files == 1
    assert not file.exists()


def test_a_large_file_that_was_brought_again_just_now_stays(place: Place) -> None:
    body = b"x" * 9 * 2**20
    place.entry("A", body=body)
    place.work()
    (file,) = (path for path in (place.data / "bodies").rglob("*") if path.is_file())
    os.utime(file, (1, 1))
    Bodies(place.data).keep(frame(body))  # on the disk, not yet written down as an entry
    assert place.sweep().files == 0
    assert file.read_bytes() == body


def test_a_held_patient_keeps_all_that_is_theirs_and_a_held_entry_itself(place: Place) -> None:
    mine = [place.entry(f"A{number}", key="k1") for number in range(2)]
    place.work()
    others = [place.entry(f"B{number}", key="k2") for number in range(2)]
    place.work()
    unchanged = place.entry("C", key="k1")  # nothing new in it: only its number tells whose it is
    place.work(lambda transaction, job: Work().done(transaction, job, None))
    who = place.patient("k1")
    place.owe(Change(type="Patient", id=who, version=1, transaction=1, interaction="create"), sent=True)
    with place.record.transaction() as transaction:
        first = hold.hold(transaction, "patient", who, reason="a lawsuit", by="office")
        second = hold.hold(transaction, "entry", str(others[0]), reason="a question", by="office")
    gone = place.sweep(dry=True)
    assert gone == place.sweep() or gone.entries == 0
    assert place.entries == [*mine, *others, unchanged]  # k2 came under the number of a held entry
    assert len(place.ids("SELECT id FROM delivery")) == 1
    with place.record.transaction() as transaction:
        hold.release(transaction, second, by="office")
        with pytest.raises(Configuration, match="no such hold"):
            hold.release(transaction, second, by="office")
    gone = place.sweep()
    assert place.entries == [*mine, unchanged]
    assert gone.held >= 4
    with place.record.transaction() as transaction:
        hold.release(transaction, first, by="office")
    place.sweep()
    assert place.entries == []
    with place.record.reading() as reader:
        told = hold.listed(reader)
    assert [(each.reason, each.held_by, each.released_by) for each in told] == [
        ("a lawsuit", "office", "office"),
        ("a question", "office", "office"),
    ]


def test_who_was_merged_is_held_too(place: Place) -> None:
    place.entry("A", key="k1")
    place.work()
    place.entry("B", key="k2")
    place.work()
    one, two = place.patient("k1"), place.patient("k2")
    with place.record.transaction() as transaction:
        transaction.execute("UPDATE resource SET survivor = ? WHERE id = ?", (two, one))
        hold.hold(transaction, "patient", two, reason="x", by="office")
        assert hold.held(transaction).patients == {one, two}
    assert place.sweep().entries == 0


def test_a_hold_needs_something_that_is_there(place: Place) -> None:
    with place.record.transaction() as transaction:
        for kind, target, reason in (("patient", "nobody", "x"), ("entry", "x", "x"), ("entry", "1", " ")):
            with pytest.raises(Configuration):
                hold.hold(transaction, kind, target, reason=reason, by="office")


def test_the_disk_gets_its_room_back_and_nobody_waits_long(place: Place, engines: Engines) -> None:
    with place.journal.transaction() as transaction:
        add(transaction, [(frame(os.urandom(4000)), verdict(f"M{n}", accepted=False)) for n in range(2000)])
    gone = place.sweep()
    assert gone.entries == 2000
    assert gone.longest < 0.5
    if engines.kind == "sqlite":
        assert gone.freed > 6_000_000
        place.journal.checkpoint()  # type: ignore[attr-defined]
        assert (place.data / "journal.sqlite").stat().st_size < 2_000_000
