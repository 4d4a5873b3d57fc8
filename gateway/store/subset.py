"""Cuts resources down to what was asked for: `_summary` and `_elements` (R4 search.html#summary)."""

from __future__ import annotations

from dataclasses import replace

from gateway.fhir import definitions, json
from gateway.store.stored import Stored
from gateway.store.update import element_of

_TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset({"resourceType", "id", "meta"})
# Elements that are left out of a summary: what makes resources large, none of what tells what they are.
_LONG = frozenset({"text", "contained", "presentedForm", "content", "photo", "extension", "data", "note", "component"})


def cut(version: Stored, *, summary: str = "", elements: tuple[str, ...] = ()) -> Stored:
    """The version with fewer elements and the tag SUBSETTED; mandatory elements stay."""
    if version.deleted or not (summary or elements):
        return version
    resource = version.resource
    kept = {name: value for name, value in resource.items() if _wanted(version.type, name, summary, elements)}
    meta = kept.get("meta", {})
    kept["meta"] = {**meta, "tag": [*meta.get("tag", ()), _TAG]}
    return replace(version, body=json.dumps(kept))


def _wanted(type: str, name: str, summary: str, elements: tuple[str, ...]) -> bool:
    if name in _ALWAYS:
        return True
    element = element_of(type, name)
    defined = definitions.children(type).get(element)
    if defined is not None and defined.min > 0:
        return True
    if elements:
        return element.removesuffix("[x]") in elements or name in elements
    match summary:
        case "text":
            return name == "text"
        case "data":
            return name != "text"
    return element not in _LONG
