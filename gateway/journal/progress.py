"""How far a large file has been worked off, in the record's database: it commits together with what its rows became."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.db.engine import Reader, Transaction
from gateway.model import Reject

SHOWN: Final = 20  # places, and causes
OF = """
    SELECT way, batches, rows, counted, aside, cells, places, causes, committed FROM progress WHERE entry = ?
"""
NOTE = """
    INSERT INTO progress (entry, way, batches, rows, counted, aside, cells, places, causes, committed)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (entry) DO UPDATE SET way = excluded.way, batches = excluded.batches, rows = excluded.rows,
        counted = excluded.counted, aside = excluded.aside, cells = excluded.cells, places = excluded.places,
        causes = excluded.causes, committed = excluded.committed
"""
END = "DELETE FROM progress WHERE entry = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is in the record of one file, and what was set aside. `way`: how its rows are cut into batches."""

    way: str
    batches: int = 0
    rows: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    aside: int = 0
    cells: int = 0
    places: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    committed: int | None = None

    def after(self, *, rows: int, counted: dict[str, int], rejects: list[Reject], committed: int | None) -> Progress:
        """With one batch more."""
        cells = sum(each.cell for each in rejects)
        places = [f"{each.place} {each.row}".strip() for each in rejects[:SHOWN]]
        causes = dict.fromkeys((*self.causes, *(each.cause for each in rejects)))
        return replace(
            self, batches=self.batches + 1, rows=self.rows + rows, counted=counted, cells=self.cells + cells,
            aside=self.aside + len(rejects) - cells, places=(*self.places, *places)[: SHOWN + 1],
            causes=tuple(causes)[:SHOWN], committed=self.committed if committed is None else committed,
        )  # fmt: skip


def of(reader: Reader, entry: int, way: str) -> Progress:
    """How far it is; at the beginning where it was cut otherwise."""
    for row in reader.execute(OF, (entry,)):
        if row[0] == way:
            _, batches, rows, counted, aside, cells, places, causes, committed = row
            return Progress(
                way=way, batches=batches, rows=rows, counted=json.loads(counted), aside=aside, cells=cells,
                places=tuple(json.loads(places)), causes=tuple(json.loads(causes)), committed=committed,
            )  # fmt: skip
    return Progress(way=way)


def note(transaction: Transaction, entry: int, progress: Progress) -> None:
    """As far as this."""
    each = progress
    row = (each.way, each.batches, each.rows, json.dumps(each.counted), each.aside, each.cells)
    shown = (json.dumps(each.places), json.dumps(each.causes), each.committed)
    transaction.execute(NOTE, (entry, *row, *shown))


def end(transaction: Transaction, entry: int) -> None:
    """All of it is there; the same file worked off again begins anew."""
    transaction.execute(END, (entry,))
