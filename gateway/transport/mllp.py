"""The MLLP server: takes framed messages from sockets, answers each in order, and never holds more than it may.

The `receive` callable journals a frame and returns the acknowledgement without framing, or b'' for no answer. Frames of
one connection are handed to it in order, up to `unanswered` at a time, so that they share one commit; their answers
leave in order. While more wait, or the client does not read its answers, the socket is not read. When `receive` raises,
nothing can be promised to the sender: the answers before are still written, then the connection is closed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from gateway import telemetry
from gateway.errors import Configuration, HutongError
from gateway.model import Frame
from gateway.transport.address import host_and_port, peer
from gateway.transport.mllp_framing import FRAME_LIMIT, Deframer, frame

Receive = Callable[[Frame], Awaitable[bytes]]
_END = "have the sender frame each message as VT … FS CR, and large ones in parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one listener allows. Sizes in bytes, times in seconds."""

    frame: int = FRAME_LIMIT  # one message; larger: the connection is closed
    idle: float = 30.0  # an unfinished frame that does not grow for so long: closed
    quiet: float = 0.2  # FS without CR is the end after so long
    connections: int = 2000  # more are closed at once
    unanswered: int = 64  # frames of one connection being journalled at once
    memory: int = 2**30  # all unfinished and unanswered frames together; past it the large holders are closed
    unread: int = 4 * 1024  # of answers, in each buffer on their way: a client that reads none is not read either


@dataclass(slots=True)
class Counters:
    """What happened on a listener since it started."""

    connections: int = 0  # ever opened
    frames: int = 0
    failed: int = 0  # receive raised: closed without an answer
    cut: int = 0  # messages cut off by the start of the next
    empty: int = 0
    stray: int = 0  # bytes outside frames
    broken: int = 0  # closed: too large, or no MLLP
    idle: int = 0  # closed: an unfinished frame stood still
    crowded: int = 0  # closed: too many connections
    heavy: int = 0  # closed: the memory limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One open connection as an operator sees it."""

    peer: str
    unanswered: int
    partial_bytes: int  # of a frame that has begun
    silent_seconds: float  # since the last byte
    stray_bytes: int


class MllpListener:
    """Listens on HOST:PORT for one channel (port 0: any free one; see `address` after `listen`)."""

    def __init__(
        self, address: str, *, channel: str, limits: Limits | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._host, self._port = host_and_port(address, place=f"channel {channel}")
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.channel = channel
        self.limits = limits or Limits()
        self.tls = tls
        self.counters = Counters()
        self.open: set[Connection] = set()
        self.held = 0  # bytes of unfinished and unanswered frames over all connections

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) as bound; only while listening."""
        if self._server is None:
            return self._host, self._port
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def lines(self) -> list[Line]:
        """The open connections, with the age of what stands unfinished in them."""
        now = asyncio.get_running_loop().time()
        return [connection.line(now) for connection in self.open]

    async def listen(self, receive: Receive) -> None:
        """Open the port and return; frames are taken until `close`. Raises Configuration when it cannot be opened."""
        loop = asyncio.get_running_loop()
        handshake = 10.0 if self.tls else None
        try:
            self._server = await loop.create_server(
                lambda: Connection(self, receive, loop),
                self._host,
                self._port,
                ssl=self.tls,
                backlog=1024,
                ssl_handshake_timeout=handshake,
            )
        except OSError as error:
            place = f"channel {self.channel}, {self._host}:{self._port}"
            cause = f"the port cannot be opened ({error.strerror or type(error).__name__})"
            raise Configuration(cause, place=place, remedy="free the port or choose another") from error
        self._sweep(loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what stands still. One timer for all connections: a timer each would cost more than the framing."""
        now = loop.time()
        for connection in [one for one in self.open if one.stands_still(now)]:
            self.counters.idle += 1
            if connection.deframer.unsettled:
                connection.tell(f"a message stopped in its middle for {self.limits.idle:g} seconds; {_END}")
            connection.abort()
        self._sweeper = loop.call_later(min(1.0, self.limits.idle / 4), self._sweep, loop)

    async def close(self, *, grace: float = 1.5) -> None:
        """Take nothing new, let what is being journalled be answered for up to `grace` seconds, then hang up."""
        if self._server is None:
            return
        self._server.close()
        if self._sweeper:
            self._sweeper.cancel()
        for connection in list(self.open):
            connection.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await asyncio.gather(*(connection.gone.wait() for connection in self.open))
        for connection in list(self.open):
            connection.give_up()
        await self._server.wait_closed()
        self._server = None


