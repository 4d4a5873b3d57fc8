"""Identifiers: CX (patient, visit numbers), EI (orders, specimens, studies), HD (HL7 v2.5.1 chapter 2A)."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Any

from gateway.codec.hl7v2_escape import escape, escape_each
from gateway.fhir import v2tables
from gateway.fhir.fragment import frozen
from gateway.fhir.shapes import valid_as
from gateway.mapping.context import CHINESE_ID, KEY, Context
from gateway.mapping.datatypes import SLOTS, Pair

TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
DICOM_UID = "urn:dicom:uid"
NATIONAL = {  # system → (type code, authority), and back: identifiers that mean the same person everywhere
    CHINESE_ID: ("NNCHN", "CHN"),
    "urn:oid:2.16.156.10011.1.2": ("HDN", "CHN"),  # 城乡居民健康档案编号
    "urn:oid:2.16.156.10011.1.19": ("JKK", "CHN"),  # 居民健康卡号
}
_NATIONAL_TYPES = {"NNCHN": CHINESE_ID}
_AUTHORITIES = next(SLOTS)  # of the memory
_KNOWN = 4096


def parts(raw: str, context: Context, count: int = 0) -> list[str]:
    """The components of one repetition, as a person reads them; exactly `count` where that is given."""
    found = raw.split("^")
    if " " in raw or not raw.isprintable():
        found = [part.strip() for part in found]
    if "\\" in raw:
        found = [context.text(part).strip() for part in found]
    return (found + [""] * (count - len(found)))[:count] if count else found


def joined(*values: str) -> str:
    """Components, escaped, trailing empty ones left out."""
    return "^".join(escape_each([value or "" for value in values])).rstrip("^")


def subparts(part: str) -> tuple[str, str, str]:
    """HD inside a component: (namespace, universal id, universal id type)."""
    namespace, universal, type_ = (*map(str.strip, part.split("&")), "", "", "")[:3]
    return namespace, universal, type_


def assigned(hd: tuple[str, str, str], context: Context, kind: str = "") -> dict[str, Any]:
    """Identifier.system of an assigning authority (HD); beside a universal id its short name stays, as assigner."""
    system = context.system(*hd, kind)
    short = hd[0] if hd[1] and not context.authority(system)[0] else ""
    return {"system": system, "assigner": {"display": short}} if short else {"system": system}


def authority_of(identifier: dict[str, Any], context: Context) -> tuple[str, str, str]:
    """The way back: (namespace, universal id, universal id type)."""
    namespace, universal, type_ = context.authority(identifier.get("system", ""))
    return namespace or identifier.get("assigner", {}).get("display", ""), universal, type_


def authority_text(identifier: dict[str, Any], context: Context) -> str:
    """The same as HD inside a component; that of a system alone is remembered."""
    if "assigner" in identifier:
        return "&".join(map(escape, authority_of(identifier, context))).rstrip("&")
    known, system = context.memory[_AUTHORITIES], identifier.get("system", "")
    found: str | None = known.get(system)
    if found is None:
        if len(known) >= _KNOWN:
            known.clear()
        found = known[system] = "&".join(map(escape, context.authority(system))).rstrip("&")
    return found


@lru_cache(maxsize=512)
def type_of(code: str) -> dict[str, Any]:
    """Identifier.type, a shared fragment; a sender's own type code stays a text."""
    made = {"coding": [{"system": TYPES, "code": code}]} if v2tables.known(TYPES, code) else {"text": code}
    return frozen(made, "CodeableConcept") if valid_as("CodeableConcept", made) else made


def type_code(identifier: dict[str, Any]) -> str:
    for coding in identifier.get("type", {}).get("coding", ()):
        if coding.get("system", TYPES) == TYPES and coding.get("code"):
            return str(coding["code"])
    return str(identifier.get("type", {}).get("text", ""))


CHECK_DIGIT = "http://hl7.org/fhir/StructureDefinition/identifier-checkDigit"
CHECK_SCHEME = "http://hl7.org/fhir/StructureDefinition/namingsystem-checkDigit"


