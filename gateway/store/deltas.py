"""What a transaction changes in the index: rows that go, rows that come, written together."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from gateway.db.engine import Transaction
from gateway.store.index import HALF, Indexed

_TABLE_COLUMNS: Final = {
    "index_token": ("parameter", "value", "system"),
    "index_code": ("parameter", "value", "date", "system"),
    "index_reference": ("parameter", "target"),
    "index_string": ("parameter", "value", "exact"),
    "index_date": ("parameter", "low", "high"),
    "index_number": ("parameter", "low", "high"),
    "index_quantity": ("parameter", "low", "high", "system", "code"),
    "index_uri": ("parameter", "value"),
}
INSERT: Final = {
    table: f"INSERT INTO {table} ({', '.join(names)}, rid) VALUES ({', '.join('?' * len(names))}, ?) "
    "ON CONFLICT DO NOTHING"
    for table, names in _TABLE_COLUMNS.items()
}
DELETE: Final = {
    table: f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in names)} AND rid = ?"
    for table, names in _TABLE_COLUMNS.items()
}
NEW_HALF: Final = "INSERT INTO index_half (parameter, value, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
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
            elif fresh := new - before.rows.get(table, _NONE):
                self._added[table] += [(*row, rid) for row in fresh]

    def write(self, transaction: Transaction) -> None:
        """Sorted, so that neighbours in an index are written one after the other."""
        for table, rows in self._removed.items():
            transaction.executemany(DELETE[table], sorted(rows))
        if self._halves:
            transaction.executemany(NEW_HALF, sorted(self._halves))
        for table, rows in self._added.items():
            transaction.executemany(INSERT[table], sorted(rows))
