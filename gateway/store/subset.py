"""Cuts resources down to what was asked for: `_summary` and `_elements` (R4 search.html#summary)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway.fhir import definitions, json, reference, summaries
from gateway.fhir.definitions import Element
from gateway.store.elements import element_of
from gateway.store.stored import Stored

PARTS = frozenset({"_summary", "_elements"})  # the parameters that ask for it
_TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})


def cut(version: Stored, *, summary: str = "", elements: tuple[str, ...] = ()) -> Stored:
    """The version with fewer elements and the tag SUBSETTED; mandatory elements stay."""
    if version.deleted or not (summary or elements):
        return version
    resource = version.resource
    kept = {name: value for name, value in resource.items() if _wanted(version.type, name, summary, elements)}
    if summary == "true":
        shortened = {name: _summarized(version.type, name, value) for name, value in kept.items()}
        kept = {name: value for name, value in shortened.items() if value not in ({}, [])}
    if "contained" in resource and any(str(each.get("reference", "")).startswith("#") for each in reference.find(kept)):
        kept["contained"] = resource["contained"]
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
    return element in summaries.elements(type)


def _summarized(type: str, name: str, value: Any, above: str = "") -> Any:
    """An inline structure without the parts of it that no summary holds; a data type is whole."""
    element = element_of(type, name) if not above else name
    path = f"{above}{element}"
    known = definitions.children(f"{type}.{path}") if name not in _ALWAYS and _is_inline(type, path) else None
    if not known:
        return value
    given = value if isinstance(value, list) else [value]
    parts = [_parts(type, each, path, known) if isinstance(each, dict) else each for each in given]
    left = [each for each in parts if each != {}]
    return left if isinstance(value, list) else (left[0] if left else {})


def _parts(type: str, value: Mapping[str, Any], path: str, known: Mapping[str, Element]) -> dict[str, Any]:
    held = summaries.elements(type)
    kept: dict[str, Any] = {}
    for name, content in value.items():
        defined = _defined(known, name)
        if name in _ALWAYS or (defined and (defined.min > 0 or f"{path}.{defined.name}" in held)):
            kept[name] = _summarized(type, name, content, f"{path}.")
    return {name: content for name, content in kept.items() if content not in ({}, [])}


def _defined(known: Mapping[str, Element], name: str) -> Element | None:
    """The definition of a JSON member: 'valueQuantity' and '_value' are of value[x]."""
    bare = name.removeprefix("_")
    found = known.get(bare)
    if found is not None:
        return found
    chosen = (each for each in known.values() if each.choice and bare.startswith(each.name.removesuffix("[x]")))
    return next(chosen, None)


def _is_inline(type: str, path: str) -> bool:
    parent, _, name = path.rpartition(".")
    defined = definitions.children(f"{type}.{parent}" if parent else type).get(name)
    return defined is not None and defined.inside == f"{type}.{path}"
