"""A database in memory that keeps nothing: what is put into it is there until the next thing is."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from gateway.db import migrations
from gateway.db.sqlite import SqliteTransaction

_PLACE: Final = Path("memory")


class Trial(SqliteTransaction):
    """The tables of a schema, empty. For one thread at a time; some 300 KiB."""

    def __init__(self, schema: str) -> None:
        self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=256)
        super().__init__(self._memory, _PLACE)
        self._memory.execute("BEGIN")
        migrations.migrate(self, schema)
        self._memory.execute("COMMIT")
        self._memory.execute("BEGIN")

    def clear(self) -> None:
        """Take out what was put in."""
        self._memory.execute("ROLLBACK")
        self._memory.execute("BEGIN")

    def close(self) -> None:
        """Give back the memory."""
        self._memory.close()
