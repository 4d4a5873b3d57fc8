"""Escape sequences in HL7 v2 text (v2.5.1 chapter 2.7): `\\F\\` and friends ↔ the characters they stand for.

Standard separators are assumed; the decoder has normalised them. What is not a known sequence stays as it is, so a
Windows path or a lone backslash survives.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_CHARACTERS: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", "P": "#", "H": "", "N": ""}
_BREAKS_LIMIT: Final = 100  # lines that one \.sp n\ may skip
_SEQUENCE: Final = re.compile(
    r"(?P<hex>(?:\\X(?:[0-9A-Fa-f]{2})+\\)+)"
    r"|\\(?P<character>[FSTREPHN])\\"
    r"|\\\.(?P<command>(?:br|sp|in|ti|sk|fi|nf|ce))\s?(?P<count>[+-]?\d{0,4})\\"
    r"|\\(?:C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4,6}|Z[^\\]*)\\",  # charset switches and local sequences: kept as they are
    re.IGNORECASE,
)
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]")
_NEEDS_ESCAPE: Final = re.compile("[|^~&\\\\\x00-\x08\x0a-\x1f\x7f]")
_ESCAPES: Final = str.maketrans(
    {"|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\", "\\": "\\E\\", "\n": "\\.br\\"}
    | {chr(code): f"\\X{code:02X}\\" for code in (*range(0x09), *range(0x0B, 0x20), 0x7F)}
)


def unescape(text: str, charset: str = "utf-8") -> str:
    """Text as a person reads it. Line breaks (`\\.br\\`, `\\X0D\\`) become LF, highlighting is dropped, `\\X..\\` is
    read in `charset`; hexadecimal that is no text in it, or a control character, stays as it was written."""
    if "\\" not in text:
        return text
    return _SEQUENCE.sub(lambda match: _meaning(match, charset), text)


def escape(text: str) -> str:
    """Text safe inside one field: separators, line breaks (CRLF and CR too, as one LF) and control characters as
    sequences. `unescape(escape(t)) == t` for texts without CR and control characters (tab excepted)."""
    if text.isalnum() or not text or not _NEEDS_ESCAPE.search(text):
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_ESCAPES)


def escape_each(texts: Sequence[str]) -> Sequence[str]:
    """The same of several texts: nearly always none of them needs it."""
    whole = "".join(texts)
    if not whole or whole.isalnum() or not _NEEDS_ESCAPE.search(whole):
        return texts
    return [escape(text) for text in texts]


def _meaning(match: re.Match[str], charset: str) -> str:
    if character := match["character"]:
        return _CHARACTERS[character.upper()]
    if match["hex"]:
        return _hexadecimal(match["hex"], charset)
    if command := match["command"]:
        return _formatting(command.lower(), match["count"])
    return match[0]


def _formatting(command: str, count: str) -> str:
    """`.br` and `.ce` begin a line, `.sp n` skips n lines, `.sk n` n blanks; indents and wrapping go."""
    number = min(abs(int(count)) if count.strip("+-") else 1, _BREAKS_LIMIT)
    match command:
        case "br" | "ce":
            return "\n"
        case "sp":
            return "\n" * number
        case "sk":
            return " " * number
        case _:
            return ""


def _hexadecimal(sequences: str, charset: str) -> str:
    """Neighbouring sequences are read together: senders write one a byte, also inside a multi-byte character."""
    raw = bytes.fromhex(re.sub(r"\\[Xx]?", "", sequences))
    for codec in (charset, "utf-16-be"):  # some systems write the code point: \X00E0\ for à
        try:
            text = raw.decode(codec).replace("\r\n", "\n").replace("\r", "\n")
        except (UnicodeDecodeError, LookupError):
            continue
        if not _UNSAFE.search(text):
            return text
    return sequences
