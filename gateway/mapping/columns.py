"""The names that stand in an export: a word of three capital letters is a column there (GMS), and no HL7 segment.

Databases have no case in the names of columns: PostgreSQL makes 病人id of 病人ID, Oracle JZLSH of jzlsh.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from gateway.mapping.syntax import Block, Condition, Export, Field, KeyPart, KeyValue, KeyWord, Line


def of_export(block: Block) -> Block:
    """The block with all its segments read as columns."""
    return replace(
        block,
        key=tuple(_part(part) for part in block.key),
        condition=_condition(block.condition),
        reopen=_condition(block.reopen),
        lines=tuple(map(_line, block.lines)),
    )


def _line(line: Line) -> Line:
    sources, arguments = tuple(map(_field, line.sources)), tuple(map(_field, line.arguments))
    return replace(line, sources=sources, arguments=arguments, condition=_condition(line.condition))


def _part(part: KeyPart) -> KeyPart:
    if isinstance(part, KeyWord):
        return part
    if isinstance(part, KeyValue):
        return replace(part, field=_field(part.field))
    return tuple(_field(each) if isinstance(each, Field) else each for each in part)


def _condition(condition: Condition | None) -> Condition | None:
    if condition is None:
        return None
    parts = tuple(found for each in condition.parts if (found := _condition(each)) is not None)
    return replace(condition, field=_field(condition.field) if condition.field else None, parts=parts)


def _field(found: Field) -> Field:
    return Field(name=found.segment) if found.segment and not found.number else found


def folded(columns: Iterable[str]) -> tuple[str, ...]:
    """The names without case."""
    return tuple(each.casefold() for each in columns)


def spelling(columns: Sequence[str], known: frozenset[str]) -> dict[str, str]:
    """Each of `columns` → the name among `known` that differs in case alone, where there is one and no other column
    claims it; else as it stands."""
    doubled = Counter(folded(known)) + Counter(folded(columns))
    by_fold = {name.casefold(): name for name in known if doubled[name.casefold()] == 2}
    return {each: each if each in known else by_fold.get(each.casefold(), each) for each in columns}


def names(export: Export) -> frozenset[str]:
    """Every column that an export map reads or writes."""
    return frozenset((*export.columns, *export.order, *(name for block in export.blocks for name in _of_block(block))))


def _of_block(block: Block) -> Iterator[str]:
    yield from block.rows_by or ()
    for part in block.key:
        if isinstance(part, KeyValue):
            yield part.field.name
        elif not isinstance(part, KeyWord):
            yield from (each.name for each in part if isinstance(each, Field))
    yield from _of_condition(block.condition)
    for line in block.lines:
        yield from (each.name for each in (*line.sources, *line.arguments) if each.name)
        yield from _of_condition(line.condition)


def _of_condition(condition: Condition | None) -> Iterator[str]:
    if condition is None:
        return
    if condition.field is not None and condition.field.name:
        yield condition.field.name
    for part in condition.parts:
        yield from _of_condition(part)
