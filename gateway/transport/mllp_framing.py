"""MLLP framing: bytes that arrive in any pieces become whole messages. Pure; no charset, no HL7 inside.

A frame is VT content FS CR (HL7 v2 Transport Specification: MLLP, Release 1 and 2). Real senders differ, so:

    between frames   CR, LF and blanks are noise and are skipped; anything else is stray, and too much of it breaks
                     the line
    FS               ends the frame when CR, LF or VT follows, or when nothing follows for a while (`quiet`). FS before
                     any other byte is content: cutting there would acknowledge half a message
    VT inside        followed by MSH, FHS or BHS it is a new start: what stood before it was cut off and is dropped,
                     never merged, never handed on. Any other VT is content, for the codec to judge
    nothing inside   the empty frame is counted and ignored

Every decision is taken on the whole frame, so the result never depends on how the network chopped the bytes.
"""

from __future__ import annotations

import re

START, END, RETURN, FEED = 0x0B, 0x1C, 0x0D, 0x0A
NOISE = b"\r\n \t"
FRAME_LIMIT = 100 * 2**20  # bytes
STRAY_LIMIT = 4096  # bytes outside any frame: a TLS hello, an HTTP request, a sender without VT

_RESTART = re.compile(rb"\x0b(?=[\r\n \t]*(?:\xef\xbb\xbf)?(?:MSH|FHS|BHS))")
_AFTER_END = frozenset((RETURN, FEED, START))


def frame(body: bytes) -> bytes:
    """VT body FS CR."""
    return b"\x0b" + body + b"\x1c\r"


class Deframer:
    """One connection's incoming bytes. Holds at most one unfinished frame; each byte is searched once."""

    __slots__ = ("_buffer", "_limit", "_searched", "_stray_limit", "_stray_run", "broken", "cut", "empty", "stray")

    def __init__(self, *, limit: int = FRAME_LIMIT, stray_limit: int = STRAY_LIMIT) -> None:
        self._buffer = bytearray()  # empty, or begins with VT
        self._searched = 0  # no end lies before this index
        self._limit = limit
        self._stray_limit = stray_limit
        self._stray_run = 0  # stray bytes since the last frame
        self.broken = ""  # why nothing more can be read from this line; "" while all is well
        self.cut = 0  # messages that never ended before the next one began
        self.empty = 0  # frames with nothing inside
        self.stray = 0  # bytes outside any frame that are not noise

    @property
    def held(self) -> int:
        """Bytes of the unfinished frame."""
        return len(self._buffer)

    @property
    def unsettled(self) -> bool:
        """Something came that is no whole frame yet, or none at all."""
        return bool(self._buffer) or self._stray_run > 0

    @property
    def ending(self) -> bool:
        """FS arrived last: the frame is over unless its CR, or more content, is still on its way."""
        return len(self._buffer) > 1 and self._buffer[-1] == END

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now, in order. When `broken` is set afterwards, the line must be closed."""
        if self.broken:
            return []
        if not self._buffer and _is_one_frame(data, self._limit):
            return [data[1:-2]]
        self._buffer += data
        bodies: list[bytes] = []
        position = 0
        while not self.broken and (start := self._start(position)) >= 0:
            end = self._end(max(start + 1, self._searched))
            if end < 0:
                position = start
                break
            self._take(start + 1, end, bodies)
            position, self._searched = end + 1, 0
        else:
            position = len(self._buffer)
        self._forget(position)
        if len(self._buffer) - 2 > self._limit:
            self._break(f"a frame is larger than {self._limit} bytes")
        return bodies

    def quiet(self) -> list[bytes]:
        """Nothing came for a while, or the sender closed: an FS without its CR was the end."""
        return self.feed(b"\r") if self.ending else []

    def _start(self, position: int) -> int:
        """Index of the next VT, or -1; what lies before it is noise or stray."""
        start = self._buffer.find(START, position)
        between = self._buffer[position : start if start >= 0 else len(self._buffer)]
        stray = len(between.translate(None, NOISE))
        self.stray += stray
        self._stray_run += stray
        if self._stray_run > self._stray_limit:
            self._break(f"more than {self._stray_limit} bytes came outside any MLLP frame")
            return -1
        return start

    def _end(self, position: int) -> int:
        """Index of the FS that ends the frame, or -1 while it has not come."""
        at = self._buffer.find(END, position)
        while 0 <= at < len(self._buffer) - 1:
            if self._buffer[at + 1] in _AFTER_END:
                return at
            at = self._buffer.find(END, at + 1)
        self._searched = at if at >= 0 else len(self._buffer)
        return -1

    def _take(self, start: int, end: int, bodies: list[bytes]) -> None:
        if end - start > self._limit:
            self._break(f"a frame is larger than {self._limit} bytes")
            return
        if self._buffer.find(START, start, end) >= 0:
            for restart in _RESTART.finditer(self._buffer, start, end):
                self.cut += 1
                start = restart.end()
        self._stray_run = 0
        with memoryview(self._buffer) as view:  # one copy, not two: a frame may be 66 MB
            body = bytes(view[start:end])
        if not body or body.isspace():
            self.empty += 1
        else:
            bodies.append(body)

    def _forget(self, position: int) -> None:
        del self._buffer[:position]
        self._searched = max(0, self._searched - position)

    def _break(self, why: str) -> None:
        self.broken = why
        self._buffer = bytearray()


def _is_one_frame(data: bytes, limit: int) -> bool:
    """The common case: one packet is exactly one frame."""
    return (
        data[-2:] == b"\x1c\r"
        and data[0] == START
        and data.find(END) == len(data) - 2
        and data.find(START, 1) < 0
        and 0 < len(data) - 3 <= limit
        and not data[1:-2].isspace()
    )
