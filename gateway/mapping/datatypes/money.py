"""Amounts: MO `100.50^CNY`, CP `100.50&CNY^UP` ↔ Money, the digits as written (v2.5.1 §2.A.42, §2.A.13)."""

from __future__ import annotations

import re
from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.identifiers import joined, parts
from gateway.mapping.datatypes.simple import number, number_back, one_code

KIND = "urn:hutong:price-type"  # extension of a Money: CP.2, HL7 0205 (UP: for one, TP: in total)
_CURRENCY = re.compile(r"[A-Z]{3}")  # ISO 4217
_SPELLED = {"RMB": "CNY", "￥": "CNY", "¥": "CNY", "元": "CNY", "人民币": "CNY"}


def mo_into(raw: str, context: Context) -> dict[str, Any] | None:
    """`quantity^denomination`. Without a denomination the currency stays unsaid."""
    amount, currency = parts(raw, context, 2)
    value = number(amount.replace(",", ""))
    if value is None:
        if amount and amount != '""':
            context.note("an amount that is no number was not carried")
        return None
    code = _SPELLED.get(currency, currency.upper())
    if code and not _CURRENCY.fullmatch(code):
        context.note("a currency that is no code of ISO 4217 was not carried")
        code = ""
    return {"value": value, "currency": code} if code else {"value": value}


def mo_back(value: dict[str, Any], context: Context) -> str:
    return joined(number_back(value["value"], context), value.get("currency", "")) if "value" in value else ""


def cp_into(raw: str, context: Context) -> dict[str, Any] | None:
    """`price&currency^kind of price`; an MO where a CP belongs (`100^CNY`) is read as what it is."""
    price, kind, *_ = [*raw.split("^"), ""]
    kind = one_code(context.text(kind).strip())
    if "&" not in price and _CURRENCY.fullmatch(kind.upper()):
        return mo_into(raw, context)
    made = mo_into(price.replace("&", "^"), context)
    if made is not None and kind:
        made["extension"] = [{"url": KIND, "valueCode": kind}]
    return made


def cp_back(value: dict[str, Any], context: Context) -> str:
    kind = next((each["valueCode"] for each in value.get("extension", ()) if each["url"] == KIND), "")
    price = mo_back(value, context).replace("^", "&")
    return f"{price}^{escape(kind)}" if kind and price else price


PAIRS = {
    "MO": Pair(mo_into, mo_back, fits=("Money",)),
    "CP": Pair(cp_into, cp_back, fits=("Money",)),
}
