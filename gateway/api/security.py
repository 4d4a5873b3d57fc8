"""Tokens of the web door: 256 random bits, only their SHA-256 kept, each with a name and a scope.

Scopes are written as in SMART (App Launch 2.0 §3.0.2, v1 `.read` and v2 `.rs`), several with a space between:
`system/*.*` everything, also the two below and raw bodies; `system/Observation.rs`, `system/*.read`;
`intake/*`, `intake/lab`; `operations/*` all operations except reading bodies; `operations/raw` reads bodies.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway import errors
from gateway.db.engine import Engine

PREFIX = "hutong_"  # lets secret scanners find a token that was left somewhere
EVERYTHING = "system/*.*"

_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_SCOPE = re.compile(
    r"system/(\*|[A-Z][A-Za-z]{1,63})\.(\*|read|write|(?=[cruds])c?r?u?d?s?)"
    r"|intake/(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63})"
    r"|operations/(\*|status|entries|replay|metrics|people|raw)"
)
_VERBS = {"*": "cruds", "read": "rs", "write": "cud"}

INSERT = "INSERT INTO token (digest, name, scope, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING name"
FIND = "SELECT digest, name, scope FROM token WHERE digest = ? AND revoked_at IS NULL"
LIST = "SELECT name, scope, created_at, revoked_at FROM token ORDER BY created_at, name"
REVOKE = "UPDATE token SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL RETURNING name"


@dataclass(frozen=True, slots=True)
class Grant:
    """What one valid token allows."""

    name: str
    scopes: tuple[str, ...]
    digest: bytes = field(default=b"", compare=False, repr=False)  # SHA-256 of the token

    def allows(self, kind: str, verb: str) -> bool:
        """Whether resources of this type ('*': every type) may be read (r), searched (s) or the like."""
        return _allow_resource(self.scopes, kind, verb)

    def allows_intake(self, channel: str) -> bool:
        """Whether messages may be handed in on this channel."""
        return any(scope in {EVERYTHING, "intake/*", f"intake/{channel}"} for scope in self.scopes)

    def allows_operation(self, name: str) -> bool:
        """Whether this operation (status, entries, people, …) may be used; raw must be granted by name."""
        wide = {EVERYTHING, f"operations/{name}"} | ({"operations/*"} if name != "raw" else set())
        return any(scope in wide for scope in self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A token as the list shows it: never the token itself."""

    name: str
    scope: str
    created_at: str
    revoked_at: str | None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The table of tokens. Asked anew on every request, so what another process creates or revokes holds at once."""

    engine: Engine

    def create(self, *, name: str, scope: str) -> str:
        """A new token: the only time it can be read. Configuration when the name is taken or the scope is none."""
        name = name.strip()
        if not name or len(name) > 100 or not name.isprintable():
            raise errors.Configuration("a token needs a name of 1 to 100 printable characters", place="--name")
        parse_scope(scope)
        token = PREFIX + secrets.token_urlsafe(32)
        row = (_digest(token), name, " ".join(scope.split()), _now())
        with self.engine.transaction() as transaction:
            made = transaction.execute(INSERT, row)
        if not made:
            remedy = "revoke it first, or choose another name"
            raise errors.Configuration(f"a token named {name!r} exists already", place="--name", remedy=remedy)
        return token

    def find(self, token: str) -> Grant | None:
        """What this token allows; None when it is unknown or revoked. One lookup by primary key, some 20 µs."""
        if not _TOKEN.fullmatch(token):
            return None
        digest = _digest(token)
        with self.engine.reading() as reader:
            rows = reader.execute(FIND, (digest,))
        if not rows or not hmac.compare_digest(bytes(rows[0][0]), digest):
            return None
        return Grant(name=rows[0][1], scopes=tuple(rows[0][2].split()), digest=digest)

    def of_digest(self, digest: bytes) -> Grant | None:
        """What the token with this SHA-256 allows now; None when it is revoked."""
        with self.engine.reading() as reader:
            rows = reader.execute(FIND, (digest,))
        return Grant(name=rows[0][1], scopes=tuple(rows[0][2].split()), digest=digest) if rows else None

    def list(self) -> list[Issued]:
        """All tokens ever made, oldest first."""
        with self.engine.reading() as reader:
            rows = reader.execute(LIST)
        return [Issued(name=row[0], scope=row[1], created_at=row[2], revoked_at=row[3]) for row in rows]

    def revoke(self, name: str) -> None:
        """End a token by its name: the next request with it is refused. Configuration when none has this name."""
        with self.engine.transaction() as transaction:
            ended = transaction.execute(REVOKE, (_now(), name))
        if not ended:
            raise errors.Configuration(f"there is no valid token named {name!r}", remedy="see `hutong token list`")


def parse_scope(text: str) -> tuple[str, ...]:
    """The single scopes of a text. Raises Configuration naming the one that is not understood."""
    scopes = tuple(text.split())
    bad = next((scope for scope in scopes if not _SCOPE.fullmatch(scope)), None)
    if bad is not None or not scopes:
        cause = f"{bad!r} is no scope" if bad else "a token needs a scope"
        remedy = "such as 'system/*.*', 'system/Observation.rs', 'intake/*' or 'operations/*'"
        raise errors.Configuration(cause, place="--scope", remedy=remedy)
    return scopes


@dataclass(slots=True)
class Failures:
    """Counts wrong tokens by client. Past the limit they are answered 429; a right token always comes through."""

    limit: int = 20
    window: float = 60.0  # seconds
    clients: int = 10_000  # how many are remembered
    _seen: dict[str, tuple[float, int]] = field(default_factory=dict)

    def too_many(self, client: str, now: float) -> bool:
        """Count one failure at `now` (monotonic seconds); True when this client failed too often in this window."""
        start, count = self._seen.get(client, (now, 0))
        if now - start >= self.window:
            start, count = now, 0
        self._seen.pop(client, None)
        while len(self._seen) >= self.clients:
            del self._seen[next(iter(self._seen))]
        self._seen[client] = (start, count + 1)
        return count + 1 > self.limit


def readable(grant: Grant, types: Iterable[str]) -> bool:
    """Whether every one of these types may be read."""
    return all(grant.allows(kind, "r") for kind in types)


@functools.lru_cache(maxsize=4096)
def _allow_resource(scopes: tuple[str, ...], kind: str, verb: str) -> bool:
    return any(_allows_resource(scope, kind, verb) for scope in scopes)


def _allows_resource(scope: str, kind: str, verb: str) -> bool:
    area, _, rest = scope.partition("/")
    if area != "system":
        return False
    wanted, _, verbs = rest.rpartition(".")
    return wanted in {"*", kind} and verb in _VERBS.get(verbs, verbs)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
