"""A transport inside the process: for tests and for trying a community out without any line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

from gateway.errors import HutongError
from gateway.model import Delivery, Frame, Receipt
from gateway.transport.mllp import Receive


class MemorySender:
    """Keeps what it was given. `failures` are raised first, one an attempt."""

    parallel = 1

    def __init__(self, failures: Iterable[HutongError] = ()) -> None:
        self.failures = deque(failures)
        self.taken: dict[str, bytes] = {}  # idempotency key → body, in order of first arrival
        self.attempts: list[tuple[str, bytes]] = []

    async def send(self, body: bytes, delivery: Delivery) -> Receipt:
        """A receipt at once, or the next of `failures`."""
        key = delivery.idempotency or str(delivery.id)
        self.attempts.append((key, body))
        if self.failures:
            raise self.failures.popleft()
        self.taken.setdefault(key, body)
        return Receipt(at=datetime.now(UTC), code="AA")

    async def close(self) -> None:
        """Nothing to give back."""


class MemoryListener:
    """Hands on what `arrive` is called with."""

    def __init__(self, *, channel: str) -> None:
        self.channel = channel
        self._receive: Receive | None = None

    async def listen(self, receive: Receive) -> None:
        """Frames are taken from now on."""
        self._receive = receive

    async def arrive(self, body: bytes, *, peer: str = "memory") -> bytes:
        """The answer to one frame."""
        if self._receive is None:
            raise RuntimeError("nobody listens")
        return await self._receive(Frame(channel=self.channel, body=body, peer=peer, received_at=datetime.now(UTC)))

    async def close(self) -> None:
        """Take nothing more."""
        self._receive = None
