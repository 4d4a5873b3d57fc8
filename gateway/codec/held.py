"""What the charset that a receiver names really holds: GBK is not GB18030 going out, though it is read as such.

Coming in every GB name is read by the superset (charset.py). A receiver that says GB2312 or GBK has a program that
knows no more than that: a rare name written to it in four bytes would be shown as something else. So each character
that the named set lacks is refused, or written as a reference where the format has one (`&#x4DAE;`, `\\u4dae`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from gateway.codec import charset as charsets
from gateway.errors import Permanent

_NOT_ALPHANUMERIC: Final = re.compile(r"[^A-Z0-9]")
_NAMES: Final = {
    **dict.fromkeys(("GB2312", "GB231280", "EUCCN"), "GB2312"),
    **dict.fromkeys(("GB", "GBK", "CP936", "936", "MS936", "WINDOWS936"), "GBK"),
}
_DECLARED: Final = {"gb18030": "GB18030", "utf-8": "UTF-8", "utf-16": "UTF-16", "big5hkscs": "Big5-HKSCS"}
_UNSURE: Final = "\u00b7\u2014"  # of GB2312: A1A4 and A1AA are these to most programs, ・ and ― to some
_SHOWN: Final = 5  # characters that a refusal names


def declared(charset: str) -> str:
    """The name of a charset as XML and HTTP write it (IANA)."""
    codec = charsets.codec_of(charset) or "utf-8"
    return _NAMES.get(_plain(charset), _DECLARED.get(codec, codec))


def missing(text: str, charset: str) -> list[str]:
    """The characters of a text that a charset lacks, each once."""
    if text.isascii():
        return []
    held = _holds(_NAMES.get(_plain(charset), ""), charsets.codec_of(charset) or "utf-8")
    return sorted({each for each in set(text) if not held(each)})


def encode(text: str, charset: str, place: Callable[[str], str] = lambda character: "charset") -> bytes:
    """The bytes of a text. Raises Permanent naming the code points, never the text, that the charset lacks;
    Configuration for a charset that is unknown. `place`: where a character stands."""
    if lacked := missing(text, charset):
        points = ", ".join(f"U+{ord(each):04X}" for each in lacked[:_SHOWN])
        raise Permanent(
            f"{points} cannot be written in {declared(charset)}", place=place(lacked[0]), code="103",
            remedy="let the receiver take GB18030 or UTF-8",
        )  # fmt: skip
    return charsets.encode(text, charset)


def referred(text: str, charset: str, reference: Callable[[int], str]) -> str:
    """The text with a reference for each character that the charset lacks, or that its readers do not agree on."""
    lacked = [*missing(text, charset), *(_UNSURE if _NAMES.get(_plain(charset)) == "GB2312" else ())]
    return text.translate({ord(each): reference(ord(each)) for each in lacked if not _half(each)}) if lacked else text


def _half(character: str) -> bool:
    """A lone surrogate is no character."""
    return "\ud800" <= character <= "\udfff"


def _plain(name: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", name.upper())


@lru_cache(maxsize=32)
def _holds(narrow: str, codec: str) -> Callable[[str], bool]:
    @lru_cache(maxsize=65536)
    def holds(character: str) -> bool:
        try:
            body = character.encode(codec)
            if narrow and len(body) > 1:
                body.decode("gbk")
        except UnicodeError:
            return False
        if narrow == "GB2312" and len(body) > 1:  # rows 1 to 87, each cell from 1
            return len(body) == 2 and 0xA1 <= body[0] <= 0xF7 and body[1] >= 0xA1
        return not narrow or len(body) <= 2

    return holds
