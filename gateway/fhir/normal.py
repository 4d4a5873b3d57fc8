"""The normal form of text for searching: 'Ｍüller ' and 'muller' are found by each other (R4 search.html#string)."""

from __future__ import annotations

import functools
import unicodedata


@functools.cache
def _base_letters() -> dict[int, str | None]:
    """Latin letters with diacritics → the bare letter; combining marks → nothing. Other scripts keep theirs."""
    table: dict[int, str | None] = dict.fromkeys(range(0x300, 0x370))
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        bare = unicodedata.normalize("NFD", chr(code))[0]
        if bare.isascii():
            table[code] = bare
    return table


def normal(text: str) -> str:
    """NFKC (full width → half width), case folded, trimmed, Latin letters without diacritics."""
    return text.strip().lower() if text.isascii() else _normal(text)


@functools.lru_cache(maxsize=8192)  # the same names of codes come again and again
def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().translate(_base_letters()).strip()
