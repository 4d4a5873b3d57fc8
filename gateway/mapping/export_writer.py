"""Compiled maps, backward: resources of the record → the rows of a table, or the nodes of a tree.

What an earlier line wrote stays. A line with a condition is written when all others are: the condition is asked of the
record as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any

from gateway.errors import Permanent
from gateway.mapping import runtime
from gateway.mapping.context import Context
from gateway.mapping.export_parts import Found, Parts, constants
from gateway.mapping.graph import Graph
from gateway.mapping.library import Library
from gateway.mapping.syntax import Condition, Export
from gateway.mapping.tree_paths import merged, ordered, placed, pruned, put
from gateway.mapping.withheld import Withheld
from gateway.mapping.written_blocks import Target
from gateway.mapping.written_file import WrittenFile
from gateway.mapping.written_lines import Claims, WrittenLine, leaf_values, written_texts
from gateway.model import Resource

TABLE = "table"  # the format of an export; others are trees
Record = dict[str, Any]
# A lead, what belongs to it, what does not (by identity), and what is shown in the place of some (by identity)
_Lead = tuple[Resource, Found, frozenset[int], Mapping[int, Resource]]
_Late = list[tuple[Target, Resource, Claims]]  # blocks whose lines with conditions are still to be written


class ExportWriter:
    """One export: a lead resource and its parts → records."""

    def __init__(self, export: Export, library: Library) -> None:
        self.export = export
        self.parts = Parts(export, library)
        targets = self.parts.targets
        over_rows = [index for index in self.parts.making if targets[index].block.rows_by == ()]
        self.row = self.parts.lead if self.parts.lead in over_rows else next(iter(over_rows), None)
        self.constants: dict[str, list[Any]] = {}
        for target in targets:
            for path, said in constants(library, target.block):
                self.constants.setdefault(path.text, []).append(said)
        written = (each for target in targets for each in target.lines)
        self.columns = export.order or tuple(
            dict.fromkeys((*export.columns, *filter(None, chain.from_iterable(map(_cells, written)))))
        )
        numbered = list(enumerate(targets))
        self.steps = [
            (path, [index for index, _ in found]) for path, found in groupby(numbered, lambda each: each[1].block.each)
        ]

    def written(self, leads: Sequence[Resource], graph: Graph, context: Context, *, marked: bool) -> WrittenFile:
        """The file. `marked`: leads that were taken back are marked beside their rows. Raises Permanent where all of
        them were, and no cell can say so; for several leads where the file holds one."""
        export, table = self.export, self.export.format == TABLE
        if not table and not export.each and len(leads) > 1:
            cause = f"a file of {export.name} holds one {export.lead}"
            raise Permanent(cause, place=export.name, remedy="write one file for each")
        withheld = Withheld(self.parts.targets, graph.resources.values(), context, marked=marked)
        rows = list(self.rows(leads, graph, context, withheld)) if table else []
        root = None if table else self.tree(leads, graph, context, withheld)
        if withheld.all_of(leads):
            cause = f"a {export.lead} was taken back, and {export.name} cannot say so"
            remedy = "give the map a line for its status (<->), or tell the member of it in another way"
            raise Permanent(cause, place=export.name, remedy=remedy)
        columns = self.columns if table else ()
        return WrittenFile(
            name=export.name, columns=columns, rows=rows, each=export.each, root=root, notes=withheld.notes()
        )

    def rows(
        self, leads: Sequence[Resource], graph: Graph, context: Context, withheld: Withheld
    ) -> Iterator[dict[str, str]]:
        """Of a table: a row for each resource of the block over `row`, or of the block that has the most; in the order
        of the lead's own list."""
        page = _Page(graph, context, runtime.cell, _put_cell, self.constants)
        for lead, found, without, shown in self._found(leads, graph, withheld):
            index = self.row if self.row is not None else max(found, key=lambda each: self._rows_of(each, found))
            items = [self.parts.around(lead, graph, (index, item), without) for item in found.get(index, ())]
            for around in items or [found]:  # a report without results is a row too
                row: Record = {}
                blocks = [(each, made) for each in sorted(around) for made in self._told(each, around)]
                blocks += self._beside(around)
                page.write(row, [(self.parts.targets[each], shown.get(id(made), made)) for each, made in blocks])
                yield row

    def _found(self, leads: Sequence[Resource], graph: Graph, withheld: Withheld) -> Iterator[_Lead]:
        """What belongs to each lead that is written."""
        for lead in leads:
            without = withheld.aside(lead)
            found = self.parts.around(lead, graph, without=without)
            shown = withheld.shown(lead, [each for several in found.values() for each in several])
            if shown is not None and without and self.row not in found and self.row in self.parts.around(lead, graph):
                withheld.leave(lead)  # nothing that it has to say holds
            elif shown is not None:
                yield lead, found, without, shown

    def _told(self, index: int, around: Found) -> Sequence[Resource]:
        """The resources of a block that a record tells: one, or all where its cells hold several."""
        return around.get(index, [])[: None if self._is_joined(index) else 1]

    def _rows_of(self, index: int, found: Found) -> int:
        """How many rows the resources of a block take."""
        return 1 if self._is_joined(index) else len(found[index])

    def _is_joined(self, index: int) -> bool:
        lines = self.parts.targets[index].lines
        return bool(lines) and all(each.pair.joins for each in lines)

    def _beside(self, around: Found) -> Iterator[tuple[int, Resource]]:
        """The elements that a row holds of what it is about: the first of each list, since one row has one."""
        for index, target in enumerate(self.parts.targets):
            if target.list is not None and target.block.rows_by == ():
                yield from ((index, each) for each in self.parts.elements(index, around)[:1])

    def tree(self, leads: Sequence[Resource], graph: Graph, context: Context, withheld: Withheld) -> Record:
        """Of a tree: its root, with a node for each lead."""
        root: Record = {}
        page = _Page(
            graph,
            context,
            lambda node, name: runtime.node(*_from(root, node, name)),
            lambda node, name, text: put(*_from(root, node, name), text),
            self.constants,
        )
        records = []
        for _, found, without, _ in self._found(leads, graph, withheld):
            page.without = without
            records.append(self._node(found, page))
        made = [
            ordered(pruned({**each, **self._known_by(each)}, self.export.without), self.export.order)
            for each in records
        ]
        if not self.export.each:
            return merged(root, made[0]) if made else root
        placed(root, self.export.each, made)
        return root

    def _node(self, found: Found, page: _Page) -> Record:
        record: Record = {}
        late: _Late = []
        for path, indices in self.steps:
            if path:
                self._children(record, path, indices, found, page)
            else:
                for index in indices:
                    for resource in self._told(index, found):
                        page.lines(record, self.parts.targets[index], resource, late)
        page.rest(record, late)
        return record

    def _known_by(self, record: Record) -> Record:
        """The names by which a node is recognised, where nothing stands there: they are written all the same."""
        around = {block.each for block in self.export.blocks}
        missing = (name for name in self.export.columns if name not in record and "/" not in name)
        return {name: {} if name in around else "" for name in missing}

    def _children(self, record: Record, path: str, indices: list[int], found: Found, page: _Page) -> None:
        """The nodes at a path: one for each resource, and the elements that say more of it or stand alone."""
        nodes: dict[int, Record] = {}
        for index in indices:
            if index in self.parts.several:
                for resource in found.get(index, ()):
                    nodes[id(resource)] = page.write({}, [(self.parts.targets[index], resource)])
                continue
            for element in self.parts.elements(index, found):
                beside = [id(each) for each in self.parts.beside(index, element, page.graph)]
                if not page.without.isdisjoint(beside):  # it speaks of what is not written
                    continue
                node = next((nodes[each] for each in beside if each in nodes), None)
                if node is None and not self._is_written(element, found, page.graph):
                    node = nodes[id(element)] = {}
                if node is not None:
                    page.write(node, [(self.parts.targets[index], element)])
        several = all(self.parts.several.get(index, True) for index in indices)
        made = [node for node in nodes.values() if node]
        if made:
            placed(record, path, made if several else made[0])

    def _is_written(self, element: Any, found: Found, graph: Graph) -> bool:
        """Does an element only refer to what another block writes?"""
        resource = graph.resolve(element)
        return resource is not None and any(each is resource for several in found.values() for each in several)


