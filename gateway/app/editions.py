"""Editions of the settings and maps: each is copied and checked whole before it is used, and the last good one stays.

`hutong serve` looks every second whether a file of its community's folder has changed. A new edition is taken when the
files have come to rest; one with a mistake is refused, said so, and changes nothing. The worker runs over the copy, so
that it falls back on nothing half-written, whenever it has to start again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from gateway import config, telemetry
from gateway.app.rooms import Channels, read_maps
from gateway.config import codes
from gateway.errors import Configuration
from gateway.formats import Formats

FOLDER = "settings"  # in the data directory
STATE = "state.json"
LIMIT = 20_000  # files that are looked at

Signature = tuple[tuple[str, int, int], ...]  # (file, when it was changed, size)


@dataclass(frozen=True, slots=True)
class Edition:
    """Settings and maps that were checked, and the copy of the community.yaml that they were read from."""

    number: int
    path: Path
    formats: Formats
    channels: Channels


class Editions:
    """The settings of one community over time. Not for several threads."""

    def __init__(self, path: Path, data: Path) -> None:
        self.path = path / "community.yaml" if path.is_dir() else path
        self.home = self.path.parent.resolve()
        self.kept = data / FOLDER
        self._data = data.resolve()
        self._number = 0
        self._taken: Signature = ()
        self._last: Signature = ()

    def first(self) -> Edition | None:
        """The edition to start with; None where settings or maps lie outside the community's folder: those cannot be
        kept, and changes need a new start. Raises Configuration with every mistake."""
        community = config.load(self.path)  # mistakes by the names that people know
        shutil.rmtree(self.kept, ignore_errors=True)
        if not all(Path(folder).resolve().is_relative_to(self.home) for folder in community.map_folders):
            telemetry.logger().warning("maps outside the community's folder: changes need a new start")
            return None
        edition = self._take(self.signature())
        self._tell(problem="")
        return edition

    def next(self, *, at_once: bool = False) -> Edition | None:
        """A new edition, when the files have changed and rest; None when there is none. Raises Configuration for one
        that is wrong, once."""
        found = self.signature()
        resting = at_once or found == self._last
        self._last = found
        if found == self._taken or not resting:
            return None
        self._taken = found
        try:
            edition = self._take(found)
        except Configuration as error:
            named = Configuration(self._named(error.cause), remedy="the edition before stays in use; mend it")
            self._tell(problem=named.cause)
            raise named from None
        self._tell(problem="")
        return edition

    def signature(self) -> Signature:
        """All files that matter, with their times and sizes."""
        found = []
        for file in self._files():
            try:
                status = file.stat()
            except OSError:  # gone meanwhile
                continue
            found.append((str(file.relative_to(self.home)), status.st_mtime_ns, status.st_size))
        return tuple(sorted(found))

    def _files(self) -> Iterator[Path]:
        """The community.yaml, and every settings, map and code list below its folder; nothing of the data directory."""
        found = (file for folder in self._folders() for file in sorted(folder.iterdir()))
        yield from islice((file for file in found if self._matters(file) and file.is_file()), LIMIT)

    def _folders(self) -> Iterator[Path]:
        """The community's folder and all below it, but for hidden ones and the data directory."""
        waiting = [self.home]
        while waiting:
            folder = waiting.pop()
            yield folder
            inside = (each for each in sorted(folder.iterdir()) if each.is_dir() and not each.name.startswith("."))
            waiting.extend(each for each in inside if each != self._data)

    def _matters(self, file: Path) -> bool:
        """Settings, maps, code lists; what members drop into folders here is none of these."""
        if file.suffix == ".csv":
            return file.parent.name == codes.FOLDER
        return file.suffix == ".map" or file.name in (self.path.name, "member.yaml")

    def _take(self, signature: Signature) -> Edition:
        number = self._number + 1
        folder = self.kept / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        for each in self._folders():  # an empty one is named in the settings too
            (folder / each.relative_to(self.home)).mkdir(parents=True, exist_ok=True)
        for name, _, _ in signature:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.home / name, folder / name)
        path = folder / self.path.name
        try:
            formats, channels = read_maps(path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(self.kept / str(number - 2), ignore_errors=True)
        self._number = number
        self._taken = signature
        return Edition(number, path, formats, channels)

    def _named(self, cause: str) -> str:
        """Mistakes by the files that people edit, not by their copies."""
        return cause.replace(f"{self.kept / str(self._number + 1)}/", f"{self.home}/")

    def _tell(self, *, problem: str) -> None:
        """Leaves word for `hutong status`."""
        state = {"edition": self._number, "at": datetime.now(UTC).isoformat(timespec="seconds"), "problem": problem}
        (self.kept / STATE).write_text(json.dumps(state), encoding="utf-8")
        log = telemetry.logger()
        if problem:
            log.error("settings refused", edition=self._number, cause=problem)
        else:
            log.info("settings taken", edition=self._number)
