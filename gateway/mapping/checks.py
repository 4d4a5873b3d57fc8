"""What is wrong with a library of maps: every mistake with its file and line, and the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from gateway.errors import Configuration
from gateway.fhir import definitions
from gateway.mapping import codetables, paths
from gateway.mapping.datatypes import load
from gateway.mapping.grammar import FACTS
from gateway.mapping.source_code import fields_of, of_condition
from gateway.mapping.syntax import WHOLE, Block, Export, Field, Group, KeyValue, Line, Structure

if TYPE_CHECKING:
    from gateway.mapping.library import Library

_RAW = ("", "text", "raw", "code")  # data types that give the text of the field


def mistakes(library: Library) -> Iterator[str]:
    """One text for each mistake."""
    made = {block.type for block in library.blocks if not block.element}
    for structure in library.structures.values():
        yield from _structure(structure)
    known = {name for structure in library.structures.values() for name in _segments(structure.root)}
    for block in library.blocks:
        yield from _message_block(library, block, known)
        yield from _block(library, block, made)
    for export in library.exports.values():
        yield from _export(library, export)


def nearest(name: str, names: Iterable[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""


# ------------------------------------------------------------------------------- structures and exports


def _structure(structure: Structure) -> Iterator[str]:
    for name in (structure.lead, *structure.others, *structure.once):
        yield from _type(structure.place, name)


def _type(place: object, name: str) -> Iterator[str]:
    if name not in definitions.resource_types():
        yield f"{place}: R4 has no resource {name}{nearest(name, definitions.resource_types())}"


def _segments(group: Group) -> Iterator[str]:
    for item in group.items:
        if item.group is not None:
            yield from _segments(item.group)
        else:
            yield item.segment


def _export(library: Library, export: Export) -> Iterator[str]:
    made = {block.type for block in export.blocks if not block.element}
    for name in export.once:
        yield from _type(export.place, name)
    if export.lead not in made:
        yield f"{export.place}: no block makes the {export.lead} that the export is for{nearest(export.lead, made)}"
    columns = (*export.order, *export.columns, *export.without)
    for block in export.blocks:
        yield from _block(library, block, made)
        if export.format == "table" and export.order:
            for name in block.rows_by or ():
                if name not in columns:
                    yield f"{block.place}: the export has no column {name}{nearest(name, columns)}"
            yield from _columns(block, columns)


def _columns(block: Block, columns: tuple[str, ...]) -> Iterator[str]:
    for line in block.lines:
        if not line.back and len(line.sources) > 1:  # what may have many names is read where it stands
            continue
        count = _field_count(line)
        for found in (*line.sources, *line.arguments[:count]):
            if found.name and found.name not in columns:
                yield f"{line.place}: the export has no column {found.name}{nearest(found.name, columns)}"


def _field_count(line: Line) -> int:
    """How many of a line's arguments are fields; the rest are words."""
    pair = load().get(line.datatype)
    return pair.fields if pair else 0


# ------------------------------------------------------------------------------------------------ blocks


def _message_block(library: Library, block: Block, known: set[str]) -> Iterator[str]:
    """What only blocks of messages have: structures and segments."""
    for name in (*block.structures, *block.without):
        if name not in library.structures:
            yield f"{block.place}: no message structure is called {name}{nearest(name, library.structures)}"
    if block.segments[-1:] and block.segments[-1] not in known:
        name = block.segments[-1]
        yield f"{block.place}: no message structure has a segment {name}{nearest(name, known)}"
    elif not block.segments:
        yield f"{block.place}: rows and nodes belong below an export statement"
    for found in fields_of(block):
        yield from _field(block, found, known)


def _field(block: Block, found: Field, known: set[str]) -> Iterator[str]:
    if found.segment and found.segment not in known and not found.segment.startswith("Z"):
        place = next((line.place for line in block.lines if found in (*line.sources, *line.arguments)), block.place)
        yield f"{place}: no message structure has a segment {found.segment}{nearest(found.segment, known)}"
    if not found.name:
        return
    tested = [line for line in block.lines if line.condition and found in of_condition(line.condition)]
    if tested:
        yield f"{tested[0].place}: {found.name} is no field and no fact{nearest(found.name, FACTS)}"


