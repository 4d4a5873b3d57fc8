"""By what somebody without a common number may be found again: a few short keys of a Patient, each rare.

A key never decides; whoever shares one is compared. They are kept in the index beside the identifiers, so that a
question costs a handful of look-ups among a million people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from gateway.codec.chinese_numbers import birth_date_of, phone
from gateway.codec.person_names import is_placeholder, name_form
from gateway.codec.pinyin import spelled, turned

PARAMETER: Final = "person-key"  # of Patient, in the table of tokens
MAXIMUM_KEYS: Final = 24  # of one Patient
_NO_DATES: Final = frozenset({"19000101", "00010101", "00000000", "19700101", "18991230", "99991231"})  # "not known"
_BETWEEN: Final = re.compile(r"[\s·'’\-]+")


def keys(patient: dict[str, Any]) -> tuple[str, ...]:
    """`p:` telephone, `n:` name and birth date, `s:` sound of the name and year of birth, `b:` birth date and the
    first letter of the name."""
    found = [f"p:{each}" for each in phones(patient)]
    born = birth_dates(patient)
    for name in names(patient):
        sounds = (*spelled(name).full[:3], *turned(name))
        plain = _BETWEEN.sub("", name_form(name))[:60]
        for day in born:
            found += [f"n:{plain}|{day}", *(f"b:{day}|{letter}" for letter in {each[:1] for each in sounds} or {""})]
            found += [f"s:{sound[:60]}|{day[:4]}" for sound in sounds]
        tokens = sorted(name_form(name).split())
        found += [f"s:{''.join(tokens)[:60]}|{day[:4]}" for day in born if len(tokens) > 1]
    return tuple(dict.fromkeys(found))[:MAXIMUM_KEYS]


def names(patient: dict[str, Any]) -> list[str]:
    """What somebody is called, each whole; without names that say nothing."""
    wholes = [
        str(each.get("text") or "".join(filter(None, (each.get("family", ""), *_parts(each.get("given"))))))
        for each in patient.get("name", ())
        if isinstance(each, dict)
    ]
    return [each for each in dict.fromkeys(wholes) if not is_placeholder(each)][:3]


def _parts(given: Any) -> Iterable[str]:
    return (str(each) for each in given if each) if isinstance(given, list) else ()


def phones(patient: dict[str, Any]) -> list[str]:
    """The telephone numbers as digits."""
    written = (str(each.get("value", "")) for each in patient.get("telecom", ()) if isinstance(each, dict))
    return list(dict.fromkeys(filter(None, map(phone, written))))[:4]


def birth_dates(patient: dict[str, Any]) -> list[str]:
    """The day of birth as eight digits: as stated, and as the number of an identity card tells it."""
    numbers = (birth_date_of(str(each.get("value", ""))) for each in patient.get("identifier", ()))
    stated = re.sub(r"\D", "", str(patient.get("birthDate", "")))
    days = [each.replace("-", "") for each in (stated, *numbers) if each]
    return [each for each in dict.fromkeys(days) if len(each) == 8 and each not in _NO_DATES][:2]
