"""Makes all index rows anew when a newer program indexes otherwise, or when somebody asks for it.

It is one transaction: nobody finds half of the record, and nobody who would not find somebody makes him a second time.
"""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gateway.db.engine import Engine, Reader, Transaction
from gateway.errors import Transient
from gateway.fhir import json
from gateway.fhir.normal import normal
from gateway.store.deltas import Deltas
from gateway.store.index import EDITION, NOTHING, TABLES, indexed

CURRENT_BODIES: Final = "SELECT rid, body FROM resource WHERE rid > ? AND deleted = 0 ORDER BY rid LIMIT 500"
NEW_COLUMNS: Final = (
    "UPDATE resource SET open = ?, patient = ?, status = ?, survivor = ?, date = ?, until = ? WHERE rid = ?"
)
INDEXED_BY: Final = "SELECT edition FROM index_edition"
ANYTHING: Final = "SELECT 1 FROM resource LIMIT 1"
NOW_INDEXED: Final = "UPDATE index_edition SET edition = ?"
LOCAL_VALUES: Final = "SELECT DISTINCT value FROM local_field"
LOCAL_AGAIN: Final = (
    "INSERT INTO local_field (value, name, entry) SELECT ?, name, entry FROM local_field WHERE value = ? "
    "ON CONFLICT (value, name, entry) DO NOTHING"
)
LOCAL_GONE: Final = "DELETE FROM local_field WHERE value = ?"
PATIENCE: Final = 3600.0  # seconds that one process waits for another that is at it
PAUSE: Final = 1.0


def ensure(engine: Engine, begins: Callable[[], None] = lambda: None) -> int:
    """Index everything anew where an older program indexed it; returns how many resources that were, 0 for none.

    `begins` is called before it starts: about a minute for 150,000 resources. Raises Transient when another process
    holds the record for longer than PATIENCE.
    """
    until = time.monotonic() + PATIENCE
    while True:
        with engine.reading() as reader:
            if edition(reader) == EDITION:
                return 0
        try:
            with engine.transaction() as transaction:
                if edition(transaction) == EDITION:
                    return 0
                begins()
                return rebuild(transaction)
        except Transient:
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE)


def is_current(engine: Engine) -> bool:
    """Is everything found in it that this program looks for? In an empty one, it is."""
    with engine.reading() as reader:
        return edition(reader) == EDITION or not reader.execute(ANYTHING)


def edition(reader: Reader) -> int:
    """The edition of indexing that the rows were made by."""
    return int(reader.execute(INDEXED_BY)[0][0])


def rebuild(transaction: Transaction) -> int:
    """Make all index rows and columns anew from the stored resources; returns how many resources were indexed."""
    for table in TABLES:
        transaction.execute(f"DELETE FROM {table}")
    done = last = 0
    while rows := transaction.execute(CURRENT_BODIES, (last,)):
        deltas = Deltas()
        for rid, body in rows:
            fresh = indexed(json.loads(body))
            deltas.add(rid, NOTHING, fresh)
            transaction.execute(NEW_COLUMNS, (*fresh.hot.columns, rid))
        deltas.write(transaction)
        done, last = done + len(rows), rows[-1][0]
    for (value,) in transaction.execute(LOCAL_VALUES):
        if normal(value) != value:
            transaction.execute(LOCAL_AGAIN, (normal(value), value))
            transaction.execute(LOCAL_GONE, (value,))
    transaction.execute(NOW_INDEXED, (EDITION,))
    return done
