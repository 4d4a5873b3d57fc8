"""HL7 v2 messages (ER7, v2.1 to v2.9) ↔ lists of fields: tolerant in reading, with a note for all that was mended.

Splitting stops at the field; repetitions and components are split by who reads them. Fields stay escaped and use the
standard separators `|^~\\&` whatever MSH-1 and MSH-2 said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import msgspec

from gateway.codec import charset as charsets
from gateway.codec import hl7v2_lines, hl7v2_xml
from gateway.codec.hl7v2_acknowledge import (
    TESTS,
    acknowledge,
    check,
    mode,
    refusal_code,
    wants_accept_acknowledgement,
    wants_application_acknowledgement,
)
from gateway.codec.hl7v2_aside import LARGE, put_back, set_aside
from gateway.codec.hl7v2_dialects import Origins, mend
from gateway.codec.hl7v2_escape import escape, unescape
from gateway.codec.hl7v2_header import STANDARD, Header, Separators, header_of, separators, sniff_charset
from gateway.codec.hl7v2_lines import split_batch
from gateway.codec.hl7v2_note import Note
from gateway.codec.hl7v2_original import Original
from gateway.codec.hl7v2_structure import structure_of
from gateway.errors import Configuration, HutongError, Permanent

__all__ = [
    "TESTS",
    "Header",
    "Message",
    "Note",
    "acknowledge",
    "check",
    "decode",
    "decode_batch",
    "encode",
    "escape",
    "mode",
    "peek",
    "refusal_code",
    "split_batch",
    "structure_of",
    "unescape",
    "wants_accept_acknowledgement",
    "wants_application_acknowledgement",
]

_PATH: Final = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<index>\d{1,6})\])?-(?P<field>\d{1,4})"
    r"(?:\((?P<repetition>\d{1,6})\))?(?:\.(?P<component>\d{1,4}))?(?:\.(?P<subcomponent>\d{1,4}))?"
)
_ABSENT: Final = 10_000  # no segment has a field of this number
_CONTROL_BYTES: Final = bytes(code for code in charsets.CONTROLS)
_BROKEN_FIELD: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(slots=True)
class Message:
    """One decoded message. `segments[i][n]` is field n of segment i, for MSH too (MSH[1] is "|"); [0] is the name."""

    segments: list[list[str]]
    header: Header
    charset: str  # the Python codec that made the text
    mended: tuple[Note, ...]  # what was mended or is odd; never data
    residue: tuple[str, ...]  # lines that belong to no segment, as written
    body: bytes = field(repr=False)  # exactly as it arrived
    origins: Origins = field(default_factory=dict, repr=False)  # of segments whose fields were moved
    _original: Original | None = field(default=None, repr=False, compare=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was mended, for people."""
        return tuple(map(str, self.mended))

    @property
    def kind(self) -> str:
        return "hl7v2"

    @property
    def original(self) -> Original:
        """Text and offsets of the bytes as they arrived; made when first asked for."""
        if self._original is None:
            self._original = Original(self.body, self.charset)
        return self._original

    def get(self, path: str) -> list[str]:
        """Unescaped values at 'PID-5.1', 'OBX[2]-5', 'PID-3(2).4' or 'PID-3.4.2' (all counted from 1), empty ones left
        out. Without [n] every such segment, without (n) every repetition is read. Raises Configuration for a path that
        is none."""
        return [text for raw in self._raw(*_parse_path(path)) if (text := unescape(raw, self.charset))]

    def span(
        self, segment_index: int, field: int, repetition: int = 0, component: int = 0, subcomponent: int = 0
    ) -> tuple[int, int]:
        """(offset, length) in the bytes as they arrived. segment_index counts `segments` from 0; repetition, component
        and subcomponent count from 1, 0 is the whole. An absent part has length 0 where its parent ends."""
        origins = self.origins.get(segment_index, ())
        field = origins[field] or _ABSENT if field < len(origins) else field
        return self.original.span(segment_index, field, repetition, component, subcomponent)

    def _raw(
        self, name: str, index: int, number: int, repetition: int, component: int, subcomponent: int
    ) -> Iterable[str]:
        named = [segment for segment in self.segments if segment[0] == name]
        for segment in named[index - 1 : index] if index else named:
            if number >= len(segment):
                continue
            if name == "MSH" and number in (1, 2):
                yield segment[number]
                continue
            repetitions = segment[number].split("~")
            for value in repetitions[repetition - 1 : repetition] if repetition else repetitions:
                yield _part(_part(value, "^", component), "&", subcomponent)


def _part(value: str, separator: str, number: int) -> str:
    if not number:
        return value
    parts = value.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""


@lru_cache(maxsize=4096)
def _parse_path(path: str) -> tuple[str, int, int, int, int, int]:
    match = _PATH.fullmatch(path)
    if match is None:
        raise Configuration(f"{path!r} is no HL7 v2 path", remedy="write it like PID-5.1, OBX[2]-5 or PID-3(2).4")
    index, number, repetition, component, subcomponent = (int(group or 0) for group in match.groups()[1:])
    return match["segment"], index, number, repetition, component, subcomponent


