"""Rows with fewer cells than the header: do they lack empty ones at their end alone, or has something shifted?

Some programs write no separators behind the last cell that says something. Such a row is known by the others: what it
lacks others leave empty too, and its cells are more like those of their own columns than like those of later ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

_MOST: Final = 12  # cells that may be lacking
_HABIT: Final = 0.2  # of the rows lack a cell: so the program writes them
_LONGEST: Final = 80  # characters of a cell that are looked at
_FORMS: Final = ((re.compile(r"\d+"), "9"), (re.compile(r"[A-Za-z]+"), "A"), (re.compile(r"[\u3400-\u9fff]+"), "字"))


class Whole:
    """What the whole rows of a sample hold, column by column."""

    def __init__(self, sample: Sequence[Sequence[str]], width: int) -> None:
        rows = [cells for cells in sample if any(cells)]
        whole = [cells for cells in rows if len(cells) == width]
        lacking = [sum(len(cells) <= column for cells in rows) for column in range(width)]
        self._width = width
        self._cells = [{cells[column][:_LONGEST] for cells in whole} for column in range(width)]
        self._forms = [set(map(_form, cells)) for cells in self._cells]
        self._optional = [
            "" in cells or count >= max(2, len(rows) * _HABIT)
            for cells, count in zip(self._cells, lacking, strict=True)
        ]

    def lacks_its_end(self, cells: Sequence[str]) -> bool:
        """Does nothing but empty cells at its end lack? Not where a cell could as well belong to a later column."""
        lacking = self._width - len(cells)
        last = next((at for at in range(len(cells) - 1, -1, -1) if cells[at]), -1)
        if not 0 < lacking <= _MOST or last < 1 or not all(self._optional[len(cells) :]):
            return False
        straight = [0, *accumulate(self._alike(cell, at) for at, cell in enumerate(cells))]
        return all(self._shifted(cells, by, straight, last) < straight[-1] for by in range(1, lacking + 1))

    def _shifted(self, cells: Sequence[str], by: int, straight: Sequence[int], last: int) -> int:
        """How well the row would fit if cells from some place on, one with a text at least, belonged `by` later."""
        later = [self._alike(cell, at + by) for at, cell in enumerate(cells)]
        behind = [*accumulate(reversed(later), initial=0)][::-1]
        return max(straight[at] + behind[at] for at in range(last + 1))

    def _alike(self, cell: str, column: int) -> int:
        if cell[:_LONGEST] in self._cells[column]:
            return 2
        return 1 if _form(cell[:_LONGEST]) in self._forms[column] else 0


def _form(cell: str) -> str:
    """`2026-03-12` is 9-9-9."""
    for form, sign in _FORMS:
        cell = form.sub(sign, cell)
    return cell
