"""A file there and back, cell by cell: what came back identical, in a normal form, or not at all.

A cell in another form is in a normal one where every line that reads its column makes the same of both (`2026/3/5` and
`2026-03-05`), or where `normal_forms.tsv` beside the export maps says what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.mapping import paths, runtime
from gateway.mapping.accounting.file_forms import declared, is_nothing
from gateway.mapping.accounting.roundtrip import Came, Value
from gateway.mapping.codetables import BUILT
from gateway.mapping.context import Context
from gateway.mapping.export_records import Part
from gateway.mapping.library import Library
from gateway.mapping.syntax import Block, Condition, Export, Line
from gateway.mapping.wording import unworded
from gateway.model import Profile, Reject

_CODED = ("coded", "diagnosis")  # read with a name beside: the sign of no code says nothing though something is made


@dataclass(frozen=True, slots=True)
class Reading:
    """A line that reads a column, and the path of its block."""

    block: Block
    line: Line


class Files:
    """Compares the records of one export that were sent with those that are written."""

    def __init__(self, export: Export, library: Library, profile: Profile, facility: str) -> None:
        self.export = export
        self.library = library
        self._profile = profile
        self._facility = facility
        self._read = runtime.cell if export.format == "table" else runtime.node
        self.mapped = _mapped(export, library)
        lead = next(each for each in export.blocks if each.type == export.lead and not each.element)
        self._key = lead.rows_by or ()

    def compare(self, sent: Part, written: Sequence[Any], root: Any, rejects: Sequence[Reject]) -> Iterator[Value]:
        """Every mapped cell of the records that were not set aside. `root`: of the tree that was written."""
        aside = {each.row for each in rejects if not each.cell and each.place == sent.place}
        told = [each for each in rejects if each.cell and each.place == sent.place]
        left: set[tuple[int | str, str]] = {(each.row, each.column) for each in told}
        left |= {(each.value, each.column) for each in told}
        numbers = sent.numbers or range(1, len(sent.records) + 1)
        records = [(number, each) for number, each in zip(numbers, sent.records, strict=True) if number not in aside]
        partners = _partners([each for _, each in records], written, self._keyed)
        for (number, record), (other, again) in zip(records, partners, strict=True):
            place = (
                f"{sent.place} row {number}, ".lstrip()
                if self.export.format == "table"
                else f"{self.export.each}[{number}]/"
            )
            for value in self._record(record, other, place):
                column = value.place.removeprefix(place)
                if value.came is Came.LOST and self._told(record, number, column, left):
                    yield Value(value.place, Came.LOST, "it could not be read, which was told")
                elif again and value.came is Came.LOST:
                    yield Value(value.place, Came.LOST, "another record said it otherwise")
                else:
                    yield value
        for name in (each for each in self.mapped.get("", ()) if each.startswith("/")):
            yield from self._cell("", name, sent.root, root, name)

    def _told(self, record: Any, number: int, column: str, left: set[tuple[int | str, str]]) -> bool:
        """Was something told of the cell, or of the one that it is read with? Of what several records say it is told
        once."""
        around, _, name = column.rpartition("/")
        readings = self.mapped.get(around, {}).get(name, ())
        beside = {f"{around}/{each.name}" if around else each.name for one in readings for each in one.line.sources}
        return any((number, each) in left or (self._read(record, each), each) in left for each in {column, *beside})

    def _keyed(self, record: Any) -> Any:
        return tuple(self._read(record, name) for name in self._key)

    def _record(self, sent: Any, written: Any, place: str) -> Iterator[Value]:
        """The cells of one record, and of the nodes in it."""
        table = self.export.format == "table"
        for name in self.mapped.get("", ()):
            if name.startswith("/") or (table and name not in sent):
                continue
            yield from self._cell("", name, sent, written, f"{place}{name}")
        for around in filter(None, self.mapped):
            several = runtime.nodes(sent, around)
            others = runtime.nodes(written, around) if written else []
            pairs = _partners(several, others, lambda _: ())
            for number, (one, (other, _)) in enumerate(zip(several, pairs, strict=True), 1):
                step = f"{around}[{number}]" if len(several) > 1 else around
                for name in self.mapped[around]:
                    yield from self._cell(around, name, one, other, f"{place}{step}/{name}")

    def _cell(self, around: str, name: str, sent: Any, written: Any, place: str) -> Iterator[Value]:
        """One cell of a record, or of a node `around` it."""
        before = self._read(sent, name.lstrip("/"))
        after = self._read(written, name.lstrip("/")) if written is not None else ""
        own = [each for each in self.mapped[around][name] if name in [one.name for one in each.line.sources]]
        told = [each for each in own if each.line.datatype not in _CODED]
        if before and not after and is_nothing(before) and not self._says(told, sent):
            yield Value(place, Came.NORMALISED, "it says that there is none")
        elif before == after:
            if before:
                yield Value(place, Came.IDENTICAL)
        elif not before or (is_nothing(before) and not self._says(self.mapped[around][name], sent)):
            yield Value(place, Came.NORMALISED, "filled in: the record says it")
        elif self._alike(self.mapped[around][name], sent, written or {}):
            yield Value(
                place, Came.NORMALISED, _form(self.mapped[around][name]) if after else "it says that there is none"
            )
        elif form := self._form(around, name, sent, written):
            yield Value(place, Came.NORMALISED, form)
        else:
            yield Value(place, Came.LOST)

    def _form(self, around: str, name: str, sent: Any, written: Any) -> str:
        """What is written here by a normal form that is declared, where one holds."""

        def before(other: str) -> str:
            return self._read(sent, other)

        def after(other: str) -> str:
            return self._read(written, other) if written is not None else ""

        forms = declared().get((self.export.name, f"{around}/{name}" if around else name), ())
        return next((each.said for each in forms if each.holds(name, before, after)), "")

    def _says(self, readings: list[Reading], sent: Any) -> bool:
        """Is anything made of the cell?"""
        return any(made not in (None, []) for made, _ in (self._made(each, sent) for each in readings))

    def _alike(self, readings: list[Reading], one: Any, other: Any) -> bool:
        """Does every line make the same of both?"""
        applying = (each for each in readings if _applies(each.line, lambda name: self._read(one, name)))
        return all(self._made(each, one) == self._made(each, other) for each in applying)

    def _made(self, reading: Reading, record: Any) -> Any:
        line = reading.line
        path = paths.resolve(reading.block.path, line, self.library.systems)
        pair = self.library.pair(line, path)
        context = Context(profile=self._profile, facility=self._facility, systems=self.library.coding_systems)
        raw = next(filter(None, (self._read(record, each.name.lstrip("/")) for each in line.sources)), "")
        others = [self._read(record, each.name) for each in line.arguments[: pair.fields]]
        words = () if line.datatype in BUILT else tuple(each.name for each in line.arguments[pair.fields :])
        made = pair.into(raw, *others, context, *words) if raw else None
        made = list(made) if pair.several and made is not None else made
        return unworded(made), [unworded(each.resource) for each in context.entries.values()]


def _mapped(export: Export, library: Library) -> dict[str, dict[str, list[Reading]]]:
    """Path of a node ("" for the record) → the columns that are read and written there → the lines that read them."""
    found: dict[str, dict[str, list[Reading]]] = {}
    written: set[tuple[str, str]] = set()
    for block in export.blocks:
        for line in (each for each in block.lines if each.sources and not each.link):
            count = 0 if line.constant else library.pair(line, paths.resolve(block.path, line, library.systems)).fields
            others = [each.name for each in line.arguments[:count]]
            if line.back:
                written.update((block.each, name) for name in (line.sources[0].name, *others))
            names = (*(each.name for each in line.sources), *others) if line.into and not line.constant else ()
            for name in filter(None, names):
                found.setdefault(block.each, {}).setdefault(name, []).append(Reading(block, line))
    return {
        around: {name: lines for name, lines in names.items() if (around, name) in written and name[:3] != "../"}
        for around, names in found.items()
    }


def _form(readings: list[Reading]) -> str:
    line = readings[0].line
    return f"as {line.datatype or ('the code table' if line.codes else 'the cell')} is written"


def _applies(line: Line, read: Any) -> bool:
    def known(each: Condition) -> bool | None:
        if each.field is None:
            return None
        text = read(each.field.name)
        return bool(text) if each.operator == "valued" else text in each.values

    return line.condition is None or runtime.judged(line.condition, known) is not False


def _partners(sent: Sequence[Any], written: Sequence[Any], key: Any) -> list[tuple[Any, bool]]:
    """For each record that was sent the written one that is most like it: each once, then again (True)."""
    places: dict[Any, list[int]] = {}
    for index, each in enumerate(written):
        places.setdefault(key(each), []).append(index)
    used: set[int] = set()
    found: list[tuple[Any, bool]] = []
    for record in sent:
        there = places.get(key(record), range(len(written)))
        free = [index for index in there if index not in used] or [
            index for index in range(len(written)) if index not in used
        ]
        again = not any(index in free for index in there)
        best = max(there if again else free, key=lambda index: _likeness(record, written[index]), default=None)
        found.append((written[best] if best is not None else None, again))
        used |= set() if best is None else {best}
    return found


def _likeness(one: Any, other: Any) -> int:
    if isinstance(one, dict) and isinstance(other, dict):
        return sum(_likeness(value, other[name]) for name, value in one.items() if name in other)
    if isinstance(one, list) and isinstance(other, list):
        return sum(_likeness(*pair) for pair in zip(one, other, strict=False))
    return int(str(one) == str(other))
