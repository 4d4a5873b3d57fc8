"""A text that is too large to be held: its charset from all its bytes, then its lines or blocks, one at a time.

It is read twice. The first time each byte is decoded and forgotten, so that a charset that does not fit the millionth
row is known before the first one is believed (charset.py decides in the same order of belief); the second time gives
the lines. Neither takes more memory for a longer file, and no line may be longer than LINE_LIMIT. A document (XML,
JSON) may be one line: it is read in blocks.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from gateway.codec import charset as charsets
from gateway.codec import damaged
from gateway.errors import Permanent

Opened = Callable[[], IO[bytes]]  # begins at the first byte each time
LINE_LIMIT: Final = 17 * 1024 * 1024  # characters: a cell of 16 M and what stands beside it
BLOCK: Final = 1 << 20  # bytes
LARGE: Final = 1 << 20  # bytes from which a file is read piece by piece where it can be
_BYTES_LIMIT: Final = 4 * LINE_LIMIT  # of a line, whatever the charset
_CONTROLS: Final = bytes(charsets.CONTROLS)
_DAMAGED: Final = 0.5  # of the lines may be
_MARKED: Final = ("utf-16", "utf-32")
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Text:
    """A text that can be read: `charset` is the Python codec, `notes` what was found on the way."""

    opened: Opened
    charset: str
    notes: tuple[str, ...]
    errors: str = "strict"  # what becomes of bytes that are no characters
    cleaned: bool = True  # of control characters; those of a document stay, whoever reads it knows which it may have

    def lines(self) -> Iterator[str]:
        """Its lines with their ends, without a byte order mark. Raises Permanent for a line over LINE_LIMIT."""
        plain = _keeps_ascii(self.charset)
        with self.opened() as raw:
            clean = io.BufferedReader(_Cleaned(raw), BLOCK) if plain and self.cleaned else raw
            reader = io.TextIOWrapper(clean, self.charset, self.errors, newline="")
            plain = plain or not self.cleaned
            for number, line in enumerate(iter(partial(reader.readline, LINE_LIMIT + 1), ""), 1):
                if len(line) > LINE_LIMIT:
                    raise _too_long(number)
                if number == 1:
                    line = line.removeprefix("\ufeff")
                yield line if plain or self.errors != "strict" else charsets.without_controls(line)

    def blocks(self) -> Iterator[str]:
        """All of a document in pieces of some BLOCK characters, cut anywhere."""
        with self.opened() as raw:
            reader = io.TextIOWrapper(raw, self.charset, self.errors, newline="")
            begun = False
            while block := reader.read(BLOCK):
                yield block if begun else block.removeprefix("\ufeff")
                begun = True


def opened(body: bytes) -> Opened:
    """Bytes that are in memory already."""
    return partial(io.BytesIO, body)


def file(path: Path) -> Opened:
    """Those of a file."""

    def opened_file() -> IO[bytes]:
        return path.open("rb")

    return opened_file


def document_of(source: Opened, rule: str = "", declared: Callable[[bytes], str] = lambda first: "") -> Text:
    """The text of a document, whose lines may be as long as they like; `declared`: the charset that its first bytes
    name. Raises what `text_of` raises; no byte of a document may be damaged."""
    with source() as file:
        first = file.read(BLOCK)
    if len(first) == BLOCK:  # no character is cut: these bytes are no part of any other one, in no charset
        end = max(first.rfind(each) for each in (b'"', b",", b">", b"\n"))
        first = first[: len(first) // 4 * 4 - 4] if first.startswith(_WIDE) else first[: end + 1] or first
    found = charsets.decode(first, rule, declared(first))
    for codec in _tried(first, found):
        read = _read(source, codec, lined=False)
        if read.failed is None:
            read.controls = 0
            return Text(source, codec, _notes(found, codec, rule, read), cleaned=False)
    raise _unexplained()


def text_of(source: Opened, rule: str = "") -> Text:
    """The text with the charset that explains all its bytes; `rule` is the member's. Raises Permanent when none does,
    or a line is too long; Configuration for an unknown rule."""
    first = _beginning(source)
    found = damaged.decode(first, rule)
    for codec in _tried(first, found):
        read = _read(source, codec)
        if read.failed is None:
            return Text(source, codec, _notes(found, codec, rule, read))
        if codec == "utf-8" and found.charset == "utf-8":  # damaged UTF-8 is often valid, but senseless, GB18030
            found = damaged.decode(read.failed)
    read = _read(source, found.charset, damaged.ERRORS)
    if not read.damaged or read.damaged > read.lines * _DAMAGED or not _keeps_ascii(found.charset):
        raise _unexplained()
    told = f"bytes that are no characters of {found.charset}, in {read.damaged} places"
    return Text(source, found.charset, (*_notes(found, found.charset, "", read), told), damaged.ERRORS)


def _tried(first: bytes, found: charsets.Decoded) -> Iterator[str]:
    """The charsets in the order of belief."""
    if first.startswith(charsets.MARK) or found.charset.startswith(_MARKED):
        return iter((found.charset,))
    return iter(dict.fromkeys((found.charset, "utf-8", "gb18030")))


@dataclass(slots=True)
class _Reading:
    """What one way of reading found."""

    failed: bytes | None = None  # the lines that it does not fit
    controls: int = 0
    lost: bool = False  # U+FFFD stands in it
    lines: int = 0
    damaged: int = 0  # places that are no characters


def _beginning(source: Opened) -> bytes:
    """The first whole lines."""
    with source() as file:
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            return block
        if block.startswith(_WIDE):
            return block[: len(block) // 4 * 4 - 4]
    end = max(block.rfind(b"\n"), block.rfind(b"\r"))
    if end < 0:
        raise Permanent(
            f"no line ends in the first {BLOCK} bytes", place="line 1", code="102",
            remedy="send a table of rows: a header, then a line a record",
        )  # fmt: skip
    return block[: end + 1]


def _read(source: Opened, codec: str, errors: str = "strict", *, lined: bool = True) -> _Reading:
    """All of it, decoded and forgotten."""
    reading = _Reading()
    decoder = codecs.getincrementaldecoder(codec)(errors)
    line = open_since = 0
    with source() as file:
        while True:
            block = file.read(BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                reading.failed = _whole_lines(block)
                return reading
            if errors != "strict":
                own = block.count(damaged.MARK.encode())
                reading.damaged += text.count(damaged.MARK) - own
            if not block:
                reading.lines = line
                return reading
            reading.controls += len(block) - len(block.translate(None, _CONTROLS))
            reading.lost = reading.lost or "\ufffd" in text
            line += block.count(b"\n")
            end = max(block.rfind(b"\n"), block.rfind(b"\r"))
            open_since = len(block) - end - 1 if end >= 0 else open_since + len(block)
            if lined and open_since > _BYTES_LIMIT:
                raise _too_long(line + 1)


def _whole_lines(block: bytes) -> bytes:
    """Without the parts of lines at both ends, in which a character may be cut."""
    start, end = block.find(b"\n"), block.rfind(b"\n")
    return block[start + 1 : end + 1] or block


def _notes(found: charsets.Decoded, codec: str, rule: str, read: _Reading) -> tuple[str, ...]:
    notes = list(found.notes)
    if codec != found.charset and rule.strip():
        notes.append(f"rule charset {found.charset} does not fit the bytes")
    if read.lost:
        notes.append("the sender itself lost characters: its bytes hold U+FFFD")
    if read.controls and _keeps_ascii(codec):
        notes.append(f"{read.controls} control characters removed")
    return tuple(dict.fromkeys(notes))


def _keeps_ascii(codec: str) -> bool:
    return not codec.startswith(("utf-16", "utf-32", "iso2022"))


def _too_long(line: int) -> Permanent:
    return Permanent(
        f"a line of more than {LINE_LIMIT} characters", place=f"line {line}", code="102",
        remedy="send a table of rows: a header, then a line a record",
    )  # fmt: skip


def _unexplained() -> Permanent:
    return Permanent(
        "the text is neither valid UTF-8 nor GB18030", place="charset", code="102",
        remedy="set the charset in the member's profile, or have the sender declare it and stop cutting characters",
    )  # fmt: skip


class _Cleaned(io.RawIOBase):
    """The bytes without control characters, which are no part of any other character in these charsets."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while block := self._raw.read(len(buffer)):
            if left := block.translate(None, _CONTROLS):
                buffer[: len(left)] = left
                return len(left)
        return 0
