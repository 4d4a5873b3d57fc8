"""Copies a whole database into an empty one, of the same engine or another, and proves that nothing was lost.

All or nothing: one transaction of the target. Both are then read again, table by table: as many rows, and the same sum
of their digests. Rows come and go one by one, so memory stays flat however large the record is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.db import migrations
from gateway.db.engine import Engine, Reader, Row, Transaction
from gateway.errors import Configuration, Permanent

VERSION: Final = "schema_version"
_WIDTH: Final = 2**128

Told = Callable[[str, int], None]  # a table that is done, and its rows


@dataclass(frozen=True, slots=True)
class Sum:
    """How many rows a table has, and the sum of their digests: equal whatever their order is."""

    rows: int
    digest: str


def copy(source: Reader, target: Engine, told: Told) -> dict[str, Sum]:
    """Everything that a snapshot shows. Returns the sums of its tables. Raises Configuration where the target is not
    empty or has another schema, Permanent where it does not hold the same afterwards: then it holds nothing."""
    with target.transaction() as transaction:
        shapes = _shapes(source, transaction)
        _refuse_rows(transaction, shapes)
        for name, columns in shapes.items():
            transaction.execute(f"DELETE FROM {name}")  # noqa: S608  names of our own tables: rows that a migration wrote
            transaction.fill(name, columns, _rows(source, name, columns))
        transaction.count_on(source.counters())
        found = {}
        for name, columns in shapes.items():
            found[name] = summed(source, name, columns)
            if summed(transaction, name, columns) != found[name]:
                raise Permanent(f"the copy of {name} is not the same", place="copy", remedy="report this defect")
            told(name, found[name].rows)
    return found


def same(one: Reader, other: Reader) -> bool:
    """Do both hold the same rows in the same tables?"""
    return sums(one) == sums(other)


def sums(reader: Reader) -> dict[str, Sum]:
    """The sums of all tables."""
    return {name: summed(reader, name, columns) for name, columns in reader.tables().items()}


def summed(reader: Reader, table: str, columns: tuple[str, ...]) -> Sum:
    """The sum of one table."""
    total = count = 0
    for row in _rows(reader, table, columns):
        count += 1
        total = (total + int.from_bytes(digest(row), "big")) % _WIDTH
    return Sum(count, f"{total:032x}")


def digest(row: Row) -> bytes:
    """Of the values of a row, the same for both engines (PostgreSQL keeps the sign for NUL in texts)."""
    made = hashlib.blake2b(digest_size=16)
    for value in row:
        kind, body = _written(value)
        made.update(b"%s%d:" % (kind, len(body)))
        made.update(body)
    return made.digest()


def _written(value: Any) -> tuple[bytes, bytes]:
    match value:
        case None:
            return b"0", b""
        case bytes():
            return b"b", value
        case str():
            return b"t", value.replace("\0", "\u2400").encode()
        case float() if not value.is_integer():
            return b"f", repr(value).encode()
        case _:
            return b"n", str(int(value)).encode()


def _rows(reader: Reader, table: str, columns: tuple[str, ...]) -> Iterator[Row]:
    names = ", ".join(f'"{name}"' for name in columns)
    return reader.rows(f'SELECT {names} FROM "{table}"')  # noqa: S608  names of our own tables


def _shapes(source: Reader, target: Reader) -> dict[str, tuple[str, ...]]:
    """The tables that both have; in each the columns in the target's order."""
    have, want = source.tables(), target.tables()
    steps = [reader.execute(f"SELECT number FROM {VERSION} ORDER BY number") for reader in (source, target)]  # noqa: S608
    if steps[0] != steps[1] or {k: set(v) for k, v in have.items()} != {k: set(v) for k, v in want.items()}:
        remedy = "start this program once over the one that is copied"
        raise Configuration("both databases must have the same schema", place="copy", remedy=remedy)
    return {name: columns for name, columns in want.items() if name != VERSION}


def _refuse_rows(target: Transaction, shapes: dict[str, tuple[str, ...]]) -> None:
    """Only what a new database has may be there: the rows that its migrations wrote."""
    seeded = migrations.seeded()
    filled = [name for name in shapes if name not in seeded and target.execute(f"SELECT 1 FROM {name} LIMIT 1")]  # noqa: S608
    if filled:
        remedy = "name another database or namespace"
        raise Configuration(f"the target is not empty ({filled[0]})", place="copy", remedy=remedy)
