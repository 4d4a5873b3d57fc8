"""The records of an export as they come to be read: of a file or of a part of it, batch after batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from gateway.mapping.recurring import People


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Records and the export map that reads them: a sheet of a workbook, the nodes of a tree, a whole file."""

    name: str
    records: Sequence[Any]
    numbers: Sequence[int] = ()  # of the records, where they were not counted from 1
    place: str = ""  # the sheet, or the path in a tree
    places: Sequence[str] = ()  # of each record, where they stand on several sheets
    root: Any = None  # of the tree that they stand in

    def number(self, index: int) -> int:
        """Of a record, as a spreadsheet shows it."""
        return self.numbers[index] if self.numbers else index + 1

    def place_of(self, index: int) -> str:
        """Where a record stands."""
        return self.places[index] if self.places else self.place

    def called(self) -> Sequence[int | str]:
        """The numbers of all its records, as people are told them: those of several sheets with the sheet."""
        numbers = self.numbers or range(1, len(self.records) + 1)
        if not self.places:
            return numbers
        return [f"{number} of {place}" for number, place in zip(numbers, self.places, strict=True)]


def joined(parts: Iterable[Part]) -> list[Part]:
    """Sheets that one map reads as one part: a sheet may repeat, correct or continue what another one says."""
    found: dict[str, list[Part]] = {}
    for part in parts:
        found.setdefault(part.name, []).append(part)
    return [alike[0] if len(alike) == 1 else _one(alike) for alike in found.values()]


def _one(parts: Sequence[Part]) -> Part:
    return Part(
        name=parts[0].name,
        records=[*chain.from_iterable(part.records for part in parts)],
        numbers=[part.number(index) for part in parts for index in range(len(part.records))],
        place=parts[0].place,
        places=[part.place for part in parts for _ in part.records],
    )


@dataclass(slots=True)
class Carried:
    """What the batches of one file hand on: how many there were, and what they have counted."""

    batch: int = 0
    within: str = ""  # of one that is read record by record: which of them
    counted: dict[str, int] = field(default_factory=dict)
    people: People | None = None

    @property
    def name(self) -> str:
        """Of the batch; that of the first is "", as of a file that is read as a whole."""
        return f"{self.batch or ''}{self.within}"


def forget(made: dict[Any, Any], count: int) -> None:
    """What came behind the first ones."""
    while len(made) > count:
        made.popitem()
