"""The XHTML of a narrative (R4 narrative.html#xhtml)."""

from __future__ import annotations

import html.entities
import re
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

XHTML: Final = "http://www.w3.org/1999/xhtml"
_NAMED: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})


def plain(div: str) -> str:
    """With characters in place of the entities that HTML has and XML has not: `&nbsp;`."""
    return _NAMED.sub(_character, div) if "&" in div else div


def _character(found: re.Match[str]) -> str:
    known = "" if found[1] in _OF_XML else html.entities.html5.get(f"{found[1]};", "")
    return escape(known) if known else found[0]


def is_xhtml(div: str) -> bool:
    """Is it one well-formed <div>, in the namespace of XHTML or in none, as many write it in JSON?"""
    return _root(div) is not None


def for_xml(div: str) -> str | None:
    """As it stands in FHIR XML, where a <div> without a namespace would be an element of FHIR; None for no XHTML."""
    root = _root(div)
    if root is None:
        return None
    return plain(div) if root.tag != "div" else plain(div).replace("<div", f'<div xmlns="{XHTML}"', 1)


def _root(div: str) -> ElementTree.Element | None:
    if "<!DOCTYPE" in div:
        return None
    try:
        root = ElementTree.fromstring(plain(div))  # noqa: S314 - no DOCTYPE, so no entities
    except (ElementTree.ParseError, ValueError):
        return None
    return root if root.tag in ("div", f"{{{XHTML}}}div") else None
