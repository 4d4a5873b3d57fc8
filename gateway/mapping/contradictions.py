"""What the cells of a person say otherwise than the person's identity card, which carries birth date and
sex (GB 11643).

Both stay as they were written: which of them is wrong only a person can tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.codec.chinese_numbers import birth_date_of, sex_of
from gateway.mapping.context import CHINESE_ID
from gateway.mapping.syntax import Block
from gateway.model import Resource

_SEXES = frozenset({"male", "female"})


def of_person(patient: Resource, block: Block) -> Iterator[tuple[str, str]]:
    """(column of the block that makes the person, what the card says otherwise)."""
    for element, cause in _of_card(patient):
        lines = (line for line in block.lines if line.into and line.path == element and line.datatype != "birth")
        yield from ((each.name, cause) for line in lines for each in line.sources)


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
