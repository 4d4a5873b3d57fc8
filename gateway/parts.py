"""Large files, batch by batch, each in a turn of its own: which rows come next, and what became of them.

How far a file is tells the record (journal/progress.py), which commits it together with the resources. The file that is
open here is only read on where it stands at the same place; else, after a crash or a batch that was undone, it is
opened again and read up to there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from gateway.codec.table import Row
from gateway.db.engine import Transaction
from gateway.db.scratch import Scratch
from gateway.errors import Configuration, HutongError, Permanent, Transient
from gateway.formats import Formats
from gateway.formats.bulk import Bulk, bulk
from gateway.formats.exports import digest
from gateway.formats.look import Hidden
from gateway.journal import progress, unknown
from gateway.journal.bodies import Bodies
from gateway.journal.progress import SHOWN, Progress
from gateway.mapping.batches import Item
from gateway.mapping.export_records import Carried
from gateway.mapping.translation import Translation
from gateway.model import Channel, Entry, Reject, Resource
from gateway.worker import Processed

ROWS = 200  # of a batch: others wait for it
SKIPPED = 100  # batches that are done already, in one turn

# A translation, and by fullUrl what it was before codes became known → the record transaction.
Apply = Callable[[Translation, dict[str, Resource]], "int | None"]


@dataclass(slots=True)
class _Open:
    """A file that is being read. `given`: batches."""

    entry: int
    bulk: Bulk
    scratch: Scratch
    people: Scratch
    batches: Iterator[list[Item]]
    given: int = 0

    def next(self, done: int) -> list[Item] | None:
        """The batch behind those that are done; [] while it cannot be given yet, None at the end."""
        for _ in range(SKIPPED):
            rows = next(self.batches, None)
            self.given += bool(rows)
            if not rows or self.given > done:
                return rows
            self.bulk.remember(rows, self.people)
        return []


@dataclass(slots=True)
class Parts:
    """Of one worker: one file is open at a time. Not for several threads."""

    bodies: Bodies
    _open: _Open | None = field(default=None, init=False)

    def process(
        self, transaction: Transaction, entry: Entry, *, formats: Formats, channel: Channel | None, apply: Apply,
        better: Hidden,
    ) -> Processed | None:  # fmt: skip
        """One turn; None for a file that is read as a whole. `better`: codes that are known by now and were not when it
        was worked off before. Raises HutongError where it cannot be read."""
        opened = self._opened(entry, formats, channel)
        if opened is None:
            return None
        before = progress.of(transaction, entry.id, opened.bulk.way)
        if opened.given > before.batches:  # the last batch was undone
            self.close()
            return self.process(transaction, entry, formats=formats, channel=channel, apply=apply, better=better)
        rows = opened.next(before.batches)
        if rows is None:
            self.close()
            progress.end(transaction, entry.id)
            unknown.ended(transaction, entry.id)
            held = set_aside(before.aside, before.cells, before.places, before.causes)
            return Processed(before.committed, held)
        if not before.batches:
            unknown.begun(transaction, entry.id)
        after = _Batch(transaction, entry, opened, before, apply, better).done(rows) if rows else before
        progress.note(transaction, entry.id, after)
        return Processed(after.committed, more=_told(after))

    def close(self) -> None:
        """Gives the open file back."""
        if self._open is not None:
            self._open.scratch.close()
            self._open.people.close()
            self._open = None

    def _opened(self, entry: Entry, formats: Formats, channel: Channel | None) -> _Open | None:
        if self._open is not None and self._open.entry == entry.id and self._open.bulk.formats is formats:
            return self._open
        self.close()
        source, size = self.bodies.opened(entry.frame.stored), entry.frame.size
        member = formats.member(entry.member)
        found = bulk(formats, source, size, channel=channel, member=member, format=entry.format, rows=ROWS)
        if found is None:
            return None
        scratch = Scratch()
        self._open = _Open(entry.id, found, scratch, Scratch(), found.batches(scratch))
        return self._open


@dataclass(frozen=True, slots=True)
class _Batch:
    """The rows of one turn become resources: all of them, or, where one record cannot, the others."""

    transaction: Transaction
    entry: Entry
    opened: _Open
    before: Progress
    apply: Apply
    better: Hidden

    def done(self, rows: list[Item]) -> Progress:
        """How far the file is then."""
        carried = self._carried()
        self.transaction.execute("SAVEPOINT batch")
        try:
            made = [self._applied(rows, carried)]
        except Transient:
            raise
        except HutongError:
            self.transaction.execute("ROLLBACK TO batch")
            carried = self._carried()
            made = list(self._one_by_one(rows, carried))
        self.transaction.execute("RELEASE batch")
        return self.before.after(
            rows=sum(isinstance(each, Row) for each in rows),
            counted=carried.counted,
            rejects=[reject for _, rejects in made for reject in rejects],
            committed=max((number for number, _ in made if number), default=None),
        )

    def _carried(self) -> Carried:
        before = self.before
        return Carried(batch=before.batches, counted=dict(before.counted), people=self.opened.people)

    def _one_by_one(self, rows: list[Item], carried: Carried) -> Iterator[tuple[int | None, Sequence[Reject]]]:
        for number, record in enumerate(self.opened.bulk.records(rows)):
            carried.batch, carried.within = self.before.batches, f".{number}"
            counted = carried.counted
            self.transaction.execute("SAVEPOINT record")
            try:
                yield self._applied(record, carried)
            except (Configuration, Permanent) as error:
                self.transaction.execute("ROLLBACK TO record")
                carried.counted = counted
                sheet = self.opened.bulk.table.sheet
                yield (
                    None,
                    [Reject(place=sheet, row=each.number, column="", cause=error.cause, value="") for each in record],
                )
            self.transaction.execute("RELEASE record")

    def _applied(self, rows: list[Item], carried: Carried) -> tuple[int | None, Sequence[Reject]]:
        """(the record transaction, what was set aside)."""
        named, when = digest(self.entry), self.entry.frame.received_at
        earlier: dict[str, Resource] = {}
        if self.better:
            again = replace(carried, counted=dict(carried.counted))
            made = self.opened.bulk.translated(rows, again, control_id=named, when=when, hidden=self.better)
            earlier = {each["fullUrl"]: each["resource"] for each in made.bundle.get("entry", ())}
        made = self.opened.bulk.translated(rows, carried, control_id=named, when=when)
        return self.apply(made, earlier), made.rejects


def _told(standing: Progress) -> str:
    """For people: how far it is."""
    aside = f", {standing.aside} were set aside" if standing.aside else ""
    return f"{standing.rows} of its rows are done{aside}; the rest follows"


def held(rejects: Sequence[Reject]) -> Configuration | None:
    """The error for the rows of a file that are not in its Bundle; None where all are."""
    cells = sum(each.cell for each in rejects)
    places = (f"{each.place} {each.row}".strip() for each in rejects)
    return set_aside(len(rejects) - cells, cells, places, dict.fromkeys(each.cause for each in rejects))


def set_aside(rows: int, cells: int, places: Iterable[str], causes: Iterable[str]) -> Configuration | None:
    """Rows that are not in the Bundle, or not with all their cells, wait for a person; the others flow."""
    if not rows and not cells:
        return None
    counted = ((rows, "of its rows were set aside"), (cells, "of its cells were left out"))
    what = " and ".join(f"{count} {words}" for count, words in counted if count)
    shown = list(places)
    lines = ", ".join(shown[:SHOWN]) + (" …" if len(shown) > SHOWN else "")
    return Configuration(
        f"{what}: {'; '.join(causes)[:300]}",
        place=f"line {lines}",
        remedy="the other rows are stored; mend the map and replay it, or let the sender mend the rows and send them",
    )
