"""Exports: the rows of tables and the nodes of trees → one transaction Bundle, and back to rows.

A record that cannot be understood is set aside with the cell that is the cause; the others are not held up by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from gateway.errors import Configuration, HutongError, Permanent
from gateway.mapping import columns as columns_of
from gateway.mapping import contradictions, envelope, runtime, tree_rows
from gateway.mapping.batches import TREE, Batching, batching
from gateway.mapping.context import Context, Entry
from gateway.mapping.datatypes.clocks import no_number, says_none
from gateway.mapping.export_columns import grouped_by, names_nothing, needed, numbers, only_there, unused, without_point
from gateway.mapping.export_parts import leads
from gateway.mapping.export_records import Carried, Part, forget
from gateway.mapping.export_writer import TABLE, ExportWriter
from gateway.mapping.functions import Functions, Near
from gateway.mapping.graph import Graph
from gateway.mapping.into_fhir import CompiledBlock, ListLink, compiled_block
from gateway.mapping.library import Library
from gateway.mapping.memory import Memory
from gateway.mapping.provenance import provenance
from gateway.mapping.record_columns import agreeing, finest
from gateway.mapping.recurring import Apart, People, Recurring
from gateway.mapping.shown_first import shown_first
from gateway.mapping.syntax import Block, Export
from gateway.mapping.translation import Address, Translation, transaction
from gateway.mapping.written_file import WrittenFile
from gateway.model import Profile, Reject, Resource

Watch = Callable[[int, str], None]
_NOWHERE: Near = {}  # rows and nodes have no segments
_Known = dict[tuple[int, tuple[str, ...]], "Entry"]  # by block and what rows agree in
_Linked = dict[tuple[int, str], tuple[ListLink, "Entry", list["Entry"]]]  # by link and entry: to what it is linked


class ExportMap:
    """One export shape, compiled: rows of a table or nodes of a tree."""

    def __init__(self, export: Export, functions: Functions) -> None:
        self.export = export
        source = "row" if export.format == TABLE else "node"
        self.cell = runtime.cell if source == "row" else runtime.node
        blocks = [block for block in export.blocks if block.into]
        made = ((block, functions.of(block, source=source, once=export.once)) for block in blocks)
        self.blocks = [compiled_block(functions.library, block, make) for block, make in made]
        steps = groupby(self.blocks, lambda each: each.block.each)
        self.steps = [
            (path, blocks, columns_of.inside(blocks)) for path, blocks in ((at, list(each)) for at, each in steps)
        ]
        told = ((compiled, agreeing(compiled.block)) for compiled in self.blocks)
        self.instead = {id(each): names for each, names in told if any(len(group) > 1 for group in names)}
        self.needed = needed(export, blocks)
        self.numbers = numbers(blocks) if source == "row" else ()
        self.grouped_by = grouped_by(export)
        self.finest = next(iter(finest(blocks)), None)
        self.personal = any(each.type == "Patient" and not each.found for each in blocks)  # a row says whose it is
        self.only = only_there(self.blocks, export.lead)
        self.ends = {id(each): found for each in self.blocks if (found := contradictions.ends_of(each.block))}
        self.table_of = lambda name: functions.library.codes[name].into
        self.recurring = Recurring(export, functions.library.codes, self.cell, columns_of.names(export))

    def run(
        self, part: Part, context: Context, *, watch: Watch | None = None, people: People | None = None
    ) -> Iterator[Reject]:
        """Makes all resources of all records; the records that were set aside. `watch` is told of each (its index, why
        it was set aside)."""
        known: _Known = {}
        linked: _Linked = {}
        context.root = part.root
        records, left_out = self.recurring.own(self.read(part))
        verdicts = self.recurring.judge(records, part.called(), people)
        for index, record in enumerate(records):
            number, place = part.number(index), part.place_of(index)
            before = len(context.entries), len(known)
            context.record = tuple([self.cell(record, name) for name in self.grouped_by]) or (place, index)
            verdict = verdicts.get(index)
            if verdict is None:
                cause, column = self._record(record, context, known, linked)
            elif (taken := verdict.taken(record, self.recurring.number)) is not None:
                cause, column = self._record(taken, context, known, linked)
                context.unread.tell(verdict.column, self.cell(record, verdict.column), verdict.cause)
            else:
                cause, column = verdict.cause, verdict.column
            if watch is not None:
                watch(index, cause)
            for name, text, why in left_out.get(index, ()):
                context.unread.tell(name, text, why)
            if cause:
                forget(context.entries, before[0])  # all of it or nothing
                forget(known, before[1])
                value = self.cell(record, column) if column else tree_rows.shown(record)
                yield Reject(place=place, row=number, column=column, cause=cause, value=value)
            for name, value, told in context.unread.taken():
                if not cause and not says_none(value):
                    yield Reject(place=place, row=number, column=name, cause=told, value=value, cell=True)
        for link, entry, made in linked.values():
            link.set(entry, {link.type: made}, context)

    def read(self, part: Part) -> Sequence[Any]:
        """The records, their numbers as the institution gave them."""
        return [without_point(each, self.numbers) for each in part.records] if self.numbers else part.records

    def _record(self, record: Any, context: Context, known: _Known, linked: _Linked) -> tuple[str, str]:
        """(why it was set aside, the column that is the cause); ("", "") where all is well."""
        cell = self.cell
        for names in self.needed:
            for name in names:
                if not no_number(cell(record, name)):
                    break
            else:  # such a row belongs to nobody
                return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} empty", names[0]
        scope: dict[str, Entry] = {}
        made: list[tuple[CompiledBlock, Entry]] = []
        try:
            self._entries(record, context, scope, known, made)
        except HutongError as error:
            context.unread.refused()
            return error.cause, ""
        if refused := context.unread.refused():
            return refused
        if self.finest and all(each.block is not self.finest for each, _ in made):
            return f"no {self.finest.type} can be made of it: what it must tell is empty", ""
        by_type: dict[str, list[Entry]] = {}
        for compiled, entry in made:
            by_type.setdefault(compiled.block.type, []).append(entry)
        for compiled, entry in made:
            for link in compiled.links:
                others = linked.setdefault((id(link), entry.full_url), (link, entry, []))[2]
                others.extend(by_type.get(link.type, ()))
        return "", ""

    def _entries(
        self, record: Any, context: Context, scope: dict[str, Entry], known: _Known,
        made: list[tuple[CompiledBlock, Entry]],
    ) -> None:  # fmt: skip
        """What each block makes. Blocks of the same nodes take turns, so that they see what the others made of one."""
        for path, blocks, read in self.steps:
            for child in self.recurring.marks.children(record, path, read, context.unread) if path else (record,):
                for compiled in blocks:
                    entry = self._made(compiled, record, child, context, scope, known)
                    if entry is not None:
                        scope[compiled.block.type] = entry
                        made.append((compiled, entry))

    def _made(
        self, compiled: CompiledBlock, record: Any, child: Any, context: Context, scope: dict[str, Entry],
        known: _Known,
    ) -> Entry | None:  # fmt: skip
        columns, apart = compiled.block.rows_by, type(record) is Apart
        if not columns:
            if apart and compiled.block.type == "Patient":
                child = record.nameless(child)
            return self._run(compiled, record, child, context, scope)
        cells = self._cells(compiled, columns, record)
        if apart and not set(columns).isdisjoint(self.recurring.number):
            cells = (*cells, record.card)
            if compiled.block.type == "Patient":
                record = record.nameless(record)
        key = (id(compiled), cells)
        if entry := known.get(key):
            return entry
        if names_nothing(cells):
            if id(compiled) in self.only:
                self._unused(compiled, record, context)
            return None
        if entry := self._run(compiled, record, record, context, scope):
            known[key] = entry  # what one row does not make another may
        elif compiled.block.found:
            self._not_shown(compiled.block.type, columns[0], cells[0], context)
        return entry

    def _cells(self, compiled: CompiledBlock, columns: Sequence[str], record: Any) -> tuple[str, ...]:
        """In what the rows of one thing agree."""
        cell = self.cell
        cells = tuple([cell(record, name) for name in columns])
        if "" not in cells or (others := self.instead.get(id(compiled))) is None:
            return cells
        return tuple(
            own or next(filter(None, (cell(record, name) for name in names)), "")
            for own, names in zip(cells, others, strict=True)
        )

    def _not_shown(self, type_: str, column: str, cell: str, context: Context) -> None:
        told = f"no {type_} of this number is shown"
        if not self.personal:
            raise Permanent(f"{told}: nothing tells whose it is", place="row")
        context.unread.tell(column, cell, f"{told}; it was left out")

    def _run(
        self, compiled: CompiledBlock, record: Any, node: Any, context: Context, scope: dict[str, Entry]
    ) -> Entry | None:
        """What a block makes, and what is to be told of it."""
        known = len(context.entries)
        entry = compiled.function(record, _NOWHERE, context, scope, node)
        if entry is None and compiled.block.condition and id(compiled) in self.only:
            self._unused(compiled, node, context)
        found = [*contradictions.of_periods(entry.resource, self.ends.get(id(compiled), ()))] if entry else []
        if entry is not None and compiled.block.type == "Patient" and len(context.entries) > known:
            found += contradictions.of_person(entry.resource, compiled.block, self.table_of, node, self.cell)
        for name, cause in found:
            if text := self.cell(node, name):
                context.unread.tell(name, text, cause)
        return entry

    def _unused(self, compiled: CompiledBlock, node: Any, context: Context) -> None:
        """The cells that only a block reads which makes nothing here."""
        cause = unused(compiled.block, lambda name: self.cell(node, name))
        for name in self.only[id(compiled)]:
            if text := self.cell(node, name):
                context.unread.tell(name, text, cause)


class Exports:
    """All export maps of a library."""

    def __init__(self, library: Library, functions: Functions, memory: Memory) -> None:
        self.library = library
        self._functions = functions
        self._memory = memory
        self._compiled: dict[str, ExportMap] = {}
        self._writers: dict[str, ExportWriter] = {}

    def of_columns(self, columns: Iterable[str], *, wanted: Iterable[str] = ()) -> str:
        """The export map for a table: the one that is named, else the most specific whose columns are all there, as
        they are written or, where no map fits so, in a plainer form. Raises Configuration where there is none."""
        columns, wanted = tuple(columns), tuple(wanted)
        for form in columns_of.FORMS:
            there = set(map(form, columns))
            fitting = [each for each in self._of(TABLE) if columns_of.asked(each, form) <= there]
            if self._named(fitting, wanted):
                break
        return self._fitting(fitting, wanted, self._lacking(columns, wanted)).name

    def _lacking(self, columns: Sequence[str], wanted: Sequence[str]) -> str:
        """What the map that fits best would need besides."""
        there = set(map(columns_of.bare, columns))
        lacking = {
            each.name: [name for name in each.columns if columns_of.bare(name) not in there]
            for each in self._named(self._of(TABLE), wanted)
        }
        name = min(lacking, key=lambda each: len(lacking[each]), default="")
        few = name and len(lacking[name]) * 2 < len(self.library.exports[name].columns)
        return f": {name} needs {', '.join(lacking[name])} besides" if few else ""

    def spelling(self, name: str, columns: Sequence[str]) -> dict[str, str]:
        """Each column → as the map writes it. A name that the map has, and one that could be two of them, stays."""
        return columns_of.spelling(columns, columns_of.names(self.library.exports[name]))

    def of_tree(self, root: Any, *, wanted: Iterable[str] = ()) -> Part:
        """The nodes of a tree and their export map, recognised by the names in the first of them; or the rows of a
        table that stand in it."""
        trees = [each for each in self._of(TREE) if tree_rows.is_of(root, each)]
        rows = {} if trees else self._rows(root)
        if not trees and not rows and isinstance(root, list):
            return self.of_records(root, wanted=wanted)
        found = self._fitting(trees or (self.library.exports[name] for name in rows), wanted)
        if not trees:
            path, records = rows[found.name]
            return Part(name=found.name, records=tree_rows.named(found, records), place=path)
        return Part(name=found.name, records=tree_rows.records(found, root), place=found.each, root=root)

    def of_records(self, records: Sequence[Any], *, wanted: Iterable[str] = ()) -> Part:
        """The same of records that came without a tree around them, each by itself."""
        first = records[0] if records and isinstance(records[0], dict) else {}
        found = self._fitting((each for each in self._of(TREE) if set(each.columns) <= first.keys()), wanted)
        return Part(name=found.name, records=tree_rows.named(found, records))

    def _rows(self, root: Any) -> dict[str, tuple[str, list[dict[str, str]]]]:
        """The exports of tables whose columns the rows in a tree have, each with path and rows."""
        found = [(path, rows, set().union(*rows)) for path, rows in tree_rows.tables(root)]
        return {
            export.name: (path, rows)
            for export in self._of(TABLE)
            for path, rows, names in found
            if set(export.columns) <= names
        }

    def _of(self, format: str) -> Iterator[Export]:
        return (each for each in self.library.exports.values() if each.format == format)

    def _fitting(self, found: Iterable[Export], wanted: Iterable[str], lacking: str = "") -> Export:
        """The one that is named, else the one that asks for the most."""
        fitting = self._named(found, wanted)
        if not fitting:
            raise Configuration(
                f"no map knows a file with these columns{lacking}", place="header row", code="200",
                remedy="it is kept; write an export map for it (mappings/README.md) and replay it",
            )  # fmt: skip
        return max(fitting, key=lambda export: len(export.columns))

    def _named(self, found: Iterable[Export], wanted: Iterable[str]) -> list[Export]:
        """Those of the names that are known; without any, all."""
        names = [name for name in wanted if name in self.library.exports]
        return [export for export in found if not names or export.name in names]

    def to_fhir(
        self,
        parts: Sequence[Part],
        *,
        profile: Profile,
        facility: str,
        control_id: str,
        when: datetime | None = None,
        hidden: frozenset[tuple[str, str]] = frozenset(),
        carried: Carried | None = None,
    ) -> Translation:
        """The transaction Bundle of all records. `hidden`: (table, code) to be taken as unknown; `carried`: what the
        batches before these rows hand on, and these to the next."""
        carried = carried or Carried()
        context = Context(
            profile=profile, facility=facility, control_id=control_id, systems=self.library.coding_systems,
            memory=None if hidden else self._memory.of(profile, facility), hidden=hidden, counted=carried.counted,
        )  # fmt: skip
        run = (self._map(part.name).run(part, context, people=carried.people) for part in self._ordered(parts))
        rejects = [reject for found in run for reject in found]
        provenance(context, "", when, batch=carried.name)
        carried.batch, carried.counted = carried.batch + 1, context.counted
        return Translation(
            bundle=transaction(context),
            structure=" ".join(dict.fromkeys(part.name for part in parts)),
            notes=tuple(context.notes),
            unknown=tuple(context.unknown),
            words=context.words,
            rejects=tuple(rejects),
        )

    def remember(self, part: Part, people: People) -> None:
        """Whom the numbers of rows that were worked off before were given to."""
        found = self._map(part.name)
        found.recurring.judge(found.read(part), part.called(), people)

    def _ordered(self, parts: Sequence[Part]) -> Iterator[Part]:
        """What others find comes before them; else as they came."""
        waiting = list(parts)
        while waiting:
            made = [{each.type for each in self._blocks(part) if not each.found} for part in waiting]
            wanted = [{each.type for each in self._blocks(part) if each.found} for part in waiting]
            free = (
                index
                for index, types in enumerate(wanted)
                if not any(types & others for at, others in enumerate(made) if at != index)
            )
            yield waiting.pop(next(free, 0))

    def _blocks(self, part: Part) -> tuple[Block, ...]:
        return self.library.exports[part.name].blocks

    def batching(self, name: str) -> Batching | None:
        """How the rows of a large table are cut; None where it has to be read as a whole."""
        return batching(self.library.exports[name])

    def _map(self, name: str) -> ExportMap:
        if name not in self._compiled:
            self._compiled[name] = ExportMap(self.library.exports[name], self._functions)
        return self._compiled[name]

    def about(self, resources: Mapping[str, Resource], *, name: str, to: Address) -> WrittenFile:
        """What an export says of all that it is for. Raises Configuration for a name that no export has, Permanent
        where nothing is for it."""
        export = self._export(name)
        found = leads(export, self.library, resources)
        if not found:
            raise Permanent(f"nothing here is for {name}", place=export.lead, remedy="take another export map")
        return self.from_fhir(resources, found, name=name, to=to)

    def _export(self, name: str) -> Export:
        export = self.library.exports.get(name)
        if export is None:
            remedy = f"one of {', '.join(self.library.exports)}"
            raise Configuration(f"no export map is called {name}", place="subscription.message", remedy=remedy)
        return export

    def from_fhir(
        self,
        resources: Mapping[str, Resource],
        leads: Sequence[str],
        *,
        name: str,
        to: Address,
        marked: bool = False,
    ) -> WrittenFile:
        """What an export says of the lead resources. `marked`: whoever takes the rows marks beside them what was taken
        back. Raises Configuration for a name that no export has, and for a map that only reads; Permanent as the
        writer."""
        export = self._export(name)
        if not export.writes:
            remedy = "take another export map, or give lines of it a way back (<->)"
            raise Configuration(f"the export map {name} only reads", place="subscription.message", remedy=remedy)
        own = {name: envelope.own_first(shown_first(each), to.own) for name, each in resources.items()}
        context = Context(profile=to.profile, facility=to.facility, systems=self.library.coding_systems, own=to.own)
        if name not in self._writers:
            self._writers[name] = ExportWriter(export, self.library)
        return self._writers[name].written([own[each] for each in leads], Graph(own), context, marked=marked)
