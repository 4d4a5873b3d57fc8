"""Where a gateway's databases lie: in its data directory (SQLite), or in a PostgreSQL that `database` names.

    postgresql://USER@HOST:PORT/NAME    its password in the environment (PGPASSWORD, PGPASSFILE) or in ~/.pgpass
    env:NAME                            the whole address, with its password, in the environment
    file:PATH                           the same in a file that only we may read
    ?namespace=WORD                     behind the address: several gateways in one database (default: hutong)

The data directory remembers it in its file `database`, so that every command that knows the directory finds them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.errors import Configuration

NAMESPACE: Final = "hutong"
REMEMBERED: Final = "database"
ENVIRONMENT: Final = "HUTONG_DATABASE"
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_REMEDY: Final = "write postgresql://USER@HOST/NAME, or env:NAME or file:PATH where it has a password"


@dataclass(frozen=True, slots=True)
class Address:
    """A PostgreSQL database; `conninfo` may hold a password and is never shown."""

    conninfo: str = field(repr=False)
    namespace: str = NAMESPACE


def read(text: str) -> Address:
    """The address that a setting means. Raises Configuration, which quotes nothing of it."""
    url = _resolved(text.strip())
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise Configuration("this is no address of a PostgreSQL database", place="database", remedy=_REMEDY)
    query = parse_qsl(parts.query, keep_blank_values=True)
    namespace = dict(query).get("namespace", NAMESPACE)
    if not _WORD.fullmatch(namespace):
        remedy = "small letters, digits and _, at most 40"
        raise Configuration("this is no name for a namespace", place="database", remedy=remedy)
    rest = urlencode([pair for pair in query if pair[0] != "namespace"])
    return Address(urlunsplit(parts._replace(scheme="postgresql", query=rest)), namespace)


def _resolved(text: str) -> str:
    """What `env:NAME` or `file:PATH` stands for."""
    kind, _, name = text.partition(":")
    if kind == "env":
        if not os.environ.get(name):
            raise Configuration(f"the environment has no {name}", place="database", remedy="set it to the address")
        return os.environ[name].strip()
    if kind == "file":
        try:
            return Path(name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            remedy = "check the path and the rights"
            raise Configuration("the file of the address cannot be read", place="database", remedy=remedy) from None
    return text


def remembered(data: Path) -> str:
    """The setting that this data directory was last used with; "" for SQLite."""
    try:
        return (data / REMEMBERED).read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def remember(data: Path, text: str) -> None:
    """From now on the databases of this data directory lie there; "" for SQLite. Readable by its owner only."""
    path = data / REMEMBERED
    if not text:
        path.unlink(missing_ok=True)
        return
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        os.fsync(file.fileno())
    fresh.replace(path)
