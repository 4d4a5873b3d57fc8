"""Folders of .map files become one checked library: every mistake at once, each with its file and line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import Configuration
from gateway.fhir import definitions
from gateway.mapping import codetables, grammar, paths
from gateway.mapping.datatypes import Pair, load
from gateway.mapping.syntax import Block, CodeTable, Export, Line, Structure

_LIMIT = 2_000_000  # characters of one map file


@dataclass(slots=True)
class Library:
    """Everything that the maps declare; later folders win over earlier ones, name by name."""

    codes: dict[str, CodeTable] = field(default_factory=dict)
    systems: dict[str, str] = field(default_factory=dict)  # short name → URI, for maps
    coding_systems: dict[str, str] = field(
        default_factory=dict
    )  # v2 coding system name ↔ URI (HL7 table 0396), both directions
    structures: dict[str, Structure] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)  # 'ADT_A04' → structure
    exports: dict[str, Export] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def blocks_of(self, structure: str) -> list[Block]:
        return [block for block in self.blocks if not block.structures or structure in block.structures]

    def pair(self, line: Line, path: paths.Path) -> Pair:
        """What translates the values of a line, both ways."""
        return codetables.pair(line, path, self.codes, self.systems)


def read(folders: Iterable[Path]) -> Library:
    """The library of these folders (searched recursively, in order). Raises Configuration listing every mistake."""
    library = Library()
    mistakes: list[str] = []
    for folder in folders:
        for path in sorted(folder.rglob("*.map")):
            try:
                _add(library, grammar.parse(_text(path), _shown(path, folder)))
            except Configuration as error:
                mistakes.extend(error.cause.splitlines())
    mistakes.extend(_check(library))
    if mistakes:
        raise Configuration("\n".join(mistakes), remedy="the maps were not loaded; see mappings/README.md")
    return library


def _text(path: Path) -> str:
    if path.stat().st_size > _LIMIT:
        raise Configuration(f"{path.name}:1: larger than {_LIMIT} bytes")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Configuration(f"{path.name}:1: not UTF-8 at byte {error.start}") from None


def _shown(path: Path, folder: Path) -> str:
    return f"{folder.name}/{path.relative_to(folder).as_posix()}"


def _add(library: Library, file: grammar.MapFile) -> None:
    for table in file.codes:
        library.codes[table.name] = table
    library.systems.update(file.systems)
    for structure in file.structures:
        library.structures[structure.name] = structure
        library.events.update(structure.events)
    for export in file.exports:
        library.exports[export.name] = export
    library.blocks.extend(file.blocks)
    names = library.codes.get("coding-systems")
    if names:
        for name, uri in names.into.items():
            library.coding_systems.setdefault(name.upper(), uri)
            library.coding_systems.setdefault(uri, names.back.get(uri, name))


# ------------------------------------------------------------------------------------------------- checks


def _check(library: Library) -> list[str]:
    mistakes: list[str] = []
    for block in library.blocks:
        mistakes += _check_block(library, block, {each.type for each in library.blocks})
        mistakes += [
            f"{block.place}: no message structure is called {name}"
            for name in block.structures
            if name not in library.structures
        ]
    for export in library.exports.values():
        made = {block.type for block in export.blocks}
        if export.lead not in made:
            mistakes.append(f"{export.place}: no block makes the {export.lead} that the export is for")
        for block in export.blocks:
            mistakes += _check_block(library, block, made)
    return mistakes


def _check_block(library: Library, block: Block, made: set[str]) -> list[str]:
    if block.type not in definitions.resource_types():
        return [f"{block.place}: R4 has no resource {block.type}{_nearest(block.type, definitions.resource_types())}"]
    mistakes = []
    for line in block.lines:
        try:
            _check_line(library, block, line, made)
        except Configuration as error:
            mistakes.append(str(error))
    return mistakes


def _check_line(library: Library, block: Block, line: Line, made: set[str]) -> None:
    path = paths.resolve(block.type, line, library.systems)
    if line.link:
        if line.link.type not in made and line.link.type != "Resource":
            raise Configuration(f"{line.place}: no block makes a {line.link.type}{_nearest(line.link.type, made)}")
    elif line.constant and not line.into:
        return  # a text that is only written
    elif line.constant:
        paths.value_of(path.text, line.constant, line, library.systems)
    else:
        if line.codes and line.codes not in library.codes:
            raise Configuration(
                f"{line.place}: no code table is called {line.codes}{_nearest(line.codes, library.codes)}"
            )
        if line.datatype and line.datatype not in load() and line.datatype not in codetables.BUILT:
            nearest = _nearest(line.datatype, [*load(), *codetables.BUILT])
            raise Configuration(f"{line.place}: no data type is called {line.datatype}{nearest}")
        library.pair(line, path)


def _nearest(name: str, names: Iterable[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""
