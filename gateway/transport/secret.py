"""Secrets that settings name and do not hold: env:NAME, or file:PATH (relative to the data directory)."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.errors import Configuration


def is_there(reference: str) -> bool:
    """Does the variable or the file that it names hold anything? What names none is there itself."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        return bool(os.environ.get(name, "").strip())
    if kind != "file":
        return True
    try:
        return bool(Path(name).read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return False


def secret(reference: str, *, data: Path, place: str) -> str:
    """What the reference stands for, without the line end of a file; "" for "". Raises Configuration, which names the
    variable or the file and never what it holds."""
    kind, _, name = reference.partition(":")
    if not reference:
        return ""
    if kind == "env":
        found = os.environ.get(name, "")
        if not found:
            raise Configuration(f"the environment variable {name} is not set", place=place, remedy="set it")
        return found
    if kind != "file":
        raise Configuration("a secret stands in the settings", place=place, remedy="write env:NAME or file:PATH")
    try:
        return (data / name).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = f"the file {name} cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
        raise Configuration(cause, place=place, remedy="put the secret there, readable for us alone") from None
