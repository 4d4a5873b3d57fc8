"""Names, addresses, phones: XPN XAD XTN (v2.5.1 chapter 2A).

A Chinese name is one text. It is split only where the sender split it, and never guessed apart (china.md: the whole
name stands in PID-5.1 as often as not), so `HumanName.text` always carries the name as a person writes it.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.codec.hl7v2_escape import escape, escape_each
from gateway.mapping import wording
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.extensions import (
    ADDRESS_USE,
    ASSEMBLY,
    CARE_OF,
    CENSUS_TRACT,
    FAMILY,
    PHONE_PARTS,
    ends,
    period,
    said,
    strings,
)
from gateway.mapping.datatypes.identifiers import (
    joined,
    parts,
)

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
NAME_USES = {  # HL7 0200
    "L": "official", "D": "usual", "M": "maiden", "N": "nickname", "S": "anonymous", "NOUSE": "old", "BAD": "old",
    "TEMP": "temp", "NAV": "temp", "R": "official", "MSK": "anonymous",
}  # fmt: skip
ADDRESS_USES = {  # HL7 0190
    "H": "home", "B": "work", "O": "work", "C": "temp", "L": "home", "P": "home", "BA": "old", "BI": "billing",
}  # fmt: skip
POSTAL = ("M", "SH")
VACATION = ("V", "HV")  # HL7 0190 and ISO 21090
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


def _backwards(table: dict[str, str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for code, value in table.items():
        made.setdefault(value, code)
    return made


NAME_CODES, _ADDRESS_CODES = _backwards(NAME_USES), _backwards(ADDRESS_USES)


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


def suffixes(name: dict[str, Any], count: int) -> list[str]:
    """The suffixes of a name in the components that hold them: what is more stands in the last."""
    found = [*name.get("suffix", ()), *("",) * count]
    return [*found[: count - 1], " ".join(filter(None, found[count - 1 :]))]


def further(
    name: dict[str, Any], suffix: tuple[str, ...], order: str, valid: dict[str, Any], use: str = ""
) -> dict[str, Any]:
    """The name with its later suffixes (degrees), its use, the order of its parts (HL7 0444) and when it holds."""
    made: dict[str, Any] = {"use": NAME_USES[use]} if use in NAME_USES else {}
    if order in ("F", "G"):
        made["extension"] = [{"url": ASSEMBLY, "valueCode": order}]
    made |= name
    if later := [each for each in suffix if each]:
        made["suffix"] = [*name.get("suffix", ()), *later]
    return made | valid


def family_told(raw: str, index: int, context: Context) -> tuple[str, ...]:
    """FN, a family name in subcomponents: whole, own prefix and own name, prefix and name of the partner."""
    family = raw.split("^")[index].split("&") if raw.count("^") >= index else []
    return tuple([*(context.text(each).strip() for each in family), *("",) * 5][:5])


def with_family(name: dict[str, Any], told: tuple[str, ...]) -> dict[str, Any]:
    """The name with the parts of its family name beside it."""
    kept = strings(FAMILY, told[1:]) if "family" in name else []
    return {**name, "_family": {"extension": kept}} if kept else name


def family_back(name: dict[str, Any]) -> str:
    """FN: the way back."""
    beside = name.get("_family")
    told = said(beside, *FAMILY) if beside else ()
    return "&".join(map(escape, (name_parts(name)[0], *told))).rstrip("&")


def xpn_into(raw: str, context: Context) -> dict[str, Any] | None:
    family, given, second, suffix, prefix, degree, use = parts(raw, context, 7)
    if "&" in raw:
        family = family_told(raw, 0, context)[0]
    if not (family or given or second):
        return None
    made = human_name(family, given, second, suffix, prefix)
    if use in NAME_USES:
        made = {"use": NAME_USES[use], **made}
    if degree or raw.count("^") > 6:
        _, _, span, order, start, end, professional = parts(raw, context, 14)[7:]
        made = further(made, (degree, professional), order, period(span, start, end, context))
    return with_family(made, family_told(raw, 0, context)) if "&" in raw else made


def xpn_back(value: dict[str, Any], context: Context) -> str:
    if value.keys() <= _PLAIN_NAME:  # nearly always
        family, given, second, *_ = name_parts(value)
        use = NAME_CODES.get(value.get("use", ""), "")
        return f"{escape(family)}^{escape(given)}^{escape(second)}^^^^{escape(use)}".rstrip("^")
    if CALLED in value.get("extension", ()):
        return ""  # it stands in the repetition of the name that it goes with
    _, given, second, _, prefix = name_parts(value)
    suffix, degree, professional = suffixes(value, 3)
    use, order, valid = NAME_CODES.get(value.get("use", ""), ""), said(value, ASSEMBLY)[0], ends(value, context)
    rest = (given, second, suffix, prefix, degree, use, "", "", "", order, *valid, professional)
    return "^".join((family_back(value), *escape_each(rest))).rstrip("^")


_PLAIN_NAME = frozenset({"use", "text", "family", "given"})
CALLED = {"url": wording.FIELD, "valueString": "XPN.15"}


def called_into(raw: str, context: Context) -> dict[str, Any] | None:
    """XPN.15, what somebody is called, is a name of its own (v2.7 §2.A.89)."""
    called = parts(raw, context, 15)[14] if raw.count("^") > 13 else ""
    return {"use": "nickname", "text": called, "given": [called], "extension": [CALLED]} if called else None


def called_back(value: dict[str, Any], context: Context) -> str:
    return ""


NAME = "urn:hutong:name"  # extension of a reference to somebody without a number: the parts of the name


def named_into(raw: str, context: Context) -> dict[str, Any] | None:
    """XPN → a Reference that only tells the name; its parts are kept where there are any."""
    name = xpn_into(raw, context)
    if name is None:
        return None
    parted = name.keys() - {"text"}
    return {**({"extension": [{"url": NAME, "valueHumanName": name}]} if parted else {}), "display": name["text"]}


def named_back(value: dict[str, Any], context: Context) -> str:
    given = (each.get("valueHumanName") for each in value.get("extension", ()) if each.get("url") == NAME)
    names = [each for each in (*given, *(value.get("name") or ())) if isinstance(each, dict)]
    return xpn_back(names[0] if names else {"text": value.get("display", "")}, context)


def full_name_into(raw: str, context: Context) -> str | None:
    """XPN → the name as one text."""
    name = xpn_into(raw, context)
    return name["text"] if name else None


def full_name_back(value: str, context: Context) -> str:
    return escape(value)


# -------------------------------------------------------------------------------------------- addresses


def xad_into(raw: str, context: Context) -> dict[str, Any] | None:
    street, other, city, state, postal, country, use, _, county, *rest = parts(raw, context, 19)
    street = " ".join(filter(None, map(str.strip, street.split("&")))) if "&" in raw else street
    if not any((street, other, city, state, postal, country, county)):
        return None
    chinese = _HAN.search(street + other + city + state + county)
    made: dict[str, Any] = (
        {"use": ADDRESS_USES[use]} if use in ADDRESS_USES else {"type": "postal"} if use in POSTAL else {}
    )
    tract, _, span, start, end, *_, care = rest
    made["text"] = (
        _in_one((state, city, county), f"{street}{other}")
        if chinese
        else ", ".join(filter(None, (street, other, city, state, postal, country)))
    )
    made["line"] = [line for line in (street, other, care) if line]
    made |= {"city": city, "district": county, "state": state, "postalCode": postal, "country": country}
    if use in VACATION or any(rest):
        vacation = [{"url": ADDRESS_USE, "valueCode": "HV"}] if use in VACATION else []
        made = {"extension": vacation + strings((CENSUS_TRACT, CARE_OF), (tract, care)), **made}
        made |= period(span, start, end, context)
    return {name: value for name, value in made.items() if value}


def _in_one(areas: tuple[str, ...], street: str) -> str:
    """An address in Chinese as one text, from the largest to the smallest. Many senders write all of it as the street,
    and the areas once more in their components; the code of an area is no word of it."""
    named = [each for each in dict.fromkeys(areas) if each and not each.isdecimal()]
    begins = (at for at in range(len(named)) if street.startswith("".join(named[at:])))
    before = 0 if named and street.startswith(named[0]) else next(begins, len(named))
    return "".join(named[:before]) + street


def xad_back(value: dict[str, Any], context: Context) -> str:
    lines = [*value.get("line", ()), ""]
    rest = [value.get(name, "") for name in ("city", "state", "postalCode", "country")]
    if not any((*lines, *rest)):
        lines = [value.get("text", ""), ""]
    use = "M" if value.get("type") == "postal" else _ADDRESS_CODES.get(value.get("use", ""), "")
    if "extension" not in value and "period" not in value:  # nearly always
        return joined(lines[0], " ".join(filter(None, lines[1:])), *rest, use, "", value.get("district", ""))
    vacation, tract, care = said(value, ADDRESS_USE, CENSUS_TRACT, CARE_OF)
    if care in lines:  # the last of them
        lines.reverse()
        lines.remove(care)
        lines = [*reversed(lines), ""]
    use = use or ("V" if vacation == "HV" else "")
    head = (lines[0], " ".join(filter(None, lines[1:])), *rest, use, "", value.get("district", ""), tract)
    return joined(*head, "", "", *ends(value, context), *("",) * 4, care)


def with_county_into(raw: str, county: str, context: Context) -> dict[str, Any] | None:
    """XAD; the county code of PID-12 where the address itself says none."""
    components = [*raw.split("^"), *[""] * 8]
    components[8] = components[8] or county.partition("^")[0]
    return xad_into("^".join(components), context) if xad_into(raw, context) else None


def with_county_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    """(XAD, the county again: for receivers of versions before 2.7, which withdrew PID-12, and where it came from
    there: the address as it was written had none)."""
    address, sent = xad_back(value, context), wording.sent(value).split("^")
    apart = sent != [""] and not [*sent, *[""] * 9][8]
    return address, [*address.split("^"), *[""] * 9][8] if apart or context.profile.version < "2.7" else ""


# ------------------------------------------------------------------------------------------------ phones


def xtn_into(raw: str, context: Context) -> dict[str, Any] | None:
    """XTN → ContactPoint. Where country or area stand apart, all the parts stand beside the number as well."""
    number, use, equipment, email, country, area, local, extension, *rest = parts(raw, context, 18)
    if number and "@" not in email and use != "NET":
        email = ""
    value = email or number or _dialled(country, area, local) or rest[3]
    if not value:
        return None
    made: dict[str, Any] = {"system": "email" if email or use == "NET" else EQUIPMENT.get(equipment.upper(), "phone")}
    made["value"] = f"{value} x{extension}" if extension and not email else value
    if country or area or extension:
        apart = local if country or area else ""
        made = {"extension": strings(PHONE_PARTS, (country, area, apart, extension)), **made}
    if found := "mobile" if equipment.upper() == "CP" else PHONE_USES.get(use, ""):
        made["use"] = found
    if any(rest):
        made |= _preference(rest[9]) | period("", rest[4], rest[5], context)
    return made


def _dialled(country: str, area: str, local: str) -> str:
    return "".join(filter(None, (f"+{country}-" if country else "", f"{area}-" if area else "", local)))


def _preference(text: str) -> dict[str, Any]:
    """ContactPoint.rank, a positiveInt."""
    rank = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    return {"rank": rank} if rank else {}


_PHONE_CODES = {"home": "PRN", "mobile": "PRN", "work": "WPN", "temp": "EMR"}
_EQUIPMENT_CODES = {"fax": "FX", "pager": "BP"}


def xtn_back(value: dict[str, Any], context: Context) -> str:
    number = value.get("value", "")
    if not number:
        return ""
    apart = said(value, *PHONE_PARTS)
    bare = "period" not in value and "rank" not in value  # nearly always
    later = () if bare else ("", "", "", *ends(value, context), "", "", "", str(value.get("rank", "")))
    if value.get("system") == "email":
        return joined("", "NET", "Internet", number, *apart, "", *later)
    use = _PHONE_CODES.get(value.get("use", ""), "")
    usual = "PH" if use else ""
    equipment = "CP" if value.get("use") == "mobile" else _EQUIPMENT_CODES.get(value.get("system", ""), usual)
    *dialled, extension = apart
    plain = number.removesuffix(f" x{extension}") if extension else number
    if not any(dialled) and plain.isdecimal():
        dialled[2] = plain
    whole = "" if plain == _dialled(*dialled) else plain
    return joined(whole, use, equipment, "", *dialled, extension, "", *later)


PREFERRED = "http://hl7.org/fhir/StructureDefinition/iso21090-preferred"
_PREFERRED = {  # HL7 0185: what the preferred way of contact looks like
    "B": ("system", "pager"), "C": ("use", "mobile"), "E": ("system", "email"), "F": ("system", "fax"),
    "H": ("use", "home"), "O": ("use", "work"),
}  # fmt: skip


def preferred_into(raw: str, way: str, context: Context) -> dict[str, Any] | None:
    """XTN; marked where it is the preferred way of contact that another field names (PRT-23)."""
    made = xtn_into(raw, context)
    name, value = _PREFERRED.get(way.partition("^")[0], ("", ""))
    if made is None or not name or made.get(name) != value:
        return made
    return {"extension": [*made.pop("extension", ()), {"url": PREFERRED, "valueBoolean": True}], **made}


def preferred_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    """(XTN, code of HL7 0185 where it is the preferred way of contact)."""
    marked = any(each.get("url") == PREFERRED and each.get("valueBoolean") for each in value.get("extension", ()))
    ways = (code for code, (name, means) in _PREFERRED.items() if marked and value.get(name) == means)
    return xtn_back(value, context), next(ways, "")


PAIRS = {
    "XPN": Pair(xpn_into, xpn_back, fits=("HumanName",), words=(7, 0, 1, 2)),
    "called": Pair(called_into, called_back, fits=("HumanName",)),
    "XAD": Pair(xad_into, xad_back, fits=("Address",), words=(9, 0, 1, 2, 3, 4)),
    "XADC": Pair(with_county_into, with_county_back, fields=1, fits=("Address",), words=(9, 0, 1, 2, 3, 4)),
    "preferred": Pair(preferred_into, preferred_back, fields=1, fits=("ContactPoint",)),
    "named": Pair(named_into, named_back, fits=("Reference",)),
    "fullname": Pair(full_name_into, full_name_back, fits=("string",)),
    "XTN": Pair(xtn_into, xtn_back, fits=("ContactPoint",), words=(8, 0, 6, 7)),
}
