"""What the web door is given by the composition root; it builds nothing itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import anyio

from gateway.api.overview import Overview
from gateway.api.security import Failures, Tokens
from gateway.bulk import Exporter
from gateway.db.engine import Transaction
from gateway.formats import Formats
from gateway.model import Community, Frame
from gateway.store.exchange import Exchanged
from gateway.store.record import Record
from gateway.telemetry import Metrics

INTAKE_LIMIT = 100 * 1024 * 1024  # bytes of one message handed in over HTTP
WAITING_LIMIT = 256 * 1024 * 1024  # bytes of all messages that are being received over HTTP at one time
RESOURCE_LIMIT = 64 * 1024 * 1024  # bytes of one resource or Bundle that is written over HTTP
READERS = 8  # threads that read the record at one time


State = Literal["starting", "indexing", "ok"]  # nothing listens yet; messages are taken, and nothing else; everything


def _now() -> datetime:
    return datetime.now(UTC)


async def _at_once() -> None:
    pass


@dataclass(slots=True, kw_only=True, eq=False)
class Services:
    """The rooms behind the door. `receive` answers once the frame is durable and raises Transient when it cannot be."""

    community: Community  # the one thing that may change while it runs: the settings of another edition
    record: Record
    overview: Overview
    tokens: Tokens
    metrics: Metrics
    receive: Callable[[Frame], Awaitable[bytes]]
    write: Callable[
        [Callable[[Transaction], Exchanged]], Awaitable[Exchanged]
    ]  # durably, all or nothing, and owed to whom it concerns; the work is called in a thread
    formats: Callable[[], Formats]  # the settings and maps of this moment
    bulk: Exporter  # who writes exports
    state: Callable[[], State]
    version: str
    tables: Callable[[], Awaitable[None]] = _at_once  # returns when the record holds the code tables
    settings: Callable[[], Mapping[str, object]] = dict  # the edition in use, and why a newer one was refused
    now: Callable[[], datetime] = _now
    intake_limit: int = INTAKE_LIMIT
    waiting_limit: int = WAITING_LIMIT
    failures: Failures = field(default_factory=Failures)
    resource_limit: int = RESOURCE_LIMIT
    readers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(READERS))