def _block(library: Library, block: Block, made: set[str]) -> Iterator[str]:
    if block.type not in definitions.resource_types():
        yield from _type(block.place, block.type)
        return
    if block.element:
        yield from _list(library, block, made)
    for part in block.key:
        if isinstance(part, KeyValue) and part.datatype not in load():
            yield f"{block.place}: no data type is called {part.datatype}{nearest(part.datatype, load())}"
    for link in block.key_links:
        if link.type not in made:
            yield f"{block.place}: no block makes a {link.type}{nearest(link.type, made)}"
    for line in block.lines:
        try:
            _line(library, block, line, made)
        except Configuration as error:
            yield str(error)


def _list(library: Library, block: Block, made: set[str]) -> Iterator[str]:
    """What only blocks have that make an element of a list."""
    try:
        paths.list_of(block, library.systems)
    except Configuration as error:
        yield str(error)
    if block.type not in made:
        yield f"{block.place}: no block makes a {block.type}{nearest(block.type, made)}"
    if block.key or block.once or not block.into:
        yield f"{block.place}: an element has no key of its own, and is made with =>"
    for line in block.lines:
        if line.link and line.link.every:
            yield f"{line.place}: links to all belong to the resource, not to an element of it"


def _line(library: Library, block: Block, line: Line, made: set[str]) -> None:
    """Raises Configuration with the line's place."""
    path = paths.resolve(block.path, line, library.systems)
    if line.link:
        if line.link.type == WHOLE and not line.link.everywhere:
            raise Configuration(f"{line.place}: everything of a message is @@@{WHOLE}")
        if line.link.type not in made and line.link.type != WHOLE:
            raise Configuration(f"{line.place}: no block makes a {line.link.type}{nearest(line.link.type, made)}")
        there = definitions.children(line.link.type) if line.link.element else {}
        if line.link.element and line.link.element not in there:
            told = f"{line.link.type} has no {line.link.element}{nearest(line.link.element, there)}"
            raise Configuration(f"{line.place}: {told}")
        _standing(library, line, path)
    elif line.constant and not line.into:
        return  # a text that is only written
    elif line.constant:
        paths.value_of(path.text, line.constant, line, library.systems)
    else:
        _pair(library, line, path)


def _standing(library: Library, line: Line, path: paths.Path) -> None:
    """What only links through a table have."""
    link = line.link
    if link is None or not (line.codes or (link.every and link.element)):
        return
    if not line.codes:
        remedy = f"@{link.type}.{link.element}, or a table of what they say together: | NAME"
        raise Configuration(f"{line.place}: of several resources no one element is meant", remedy=remedy)
    if not link.element or link.everywhere or len(path.elements) > 1:
        raise Configuration(
            f"{line.place}: a table reads one element of what is linked: = @Type.element | {line.codes}"
        )
    if line.codes not in library.codes:
        raise Configuration(f"{line.place}: no code table is called {line.codes}{nearest(line.codes, library.codes)}")
    if not library.codes[line.codes].system:
        codetables.check_codes(line, path, library.codes[line.codes])


def _pair(library: Library, line: Line, path: paths.Path) -> None:
    if line.codes and line.codes not in library.codes:
        raise Configuration(f"{line.place}: no code table is called {line.codes}{nearest(line.codes, library.codes)}")
    names = [*load(), *codetables.BUILT]
    if line.datatype and line.datatype not in names:
        raise Configuration(f"{line.place}: no data type is called {line.datatype}{nearest(line.datatype, names)}")
    found = load().get(line.datatype)
    if found and len(line.arguments) < found.fields - found.optional:
        raise Configuration(f"{line.place}: {line.datatype} reads further fields: {line.datatype}(…)")
    if line.into and line.datatype in _RAW and not line.codes and (known := definitions.resolve(path.text).codes):
        remedy = f"give it a table: | NAME, with {' '.join(sorted(known)[:12])}"
        raise Configuration(f"{line.place}: {path.text} takes the codes of R4 only; {remedy}")
    fits = library.pair(line, path).fits
    if line.into and fits and path.leaf.type and path.leaf.type not in fits:
        maker = line.datatype or "a code table"
        raise Configuration(f"{line.place}: {maker} makes {' or '.join(fits)}, {path.text} is {path.leaf.type}")
    if line.codes and not line.datatype and path.leaf.type and path.leaf.type not in fits:
        remedy = f"say which data type reads it: ': concept(SYSTEM) | {line.codes}'"
        raise Configuration(
            f"{line.place}: a code table reads {' or '.join(fits)}, {path.text} is {path.leaf.type}; {remedy}"
        )
