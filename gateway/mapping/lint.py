"""What is odd about maps that load: fields that HL7 v2 does not have, lists without '*', lines that never speak.

`checks` says what cannot be loaded; this says what would be loaded and yet be a mistake: file:line, cause, right name.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.codec import hl7v2_dictionary as dictionary
from gateway.mapping import paths
from gateway.mapping.checks import nearest
from gateway.mapping.library import Library
from gateway.mapping.source_code import fields_of
from gateway.mapping.statement import silent
from gateway.mapping.syntax import Block, Export, Field, Line

LATER = {"OBX": 33, "MSH": 27, "NTE": 9, "PRT": 24}  # last fields that v2.9 added
OPEN = frozenset({"QPD", "RDT"})  # each query has its own parameters and columns (v2.5.1 §5.5.4, §5.5.8)


def lint(library: Library) -> list[str]:
    """Every oddity, by file and line."""
    blocks = [*library.blocks, *(block for export in library.exports.values() for block in export.blocks)]
    found = [text for block in blocks for text in _block(library, block)]
    found.extend(text for block, line in silent(library) for text in _never(block, line))
    found.extend(text for export in library.exports.values() for text in _export(export))
    return sorted(set(found), key=_order)


def _order(text: str) -> tuple[str, int, str]:
    file, line, cause = text.split(":", 2)
    return file, int(line), cause


def _block(library: Library, block: Block) -> Iterator[str]:
    places = {id(each): line.place for line in block.lines for each in (*line.sources, *line.arguments)}
    for found in fields_of(block):
        yield from _field(str(places.get(id(found), block.place)), found)
    said: dict[tuple[object, ...], Line] = {}
    settled: dict[str, Line] = {}
    for line in block.lines:
        path = paths.resolve(block.path, line, library.systems)
        yield from _list(line, path)
        if line.into and not any(element.many for element in path.elements):
            yield from _fights(line, path, said, settled)


def _export(export: Export) -> Iterator[str]:
    """Names in trees that can be read and not written, and an order for what is never written."""
    for line in (line for block in export.blocks for line in block.lines if line.back and line.sources):
        name = line.sources[0].name
        if export.format == "tree" and "[" in name.removesuffix("[]"):
            yield f"{line.place}: {name} cannot be written; did you mean -> ?"
    if not export.writes and export.order:
        yield f"{export.place}: {export.name} has an order to be written in, and no line that writes"


def _field(place: str, found: Field) -> Iterator[str]:
    """A field and component that some version of HL7 v2 has; Z segments are nobody's business."""
    if not found.segment or not found.number or found.segment.startswith("Z"):
        return
    known = dictionary.fields(found.segment)
    if not known:
        yield f"{place}: HL7 v2 has no segment {found.segment}{nearest(found.segment, dictionary.segments())}"
    elif found.number not in known and found.segment not in OPEN and found.number > LATER.get(found.segment, 0):
        yield f"{place}: {found.segment} has no field {found.number}; the last is {found.segment}-{max(known)}"
    else:
        count = dictionary.components(found.segment, found.number)
        if count is not None and found.component > max(count, 1):
            field = f"{found.segment}-{found.number}"
            yield f"{place}: {field} has no component {found.component}; the last is {field}.{count}"


def _list(line: Line, path: paths.Path) -> Iterator[str]:
    if line.into and path.leaf.many and not path.leaf.repeats:
        yield f"{line.place}: {path.text} is a list in R4; did you mean {line.path}*?"


def _fights(
    line: Line, path: paths.Path, said: dict[tuple[object, ...], Line], settled: dict[str, Line]
) -> Iterator[str]:
    """A line that never speaks: an earlier one takes the same field, or a constant stands there whatever the source."""
    if line.constant and not line.sources:
        first = settled.get(path.text)
        if first is not None:
            yield f"{line.place}: {path.text} has its constant at {first.place} already"
        elif not line.condition:
            settled[path.text] = line
        return
    key = (path.text, str(line.sources), str(line.arguments), line.datatype, line.codes, line.link)
    first = said.get(key)
    if first is not None and not first.condition:
        yield f"{line.place}: {first.place} reads the same field for {path.text} already"
    said.setdefault(key, line)


def _never(block: Block, line: Line) -> Iterator[str]:
    yield f"{line.place}: in no message that has {block.segments[-1]} can this line apply"
