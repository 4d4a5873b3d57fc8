"""FHIR resources written as XML (R4 xml.html) → the same in plain dictionaries, as JSON would have them.

What is a list, a number, a resource inside another or a piece of XHTML follows from the R4 definitions. Elements that
R4 does not know, text where no text may stand and attributes of no meaning are refused with their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from lxml import etree

from gateway.codec import xml_tree
from gateway.errors import Configuration, Permanent
from gateway.fhir import definitions
from gateway.fhir.definitions import Element

NAMESPACE: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"
_DEPTH: Final = 100
_SEEN: Final = 4_096  # bytes in which the namespace is declared
_INTEGERS: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_OF_PRIMITIVES: Final = frozenset({"value", "id", "extension"})
_REMEDY: Final = "have the sender write FHIR R4, as http://hl7.org/fhir/R4/xml.html says"


def is_fhir_xml(body: bytes) -> bool:
    """By its namespace, near the beginning."""
    start = body[:_SEEN]
    return xml_tree.is_xml(body) and (b'"http://hl7.org/fhir"' in start or b"'http://hl7.org/fhir'" in start)


def decode(body: bytes) -> dict[str, Any]:
    """The resource in `body`. Raises Permanent, with its place, for what is no XML, has a DOCTYPE or is no R4."""
    root = xml_tree.element_of(xml_tree.text_of(body).text)
    return _resource(root, _name(root), 0)


def _resource(node: Any, place: str, depth: int) -> dict[str, Any]:
    type_ = _name(node)
    if type_ not in definitions.resource_types() or etree.QName(node).namespace != NAMESPACE:
        raise _refusal(f"{type_} is no resource of R4", place)
    return {"resourceType": type_, **_inside(node, type_, place, depth)}


def _inside(node: Any, path: str, place: str, depth: int) -> dict[str, Any]:
    """The elements in a resource or a data type."""
    if depth > _DEPTH:
        raise _refusal(f"deeper than {_DEPTH} levels", place)
    known = definitions.children(path)
    made: dict[str, Any] = {}
    for name, value in node.attrib.items():
        if name not in ("id", "url"):
            raise _refusal(f"an attribute {name}", place)
        made[name] = value
    _no_text(node, place)
    for child in node:
        name = _name(child)
        here = f"{place}.{name}"
        element = _element(known, path, name, here)
        _add(made, name, element, child, path, here, depth)
        if child.tail and child.tail.strip():
            raise _refusal("text beside an element", here)
    return made


def _add(made: dict[str, Any], name: str, element: Element, child: Any, path: str, place: str, depth: int) -> None:
    if name == "div" and etree.QName(child).namespace == XHTML:
        made[name] = etree.tostring(child, encoding="unicode", with_tail=False)
        return
    type_ = element.types[0] if element.types else ""
    if type_ in definitions.primitives():
        value, beside = _primitive(child, type_, place, depth)
        _put(made, name, element, value)
        if beside or f"_{name}" in made:
            _beside(made, name, element, beside)
    elif type_ == "Resource":
        inner = list(child)
        if len(inner) != 1:
            raise _refusal("not one resource", place)
        _put(made, name, element, _resource(inner[0], f"{place}.{_name(inner[0])}", depth + 1))
    else:
        _put(made, name, element, _inside(child, f"{path}.{name}", place, depth + 1))


def _put(made: dict[str, Any], name: str, element: Element, value: Any) -> None:
    if element.many:
        made.setdefault(name, []).append(value)
    elif name in made:
        raise _refusal("it stands twice", element.path)
    elif value is not None:
        made[name] = value


def _beside(made: dict[str, Any], name: str, element: Element, beside: dict[str, Any]) -> None:
    """`_birthDate`: the id and the extensions of a primitive; in a list at the place of their value."""
    if not element.many:
        made[f"_{name}"] = beside
        return
    listed = made.setdefault(f"_{name}", [])
    listed.extend([None] * (len(made[name]) - 1 - len(listed)))
    listed.append(beside or None)


def _primitive(node: Any, type_: str, place: str, depth: int) -> tuple[Any, dict[str, Any]]:
    """(value, what stands beside it)."""
    strange = set(node.attrib) - {"value", "id"}
    if strange:
        raise _refusal(f"an attribute {sorted(strange)[0]}", place)
    _no_text(node, place)
    beside: dict[str, Any] = {"id": node.attrib["id"]} if "id" in node.attrib else {}
    for child in node:
        if _name(child) != "extension":
            raise _refusal(f"a {_name(child)} in a {type_}", place)
        inner = _inside(child, "Extension", f"{place}.extension", depth + 1)
        beside.setdefault("extension", []).append(inner)
    text = node.attrib.get("value")
    return (None if text is None else _value(text, type_, place)), beside


def _value(text: str, type_: str, place: str) -> Any:
    if type_ == "boolean":
        if text not in ("true", "false"):
            raise _refusal("no boolean", place)
        return text == "true"
    if type_ in _INTEGERS:
        if not text.strip().lstrip("+-").isdecimal() or len(text) > 12:
            raise _refusal("no integer", place)
        return int(text)
    if type_ == "decimal":
        try:
            return Decimal(text)
        except InvalidOperation:
            raise _refusal("no decimal", place) from None
    return text


def _element(known: Mapping[str, Element], path: str, name: str, place: str) -> Element:
    if name in known:
        return known[name]
    try:
        return definitions.resolve(f"{path}.{name}")
    except Configuration as error:
        raise _refusal(f"R4 does not know it: {error.cause}", place) from None


def _no_text(node: Any, place: str) -> None:
    if node.text and node.text.strip():
        raise _refusal("text where only elements may stand", place)


def _name(node: Any) -> str:
    return str(etree.QName(node).localname)


def _refusal(cause: str, place: str) -> Permanent:
    return Permanent(cause, place=place, remedy=_REMEDY, code="102")
