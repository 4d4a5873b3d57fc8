"""Map lines read from right to left: which values of a resource a line writes, and as which texts.

An element is written by the first line that its slice fits; alternatives (`ORC-2|OBR-2`) are all written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.mapping import paths
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.emit import BUILT
from gateway.mapping.graph import Graph, values_at
from gateway.mapping.library import Library
from gateway.mapping.runtime import possible
from gateway.mapping.source_code import SIMPLE
from gateway.mapping.syntax import Block, Line
from gateway.model import Resource


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """One line, ready to write."""

    line: Line
    path: paths.Path
    pair: Pair  # of a constant line: one that always gives its text
    constants: tuple[str, ...]

    def applies(self, context: Context) -> bool:
        return self.line.condition is None or possible(self.line.condition, context)


def written_lines(library: Library, block: Block) -> list[WrittenLine]:
    made = []
    for line in block.lines:
        if not line.back or line.link or not line.sources:
            continue
        path = paths.resolve(block.type, line, library.systems)
        pair = _constant_pair(line.constant.text) if line.constant else library.pair(line, path)
        words = () if line.datatype in BUILT else tuple(each.name for each in line.arguments[pair.fields :])
        made.append(WrittenLine(line, path, pair, words))
    return made


def _constant_pair(text: str) -> Pair:
    return Pair(lambda raw, context: None, lambda value, context: text)


class Claims:
    """Which list elements of a resource an earlier line has written already."""

    def __init__(self) -> None:
        self._taken: dict[str, set[int]] = {}
        self.references: set[str] = set()

    def take(self, path: str, values: list[Any], *, one: bool) -> list[Any]:
        taken = self._taken.setdefault(path, set())
        free = [each for each in values if not (isinstance(each, dict) and id(each) in taken)]
        chosen = free[:1] if one else free
        taken.update(id(each) for each in chosen if isinstance(each, dict))
        return chosen


def leaf_values(resource: Resource, written: WrittenLine, claims: Claims) -> list[Any]:
    """The values that a line writes; for an open choice (type name, value)."""
    leaf = written.path.leaf
    if leaf.choice:
        stem = leaf.name.removesuffix("[x]")
        holders = values_at(resource, written.path.elements[:-1]) if len(written.path.elements) > 1 else [resource]
        return [
            (name[len(stem) :], value)
            for each in holders
            for name, value in each.items()
            if name.startswith(stem) and name[len(stem) :][:1].isupper()
        ]
    source = written.line.sources[0]
    return claims.take(
        written.path.text, values_at(resource, written.path.elements), one=not source.repeats and not source.every
    )


def texts(value: Any, written: WrittenLine, context: Context, graph: Graph, claims: Claims) -> tuple[str, ...]:
    """A FHIR value as raw texts: the field's own and one for each field argument."""
    if written.pair.makes and isinstance(value, dict):
        resource = graph.resolve(value)
        if resource is not None and resource["resourceType"] != written.pair.makes:
            return ("",)
        name = value.get("reference", "")
        if name and name in claims.references and written.path.leaf.many:
            return ("",)  # the same person was written by an earlier line of this block
        claims.references.add(name)
        value = {**value, **resource} if resource is not None else value
    made = written.pair.back(value, context, *written.constants)
    first, *others = made if isinstance(made, tuple) else (made,)
    if written.line.sources[0].component and written.line.datatype not in SIMPLE:
        first = first.replace("^", "&")  # a composite inside a component: its parts are subcomponents
    return (first, *others)


@dataclass(frozen=True, slots=True)
class Target:
    """A block in one group of a structure, ready to write."""

    block: Block
    lines: tuple[WrittenLine, ...]
    links: tuple[tuple[str, bool, paths.Path], ...]  # (type linked to, every, path), from the forward direction
    repeated: str  # the segment that the block repeats in its group, "" when there is one
    opens: bool = False  # its segment begins an occurrence of the group

    @property
    def apart(self) -> bool:
        """It points at another resource of its own type: the retired patient of a merge."""
        return any(not every and type_ == self.block.type for type_, every, _ in self.links)


def target_of(library: Library, block: Block, repeated: str = "", *, opens: bool = False) -> Target:
    links = tuple(
        (line.link.type, line.link.every, paths.resolve(block.type, line, library.systems))
        for line in block.lines
        if line.into and line.link
    )
    return Target(block, tuple(written_lines(library, block)), links, repeated, opens)
