"""Names, addresses, phones, practitioners: XPN XAD XTN XCN CNN/NDL (v2.5.1 chapter 2A).

A Chinese name is one text. It is split only where the sender split it, and never guessed apart (china.md: the whole
name stands in PID-5.1 as often as not), so `HumanName.text` always carries the name as a person writes it.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.identifiers import assigned, authority_of, joined, parts, subparts

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
NAME_USES = {"L": "official", "D": "usual", "M": "maiden", "N": "nickname", "S": "anonymous"}
ADDRESS_USES = {  # HL7 0190
    "H": "home", "B": "work", "O": "work", "C": "temp", "L": "home", "P": "home", "BA": "old", "BI": "billing",
}  # fmt: skip
EQUIPMENT = {
    "PH": "phone",
    "CP": "phone",
    "FX": "fax",
    "BP": "pager",
    "INTERNET": "email",
    "X.400": "email",
    "SAT": "phone",
}
PHONE_USES = {"PRN": "home", "ORN": "home", "VHN": "home", "WPN": "work", "PRS": "mobile", "EMR": "temp"}
STAFF = "staff"


def _backwards(table: dict[str, str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for code, value in table.items():
        made.setdefault(value, code)
    return made


_NAME_CODES, _ADDRESS_CODES = _backwards(NAME_USES), _backwards(ADDRESS_USES)


# ------------------------------------------------------------------------------------------------- names


def human_name(family: str, given: str, second: str = "", suffix: str = "", prefix: str = "") -> dict[str, Any]:
    """HumanName without use. A single text in the family's place is the whole name."""
    if not given and not second and not prefix and not suffix:
        return {"text": family} if _HAN.search(family) or " " in family else {"text": family, "family": family}
    words = [word for word in (prefix, given, second, family, suffix) if word]
    chinese = _HAN.search(family + given + second)
    name: dict[str, Any] = {"text": f"{family}{given}{second}" if chinese else " ".join(words)}
    if family:
        name["family"] = family
    if given or second:
        name["given"] = [word for word in (given, second) if word]
    if prefix:
        name["prefix"] = [prefix]
    if suffix:
        name["suffix"] = [suffix]
    return name


