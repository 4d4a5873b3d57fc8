"""People, places and makers told in several fields or in a code: who with his address, where with its phone, of whose
making (HL7 v2.5.1 §4.5.1 ORC-21 to 24, §4.14.7 RXA-11, RXA-17)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from gateway.mapping.context import CHINESE_ORGANIZATION, CREDIT_CODE, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into
from gateway.mapping.datatypes.identifiers import cx_back, cx_into, joined, parts, subparts
from gateway.mapping.datatypes.people import xad_back, xad_into, xtn_back, xtn_into
from gateway.mapping.datatypes.places import PLACE, pl_back, pl_into, xon_back, xon_into
from gateway.mapping.datatypes.staff import xcn_back, xcn_into
from gateway.mapping.wording import FIELD


def _tell(found: dict[str, Any], context: Context, more: dict[str, Any]) -> None:
    """More about a resource that was just made, in words of its own: what was made may be remembered as it is."""
    resource = context.entries[found["reference"]].resource
    identifier = dict(resource["identifier"][0])
    context.make({"resourceType": resource["resourceType"], "identifier": [identifier], **more}, once=True)


def placed_into(raw: str, address: str, context: Context) -> dict[str, Any] | None:
    """PL or LA2 in one field, its address (XAD) in another → Reference(Location). A place may be known by its
    institution alone, as vaccinations tell it (`^^^门诊部`)."""
    found = pl_into(raw, context)
    if found is None:
        name = subparts(parts(raw, context, 4)[3])[0]
        if not name:
            return None
        identifier = {"system": context.system(context.facility, kind=PLACE), "value": f"///{quote(name, safe='')}"}
        resource = {"resourceType": "Location", "identifier": [identifier], "name": name}
        found = {"reference": context.make(resource, once=True).full_url, "display": name}
    where = xad_into(address.partition("~")[0], context) if address and address != '""' else None
    if where:
        _tell(found, context, {"address": where})
    return found


def placed_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    place = pl_back(value, context)
    for identifier in value.get("identifier", ()):
        if str(identifier.get("value", "")).startswith("///"):
            place = joined("", "", "", unquote(identifier["value"][3:]))
    return place, xad_back(value["address"], context) if "address" in value else ""


def addressed_into(raw: str, address: str, context: Context) -> dict[str, Any] | None:
    """XCN in one field, where he is found (XAD) in another → Reference(Practitioner)."""
    found = xcn_into(raw, context)
    where = xad_into(address.partition("~")[0], context) if found and address and address != '""' else None
    if found and where and "reference" in found:
        _tell(found, context, {"address": [where]})
    return found


def addressed_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    return xcn_back(value, context), next((xad_back(each, context) for each in value.get("address", ())), "")


def site_into(raw: str, address: str, phone: str, context: Context) -> dict[str, Any] | None:
    """XON that means a place, its address (XAD) and phone (XTN) in other fields → Reference(Location)."""
    made = xon_into(raw, context)
    name = (made or {}).get("display")
    if made is None or not name:
        return made
    organization = context.entries[made["reference"]].resource if "reference" in made else {}
    number = next(iter(organization.get("identifier", ())), None) or {
        "system": context.system(context.facility, kind=PLACE), "value": f"///{quote(name, safe='')}"
    }  # fmt: skip
    resource: dict[str, Any] = {"resourceType": "Location", "identifier": [dict(number)], "name": name}
    where = xad_into(address.partition("~")[0], context) if address and address != '""' else None
    call = xtn_into(phone.partition("~")[0], context) if phone and phone != '""' else None
    resource |= {"address": where} if where else {}
    resource |= {"telecom": [call]} if call else {}
    return {"reference": context.make(resource, once=True).full_url, "display": name}


def site_back(value: dict[str, Any], context: Context) -> tuple[str, str, str]:
    numbered = [each for each in value.get("identifier", ()) if not str(each.get("value", "")).startswith("///")]
    where = xad_back(value["address"], context) if "address" in value else ""
    call = next((xtn_back(each, context) for each in value.get("telecom", ())), "")
    return xon_back({**value, "identifier": numbered}, context), where, call


def _ways(address: str, phone: str, context: Context, barred: str = "") -> dict[str, Any]:
    """Where somebody is found (XAD*) and reached (XTN*). `barred`: a use that R4 does not let the resource have."""
    found = [xad_into(each, context) for each in address.split("~")] if address not in ("", '""') else []
    called = [xtn_into(each, context) for each in phone.split("~")] if phone not in ("", '""') else []
    made = {"address": [each for each in found if each], "telecom": [each for each in called if each]}
    for each in (*made["address"], *made["telecom"]) if barred else ():
        if each.get("use") == barred:
            del each["use"]
    return {name: each for name, each in made.items() if each}


def _ways_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    found = [xad_back(each, context) for each in value.get("address", ())]
    called = [xtn_back(each, context) for each in value.get("telecom", ())]
    return "~".join(filter(None, found)), "~".join(filter(None, called))


def establishment_into(raw: str, kind: str, address: str, phone: str, context: Context) -> dict[str, Any] | None:
    """XON in one field; what kind of institution it is (CWE), where it is found and reached → Reference(Organization).
    Its address and phones are nobody's home (R4 org-2, org-3)."""
    found = xon_into(raw, context)
    if found and "reference" in found:
        concept = cwe_into(kind.partition("~")[0], context) if kind else None
        more = ({"type": [concept]} if concept else {}) | _ways(address, phone, context, barred="home")
        if more:
            _tell(found, context, more)
    return found


