"""A batch or a file with several messages → its messages, byte for byte, and what the envelope says of them (HL7 v2.5.1
§2.10.3: FHS BHS … BTS FTS). Counts that differ are told, never a reason to refuse what is there. And messages → a file
with one batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gateway.codec.hl7v2_escape import escape
from gateway.codec.hl7v2_lines import MESSAGES_LIMIT
from gateway.errors import Permanent

_LINE_START: Final = rb"(?:\A|(?<=[\r\n\x0b\x1c]))"
_MESSAGE: Final = re.compile(_LINE_START + rb"(?:MSH|msh)(?=[^A-Za-z0-9\s])")
_ENVELOPE: Final = re.compile(_LINE_START + rb"(FHS|BHS|BTS|FTS)(?![A-Za-z0-9])([^\r\n\x1c]*)[\r\n]*")
_AFTER: Final = re.compile(rb"(\r\n|[\r\n])[\r\n]*\Z")  # one terminator stays, as the sender writes it
_FRAMING: Final = re.compile(rb"[\x0b\x1c]")
_AROUND: Final = b"\xef\xbb\xbf \t\r\n\x00\x0b\x1a\x1c"


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages in order; `sender` is BHS-4, else FHS-4; `control_id` BHS-11, else FHS-11; `notes` what differs."""

    messages: tuple[bytes, ...]
    sender: str
    control_id: str
    notes: tuple[str, ...]


def enveloped(body: bytes) -> bool:
    """Does it begin with a batch or file header?"""
    return body[:64].lstrip(_AROUND).startswith((b"FHS", b"BHS"))


def several(body: bytes) -> bool:
    """Does it hold more than one message?"""
    found = _MESSAGE.finditer(body)
    return next(found, None) is not None and next(found, None) is not None


def opened(body: bytes) -> Batch | None:
    """None for what is one message or none. Raises Permanent for a batch of more than 100,000 messages."""
    if not enveloped(body) and not several(body):
        return None
    lines = [(found[1].decode(), found[2]) for found in _ENVELOPE.finditer(body)]
    messages = tuple(_messages(body))
    if len(messages) > MESSAGES_LIMIT:
        raise Permanent(f"more than {MESSAGES_LIMIT} messages in a batch", place="message", remedy="send it in parts")
    heads = [fields for name in ("BHS", "FHS") for fields in (_first(lines, name),) if fields]
    return Batch(
        messages,
        sender=next((each[4] for each in heads if each[4]), ""),
        control_id=next((each[11] for each in heads if each[11]), ""),
        notes=tuple(_notes(lines, len(messages))),
    )


def enclosed(messages: Sequence[bytes], *, sender: str = "", control_id: str = "", moment: str = "") -> bytes:
    """A file with one batch of these messages, which are in one charset: FHS BHS … BTS FTS, with their counts. `sender`
    (FHS-4, BHS-4) and `control_id` (FHS-11, BHS-11) are ASCII; `moment` is YYYYMMDDHHMMSS."""
    head = f"^~\\&|HUTONG|{escape(sender)}|||{moment}||||{escape(control_id)}".rstrip("|")
    whole = b"".join(each.rstrip(b"\r\n") + b"\r" for each in messages)
    return b"".join((
        f"FHS|{head}\rBHS|{head}\r".encode(), whole, f"BTS|{len(messages)}\rFTS|1\r".encode(),
    ))  # fmt: skip


def _messages(body: bytes) -> Iterator[bytes]:
    """Each message as it stands, without the envelope and framing around it."""
    starts = [found.start() for found in _MESSAGE.finditer(body)]
    for start, end in pairwise([*starts, len(body)]):
        yield _AFTER.sub(rb"\1", _FRAMING.sub(b"", _ENVELOPE.sub(b"", body[start:end])))


def _first(lines: list[tuple[str, bytes]], name: str) -> list[str]:
    """The fields of the first header of this name by HL7 number; [] when there is none."""
    found = next((rest for each, rest in lines if each == name), None)
    if found is None:
        return []
    values = [each.decode("ascii", "replace").partition("^")[0] for each in found.split(found[:1] or b"|")]
    return (["", *values] + [""] * 12)[:13]


def _notes(lines: list[tuple[str, bytes]], count: int) -> Iterator[str]:
    batches = sum(name == "BHS" for name, _ in lines)
    said = [number for name, rest in lines if name == "BTS" and (number := _number(rest)) is not None]
    if said and len(said) >= batches and sum(said) != count:
        yield f"BTS-1: the batch holds {count} messages, its trailer says {sum(said)}"
    files = next((number for name, rest in lines if name == "FTS" and (number := _number(rest)) is not None), None)
    if files is not None and files != batches:
        yield f"FTS-1: the file holds {batches} batches, its trailer says {files}"
    names = {name for name, _ in lines}
    for head, trailer in (("FHS", "FTS"), ("BHS", "BTS")):
        if head in names and trailer not in names:
            yield f"{trailer}: the end of the batch is missing; messages may have been lost on the way"
    if lines and not count:
        yield "MSH: the batch holds no message"


def _number(rest: bytes) -> int | None:
    text = rest[1:].split(rest[:1] or b"|")[0].strip()
    return int(text) if text.isdigit() and len(text) < 10 else None
