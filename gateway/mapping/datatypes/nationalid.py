"""居民身份证 (GB 11643-1999): what a number says of its holder, when its check digit holds."""

from __future__ import annotations

from datetime import date

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def valid(number: str) -> bool:
    number = number.strip().upper()
    if len(number) != 18 or not number[:17].isdecimal():
        return False
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False)) % 11] == number[17]


def birth_date(number: str) -> str | None:
    """The birth date as a FHIR date, or None when the number is not valid or names no real day."""
    if not valid(number):
        return None
    digits = number.strip()
    try:
        return date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14])).isoformat()
    except ValueError:
        return None
