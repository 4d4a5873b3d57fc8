"""A body on its way in: never more than its limit, never more of all senders together than there is room for, and a
sender that falls silent or dribbles is cut off.

Most programs write all of a body before they read the answer, and see no more than a broken connection where nobody
reads to its end. So what is too large, and says how large, is read on and thrown away, for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from gateway.api import answer

TOO_LARGE = 413
IDLE_SECONDS = 30.0  # a sender that stays silent this long in the middle of a body is cut off,
SLOW_SECONDS = 60.0  # and after so long one that is slower than
SLOW_RATE = 1024  # bytes a second
DISCARDED = 256 << 20  # bytes of a body that is too large, which are read on,
DISCARD_SECONDS = 20.0  # for so long,
SILENT_SECONDS = 1.0  # as long as they come


@dataclass(slots=True)
class Waiting:
    """The bytes that are being received at this moment, all senders together."""

    limit: int
    held: int = 0

    def check(self, size: int) -> None:
        """Refusal 503 when so much more does not fit; one alone always fits."""
        if self.held and self.held + size > self.limit:
            retry = {"retry-after": str(answer.RETRY_SECONDS)}
            raise answer.Refusal(503, "too much is arriving at this moment; send it again", headers=retry)


@dataclass(slots=True, eq=False)
class Arriving:
    """One body; it counts as held until `forget`."""

    waiting: Waiting
    taken: int = 0
    ended: bool = False  # all of it was received

    async def whole(self, request: Request, limit: int, *, may_be_empty: bool = False) -> bytes:
        """The body. Refusal 413, 415, 408 or 503; 400 when it is empty and may not be."""
        try:
            body = await self._read(request, limit)
        except answer.Refusal as refusal:
            if refusal.status_code == TOO_LARGE:
                await self._discard(request)
            raise
        if not body and not may_be_empty:
            raise answer.Refusal(400, "the body is empty; send one message")
        return body

    async def _read(self, request: Request, limit: int) -> bytes:
        self.waiting.check(declared(request, limit))
        parts: list[bytes] = []
        async for part in self._parts(request):
            self.waiting.check(len(part))
            self.taken += len(part)
            self.waiting.held += len(part)
            if self.taken > limit:
                raise _too_large(limit)
            parts.append(part)
        return b"".join(parts)

    def forget(self) -> None:
        """The body is done with."""
        self.waiting.held -= self.taken
        self.taken = 0

    async def _parts(self, request: Request) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        began = clock()
        while not self.ended:
            try:
                async with asyncio.timeout(IDLE_SECONDS):  # no task of its own, as wait_for would make
                    part = await self._part(request)
            except TimeoutError as error:
                raise _cut_off("the body stopped arriving; send it again") from error
            if not part:
                return
            yield part
            spent = clock() - began
            if spent > SLOW_SECONDS and self.taken < spent * SLOW_RATE:
                raise _cut_off(f"the body arrives more slowly than {SLOW_RATE} bytes a second; send it again")

    async def _part(self, request: Request) -> bytes:
        """The next part, b"" at the end. Not by `Request.stream`: a generator that is left before its end is closed by
        a task of its own, which wakes the loop once more for each request."""
        while not self.ended:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                self.ended = True
                raise ClientDisconnect
            self.ended = not message.get("more_body", False)
            if part := message.get("body", b""):
                return bytes(part)
        return b""

    async def _discard(self, request: Request) -> None:
        """Reads on, where it promises to come to an end and nobody waits for leave to send (RFC 9110 §10.1.1)."""
        if "expect" in request.headers or not 0 < _length(request) <= DISCARDED:
            return
        part = b"x"
        with contextlib.suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(DISCARD_SECONDS):
                while part:
                    async with asyncio.timeout(SILENT_SECONDS):
                        part = await self._part(request)


def declared(request: Request, limit: int) -> int:
    """The length that the sender promises (0: it does not say). 413 and 415 before anything is read."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise answer.Refusal(415, "compressed bodies are not read; send it without Content-Encoding")
    length = _length(request)
    if length > limit:
        raise _too_large(limit)
    return length


def _length(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isdigit() and len(text) < 16 else 0


def peer(request: Request) -> str:
    """The client's address, for the journal."""
    return f"{request.client.host}:{request.client.port}" if request.client else ""


def _too_large(limit: int) -> answer.Refusal:
    text = f"the body is larger than {limit // 1024} KiB"
    return answer.Refusal(TOO_LARGE, text, headers={"connection": "close"})


def _cut_off(text: str) -> answer.Refusal:
    return answer.Refusal(408, text, headers={"connection": "close"})
