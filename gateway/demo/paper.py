"""The texts that the demo's systems send, from the files in papers/; and what they read out of what they receive.

Deliberately not the gateway's own codecs: who checks should not lean on what is checked.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

PAPERS = Path(__file__).parent / "papers"


def message(name: str, charset: str) -> bytes:
    """An HL7 v2 message file as its system sends it: CR after each segment, in its charset."""
    lines = (PAPERS / name).read_text("utf-8").splitlines()
    return "".join(f"{line}\r" for line in lines).encode(charset)


def table(name: str, charset: str) -> bytes:
    """A CSV file as its system exports it: CRLF, in its charset."""
    return "\r\n".join([*(PAPERS / name).read_text("utf-8").splitlines(), ""]).encode(charset)


def form(name: str) -> bytes:
    """A JSON form."""
    return (PAPERS / name).read_bytes()


def report_texts() -> list[dict[str, str]]:
    """The states of the imaging report: preliminary, final, corrected."""
    found: list[dict[str, str]] = json.loads((PAPERS / "report-texts.json").read_text("utf-8"))
    return found


def report(**words: str) -> bytes:
    """The Bundle with which the imaging centre reports; `words` fill its blanks."""
    blank = Template((PAPERS / "report.json").read_text("utf-8"))
    quoted = {name: json.dumps(text, ensure_ascii=False)[1:-1] for name, text in words.items()}
    return blank.substitute(quoted).encode()


@dataclass(frozen=True, slots=True)
class Message:
    """A received HL7 v2 message in plain lists; indices are HL7's own."""

    body: bytes
    segments: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, body: bytes, charset: str) -> Message:
        """Strict: raises UnicodeDecodeError when the bytes are not of this charset."""
        segments = []
        for line in filter(None, body.decode(charset).split("\r")):
            fields = line.split("|")
            segments.append(tuple([fields[0], "|", *fields[1:]] if fields[0] == "MSH" else fields))
        return cls(body, tuple(segments))

    def all(self, segment: str, field: int, component: int = 0) -> list[str]:
        """A field of every segment of this name; with `component` (from 1) only that part of it."""
        found = [each[field] if len(each) > field else "" for each in self.segments if each[0] == segment]
        return [_component(text, component) for text in found]

    def one(self, segment: str, field: int, component: int = 0) -> str:
        """The same of the first such segment; "" where there is none."""
        return next(iter(self.all(segment, field, component)), "")


def _component(text: str, number: int) -> str:
    return text if not number else (text.split("^") + [""] * number)[number - 1]


def rows(body: bytes, charset: str) -> list[dict[str, str]]:
    """The rows of a received CSV file."""
    return list(csv.DictReader(io.StringIO(body.decode(charset), newline="")))


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The resources of one type in a Bundle."""
    found = (each.get("resource", {}) for each in bundle.get("entry", ()))
    return [each for each in found if each.get("resourceType") == kind]
