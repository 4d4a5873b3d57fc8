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
from gateway.codec import damaged
from gateway.codec.json import DEPTH_LIMIT, NODES_LIMIT, Tree
from gateway.codec.xml_prolog import has_doctype
from gateway.errors import Permanent

DECLARATION: Final = re.compile(r"\A\s*<\?xml[^>]*?\?>")
_DECLARED: Final = re.compile(rb"""\A[\s\xef\xbb\xbf]*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
BROKEN: Final = "not well-formed"
_CDATA: Final = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
BARE: Final = re.compile(r"&(?!#?\w{1,20};)")  # no entity: those are refused
_INNER: Final = re.compile(r"<[A-Za-z_\u4e00-\u9fff]")
MENDED: Final = "characters that XML does not allow were taken out, and a bare & was read as the sign that it is"
SAFE: Final[dict[str, Any]] = {  # of every parser: no entity is resolved, nothing is loaded
    "resolve_entities": False, "no_network": True, "load_dtd": False, "remove_comments": True, "remove_pis": True,
    "encoding": "utf-8",
}  # fmt: skip
_HOLDS_MORE: Final = etree.XPath("boolean(@* | */@* | */* | text()[normalize-space()])")  # than texts by names
TEXT_LIMIT: Final = 10_000_000  # of one text or attribute: libxml2's own
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
        root = _read(text, Count(), 0)
    except Permanent as error:
        mended = _mended(text)
        if not error.cause.startswith(BROKEN) or mended == text:
            raise
        root = _read(mended, Count(), 0)
        notes = (*notes, MENDED)
    return Tree(root, decoded.charset, notes, "xml")


def _mended(text: str) -> str:
    """Without control characters (XML 1.0 §2.2), a bare & as text; what stands in CDATA stays as it is."""
    plain = charsets.without_controls(text)
    parts = _CDATA.split(plain)
    return "".join(part if index % 2 else BARE.sub("&amp;", part) for index, part in enumerate(parts))


def text_of(body: bytes, charset: str = "") -> charsets.Decoded:
    """The text of a document, by the rule, else by what it declares."""
    return damaged.decode_whole(body, charset, declared(body))


def declared(body: bytes) -> str:
    """The charset that a document names, "" where it names none."""
    found = _DECLARED.match(body)
    return found[1].decode() if found else ""


class Count:
    """How many nodes have been read; `carries`: texts of a SOAP message may be documents."""

    def __init__(self) -> None:
        self.nodes = 0
        self.carries = False

    def add(self, depth: int, nodes: int = 1) -> None:
        """So many more, so deep. Raises Permanent beyond the limits."""
        self.nodes += nodes
        if self.nodes > NODES_LIMIT:
            refuse(f"more than {NODES_LIMIT} nodes")
        if depth >= DEPTH_LIMIT:
            refuse(f"deeper than {DEPTH_LIMIT} levels")


def refuse(cause: str, remedy: str = "have the sender write well-formed XML without a DOCTYPE") -> NoReturn:
    """Raises Permanent."""
    raise Permanent(cause, place="XML", remedy=remedy, code="102")


def broken(error: Any) -> NoReturn:
    """Raises Permanent for what the parser refused: what is no XML, or is larger than its limits."""
    line, column = error.position
    place = f"at line {line}, column {column}"
    if "depth" in error.msg:
        refuse(f"deeper than {DEPTH_LIMIT} levels {place}", "have the sender write its records side by side")
    if error.code == etree.ErrorTypes.ERR_RESOURCE_LIMIT or "too big" in error.msg:
        refuse(f"more than {TEXT_LIMIT} characters in one text {place}", "have the sender leave out what is so large")
    refuse(f"{BROKEN} {place}")


def element_of(text: str) -> Any:
    """The root of a document, safely read. Raises Permanent for what is not well-formed or has a DOCTYPE."""
    if has_doctype(text):
        refuse("it has a DOCTYPE")
    if text.count("<") - text.count("</") > NODES_LIMIT:  # it is not even parsed
        refuse(f"more than {NODES_LIMIT} nodes")
    try:
        root = etree.fromstring(DECLARATION.sub("", text).encode(), etree.XMLParser(**SAFE))
    except etree.XMLSyntaxError as error:
        broken(error)
    return root


def _read(text: str, count: Count, inside: int) -> dict[str, Any]:
    root = element_of(text)
    count.carries = inside == 0 and name_of(root) == "Envelope"
    return {name_of(root): node_of(root, count, 0, inside)}


def name_of(element: Any) -> str:
    """Without its namespace."""
    return str(element.tag).rpartition("}")[2]


def node_of(element: Any, count: Count, depth: int, inside: int) -> Any:
    """An element as a tree; `depth`: how many elements are around it, `inside`: how many documents."""
    count.add(depth)
    if len(element) and not _HOLDS_MORE(element):
        return _texts_of(element, count, depth + 1, inside)
    made: dict[str, Any] = {f"@{str(name).rpartition('}')[2]}": value for name, value in element.attrib.items()}
    for child in element:
        _add(made, name_of(child), node_of(child, count, depth + 1, inside))
    text = (element.text or "").strip() if not len(element) else "".join(_beside(element)).strip()
    if not made:
        return _inner(text, count, inside)
    if text:
        made["#text"] = text
    return made


def _texts_of(element: Any, count: Count, depth: int, inside: int) -> dict[str, Any]:
    """The same of an element of texts alone, as most records are."""
    count.add(depth, len(element))
    made: dict[str, Any] = {}
    for child in element:
        name, text = child.tag, (child.text or "").strip()
        if name[0] == "{":
            name = name_of(child)
        if text[-1:] == ">":
            text = _inner(text, count, inside)
        if name in made:
            _add(made, name, text)
        else:
            made[name] = text
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


def _inner(text: str, count: Count, inside: int) -> Any:
    """Text, or the document that it is; a report may be written with marks like <p>, and stays what it is."""
    document = text.startswith("<?xml") or (count.carries and _INNER.match(text) is not None)
    if inside >= _INSIDE or not text.endswith(">") or not document:
        return text
    try:
        return _read(text, count, inside + 1)
    except Permanent as error:
        if error.cause.startswith(BROKEN):
            return text
        raise