@dataclass(eq=False, slots=True)
class Connection(asyncio.Protocol):
    """One client: its unfinished frame, the frames that wait, and the answers that are owed in order."""

    listener: MllpListener
    receive: Receive
    loop: asyncio.AbstractEventLoop
    peer: str = ""
    transport: asyncio.Transport = field(init=False)
    deframer: Deframer = field(init=False)
    backlog: deque[bytes] = field(default_factory=deque)
    answers: deque[tuple[asyncio.Task[bytes], int]] = field(default_factory=deque)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    heard: float = 0.0  # loop time of the last byte
    waiting: int = 0  # bytes of the frames that are not answered
    held: int = 0  # what of the listener's sum is ours
    full: bool = False  # the client does not read its answers
    paused: bool = False  # the socket is not read
    finishing: bool = False  # nothing more is read; closes when everything is answered
    mute: bool = False  # a frame got no answer: no later one may be answered either
    ending: asyncio.TimerHandle | None = None

    # -------------------------------------------------------------------------------------- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the class
        self.deframer = Deframer(limit=self.listener.limits.frame)
        self.peer = peer(transport.get_extra_info("peername"))
        self.heard = self.loop.time()
        self.listener.counters.connections += 1
        self.listener.open.add(self)
        if len(self.listener.open) > self.listener.limits.connections:
            self.listener.counters.crowded += 1
            self.abort()
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.listener.limits.unread)
        self.transport.set_write_buffer_limits(high=self.listener.limits.unread)

    def data_received(self, data: bytes) -> None:
        if self.finishing:
            return
        self.heard = self.loop.time()
        if self.ending:
            self.ending.cancel()
            self.ending = None
        self._take(self.deframer.feed(data))
        if self.deframer.ending:
            self.ending = self.loop.call_later(self.listener.limits.quiet, self._quiet)

    def eof_received(self) -> bool:
        """A half close keeps the way back open until everything is answered. TLS knows no half close."""
        self._quiet()
        self.finish()
        return self.listener.tls is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.listener.open.discard(self)
        self.gone.set()
        self.finishing = True
        if self.ending:
            self.ending.cancel()
        self._count_framing()
        self.deframer = Deframer()
        self.waiting -= sum(map(len, self.backlog))
        self.backlog.clear()
        self._count_held()

    def pause_writing(self) -> None:
        self.full = True
        self._throttle()

    def resume_writing(self) -> None:
        self.full = False
        self._advance()

    # -------------------------------------------------------------------------------------- the listener calls these

    def stands_still(self, now: float) -> bool:
        """A frame has begun and nothing more comes, or the last answers are not taken."""
        waits = self.deframer.unsettled and not self.paused and not self.answers
        return (waits or self.finishing) and now - self.heard > self.listener.limits.idle

    def line(self, now: float) -> Line:
        return Line(
            peer=self.peer,
            unanswered=len(self.answers) + len(self.backlog),
            partial_bytes=self.deframer.held,
            silent_seconds=now - self.heard,
            stray_bytes=self.deframer.stray,
        )

    def tell(self, trouble: str) -> None:
        """The operator: MLLP has no answer to what is no message."""
        telemetry.logger().warning(
            "mllp line closed", channel=self.listener.channel, client=self.peer, trouble=trouble,
            bytes=self.deframer.stray,
        )  # fmt: skip

    def finish(self) -> None:
        """Read nothing more; hang up when all answers are written."""
        self.finishing = True
        self._throttle()
        self._hang_up_when_done()

    def abort(self) -> None:
        self.finishing = True
        self.transport.abort()

    def give_up(self) -> None:
        """Hang up now, and end what is still being journalled: it gets no answer, so its sender sends it again."""
        self.abort()
        for task, _ in self.answers:
            task.cancel()

    # -------------------------------------------------------------------------------------- frames in, answers out

    def _quiet(self) -> None:
        self.ending = None
        self._take(self.deframer.quiet())

    def _take(self, bodies: list[bytes]) -> None:
        self.backlog.extend(bodies)
        self.waiting += sum(map(len, bodies))
        self.listener.counters.frames += len(bodies)
        self._advance()
        if self.deframer.broken:
            self.listener.counters.broken += 1
            self.tell(f"{self.deframer.broken}; {_END}")
            self.finish()
        else:
            self._count_held()

    def _advance(self) -> None:
        """Hand on as many waiting frames as may be journalled at once."""
        allowed = self.listener.limits.unanswered
        while self.backlog and len(self.answers) < allowed and not self.full:
            body = self.backlog.popleft()
            arrived = Frame(channel=self.listener.channel, body=body, peer=self.peer, received_at=datetime.now(UTC))
            task = self.loop.create_task(_bytes(self.receive(arrived)))
            self.answers.append((task, len(body)))
            task.add_done_callback(self._answered)
        self._throttle()

    def _answered(self, _task: asyncio.Task[bytes]) -> None:
        """Write every answer whose turn has come, in one packet."""
        ready: list[bytes] = []
        while self.answers and self.answers[0][0].done():
            task, size = self.answers.popleft()
            self.waiting -= size
            answer = self._result(task)
            if answer and not self.mute:
                ready.append(frame(answer))
        if ready and not self.transport.is_closing():
            self.transport.write(b"".join(ready))
        if self.mute:
            self.waiting -= sum(map(len, self.backlog))
            self.backlog.clear()
            self.finish()
        self._advance()
        self._count_held()
        self._hang_up_when_done()

    def _result(self, task: asyncio.Task[bytes]) -> bytes:
        """The answer; a failure silences the connection."""
        if task.cancelled():
            self.mute = True
            return b""
        error = task.exception()
        if error is None:
            return task.result()
        self.mute = True
        self.listener.counters.failed += 1
        place = error.place if isinstance(error, HutongError) else ""
        telemetry.logger().error(
            "frame not answered", channel=self.listener.channel, error=type(error).__name__, place=place
        )
        return b""

    def _hang_up_when_done(self) -> None:
        if self.finishing and not self.answers and not self.backlog:
            self.transport.close()

    # -------------------------------------------------------------------------------------- limits

    def _throttle(self) -> None:
        """Read the socket only while its frames can be handed on and its answers are read."""
        busy = self.full or self.finishing or len(self.answers) >= self.listener.limits.unanswered
        if busy == self.paused or self.transport.is_closing():
            return
        self.paused = busy
        if busy:
            self.transport.pause_reading()
        else:
            self.heard = self.loop.time()
            self.transport.resume_reading()

    def _count_held(self) -> None:
        """Keep the listener's sum of bytes; over its limit, who holds more than a fair share is closed."""
        held = self.deframer.held + self.waiting
        self.listener.held += held - self.held
        self.held = held
        limits = self.listener.limits
        if self.listener.held > limits.memory and held > limits.memory // max(1, len(self.listener.open)):
            self.listener.counters.heavy += 1
            self.tell(f"unfinished messages hold more than {limits.memory} bytes, this line the most; {_END}")
            self.abort()

    def _count_framing(self) -> None:
        counters = self.listener.counters
        counters.cut += self.deframer.cut
        counters.empty += self.deframer.empty
        counters.stray += self.deframer.stray


async def _bytes(answer: Awaitable[bytes]) -> bytes:
    """A task needs a coroutine; `receive` may be any callable that gives an awaitable."""
    return await answer
