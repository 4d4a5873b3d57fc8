"""The documents by which a person is known, as exports write them: a number, and what kind of document it is; and the
phone under which the person is found."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

from gateway.codec.chinese_numbers import national_id, phone
from gateway.mapping.context import CHINESE_ID, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.clocks import no_number
from gateway.mapping.datatypes.identifiers import type_of
from gateway.mapping.datatypes.simple import clean

_IDENTITY_CARD = "01"
_OTHER = "99"
_KINDS = {  # CV02.01.101 证件类型: type of HL7 table 0203 ("" where it has none), name
    _IDENTITY_CARD: ("NI", "居民身份证"),
    "02": ("", "居民户口簿"),
    "03": ("PPN", "护照"),
    "04": ("MI", "军官证"),
    "05": ("DL", "驾驶证"),
    "06": ("", "港澳居民来往内地通行证"),
    "07": ("", "台湾居民来往大陆通行证"),
}
_NAMES = {"身份证": _IDENTITY_CARD, "户口簿": "02", "港澳通行证": "06", "台湾通行证": "07"} | {
    name: code for code, (_, name) in _KINDS.items()
}
_PERSONAL = frozenset({"03", "04", "05", "06", "07"})  # the number of a 户口簿 may be a card's
_DIGITS = 18
_FORMS = {"06": re.compile(r"[HM]\d{8}(\d{2})?"), "03": re.compile(r"[A-Z]{1,2}\d{7,8}")}
_SYSTEM = "urn:hutong:paper:"  # urn:hutong:paper:03: the numbers of passports, which mean the same at every member
_ROUNDED = re.compile(r"\d(?:\.\d+)?E\+?\d{2}|[1-9]\d{14}000(?:\.0+)?")
_LIKELY = re.compile(r"(?=(?:.*\d){4})[^*?,;，；、\s\u2e80-\u9fff]+")  # four digits at least, none masked
_MOBILE = re.compile(r"1\d{10}", re.ASCII)
_LONGEST = 100  # characters of a number
_UNVERIFIED = "证件号码（未核实）"


def paper_into(raw: str, kind: str, context: Context) -> dict[str, Any] | None:
    """The number of a document with the cell of its kind. Only what passes GB 11643 is a 居民身份证, whatever the
    column is called; a number of which nothing says what it is belongs to the member that wrote it."""
    value, kind = narrow(raw).upper(), narrow(kind)
    if not value or no_number(value):
        return None
    if rounded(value):
        context.unread.doubt("a spreadsheet has rounded the number; it was left out")
        return None
    kind = _NAMES.get(kind, kind.zfill(2) if kind else _IDENTITY_CARD)
    if kind == _IDENTITY_CARD and (national := national_id(value.removesuffix(".0"))):  # as programs write numbers
        return {"type": type_of("NI"), "system": CHINESE_ID, "value": national}
    if kind != _IDENTITY_CARD and kind in _PERSONAL and len(value) == _DIGITS and national_id(value):
        context.unread.doubt("it is an identity card number by its form and no number of the document that is named")
    elif kind != _IDENTITY_CARD and kind in _KINDS:
        code, name = _KINDS[kind]
        return {"type": type_of(code) if code else {"text": name}, "system": f"{_SYSTEM}{kind}", "value": value}
    if not _LIKELY.fullmatch(value) or len(set(value)) == 1:
        context.unread.doubt("no number of a document; it was left out")
        return None
    if kind == _IDENTITY_CARD:
        context.unread.doubt("no valid identity card number (GB 11643); it was kept as one that nobody has verified")
    return {"type": {"text": _UNVERIFIED}, "system": _own(context), "value": value}


def narrow(raw: str) -> str:
    """A number in half-width characters, without what spreadsheets put before it."""
    return _narrowed(raw) if len(raw) <= _LONGEST else (clean(raw) or "")


@lru_cache(maxsize=8192)
def _narrowed(raw: str) -> str:
    return unicodedata.normalize("NFKC", clean(raw) or "").strip().strip("'`\"").strip()


def whole(number: str) -> str:
    """A number of somebody or something without the point of a decimal: 300001.0 is what programs make of 300001 in a
    column that is empty in some row."""
    return number[:-2] if number[-2:] == ".0" and number[:-2].isdecimal() else number


def rounded(value: str) -> bool:
    """Has a spreadsheet taken the number for one of 15 digits: 5.29901E+17, 529901195804120000? An identity card that
    ends so by right is one in a thousand, and is not told apart."""
    return _ROUNDED.fullmatch(value) is not None


def paper_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    system, number = str(value.get("system", "")), str(value.get("value", ""))
    if system == CHINESE_ID:
        return number, _IDENTITY_CARD
    if system.startswith(_SYSTEM):
        return number, system[len(_SYSTEM) :]
    return (number, _OTHER) if system == _own(context) else ("", "")


def card_into(raw: str, context: Context) -> dict[str, Any] | None:
    """The number alone: a 居民身份证 where it passes as one, else what its form says: a permit for Hong Kong and Macao
    residents begins with H or M, a passport with letters."""
    text = narrow(raw).upper()
    kind = next((kind for kind, form in _FORMS.items() if form.fullmatch(text)), "")
    return paper_into(raw, kind, context)


def card_back(value: dict[str, Any], context: Context) -> str:
    return paper_back(value, context)[0]


def _own(context: Context) -> str:
    return context.system(context.facility, kind="paper")


def phone_into(raw: str, context: Context) -> str | None:
    """A mobile number in its digits, however it is written; any other text as it stands. 无, - and 0000 are none."""
    if rounded(raw.strip().upper()):
        context.unread.doubt("a spreadsheet has rounded the number; it was left out")
        return None
    text = (clean(unicodedata.normalize("NFKC", raw)) or "").removesuffix(".0")  # as programs write numbers
    if no_number(text):
        return None
    digits = phone(text)
    return digits if _MOBILE.fullmatch(digits) and not re.search(r"[/、,;]", text) else text


def phone_back(value: str, context: Context) -> str:
    return str(value)


PAIRS = {
    "phone": Pair(phone_into, phone_back, fits=("string",)),
    "paper": Pair(paper_into, paper_back, fields=1, fits=("Identifier",)),
    "card": Pair(card_into, card_back, fits=("Identifier",)),
}
