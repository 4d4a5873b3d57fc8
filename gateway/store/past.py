"""Searches versions that are no longer current: they are indexed in a record of their own, in memory, for one search.

So an old version is found by exactly the rules of the search of the record itself (R4 search.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.db import scratch
from gateway.store import index, search
from gateway.store.deltas import Deltas
from gateway.store.query import Query
from gateway.store.stored import Stored, milliseconds

_INSERT = (
    "INSERT INTO resource (rid, type, id, version, committed, updated, deleted, open, patient, status, survivor, date, "
    "until, body) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)"
)


def fulfilling(versions: Sequence[Stored], queries: Sequence[Query]) -> set[str]:
    """The ids of those versions (of one type, none deleted) that any of the queries finds. A query asks of the versions
    themselves: chains lead nowhere here."""
    if not versions:
        return set()
    with scratch.in_memory("record") as transaction:
        deltas = Deltas()
        for rid, each in enumerate(versions, 1):
            indexed = index.indexed(each.resource)
            row = (each.type, each.id, each.version, each.transaction, milliseconds(each.updated))
            transaction.execute(_INSERT, (rid, *row, *indexed.hot.columns, each.body))
            deltas.add(rid, index.NOTHING, indexed)
        deltas.write(transaction)
        found: set[str] = set()
        for query in queries:
            query.count = len(versions)
            found.update(match.id for match in search.run(transaction, query).matches)
    return found
