"""The MSH segment (HL7 v2.5.1 chapter 2.15.9): separators, the charset it declares, and its facts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from gateway.codec import charset as charsets
from gateway.codec.hl7v2_escape import unescape

STANDARD: Final = "^~\\&"
_TYPE: Final = re.compile(r"[A-Z]{3}\^[A-Z]\d\d(?!\d)")
_ROLES: Final = ("component", "repetition", "escape", "subcomponent")
_SEEN_BEFORE_MSH: Final = b"\xef\xbb\xbf\x00\t\n\x0b\r\x1c "
_SHIFTED_PLACES: Final = (16, 15, 18, 19, 14, 20)  # split positions (MSH-17, -16, -19 …) where MSH-18 has been seen
_WORDS_ONLY: Final = re.compile(rb"(?=.*[A-Za-z/])[A-Za-z0-9 ._/-]{3,40}")
_NOT_CHARSETS: Final = frozenset({"CN", "GB"})


@dataclass(frozen=True, slots=True)
class Separators:
    """MSH-1 and MSH-2 as the sender wrote them, mended where they cannot be meant."""

    field: str
    encoding: str  # component, repetition, escape, subcomponent
    notes: tuple[str, ...] = ()
    unnamed: bool = False  # MSH-2 is left out: all fields behind it stand one place too far to the left

    @property
    def usual(self) -> bool:
        return self.field == "|" and self.encoding == STANDARD

    @property
    def standard(self) -> bool:
        return self.usual and not self.unnamed

    def table(self) -> dict[int, str]:
        """For str.translate: the sender's separators → the standard ones; standard characters in data → escapes."""
        table = {ord("|"): "\\F\\", ord("^"): "\\S\\", ord("~"): "\\R\\", ord("\\"): "\\E\\", ord("&"): "\\T\\"}
        for own, usual in zip(self.field + self.encoding, "|" + STANDARD, strict=True):
            table[ord(own)] = usual
        return {own: usual for own, usual in table.items() if chr(own) != usual}


class Header(msgspec.Struct, frozen=True):
    """Facts of MSH. Texts are unescaped first components; `fields` are the raw MSH fields by HL7 number."""

    fields: tuple[str, ...]
    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    time: str  # MSH-7 as written
    code: str  # MSH-9.1
    trigger: str  # MSH-9.2
    structure: str  # MSH-9.3, "" when absent: see hl7v2_structure.structure_of
    control_id: str  # MSH-10 as written, still escaped
    processing_id: str  # MSH-11.1: P, or T, D, N for tests (HL7 table 0103)
    version: str  # MSH-12.1
    accept_ack: str  # MSH-15
    application_ack: str  # MSH-16
    charset: str  # the Python codec that the message was read with
    declared_charset: str  # the charset name it declares, "" when none
    kind: str  # 'ORU^R01', 'ACK'


_USUAL: Final = Separators("|", STANDARD)


def separators(line: str) -> Separators | None:
    """From the beginning of the MSH line; None when MSH-1 is no separator. A missing or odd MSH-2 is mended."""
    if line.startswith("MSH|^~\\&|"):
        return _USUAL
    field = line[3:4]
    if not _may_separate(field):
        return None
    found = _mended(field, line[4:].partition(field)[0])
    if _unnamed(line, field):
        return replace(found, notes=("MSH-2 is left out; the fields behind it were put right",), unnamed=True)
    return found


def _unnamed(line: str, field: str) -> bool:
    """MSH-2 holds a name, and what looks like the message type stands where MSH-8 should."""
    fields = re.split("[\r\n]", line, maxsplit=1)[0].split(field, 9)
    if len(fields) < 9 or not any(map(str.isalnum, fields[1][:4])) or set(fields[1]) & set(STANDARD):
        return False
    return bool(_TYPE.match(fields[7])) and not _TYPE.match(fields[8])


def _mended(field: str, written: str) -> Separators:
    taken, encoding, notes = {field}, "", []
    wanted = [own if _may_separate(own) else "" for own in written[:4].ljust(4)]
    for role, own, usual in zip(_ROLES, wanted, STANDARD, strict=True):
        if not own or own in taken:
            own = next(c for c in usual + "\\^~&*%!" if c not in taken and c not in wanted)
            notes.append(f"MSH-2 names no {role} separator; {own} assumed")
        taken.add(own)
        encoding += own
    if field + encoding != "|" + STANDARD:
        notes.append("nonstandard separators in MSH-1 and MSH-2")
    return Separators(field, encoding, tuple(notes))


def _may_separate(character: str) -> bool:
    return len(character) == 1 and "!" <= character <= "~" and not character.isalnum() and character != '"'


def sniff_charset(body: bytes) -> tuple[str, tuple[str, ...]]:
    """(the charset name declared in MSH-18, notes), read from raw bytes before the charset is known: all charsets that
    HL7 v2 travels in keep ASCII. MSH-18 shifted to a neighbour (`P|2.5.1||||CHN|UNICODE UTF-8`) is found too."""
    start = 0 if body[:3] == b"MSH" else len(body) - len(body.lstrip(_SEEN_BEFORE_MSH))
    if body[start : start + 3].upper() != b"MSH":
        return "", ()
    end = body.find(b"\r", start, start + 4096)
    line = body[start : end if end > 0 else start + 4096].partition(b"\n")[0]
    fields = line.split(line[3:4] or b"|")
    declared = _first_repetition(fields[17], fields[1]) if len(fields) > 17 else ""
    if declared and charsets.codec_of(declared):
        return declared, ()
    for place in _SHIFTED_PLACES:
        if place < len(fields) and _WORDS_ONLY.fullmatch(fields[place]):
            name = fields[place].decode("ascii").strip()
            if charsets.codec_of(name) and name.upper() not in _NOT_CHARSETS:
                return name, (f"charset declared in MSH-{place + 1} instead of MSH-18",)
    return declared, ()


def _first_repetition(field: bytes, encoding: bytes) -> str:
    """The first named repetition: `~ISO IR87` leaves the first one, the default, empty."""
    if not field:
        return ""
    repetition = encoding[1:2] or b"~"
    if repetition not in field:
        return field.decode("ascii", "replace").strip()
    parts = field.split(repetition) if not repetition.isalnum() else [field]
    return next((part.decode("ascii", "replace").strip() for part in parts if part.strip()), "")


def header_of(fields: list[str], *, charset: str, declared: str) -> Header:
    """Facts of a decoded MSH (`fields[n]` is MSH-n). Absent fields are ""."""
    values = fields if len(fields) > 18 else fields + [""] * (19 - len(fields))
    kind = values[9].split("^", 3)
    code = kind[0].strip()
    trigger = kind[1].strip() if len(kind) > 1 else ""
    return Header(
        tuple(fields),
        _name(values[3]),
        _name(values[4]),
        _name(values[5]),
        _name(values[6]),
        values[7],
        code,
        trigger,
        kind[2].strip() if len(kind) > 2 else "",
        values[10],
        values[11].partition("^")[0].strip(),
        values[12].partition("^")[0].strip(),
        values[15].strip(),
        values[16].strip(),
        charset,
        declared,
        f"{code}^{trigger}" if trigger else code,
    )


def _name(field: str) -> str:
    """HD: the namespace, or the universal id where a sender leaves the namespace empty."""
    if "^" not in field:
        return unescape(field.strip())
    parts = field.split("^")
    return unescape(parts[0].strip() or parts[1].strip())
