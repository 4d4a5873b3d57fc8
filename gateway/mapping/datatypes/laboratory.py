"""What only results and specimens have: amounts, repeated answers, laboratories and the parts people play there."""

from __future__ import annotations

from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into
from gateway.mapping.datatypes.identifiers import ei_back, ei_into, joined
from gateway.mapping.datatypes.people import xad_back, xad_into
from gateway.mapping.datatypes.places import xon_back, xon_into
from gateway.mapping.datatypes.simple import number_back
from gateway.mapping.datatypes.staff import ndl_back, ndl_into
from gateway.mapping.datatypes.values import REPEATED, quantity, switch_back, switch_into, unit_back, unit_text

REPETITION = "urn:hutong:repetition"  # extension of a component: it is one of several answers to the same question
FUNCTION = "http://hl7.org/fhir/StructureDefinition/event-performerFunction"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


# --------------------------------------------------------------------------------------------------- amounts


def measured_into(raw: str, unit: str, context: Context) -> dict[str, Any] | None:
    """A number with its unit in another field: SAC-21 and SAC-24."""
    return quantity(context.text(raw), unit_text(unit, context))


def measured_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    return number_back(value["value"], context) if "value" in value else "", unit_back(value)


# ------------------------------------------------------------------------------------------ repeated answers


def repetition_into(raw: str, kind: str, units: str, code: str, whole: str, context: Context) -> dict[str, Any] | None:
    """One of several answers in OBX-5 → Observation.component with the question of the result itself. Lines of a text
    are one value."""
    if "~" not in whole or kind not in REPEATED:
        return None
    value = switch_into(raw, kind, units, context)
    concept = cwe_into(code.partition("~")[0], context)
    if value is None or concept is None:
        return None
    return {"extension": [{"url": REPETITION, "valueBoolean": True}], "code": concept, f"value{value[0]}": value[1]}


def repetition_back(value: dict[str, Any], context: Context) -> tuple[str, str, str]:
    """Component → (a repetition of OBX-5, OBX-2, OBX-6); nothing for a component with a question of its own."""
    if not any(each.get("url") == REPETITION for each in value.get("extension", ())):
        return "", "", ""
    name = next((name for name in value if name.startswith("value")), "")
    return switch_back((name[5:], value[name]), context) if name else ("", "", "")


# ------------------------------------------------------------------------------------------ who and where


def laboratory_into(raw: str, address: str, context: Context) -> dict[str, Any] | None:
    """OBX-23 with the address in OBX-24 → Reference(Organization); without a number of its own it is a name."""
    made = xon_into(raw, context)
    place = xad_into(address.partition("~")[0], context) if made and "reference" in made and address else None
    if made and place:
        place = {name: each for name, each in place.items() if (name, each) != ("use", "home")}  # R4 org-2
        resource = context.entries[made["reference"]].resource
        if place not in resource.setdefault("address", []):
            resource["address"].append(place)
    return made


def laboratory_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    address = next(iter(value.get("address", ())), None)
    return xon_back(value, context), xad_back(address, context) if address else ""


def producer_into(raw: str, context: Context) -> dict[str, Any] | None:
    """OBX-15, a coded laboratory → a logical Reference(Organization)."""
    concept = cwe_into(raw, context)
    if concept is None:
        return None
    coding: dict[str, Any] = next(iter(concept.get("coding", ())), {})
    made: dict[str, Any] = {}
    if coding:
        system = coding.get("system") or context.system("", kind="org")
        made["identifier"] = {"system": system, "value": coding["code"]}
    return {**made, **({"display": concept["text"]} if "text" in concept else {})}


def producer_back(value: dict[str, Any], context: Context) -> str:
    identifier = value.get("identifier", {})
    if not identifier:
        return joined("", value.get("display", ""))
    system = identifier.get("system", "")
    coding = {"code": identifier.get("value", ""), **({"system": system} if ":code:" in system else {})}
    return cwe_back({"coding": [coding], "text": value.get("display", "")}, context)


def function_into(raw: str, context: Context, code: str = "SPRF") -> dict[str, Any] | None:
    """NDL with the part that the person played (R4 extension event-performerFunction)."""
    made = ndl_into(raw, context)
    concept = {"coding": [{"system": PARTICIPATION, "code": code}]}
    return {**made, "extension": [{"url": FUNCTION, "valueCodeableConcept": concept}]} if made else None


def function_back(value: dict[str, Any], context: Context, code: str = "SPRF") -> str:
    parts = [each.get("valueCodeableConcept", {}) for each in value.get("extension", ()) if each["url"] == FUNCTION]
    played = any(coding.get("code") == code for part in parts for coding in part.get("coding", ()))
    return ndl_back(value, context) if played else ""


# ------------------------------------------------------------------------------------------ specimen numbers


def filler_into(raw: str, context: Context) -> dict[str, Any] | None:
    """The filler's number of an EIP; `TM01^HIS`, a plain EI, has none."""
    filler = raw.partition("^")[2]
    if not ("&" in filler or any(map(str.isdecimal, filler))):
        return None
    return ei_into(filler.replace("&", "^"), context)


def filler_back(value: dict[str, Any], context: Context) -> str:
    return f"^{ei_back(value, context).replace('^', '&')}"


def plain_number_into(raw: str, context: Context) -> str | None:
    """EI as one text: UDI and donation numbers (R4 Device.distinctIdentifier)."""
    return context.text(raw.partition("^")[0]).strip() or None


def plain_number_back(value: str, context: Context) -> str:
    return escape(value)


PAIRS = {
    "measured": Pair(measured_into, measured_back, fields=1, fits=("Quantity",)),
    "repetition": Pair(repetition_into, repetition_back, fields=4, fits=("BackboneElement",), repeated=True),
    "laboratory": Pair(laboratory_into, laboratory_back, fields=1, makes="Organization", fits=("Reference",)),
    "producer": Pair(producer_into, producer_back, fits=("Reference",)),
    "function": Pair(function_into, function_back, makes="Practitioner", fits=("Reference",)),
    "filler": Pair(filler_into, filler_back, fits=("Identifier",)),
    "plainEI": Pair(plain_number_into, plain_number_back, fits=("string",)),
}
