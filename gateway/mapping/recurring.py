"""Records that say something of a thing that another record of the file has told already (china.md §2.8: doubled rows,
late corrections, numbers given to another person), judged before anything is made of them.

- The same again is taken once. Of several that differ the latest stands (`latest` of the export; at the same time the
  one whose status goes furthest: a correction, a cancellation). Where nothing tells which is right, the first stands.
- A record of which rows name several patients keeps those of the one that most of them name.
- The identity card beside a newborn's name is the mother's; an error of a spreadsheet (#REF!) is no cell.
- A person's number that stands with two valid identity cards is that of the first; the other person is kept apart,
  without it. With two names and nothing to tell the people apart, the later rows wait for a person.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from gateway.codec.chinese_numbers import birth_date_of, national_id
from gateway.codec.person_names import is_newborn
from gateway.mapping import record_columns
from gateway.mapping.datatypes.clocks import cell_time
from gateway.mapping.datatypes.codes import ASIDE
from gateway.mapping.datatypes.papers import narrow
from gateway.mapping.record_columns import TREE, finest
from gateway.mapping.runtime import cell_said
from gateway.mapping.standing import BACK, further
from gateway.mapping.syntax import CodeTable, Export
from gateway.mapping.withdrawals import Marks

_ANY_ZONE: Final = ZoneInfo("UTC")
_DOTS: Final = re.compile(r"[\s.•・‧∙·]+")
_APART: Final = "\x1f"
_LONGEST: Final = 100  # characters of a name or a number

_ERROR: Final = re.compile(r"#(?:VALUE|REF|N/A|NAME|DIV/0|NUM|NULL|GETTING_DATA|SPILL|CALC)[!?]?|#{3,}", re.IGNORECASE)
SPOILT: Final = "an error of a spreadsheet; it was left out"
BORROWED: Final = "a newborn has no identity card: the mother's, by the name; it was left out"

Cell = Callable[[Any, str], str]
Told = tuple[str, str, str]  # column, cell, why it was left out


class People(Protocol):
    """Whom the numbers of a large file were first given to, as its batches hand it on (db/scratch.py)."""

    def get(self, name: str) -> bytes | None: ...

    def keep(self, name: str, text: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to become of a record. `apart`: what makes its person another one than the number says; it is taken then,
    as one that is only `told`."""

    cause: str
    column: str = ""
    apart: str = ""
    told: bool = False

    def taken(self, record: Any, number: Sequence[str]) -> Any:
        """The record as it is read, where it is; None for one that is set aside."""
        return Apart(record, self.apart, number) if self.apart else record if self.told else None


