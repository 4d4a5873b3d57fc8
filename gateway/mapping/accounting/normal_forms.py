"""Where a field comes back otherwise than its data type alone would have it: the declared normal forms.

One table, `normal_forms.tsv` beside the maps: the field, and what the gateway writes there. It is the documentation too
(`hutong map normal-forms`); what is in no row and no data type's own form is lost, and `hutong roundtrip` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from gateway.mapping import paths
from gateway.mapping.codetables import BUILT
from gateway.mapping.context import Context
from gateway.mapping.library import Library
from gateway.mapping.maps import shipped
from gateway.mapping.runtime import component
from gateway.mapping.source_code import SIMPLE
from gateway.mapping.statement import judged
from gateway.mapping.syntax import Line

FILE = "normal_forms.tsv"
TOGETHER = frozenset({"switch", "kind", "range", "attachment"})  # their value depends on other fields as well


@cache
def declared(folder: Path | None = None) -> dict[str, str]:
    """'PID-3' → what is written there."""
    return {row[0]: row[1] for row in rows_of("hl7v2", folder)}


def rows_of(kind: str, folder: Path | None = None, file: str = FILE) -> list[list[str]]:
    """The rows of a table of `hl7v2` or of `exports`."""
    path = (folder or shipped()) / kind / file
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and line[0] != "#"]


def mapped_fields(library: Library, structure: str) -> dict[str, list[tuple[str, Line]]]:
    """'PID-8' → the lines that map it both ways in messages of a structure, each with the path of its block."""
    found: dict[str, list[tuple[str, Line]]] = {}
    codes = {event.partition("_")[0] for event in (structure, *library.structures[structure].events)}
    root = library.structures[structure]
    for block in library.blocks_of(structure):
        if block.segments and not root.holds(block.segments[-1]):
            continue
        if block.condition and all(judged(block.condition, {"MESSAGE": code}) is False for code in codes):
            continue
        for line in block.lines:
            if line.into and line.back and line.sources and not line.constant and not line.sources[0].every:
                for source in (*line.sources, *(each for each in line.arguments if each.segment)):
                    found.setdefault(f"{source.segment}-{source.number}", []).append((block.path, line))
    return found


def normal(raw: str, lines: Sequence[tuple[str, Line]], library: Library, around: Callable[[], Context]) -> list[str]:
    """Each repetition as its data type writes it: no trailing separators, local times, one code for each meaning."""
    start, line = lines[0]
    if line.datatype in TOGETHER:
        return [raw.rstrip("^")]
    context = around()
    pair = library.pair(line, paths.resolve(start, line, library.systems))
    words = () if line.datatype in BUILT else tuple(each.name for each in line.arguments[pair.fields :])
    found = []
    source = line.sources[0]
    for each in raw.split("~"):
        composite = line.datatype not in SIMPLE
        part = component(each, source.component, source.subcomponent, composite) if source.component else each
        value = pair.into(part, *[""] * pair.fields, context, *words)
        if isinstance(value, dict) and "reference" in value:
            value = {**value, **context.entries[value["reference"]].resource}
        if value is not None:
            written = pair.back(value, context, *words)
            found.append(written[0] if isinstance(written, tuple) else written)
    return sorted(found)


def completed(sent: str, written: str) -> bool:
    """Does every part that was sent stand where it stood, whatever else is written?"""
    one, two = sent.split("~"), written.split("~")
    return len(one) <= len(two) and all(_holds(each, other) for each, other in zip(one, two, strict=False))


def _holds(sent: str, written: str) -> bool:
    parts = [piece.split("&") for piece in sent.split("^")]
    others = [piece.split("&") for piece in written.split("^")]
    return len(parts) <= len(others) and all(
        not text or (sub < len(others[index]) and others[index][sub] == text)
        for index, pieces in enumerate(parts)
        for sub, text in enumerate(pieces)
    )
