"""The shared record: what the other rooms call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from types import MappingProxyType

from gateway.db.engine import Engine, Reader, Transaction
from gateway.fhir import compartments
from gateway.model import Resource
from gateway.store import across, exchange, read, reindexing, search, transact
from gateway.store.across import Everything
from gateway.store.exchange import Asked, Exchanged
from gateway.store.query import Handling, Pairs
from gateway.store.read import ALWAYS, Looked, Span
from gateway.store.shelf import RecordShelf
from gateway.store.stored import Applied, Page, Stored


class Record:
    """The record in one database. Every reading call opens its own snapshot unless it is given a reader."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def reading(self) -> AbstractContextManager[Reader]:
        """One snapshot for several calls."""
        return self._engine.reading()

    def apply(
        self,
        transaction: Transaction,
        bundle: Resource,
        *,
        at: datetime,
        entry_id: int | None = None,
        patients: Mapping[str, str | None] = MappingProxyType({}),
        before: Mapping[str, Resource] = MappingProxyType({}),
    ) -> Applied:
        """Apply a transaction Bundle inside the caller's database transaction; see transact.apply."""
        return transact.apply(
            transaction, bundle, at=at, search=search.find_ids, entry_id=entry_id, patients=patients, before=before
        )

    def exchange(
        self,
        transaction: Transaction,
        asked: Sequence[Asked],
        *,
        at: datetime,
        together: bool = False,
        base: str = "",
    ) -> Exchanged:
        """Do what a FHIR client asks for inside the caller's database transaction; see exchange.apply."""
        return exchange.apply(transaction, asked, at=at, search=search.find_ids, together=together, base=base)

    def read(self, type: str, id: str, *, reader: Reader | None = None) -> Stored | None:
        """The current version, also one that says "deleted"; None when there never was one."""
        with self._reading(reader) as snapshot:
            return read.read(snapshot, type, id)

    def vread(self, type: str, id: str, version: int, *, reader: Reader | None = None) -> Stored | None:
        """One version, current or old."""
        with self._reading(reader) as snapshot:
            return read.vread(snapshot, type, id, version)

    def history(
        self,
        type: str,
        id: str,
        *,
        count: int = 100,
        cursor: str = "",
        span: Span = ALWAYS,
        reader: Reader | None = None,
    ) -> Page:
        """A page of the versions of one resource; see read.history."""
        with self._reading(reader) as snapshot:
            return read.history(snapshot, type, id, count=count, cursor=cursor, span=span)

    def versions(
        self, type: str | None, *, count: int = 100, cursor: str = "", span: Span = ALWAYS, reader: Reader | None = None
    ) -> Page:
        """A page of the versions of all resources of a type, or of all; see read.versions."""
        with self._reading(reader) as snapshot:
            return read.versions(snapshot, type, count=count, cursor=cursor, span=span)

    def as_of(self, reader: Reader, type: str, id: str, transaction: int) -> Stored | None:
        """The version that was current when a record transaction had been committed."""
        return read.as_of(reader, type, id, transaction)

    def related(
        self, reader: Reader, type: str, id: str, transaction: int, *, depth: int = 3, known: Looked | None = None
    ) -> dict[str, Resource]:
        """A resource and what it refers to, as of a transaction: 'Type/id' → resource; see read.related."""
        return read.related(reader, type, id, transaction, depth=depth, known=known)

    def search(
        self,
        type: str,
        query: str | Pairs,
        *,
        handling: Handling = Handling.USUAL,
        base: str = "",
        reader: Reader | None = None,
    ) -> Page:
        """One page of a search; see search.search."""
        with self._reading(reader) as snapshot:
            return search.search(snapshot, type, query, handling=handling, base=base)

    def search_system(
        self, types: Sequence[str], query: Pairs, *, handling: Handling = Handling.USUAL, base: str = ""
    ) -> Page:
        """One page of a search over several types, or over all that there are; see across.system."""
        with self._engine.reading() as snapshot:
            around = search.here(snapshot, base)
            return across.system(snapshot, types or read.types(snapshot), query, handling=handling, around=around)

    def search_compartment(
        self, whose: str, types: Sequence[str], query: Pairs, *, handling: Handling = Handling.USUAL, base: str = ""
    ) -> Page:
        """One page of what of these types belongs to a resource, or of all types that there are (); see
        across.compartment."""
        with self._engine.reading() as snapshot:
            around = search.here(snapshot, base)
            belong = compartments.parameters(whose.partition("/")[0])
            asked = types or [each for each in read.types(snapshot) if each in belong]
            return across.compartment(snapshot, whose, asked, query, handling=handling, around=around)

    def everything(self, whose: str, asked: Everything, *, reader: Reader | None = None) -> Page:
        """One page of a patient or an encounter with all that belongs to it; see across.everything."""
        with self._reading(reader) as snapshot:
            return across.everything(snapshot, whose, asked)

    def everybody(self, asked: Everything, *, reader: Reader | None = None) -> Page:
        """One page of all patients with all that belongs to them; see across.everybody."""
        with self._reading(reader) as snapshot:
            return across.everybody(snapshot, asked)

    def reindex(self, transaction: Transaction) -> int:
        """Index every resource anew; returns how many. See reindexing.rebuild."""
        return reindexing.rebuild(transaction)

    @contextmanager
    def shelf(self) -> Iterator[RecordShelf]:
        """Its code systems, value sets and concept maps, as of one snapshot."""
        with self._engine.reading() as snapshot:
            yield RecordShelf(snapshot)

    def statistics(self, reader: Reader | None = None) -> dict[str, int]:
        """How many resources of each type exist."""
        with self._reading(reader) as snapshot:
            return read.statistics(snapshot)

    @contextmanager
    def _reading(self, reader: Reader | None) -> Iterator[Reader]:
        if reader is not None:
            yield reader
        else:
            with self._engine.reading() as snapshot:
                yield snapshot
