"""A message → HL7 v2 in XML: groups by the dictionary's structure, components named after their data types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape as escaped
from xml.sax.saxutils import quoteattr

from gateway.codec import hl7v2_schema as schema
from gateway.codec.hl7v2_schema import Part
from gateway.codec.hl7v2_structure import structure_of
from gateway.codec.hl7v2_xml import NAMESPACE
from gateway.errors import Configuration, Permanent

_ESCAPE: Final = re.compile(r"\\([^\\]*)\\")
_MEANT: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write(segments: Sequence[Sequence[str]]) -> bytes:
    """The message in XML, UTF-8. `segments` are shaped like `Message.segments`. Raises Permanent for what XML cannot
    hold. What the structure does not name stands where it stood, so reading it again gives the same segments."""
    header = segments[0]
    kind = (header[9] if len(header) > 9 else "").split("^")
    version = schema.settled((header[12] if len(header) > 12 else "").partition("^")[0] or "2.5.1")
    structure = kind[2] if len(kind) > 2 and kind[2] else structure_of(kind[0], kind[1] if len(kind) > 1 else "")
    try:
        parts = schema.segments(structure, version)
    except Configuration:
        parts = ()
    left = list(segments)
    body = "".join(_placed(parts, left, structure, version)) + "".join(_segment(each, version) for each in left)
    if _NOT_XML.search(body):
        raise Permanent("a text has control characters", place="HL7 v2.xml", remedy="write it with separators")
    root = re.sub(r"[^A-Za-z0-9_]", "_", structure) or "MESSAGE"
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{NAMESPACE}">{body}</{root}>'.encode()


def _placed(parts: Sequence[Part], left: list[Sequence[str]], structure: str, version: str) -> Iterator[str]:
    """Takes from `left` what fits the parts in order; a segment that no part names stays beside its neighbour."""
    known = _names(parts)
    for part in parts:
        first = True
        while left and (first or part.max is None):
            first = False
            if not part.parts and left[0][0] == part.name:
                yield _segment(left.pop(0), version)
                while left and left[0][0].startswith("Z") and left[0][0] not in known:
                    yield _segment(left.pop(0), version)
            elif part.parts and left[0][0] in _names(part.parts):
                before = len(left)
                inner = "".join(_placed(part.parts, left, structure, version))
                if len(left) == before:
                    break
                name = f"{structure}.{part.name.removeprefix(structure + '_')}"
                yield f"<{name}>{inner}</{name}>"
            else:
                break


def _names(parts: Sequence[Part]) -> frozenset[str]:
    return frozenset(name for part in parts for name in (_names(part.parts) if part.parts else {part.name}))


def _segment(segment: Sequence[str], version: str) -> str:
    name = segment[0]
    types = _types(name, version)
    fields = []
    for number, text in enumerate(segment[1:], 1):
        repetitions = [text] if name == "MSH" and number < 3 else text.split("~")
        datatype = types.get(number, "")
        if name == "OBX" and number == 5 and len(segment) > 2:
            datatype = segment[2]
        for each in repetitions if text else ():
            plain = name == "MSH" and number < 3
            inner = escaped(text) if plain else _value(each, datatype, version, "^", name, number)
            fields.append(f"<{name}.{number}>{inner}</{name}.{number}>")
    return f"<{name}>{''.join(fields)}</{name}>"


def _types(segment: str, version: str) -> dict[int, str]:
    try:
        return {each.number: each.datatype for each in schema.fields(segment, version)}
    except Configuration:
        return {}


def _value(text: str, datatype: str, version: str, separator: str, name: str, number: int) -> str:
    """One repetition or component: named parts where it has or may have them, else its text."""
    try:
        inside = {each.number: each.datatype for each in schema.components(datatype, version)} if datatype else {}
    except Configuration:
        inside = {}
    if not separator or not (inside or separator in text or "&" in text):
        return _leaf(text)
    stem = datatype if inside else f"{name}.{number}"
    below = "&" if separator == "^" else ""
    written = []
    for position, part in enumerate(text.split(separator), 1):
        if part:
            inner = _value(part, inside.get(position, ""), version, below, f"{stem}.{position}", position)
            written.append(f"<{stem}.{position}>{inner}</{stem}.{position}>")
    return "".join(written)


def _leaf(text: str) -> str:
    """Escapes of separators become the characters; others (formatting, charsets) an `escape` element."""
    parts = _ESCAPE.split(text)
    made = [escaped(parts[0])]
    for code, after in zip(parts[1::2], parts[2::2], strict=True):
        made.append(escaped(_MEANT[code]) if code in _MEANT else f"<escape V={quoteattr(code)}/>")
        made.append(escaped(after))
    return "".join(made)