def name_parts(name: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """(family, given, second, suffix, prefix) for XPN and XCN; a name that is only a text stands as the family."""
    given = [*name.get("given", ()), "", ""]
    if "family" not in name and not given[0]:
        return (name.get("text", ""), "", "", "", "")
    return (
        name.get("family", ""),
        given[0],
        " ".join(filter(None, given[1:])),
        " ".join(name.get("suffix", ())),
        " ".join(name.get("prefix", ())),
    )


def xpn_into(raw: str, context: Context) -> dict[str, Any] | None:
    family, given, second, suffix, prefix, _, use = parts(raw, context, 7)
    family = family.partition("&")[0].strip() if "&" in raw else family
    if not (family or given or second):
        return None
    made = human_name(family, given, second, suffix, prefix)
    return {"use": NAME_USES[use], **made} if use in NAME_USES else made


def xpn_back(value: dict[str, Any], context: Context) -> str:
    return joined(*name_parts(value), "", _NAME_CODES.get(value.get("use", ""), ""))


# -------------------------------------------------------------------------------------------- addresses


def xad_into(raw: str, context: Context) -> dict[str, Any] | None:
    street, other, city, state, postal, country, use, _, county = parts(raw, context, 9)
    street = " ".join(filter(None, map(str.strip, street.split("&")))) if "&" in raw else street
    if not any((street, other, city, state, postal, country, county)):
        return None
    chinese = _HAN.search(street + other + city + state + county)
    made: dict[str, Any] = (
        {"use": ADDRESS_USES[use]} if use in ADDRESS_USES else {"type": "postal"} if use == "M" else {}
    )
    made["text"] = (
        f"{state}{city}{county}{street}{other}"
        if chinese
        else ", ".join(filter(None, (street, other, city, state, postal, country)))
    )
    made["line"] = [line for line in (street, other) if line]
    made |= {"city": city, "district": county, "state": state, "postalCode": postal, "country": country}
    return {name: value for name, value in made.items() if value}


def xad_back(value: dict[str, Any], context: Context) -> str:
    lines = [*value.get("line", ()), ""]
    rest = [value.get(name, "") for name in ("city", "state", "postalCode", "country")]
    if not any((*lines, *rest)):
        lines = [value.get("text", ""), ""]
    use = "M" if value.get("type") == "postal" else _ADDRESS_CODES.get(value.get("use", ""), "")
    return joined(lines[0], " ".join(filter(None, lines[1:])), *rest, use, "", value.get("district", ""))


# ------------------------------------------------------------------------------------------------ phones


def xtn_into(raw: str, context: Context) -> dict[str, Any] | None:
    number, use, equipment, email, country, area, local, extension, *rest = parts(raw, context, 12)
    if number and "@" not in email and use != "NET":
        email = ""
    value = (
        email
        or number
        or "".join(filter(None, (f"+{country}-" if country else "", f"{area}-" if area else "", local)))
        or rest[3]
    )
    if not value:
        return None
    made = {"system": "email" if email or use == "NET" else EQUIPMENT.get(equipment.upper(), "phone")}
    made["value"] = f"{value} x{extension}" if extension and not email else value
    found = "mobile" if equipment.upper() == "CP" else PHONE_USES.get(use, "")
    return {**made, "use": found} if found else made


def xtn_back(value: dict[str, Any], context: Context) -> str:
    number = value.get("value", "")
    if not number:
        return ""
    if value.get("system") == "email":
        return joined("", "NET", "Internet", number)
    use = {"home": "PRN", "mobile": "PRN", "work": "WPN"}.get(value.get("use", ""), "")
    equipment = (
        "CP"
        if value.get("use") == "mobile"
        else {"fax": "FX", "pager": "BP"}.get(value.get("system", ""), "PH" if use else "")
    )
    return joined("", use, equipment, "", "", "", number) if number.isdecimal() else joined(number, use, equipment)


# ----------------------------------------------------------------------------------------- practitioners


def _practitioner(
    number: str, name: dict[str, Any] | None, authority: tuple[str, str, str], context: Context
) -> dict[str, Any] | None:
    """A Reference: to a Practitioner resource where there is a staff number, else only the name."""
    display = {"display": name["text"]} if name else {}
    if not number:
        return display or None
    identifier = {**assigned(authority, context, STAFF), "value": number}
    resource: dict[str, Any] = {"resourceType": "Practitioner", "identifier": [identifier]}
    if name:
        resource["name"] = [name]
    return {"reference": context.make(resource, once=True).full_url, **display}


def xcn_into(raw: str, context: Context) -> dict[str, Any] | None:
    number, family, given, second, suffix, prefix, _, _, authority = parts(raw, context, 9)
    name = human_name(family, given, second, suffix, prefix) if family or given else None
    return _practitioner(number, name, subparts(authority), context)


def xcn_back(value: dict[str, Any], context: Context) -> str:
    """`value` is the Practitioner resource, or the Reference where there is none."""
    number, name, authority = _staff(value, context)
    person = joined(number, *name, "", "", "-").removesuffix("-")  # up to the authority, whose parts are subcomponents
    return f"{person}{'&'.join(map(escape, authority))}".rstrip("^&")


def _staff(value: dict[str, Any], context: Context) -> tuple[str, tuple[str, ...], tuple[str, str, str]]:
    """(number, parts of the name, who gave the number; nobody where it is the receiver's own)."""
    name = name_parts(value["name"][0]) if value.get("name") else (value.get("display", ""), "", "", "", "")
    identifiers = value.get("identifier", ())
    own = [each for each in identifiers if each.get("system", "").endswith(f":{STAFF}")]
    identifier: dict[str, Any] = next(iter((*own, *identifiers)), {})
    authority = authority_of(identifier, context)
    return identifier.get("value", ""), name, ("", "", "") if authority[0] == context.facility else authority


def ndl_into(raw: str, context: Context) -> dict[str, Any] | None:
    """NDL.1 is a CNN with `&`; many senders write it with `^` instead (`JY02^罗刚`): read both."""
    first, _, rest = raw.partition("^")
    if "&" not in first:
        return xcn_into(raw if not rest[:8].isdecimal() else first, context)
    number, family, given, second, suffix, prefix, _, _, *authority = parts(first.replace("&", "^"), context, 11)
    name = human_name(family, given, second, suffix, prefix) if family or given else None
    return _practitioner(number, name, (authority[0], authority[1], authority[2]), context)


def ndl_back(value: dict[str, Any], context: Context) -> str:
    number, name, authority = _staff(value, context)
    return joined(number, *name, "", "", *authority).replace("^", "&")


PAIRS = {
    "XPN": Pair(xpn_into, xpn_back, fits=("HumanName",)),
    "XAD": Pair(xad_into, xad_back, fits=("Address",)),
    "XTN": Pair(xtn_into, xtn_back, fits=("ContactPoint",)),
    "XCN": Pair(xcn_into, xcn_back, makes="Practitioner", fits=("Reference",), coded=True),
    "NDL": Pair(ndl_into, ndl_back, makes="Practitioner", fits=("Reference",), coded=True),
}
