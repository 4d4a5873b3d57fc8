"""Text → segment lines, with their places: terminators, broken lines, batches (HL7 v2.5.1 chapters 2.5 and 2.10.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gateway.codec.charset import CONTROLS
from gateway.codec.hl7v2_note import Note
from gateway.errors import Permanent

AROUND: Final = "\ufeff\x00\t\n\x0b\r\x1a\x1c "  # blanks, block characters and marks that surround a message
SEGMENTS_LIMIT: Final = 100_000
LINES_LIMIT: Final = 200_000  # of a message with broken lines: segments, and what goes on behind them
PARTS_LIMIT: Final = 5_000_000  # fields, repetitions and components of one message
MESSAGES_LIMIT: Final = 100_000  # in one batch
_LINE: Final = re.compile("[^\r\n]+")
_MARKS: Final = re.compile("[\x00\x0b\x1a\x1c]")
_NAME: Final = re.compile("[A-Z][A-Z0-9]{2}")
_BLANKS: Final = " \t"
_INDENTED: Final = re.compile(f"[{_BLANKS}]+{_NAME.pattern}")
_LOOSE_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9]{2}")
_MESSAGE_START: Final = re.compile("(?:^|(?<=[\r\n\x0b\x1c]))(?:MSH|msh)(?=[!#-/:-@\\[-`{-~]|$)")
_BATCH_LINE: Final = re.compile("(?:FHS|BHS|BTS|FTS)(?![A-Za-z0-9])")
_TRAILER_COUNT: Final = re.compile("(?:^|(?<=[\r\n]))BTS[^A-Za-z0-9\r\n](\\d+)")


@dataclass(slots=True)
class Line:
    """One segment: the stretches (start, end) of the text it is made of; more than one when a sender broke it."""

    name: str
    pieces: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Lines:
    """The segments of one message, what was no segment (residue), and what was mended (notes)."""

    segments: list[Line]
    residue: list[tuple[int, int]]
    notes: list[Note]


def around(whole: str, text: str, *, marked: bool) -> Iterator[Note]:
    """What is odd about the ends of lines and of the whole: `text` is `whole` without what stands around it."""
    if len(whole) == len(text) + 1 and whole[-1] == "\r" and not marked and "\n" not in text and "\r\r" not in text:
        return
    start = whole.find(text)
    before, after = whole[:start], whole[start + len(text) :]
    if not after.startswith(("\r", "\n")):
        yield Note("cut", "last segment", "has no terminator; the message may be cut")
    if marked or before or _MARKS.search(after):
        yield Note("framing", "message", "marks of framing or of a file around the message were taken off")
    if "\n" in whole:
        crlf, lf, cr = whole.count("\r\n"), whole.count("\n"), whole.count("\r")
        written = "CRLF" if crlf == lf == cr else "LF" if not cr else "CR, LF and CRLF by turns"
        yield Note("line-ends", "message", f"segments end with {written} instead of CR")
    if "\r\r" in text or "\n\n" in text or "\r\n\r\n" in text:
        yield Note("blank-lines", "message", "empty lines between segments were passed over")


def is_name(name: str) -> bool:
    """Three capitals or digits, the first a letter: what a segment is called."""
    return _NAME.fullmatch(name) is not None


def read_lines(text: str, separator: str) -> Lines:
    """Every line placed: a segment, the continuation of the field before it (a line break inside a text field), or
    residue. Nothing is left out."""
    found = Lines([], [], [])
    for number, match in enumerate(_LINE.finditer(text)):
        if number >= LINES_LIMIT or len(found.segments) > SEGMENTS_LIMIT:
            raise _too_many(f"{SEGMENTS_LIMIT} segments or {LINES_LIMIT} lines")
        start, end = match.span()
        clean = text[start : min(start + 64, end)].translate(CONTROLS)
        if not clean.strip():
            continue
        if _INDENTED.match(clean) and clean.lstrip(_BLANKS)[3:4] == separator:
            start += len(clean) - len(clean := clean.lstrip(_BLANKS))
            found.notes.append(Note("indented", f"segment {len(found.segments) + 1}", "has blanks before its name"))
        if name := _segment_name(clean, separator, whole=end - start <= 64):
            found.segments.append(Line(name.upper(), [(start, end)]))
            if not is_name(name):
                text_ = "the segment's name is in small letters"
                found.notes.append(Note("segment-name", f"segment {len(found.segments)}", text_))
        else:
            _place_stray(found, (start, end), text, separator)
    if len(found.segments) > SEGMENTS_LIMIT:
        raise _too_many(f"{SEGMENTS_LIMIT} segments or {LINES_LIMIT} lines")
    return found


def check_parts(text: str, separators: str) -> None:
    """Raises Permanent for a message that would fill the memory when it is split at these characters."""
    if len(text) > PARTS_LIMIT and sum(map(text.count, separators)) > PARTS_LIMIT:
        raise _too_many(f"{PARTS_LIMIT} fields and components")


def _too_many(what: str) -> Permanent:
    return Permanent(f"more than {what}", place="message", remedy="send it in parts")


def _segment_name(line: str, separator: str, *, whole: bool) -> str:
    name, after = line[:3], line[3:4]
    if after == separator:
        return name if _LOOSE_NAME.fullmatch(name) else ""
    return name if whole and not line[3:].strip() and is_name(name) else ""


def _place_stray(found: Lines, piece: tuple[int, int], text: str, separator: str) -> None:
    line = text[slice(*piece)].strip()
    previous = found.segments[-1] if found.segments else None
    cut_name = len(line) < 3 and line.isascii() and line.isupper()
    if previous is None or previous.name == "MSH" or cut_name or not _continues(line, previous, text, separator):
        found.residue.append(piece)
        place = f"line after segment {len(found.segments)}"
        found.notes.append(Note("residue", place, "is no segment; kept as residue"))
        return
    previous.pieces.append(piece)
    if len(previous.pieces) == 2:
        place = f"{previous.name} (segment {len(found.segments)})"
        found.notes.append(Note("broken-line", place, "was broken over lines; joined"))


def _continues(line: str, previous: Line, text: str, separator: str) -> bool:
    """A text goes on in a field; after a bare name only the fields themselves can follow."""
    return line.startswith(separator) or text.find(separator, *previous.pieces[0]) >= 0


def split_batch(text: str) -> list[str]:
    """The messages of a batch or file (FHS BHS … BTS FTS), or of messages simply following each other, in order. Raises
    Permanent when the trailer's count (BTS-1) differs, since a message was lost on the way."""
    messages = list(_messages(text))
    counts = [int(count) for count in _TRAILER_COUNT.findall(text[-4096:])]
    if len(counts) == 1 and text.count("BTS") == 1 and counts[0] != len(messages):
        raise Permanent(
            f"the batch holds {len(messages)} messages, its trailer says {counts[0]}",
            place="BTS-1",
            remedy="have the sender write the whole batch again",
        )
    return messages


def _messages(text: str) -> Iterator[str]:
    starts = [match.start() for match in _MESSAGE_START.finditer(text)]
    if len(starts) > MESSAGES_LIMIT:
        raise _too_many(f"{MESSAGES_LIMIT} messages in a batch")
    for start, end in pairwise([*starts, len(text)]):
        lines = [line for line in re.split("[\r\n]+", text[start:end]) if line.strip(AROUND)]
        yield "\r".join(line for line in lines if not _BATCH_LINE.match(line)) + "\r"


def message_count(text: str) -> int:
    """How many MSH segments begin a line."""
    return len(_MESSAGE_START.findall(text))
