"""HL7 v2 in XML (urn:hl7-org:v2xml, HL7 "XML Encoding Syntax" Release 2) → the same message with separators: what reads
messages reads these. Safe: UTF-8 or a declared charset, no DOCTYPE, so no entities; bounded depth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NoReturn
from xml.etree import ElementTree

from gateway.codec import charset as charsets
from gateway.codec.hl7v2_escape import escape
from gateway.codec.hl7v2_lines import SEGMENTS_LIMIT
from gateway.errors import HutongError, Permanent

NAMESPACE: Final = "urn:hl7-org:v2xml"
_AROUND: Final = b"\xef\xbb\xbf \t\r\n"
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_FIELD: Final = re.compile(r"[A-Z][A-Z0-9]{2}\.(\d{1,3})")
_PART: Final = re.compile(r"[A-Za-z0-9_.]+\.(\d{1,3})")
_DECLARED: Final = re.compile(rb"""\A<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']""")
_SEPARATORS: Final = "^&"
_DEPTH: Final = 20
TAGS_LIMIT: Final = 2_000_000  # more would fill the memory


def is_xml(body: bytes) -> bool:
    """Does it look like a message in XML? A namespace is not demanded: many senders leave it out."""
    start = body[:4096].lstrip(_AROUND)
    return start.startswith(b"<") and re.search(rb"<(\w+:)?MSH[\s>/]", start) is not None


def er7(body: bytes) -> bytes:
    """The message with separators, in UTF-8 and saying so. Raises Permanent when it is no such XML."""
    try:
        root = ElementTree.fromstring(_text(body))  # noqa: S314 - no DOCTYPE, so no entities
    except ElementTree.ParseError as error:
        line, column = error.position
        _refuse(f"not well-formed at line {line}, column {column}")
    lines = [_line(element) for element in _segments(root, 0)]
    if not lines or not lines[0].startswith("MSH"):
        _refuse("the first segment is not MSH")
    return "".join(f"{line}\r" for line in lines).encode()


def _refuse(cause: str) -> NoReturn:
    remedy = "send HL7 v2.xml, or the message with separators"
    raise Permanent(cause, place="HL7 v2.xml", remedy=remedy, code="100")


def _text(body: bytes) -> str:
    body = body.lstrip(_AROUND)
    declared = _DECLARED.match(body)
    try:
        text = charsets.decode(body, declared[1].decode() if declared else "utf-8").text
    except HutongError:
        _refuse("the bytes are not in the charset that the XML declares")
    if "<!DOCTYPE" in text:
        _refuse("it has a DOCTYPE")
    if text.count("<") > TAGS_LIMIT:
        _refuse(f"more than {TAGS_LIMIT} tags")
    return text


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _segments(element: ElementTree.Element, depth: int) -> Iterator[ElementTree.Element]:
    """The segments in order, whatever groups stand around them."""
    if depth > _DEPTH:
        _refuse(f"elements stand deeper than {_DEPTH} levels")
    for number, child in enumerate(element):
        if number >= SEGMENTS_LIMIT:
            _refuse(f"more than {SEGMENTS_LIMIT} segments")
        if _SEGMENT.fullmatch(_name(child)):
            yield child
        else:
            yield from _segments(child, depth + 1)


def _line(segment: ElementTree.Element) -> str:
    fields: dict[int, list[str]] = {}
    for child in segment:
        found = _FIELD.fullmatch(_name(child))
        if found is None:
            _refuse(f"an element of {_name(segment)} is no field of it")
        fields.setdefault(int(found[1]), []).append(_value(child, 0))
    name = _name(segment)
    if name == "MSH":  # its first two fields are the separators, and the text is written in UTF-8
        fields = {number: value for number, value in fields.items() if number > 2} | {18: ["UNICODE UTF-8"]}
        written = ["MSH", "^~\\&"]
        last = max(fields)
        return "|".join([*written, *("~".join(fields.get(number, ())) for number in range(3, last + 1))])
    last = max(fields, default=0)
    return "|".join([name, *("~".join(fields.get(number, ())) for number in range(1, last + 1))])


def _value(element: ElementTree.Element, level: int) -> str:
    """A repetition, component or subcomponent: its text, or its parts with the separator of their level."""
    parts = [child for child in element if _name(child) != "escape"]
    if not parts:
        return _leaf(element)
    if level >= len(_SEPARATORS):
        _refuse("a subcomponent has parts")
    found: dict[int, str] = {}
    for child in parts:
        number = _PART.fullmatch(_name(child))
        if number is None:
            _refuse("an element is no component")
        found[int(number[1])] = _value(child, level + 1)
    return _SEPARATORS[level].join(found.get(number, "") for number in range(1, max(found) + 1))


def _leaf(element: ElementTree.Element) -> str:
    """The text, with `<escape V="H"/>` as the escape sequence that it stands for."""
    text = escape(element.text or "")
    for child in element:
        text += f"\\{child.get('V', '')}\\{escape(child.tail or '')}"
    return text if text.strip() else ""