def checked(digit: str, scheme: str) -> dict[str, Any]:
    """The check digit of a number and its scheme (CX.2, CX.3; XCN, XON): extensions of the Identifier."""
    given = ((CHECK_DIGIT, digit), (CHECK_SCHEME, scheme))
    made = [{"url": url, "valueString": text} for url, text in given if text]
    return {"extension": made} if made else {}


def checked_back(identifier: dict[str, Any]) -> tuple[str, str]:
    """(check digit, scheme)."""
    told = {each.get("url"): each.get("valueString", "") for each in identifier.get("extension", ())}
    return told.get(CHECK_DIGIT, ""), told.get(CHECK_SCHEME, "")


def cx_into(raw: str, context: Context, usual: str = "") -> dict[str, Any] | None:
    """CX → Identifier. CX.4 gives the system; the type (CX.5, else the usual one of the field) keeps kinds apart."""
    value, digit, scheme, authority, code, facility, start, end = parts(raw, context, 8)
    code = code or usual
    if not value or value == '""':
        return None
    hd = subparts(authority or facility)
    made: dict[str, Any] = {"type": type_of("NI" if code == "NNCHN" else code)} if code else {}
    made |= assigned(hd, context, code)
    if code in _NATIONAL_TYPES:
        made = {"type": made["type"], "system": _NATIONAL_TYPES[code]}
    made["value"] = value.upper() if made["system"] == CHINESE_ID else value
    period = {name: day for name, text in (("start", start), ("end", end)) if (day := _day(text))}
    if period:
        made["period"] = period
    return checked(digit, scheme) | made


def _day(text: str) -> str:
    """A real day, whatever time stands behind it."""
    made = f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    try:
        return date.fromisoformat(made).isoformat() if made.isascii() else ""
    except ValueError:
        return ""


def cx_back(value: dict[str, Any], context: Context, usual: str = "") -> str:
    system, number = value.get("system", ""), value.get("value", "")
    if system == KEY or not number:
        return ""
    if system in NATIONAL:
        code, authority = NATIONAL[system]
        return joined(number, "", "", authority, code)
    authority = authority_text(value, context)
    if "period" not in value and "extension" not in value:  # nearly always
        return f"{escape(number)}^^^{authority}^{escape(type_code(value))}".rstrip("^")
    period = value.get("period", {})
    days = [period.get(name, "").replace("-", "")[:8] for name in ("start", "end")]
    head = (escape(number), *map(escape, checked_back(value)))
    return "^".join((*head, authority, escape(type_code(value)), "", *days)).rstrip("^")


def dln_into(raw: str, context: Context) -> dict[str, Any] | None:
    """DLN, driver's license: number, who issues them, when it ends."""
    number, issuer, end = parts(raw, context, 3)
    if not number or number == '""':
        return None
    made = {"type": type_of("DL"), "system": context.system(issuer.partition("&")[0], kind="DL"), "value": number}
    return {**made, "period": {"end": day}} if (day := _day(end)) else made


def dln_back(value: dict[str, Any], context: Context) -> str:
    issuer = context.authority(value.get("system", ""))[0]
    issuer = "" if issuer == context.facility else issuer
    return joined(value.get("value", ""), issuer, value.get("period", {}).get("end", "").replace("-", "")[:8])


def pln_into(raw: str, context: Context) -> dict[str, Any] | None:
    """PLN, practitioner licence: number, its kind, the state that issued it, when it ends."""
    number, kind, state, end = parts(raw, context, 4)
    if not number or number == '""':
        return None
    kind = kind.partition("&")[0]
    made: dict[str, Any] = {"type": type_of(kind)} if kind else {}
    made |= {"system": context.system(state.partition("&")[0], kind=kind), "value": number}
    return {**made, "period": {"end": day}} if (day := _day(end)) else made


