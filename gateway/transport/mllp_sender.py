"""The MLLP client: one connection, one message in flight, an acknowledgement that must be this message's own.

A late answer is never taken for the next message's (it would lose one silently): whatever is not the expected answer
closes the socket, and the delivery is sent again on a new one with the same control id.
"""

from __future__ import annotations

import asyncio
import ssl

from gateway.errors import Ambiguous, Permanent, Transient
from gateway.model import Delivery, Receipt
from gateway.transport.address import host_and_port
from gateway.transport.answer import control_id, receipt
from gateway.transport.mllp_framing import Deframer, frame

ACKNOWLEDGEMENT_LIMIT = 2**20  # bytes
_CHECK = "check that it runs and that the network lets us through"


class MllpSender:
    """Sends to HOST:PORT; by TLS when a context is given. `timeout`: seconds to connect, and to be answered."""

    parallel = 1

    def __init__(self, address: str, *, timeout: float = 30.0, tls: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._host, self._port = host_and_port(address, place="subscription address")
        self._timeout = timeout
        self._tls = tls
        self._one_at_a_time = asyncio.Lock()
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, body: bytes, delivery: Delivery) -> Receipt:
        """The receipt of AA or CA. Raises Transient (not sent), Ambiguous (sent, not answered), Permanent (refused)."""
        expected = control_id(body)
        if not expected:
            raise Permanent("the message has no control id", place="MSH-10", remedy="mend the map")
        async with self._one_at_a_time:
            reader, writer = await self._connected()
            try:
                answer = await self._exchange(reader, writer, frame(body))
                taken = receipt(answer, control_id=expected, place=self._address)
            except (Ambiguous, asyncio.CancelledError):
                self._drop()
                raise
            return taken

    async def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            writer = self._line[1]
            self._drop()
            try:
                await writer.wait_closed()
            except (OSError, ssl.SSLError):
                return

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The open line, or a new one: an old one is good only if nothing at all came on it since the last answer."""
        if self._line is not None:
            await asyncio.sleep(0)  # lets the loop notice a close or a late answer that already arrived
            reader, writer = self._line
            if not (reader.at_eof() or _has_more(reader) or writer.is_closing()):
                return self._line
            self._drop()
        try:
            async with asyncio.timeout(self._timeout):
                self._line = await asyncio.open_connection(
                    self._host, self._port, ssl=self._tls, limit=ACKNOWLEDGEMENT_LIMIT
                )
        except (OSError, TimeoutError) as error:
            cause = f"the receiver cannot be reached ({type(error).__name__})"
            raise Transient(cause, place=self._address, remedy=_CHECK) from error
        return self._line

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framed: bytes) -> bytes:
        deframer = Deframer(limit=ACKNOWLEDGEMENT_LIMIT)
        try:
            async with asyncio.timeout(self._timeout):
                writer.write(framed)
                await writer.drain()
                while data := await reader.read(65536):
                    if answers := deframer.feed(data):
                        if len(answers) > 1 or deframer.unsettled:
                            self._drop()  # more than was asked for: whatever follows must not answer the next message
                        return answers[0]
                    if deframer.broken:
                        raise Ambiguous("the answer is not framed", place=self._address, remedy="check the port")
        except TimeoutError as error:
            cause = f"no acknowledgement within {self._timeout:g} s"
            raise Ambiguous(cause, place=self._address, remedy="it is sent again") from error
        except OSError as error:
            cause = f"the connection broke before the acknowledgement ({type(error).__name__})"
            raise Ambiguous(cause, place=self._address, remedy="it is sent again") from error
        if answers := deframer.quiet():
            return answers[0]
        raise Ambiguous(
            "the receiver closed before its acknowledgement", place=self._address, remedy="it is sent again"
        )

    def _drop(self) -> None:
        if self._line is not None:
            self._line[1].transport.abort()
            self._line = None


def _has_more(reader: asyncio.StreamReader) -> bool:
    """Bytes wait that nobody asked for. StreamReader has no public word for it."""
    return bool(getattr(reader, "_buffer", b""))