# ------------------------------------------------------------------------------------------------ reading


def decode(body: bytes, rule: str = "", *, as_written: bool = False) -> Message:
    """The message in `body`; `rule` is the member's charset; `as_written` leaves fields and their places as the sender
    wrote them, for checking. Raises Permanent: code 100 without a readable MSH or with
    two messages in one frame, 103 for a charset that is unknown, 102 for bytes that are no text."""
    if hl7v2_xml.is_xml(body):
        body = hl7v2_xml.er7(body)
    if len(body) >= LARGE and len(body) <= charsets.SIZE_LIMIT:
        shortened, runs = set_aside(body)
        message = replace(_decoded(shortened, rule, as_written=as_written), body=body)
        put_back(message.segments, runs)
        return message
    return _decoded(body, rule, as_written=as_written)


def _decoded(body: bytes, rule: str, *, as_written: bool) -> Message:
    declared, charset_notes = sniff_charset(body)
    decoded = charsets.decode(body, rule, declared)
    if not declared and decoded.charset.startswith(("utf-16", "utf-32")):
        declared = sniff_charset(decoded.text[:2048].encode("utf-8", "ignore"))[0]
    notes = [Note("charset", "MSH-18", text) for text in (*charset_notes, *decoded.notes)]
    return _read(decoded, body, declared, notes, as_written=as_written)


def decode_batch(body: bytes, rule: str = "") -> list[bytes]:
    """The messages of a batch or of a file with several messages, each as bytes of its own in the batch's charset."""
    decoded = charsets.decode(body, rule, sniff_charset(body)[0] or _batch_charset(body))
    return [charsets.encode(message, decoded.charset) for message in split_batch(decoded.text)]


def _batch_charset(body: bytes) -> str:
    """The declaration of the first message: the batch header itself names no charset."""
    start = re.search(rb"[\r\n]MSH[^A-Za-z0-9]", body)
    return sniff_charset(body[start.start() + 1 : start.start() + 4097])[0] if start else ""


def peek(body: bytes) -> Header | None:
    """The header as far as it can be read, for refusing a message that cannot be decoded; None when there is none.
    Never raises. Only ASCII is trusted: everything else reads as "?"."""
    if hl7v2_xml.is_xml(body):
        try:
            body = hl7v2_xml.er7(body)
        except HutongError:
            return None
    text = body[:4096].translate(None, b"\x00").decode("ascii", "replace").replace("\ufffd", "?")
    start = text.find("MSH")
    start = start if start >= 0 else text.find("msh")
    if start < 0:
        return None
    line = re.split("[\r\n\x1c]", text[start:], maxsplit=1)[0]
    marks = separators(line)
    if marks is None:
        return None
    fields = _split_header(line, marks, None if marks.usual else marks.table())
    return header_of([charsets.without_controls(value) for value in fields], charset="utf-8", declared="")


def _without_stray_charset(head: list[str], declared: str) -> None:
    """A charset that stands beside MSH-18 is no country and no language (the header knows it)."""
    if declared and not any(head[18:19]):
        for number in range(15, min(len(head), 22)):
            if head[number].strip() == declared:
                head[number] = ""


def _read(decoded: charsets.Decoded, body: bytes, declared: str, notes: list[Note], *, as_written: bool) -> Message:
    text = decoded.text.strip(hl7v2_lines.AROUND)
    marks = separators(text[:4096]) if text[:3].upper() == "MSH" else None
    if marks is None:
        raise _no_header(text)
    hl7v2_lines.check_parts(text, marks.field + marks.encoding)
    notes.extend(Note("separators", "MSH-2", note) for note in marks.notes)
    notes.extend(hl7v2_lines.around(decoded.text, text, marked=body.startswith(charsets.MARK)))
    segments, residue = _split(text, body, marks, notes)
    before = segments[0][10] if len(segments[0]) > 10 else ""
    changes, origins = ([], {}) if as_written else mend(segments, carets="10^" in text)
    if not as_written:
        _without_stray_charset(segments[0], declared)
    if marks.unnamed:
        origins[0] = (0, 1, 0, *range(2, len(segments[0])))
    header = header_of(segments[0], charset=decoded.charset, declared=declared)
    if before and before not in text:  # mended: the sender must not get another id confirmed
        written = _written_control_id(text, marks.field) or header.control_id
        header = msgspec.structs.replace(header, control_id=written)
    return Message(segments, header, decoded.charset, (*notes, *changes), residue, body, origins)


def _written_control_id(text: str, separator: str) -> str:
    """MSH-10 with the control characters that were removed from it; `check` refuses it for them."""
    fields = re.split("[\r\n]", text, maxsplit=1)[0].split(separator, 10)
    return fields[9] if len(fields) > 9 and fields[9] != fields[9].translate(charsets.CONTROLS) else ""


