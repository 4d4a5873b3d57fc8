"""The names that stand in an export: a word of three capital letters is a column there (GMS), and no HL7 segment."""

from __future__ import annotations

from dataclasses import replace

from gateway.mapping.syntax import Block, Condition, Field, KeyPart, KeyValue, KeyWord, Line


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
