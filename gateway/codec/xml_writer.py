"""Trees → XML documents of partners, the way back of xml_tree.py: attributes as `@NAME`, lists as repeated elements.

The declaration says the charset that is really used. A character that it lacks becomes a reference (`&#x4DAE;`), which
every reader of XML understands; one that XML 1.0 has no way to write (§2.2) is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from gateway.codec import held
from gateway.codec.json import DEPTH_LIMIT
from gateway.errors import Permanent

_NAME: Final = re.compile(
    "[A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]"
    "[-.0-9A-Z_a-z\u00b7\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u037d\u037f-\u1fff\u200c\u200d\u203f\u2040\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]*"
)
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;"}
_ATTRIBUTE: Final = {**_TEXT, ord('"'): "&quot;", ord("\t"): "&#9;", ord("\n"): "&#10;"}


def encode(root: dict[str, Any], charset: str = "utf-8") -> bytes:
    """The document of `{name of the root: …}`. Raises Permanent, naming the place, for what XML cannot say: a name that
    is none, a control character; Configuration for an unknown charset."""
    if len(root) != 1:
        raise _refusal("a document has one root", "/".join(root), "begin every path with the name of the root")
    (name, node), *_ = root.items()
    lines = [f'<?xml version="1.0" encoding="{held.declared(charset)}"?>']
    for each in node if isinstance(node, list) and len(node) == 1 else [node]:
        lines.extend(_element(name, each, 0, name, charset))
    return held.encode("\n".join(lines) + "\n", charset)


def _element(name: str, node: Any, depth: int, place: str, charset: str) -> Iterator[str]:
    """The lines of one element; text alone, and text beside elements, keeps its form."""
    if depth >= DEPTH_LIMIT:
        raise _refusal(f"deeper than {DEPTH_LIMIT} levels", place, "write it in parts")
    if isinstance(node, list):
        raise _refusal("a list in a list, which XML has not", place, "give the inner list a name")
    pad, tag = " " * depth, _named(name, place, charset)
    if not isinstance(node, dict):
        text = _escaped(_shown(node), _TEXT, place, charset)
        yield f"{pad}<{tag}>{text}</{tag}>" if text else f"{pad}<{tag}/>"
        return
    attributes = "".join(
        f' {_named(each[1:], place, charset)}="{_escaped(_shown(value), _ATTRIBUTE, f"{place}/{each}", charset)}"'
        for each, value in node.items()
        if each.startswith("@")
    )
    text = _escaped(_shown(node.get("#text")), _TEXT, place, charset)
    children = [(each, value) for each, value in node.items() if each != "#text" and not each.startswith("@")]
    if not children:
        yield f"{pad}<{tag}{attributes}>{text}</{tag}>" if text else f"{pad}<{tag}{attributes}/>"
        return
    yield f"{pad}<{tag}{attributes}>{text}"
    for each, value in children:
        for one in value if isinstance(value, list) else [value]:
            yield from _element(each, one, depth + 1, f"{place}/{each}", charset)
    yield f"{pad}</{tag}>"


def _named(name: str, place: str, charset: str) -> str:
    if not _NAME.fullmatch(name):
        raise _refusal(f"{name!r} is no name in XML", place, "give the column another name in the receiver's map")
    if held.missing(name, charset):
        raise _refusal(f"the name cannot be written in {held.declared(charset)}", place, "take GB18030 or UTF-8")
    return name


def _escaped(text: str, table: dict[int, str], place: str, charset: str) -> str:
    if found := _FORBIDDEN.search(text):
        point = f"U+{ord(found[0]):04X}"
        raise _refusal(f"XML 1.0 has no way to write {point}", place, "mend the text at its source")
    return held.referred(text.translate(table), charset, lambda point: f"&#x{point:X};")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _refusal(cause: str, place: str, remedy: str) -> Permanent:
    return Permanent(cause, place=place or "XML", remedy=remedy, code="102")