class _Page:
    """What records are written with."""

    def __init__(
        self,
        graph: Graph,
        context: Context,
        read: Callable[[Any, str], str],
        put: Callable[[Any, str, str], None],
        constants: Mapping[str, Sequence[Any]],
    ) -> None:
        self.graph = graph
        self.context = context
        self.read = read
        self.put = put
        self.without: frozenset[int] = frozenset()
        self.constants = constants

    def write(self, record: Record, blocks: list[tuple[Target, Resource]]) -> Record:
        """All lines of blocks, those with conditions last."""
        late: _Late = []
        for target, resource in blocks:
            self.lines(record, target, resource, late)
        self.rest(record, late)
        return record

    def lines(self, record: Record, target: Target, resource: Resource, late: _Late) -> None:
        claims = Claims()
        for written in target.lines:
            if written.line.condition is None:
                self._line(record, written, resource, claims)
        late.append((target, resource, claims))

    def rest(self, record: Record, late: _Late) -> None:
        """The lines whose condition holds now."""
        for target, resource, claims in late:
            for written in target.lines:
                if written.line.condition and self._holds(written.line.condition, record):
                    self._line(record, written, resource, claims)

    def _line(self, record: Record, written: WrittenLine, resource: Resource, claims: Claims) -> None:
        line = written.line
        if line.sources[0].name.startswith("../"):  # the record around a node writes that itself
            return
        names = _cells(written)
        joins = written.pair.joins
        if not joins and all(self.read(record, name) for name in names):
            return
        values = [each for each in leaf_values(resource, written, claims) if not self._is_constant(written, each)]
        if values and written.pair.together:
            values = [written.pair.together(values, self.context)]
        for _, texts in written_texts(values, written, self.context, self.graph, claims):
            made = self._beside(record, names[1:], texts, written)
            for name, text in zip(names, made, strict=False):
                there = self.read(record, name) if text else ""
                if text and (joins or not there):
                    self.put(record, name, joins(there, text) if joins and there else text)
        if written.entered:
            claims.enter(resource, written)

    def _beside(self, record: Record, names: list[str], made: tuple[str, ...], written: WrittenLine) -> tuple[str, ...]:
        """What is written where the cells beside the line's own say something else: a range of another unit."""
        there = tuple(self.read(record, name) for name in names)
        differs = any(text and each and text != each for text, each in zip(made[1:], there, strict=False))
        return written.pair.apart(made, there) if differs and written.pair.apart else made

    def _is_constant(self, written: WrittenLine, value: Any) -> bool:
        """Is a member of a list what the block says of all that it makes (`category* = …`)?"""
        if not written.path.leaf.many or not isinstance(value, dict):
            return False
        return any(value == said for said in self.constants.get(written.path.text, ()))

    def _holds(self, condition: Condition, record: Record) -> bool:
        def known(each: Condition) -> bool | None:
            if each.field is None:
                return None
            text = self.read(record, each.field.name)
            return bool(text) if each.operator == "valued" else text in each.values

        return runtime.judged(condition, known) is not False


def _cells(written: WrittenLine) -> list[str]:
    """The names of the cells that a line writes, its own first; "" for one that it has no use for."""
    return [each.name for each in (written.line.sources[0], *written.line.arguments[: written.pair.fields])]


def _put_cell(row: Record, name: str, text: str) -> None:
    row[name] = text


def _from(root: Record, node: Record, name: str) -> tuple[Record, str]:
    """A name that begins with / stands above the records."""
    return (root, name[1:]) if name.startswith("/") else (node, name)
