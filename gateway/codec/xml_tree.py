"""XML documents of partners (not HL7 v2.xml, not FHIR) → trees: rows, nested records, records inside a SOAP message.

An element with text alone is its text; any other is an object: attributes as `@NAME`, elements by their local name (a
list where one repeats), text beside them as `#text`. The text of a SOAP message that is XML itself, and any that says
so (`<?xml`), is read like an element. Safe: no DOCTYPE, so no entities; bounded in depth and number.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final, NoReturn

from lxml import etree

from gateway.codec import charset as charsets
from gateway.codec.json import DEPTH_LIMIT, NODES_LIMIT, Tree
from gateway.codec.xml_prolog import has_doctype
from gateway.errors import Permanent

_DECLARATION: Final = re.compile(r"\A\s*<\?xml[^>]*?\?>")
_DECLARED: Final = re.compile(rb"""\A[\s\xef\xbb\xbf]*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_BROKEN: Final = "not well-formed"
_CDATA: Final = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
_BARE: Final = re.compile(r"&(?!#?\w{1,20};)")  # no entity: those are refused
_INNER: Final = re.compile(r"<[A-Za-z_\u4e00-\u9fff]")
_INSIDE: Final = 3  # documents inside each other: a record in a string of a SOAP message


def is_xml(body: bytes) -> bool:
    """By its first bytes: any XML, HL7 v2.xml too."""
    start = body[:64]
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        start = start.decode("utf-16", "ignore").encode()
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def decode(body: bytes, charset: str = "") -> Tree:
    """The document in `body` as `{name of the root: …}`; `charset` is the member's rule. Raises Permanent for what is
    no XML, has a DOCTYPE, or is deeper or larger than the limits."""
    decoded = text_of(body, charset)
    text, notes = decoded.text, decoded.notes
    try:
        root = _read(text, _Count(), 0)
    except Permanent as error:
        mended = _mended(text)
        if not error.cause.startswith(_BROKEN) or mended == text:
            raise
        root = _read(mended, _Count(), 0)
        notes = (
            *notes,
            "characters that XML does not allow were taken out, and a bare & was read as the sign that it is",
        )
    return Tree(root, decoded.charset, notes, "xml")


def _mended(text: str) -> str:
    """Without control characters (XML 1.0 §2.2), a bare & as text; what stands in CDATA stays as it is."""
    plain = text.translate(charsets.CONTROLS)
    parts = _CDATA.split(plain)
    return "".join(part if index % 2 else _BARE.sub("&amp;", part) for index, part in enumerate(parts))


def text_of(body: bytes, charset: str = "") -> charsets.Decoded:
    """The text of a document, by the rule, else by what it declares."""
    declared = _DECLARED.match(body)
    return charsets.decode(body, charset, declared[1].decode() if declared else "")


class _Count:
    """How many nodes have been read; `carries`: texts of a SOAP message may be documents."""

    def __init__(self) -> None:
        self.nodes = 0
        self.carries = False

    def one(self, depth: int) -> None:
        self.nodes += 1
        if self.nodes > NODES_LIMIT:
            _refuse(f"more than {NODES_LIMIT} nodes")
        if depth >= DEPTH_LIMIT:
            _refuse(f"deeper than {DEPTH_LIMIT} levels")


def _refuse(cause: str) -> NoReturn:
    raise Permanent(cause, place="XML", remedy="have the sender write well-formed XML without a DOCTYPE", code="102")


def element_of(text: str) -> Any:
    """The root of a document, safely read. Raises Permanent for what is not well-formed or has a DOCTYPE."""
    if has_doctype(text):
        _refuse("it has a DOCTYPE")
    if text.count("<") - text.count("</") > NODES_LIMIT:  # it is not even parsed
        _refuse(f"more than {NODES_LIMIT} nodes")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, encoding="utf-8"
    )
    try:
        root = etree.fromstring(_DECLARATION.sub("", text).encode(), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        _refuse(f"{_BROKEN} at line {line}, column {column}")
    return root


def _read(text: str, count: _Count, inside: int) -> dict[str, Any]:
    root = element_of(text)
    count.carries = inside == 0 and _name(root) == "Envelope"
    return {_name(root): _node(root, count, 0, inside)}


def _name(element: Any) -> str:
    return str(etree.QName(element).localname)


def _node(element: Any, count: _Count, depth: int, inside: int) -> Any:
    count.one(depth)
    made: dict[str, Any] = {f"@{etree.QName(name).localname}": value for name, value in element.attrib.items()}
    for child in element:
        _add(made, _name(child), _node(child, count, depth + 1, inside))
    text = (element.text or "").strip() if not len(element) else "".join(_beside(element)).strip()
    if not made:
        return _inner(text, count, inside)
    if text:
        made["#text"] = text
    return made


def _beside(element: Any) -> list[str]:
    return [element.text or "", *(child.tail or "" for child in element)]


def _add(made: dict[str, Any], name: str, value: Any) -> None:
    if name not in made:
        made[name] = value
    elif isinstance(made[name], list):
        made[name].append(value)
    else:
        made[name] = [made[name], value]


def _inner(text: str, count: _Count, inside: int) -> Any:
    """Text, or the document that it is; a report may be written with marks like <p>, and stays what it is."""
    document = text.startswith("<?xml") or (count.carries and _INNER.match(text) is not None)
    if inside >= _INSIDE or not text.endswith(">") or not document:
        return text
    try:
        return _read(text, count, inside + 1)
    except Permanent as error:
        if error.cause.startswith(_BROKEN):
            return text
        raise
