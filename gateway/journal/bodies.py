"""Where large files lie: beside the journal's database, each once, under the SHA-256 of its bytes.

They are on the disk before their entry is, so that no entry lacks its bytes; a crash in between leaves a file that the
next arrival of the same bytes uses.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.codec.text_stream import LARGE, Opened, file
from gateway.errors import Transient
from gateway.model import BODIES, Frame

BROUGHT_SECONDS = 3600.0  # after which a file that was brought is an entry, or its sender sends it again
ARRIVING = "arriving"  # files that are being brought


@dataclass(frozen=True, slots=True)
class Bodies:
    """The folder of one data directory."""

    data: Path

    def path(self, digest: str) -> Path:
        """Where the bytes of this digest lie."""
        return self.data / BODIES / digest[:2] / digest

    def opened(self, digest: str) -> Opened:
        """The bytes, from the first one on."""
        return file(self.path(digest))

    def whole(self, frame: Frame) -> Frame:
        """The frame with its bytes in memory."""
        return replace(frame, body=self.path(frame.stored).read_bytes(), stored="") if frame.stored else frame

    def keep(self, frame: Frame) -> Frame:
        """The frame with its bytes on disk, where it is a large one; durable when this returns. A file that was brought
        is moved. Raises Transient when the disk cannot take it."""
        if frame.file is None and len(frame.body) < LARGE:
            return frame
        try:
            return self._kept(frame)
        except OSError as error:
            cause = f"a large file could not be written down ({error.strerror or type(error).__name__})"
            remedy = "free some space; work goes on by itself"
            raise Transient(cause, place="journal", remedy=remedy) from error

    def _kept(self, frame: Frame) -> Frame:
        source = frame.file or self._written(frame.body)
        with source.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            os.fsync(opened.fileno())
        size = source.stat().st_size
        target = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.utime(target)  # it is needed again: see drop
            source.unlink()
        except FileNotFoundError:
            source.rename(target)
        for folder in (target.parent, target.parent.parent):
            _sync(folder)
        return replace(frame, body=b"", file=None, stored=digest, size=size)

    def drop(self, digest: str) -> bool:
        """The bytes of entries that are gone. False where they are not there, or were brought again just now: between
        being brought and being written down as an entry, nothing else tells that they are needed."""
        target = self.path(digest)
        leaving = self.arriving(f"leaving-{digest}")
        try:
            target.rename(leaving)
        except FileNotFoundError:
            return False
        if time.time() - leaving.stat().st_mtime < BROUGHT_SECONDS:
            leaving.rename(target)
            return False
        leaving.unlink()
        return True

    def _written(self, body: bytes) -> Path:
        path = self.arriving(f"{os.getpid()}-{id(body):x}")
        path.write_bytes(body)
        return path

    def arriving(self, name: str) -> Path:
        """Where a file may be brought to that is not known yet."""
        folder = self.data / BODIES / ARRIVING
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / name


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some file systems know no fsync of folders
        os.fsync(descriptor)
    os.close(descriptor)
