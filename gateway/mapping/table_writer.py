"""Compiled maps, backward: resources of the record → the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping.context import Context
from gateway.mapping.graph import Graph
from gateway.mapping.library import Library
from gateway.mapping.syntax import Export
from gateway.mapping.written_blocks import Target, elements, target_of
from gateway.mapping.written_lines import Claims, leaf_values, written_texts
from gateway.model import Resource


class TableWriter:
    """One export: a lead resource and its parts → rows, one for each resource of the block over `row`."""

    def __init__(self, export: Export, library: Library) -> None:
        self.export = export
        self.targets = [target_of(library, block) for block in export.blocks]
        self.row = next(target for target in self.targets if target.block.rows_by == ())

    def run(self, leads: list[Resource], graph: Graph, context: Context) -> Iterator[dict[str, str]]:
        """Rows in the order of the lead's own list."""
        for lead in leads:
            known = self._around(lead, graph)
            for item in self._items(known, graph):
                row: dict[str, str] = {}
                for target in self.targets:
                    resource = item if target is self.row else known.get(target.block.type)
                    for each in _written(resource, target, context, graph) if resource is not None else ():
                        _write_row(row, target, each, context, graph)
                yield row

    def _around(self, lead: Resource, graph: Graph) -> dict[str, Resource]:
        known = {self.export.lead: lead}
        for _ in self.targets:  # links lead from one to the next: as often as there are blocks is enough
            for target in self.targets:
                start = known.get(target.block.type)
                for link in target.links if start is not None else ():
                    if start is None or (link.every and link.type == self.row.block.type):
                        continue
                    for found in graph.follow(start, link.path, link.type)[:1]:
                        known.setdefault(link.type, found)
        return known

    def _items(self, known: dict[str, Resource], graph: Graph) -> list[Resource]:
        if self.row.block.type == self.export.lead:
            return [known[self.export.lead]]
        found: list[Resource] = []
        for target in self.targets:
            start = known.get(target.block.type)
            for link in target.links:
                if start is not None and link.every and link.type == self.row.block.type:
                    listed = graph.follow(start, link.path, link.type)
                    found.extend(each for each in listed if not any(each is other for other in found))
        return found


def _written(resource: Resource, target: Target, context: Context, graph: Graph) -> list[Resource]:
    """The resource, or the first element of it that the block means."""
    return elements(resource, target, context, graph, Claims())[:1] if target.list else [resource]


def _write_row(row: dict[str, str], target: Target, resource: Resource, context: Context, graph: Graph) -> None:
    claims = Claims()
    for written in target.lines:
        for _, made in written_texts(leaf_values(resource, written, claims), written, context, graph, claims):
            names = [
                *(source.name for source in written.line.sources[:1]),
                *(str(each) for each in written.line.arguments[: len(made) - 1]),
            ]
            for name, text in zip(names, made, strict=False):
                if text and not row.get(name):
                    row[name] = text