def pln_back(value: dict[str, Any], context: Context) -> str:
    if value.get("system") == KEY:
        return ""
    number, issuer, end = [*dln_back(value, context).split("^"), "", ""][:3]
    return "^".join((number, escape(type_code(value)), issuer, end)).rstrip("^")


def ei_into(raw: str, context: Context, kind: str = "") -> dict[str, Any] | None:
    """EI → Identifier. `id^namespace^universal id^type`; `kind` is its type where the place alone tells it."""
    value, namespace, universal, universal_type = parts(raw, context, 4)
    if not value or value == '""':
        return None
    type_ = {"type": type_of(kind)} if kind else {}
    return {**type_, **assigned((namespace, universal, universal_type), context), "value": value}


def ei_back(value: dict[str, Any], context: Context, kind: str = "") -> str:
    system, number = value.get("system", ""), value.get("value", "")
    if system == KEY or not number or (kind and type_code(value) != kind):
        return ""
    return "^".join(map(escape, (number, *authority_of(value, context)))).rstrip("^")


def eip_into(raw: str, context: Context, part: str = "") -> dict[str, Any] | None:
    """EIP: placer's number `&`-parted, filler's behind `^`: the placer's, else the filler's; with part `filler`
    that one. Many senders write a plain EI here: `TM01^HIS`."""
    placer, _, filler = raw.partition("^")
    named = "&" not in filler and not any(map(str.isdecimal, filler))  # the authority of a plain EI
    if part == "filler":
        return None if named else ei_into(filler.replace("&", "^"), context)
    plain = "&" not in placer and filler and named
    return ei_into(raw if plain else (placer or filler).replace("&", "^"), context)


def eip_back(value: dict[str, Any], context: Context, part: str = "") -> str:
    return ei_back(value, context).replace("^", "&")


def national_into(raw: str, context: Context) -> dict[str, Any] | None:
    """PID-19: the national number of whatever country; 18 places that pass as 居民身份证 are one."""
    value = parts(raw, context)[0].upper()
    if re.fullmatch(r"\d{17}[\dX]", value):
        return {"type": type_of("NI"), "system": CHINESE_ID, "value": value}
    return {"type": type_of("SS"), "system": context.system("SSA", kind="SS"), "value": value} if value else None


def uid_into(raw: str, context: Context) -> dict[str, Any] | None:
    """A DICOM UID → Identifier (R4 imagingstudy.html: system urn:dicom:uid, value urn:oid:…)."""
    value = parts(raw, context)[0]
    if not value.replace(".", "").isdecimal() or len(value) > 64:
        if value:
            context.unread.doubt("no DICOM UID; it was left out")
        return None
    return {"system": DICOM_UID, "value": f"urn:oid:{value}"}


def uid_back(value: dict[str, Any], context: Context) -> str:
    is_uid = value.get("system", DICOM_UID) == DICOM_UID  # an accession number stands beside it
    return str(value.get("value", "")).removeprefix("urn:oid:") if is_uid else ""


def organization_number_into(raw: str, context: Context) -> dict[str, Any] | None:
    """HD or a bare code that names an institution → Organization.identifier."""
    value = parts(raw, context)[0] or context.facility
    return {"system": context.organization_system(value), "value": value} if value else None


def organization_number_back(value: dict[str, Any], context: Context) -> str:
    return escape(value.get("value", ""))


PAIRS = {
    "CX": Pair(cx_into, cx_back, fits=("Identifier",), words=(6, 0)),
    "PLN": Pair(pln_into, pln_back, fits=("Identifier",)),
    "DLN": Pair(dln_into, dln_back, fits=("Identifier",)),
    "EI": Pair(ei_into, ei_back, fits=("Identifier",), words=(4, 0)),
    "EIP": Pair(eip_into, eip_back, fits=("Identifier",)),
    "national": Pair(national_into, cx_back, fits=("Identifier",)),
    "uid": Pair(uid_into, uid_back, fits=("Identifier",)),
    "organization": Pair(organization_number_into, organization_number_back, fits=("Identifier",), coded=True),
}
