"""The engines as a test meets them: both hold the same promises, so the same tests run on both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from gateway.db import address
from gateway.db.engine import Engine
from gateway.db.sqlite import SqliteEngine

if TYPE_CHECKING:
    from conformance.databases import Server


class Engines(Protocol):
    """Opens databases; the same folder and schema mean the same database."""

    kind: str

    def open(self, folder: Path, schema: str, *, busy_seconds: float = 10.0) -> Engine: ...

    def code(self, folder: Path, schema: str) -> str:
        """Lines of Python that open it as `engine`, for another process."""
        ...


class Sqlite:
    kind = "sqlite"

    def open(self, folder: Path, schema: str, *, busy_seconds: float = 10.0) -> Engine:
        return SqliteEngine(folder / f"{schema}.sqlite", schema=schema, busy_seconds=busy_seconds)

    def code(self, folder: Path, schema: str) -> str:
        path = str(folder / f"{schema}.sqlite")
        return f"from gateway.db.sqlite import SqliteEngine\nengine = SqliteEngine({path!r}, schema={schema!r})\n"


class Postgresql:
    kind = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url

    def address(self, folder: Path) -> str:
        """The database of a folder."""
        return f"{self.url}?namespace=t{hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()}"

    def open(self, folder: Path, schema: str, *, busy_seconds: float = 10.0) -> Engine:
        from gateway.db.postgresql import PostgresqlEngine

        return PostgresqlEngine(address.read(self.address(folder)), schema=schema, busy_seconds=busy_seconds)

    def code(self, folder: Path, schema: str) -> str:
        return (
            "from gateway.db import address\nfrom gateway.db.postgresql import PostgresqlEngine\n"
            f"engine = PostgresqlEngine(address.read({self.address(folder)!r}), schema={schema!r})\n"
        )


SQLITE_ONLY = pytest.mark.parametrize("engines", ["sqlite"], indirect=True)  # what it asks is SQLite's own
BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


def _running() -> Iterator[Server]:
    from conformance import databases

    try:
        running = databases.postgresql()
        found = running.__enter__()
    except databases.Unavailable as error:
        pytest.skip(str(error))
    yield found
    running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A server for all tests; started by the first that needs it."""
    yield from (Postgresql(server.url) for server in _running())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One of a module's own, to be stopped and started."""
    yield from _running()


@pytest.fixture(scope="session", params=BOTH)
def engines(request: pytest.FixtureRequest) -> Engines:
    return Sqlite() if request.param == "sqlite" else request.getfixturevalue("postgresql")
