"""What a transaction changes in the index: rows that go, rows that come, written together."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from gateway.db.engine import Transaction
from gateway.store.index import HALF, Indexed

COLUMNS: Final = {
    "index_token": ("parameter", "value", "system", "rid"),
    "index_code": ("parameter", "value", "date", "system", "rid"),
    "index_reference": ("parameter", "target", "rid"),
    "index_string": ("parameter", "value", "exact", "rid"),
    "index_date": ("parameter", "low", "high", "rid"),
    "index_number": ("parameter", "low", "high", "rid"),
    "index_quantity": ("parameter", "low", "high", "system", "code", "rid"),
    "index_uri": ("parameter", "value", "rid"),
    HALF: ("parameter", "value", "number"),
}
DELETE: Final = {
    table: f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in names)}"
    for table, names in COLUMNS.items()
}
_NONE: Final[frozenset[Any]] = frozenset()


class Deltas:
    """The index rows that a transaction takes away and adds, written together."""

    def __init__(self) -> None:
        self._removed: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._added: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._halves: set[tuple[Any, ...]] = set()  # without rid, and never taken away

    def add(self, rid: int, before: Indexed, after: Indexed) -> None:
        """One resource's rows change from those of one version to those of the next."""
        for table, old in before.rows.items():
            if table != HALF and (gone := old - after.rows.get(table, _NONE)):
                self._removed[table] += [(*row, rid) for row in gone]
        for table, new in after.rows.items():
            if table == HALF:
                self._halves |= new
                continue
            fresh = new - before.rows[table] if table in before.rows else new
            self._added[table] += [(*row, rid) for row in fresh]

    def write(self, transaction: Transaction) -> None:
        """Sorted, so that neighbours in an index are written one after the other."""
        for table, rows in self._removed.items():
            transaction.executemany(DELETE[table], sorted(rows))
        if self._halves:
            transaction.add(HALF, COLUMNS[HALF], sorted(self._halves))
        for table, rows in self._added.items():
            transaction.add(table, COLUMNS[table], sorted(rows))
