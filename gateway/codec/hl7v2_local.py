"""Local segments (HL7 v2.5.1 §2.11: names that begin with Z) of a message → their values, as a person asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.codec.hl7v2 import Message
from gateway.codec.hl7v2_escape import unescape

LONGEST: Final = 200  # characters of a value that is worth finding; what is longer is text
_STARTS: Final = re.compile(rb"[\r\n<]Z[A-Z0-9]{2}")


def has_local(body: bytes) -> bool:
    """Is there a local segment, as far as the bytes tell? Quick, for every message."""
    return _STARTS.search(body) is not None


def local_fields(message: Message) -> Iterator[tuple[str, str]]:
    """('ZLB-1', whole repetition) and ('ZLB-1.2', component) of every valued field; long texts are left out."""
    for segment in message.segments:
        if segment[0].startswith("Z"):
            for number, field in enumerate(segment[1:], 1):
                for repetition in field.split("~"):
                    yield from _values(f"{segment[0]}-{number}", repetition, message.charset)


def _values(name: str, repetition: str, charset: str) -> Iterator[tuple[str, str]]:
    components = repetition.split("^")
    named = [(name, repetition)]
    if len(components) > 1:
        named += [(f"{name}.{number}", component) for number, component in enumerate(components, 1)]
    for each, raw in named:
        value = unescape(raw, charset).strip()
        if value and value != '""' and len(value) <= LONGEST:
            yield each, value
