"""The names that stand in an export: a word of three capital letters is a column there (GMS), and no HL7 segment.

Databases have no case in the names of columns: PostgreSQL makes 病人id of 病人ID, Oracle JZLSH of jzlsh. People write
姓 名, 病人ＩＤ and 结果（定量）.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from gateway.codec.character_forms import simplified
from gateway.codec.table import UNSEEN
from gateway.mapping import withdrawals
from gateway.mapping.syntax import Block, Condition, Export, Field, KeyPart, KeyValue, KeyWord, Line

_REMARK: Final = re.compile(r"[(\[【][^()\[\]【】]*[)\]】]$")


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


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A name in half-width and simplified characters, without case, blanks and signs around it: `* 性 別：` is 性别."""
    half = unicodedata.normalize("NFKC", UNSEEN.sub("", name))
    return simplified(re.sub(r"\s+", "", half)).strip("*#:※★").casefold()


@lru_cache(maxsize=4096)
def bare(name: str) -> str:
    """The same without what stands in brackets behind it: 结果（定量） is 结果."""
    return _REMARK.sub("", plain(name)) or plain(name)


@lru_cache(maxsize=4096)
def meant(name: str) -> str:
    """What a Chinese name means where that is one thing: 患者姓名 is 姓名, 参考值 is 参考范围; else the bare name."""
    from gateway.mapping.learning.vocabulary import meaning_of  # 6,000 names, for files with other headers alone

    return meaning_of(bare(name)) or bare(name)


FORMS: Final = (str, plain, bare, meant)  # in which two names may be one, the surest first


def asked(export: Export, form: Callable[[str], str]) -> set[str]:
    """The columns that a map asks for, in a form that does not make one of two; else as they are written."""
    found = set(map(form, export.columns))
    return found if len(found) == len(export.columns) else set(export.columns)


def spelling(columns: Sequence[str], known: frozenset[str]) -> dict[str, str]:
    """Each of `columns` → the name among `known` that is written otherwise, where there is one and no other column
    claims it; else as it stands."""
    found = {each: each for each in columns if each in known}
    for form in FORMS[1:]:
        wanted = Counter(form(each) for each in columns if each not in found)
        free = Counter(form(each) for each in known if each not in found.values())
        names = {form(each): each for each in known if free[form(each)] == 1 and each not in found.values()}
        held = {form(each) for each in found}  # such a name stands there already
        for each in columns:
            key = form(each)
            if each not in found and wanted[key] == 1 and key in names and key not in held:
                found[each] = names[key]
    left = [each for each in columns if each not in found]
    found.update(withdrawals.spelling(left, known - set(found.values())))
    return {each: found.get(each, each) for each in columns}


def names(export: Export) -> frozenset[str]:
    """Every column that an export map reads or writes."""
    known = (*export.columns, *export.order, *export.latest)
    return frozenset((*known, *(name for block in export.blocks for name in _of_block(block))))


def inside(blocks: Iterable[Any]) -> frozenset[str]:
    """Every name that compiled blocks read in their nodes."""
    return frozenset(name for each in blocks for name in _of_block(each.block))


def naming(block: Block) -> Iterator[str]:
    """The columns by which a block names what it makes, and those that its condition asks for."""
    yield from block.rows_by or ()
    for part in block.key:
        if isinstance(part, KeyValue):
            yield part.field.name
        elif not isinstance(part, KeyWord):
            yield from (each.name for each in part if isinstance(each, Field))
    yield from _of_condition(block.condition)


def _of_block(block: Block) -> Iterator[str]:
    yield from naming(block)
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
