"""The code tables of the edition in use are written into the record, as CodeSystem, ValueSet and ConceptMap.

The worker does it beside its work, in small transactions, and only where the edition differs from the one that the
record holds: `TerminologyCapabilities/hutong` says which that is. What differs becomes a new version, and is owed to
whom it concerns; a table that is gone is `retired`, so that what was coded by it can still be read. What a client has
put in the place of one of them (its meta.source is not ours) is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from gateway import telemetry
from gateway.db.engine import Engine, Transaction
from gateway.formats import Formats
from gateway.mapping import charts
from gateway.mapping.charts.members import MAPS, SYSTEMS
from gateway.mapping.charts.tables import PUBLISHER
from gateway.model import Change, Resource
from gateway.store.exchange import Asked
from gateway.store.record import Record

STATEMENT: Final = ("TerminologyCapabilities", "hutong")
SOURCE: Final = "urn:hutong:tables"  # meta.source of what is written here
BATCH: Final = 100  # resources of one transaction: the worker waits for it less than a message takes
_OF_MEMBERS: Final = (f"{SYSTEMS}-", f"{MAPS}-")
_OWN: Final = ("CodeSystem", "ConceptMap")
_OURS: Final = frozenset({"version", "date", "meta"})  # what we say of a resource, not what is in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """The tables of one edition on their way into the record."""

    engine: Engine
    formats: Formats
    owe: Callable[[Transaction, Change], None] = lambda transaction, change: None
    stopped: Callable[[], bool] = lambda: False

    def write(self) -> int:
        """How many resources were written; 0 when the record holds this edition. Raises Transient."""
        members = tuple(self.formats.community.members.values())
        library = self.formats.maps.library
        maps, lists = charts.fingerprints(library, members)
        stored = Record(self.engine).read(*STATEMENT)
        held, _, held_lists = str(stored.resource.get("version", "") if stored else "").partition(".")
        if (held, held_lists) == (maps, lists):
            return 0
        every = charts.of_members(library, members) if held == maps else charts.every(library, members)
        written, kept = 0, set()
        while batch := list(islice(every, BATCH)):
            if self.stopped():
                return written
            kept |= {(each["resourceType"], each["id"]) for each in batch}
            written += self._written(batch)
        written += self._written(list(self._gone(kept, of=_OF_MEMBERS if held == maps else ("",))))
        self._written([_statement(f"{maps}.{lists}")])
        telemetry.logger().info("code tables written", count=written)
        return written

    def _written(self, batch: list[Resource]) -> int:
        """Those that differ from what is stored become new versions, in one transaction."""
        record, now = Record(self.engine), datetime.now(UTC)
        asked = []
        with self.engine.reading() as reader:
            for each in batch:
                stored = record.read(each["resourceType"], each["id"], reader=reader)
                before = stored.resource if stored else {}
                if _same(before, each) or (before and before["meta"].get("source") != SOURCE):
                    continue
                each = {**each, "meta": {"source": SOURCE}}
                if "version" not in each:
                    each = {"date": now.date().isoformat(), **each, "version": _next(before)}
                asked.append(Asked(method="PUT", type=each["resourceType"], id=each["id"], resource=each))
        if not asked:
            return 0
        with self.engine.transaction() as transaction:
            for change in record.exchange(transaction, asked, at=now).changes:
                self.owe(transaction, change)
        return len(asked)

    def _gone(self, kept: set[tuple[str, str]], *, of: tuple[str, ...]) -> Iterator[Resource]:
        """Tables of ours that this edition does not have, of those with an id that begins so."""
        record = Record(self.engine)
        for kind in _OWN:
            cursor = ""
            while True:
                query = [("publisher:exact", PUBLISHER), ("status", "active"), ("_count", "500")]
                page = record.search(kind, [*query, *([("_cursor", cursor)] if cursor else [])])
                for each in page.matches:
                    resource = each.resource
                    there = (kind, each.id) in kept or not each.id.startswith(of)
                    if not there and resource["meta"].get("source") == SOURCE:
                        told = {key: value for key, value in resource.items() if key not in _OURS}
                        yield {**told, "status": "retired"}
                if not (cursor := page.next or ""):
                    break


def written(engine: Engine) -> bool:
    """Does the record hold the tables of any edition?"""
    stored = Record(engine).read(*STATEMENT)
    return stored is not None and not stored.deleted


def _same(stored: Resource, made: Resource) -> bool:
    """Is there nothing to write? A version or date that R4 itself gives counts too."""
    left_out = _OURS - made.keys()
    return {key: value for key, value in stored.items() if key not in left_out} == made


def _next(stored: Resource) -> str:
    number = str(stored.get("version", ""))
    return str(int(number) + 1) if number.isascii() and number.isdigit() and len(number) < 10 else "1"


def _statement(edition: str) -> Resource:
    return {
        "resourceType": STATEMENT[0],
        "id": STATEMENT[1],
        "url": "urn:hutong:tables",
        "version": edition,
        "name": "HutongTables",
        "title": "The code tables of the maps and of members: the edition that the record holds",
        "status": "active",
        "date": datetime.now(UTC).date().isoformat(),
        "publisher": PUBLISHER,
        "kind": "capability",
        "software": {"name": "Hutong"},
    }
