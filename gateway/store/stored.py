"""The nouns of the store: what is read, what a search finds, what a transaction did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from gateway.errors import Permanent
from gateway.fhir import json
from gateway.model import Change, Resource

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PreconditionFailed(Permanent):
    """If-Match named another version, or a condition matched several resources (HTTP 412)."""


class Missing(Permanent):
    """There is nothing at the id that is to be changed (HTTP 404)."""


class Stored(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One version of one resource."""

    type: str
    id: str
    version: int
    updated: datetime
    deleted: bool
    body: bytes  # compact JSON with id and meta inside; b"" when deleted
    transaction: int  # the record transaction that wrote this version
    renewed: bool = False  # the version before it says "deleted"; only histories tell

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def resource(self) -> Resource:
        """The body as a new dictionary; decimals keep their digits. {} when deleted."""
        return json.loads(self.body) if self.body else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a search."""

    total: int | None  # of all pages; None when it was not counted
    matches: list[Stored]
    included: list[Stored]
    next: str | None  # `_cursor` of the next page
    ignored: tuple[str, ...] = ()  # parameters that a lenient search did not know


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one entry of a transaction, in the order of the entries."""

    full_url: str
    reference: str  # 'Type/id'; "" for an entry that was ignored and has no resource
    version: int  # 0 with reference ""
    interaction: str  # create | update | delete | unchanged | ignored (a late, older statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a transaction did to the record."""

    transaction: int  # the new record transaction; the last one when nothing changed
    changes: tuple[Change, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()  # for people: decisions worth seeing, without patient data
    references: Mapping[str, str] = field(default_factory=dict)  # fullUrl → 'Type/id'


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment(value: int) -> datetime:
    """The aware datetime (UTC) of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=value)


def instant(value: int) -> str:
    """FHIR instant with milliseconds, in UTC: '2026-11-21T08:00:00.123Z'."""
    return f"{moment(value).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
