"""Devices and rooms that a code names (HL7 v2.5.1 §4.5.1.18 ORC-18, §10.6.5.3 AIG-3): CWE ↔ Device, Location."""

from __future__ import annotations

from typing import Any

from gateway.mapping.context import CODE, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into

DEVICE = "device"  # names of a sender's own lists, where it tells none
RESOURCE = "resource"


def _numbers(raw: str, kind: str, context: Context) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    """(codings, each as an identifier, words) of a CWE."""
    concept = cwe_into(raw, context) or {}
    codings = concept.get("coding", [])
    numbers = [
        {"system": each.get("system") or context.own_code_system(kind), "value": each["code"]} for each in codings
    ]
    return codings, numbers, concept.get("text", "")


def _concept(value: dict[str, Any], names: list[str], kind: str, context: Context) -> str:
    """The CWE again: the numbers are its codes, with their names."""
    own, codings = context.own_code_system(kind), []
    for index, each in enumerate(value.get("identifier", ())):
        named = {"display": names[index]} if index < len(names) else {}
        system = {} if each.get("system", "") in ("", own) else {"system": each["system"]}
        codings.append({"code": each.get("value", ""), **system, **named})
    return cwe_back({"coding": codings, "text": value.get("display") or (names[0] if names else "")}, context)


def device_into(raw: str, context: Context) -> dict[str, Any] | None:
    """CWE → Reference(Device); without a code it is a name."""
    codings, numbers, text = _numbers(raw, DEVICE, context)
    shown = {"display": text} if text else {}
    if not numbers:
        return shown or None
    names = [{"name": each["display"], "type": "user-friendly-name"} for each in codings if each.get("display")]
    resource = {"resourceType": "Device", "identifier": numbers, **({"deviceName": names} if names else {})}
    return {"reference": context.make(resource, once=True).full_url, **shown}


def device_back(value: dict[str, Any], context: Context) -> str:
    return _concept(value, [each["name"] for each in value.get("deviceName", ()) if each.get("name")], DEVICE, context)


def room_into(raw: str, context: Context) -> dict[str, Any] | None:
    """CWE → Reference(Location); without a code it is a name."""
    _, numbers, text = _numbers(raw, RESOURCE, context)
    shown = {"display": text} if text else {}
    if not numbers:
        return shown or None
    resource = {
        "resourceType": "Location",
        "identifier": numbers,
        "name": text or numbers[0]["value"],
        "mode": "instance",
    }
    return {"reference": context.make(resource, once=True).full_url, **shown}


def room_back(value: dict[str, Any], context: Context) -> str:
    """Nothing for a place that a PL names, which has a segment of its own."""
    numbers = value.get("identifier", ())
    if not numbers and "reference" not in value:
        return _concept(value, [], RESOURCE, context)
    if not any(str(each.get("system", "")).startswith(CODE) for each in numbers):
        return ""
    name = value.get("name", "")
    return _concept(value, [name] if name != numbers[0].get("value") else [], RESOURCE, context)


PAIRS = {
    "device": Pair(device_into, device_back, makes="Device", fits=("Reference",), coded=True),
    "room": Pair(room_into, room_back, makes="Location", fits=("Reference",), coded=True),
}