def establishment_back(value: dict[str, Any], context: Context) -> tuple[str, str, str, str]:
    kinds = value.get("type", ()) if isinstance(value.get("type"), list) else ()  # a Reference names a type of resource
    kind = next((cwe_back(each, context) for each in kinds), "")
    return xon_back(value, context), kind, *_ways_back(value, context)


def kind_into(raw: str, kind: str, context: Context) -> dict[str, Any] | None:
    """XON and what kind of institution it is (CWE) → Reference(Organization)."""
    return establishment_into(raw, kind, "", "", context)


def kind_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    name, kind, _, _ = establishment_back(value, context)
    return name, kind


def located_into(raw: str, address: str, phone: str, context: Context) -> dict[str, Any] | None:
    """XON and where the institution is found and reached → Reference(Organization)."""
    return establishment_into(raw, "", address, phone, context)


def located_back(value: dict[str, Any], context: Context) -> tuple[str, str, str]:
    name, _, *ways = establishment_back(value, context)
    return name, ways[0], ways[1]


EMPLOYER = {"url": FIELD, "valueString": "IN1-10"}  # on the number that an employer has of its own
SOCIAL_SECURITY = "SN"  # HL7 0203, as IN1-10 writes it: a number of the insured


def employer_into(raw: str, number: str, context: Context) -> dict[str, Any] | None:
    """XON in one field, a number of the employer (CX) in another → Reference(Organization)."""
    told = number.partition("~")[0]
    identifier = cx_into(told, context) if told and parts(told, context, 5)[4] != SOCIAL_SECURITY else None
    found = xon_into(raw, context)
    if identifier is None or found is None:
        return found
    marked = {**identifier, "extension": [*identifier.get("extension", ()), EMPLOYER]}
    resource = context.entries[found["reference"]].resource if "reference" in found else {}
    made: dict[str, Any] = {"resourceType": "Organization"}
    made["identifier"] = [*map(dict, resource.get("identifier", ())), marked]
    if name := found.get("display"):
        made["name"] = name
    return {"reference": context.make(made, once=True).full_url, **({"display": name} if name else {})}


def _number_alone(value: dict[str, Any]) -> bool:
    """Is it no more than the number of somebody who is nowhere told of? A field of its own writes that."""
    return "identifier" in value and value.keys().isdisjoint(("reference", "name", "display", "resourceType"))


def insurer_back(value: dict[str, Any], context: Context) -> str:
    return "" if _number_alone(value) else xon_back(value, context)


def employer_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    if _number_alone(value):
        return "", ""
    numbers = value.get("identifier", ())
    own = [each for each in numbers if EMPLOYER in each.get("extension", ())]
    others = [each for each in numbers if each not in own]
    number = {**own[0], "extension": [each for each in own[0]["extension"] if each != EMPLOYER]} if own else {}
    return xon_back({**value, "identifier": others}, context), cx_back(number, context) if own else ""


def maker_into(raw: str, context: Context) -> dict[str, Any] | None:
    """CWE that names an organisation (a manufacturer, a department) → Reference(Organization)."""
    code, name, system = parts(raw, context, 3)
    if not name and raw.count("^") > 7:
        name = parts(raw, context, 9)[8]
    display = {"display": name or code} if name or code else {}
    if not code:
        return display or None
    uri = context.code_system(system) if system else context.own_code_system("organization")
    uri = CHINESE_ORGANIZATION if CREDIT_CODE.fullmatch(code) else uri
    resource: dict[str, Any] = {"resourceType": "Organization", "identifier": [{"system": uri, "value": code}]}
    if name:
        resource["name"] = name
    return {"reference": context.make(resource, once=True).full_url, **display}


def maker_back(value: dict[str, Any], context: Context) -> str:
    identifier: dict[str, Any] = next(iter(value.get("identifier", ())), {})
    system = identifier.get("system", "")
    own = system in (context.own_code_system("organization"), CHINESE_ORGANIZATION)
    named = "" if own else context.code_system_name(system)
    return joined(identifier.get("value", ""), value.get("name") or value.get("display", ""), named)


PAIRS = {
    "placed": Pair(placed_into, placed_back, fields=1, makes="Location", fits=("Reference",)),
    "addressed": Pair(addressed_into, addressed_back, fields=1, makes="Practitioner", fits=("Reference",), alone="XCN"),
    "site": Pair(site_into, site_back, fields=2, makes="Location", fits=("Reference",)),
    "establishment": Pair(establishment_into, establishment_back, fields=3, makes="Organization", fits=("Reference",)),
    "organizationkind": Pair(kind_into, kind_back, fields=1, makes="Organization", fits=("Reference",)),
    "organizationsite": Pair(located_into, located_back, fields=2, makes="Organization", fits=("Reference",)),
    "employer": Pair(employer_into, employer_back, fields=1, makes="Organization", fits=("Reference",)),
    "insurer": Pair(xon_into, insurer_back, makes="Organization", fits=("Reference",), coded=True),
    "maker": Pair(maker_into, maker_back, makes="Organization", fits=("Reference",)),
}
