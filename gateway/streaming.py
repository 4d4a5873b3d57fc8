"""`hutong translate` of files that are too large to be held: one transaction Bundle, written while the file is read.

What is made of one record alone (a report, its results) is written at once. What may recur further down (the patient,
the visit, the institution) waits on disk and is written at the end, once, with all that the file says of it: what an
earlier row left out, a later one adds. Memory does not grow with the file. Each entry is one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.codec.text_stream import LARGE, Opened, file
from gateway.db.scratch import Scratch
from gateway.fhir import json, validate
from gateway.formats import STRANGER, Formats
from gateway.formats.bulk import Bulk, bulk
from gateway.formats.written import NEVER, timed
from gateway.mapping.export_records import Carried
from gateway.mapping.same_number import unite
from gateway.model import STREAMED, Reject, Resource
from gateway.stateless import asked, channel_of, digest_of, formats_of, owner_of, told_of, way_of

_SEEN = 256 * 1024  # bytes by which a format is known
_REMEMBERED = 1000  # notes
_BEGIN = b'{\n  "resourceType": "Bundle",\n  "type": "transaction"'


@dataclass(slots=True, kw_only=True)
class Told:
    """Who is told what of the file while it is read."""

    note: Callable[[str], None]
    reject: Callable[[Reject], None]
    _known: set[str] = field(default_factory=set)

    def once(self, text: str) -> None:
        """The same is said once, as far as it is remembered."""
        if text not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known.add(text)
            self.note(text)


def is_large(path: Path) -> bool:
    """May it be a table that is too large to be held?"""
    if path.stat().st_size < LARGE:
        return False
    with path.open("rb") as opened:
        start = opened.read(_SEEN)
    return channel_of(start, path.name).format in STREAMED


def translate(
    path: Path, *, name: str, member: str | None, config: Path | None, channel: str, told: Told,
    map_folder: Path | None = None, through: Callable[[Opened], Opened] | None = None,
) -> Iterator[bytes] | None:  # fmt: skip
    """The pieces of the Bundle of a file, which is opened `through` what counts its bytes; None for one that is read as
    a whole. Raises HutongError."""
    formats = formats_of(config, member, map_folder)
    owner = owner_of(formats, asked(formats, member, map_folder))
    source = through(file(path)) if through else file(path)
    with source() as opened:
        start = opened.read(_SEEN)
    way = way_of(owner, channel) or channel_of(start, name)
    sender = formats.sender("", owner) or STRANGER
    found = bulk(formats, source, path.stat().st_size, channel=way, member=sender, format=way.format)
    return _written(formats, found, digest_of(source), told) if found else None


def _written(formats: Formats, found: Bulk, control_id: str, told: Told) -> Iterator[bytes]:
    for note in found.notes:
        told.once(note)
    yield _BEGIN
    count = 0
    with Scratch() as rows, Scratch() as waiting, Scratch() as people:
        for entry in _entries(found, control_id, told, rows, waiting, people):
            yield (b",\n    " if count else b',\n  "entry": [\n    ') + json.dumps(entry, finite=True)
            count += 1
    yield b"\n  ]\n}\n" if count else b"\n}\n"


def _entries(
    found: Bulk, control_id: str, told: Told, rows: Scratch, waiting: Scratch, people: Scratch
) -> Iterator[Resource]:
    carried = Carried(people=people)
    own = found.batching.own | {"Provenance"}
    for batch in found.batches(rows):
        if not batch:
            continue
        made = found.translated(batch, carried, control_id=control_id, when=NEVER)
        for reject in made.rejects:
            told.note(told_of(reject))
            told.reject(reject)
        for note in made.notes:
            told.once(note)
        for table, code in made.unknown:
            told.once(f"code table {table} does not know {code}")
        for entry in timed(made.bundle).get("entry", ()):
            if entry["resource"]["resourceType"] in own:
                yield entry
            else:
                _wait(entry, waiting)
    for note in found.table.told:
        told.once(f"{found.told}{note}")
    for body in waiting.kept():
        entry = json.loads(body)
        validate.check(entry["resource"])
        yield entry


def _wait(entry: dict[str, Any], waiting: Scratch) -> None:
    """Beside what was said of the same before."""
    url = entry["fullUrl"]
    before = waiting.get(url)
    body = json.dumps(entry, finite=True)
    if before is None:
        waiting.keep(url, body)
    elif before != body:
        kept = json.loads(before)
        unite(kept["resource"], json.loads(body)["resource"])
        if entry["request"]["method"] == "PUT":
            kept["request"] = entry["request"]
        after = json.dumps(kept, finite=True)
        if after != before:
            waiting.keep(url, after)
