"""Numbers that China's standards define: 居民身份证 (GB 11643), 统一社会信用代码 (GB 32100), and phone numbers."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Final

_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS: Final = "10X98765432"
_ID_NUMBER: Final = re.compile(r"[1-9]\d{16}[\dX]")
_OLD_ID_NUMBER: Final = re.compile(r"[1-9]\d{14}")
_CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_EARLIEST_YEAR: Final = 1850


def national_id(text: str) -> str:
    """The 18 characters of a valid resident identity number (GB 11643: province, real birth date, check character), a
    15-digit number converted (19 and the check character inserted); "" for anything else."""
    number = re.sub(r"[\s\-]", "", unicodedata.normalize("NFKC", text)).upper()
    if _OLD_ID_NUMBER.fullmatch(number):
        number = number[:6] + "19" + number[6:]
        number += check_character(number)
    if not _ID_NUMBER.fullmatch(number) or not number.isascii() or not _real_date(number[6:14]):
        return ""
    return number if number[17] == check_character(number[:17]) else ""


def check_character(seventeen: str) -> str:
    """The last character of a resident identity number from its first 17 digits (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(seventeen, _ID_WEIGHTS, strict=True))
    return _ID_CHECKS[total % 11]


def birth_date_of(number: str) -> str:
    """YYYY-MM-DD out of a valid resident identity number, "" otherwise."""
    valid = national_id(number)
    return f"{valid[6:10]}-{valid[10:12]}-{valid[12:14]}" if valid else ""


def sex_of(number: str) -> str:
    """male or female out of a valid resident identity number (odd sequence: male), "" otherwise."""
    valid = national_id(number)
    if not valid:
        return ""
    return "male" if int(valid[16]) % 2 else "female"


def is_credit_code(text: str) -> bool:
    """A valid 统一社会信用代码 (GB 32100): 18 characters without I, O, S, V, Z, the last one the check."""
    if len(text) != 18 or any(character not in _CREDIT_ALPHABET for character in text):
        return False
    values = [_CREDIT_ALPHABET.index(character) for character in text]
    total = sum(value * weight for value, weight in zip(values[:17], _CREDIT_WEIGHTS, strict=True))
    return values[17] == (31 - total % 31) % 31


def _real_date(digits: str) -> bool:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).year >= _EARLIEST_YEAR
    except ValueError:
        return False


def phone(text: str) -> str:
    """Digits of a phone number without +86 and punctuation; "" when fewer than 7 are left or all are the same."""
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", text).split("转")[0])
    digits = re.sub(r"^(?:00)?86(?=1\d{10}$|0?[2-9]\d{9,10}$)", "", digits)
    return digits if 7 <= len(digits) <= 15 and len(set(digits)) > 1 else ""
