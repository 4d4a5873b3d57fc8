"""How far two statements about a person agree, field by field, each as one of a few levels with a name.

The levels are those of weights.toml; "" says that one side knows nothing, which is evidence of nothing.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Set
from typing import Final

from gateway.codec.person_names import is_placeholder, name_form, split_name
from gateway.codec.pinyin import spelled, turned
from gateway.identity.person import Person

NO_DATES: Final = frozenset({"19000101", "00010101", "00000000", "19700101", "18991230", "99991231"})  # "not known"
ADDRESSES: Final = 20  # of one person that are compared
LONG_NAME: Final = 4  # characters from which a name may be cut or spelled in several ways: 阿依古丽, Alexandra
_CHINESE: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff〇]+")
_APART: Final = re.compile(r"[\s·.•'’\-,]+")
_PARTS: Final = re.compile(
    r"(?:[^省县区镇乡村\d]{2,7}?(?:省|自治区))?(?:[^省市县区镇乡村\d]{1,7}?(?:市|自治州|地区|盟))?"
    r"(?P<county>[^县区旗市镇乡村路街\d]{1,7}?(?:县|区|旗|市))?(?P<town>[^镇乡村路\d]{1,9}?(?:镇|乡|街道|苏木))?"
    r"(?P<village>[^村\d]{1,9}?(?:村|社区|居委会|嘎查))?(?P<rest>.*)"
)
_DOOR: Final = re.compile(r"\d+(?:-\d+)*(?:号|室|户|#|幢|栋|单元)")
_DIGITS: Final = str.maketrans("一二三四五六七八九", "123456789")
_MASK: Final = re.compile(r"[*＊xX·•#?]{3,}")


def levels(one: Person, other: Person, *, common: Set[str] = frozenset()) -> dict[str, str]:
    """For each field its level. `common`: telephone numbers that too many people have to tell anything."""
    return {
        "name": names(one.name, other.name),
        "birth": dates(one.known_birth_date, other.known_birth_date),
        "sex": _sexes(one, other),
        "phone": _phones(one.phones - common, other.phones - common),
        "address": max((addresses(a, b) for a, b in _pairs(one, other)), key=_rank, default=""),
        "card": cards(one.national_id, other.national_id),
    }


# ------------------------------------------------------------------------------------------------ names


@functools.lru_cache(maxsize=16_384)
def names(one: str, other: str) -> str:
    """equal, variant (dots, blanks, cut off), swapped (given and family name), sound (one pinyin), character (one of
    three or more, or one letter), different; "" where one says nothing."""
    if is_placeholder(one) or is_placeholder(other):
        return ""
    left, right = name_form(one), name_form(other)
    if left == right:
        return "equal"
    plain, against = _APART.sub("", left), _APART.sub("", right)
    if plain == against or _cut(left, right) or _cut(right, left):
        return "variant"
    if _turned(left, right) or _turned(right, left):
        return "swapped"
    if _sounds(left) & _sounds(right):
        return "sound"
    return _nearly(plain, against)


def _cut(short: str, long: str) -> bool:
    """买买提·吐尔 of 买买提·吐尔逊: a field was too narrow."""
    return len(short) > LONG_NAME and long.startswith(short)


def _turned(one: str, other: str) -> bool:
    """John Smith and Smith John, 吐尔逊·艾力 and 艾力·吐尔逊, 伟张 and 张伟."""
    parts = re.split(r"[\s·,]+", one)
    if len(parts) > 1:
        return sorted(parts) == sorted(re.split(r"[\s·,]+", other))
    split = split_name(one)
    return split is not None and split[1] + split[0] == other


def _sounds(form: str) -> frozenset[str]:
    found = spelled(form).full
    return frozenset(found or turned(form))


def _nearly(one: str, other: str) -> str:
    if max(len(one), len(other)) < 3:
        return "different"
    if _CHINESE.fullmatch(one) and _CHINESE.fullmatch(other):
        if len(one) < LONG_NAME and len(other) < LONG_NAME:
            same = len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1
            return "character" if same else "different"
        left, right = min(_sounds(one)), min(_sounds(other))
        return "character" if _edits(left, right) <= 1 + min(len(left), len(right)) // 8 else "different"
    return "character" if len(one) > LONG_NAME and _edits(one, other) <= 1 else "different"


def _edits(one: str, other: str) -> int:
    """Letters that are added, left out, other or exchanged with the next."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if older and j > 1 and i > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, older[j - 2] + 1)
            row.append(best)
    return row[-1]


# ------------------------------------------------------------------------------------------------ dates, sex


