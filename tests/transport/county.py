"""The views of the invented county hospital in any database, and what they are known to say."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from gateway.transport import database

FIXTURES = Path(__file__).parent.parent / "mapping" / "fixtures"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "his_view.expected.json").read_text(encoding="utf-8"))
SCRIPT = (FIXTURES / "his_view.sql").read_text(encoding="utf-8")


def statements() -> list[str]:
    """One by one; a semicolon inside a text ends none."""
    found, pending = [], ""
    for line in SCRIPT.splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            found.append(pending.strip().rstrip(";"))
            pending = ""
    return [each for each in found if re.sub(r"(?m)^--.*\n?", "", each).split()[0] in ("CREATE", "INSERT")]


def load(url: str) -> None:
    """All tables, rows and views."""
    engine = database.engine(url, reading=False)
    mysql = engine.dialect.name in ("mysql", "mariadb")
    raw = engine.raw_connection()  # its cursor takes a text as it stands, per cent signs too
    cursor = raw.cursor()
    for each in statements():  # a key of TEXT needs a length in MySQL
        cursor.execute(re.sub(r"\bTEXT\b", "VARCHAR(700)", each) if mysql and " TABLE " in each else each)
    raw.commit()
    raw.close()
    engine.dispose()
