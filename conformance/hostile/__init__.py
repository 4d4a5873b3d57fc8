"""Files that mean harm, one by one in the folders of a running gateway and at its door for uploads: each is refused
with its cause, or passed over as no file; the good file behind it flows on, and time and memory stay bounded.

    python -m conformance.hostile [HOME]
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from conformance.fault import until
from conformance.gateway import Gateway
from conformance.hostile.files import FILES, MIB, File, table

MEMORY = 1024 * MIB  # bytes that the gateway may hold at its worst
SECONDS = 120.0  # until a file is told, and until the good one behind it is there
KINDS = {"csv": "delimited", "xlsx": "workbook", "xls": "workbook", "xml": "xml", "json": "json"}
UPLOAD = "upload"
NO_FILES: dict[str, Callable[[Path], object]] = {
    "a link to a file of the machine": lambda folder: (folder / "link.csv").symlink_to("/etc/passwd"),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe.csv"),
    "a folder with the name of a file": lambda folder: (folder / "folder.csv").mkdir(),
    "a hidden name that leads out": lambda folder: (folder / "..%2f..%2fetc%2fpasswd.csv").write_text("x"),
}
NAMES = ("..%2f..%2fetc%2fpasswd", "%2e%2e", "a%00b.csv", "c:%5ca.csv", "%2fetc%2fpasswd")  # of uploads: 400
CASES = (*FILES, *NO_FILES)


def run(
    home: Path, command: list[str], cases: Iterable[str] = CASES, say: Callable[[str], object] = print
) -> list[str]:
    """What did not hold, a line each. `say` is told what became of each."""
    _settings(home)
    wrong: list[str] = []
    with Gateway(command, home, config=home / "community.yaml") as gateway:
        gateway.start()
        look = _Look(gateway, home, wrong, say)
        for case in cases:
            look.pass_over(case) if case in NO_FILES else look.refuse(case, FILES[case])
        look.names()
        if (home / "etc").exists() or any(home.rglob("hutong-was-here")):
            wrong.append("a member of a zip was written outside")
        say(f"the gateway held {look.worst // MIB} MB at its worst, of {MEMORY // MIB} MB")
    return wrong


def _settings(home: Path) -> None:
    channels: list[dict[str, str]] = []
    for kind, format_ in KINDS.items():
        (home / kind).mkdir()
        folder = {"transport": "files", "folder": str(home / kind), "pattern": f"*.{kind}"}
        channels.append({"id": kind, "format": format_, **folder})
        channels.append({"id": f"{UPLOAD}-{kind}", "format": format_, "transport": "http"})
    lines = "".join(f"      - {json.dumps(channel)}\n" for channel in channels)
    head = (
        "id: hostile\nname: Hostile\nopen: true\nmembers:\n  - id: town\n    name: 镇卫生院\n    facilities: [TOWN]\n"
    )
    (home / "community.yaml").write_text(f"{head}    channels:\n{lines}", "utf-8")


def put(folder: Path, file: File) -> Path:
    """Writes a file beside its name first, as well-behaved programs do."""
    place = folder / os.fsdecode(file.name)
    part = place.with_name(f"{place.name}.part")
    with part.open("wb") as target:
        for piece in file.pieces():
            target.truncate(target.seek(piece, os.SEEK_CUR)) if isinstance(piece, int) else target.write(piece)
    part.replace(place)
    return place


class _Look:
    """At one running gateway."""

    def __init__(self, gateway: Gateway, home: Path, wrong: list[str], say: Callable[[str], object]) -> None:
        self.gateway, self.home, self.wrong, self.say = gateway, home, wrong, say
        self.worst = 0
        self._count = 0

    def pass_over(self, case: str) -> None:
        """What is no file of a member."""
        with self._told(case) as found:
            NO_FILES[case](self.home / "csv")
            found.append("passed over")
            before = self._refusals()
            self._behind(case, self.home / "csv")
            if self._refusals() > before:
                self.wrong.append(f"{case}: it was taken for a file")

    def refuse(self, case: str, file: File) -> None:
        """A file in a folder, and at the door."""
        kind = os.fsdecode(file.name).rpartition(".")[2]
        folder = self.home / kind
        with self._told(case) as found:
            before = self._causes()
            place = put(folder, file)
            self._behind(case, self.home / "csv")
            if until(lambda: not place.exists(), SECONDS) < 0:
                self.wrong.append(f"{case}: it still lies in the folder")
            until(self._settled, SECONDS)
            found.append(self._answer(case, folder, place.name, before, file))
        if file.uploaded:
            self._upload(f"{case}, uploaded", kind, file)

    def _upload(self, case: str, kind: str, file: File) -> None:
        with self._told(case) as found:
            body = b"".join(piece for piece in file.pieces() if isinstance(piece, bytes))
            before = self._causes()
            name = urllib.parse.quote(f"own.{kind}")
            status, answer = self.gateway.post(f"/intake/{UPLOAD}-{kind}/{name}", body, "application/octet-stream")
            self._behind(case, self.home / "csv")
            until(self._settled, SECONDS)
            later = [each for each in self._causes() if each not in before]
            text = "; ".join(filter(None, (f"{status} {' '.join(_diagnostics(answer))}", *map(_cause, later))))
            found.append(text)
            if status >= 500 or (file.refused and status < 400 and not later):
                self.wrong.append(f"{case}: it was answered {text}")

    def _answer(self, case: str, folder: Path, name: str, before: list[dict[str, Any]], file: File) -> str:
        """What the sender and the operator are told."""
        beside = folder / "error" / f"{name}.txt"
        later = [each for each in self._causes() if each not in before]
        text = beside.read_text("utf-8-sig").split("\n")[-2].strip() if beside.exists() else ""
        told = "; ".join(dict.fromkeys(filter(None, (text, *map(_cause, later)))))
        if file.refused and not told:
            self.wrong.append(f"{case}: nobody is told of it")
        return told or "taken"

    def names(self) -> None:
        """Uploads whose names are paths."""
        for name in NAMES:
            status, _ = self.gateway.post(f"/intake/{UPLOAD}-csv/{name}", table("NAME"), "text/csv")
            if status not in (400, 404):
                self.wrong.append(f"an upload named {name} was answered {status}")

    def _behind(self, case: str, folder: Path) -> None:
        number = f"G{self._count:03d}"
        self._count += 1
        put(folder, File(name=f"{number}.csv", pieces=lambda: [table(number)]))
        if until(partial(self._there, number), SECONDS) < 0:
            self.wrong.append(f"{case}: the file behind it did not come through")

    def _there(self, number: str) -> bool:
        return self.gateway.count(f"DiagnosticReport?identifier={number}") == 1

    def _settled(self) -> bool:
        return not any(count for state, count in self.gateway.entries().items() if state == "waiting")

    def _causes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for state in ("parked", "refused"):
            found += self.gateway.get(f"/operations/entries?state={state}&limit=1000")["entries"]
        return found

    def _refusals(self) -> int:
        return sum(1 for _ in self.home.glob("*/error/*.txt"))

    @contextlib.contextmanager
    def _told(self, case: str) -> Iterator[list[str]]:
        """What became of a case, in what time and memory."""
        found: list[str] = []
        began = time.monotonic()
        _forget_peaks(self.gateway.process_id)
        yield found
        held, spent = _peak(self.gateway.process_id), time.monotonic() - began
        self.worst = max(self.worst, held)
        if held > MEMORY:
            self.wrong.append(f"{case}: the gateway held {held // MIB} MB")
        self.say(f"{case}: {spent:.1f} s, {held // MIB} MB: {' '.join(found)[:300]}")


def _cause(entry: dict[str, Any]) -> str:
    return str(entry.get("cause") or "")


def _diagnostics(answer: bytes) -> Iterator[str]:
    with contextlib.suppress(ValueError):
        for issue in json.loads(answer).get("issue", ()):
            yield str(issue.get("diagnostics") or issue.get("details", {}).get("text", ""))


def _processes(first: int) -> Iterator[Path]:
    """A process and all that it started (Linux): they share its session."""
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            if place.name.isdigit() and int((place / "stat").read_text().rpartition(")")[2].split()[3]) == first:
                yield place


def _forget_peaks(first: int) -> None:
    for place in _processes(first):
        with contextlib.suppress(OSError):
            (place / "clear_refs").write_text("5")


def _peak(first: int) -> int:
    """Bytes that the processes have held at their worst, each by itself and added; 0 where nothing tells."""
    held = 0
    for place in _processes(first):
        with contextlib.suppress(OSError):
            for line in (place / "status").read_text().splitlines():
                held += int(line.split()[1]) * 1024 if line.startswith("VmHWM:") else 0
    return held
