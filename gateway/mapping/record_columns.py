"""The columns of an export by which its records are told apart: what they are about, and whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gateway.mapping.syntax import Block, Export, Field, Line, Link

TREE: Final = "tree"


def finest(blocks: list[Block]) -> list[Block]:
    """The block that makes something of each row."""
    rows = [block for block in blocks if block.rows_by == () and block.key and block.condition is None]
    return rows[:1]


def key(export: Export, blocks: list[Block], told: list[Block]) -> list[tuple[str, ...]]:
    """The columns, with their alternatives, by which two records are about the same thing."""
    lead = next((block for block in blocks if block.type == export.lead), None)
    if export.format == TREE:
        numbers = (line for line in (lead.lines if lead else ()) if line.path == "identifier" and line.sources)
        return [tuple(each.name for each in line.sources) for line in list(numbers)[:1]]
    if told and told[0].rows_by == () and told[0].key:
        return list(_parts(told[0], {block.type: block for block in blocks}))
    own = set(lead.rows_by or ()) if lead else set()
    finer = [block for block in blocks if own <= set(block.rows_by or ())]  # a row a diagnosis of the visit
    widest = max(finer if own else blocks, key=lambda block: len(block.rows_by or ()), default=None)
    return agreeing(widest) if widest else []


def _parts(block: Block, made: Mapping[str, Block]) -> Iterator[tuple[str, ...]]:
    for part in block.key:
        if not isinstance(part, tuple):
            continue
        names = tuple(each.name for each in part if isinstance(each, Field))
        if names:
            yield names
        for each in part:
            if isinstance(each, Link) and each.type in made:
                yield from ((name,) for name in made[each.type].rows_by or ())


def agreeing(block: Block) -> list[tuple[str, ...]]:
    """Each column in which the rows of one thing agree, with those that the key takes in its place where it is empty: a
    diagnosis is told by its code, else by its name."""
    parts = [tuple(each.name for each in part if isinstance(each, Field)) for part in block.key if type(part) is tuple]
    return [next((part for part in parts if name in part), (name,)) for name in block.rows_by or ()]


def sources(block: Block | None, wanted: Callable[[Line], bool]) -> tuple[str, ...]:
    """What the lines that are wanted read."""
    if block is None:
        return ()
    around = f"{block.each}/" if block.each else ""
    lines = [line for line in block.lines if wanted(line)]
    return tuple(dict.fromkeys(f"{around}{each.name}" for line in lines for each in line.sources))


def number(patient: Block, export: Export) -> tuple[str, ...]:
    """The columns of a person's number at the sender; of a tree the path to it."""
    if export.format != TREE:
        return patient.rows_by or ()
    own = sources(
        patient, lambda line: line.path == "identifier" and line.datatype == "own" and len(line.arguments) > 1
    )
    return own[:1]


def of_patient(block: Block) -> bool:
    """Does a block say whose it is?"""
    return any(line.link and line.link.type == "Patient" and not line.link.element for line in block.lines)
