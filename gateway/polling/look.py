"""One connection's look: which views there are, how each is read, and the records of them with what they lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.codec.rows import Sheet
from gateway.formats.views import Parent, Plan
from gateway.journal import polled
from gateway.model import View
from gateway.transport.view_reader import Cells, Number, ViewReader

Rows = list[Cells]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All rows of one number, and the tables that tell it: its own first, then what it leads to."""

    number: polled.Number
    digest: bytes
    sheets: tuple[Sheet, ...]
    lacks: tuple[str, ...]  # views whose rows it leads to, and that do not have them

    @property
    def orphan(self) -> bool:
        """Whether nothing tells whose it is."""
        return bool(self.lacks)


@dataclass(slots=True)
class Look:
    """The views of one connection that can be polled."""

    readers: Mapping[str, ViewReader]
    plans: Mapping[str, Plan]
    views: Mapping[str, View]

    def rows(self, view: str, numbers: Sequence[Number]) -> dict[polled.Number, Rows]:
        """The rows of these numbers by what their cells say; the records as the numbers are, the rows of each in an
        order that is always the same."""
        reader, key = self.readers[view], self.plans[view].key
        found = _by(reader, key, reader.records(key, numbers))
        named = [reader.columns.index(reader.spelt(each)) for each in self.views[view].key]
        for each in found.values():  # by the columns that the settings name as the key, then as they stand
            each.sort(key=lambda cells: [_natural(cell) for cell in (*(cells[place] for place in named), *cells)])
        asked = dict.fromkeys(map(reader.text, numbers))
        return {number: found[number] for number in (*asked, *found) if number in found}

    def digest(self, view: str, found: Rows, *, orphan: bool = False) -> bytes:
        """Of the cells that the map reads: a watermark that was only touched is no change."""
        columns, mapped = self.readers[view].columns, self.plans[view].mapped
        places = [columns.index(each) for each in mapped]
        return polled.rows_digest(([cells[place] for place in places] for cells in found), orphan=orphan)

    def records(self, view: str, found: Mapping[polled.Number, Rows]) -> Iterator[Record]:
        """Each with everything that it leads to. `found`: what `rows` gave."""
        around = _Around(self)
        around.fetch(view, [cells for each in found.values() for cells in each])
        for number, own in found.items():
            sheets, lacks = around.of(view, own)
            digest = self.digest(view, own, orphan=bool(lacks))
            yield Record(number=number, digest=digest, sheets=tuple(sheets), lacks=tuple(lacks))

    def sheet(self, view: str, found: Rows) -> Sheet:
        """Rows as they are written down."""
        return Sheet(name=view, map=self.views[view].map, columns=self.readers[view].columns, cells=tuple(found))


@dataclass(slots=True)
class _Around:
    """The rows that some records lead to, view by view, asked for together."""

    look: Look
    found: dict[Parent, dict[polled.Number, Rows]] = field(default_factory=dict)

    def fetch(self, view: str, own: Rows) -> None:
        """Everything that these rows of a view lead to, and what that leads to."""
        waiting = [(view, own)]
        while waiting:
            name, cells = waiting.pop()
            for parent in self.look.plans[name].parents if name in self.look.plans else ():
                known = self.found.setdefault(parent, {})
                wanted = [each for each in _numbers(self.look.readers[name], parent, cells) if each not in known]
                if not wanted or parent.view not in self.look.plans:  # that view is in trouble: it lacks them for now
                    continue
                reader = self.look.readers[parent.view]
                there = _by(reader, parent.key, reader.records(parent.key, wanted))
                known |= {each: there.get(each, []) for each in wanted}
                if more := [row for rows_ in there.values() for row in rows_]:
                    waiting.append((parent.view, more))

    def of(self, view: str, own: Rows) -> tuple[list[Sheet], list[str]]:
        """(the tables of one record, the views that lack rows which it leads to)."""
        tables: dict[str, dict[Cells, None]] = {view: dict.fromkeys(own)}
        lacks, waiting = dict[str, None](), [(view, own)]
        while waiting:
            name, cells = waiting.pop()
            for parent in self.look.plans[name].parents if name in self.look.plans else ():
                for number in _numbers(self.look.readers[name], parent, cells):
                    there = self.found.get(parent, {}).get(number, [])
                    if not there:
                        lacks[parent.view] = None
                    table = tables.setdefault(parent.view, {})
                    if fresh := [each for each in there if each not in table]:
                        table.update(dict.fromkeys(fresh))
                        waiting.append((parent.view, fresh))
        return [self.look.sheet(name, list(cells)) for name, cells in tables.items() if cells], list(lacks)


def _numbers(reader: ViewReader, parent: Parent, found: Iterable[Cells]) -> list[polled.Number]:
    """The numbers that rows say of a parent; none where one of them is empty."""
    places = [reader.columns.index(each) for each in parent.columns]
    said = dict.fromkeys(tuple(cells[place] for place in places) for cells in found)
    return [each for each in said if all(each)]


def _by(reader: ViewReader, key: Sequence[str], found: Iterable[Cells]) -> dict[polled.Number, Rows]:
    places = [reader.columns.index(each) for each in key]
    by: dict[polled.Number, Rows] = {}
    for cells in found:
        by.setdefault(tuple(cells[place] for place in places), []).append(cells)
    return by


def _natural(cell: str) -> tuple[bool, int, str]:
    """2 before 10."""
    number = cell.isascii() and cell.isdigit()
    return (not number, len(cell) if number else 0, cell)
