"""FHIR XML both ways, exact (R4 xml.html): decimals keep their digits and times their text, unlike through models.

Written in the order of the definitions, as XML demands. Read from UTF-8 without a DOCTYPE: no entities, no DTD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from gateway import errors
from gateway.fhir import definitions, json, narrative
from gateway.fhir.definitions import Element
from gateway.fhir.primitives import PRIMITIVES
from gateway.model import Resource

_FHIR = "http://hl7.org/fhir"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"  # schemaLocation may stand at the root
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PIECE = re.compile(r"<div[\s/>](?s:.*?)</div>\s*(?=</text>)|<[^>]*>")  # a narrative, or one tag
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DEPTH = 100
ELEMENTS_LIMIT = 2_000_000  # tags of one body: more would fill the memory


def to_xml(resource: Resource, *, pretty: bool = False) -> bytes:
    """One valid resource as FHIR XML, UTF-8; `pretty`: an element a line. Characters that XML cannot hold are shown by
    the pictures of them (U+2400 and on): one of them does not keep a whole page from being read."""
    text = "".join(_resource(resource, f' xmlns="{_FHIR}"'))
    text = "".join(_indented(text)) if pretty else text
    text = _NOT_XML.sub(lambda found: chr(0x2400 + ord(found[0])) if found[0] < " " else "\ufffd", text)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + text.encode()


def from_xml(body: bytes) -> Resource:
    """The resource as `json.loads` would give it. Permanent, with the place, when it is not FHIR R4 XML."""
    try:
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text:
            _refuse("it has a DOCTYPE", "send it without")
        if text.count("<") > ELEMENTS_LIMIT:
            _refuse(f"more than {ELEMENTS_LIMIT} tags", "send it in parts, or as JSON")
        root = ElementTree.fromstring(text)  # noqa: S314 - no DOCTYPE, so no entities
    except UnicodeDecodeError:
        _refuse("the bytes are not UTF-8", "send UTF-8")
    except ElementTree.ParseError as error:
        line, column = error.position
        _refuse(f"not well-formed at line {line}, column {column}", "send FHIR XML")
    return _read_resource(root, "", 0)


def _refuse(cause: str, remedy: str, place: str = "FHIR XML") -> NoReturn:
    raise errors.Permanent(cause, place=place, remedy=remedy)


# --------------------------------------------------------------------------------------------- writing


def _indented(text: str) -> Iterator[str]:
    """Two spaces a level. Between the elements of FHIR blanks mean nothing; a narrative stays as it is."""
    depth = 0
    for piece in _PIECE.findall(text):
        closes, narrative = piece.startswith("</"), not piece.endswith("/>") and piece.endswith("</div>")
        depth -= closes
        yield f"\n{'  ' * depth}{piece}"
        depth += not (closes or narrative or piece.endswith("/>"))


def _resource(resource: Resource, attributes: str = "") -> Iterator[str]:
    kind = str(resource.get("resourceType"))
    if kind not in definitions.resource_types():
        _refuse("not a resource type of FHIR R4", "name one", "resourceType")
    yield f"<{kind}{attributes}>"
    yield from _members(resource, kind)
    yield f"</{kind}>"


def _members(value: dict[str, Any], path: str, skip: frozenset[str] = frozenset()) -> Iterator[str]:
    for element in definitions.children(path).values():
        if element.name in skip:
            continue
        for each in _written_forms(element, value):
            inner, shadow = value.get(each.name), value.get(f"_{each.name}")
            if each.many:
                yield from _repeated(each, inner or [], shadow or [])
            else:
                yield from _one(each, inner, shadow)


def _written_forms(element: Element, value: dict[str, Any]) -> list[Element]:
    if not element.choice:
        return [element] if element.name in value or f"_{element.name}" in value else []
    forms = [definitions.one_type(element, type_name) for type_name in element.types]
    return [each for each in forms if each.name in value or f"_{each.name}" in value]


def _repeated(element: Element, values: list[Any], shadows: list[Any]) -> Iterator[str]:
    for index in range(max(len(values), len(shadows))):
        value = values[index] if index < len(values) else None
        yield from _one(element, value, shadows[index] if index < len(shadows) else None)


def _one(element: Element, value: Any, shadow: Any) -> Iterator[str]:
    name = element.name
    if element.inside == "Resource":
        yield f"<{name}>"
        yield from _resource(value)
        yield f"</{name}>"
    elif element.inside:
        yield from _structure(name, element.inside, value)
    elif element.types == ("xhtml",):
        yield _narrative(str(value))
    else:
        written = "" if value is None else f" value={quoteattr(_text(value))}"
        yield from _tag(name, written, shadow or {}, "Element")


def _structure(name: str, inside: str, value: dict[str, Any]) -> Iterator[str]:
    url = f" url={quoteattr(value['url'])}" if inside == "Extension" and "url" in value else ""
    yield from _tag(name, url, value, inside)


def _tag(name: str, attributes: str, value: dict[str, Any], inside: str) -> Iterator[str]:
    """`id` of an element and `url` of an extension are attributes (R4 xml.html)."""
    identity = f" id={quoteattr(value['id'])}" if "id" in value else ""
    skip = frozenset({"id", "url"}) if inside == "Extension" else frozenset({"id"})
    content = "".join(_members(value, inside, skip))
    yield f"<{name}{identity}{attributes}>{content}</{name}>" if content else f"<{name}{identity}{attributes}/>"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _narrative(div: str) -> str:
    """One that is no XHTML, from a time when it was not looked at, is shown as its text."""
    written = narrative.for_xml(div)
    return f'<div xmlns="{narrative.XHTML}"><pre>{escape(div)}</pre></div>' if written is None else written


# --------------------------------------------------------------------------------------------- reading


def _read_resource(node: ElementTree.Element, place: str, depth: int) -> Resource:
    namespace, _, kind = node.tag.rpartition("}")
    if namespace != f"{{{_FHIR}" or kind not in definitions.resource_types():
        _refuse("not a resource of FHIR R4", f'use the namespace "{_FHIR}"', place or "root element")
    _attributes(node, place or kind, ())
    return {"resourceType": kind, **_read_members(node, kind, place or kind, depth)}


def _read_members(node: ElementTree.Element, path: str, place: str, depth: int) -> dict[str, Any]:
    if depth > _DEPTH:
        _refuse(f"nested over {_DEPTH} levels", "send a flatter resource", place)
    if any(text and not text.isspace() for text in (node.text, *(child.tail for child in node))):
        _refuse("has text between its tags", 'a value stands in the attribute: <gender value="male"/>', place)
    found: dict[str, Any] = {}
    for child in node:
        namespace, _, name = child.tag.rpartition("}")
        element = _element(path, name, place)
        if namespace != f"{{{_FHIR if element.types != ('xhtml',) else narrative.XHTML}":
            _refuse("an element of another namespace", f'use "{_FHIR}"', f"{place}.{name}")
        if not element.many and not {element.name, f"_{element.name}"}.isdisjoint(found):
            _refuse("there is more than one", "send one", f"{place}.{name}")
        _keep(found, element, *_read(child, element, f"{place}.{name}", depth + 1))
    return {name: each for name, each in found.items() if not _nothing(each)}


def _nothing(value: Any) -> bool:
    """A repeated primitive of which no element has a value: JSON has its `_name` alone (R4 json.html#primitive)."""
    return isinstance(value, list) and all(each is None for each in value)


def _element(path: str, name: str, place: str) -> Element:
    try:
        return definitions.resolve(f"{path}.{name}")
    except errors.Configuration as error:
        _refuse(error.cause, error.remedy, f"{place}.{name}")


def _keep(found: dict[str, Any], element: Element, value: Any, shadow: Any) -> None:
    name, below = element.name, f"_{element.name}"
    if not element.many:
        found.update({key: each for key, each in ((name, value), (below, shadow)) if each is not None})
        return
    if shadow is not None and below not in found:
        found[below] = [None] * len(found.get(name, ()))
    if below in found:
        found[below].append(shadow)
    if value is not None or below in found:
        found.setdefault(name, []).append(value)


def _read(node: ElementTree.Element, element: Element, place: str, depth: int) -> tuple[Any, Any]:
    """The value, and the `_name` part of a primitive."""
    if element.inside == "Resource":
        inner = list(node)
        if len(inner) != 1:
            _refuse("needs one resource inside", "send one", place)
        return _read_resource(inner[0], place, depth), None
    if element.types == ("xhtml",):
        return "".join(_markup(node, place, depth, f' xmlns="{narrative.XHTML}"')), None
    if element.inside:
        attributes = _attributes(node, place, ("id", "url") if element.inside == "Extension" else ("id",))
        return {**attributes, **_read_members(node, element.inside, place, depth)}, None
    attributes = _attributes(node, place, ("id", "value"))
    value = attributes.pop("value", None)
    shadow = {**attributes, **_read_members(node, "Element", place, depth)}
    if value is None and not shadow:
        _refuse("is empty", "leave it out", place)
    return (None if value is None else _value(value, element, place)), shadow or None


def _attributes(node: ElementTree.Element, place: str, known: tuple[str, ...]) -> dict[str, str]:
    if any(name not in known and not name.startswith(_INSTANCE) for name in node.attrib):
        _refuse("an attribute that is not of FHIR here", f"known: {', '.join(known) or 'none'}", place)
    return {name: value for name, value in node.attrib.items() if name in known}


def _markup(node: ElementTree.Element, place: str, depth: int, declared: str = "") -> Iterator[str]:
    """XHTML as text, without prefixes."""
    if depth > _DEPTH:
        _refuse(f"nested over {_DEPTH} levels", "send a flatter narrative", place)
    name = node.tag.rpartition("}")[2]
    attributes = "".join(
        f" {key.replace(_XML, 'xml:')}={quoteattr(value)}"
        for key, value in node.attrib.items()
        if key[0] != "{" or _XML in key
    )
    yield f"<{name}{declared}{attributes}"
    if not len(node) and not node.text:
        yield "/>"
        return
    yield ">" + escape(node.text or "")
    for child in node:
        yield from _markup(child, place, depth + 1)
        yield escape(child.tail or "")
    yield f"</{name}>"


def _value(text: str, element: Element, place: str) -> Any:
    wanted = PRIMITIVES[element.types[0]]
    try:
        if wanted.json is bool:
            return {"true": True, "false": False}[text]
        if wanted.json is int and _WHOLE.fullmatch(text):
            return int(text)
        if wanted.json is int:
            raise ValueError
        return _number(text) if wanted.json is float else text
    except (KeyError, ValueError, InvalidOperation):
        _refuse(f"must be {wanted.wanted}", "mend it at the source", place)


def _number(text: str) -> int | Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError
    number = int(text) if _WHOLE.fullmatch(text) else Decimal(text)
    if json.out_of_range(number):
        raise ValueError
    return number