class Apart(dict[str, Any]):
    """A record about another person than its number says: who that is, an identity card tells alone."""

    __slots__ = ("card", "number")

    def __init__(self, cells: Mapping[str, Any], card: str, number: Sequence[str]) -> None:
        super().__init__(cells)
        self.card = card
        self.number = {name.rpartition("/")[2]: "" for name in number}

    def nameless(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """What tells of the person, without the number."""
        return {**node, **self.number}


class _Person(NamedTuple):
    """What a record says of whom it is about."""

    card: str
    name: str
    number: int | str  # of the record, as people are told it


class _Known(dict[tuple[str, ...], _Person]):
    """Whom each number was first given to, here or in the batches before."""

    def __init__(self, people: People | None) -> None:
        super().__init__()
        self.people = people

    def first(self, key: tuple[str, ...], person: _Person) -> _Person:
        there = self.get(key)
        if there is not None:
            return there
        found = self[key] = person if self.people is None else self._before(self.people, _APART.join(key), person)
        return found

    def _before(self, people: People, name: str, person: _Person) -> _Person:
        told = people.get(name)
        if told is None:
            people.keep(name, _APART.join((person.card, person.name, str(person.number))).encode())
            return person
        card, called, number = told.decode().split(_APART)
        return _Person(card, called, number)


class Recurring:
    """How the records of one export are told apart."""

    def __init__(
        self, export: Export, codes: Mapping[str, CodeTable], cell: Cell, known: frozenset[str] = frozenset()
    ) -> None:
        self.cell = cell
        self.latest = export.latest
        self.of_nodes = export.format == TREE
        blocks = [block for block in export.blocks if block.into and not block.found and not block.element]
        told = [*finest(blocks), *(block for block in blocks if block.type == export.lead)]
        self.key = record_columns.key(export, blocks, told)
        self.statuses = [
            (tuple(each.name for each in line.sources), codes[line.codes].into)
            for block in told
            for line in block.lines
            if line.path == "status" and line.codes
        ]
        lead = next((block for block in told if block.type == export.lead), None)
        rowed = lead is not None and not finest(blocks) and export.format != TREE
        self.visit = lead.rows_by or () if lead is not None and rowed else ()  # one of several rows
        tables = {name: table for names, table in self.statuses for name in names}
        self.marks = Marks(known, cell, tables)
        patient = next((each for each in blocks if each.type == "Patient"), None)
        self.number = record_columns.number(patient, export) if patient else ()
        self.cards = record_columns.sources(patient, lambda line: line.datatype in ("card", "paper"))
        self.births = record_columns.sources(
            patient, lambda line: line.path == "birthDate" and line.datatype != "birth"
        )
        self.names = record_columns.sources(patient, lambda line: line.path == "name.text")
        self.owned = [
            (block.rows_by or (), block.type) for block in blocks if block.rows_by and record_columns.of_patient(block)
        ]

    def judge(
        self, records: Sequence[Any], numbers: Sequence[int | str], people: People | None = None
    ) -> dict[int, Verdict]:
        """By their place among the records, those that are not simply taken. `people`: of the batches before."""
        found: dict[int, Verdict] = {}
        if self.key:
            self._again(records, numbers, found)
        if self.number:
            self._strangers(records, numbers, found)
            self._people(records, numbers, found, people)
        if self.visit:
            self._halves(records, found)
        for index, column, cause in self.marks.of(records):
            if index not in found or found[index].apart:
                found[index] = Verdict(cause=cause, column=column)
        return found

    def own(self, records: Sequence[Any]) -> tuple[Sequence[Any], dict[int, list[Told]]]:
        """The records without what is not theirs: errors of a spreadsheet, and the identity card of somebody else: a
        newborn (张三之女) has none yet, and what stands there is the mother's. Also what was left out of each, by the
        record's place."""
        spoilt = {} if self.of_nodes else {at: found for at, each in enumerate(records) if (found := _spoilt(each))}
        if spoilt:
            blanks = {at: dict.fromkeys((name for name, *_ in found), "") for at, found in spoilt.items()}
            records = [{**each, **blanks[at]} if at in blanks else each for at, each in enumerate(records)]
        born: dict[int, list[Told]] = {}
        for index, record in enumerate(records) if self.cards and self.names else ():
            name = next(filter(None, (self.cell(record, each) for each in self.names)), "")
            if len(name) <= _LONGEST and name and _is_newborn(name):
                found = [
                    (each, text, BORROWED)
                    for each in self.cards
                    if (text := self.cell(record, each)) and _card(text[:99])
                ]
                if found and not self._agrees(record, found[0][1]):
                    born[index] = found
        if not born:
            return records, spoilt
        left_out = {at: [*spoilt.get(at, ()), *born.get(at, ())] for at in spoilt.keys() | born.keys()}
        return [_without(record, born[at]) if at in born else record for at, record in enumerate(records)], left_out

    def _agrees(self, record: Any, card: str) -> bool:
        """Is it the day of birth that stands in a column of its own?"""
        days = (cell_time(self.cell(record, name), _ANY_ZONE) or "" for name in self.births)
        return birth_date_of(_card(card)) in [each[:10] for each in days]

    # ------------------------------------------------------------------------------------------ the same again

    def _again(self, records: Sequence[Any], numbers: Sequence[int | str], found: dict[int, Verdict]) -> None:
        first: dict[tuple[str, ...], int] = {}
        groups: dict[int, list[int]] = {}
        for index, record in enumerate(records):
            key = self._identity(record)
            if key and (at := first.setdefault(key, index)) != index:
                groups.setdefault(at, [at]).append(index)
        for group in groups.values():
            group = list(self._of_one(records, numbers, group, found))
            ranks = {index: self._rank(records[index]) for index in group}
            stands = max(group, key=lambda index: (ranks[index], -index))
            for index in group:
                if index != stands:
                    newer = ranks[index] < ranks[stands]
                    found[index] = _said(records[index] == records[stands], numbers[stands], newer=newer)

    def _identity(self, record: Any) -> tuple[str, ...]:
        """By what it is the same as another one; () where that is not said."""
        key = []
        for names in self.key:
            for name in names:
                if said := cell_said(self.cell(record, name)):
                    key.append(said)
                    break
            else:
                return ()
        return tuple(key)

    def _of_one(
        self, records: Sequence[Any], numbers: Sequence[int | str], group: Sequence[int], found: dict[int, Verdict]
    ) -> Iterator[int]:
        """Those that are about the person of the first: what is said of another one is no newer word of the same."""
        whose = [tuple(self.cell(records[index], name) for name in self.number) for index in group]
        for index, person in zip(group, whose, strict=True):
            if person == whose[0] or not any(person) or not any(whose[0]):
                yield index
            elif self.of_nodes:  # of the rows of a report the most tell whose it is
                told = f"row {numbers[group[0]]} of the same number is about another patient"
                found[index] = Verdict(cause=told, column=self.number[0])

    def _rank(self, record: Any) -> tuple[str, int]:
        times = (cell_time(self.cell(record, name), _ANY_ZONE) or "" for name in self.latest)
        return max(times, default=""), max(map(further, self._status(record)), default=0)

    def _status(self, record: Any) -> Iterator[str]:
        for names, table in self.statuses:
            code = next(filter(None, (self.cell(record, name) for name in names)), "")
            yield table.get(code, table.get(code.upper(), table.get("*", ""))) if code else ""

    def _halves(self, records: Sequence[Any], found: dict[int, Verdict]) -> None:
        """Rows that are taken back while others of the same record stand: it is not what the record says."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for index, record in enumerate(records):
            key = tuple(self.cell(record, name) for name in self.visit)
            if any(key) and index not in found:
                groups.setdefault(key, []).append(index)
        for group in groups.values():
            gone = [index for index in group if max(map(further, self._status(records[index])), default=0) >= BACK]
            for index in gone if len(gone) < len(group) else ():
                told = f"this row is taken back, other rows of the same {' '.join(self.visit)} stand"
                found[index] = Verdict(cause=told, column=self.visit[0])
            for index in group:
                if ASIDE in self._status(records[index]):
                    found[index] = Verdict(cause="a mark that no table knows: only a person can say whether it holds")

    # ------------------------------------------------------------------------------------------ whose it is

    def _strangers(self, records: Sequence[Any], numbers: Sequence[int | str], found: dict[int, Verdict]) -> None:
        """Rows of one report that name another patient than the rest of it."""
        people = self._cells(records, self.number)
        for columns, _ in self.owned:
            for group in self._of_several(self._cells(records, columns), people, found):
                counted = Counter(people[index] for index in group)
                owner = max(counted, key=lambda each: counted[each])
                first = next(numbers[index] for index in group if people[index] == owner)
                for index in group:
                    if people[index] != owner:
                        told = f"row {first} of the same {' '.join(columns)} is about another patient"
                        found[index] = Verdict(cause=told, column=self.number[0])

    @staticmethod
    def _of_several(
        keys: Sequence[tuple[str, ...]], people: Sequence[tuple[str, ...]], found: Mapping[int, Verdict]
    ) -> Iterable[list[int]]:
        """The records of each key that names more than one person: few do."""
        first: dict[tuple[str, ...], tuple[str, ...]] = {}
        told = [index for index, person in enumerate(people) if any(person) and index not in found]
        several = {keys[index] for index in told if first.setdefault(keys[index], people[index]) != people[index]}
        groups: dict[tuple[str, ...], list[int]] = {key: [] for key in several if any(key)}
        for index in told if groups else ():
            if keys[index] in groups:
                groups[keys[index]].append(index)
        return groups.values()

    def _cells(self, records: Sequence[Any], names: Sequence[str]) -> list[tuple[str, ...]]:
        cell = self.cell
        return [tuple([cell(record, name) for name in names]) for record in records]

    def _people(
        self, records: Sequence[Any], numbers: Sequence[int | str], found: dict[int, Verdict], people: People | None
    ) -> None:
        """Rows of one patient's number that are about several people."""
        known = _Known(people)
        for index, key in enumerate(self._cells(records, self.number)):
            if index in found or not any(key):
                continue
            person = self._person(records[index], numbers[index])
            first = known.first(key, person)
            if first.card and person.card and first.card != person.card:
                told = f"the number is that of another person in row {first.number}: this one is kept apart, without it"
                found[index] = Verdict(cause=told, column=self.number[0], apart=person.card)
            elif first.name and person.name and first.name != person.name:
                told, column = f"row {first.number} has another name for the same", next(iter(self.names), "")
                if first.card and person.card:  # the same person, by one of the names
                    found[index] = Verdict(cause=f"{told} identity card", column=column, told=True)
                else:
                    found[index] = Verdict(cause=f"{told} {' '.join(self.number)}", column=column)

    def _person(self, record: Any, number: int | str) -> _Person:
        card = next(filter(None, (_card(self.cell(record, name)[:_LONGEST]) for name in self.cards)), "")
        name = next(filter(None, (self.cell(record, name) for name in self.names)), "")
        return _Person(card, _plain(name[:_LONGEST]), number)


_is_newborn = lru_cache(maxsize=8192)(is_newborn)


def _spoilt(record: Mapping[str, str]) -> list[Told]:
    """The cells of a row that are errors of a spreadsheet."""
    if "#" not in "".join(record.values()):
        return []
    return [(name, cell, SPOILT) for name, cell in record.items() if cell[:1] == "#" and _ERROR.fullmatch(cell[:20])]


def _without(record: Any, cells: Sequence[Told]) -> Any:
    """A record, a node too, without these cells."""
    for path, *_ in cells:
        head, _, rest = path.partition("/")
        inside = _without(record[head], [(rest, "", "")]) if rest else ""
        record = {**record, head: inside}
    return record


@lru_cache(maxsize=8192)
def _card(text: str) -> str:
    return national_id(narrow(text)) if text else ""


@lru_cache(maxsize=8192)
def _plain(name: str) -> str:
    return _DOTS.sub("", unicodedata.normalize("NFKC", name))


def _said(same: bool, number: int | str, *, newer: bool) -> Verdict:
    if same:
        return Verdict(cause=f"the same as row {number}, taken once")
    if newer:
        return Verdict(cause=f"row {number} is about the same and newer")
    return Verdict(cause=f"row {number} says otherwise of the same, and nothing tells which is right")
