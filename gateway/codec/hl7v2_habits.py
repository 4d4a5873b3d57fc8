"""What the messages of one sender say of their sender: charsets, versions, numbers, times, codes, dialects – counted.

Only field positions, names of systems, and coded values of known code fields are kept, never a patient's data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.codec import hl7v2
from gateway.codec.chinese_numbers import is_credit_code, national_id
from gateway.codec.hl7v2_dialects import TIMES

CODED: Final[Mapping[str, str]] = {  # field → the code table of the maps that reads it
    "PID-8": "sex",
    "PV1-2": "encounter-class",
    "ORC-1": "order-control",
    "ORC-5": "order-status",
    "OBR-25": "report-status",
    "OBX-8": "interpretation",
    "OBX-11": "result-status",
}
_NUMBERS: Final = {"PID": (2, 3, 4, 18), "PV1": (19, 50), "MRG": (1,)}  # CX
_ENTITIES: Final = {"ORC": (2, 3), "OBR": (2, 3)}  # EI
_SYSTEMS: Final = {"OBX": (3,), "OBR": (4,), "DG1": (3,)}  # CWE: its coding system
_OFFSET: Final = re.compile(r"[+-]\d{4}$")
_HEADER: Final = {"application": 3, "facility": 4, "receiving application": 5, "receiving facility": 6}
_NATIONAL: Final = "valid 18-digit identity number"
_SHORT: Final = 12  # characters of a code that is kept
_LONGEST: Final = 60  # characters of a system's name
_OID: Final = re.compile(r"\d+(\.\d+)+")
_LIKE_A_NUMBER: Final = re.compile(r"\d{5}")


@dataclass(slots=True)
class Evidence:
    """How often something was seen, and where first."""

    count: int = 0
    example: str = ""

    def see(self, place: str) -> None:
        """Once more, here."""
        self.count += 1
        self.example = self.example or place


Seen = dict[str, Evidence]


@dataclass(slots=True)
class Habits:
    """One sender. Each aspect maps a value to its evidence."""

    facility: str
    messages: int = 0
    foreign: int = 0  # messages with other characters than ASCII
    aspects: dict[str, Seen] = field(default_factory=dict)

    def see(self, aspect: str, value: str, place: str) -> None:
        """Count one value of one aspect."""
        self.aspects.setdefault(aspect, {}).setdefault(value, Evidence()).see(place)

    def of(self, aspect: str) -> list[tuple[str, Evidence]]:
        """The values of an aspect, the most frequent first."""
        return sorted(self.aspects.get(aspect, {}).items(), key=lambda pair: (-pair[1].count, pair[0]))

    def add(self, message: hl7v2.Message, source: str) -> None:
        """Look at one message; `source` names it for people."""
        self.messages += 1
        self._header(message, source)
        for note in message.mended:
            self.see("dialect", note.code, f"{source} {note.place}: {note.text}")
        for segment in message.segments:
            name = segment[0]
            if name.startswith("Z"):
                self.see("own segment", name, source)
            for number, value in enumerate(segment[1:], 1):
                if value and name != "MSH":
                    self._field(name, number, value, source)
        _seen_moves(self, message, source)

    def _header(self, message: hl7v2.Message, source: str) -> None:
        header = message.header
        if not message.body.isascii():
            self.foreign += 1
            self.see("charset", message.charset, source)
        self.see("declared charset", header.declared_charset or "(none)", source)
        self.see("version", header.version or "(none)", source)
        self.see("kind", header.kind, source)
        for aspect, number in _HEADER.items():
            if len(header.fields) > number and header.fields[number]:
                self.see(aspect, header.fields[number].partition("^")[0], source)
        country = header.fields[17] if len(header.fields) > 17 else ""
        self.see("country", country if re.fullmatch("[A-Z]{2,3}", country) else "(none)", source)
        self._time(header.time, "MSH-7", source)

    def _field(self, name: str, number: int, value: str, source: str) -> None:
        place = f"{name}-{number}"
        if number in TIMES.get(name, ()):
            self._time(value, place, source)
        elif number in _NUMBERS.get(name, ()):
            for authority in _authorities(value):
                self.see("authority", f"{place} {authority}", source)
        elif number in _ENTITIES.get(name, ()):
            self.see("authority", f"{place} {_named([*value.split('^'), ''][1])}", source)
        elif number in _SYSTEMS.get(name, ()):
            for part in value.split("^")[2:6:3]:
                self.see("code system", f"{place} {_named(part)}", source)
        elif place in CODED:
            code = value.partition("~")[0].partition("^")[0]
            if len(code) <= _SHORT and not _LIKE_A_NUMBER.search(code):
                self.see(place, code, source)

    def _time(self, value: str, place: str, source: str) -> None:
        value = value.partition("^")[0].strip()
        if len(value) <= 8 or not re.fullmatch(r"[\d.:/ T年月日Z+-]+", value):
            return
        offset = _OFFSET.search(value)
        self.see("offset", offset[0] if offset else "(none)", f"{source} {place}")
        self.see("time form", re.sub(r"\d", "9", value), f"{source} {place}")


def _authorities(value: str) -> Iterator[str]:
    """'COUNTY (PI)' for each number of a CX field; a valid identity number says so whatever stands beside it."""
    for repetition in value.split("~"):
        parts = [*repetition.split("^"), "", "", "", ""]
        if parts[0] and parts[0] != '""':
            authority = _named(parts[3].partition("&")[0])
            national = f", {_NATIONAL}" if national_id(parts[0]) else ""
            yield f"{authority} ({_named(parts[4]) if parts[4] else 'no type'}{national})"


def _named(text: str) -> str:
    """The name of a system; what may be a number of a person is not shown."""
    if not text:
        return "(none)"
    known = _OID.fullmatch(text) or is_credit_code(text) or not _LIKE_A_NUMBER.search(text)
    return text if known and len(text) <= _LONGEST else "(a number)"


def _seen_moves(habits: Habits, message: hl7v2.Message, source: str) -> None:
    """Values that only stand where another field should hold them."""
    for segment in message.segments:
        if segment[0] == "PID" and _at(segment, 2) and not _at(segment, 3):
            habits.see("move", "PID-2 -> PID-3 if empty", source)
    if any(note.code == "value-place" for note in message.mended):
        habits.see("move", "OBX-4 -> OBX-5 if empty", source)


def _at(segment: list[str], number: int) -> str:
    return segment[number] if number < len(segment) else ""
