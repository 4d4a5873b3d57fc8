"""HL7 v2 messages in plain lists: what is sent, and what must be found again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CHARSETS = {
    "GB 18030-2000": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "GB2312": "gb18030",
    "UNICODE UTF-8": "utf-8",
}


@dataclass(frozen=True)
class Message:
    """One message; indices are HL7's own. Its charset is that of MSH-18, else UTF-8, else GB18030."""

    name: str
    body: bytes

    @cached_property
    def segments(self) -> list[list[str]]:
        """[name, field 1, field 2, …] of each segment."""
        found = []
        for line in filter(None, self._text().replace("\n", "\r").split("\r")):
            fields = line.split("|")
            found.append([fields[0], "|", *fields[1:]] if fields[0] == "MSH" else fields)
        return found

    def _text(self) -> str:
        head = self.body.partition(b"\r")[0].split(b"|")
        declared = CHARSETS.get(head[17].decode("ascii", "replace").strip() if len(head) > 17 else "")
        for charset in filter(None, (declared, "utf-8", "gb18030")):
            try:
                return self.body.decode(charset)
            except UnicodeDecodeError:
                continue
        return self.body.decode("utf-8", "replace")

    def all(self, segment: str, field: int) -> list[str]:
        """A field of every segment of this name."""
        return [each[field] if len(each) > field else "" for each in self.segments if each[0] == segment]

    def one(self, segment: str, field: int, component: int = 0) -> str:
        """The same of the first; with `component` (from 1) that part of its first repetition."""
        text = next(iter(self.all(segment, field)), "")
        return text if not component else (text.partition("~")[0].split("^") + [""] * component)[component - 1]

    @property
    def kind(self) -> str:
        """'ORU^R01'."""
        return "^".join(self.one("MSH", 9).split("^")[:2])

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.one("MSH", 10)

    @property
    def patient(self) -> str:
        """The patient's first number."""
        return self.one("PID", 3, 1)

    @property
    def name_of_patient(self) -> str:
        """The family name or the whole name, as PID-5.1 holds it."""
        return "".join(self.one("PID", 5, 1).split()) if "\\" not in self.one("PID", 5) else ""

    @property
    def order(self) -> str:
        """The placer's number of a message about one order."""
        return self.one("ORC", 2, 1) or self.one("OBR", 2, 1) if len(self.all("OBR", 1)) == 1 else ""

    @property
    def report(self) -> str:
        """The number under which a report is found."""
        return self.one("OBR", 3, 1) or self.one("ORC", 3, 1) or self.one("OBR", 2, 1)

    @property
    def results(self) -> list[str]:
        """The numbers and texts of OBX-5 that need no interpretation: no operators, no escapes, no marks."""
        kinds = {"NM", "TX", "ST", "FT"}
        found = (each[5].strip() for each in self.segments if each[0] == "OBX" and len(each) > 5 and each[2] in kinds)
        return [text for text in found if text and not set(text) & set('\\~^&<>"()+-↑↓')]


def read(folder: Path) -> list[Message]:
    """The *.hl7 files of a folder by name; line feeds become CR, as senders of real messages write them."""
    found = []
    for path in sorted(folder.glob("*.hl7")):
        body = path.read_bytes().strip(b"\x0b\x1c\r\n").replace(b"\r\n", b"\r").replace(b"\n", b"\r") + b"\r"
        found.append(Message(path.name, body))
    return found
