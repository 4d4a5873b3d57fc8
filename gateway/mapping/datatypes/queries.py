"""What a query asks for (v2.5.1 §5.3, §5.6): filters `@PID.5.1^SMITH` (QIP), values, domains ↔ Parameters.parameter."""

from __future__ import annotations

from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.identifiers import assigned, authority_of, parts, subparts
from gateway.mapping.datatypes.simple import clean


def filter_into(raw: str, context: Context) -> dict[str, Any] | None:
    """`@PID.5.1^SMITH`: a part of that name; everything else is kept as it stands."""
    name, _, value = raw.partition("^")
    said = clean(context.text(value))
    if name.startswith("@") and len(name) > 1 and said and name.isascii() and name.isprintable():
        return {"part": [{"name": name.strip(), "valueString": said}]}
    text = clean(raw)
    return {"valueString": text} if text and text != '""' else None


def filter_back(value: dict[str, Any], context: Context) -> str:
    part = next(iter(value.get("part", ())), None)
    if part is None:
        return str(value.get("valueString", "")).replace("|", "\\F\\")
    return f"{part['name']}^{escape(part.get('valueString', ''))}"


def domain_into(raw: str, context: Context) -> dict[str, Any] | None:
    """A CX that names an assigning authority alone: `^^^HOSP&1.2.3&ISO`, the numbers of which are wanted."""
    found = parts(raw, context)
    hd = subparts(found[3]) if len(found) > 3 else ("", "", "")
    return assigned(hd, context) if any(hd) else None


def domain_back(value: dict[str, Any], context: Context) -> str:
    return "^^^" + "&".join(map(escape, authority_of(value, context))).rstrip("&")


PAIRS = {
    "QIP": Pair(filter_into, filter_back, fits=("BackboneElement",)),
    "domain": Pair(domain_into, domain_back, fits=("Identifier",)),
}
