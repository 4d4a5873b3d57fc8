"""What the cells of a person say otherwise than the person's identity card, which carries birth date and
sex (GB 11643), or than each other; names that have lost characters on their way; and ends that lie before their
beginning.

All but such an end stays as it was written: what is right only a person can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gateway.codec.chinese_numbers import birth_date_of, sex_of
from gateway.mapping.context import CHINESE_ID
from gateway.mapping.syntax import Block, Line
from gateway.model import Resource

Cell = Callable[[Any, str], str]
_DAY: Final = len("2026-03-03")
_LOST = frozenset("?\uff1f\u25a1\u2753")  # what programs write in the place of a character that they do not have
_SEXES = frozenset({"male", "female"})


def of_person(
    patient: Resource, block: Block, table_of: Callable[[str], Mapping[str, str]], node: Any, cell: Cell
) -> Iterator[tuple[str, str]]:
    """(column of the block that makes the person, what the card, or another column, says otherwise)."""
    yield from _of_columns(block, table_of, node, cell)
    for element, cause in (*_of_card(patient), *_of_name(patient)):
        lines = (line for line in block.lines if line.into and line.path == element and line.datatype != "birth")
        yield from ((each.name, cause) for line in lines for each in line.sources)


def ends_of(block: Block) -> tuple[Line, ...]:
    """The lines that read the end of a period."""
    return tuple(
        line
        for line in block.lines
        if line.into and line.path.endswith(".end") and not any(step.repeats for step in line.target)
    )


def of_periods(resource: Resource, ends: Sequence[Line]) -> Iterator[tuple[str, str]]:
    """(column of an end before its beginning, what was done): R4 forbids it (per-1), and the beginning is what is known
    first. A day and a moment are compared by their days."""
    for line in ends:
        period: Any = resource
        for step in line.target[:-1]:
            period = period.get(step.name, {})
        start, end = str(period.get("start", "")), str(period.get("end", ""))
        if start and end and _before(end, start):
            del period["end"]
            yield from ((each.name, "it lies before the beginning; it was left out") for each in line.sources)


def _before(end: str, start: str) -> bool:
    if min(len(end), len(start)) > _DAY:
        return datetime.fromisoformat(end) < datetime.fromisoformat(start)
    length = min(len(end), len(start), _DAY)
    return end[:length] < start[:length]


def _of_columns(
    block: Block, table_of: Callable[[str], Mapping[str, str]], node: Any, cell: Cell
) -> Iterator[tuple[str, str]]:
    """Columns of which the first that is valued is taken (性别, 性别代码), where another one says something else."""
    lines = [line for line in block.lines if line.path == "gender" and line.codes and line.into]
    if sum(len(line.sources) for line in lines) < 2:
        return
    named = [(each.name, table_of(line.codes)) for line in lines for each in line.sources]
    said = [(name, table.get(text.upper(), "")) for name, table in named if (text := cell(node, name))]
    for name, code in said[1:]:
        if code in _SEXES and said[0][1] in _SEXES and code != said[0][1]:
            yield name, f"{said[0][0]} says another sex, and was taken"


def _of_name(patient: Resource) -> Iterator[tuple[str, str]]:
    if any(not _LOST.isdisjoint(each.get("text", "")) for each in patient.get("name", ())):
        yield "name.text", "a sign stands in it for a character that was lost on the way; it was kept as it is"


def _of_card(patient: Resource) -> Iterator[tuple[str, str]]:
    numbers = (each.get("value", "") for each in patient.get("identifier", ()) if each.get("system") == CHINESE_ID)
    card = next(numbers, "")
    if not card:
        return
    born, sex = str(patient.get("birthDate", "")), patient.get("gender")
    if born and not birth_date_of(card).startswith(born):
        yield "birthDate", "the identity card says another birth date; both were kept"
    if sex in _SEXES and sex_of(card) not in ("", sex):
        yield "gender", "the identity card says another sex; both were kept"
