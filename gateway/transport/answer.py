"""What a receiver's HL7 acknowledgement means for the delivery it answers. Pure; simple splitting, no codec.

AA CA     Receipt
AE CE     Permanent, with the text of ERR-8, ERR-7, ERR-3 or MSA-3
AR CR     Permanent; Transient when the error code says that the receiver itself is in trouble: 206 (record locked)
          or 207 (internal error), HL7 table 0357, in ERR-3 (2.5 on), ERR-1.4 (before) or MSA-6
anything else, or another message's MSA-2: Ambiguous (HL7 v2.5.1 §2.9.2: MSA-2 echoes MSH-10)
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.errors import Ambiguous, Permanent, Transient
from gateway.model import Receipt

TAKEN = frozenset(("AA", "CA"))
FAULTED = frozenset(("AE", "CE"))
REJECTED = frozenset(("AR", "CR"))
PASSING = frozenset(("206", "207"))  # table 0357: application record locked, application internal error
TEXT_LIMIT = 200

_LINES = re.compile(r"[\r\n]+")
_NUMBERS = re.compile(r"\d{6,}[\dXx]?")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


def control_id(body: bytes) -> str:
    """MSH-10 of a message that we send; "" when it has none. Latin-1: every byte keeps its place and its value."""
    head = re.split(rb"[\r\n]", body, maxsplit=1)[0].decode("latin-1")
    fields = head[4:].split(head[3:4] or "|") if head.startswith("MSH") else []
    return fields[8] if len(fields) > 8 else ""


def receipt(acknowledgement: bytes, *, control_id: str, place: str) -> Receipt:
    """The receipt when the receiver took the message; otherwise raises what happens next."""
    segments = _segments(acknowledgement)
    accepted = next((fields for name, fields in segments if name == "MSA"), None)
    if accepted is None:
        raise Ambiguous("the answer is no HL7 acknowledgement", place=place, remedy=_ASK)
    code, answered = accepted[1].strip(), accepted[2].strip()
    if answered != control_id:
        raise Ambiguous("the acknowledgement answers another message (MSA-2)", place=place, remedy=_ASK)
    if code in TAKEN:
        return Receipt(at=datetime.now(UTC), code=code, body=acknowledgement)
    error_code, text = _reason(segments, accepted)
    if code in REJECTED and error_code in PASSING:
        raise Transient(f"the receiver answered {code} {error_code}: {text}", place=place, code=error_code)
    if code in FAULTED | REJECTED:
        raise Permanent(f"the receiver answered {code}: {text}", place=place, remedy=_READ, code=error_code or "207")
    raise Ambiguous("the acknowledgement has an unknown code in MSA-1", place=place, remedy=_ASK)


_ASK = "it is sent again with the same control id; ask the receiver whether it came twice"
_READ = "mend the map or the receiver, then replay"


def spoken(text: str) -> str:
    """A receiver's own words made fit for an error: short, one line, and without numbers that could be a person's."""
    return _NUMBERS.sub("…", _CONTROLS.sub(" ", text)).strip()[:TEXT_LIMIT]


def _segments(acknowledgement: bytes) -> list[tuple[str, list[str]]]:
    """(name, fields); outside MSH the index is the HL7 field number. Padded: no index is missing."""
    text = _text(acknowledgement).lstrip("\ufeff \t\r\n")
    separator = text[3:4] if text.startswith("MSH") else "|"
    rows = (line.split(separator or "|") for line in _LINES.split(text))
    return [(row[0].strip(), row + [""] * 10) for row in rows]


def _text(acknowledgement: bytes) -> str:
    try:
        return acknowledgement.decode()
    except UnicodeDecodeError:
        return acknowledgement.decode("gb18030", "replace")


def _reason(segments: list[tuple[str, list[str]]], accepted: list[str]) -> tuple[str, str]:
    """(error code of table 0357 or "", the receiver's words)."""
    error = next((fields for name, fields in segments if name == "ERR"), [""] * 10)
    old = (error[1].split("^") + [""] * 4)[3].split("&")[0]  # ERR-1.4, before 2.5
    code = next((text.split("^")[0].strip() for text in (error[3], old, accepted[6]) if text.strip()), "")
    words = next((text for text in (error[8], error[7], accepted[3], error[3]) if text.strip()), "no reason given")
    return code, spoken(words)
