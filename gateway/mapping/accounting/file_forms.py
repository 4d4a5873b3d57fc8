"""Normal forms of exports: where a cell comes back otherwise than it was sent, when that may be, and what is written.

One table, `exports/normal_forms.tsv` beside the maps, is the declaration and the documentation (`hutong map
normal-forms`). A form holds only where what it says of the record is true; anything else is lost.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from gateway.errors import Configuration
from gateway.mapping.accounting.normal_forms import rows_of
from gateway.mapping.datatypes.clocks import says_none
from gateway.mapping.datatypes.results import no_value, read

Read = Callable[[str], str]  # the cell of a column, as it was sent or as it was written
_NOTHING, _IN, _WORDS, _NOT, _IS = "nothing", "in ", "words ", "!", " = "


@dataclass(frozen=True, slots=True)
class Form:
    """When a cell may come back otherwise (`always`, or conditions joined by `and`, `or`), and what is written then.

    `X` a cell that says something, `!X` one that says nothing, `X = code`, `words X` no number, `in X` the text stands
    in that cell of the written record, `nothing` the cell itself says that there is none."""

    when: str
    said: str

    def holds(self, name: str, sent: Read, written: Read) -> bool:
        """`name`: of the column. Of cells in a node the columns of that node."""
        return self.when == "always" or any(
            all(_holds(condition, name, sent, written) for condition in each.split(" and "))
            for each in self.when.split(" or ")
        )


def _holds(condition: str, name: str, sent: Read, written: Read) -> bool:
    if condition == _NOTHING:
        return is_nothing(sent(name))
    if condition.startswith(_IN):
        return sent(name).strip() in written(condition.removeprefix(_IN))
    if condition.startswith(_WORDS):
        return read(sent(condition.removeprefix(_WORDS)), "").amount is None
    if condition.startswith(_NOT):
        return is_nothing(sent(condition.removeprefix(_NOT)))
    column, _, code = condition.partition(_IS)
    return sent(column) == code if code else not is_nothing(sent(column))


def is_nothing(cell: str) -> bool:
    """Is it empty, or a sign of nothing?"""
    text = unicodedata.normalize("NFKC", cell).strip()
    return not text or says_none(text) or no_value(text, "-", "")


@cache
def declared() -> dict[tuple[str, str], tuple[Form, ...]]:
    """(export, column) → its forms."""
    found: dict[tuple[str, str], tuple[Form, ...]] = {}
    for row in rows_of("exports"):
        if len(row) != 4:
            raise Configuration(f"{row[0]}: a normal form has an export, a column, when, and what is written", place="")
        export, column, when, said = row
        found[export, column] = (*found.get((export, column), ()), Form(when, said))
    return found


def lines() -> Iterator[str]:
    """The table, one line a form."""
    for (export, column), forms in declared().items():
        yield from (f"{export}/{column}\t{form.when}\t{form.said}" for form in forms)