def dates(one: str, other: str) -> str:
    """equal, swapped (day and month), digit (one, or two that changed places), year (no more is told, or 1 January:
    that is written where only the age is known), different."""
    ours, theirs = re.sub(r"\D", "", one)[:8], re.sub(r"\D", "", other)[:8]
    if {ours, theirs} & NO_DATES or min(len(ours), len(theirs)) < 4:
        return ""
    precision = min(len(ours), len(theirs))
    if ours[:precision] == theirs[:precision]:
        return "equal" if precision == 8 and not ours.endswith("0101") else "year"
    if precision == 8 and ours[:4] == theirs[:4]:
        if ours[4:6] + ours[6:] == theirs[6:] + theirs[4:6]:
            return "swapped"
        if "0101" in (ours[4:], theirs[4:]):
            return "year"
    return "digit" if precision == 8 and _one_slip(ours, theirs) else "different"


def same_day(one: str, other: str) -> bool:
    """The same whole date, also on 1 January."""
    ours, theirs = re.sub(r"\D", "", one), re.sub(r"\D", "", other)
    return ours == theirs and len(ours) == 8 and ours not in NO_DATES


def _one_slip(one: str, other: str) -> bool:
    apart = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(apart) == 2 and apart[1] == apart[0] + 1:
        return one[apart[0]] == other[apart[1]] and one[apart[1]] == other[apart[0]]
    return len(apart) == 1


def _sexes(one: Person, other: Person) -> str:
    ours, theirs = one.known_sex, other.known_sex
    return "" if not ours or not theirs else "equal" if ours == theirs else "different"


def _phones(one: Set[str], other: Set[str]) -> str:
    return "" if not one or not other else "shared" if one & other else "different"


# ------------------------------------------------------------------------------------------------ addresses


def _pairs(one: Person, other: Person) -> Iterable[tuple[str, str]]:
    """Nobody lives in more places; what holds thousands of them is compared by the first."""
    return itertools.product(one.addresses[:ADDRESSES], other.addresses[:ADDRESSES])


def _rank(level: str) -> int:
    return ("", "different", "town", "village", "door").index(level)


@functools.lru_cache(maxsize=16_384)
def addresses(one: str, other: str) -> str:
    """door (down to the number of the house), village, town, different; "" where too little is told."""
    ours, theirs = _parts(one), _parts(other)
    if not any(ours) or not any(theirs):
        return ""
    (town, village, rest), (their_town, their_village, their_rest) = ours, theirs
    if (town and their_town and town != their_town) or (village and their_village and village != their_village):
        return "different"
    if rest == their_rest and _DOOR.search(rest) and (town, village) == (their_town, their_village):
        return "door"
    if village and village == their_village:
        return "village"
    return "town" if town and town == their_town else ""


@functools.lru_cache(maxsize=16_384)
def _parts(address: str) -> tuple[str, str, str]:
    """Township, village, and what is behind them."""
    text = re.sub(r"[\s,，、]+", "", unicodedata.normalize("NFKC", address))
    match = _PARTS.fullmatch(text)
    if match is None:
        return "", "", text
    return match["town"] or "", match["village"] or "", match["rest"].translate(_DIGITS)


# ------------------------------------------------------------------------------------------------ identity cards


def cards(one: str, other: str) -> str:
    """near (one slip between a valid and an invalid number), masked (the digits that can be seen agree), contrary
    (they do not, or two valid numbers differ), equal; "" where one is missing or nothing can be told."""
    ours, theirs = (re.sub(r"[\s\-]", "", unicodedata.normalize("NFKC", each)).upper() for each in (one, other))
    if not ours or not theirs:
        return ""
    valid, their_valid = Person(national_id=one).valid_id, Person(national_id=other).valid_id
    if valid and their_valid:
        return "equal" if valid == their_valid else "contrary"
    if _MASK.search(ours) or _MASK.search(theirs):
        return _unmasked(valid or ours, their_valid or theirs)
    if len(valid or ours) == len(their_valid or theirs) == 18:
        return "near" if _one_slip(valid or ours, their_valid or theirs) and (valid or their_valid) else ""
    return ""


def _unmasked(one: str, other: str) -> str:
    if len(one) != len(other) or len(one) != 18:
        return ""
    seen = [(a, b) for a, b in zip(one, other, strict=True) if a.isdigit() and b.isdigit()]
    if any(a != b for a, b in seen):
        return "contrary"
    told = [place for place in range(6, 18) if one[place].isdigit() and other[place].isdigit()]
    return "masked" if len(told) >= 4 else ""
