"""What the columns of an export are for: which name what a record is of, and which only one block reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from gateway.mapping.columns import naming
from gateway.mapping.datatypes.clocks import NO_NUMBER, no_number
from gateway.mapping.datatypes.papers import whole
from gateway.mapping.into_fhir import CompiledBlock
from gateway.mapping.record_columns import agreeing
from gateway.mapping.syntax import Block, Export

_TABLE: Final = "table"
_NUMBERS: Final = frozenset({"own", "given", "theirs"})


def only_there(blocks: Sequence[CompiledBlock], lead: str) -> dict[int, tuple[str, ...]]:
    """By block the columns that it alone reads: where it makes nothing, nobody reads them. What names it counts only
    for the lead: of a row without one nothing is written either, that of another block says nothing by itself."""
    alone: dict[int, tuple[str, ...]] = {}
    reads = {id(each): set(_read(each.block)) for each in blocks}
    for each in blocks:
        if each.block.found or not (each.block.rows_by or each.block.condition):
            continue
        others = set().union(*(found for at, found in reads.items() if at != id(each)))
        names = {(each.block.each, name): None for name in naming(each.block)}
        read = dict.fromkeys(_read(each.block))
        leads = each.block.type == lead and not each.block.element
        own = names | read if leads else [one for one in read if one not in names]
        left = [name for around, name in own if (around, name) not in others]
        if left:
            alone[id(each)] = tuple(dict.fromkeys(left))
    return alone


def _read(block: Block) -> Iterator[tuple[str, str]]:
    """(node around, column) of all that the lines of a block read going in."""
    for line in block.lines:
        if line.into and line.sources:
            yield from ((block.each, each.name) for each in (*line.sources, *line.arguments) if each.name)


def grouped_by(export: Export) -> tuple[str, ...]:
    """The columns in which the rows of one record of the leading block agree; () where each row or node is one."""
    leads = (each for each in export.blocks if each.into and each.type == export.lead and not each.element)
    return next((each.rows_by or () for each in leads), ())


def unused(block: Block, cell: Callable[[str], str]) -> str:
    """Why the cells that only this block reads come to nothing where it makes nothing."""
    if not block.rows_by:
        return f"no {block.type} is made: what names it is empty"
    if all(map(cell, block.rows_by)):
        return f"no {block.type} is made of such a row"
    return f"{' '.join(block.rows_by)} is empty: no {block.type} is made of it"


def needed(export: Export, blocks: Sequence[Block]) -> list[tuple[str, ...]]:
    """The columns without any of which a record belongs to nobody: the number of what it is of, and of the patient."""
    made = [next((each for each in blocks if each.type == type_), None) for type_ in (export.lead, "Patient")]
    if export.format == _TABLE:
        return list(dict.fromkeys(names for each in made if each for names in _numbering(each)))
    lead, patient = made
    of = [_numbers(lead)[:1] if lead and not lead.each else (), _numbers(patient) if patient else ()]
    return [tuple(name for line in each for name in line) for each in of if each]


def numbers(blocks: Sequence[Block]) -> tuple[str, ...]:
    """The columns that hold nothing but numbers of somebody or something."""
    used: dict[str, set[str]] = {}
    for block in blocks:
        for line in block.lines:
            for each in line.sources if line.into else ():
                used.setdefault(each.name, set()).add(line.datatype)
    return tuple(name for name, types in used.items() if name and types <= _NUMBERS)


def without_point(record: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    """A row in which no number of these columns is written as a decimal."""
    found = {name: whole(cell) for name in names if (cell := record.get(name, ""))[-2:] == ".0"}
    return {**record, **found} if found else record


def _numbering(block: Block) -> list[tuple[str, ...]]:
    """The columns that name what a row is of: all of them, but any where each is a number of its own, or where the key
    takes one in the place of the other (a diagnosis by its code, else by its name)."""
    names = block.rows_by or ()
    own = {each.name for line in block.lines if line.path == "identifier" for each in line.sources}
    if len(names) > 1 and own.issuperset(names):
        return [names]
    return list(dict.fromkeys(agreeing(block)))


def _numbers(block: Block) -> list[tuple[str, ...]]:
    around = f"{block.each}/" if block.each else ""
    found = (line for line in block.lines if line.path == "identifier" and line.sources)
    return [tuple(f"{around}{each.name}" for each in line.sources) for line in found]


def names_nothing(cells: Sequence[str]) -> bool:
    """Are these no number of anything?"""
    return not any(cells) or (len(cells) == 1 and len(cells[0]) < NO_NUMBER and no_number(cells[0]))
