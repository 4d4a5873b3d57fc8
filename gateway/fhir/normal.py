"""The normal form of text for searching: 'Ｍüller ' and 'muller' are found by each other (R4 search.html#string)."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Final

_IDEOGRAPH: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# 买买提·吐尔逊 is written with any of these, with a blank, or with nothing.
_BETWEEN: Final = re.compile(f"(?<=[{_IDEOGRAPH}])[ .·•・‧∙⋅●○､]+(?=[{_IDEOGRAPH}])")
_NUMBER: Final = re.compile(r"\+?[\d\s().\-/]*\d[\d\s().\-/]*")
_PUNCTUATION: Final = re.compile(r"[\s().\-/]+")
_SOUND_MARKS: Final = 9  # combining classes up to here change the letter itself: が, nukta, virama


def normal(text: str) -> str:
    """NFKC (full width → half width), case folded, trimmed, without accents and other combining marks; no blanks and
    dots between Chinese characters. The normal form of a normal form is itself."""
    return text.strip().lower() if text.isascii() else _normal(text)


def contact(text: str) -> str:
    """The normal form of a telephone number or an address of mail (R4 search.html#token lets punctuation be ignored):
    +86-139 0000 0001 is +8613900000001, Foo@X.cn is foo@x.cn."""
    plain = normal(text)
    return _PUNCTUATION.sub("", plain) if _NUMBER.fullmatch(plain) else plain


@functools.lru_cache(maxsize=8192)  # the same names of codes come again and again
def _normal(text: str) -> str:
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join([each for each in apart if unicodedata.combining(each) <= _SOUND_MARKS])
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", bare)).strip()
