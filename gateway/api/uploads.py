"""Files handed in over HTTP: what they may be called, and whether one came before.

A name is metadata and never a path. A client that got no answer sends the same file again: the same bytes as the last
under their name (and Idempotency-Key, where one is sent) are that file, and answered as before. Once other bytes came
under the name, the earlier ones are new again: a list may be today what it was last week.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_to_bytes

from gateway.api import answer

NAME_LIMIT = 255  # characters
REMEMBERED = 10_000  # names


def safe_name(raw: bytes) -> str:
    """The name at the end of an address, percent-encoded in UTF-8 or GB18030. Refusal 400 for what is no plain name."""
    written = unquote_to_bytes(raw)
    try:
        name = written.decode()
    except UnicodeDecodeError:
        name = written.decode("gb18030", "replace")
    if not name.isprintable() or not name.strip(". ") or len(name) > NAME_LIMIT:
        raise answer.Refusal(400, f"this is no file name: 1 to {NAME_LIMIT} printable characters, not only dots")
    if any(sign in name for sign in '/\\:*?"<>|\ufffd'):
        raise answer.Refusal(400, "this is a path or has signs that no file name holds; send the plain name")
    return name


@dataclass(slots=True)
class Uploads:
    """What came last under each name since the start. Not for several threads."""

    _last: OrderedDict[tuple[str, str, str], tuple[bytes, str]] = field(default_factory=OrderedDict)

    def identity(self, channel: str, name: str, key: str, body: bytes, at: datetime) -> str:
        """What tells this upload from others with the same bytes; the same again for the same upload. `key` is its
        Idempotency-Key, `at` when it arrived."""
        place = (channel, name, key)
        digest = hashlib.sha256(body).digest()
        last = self._last.pop(place, None)
        if last is None:
            identity = f"upload {name} {key}"
        elif last[0] == digest:
            identity = last[1]
        else:
            identity = f"upload {name} {key} {at.isoformat()}"
        self._last[place] = (digest, identity)
        while len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return identity
