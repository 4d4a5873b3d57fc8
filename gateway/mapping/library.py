"""Folders of .map files become one checked library: every mistake at once, each with its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from gateway.errors import Configuration
from gateway.mapping import checks, codetables, grammar, overlay, paths
from gateway.mapping.datatypes import Pair
from gateway.mapping.syntax import Block, CodeTable, Export, Line, Place, Structure

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
    _ordered: dict[str, list[Block]] = field(default_factory=dict, init=False, compare=False)

    def blocks_of(self, structure: str) -> list[Block]:
        """The blocks of a message structure, each behind those that make what it refers to. Asked for when all maps
        are read."""
        found = self._ordered.get(structure)
        if found is None:
            found = self._ordered[structure] = _in_order(
                [
                    block
                    for block in self.blocks
                    if structure not in block.without and (not block.structures or structure in block.structures)
                ]
            )
        return found

    def without(self, off: tuple[str, ...]) -> Library:
        """The same library with a member's rows switched off: 'PID-14' (every line that reads or writes it) or
        'PID-14 Patient.telecom' (only the line to that element). Raises Configuration for a row that no map has."""
        if not off:
            return self
        unused = set(off)
        blocks = [_switched(block, off, unused) for block in self.blocks]
        exports = {
            name: replace(export, blocks=tuple(_switched(block, off, unused) for block in export.blocks))
            for name, export in self.exports.items()
        }
        if unused:
            remedy = "write it as in the maps: 'PID-14' or 'PID-14 Patient.telecom'"
            raise Configuration(f"no map has the row {sorted(unused)[0]}", place="profile.off", remedy=remedy)
        return replace(self, blocks=blocks, exports=exports)

    def pair(self, line: Line, path: paths.Path) -> Pair:
        """What translates the values of a line, both ways."""
        return codetables.pair(line, path, self.codes, self.systems)


def _in_order(blocks: list[Block]) -> list[Block]:
    """Stable: as the maps say, but a block that refers to what a later one makes comes behind that one, and those that
    only write come last."""
    waiting = [(block, _referred(block)) for block in blocks if block.into]
    placed = []
    while waiting:
        makers = {block.type for block, referred in waiting if not block.element and block.type not in referred}
        free = (index for index, (_, referred) in enumerate(waiting) if referred.isdisjoint(makers))
        placed.append(waiting.pop(next(free, 0))[0])  # blocks that refer to each other stay as they stand
    return placed + [block for block in blocks if not block.into]


def _referred(block: Block) -> frozenset[str]:
    """The types of the resources beside or above that a block needs."""
    links = [line.link for line in block.lines if line.into and line.link and not line.link.every]
    owner = [block.type] if block.element else []
    return frozenset((*owner, *(each.type for each in (*links, *block.key_links))))


def _switched(block: Block, off: tuple[str, ...], unused: set[str]) -> Block:
    """The block without the lines that are off; the rows that were found are taken out of `unused`."""
    kept = []
    for line in block.lines:
        names = {str(replace(each, repeats=False, component=0, subcomponent=0)) for each in line.sources}
        rows = names | {f"{name} {block.path}.{line.path}" for name in names}
        found = rows.intersection(off)
        unused -= found
        if not found:
            kept.append(line)
    return replace(block, lines=tuple(kept))


def read(folders: Iterable[Path]) -> Library:
    """The library of these folders (searched recursively, in order). Raises Configuration listing every mistake."""
    library = Library()
    mistakes: list[str] = []
    for folder in folders:
        seen: dict[str, Place] = {}
        for path in sorted(folder.rglob("*.map")):
            try:
                file = _parsed(_text(path), _shown(path, folder))
                mistakes.extend(_doubles(file, seen))
                _add(library, file)
            except Configuration as error:
                mistakes.extend(error.cause.splitlines())
    library.exports, wrong = overlay.resolved(library.exports)
    mistakes.extend(wrong or checks.mistakes(library))
    if mistakes:
        raise Configuration("\n".join(mistakes), remedy="the maps were not loaded; see mappings/README.md")
    return library


@lru_cache(maxsize=128)
def _parsed(text: str, shown: str) -> grammar.MapFile:
    """What a file says: the shipped ones are read under the maps of each community of a process."""
    return grammar.parse(text, shown)


def _doubles(file: grammar.MapFile, seen: dict[str, Place]) -> Iterator[str]:
    """Names that stand twice in one folder; a later folder may replace what an earlier one says."""
    statements: list[CodeTable | Structure | Export] = [*file.codes, *file.structures, *file.exports]
    for statement in statements:
        name = f"{type(statement).__name__} {statement.name}"
        if name in seen:
            yield f"{statement.place}: {statement.name} is declared at {seen[name]} already"
        seen.setdefault(name, statement.place)


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
