"""The people who work at an institution: XCN, CNN and NDL (v2.5.1 chapter 2A) ↔ Practitioner."""

from __future__ import annotations

from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.extensions import ASSEMBLY, ends, period, said
from gateway.mapping.datatypes.identifiers import (
    assigned,
    authority_of,
    checked,
    checked_back,
    joined,
    parts,
    subparts,
    type_code,
    type_of,
)
from gateway.mapping.datatypes.people import (
    NAME_CODES,
    family_back,
    family_told,
    further,
    human_name,
    name_parts,
    suffixes,
    with_family,
    xpn_into,
)

STAFF = "staff"


def _practitioner(
    number: str,
    name: dict[str, Any] | None,
    authority: tuple[str, str, str],
    context: Context,
    identified: dict[str, Any] | None = None,
    degree: str = "",
) -> dict[str, Any] | None:
    """A Reference: to a Practitioner resource where there is a staff number, else only the name."""
    display = {"display": name["text"]} if name else {}
    if not number:
        return display or None
    identifier = {**(identified or {}), **assigned(authority, context, STAFF), "value": number}
    resource: dict[str, Any] = {"resourceType": "Practitioner", "identifier": [identifier]}
    if name:
        resource["name"] = [name]
    if degree:
        resource["qualification"] = [{"code": {"text": degree}}]  # R4 has no HL7 0360
    return {"reference": context.make(resource, once=True).full_url, **display}


def xcn_into(raw: str, context: Context) -> dict[str, Any] | None:
    number, family, given, second, suffix, prefix, degree, _, authority = parts(raw, context, 9)
    if "&" in raw:
        family = family_told(raw, 1, context)[0]
    name = human_name(family, given, second, suffix, prefix) if family or given else None
    if name and "&" in raw:
        name = with_family(name, family_told(raw, 1, context))
    if raw.count("^") < 9:
        return _practitioner(number, name, subparts(authority), context, None, degree)
    use, digit, scheme, kind, _, _, _, span, order, start, end, professional = parts(raw, context, 21)[9:]
    if name:
        name = further(name, (professional,), order, period(span, start, end, context), use)
    identified = {**checked(digit, scheme), **({"type": type_of(kind)} if kind else {})}
    return _practitioner(number, name, subparts(authority), context, identified, degree)


def xcn_back(value: dict[str, Any], context: Context) -> str:
    """`value` is the Practitioner resource, or the Reference where there is none."""
    identifier, name, authority = _staff(value, context)
    _, given, second, _, prefix = name_parts(name)
    suffix, professional = suffixes(name, 2)
    use, order = NAME_CODES.get(name.get("use", ""), ""), said(name, ASSEMBLY)[0]
    kind = (*checked_back(identifier), type_code(identifier))
    later = (use, *kind, "", "", "", "", order, *ends(name, context), professional)
    number = escape(identifier.get("value", ""))
    person = (number, family_back(name), *map(escape, (given, second, suffix, prefix, _degree(value), "")))
    return "^".join((*person, "&".join(map(escape, authority)).rstrip("&"), *map(escape, later))).rstrip("^")


def name_of_staff_into(raw: str, context: Context) -> dict[str, Any] | None:
    """XCN → the name alone: the person is no staff."""
    return xpn_into("^".join(raw.split("^")[1:7]), context)


def name_of_staff_back(value: dict[str, Any], context: Context) -> str:
    return joined("-", *name_parts(value)).removeprefix("-")


def _degree(value: dict[str, Any]) -> str:
    """The first qualification: its text, or else its code."""
    for each in value.get("qualification", ()):
        code = each.get("code", {})
        coded = (coding["code"] for coding in code.get("coding", ()) if coding.get("code"))
        return str(code.get("text") or next(coded, ""))
    return ""


def _staff(value: dict[str, Any], context: Context) -> tuple[dict[str, Any], dict[str, Any], tuple[str, str, str]]:
    """(identifier, name, who gave the number; nobody where it is the receiver's own)."""
    shown = value.get("display", "")
    names = value.get("name") or [{"text": shown}]
    name = next((each for each in names if each.get("text") == shown), names[0])
    identifiers = value.get("identifier", ())
    own = [each for each in identifiers if each.get("system", "").endswith(f":{STAFF}")]
    identifier: dict[str, Any] = next(iter((*own, *identifiers)), {})
    authority = authority_of(identifier, context)
    return identifier, name, ("", "", "") if authority[0] == context.facility else authority


def ndl_into(raw: str, context: Context) -> dict[str, Any] | None:
    """NDL.1 is a CNN with `&`; many senders write it with `^` instead (`JY02^罗刚`): read both."""
    first, _, rest = raw.partition("^")
    if "&" not in first:
        return xcn_into(raw if not rest[:8].isdecimal() else first, context)
    pieces = parts(first.replace("&", "^"), context, 11)
    number, family, given, second, suffix, prefix, degree, _, *authority = pieces
    name = human_name(family, given, second, suffix, prefix) if family or given else None
    return _practitioner(number, name, (authority[0], authority[1], authority[2]), context, None, degree)


def ndl_back(value: dict[str, Any], context: Context) -> str:
    identifier, name, authority = _staff(value, context)
    written = joined(identifier.get("value", ""), *name_parts(name), _degree(value), "", *authority)
    return written.replace("^", "&")


PAIRS = {
    "XCNname": Pair(name_of_staff_into, name_of_staff_back, fits=("HumanName",)),
    "XCN": Pair(xcn_into, xcn_back, makes="Practitioner", fits=("Reference",), coded=True),
    "NDL": Pair(ndl_into, ndl_back, makes="Practitioner", fits=("Reference",), coded=True),
}
