"""What acknowledgements say: where an error is (ERL, ELD), which message is answered (v2.5.1 §2.15.5, §2.15.8)."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from gateway.codec.hl7v2_escape import escape, unescape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import coding, cwe_back
from gateway.mapping.datatypes.identifiers import parts
from gateway.mapping.datatypes.simple import clean

_PLACE = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<index>\d+)\])?"
    r"(?:-(?P<field>\d+)(?:\((?P<repetition>\d+)\))?(?:\.(?P<component>\d+))?(?:\.(?P<subcomponent>\d+))?)?"
)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_CODED = "x."  # begins an id that stands for a control id with other characters than FHIR ids have
_LIMIT = 64


def place_into(raw: str, context: Context) -> str | None:
    """ERL `PID^1^3^2^4^1` → `PID[1]-3(2).4.1`; what names no segment is kept as it stands."""
    segment, index, field, repetition, component, subcomponent = parts(raw, context, 6)
    made = f"{segment}[{index}]" if index else segment
    if field:
        made += f"-{field}" + (f"({repetition})" if repetition else "")
        made += f".{component}" if component else ""
        made += f".{subcomponent}" if subcomponent else ""
    return made if _PLACE.fullmatch(made) else clean(raw)


def place_back(value: str, context: Context) -> str:
    found = _PLACE.fullmatch(value)
    if found is None:
        return value.replace("|", "\\F\\")
    return "^".join(each or "" for each in found.groups()).rstrip("^")


def old_place_into(raw: str, context: Context) -> str | None:
    """ELD `PID^1^3^101&…`: its first three components; the code behind them is a field of its own."""
    where = "^".join(raw.split("^")[:3]).rstrip("^ ")
    return place_into(where, context) if where else None


def old_place_back(value: str, context: Context) -> str:
    return "^".join(place_back(value, context).split("^")[:3]).rstrip("^")


def control_into(raw: str, context: Context) -> str | None:
    """A control id as a FHIR id (1 to 64 letters, digits, '-', '.'); others coded, longer ones than fit by a digest."""
    text = clean(unescape(raw))
    if not text:
        return None
    if _ID.fullmatch(text) and not text.startswith(_CODED):
        return text
    made = _CODED + re.sub(r"[^A-Za-z0-9]", lambda found: f".{found[0].encode().hex()}-", text)
    if len(made) <= _LIMIT:
        return made
    context.note("a control id is too long for MessageHeader.response; its digest stands there")
    return f"sha256.{hashlib.sha256(text.encode()).hexdigest()[:56]}"


def control_back(value: str, context: Context) -> str:
    if not value.startswith(_CODED):
        return escape(value)
    return escape(re.sub(r"\.([0-9a-f]+)-", _character, value[len(_CODED) :]))


def _character(found: re.Match[str]) -> str:
    try:
        return bytes.fromhex(found[1]).decode()
    except ValueError:
        return found[0]


def coding_into(raw: str, context: Context) -> dict[str, Any] | None:
    """The first coding of a CWE, whatever its system; the words that stand beside it have a field of their own."""
    code, text, system, _, _, _, version = parts(raw, context, 7)
    found = coding(code, text, system, context, version)
    return found[0] if found else None


def coding_back(value: dict[str, Any], context: Context) -> str:
    return cwe_back({"coding": [value]}, context)


PAIRS = {
    "place": Pair(place_into, place_back, fits=("string",)),
    "oldplace": Pair(old_place_into, old_place_back, fits=("string",)),
    "control": Pair(control_into, control_back, fits=("id",)),
    "CWEcoding": Pair(coding_into, coding_back, fits=("Coding",)),
}
