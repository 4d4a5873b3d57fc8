"""R4 types as JSON Schema, from the definitions, for descriptions of interfaces (OpenAPI 3.1 is JSON Schema 2020-12).

What the schema cannot say (invariants, which forms of a choice exclude each other, where a reference may point) is left
to `$validate`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway.fhir import definitions, primitives
from gateway.fhir.definitions import Element

Schema = dict[str, Any]

_NAMES: Final = {str: "string", bool: "boolean", int: "integer", float: "number"}


def _primitive(name: str) -> Schema:
    """As gateway/fhir/primitives.py says it; the forms of Python's patterns that ECMAScript lacks are left out."""
    rule = primitives.PRIMITIVES[name]
    schema: Schema = {"type": _NAMES[rule.json]}
    if rule.json is str:
        pattern = rule.pattern.replace(r"\A", "^").replace(r"\Z", "$")
        schema |= {"pattern": pattern} if "(?s:" not in pattern and pattern else {"pattern": r"\S"}
    bounds = {"minimum": rule.least, "maximum": rule.most}
    return schema | {key: bound for key, bound in bounds.items() if bound is not None}


ANY: Final[Schema] = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {"resourceType": {"type": "string", "pattern": "^[A-Z][A-Za-z]+$"}},
}


_EXTENSION: Final[Schema] = {  # its value may be of any data type: spelled out, it would bring all of them along
    "type": "object",
    "required": ["url"],
    "properties": {"url": {"type": "string", "pattern": r"^\S+$"}, "valueString": {"type": "string", "pattern": r"\S"}},
}


def schemas(types: Iterable[str], *, at: str) -> dict[str, Schema]:
    """The schemas of resource types and of all that they are made of, by name ('Patient', 'Patient.contact',
    'HumanName'); `at` is where they will stand: '#/components/schemas/'. Raises Configuration for an unknown type."""
    found: dict[str, Schema] = {}
    wanted = [*types, "Element"]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name], needed = _structure(name, at)
            wanted.extend(needed)
    return found


def _structure(name: str, at: str) -> tuple[Schema, list[str]]:
    """One object, and the names of those inside it."""
    if name == "Resource":
        return ANY, []
    if name == "Extension":
        return _EXTENSION, []
    properties: dict[str, Schema] = {}
    required: list[str] = []
    needed: list[str] = []
    if name in definitions.resource_types():
        properties["resourceType"] = {"const": name}
        required.append("resourceType")
    for element in definitions.children(name).values():
        forms = [definitions.one_type(element, kind) for kind in element.types] if element.choice else [element]
        for form in forms:
            inner, inside = _value(form, at)
            needed.extend(inside)
            properties[form.name] = {"type": "array", "items": inner, "minItems": 1} if form.many else inner
            if form.types[0] in primitives.PRIMITIVES and not form.inside and form.name != "id":
                beside: Schema = {"$ref": f"{at}Element"}
                properties[f"_{form.name}"] = {"type": "array", "items": beside} if form.many else beside
        if element.min and not element.choice and element.inside:
            required.append(element.name)
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }, needed


def _value(element: Element, at: str) -> tuple[Schema, list[str]]:
    kind = element.types[0]
    if element.inside:
        return {"$ref": f"{at}{element.inside}"}, [element.inside]
    if element.codes and kind == "code":
        return {"enum": sorted(element.codes)}, []
    return _primitive(kind) if kind in primitives.PRIMITIVES else {"type": "string"}, []
