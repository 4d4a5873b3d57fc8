"""The folder sender: a delivery becomes one whole file, or none; the same delivery twice is the same file once.

The receiver sees a name appear by a rename, never a file that grows. The name comes from the idempotency key, so a
second attempt writes over the first. If the receiver moved the file away before a second attempt (after a crash between
the rename and our note of it), it appears again under the same name: the receiver recognises it by that.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import Transient
from gateway.model import Delivery, Receipt

SUFFIXES = {
    "hl7v2": ".hl7", "fhir": ".json", "json": ".json", "ndjson": ".ndjson", "xml": ".xml", "delimited": ".csv",
    "fixed": ".txt", "workbook": ".xlsx",
}  # fmt: skip
NAME_LIMIT = 100  # characters
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class FolderSender:
    """Writes into one folder, which it makes where it is missing. `format` is the codec's name and gives the ending;
    `pattern`: how the receiver wants its files to be called."""

    parallel = 1

    def __init__(self, folder: Path, *, format: str = "fhir", pattern: str = "") -> None:
        self._folder = folder
        self._format = format
        self._pattern = pattern

    async def send(self, body: bytes, delivery: Delivery) -> Receipt:
        """Durable (file and folder fsynced) when it returns. Raises Transient when the disk or the share fails."""
        name = named(delivery, self._format, self._pattern)
        try:
            await asyncio.to_thread(_write, self._folder, name, body)
        except OSError as error:
            cause = f"the file cannot be written ({error.strerror or type(error).__name__})"
            remedy = "check the folder, its rights and its space"
            raise Transient(cause, place=str(self._folder), remedy=remedy) from error
        return Receipt(at=datetime.now(UTC), code="written")

    async def close(self) -> None:
        """Nothing to give back."""


def named(delivery: Delivery, format: str, pattern: str) -> str:
    """The name of a delivery's file: the receiver's pattern with its key, which no other one has; nothing else of it
    stands there. Where the pattern has no ending, the format's."""
    name = (pattern or "{key}").replace("{key}", file_name(delivery.idempotency or str(delivery.id)))
    return name if "." in pattern else name + SUFFIXES.get(format, ".dat")


def file_name(key: str) -> str:
    """A safe name without ending: the key itself, or a cleaned part of it and a hash where it had to be changed."""
    clean = _UNSAFE.sub("_", key).strip("._")[:NAME_LIMIT]
    if clean == key:
        return key
    return f"{clean or 'delivery'}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _write(folder: Path, name: str, body: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    if target.is_file() and target.read_bytes() == body:
        return
    temporary = folder / f".{name}.part"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