def _several_messages() -> HutongError:
    return Permanent(
        "two or more messages in one frame",
        place="MSH[2]",
        remedy="frame each message by itself, or send a batch file",
        code="100",
    )


def _no_header(text: str) -> HutongError:
    if text.startswith(("FHS", "BHS")):
        return Permanent("a batch, not a message", place="FHS", remedy="send batches as files", code="100")
    return Permanent(
        "no MSH segment at the beginning" if text[:3].upper() != "MSH" else "MSH-1 is no field separator",
        place="MSH",
        remedy="send HL7 v2 messages that begin with MSH|^~\\&",
        code="100",
    )


def _split(text: str, body: bytes, marks: Separators, notes: list[Note]) -> tuple[list[list[str]], tuple[str, ...]]:
    """Segments and residue. The fast way holds when every line is plainly a segment; it equals the careful one."""
    few = text.count("\r") + text.count("\n") <= hl7v2_lines.LINES_LIMIT
    if few and marks.standard and len(body.translate(None, _CONTROL_BYTES)) == len(body):
        lines = text.replace("\n", "\r").split("\r") if "\n" in text else text.split("\r")
        segments = [line.split("|") for line in lines if line]
        names = [segment[0] for segment in segments]
        if len(segments) <= hl7v2_lines.SEGMENTS_LIMIT and all(map(_is_name, set(names))):
            if names.count("MSH") > 1:
                raise _several_messages()
            segments[0].insert(1, "|")
            segments[0][2] = STANDARD
            return segments, ()
    return _split_carefully(text, marks, notes)


@lru_cache(maxsize=1024)
def _is_name(name: str) -> bool:
    return hl7v2_lines.is_name(name)


def _split_carefully(text: str, marks: Separators, notes: list[Note]) -> tuple[list[list[str]], tuple[str, ...]]:
    if hl7v2_lines.message_count(text) > 1:
        raise _several_messages()
    found = hl7v2_lines.read_lines(text, marks.field)
    notes.extend(found.notes)
    if (removed := len(text) - len(charsets.without_controls(text))) > 0:
        notes.append(Note("control-characters", "message", f"{removed} control characters removed"))
    table = None if marks.usual else marks.table()
    segments = []
    for line in found.segments:
        raw = charsets.without_controls("\r".join(text[start:end] for start, end in line.pieces))
        fields = _split_header(raw, marks, table) if line.name == "MSH" else _fields(raw, marks.field, table)
        fields[0] = line.name
        if len(line.pieces) > 1:
            fields = [line.name, *(value.replace("\r", "\\.br\\") for value in fields[1:])]
        segments.append(fields)
    return segments, tuple(text[start:end] for start, end in found.residue)


def _fields(line: str, separator: str, table: dict[int, str] | None) -> list[str]:
    return (line.translate(table) if table else line).split("|" if table else separator)


def _split_header(line: str, marks: Separators, table: dict[int, str] | None) -> list[str]:
    fields = line.split(marks.field)
    rest = fields[1:] if marks.unnamed else fields[2:]
    return [fields[0], "|", STANDARD, *([value.translate(table) for value in rest] if table else rest)]


# ------------------------------------------------------------------------------------------------ writing


def encode(message: Message | Sequence[Sequence[str]], charset: str = "") -> bytes:
    """Bytes of a message or of segments shaped like `Message.segments` (fields already escaped): CR after each segment,
    empty fields at the end left out, the charset declared in MSH-18. Without `charset`, that of the message, else
    UTF-8. Line breaks, control characters and separators in a field are escaped, so no field can add a segment."""
    segments = message.segments if isinstance(message, Message) else message
    charset = charset or (message.charset if isinstance(message, Message) else "utf-8")
    if not segments or segments[0][0] != "MSH":
        raise Permanent("the first segment is not MSH", place="MSH", code="100")
    whole = [_header_fields(each, charset) if each[0] == "MSH" else each for each in segments]
    lines = ["|".join(fields) for fields in whole]
    together = "".join(lines)
    if not together.isprintable() or together.count("|") != sum(map(len, whole)) - len(whole):
        lines = [_line(fields) for fields in whole]
    return charsets.encode("".join([f"{line.rstrip('|')}\r" for line in lines]), charset)


def _header_fields(segment: Sequence[str], charset: str) -> list[str]:
    fields = list(segment)
    fields.extend([""] * (19 - len(fields)))
    version = fields[12].partition("^")[0] or "2.5.1"
    fields[18] = charsets.declared_name(charset, version)
    fields[1:3] = [STANDARD]
    return fields


def _line(fields: Sequence[str]) -> str:
    line = "|".join(fields)
    if line.count("|") != len(fields) - 1 or not (line.isprintable() or _BROKEN_FIELD.search(line) is None):
        return "|".join(_mended(value) for value in fields)
    return line


def _mended(value: str) -> str:
    value = value.replace("|", "\\F\\").replace("\r\n", "\n").replace("\r", "\n")
    return _BROKEN_FIELD.sub(lambda match: escape(match[0]), value)
