"""HTTP connections whose request never begins: uvicorn waits for a head as long as the client likes, and takes one of
any length. Here it comes within HEAD_SECONDS and HEAD_LIMIT, or the connection is closed.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 30.0  # from the connection, or from a request's first byte, to the end of its head
HEAD_LIMIT: Final = 64 * 1024  # bytes of a head; what came in one piece with it does not count
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class PromptProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a clock on the head of each request."""

    _clock: asyncio.TimerHandle | None = None  # runs while a head is awaited
    _taken = 0  # bytes of it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._clock is not None:
            if self._taken > HEAD_LIMIT:
                self._end(_TOO_LARGE)
                return
            self._taken += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._clock is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_clock()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._taken = 0
        self._clock = self.loop.call_later(HEAD_SECONDS, self._late)

    def _late(self) -> None:
        self._end(_TOO_SLOW if self._taken else b"")

    def _end(self, answer: bytes) -> None:
        self._stop_clock()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
