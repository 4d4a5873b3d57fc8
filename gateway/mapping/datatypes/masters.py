"""Numbers that a sender gives without saying whose they are: keys of its master files and accounts (v2.5.1 §8.5)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.identifiers import parts


def local_into(raw: str, context: Context, kind: str) -> dict[str, Any] | None:
    """A bare number, the first component, in the sender's own numbering of this kind."""
    value = parts(raw, context)[0]
    return {"system": context.system("", kind=kind), "value": value} if value and value != '""' else None


def local_back(value: dict[str, Any], context: Context, kind: str) -> str:
    return escape(value.get("value", "")) if value.get("system", "").endswith(f":{quote(kind, safe='')}") else ""


PAIRS = {"local": Pair(local_into, local_back, fits=("Identifier",))}
