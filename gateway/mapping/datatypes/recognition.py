"""The mark of mutual recognition (互认) of a result: `HR`, however it is written; a wider one (`苏HR`) as it stands.

A star before the name of a test means the same (china.md §2.4), and is no part of the name.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair

RECOGNISED: Final = "HR"
_YES: Final = frozenset(
    {"HR", "*", "★", "☆", "※", "是", "1", "Y", "T", "TRUE", "YES", "√", "✓", "互认", "可互认", "省内互认"}
)
_NO: Final = frozenset({"", "否", "0", "N", "F", "FALSE", "NO", "-", "/", "无", "不互认", "×"})
_STARS: Final = "*★☆※ "


def unmarked(name: str) -> str:
    """The name of a test without the star before it."""
    return name.strip().lstrip(f"{_STARS}＊").strip() or name.strip()


def recognition_into(raw: str, context: Context) -> str | None:
    text = unicodedata.normalize("NFKC", raw).strip()
    if text.upper() in _NO:
        return None
    return RECOGNISED if text.upper() in _YES else text


def recognition_back(value: str, context: Context) -> str:
    return str(value)


def starred_into(raw: str, context: Context) -> str | None:
    return RECOGNISED if unicodedata.normalize("NFKC", raw).strip()[:1] in tuple(_STARS.strip()) else None


def starred_back(value: str, context: Context) -> str:
    return ""


PAIRS = {
    "recognition": Pair(recognition_into, recognition_back, fits=("string",)),
    "starred": Pair(starred_into, starred_back, fits=("string",)),
}
