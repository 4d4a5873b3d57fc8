"""Lines of a table whose bytes are in no charset, or in another one than the rest: the others are read all the same.

A damaged line stays a line: its bytes that are no character stand as `\\xNN`, and MARK before the first of them makes
it a row that is set aside with its cause (delimited.py).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Final

from gateway.codec import charset as charsets
from gateway.codec.charset import Decoded
from gateway.errors import Permanent

MARK: Final = "\x1a"  # SUBSTITUTE; a control character that is taken out of every text before
ERRORS: Final = "hutong-damaged"
CAUSE: Final = "it holds bytes that are no characters of its charset"
_LINES: Final = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SHARE: Final = 0.5  # of the lines, and of those that are not ASCII, may be damaged
_FEW: Final = 3
_BEYOND_LATIN: Final = re.compile("[\u0800-\uffff\U00010000-\U0010ffff]")


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    told = "".join(f"\\x{byte:02x}" for byte in error.object[error.start : error.end])
    return f"{MARK}{told}", error.end


codecs.register_error(ERRORS, _marked)


def decode(body: bytes, rule: str = "") -> Decoded:
    """The text of a table: as charset.decode reads it where one charset explains all its bytes, else line by line.
    Raises what that raises where hardly a line can be read."""
    try:
        found = charsets.decode(body, rule)
    except Permanent as error:
        if error.code != "102":
            raise
        return _each_line(body, error)
    if found.charset != "gb18030":
        return _cleaned(found)
    return _others(body, found)


def _cleaned(found: Decoded) -> Decoded:
    text = found.text.translate(charsets.CONTROLS)
    removed = len(found.text) - len(text)
    notes = (*found.notes, f"{removed} control characters removed") if removed else found.notes
    return Decoded(text, found.charset, found.how, notes)


def _others(body: bytes, found: Decoded) -> Decoded:
    """GB18030 explains nearly all bytes, those of UTF-8 too: lines that are valid UTF-8 are that."""
    lines = _LINES.findall(body)
    other = [index for index, line in enumerate(lines) if not line.isascii() and _as_utf8(line)]
    if not other or len(other) == sum(not line.isascii() for line in lines):
        return _cleaned(found)
    told = set(other)
    text = "".join(line.decode("utf-8" if index in told else "gb18030") for index, line in enumerate(lines))
    return _cleaned(Decoded(text, found.charset, found.how, (*found.notes, _note(other, "utf-8", "gb18030"))))


def _each_line(body: bytes, error: Permanent) -> Decoded:
    lines = _LINES.findall(body)
    foreign = [line for line in lines if not line.isascii()]
    as_utf8 = sum(bool(_as_utf8(line)) for line in foreign)
    charset, second = ("utf-8", "gb18030") if as_utf8 * 2 >= len(foreign) else ("gb18030", "utf-8")
    texts: list[str] = []
    other: list[int] = []
    damaged: list[int] = []
    for index, line in enumerate(lines):
        text = _read(line, charset)
        if text is None and (text := _read(line, second)) is not None:
            other.append(index)
        if text is None:
            damaged.append(index)
            text = line.translate(None, bytes(charsets.CONTROLS)).decode(charset, ERRORS)
        else:
            text = text.translate(charsets.CONTROLS)
        texts.append(text)
    if len(damaged) > len(lines) * _SHARE or (len(foreign) > _FEW and len(damaged) > len(foreign) * _SHARE):
        raise error
    notes = [_note(other, second, charset)] if other else []
    if damaged:
        notes.append(f"{len(damaged)} lines hold bytes that are no characters of {charset}")
    return Decoded("".join(texts), charset, "detected", tuple(notes))


def _read(line: bytes, charset: str) -> str | None:
    """The text of a line in a charset; None where it is in the other one, or in none."""
    if line.isascii():
        return line.decode("ascii")
    if charset == "utf-8":
        return _as_utf8(line)
    try:
        return None if _as_utf8(line) else charsets.decode(line, charset).text
    except Permanent:
        return None


def _as_utf8(line: bytes) -> str | None:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if _BEYOND_LATIN.search(text) else None


def _note(lines: Sequence[int], charset: str, usual: str) -> str:
    shown = ", ".join(str(index + 1) for index in lines[:20]) + (" …" if len(lines) > 20 else "")
    return f"lines in {charset}, the others in {usual}: {shown}"
