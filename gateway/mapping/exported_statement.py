"""What the export maps map, one line a fact: `export/column<TAB>Resource.path<TAB>direction`."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping import paths
from gateway.mapping.datatypes import load
from gateway.mapping.library import Library
from gateway.mapping.syntax import Block, Line


def statement(library: Library) -> Iterator[str]:
    """The lines of all exports, by name; in the order of the map. A constant has no column: `export/.`."""
    for name, export in sorted(library.exports.items()):
        for block in export.blocks:
            for line in block.lines:
                if not line.link:
                    target = paths.resolve(block.path, line, library.systems).text
                    for column in columns(block, line):
                        yield f"{name}/{column}\t{target}\t{direction(block, line)}"


def columns(block: Block, line: Line) -> list[str]:
    """What a line reads, with the nodes around: the cells of its data type too; the words behind them are none."""
    pair = load().get(line.datatype)
    read = (*line.sources, *line.arguments[: pair.fields if pair else 0])
    inside = f"{block.each}/" if block.each else ""
    return [each.name if each.name[:1] in "./" else f"{inside}{each.name}" for each in read if each.name] or ["."]


def direction(block: Block, line: Line) -> str:
    into, back = line.into and block.into, line.back and block.back and not line.constant
    return "both" if into and back else "to-fhir" if into else "to-file"
