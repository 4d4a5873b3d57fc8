"""What was mended or is odd in a message: the dialects that real senders speak, by code, place and words.

A note never holds data of the message; `hutong translate` prints it, `hutong sniff` counts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DIALECTS: Final[Mapping[str, str]] = {  # code → what the sender does, and what the standard asks (HL7 v2.5.1 chapter 2)
    "charset": "the charset is undeclared, declared elsewhere, or not the one used; MSH-18 names it (§2.15.9.18)",
    "separators": "MSH-1 and MSH-2 name odd separators or none; |^~\\& are usual (§2.5.4)",
    "framing": "marks of framing or of a file stand around the message; only segments belong in it (§2.5)",
    "line-ends": "segments end with LF or CRLF; a segment ends with CR alone (§2.5.4)",
    "blank-lines": "empty lines stand between segments (§2.5)",
    "segment-name": "segment names are not three capitals (§2.5.2)",
    "indented": "blanks stand before the name of a segment (§2.5.2)",
    "broken-line": "a field holds line breaks; they are written \\.br\\ (§2.7)",
    "residue": "a line is no segment; it is kept, and nothing is made of it (§2.5.2)",
    "control-characters": "control characters stand in the text (§2.7)",
    "cut": "the last segment has no end; the message may be cut (§2.5.4)",
    "event": "MSH-9 does not name its trigger event (§2.15.9.9)",
    "set-id": "set ids are missing or repeated; they count from 1 (§2.A.69)",
    "shifted": "fields stand one place beside their own (§2.5.3)",
    "value-type": "OBX-2 is empty or in small letters; it names the type of OBX-5 (§7.4.2.2)",
    "value-place": "a numeric result stands in OBX-4, which numbers parts of a result (§7.4.2.4)",
    "arrow": "an arrow behind a number says that it is high or low; OBX-8 says so (§7.4.2.8)",
    "separator-in-text": "^ or ~ stands in a text, unit or range; it is written \\S\\ or \\R\\ there (§2.7.1)",
    "time-form": "times are written with signs between; HL7 writes YYYYMMDDHHMMSS (§2.A.22)",
}


@dataclass(frozen=True, slots=True)
class Note:
    """One dialect met: its code of DIALECTS, where ('OBX[2]', 'MSH-18', 'message'), and what was done."""

    code: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text} ({self.code})"
