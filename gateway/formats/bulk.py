"""Large exports: a Bundle for each batch of rows, in constant memory.

All rows are first put on disk, read once: so nothing of a file is believed whose end is broken, and the rows of one
record (a report) that lie far apart are brought together. Text whose keys show at a glance is looked at before, and
spared that where its records are whole. What cannot be read in batches (messages, small files, maps in which a row
depends on rows anywhere else) is read as a whole.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway.codec import charset
from gateway.codec.json import Number
from gateway.codec.node_stream import NodeStream
from gateway.codec.table import Reject as Misfit
from gateway.codec.table import Row, TableStream
from gateway.codec.text_stream import LARGE, Opened
from gateway.db.scratch import Scratch
from gateway.errors import HutongError, Permanent
from gateway.formats import record_streams
from gateway.formats.exports import facility, reject_of
from gateway.formats.look import STRANGER, Hidden, Look
from gateway.formats.record_streams import Cells
from gateway.mapping.batches import SIZE, Batching, Item, cut
from gateway.mapping.export_records import Carried, Part
from gateway.mapping.recurring import People
from gateway.mapping.translation import Translation
from gateway.model import STREAMED, Channel, Member

if TYPE_CHECKING:
    from gateway.formats import Formats

LARGEST = 4 << 30
BREATH = 20_000  # rows that are looked at in one go
_APART = "\x1f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """A large table, or the nodes of a large tree, its map, and how it is cut."""

    formats: Formats
    member: Member
    name: str  # of the map
    table: TableStream
    batching: Batching
    notes: tuple[str, ...] = ()
    tree: NodeStream | None = None  # that the nodes stand in
    size: int = SIZE

    @property
    def told(self) -> str:
        """What stands before a note on it."""
        return f"{self.table.sheet}: " if self.table.kind == "workbook" else ""

    def batches(self, scratch: Scratch) -> Iterator[list[Item]]:
        """All rows, and what is none. An empty batch now and then while there is no other yet: somebody else may have
        a turn. Raises Permanent for a limit that is passed."""
        whole = self.table.cells is not None and not (yield from self._apart(self.table.cells, scratch))
        if not whole:
            scratch.forget()
            yield from self._gather(scratch)
        items = self.table.items() if whole else self._gathered(scratch)
        yield from cut(items, self.batching.key_of, size=self.size)

    def _apart(self, keys: Cells, scratch: Scratch) -> Generator[list[Item], None, bool]:
        """Do the rows of any record stand in several places?"""
        last = ""
        for number, cells in enumerate(keys(self.batching.key) if self.batching.key else ()):
            if number % BREATH == 0:
                yield []
            if (key := _APART.join(cells)) != last:
                if any(cells) and scratch.first(key, number) != number:
                    return True
                last = key
        return False

    def _gather(self, scratch: Scratch) -> Iterator[list[Item]]:
        """Puts the rows of each record behind its first one, on disk."""
        for count, item in enumerate(self.table.items()):
            if count % BREATH == 0:
                yield []
            if isinstance(item, Row):
                key = self._key(item)
                place = scratch.first(key, item.number) if key else item.number
                kept = [*item.cells.values()] if self.table.columns else (item.cells, item.size)
                scratch.add(place, item.number, _packed(kept))
            else:
                scratch.add(item.number, item.number, marshal.dumps((item.cause, item.cells, "misfit")))

    def _gathered(self, scratch: Scratch) -> Iterator[Item]:
        for number, body in scratch.ordered():
            kept = marshal.loads(body)  # noqa: S302 - no other program can write there
            if isinstance(kept, list):
                yield Row(number, dict(zip(self.table.columns, kept, strict=True)))
            elif len(kept) == len(("node", "size")):
                yield Row(number, *kept)
            else:
                yield Misfit(number, *kept[:2])

    def _key(self, row: Row) -> str:
        parts = self.batching.key_of(row)
        return _APART.join(parts) if any(parts) else ""

    @property
    def way(self) -> str:
        """What the batches depend on besides the bytes: where it is the same, so are they."""
        told = (self.name, *self.batching.key, "", *self.table.columns, self.table.charset, self.table.delimiter)
        return hashlib.sha256(_APART.join((*told, str(self.size))).encode()).hexdigest()[:16]

    def records(self, batch: list[Item]) -> Iterator[list[Item]]:
        """Each record of a batch alone."""
        return cut(batch, self.batching.key_of, size=1)

    def remember(self, batch: list[Item], people: People) -> None:
        """Whom the numbers of a batch that is done already were given to."""
        self.formats.maps.of(self.member.profile).exports.remember(self._part(batch), people)

    def _part(self, batch: list[Item]) -> Part:
        rows = [item for item in batch if isinstance(item, Row)]
        return Part(
            name=self.name, records=[row.cells for row in rows], numbers=[row.number for row in rows],
            place=self.table.sheet, root=self.tree.root if self.tree else None,
        )  # fmt: skip

    def translated(
        self, batch: list[Item], carried: Carried, *, control_id: str, when: datetime, hidden: Hidden = frozenset()
    ) -> Translation:
        """The valid Bundle of a batch. Raises Permanent for what cannot be mended."""
        part = self._part(batch)
        made = self.formats.maps.of(self.member.profile).exports.to_fhir(
            [part], profile=self.member.profile, facility=facility(self.member), control_id=control_id, when=when,
            carried=carried, hidden=hidden,
        )  # fmt: skip
        ragged = [reject_of(self.table.sheet, item) for item in batch if isinstance(item, Misfit)]
        rejects = sorted((*ragged, *made.rejects), key=lambda each: each.row)
        return self.formats.checked(replace(made, rejects=tuple(rejects)))


def _packed(kept: Any) -> bytes:
    try:
        return marshal.dumps(kept)
    except ValueError:
        return marshal.dumps(_plain(kept))


def _plain(node: Any) -> Any:
    """With texts for its numbers, as they were written."""
    if isinstance(node, tuple):
        return tuple(map(_plain, node))
    if isinstance(node, dict):
        return {name: _plain(each) for name, each in node.items()}
    if isinstance(node, list):
        return [_plain(each) for each in node]
    return str(node) if isinstance(node, Number) else node


def look(formats: Formats, source: Opened, size: int, channel: Channel | None, owner: Member | None) -> Look | None:
    """At the door of a large file: its charset, its header and its map. None for one that is read as a whole."""
    member = formats.sender("", owner) or STRANGER
    seen = Look(member=member, format=channel.format if channel else "")
    try:
        found = bulk(formats, source, size, channel=channel, member=member, format=seen.format)
        if found and found.table.kind not in ("workbook", "ndjson"):  # seconds: whoever sent it is told at once
            for _ in found.table.items():
                pass
    except HutongError as error:
        return replace(seen, error=error)
    return replace(seen, charset=found.table.charset, kind=found.name) if found else None


def bulk(
    formats: Formats,
    source: Opened,
    size: int,
    *,
    channel: Channel | None,
    member: Member,
    format: str,
    rows: int = SIZE,
) -> Bulk | None:
    """A file of so many bytes, where it is to be read in batches of so many rows; None where it is not. Raises
    Configuration where no map knows it, Permanent where it cannot be read."""
    if format not in STREAMED or size < LARGE:
        return None
    if size > LARGEST:
        raise Permanent(f"the file is larger than {LARGEST} bytes", place="file", remedy="send it in parts", code="102")
    found = record_streams.known(formats, source, channel=channel, member=member, format=format)
    batching = formats.maps.exports.batching(found.name) if found else None
    if found is None or batching is None:
        if size > charset.SIZE_LIMIT:
            what = f"{size} bytes are more than the limit of {charset.SIZE_LIMIT} for a file that is read as a whole"
            raise Permanent(what, place="file", remedy="send it in parts", code="102")
        return None
    return Bulk(
        formats=formats, member=member, name=found.name, table=found.table, batching=batching, notes=found.notes,
        tree=found.tree, size=rows,
    )  # fmt: skip
