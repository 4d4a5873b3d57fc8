"""Every code of every table through the pair of a line that reads it: what it becomes, and what that goes back as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.fhir import json
from gateway.mapping import paths
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.examples import PROFILE
from gateway.mapping.library import Library
from gateway.mapping.syntax import CodeTable, Line

FILE = Path(__file__).with_name("codes.tsv")
HEAD = "# table\tdirection\tcode\tbecomes\tgoes back as\n"


def rows(library: Library) -> Iterator[str]:
    """`sex  into  M  male  M` for each code of the source, `sex  back  male  M` for each of FHIR."""
    readers = _readers(library)
    for name, table in sorted(library.codes.items()):
        reader = readers.get(name)
        for code in table.into:
            yield "\t".join((name, "into", code, *_through(reader, table, code, library)))
        for code, back in table.back.items():
            yield "\t".join((name, "back", code, back))


def told(library: Library) -> str:
    """The whole file."""
    return HEAD + "".join(f"{row}\n" for row in rows(library))


def _readers(library: Library) -> dict[str, Pair]:
    """Table → the pair of the first line that reads codes by it and nothing else."""
    found: dict[str, Pair] = {}
    blocks = [*library.blocks, *(block for export in library.exports.values() for block in export.blocks)]
    for block in blocks:
        for line in block.lines:
            if line.codes and not line.link and line.codes not in found and not _fields(line):
                found[line.codes] = library.pair(line, paths.resolve(block.path, line, library.systems))
    return found


def _fields(line: Line) -> bool:
    return any(each.segment for each in line.arguments)


def _through(reader: Pair | None, table: CodeTable, code: str, library: Library) -> tuple[str, str]:
    """By the pair; by the table itself where the gateway asks it without a line."""
    if reader is None or code == "*":
        value = table.into[code]
        return value, table.back.get(value, "")
    context = Context(profile=PROFILE, facility="*", systems=library.coding_systems)
    made = reader.into(code, context)
    written = reader.back(made, context) if made is not None else ""
    return _text(made), _text(written)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value).decode()
