"""What local segments said, kept beside the record: which messages hold a value, and what those messages became.

The search parameter `local-field` of every type (`DiagnosticReport?local-field=ZLB-1|2H`) reads it; no map is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.db.engine import Reader, Transaction
from gateway.errors import Permanent
from gateway.fhir.normal import normal

PARAMETER: Final = "local-field"
FORGET = "DELETE FROM local_field WHERE entry = ?"
NOTE = "INSERT INTO local_field (value, name, entry) VALUES (?, ?, ?) ON CONFLICT (value, name, entry) DO NOTHING"
LINK = """
    INSERT INTO local_resource (entry, rid) SELECT ?, rid FROM resource WHERE type = ? AND id = ?
    ON CONFLICT (entry, rid) DO NOTHING
"""
INSIDE = """
    SELECT s.rid FROM local_field f JOIN local_resource s ON s.entry = f.entry JOIN resource t ON t.rid = s.rid
     WHERE f.value = ? AND (f.name = ? OR f.name LIKE ?) AND t.type = ?
"""
ENTRIES = """
    SELECT DISTINCT entry FROM local_field WHERE value = ? AND (name = ? OR name LIKE ?) AND entry < ?
     ORDER BY entry DESC LIMIT ?
"""
MADE = """
    SELECT r.type, r.id FROM local_resource s JOIN resource r ON r.rid = s.rid
     WHERE s.entry = ? AND r.deleted = 0 ORDER BY r.type, r.id
"""
_NAME: Final = re.compile(r"Z[A-Z0-9]{2}-\d{1,3}(?:\.\d{1,2})?")


def note(transaction: Transaction, entry: int, fields: Iterable[tuple[str, str]], made: Iterable[str]) -> None:
    """The values of one entry's local segments, and the 'Type/id' that it became. Noting twice changes nothing."""
    transaction.execute(FORGET, (entry,))
    for name, value in dict.fromkeys(fields):
        transaction.execute(NOTE, (normal(value), name, entry))
    for reference in dict.fromkeys(made):
        type_, _, id_ = reference.partition("/")
        transaction.execute(LINK, (entry, type_, id_))


def asked(field: str, value: str) -> tuple[str, str, str]:
    """What binds to `value = ? AND (name = ? OR name LIKE ?)`: a field means its components too, no field any of them.
    Raises Permanent."""
    if value and not field:
        return normal(value), "", "Z%"
    if not _NAME.fullmatch(field) or not value:
        remedy = "write the field of a local segment and its value: ZLB-1|2H"
        raise Permanent("this names no local field with a value", place=PARAMETER, remedy=remedy)
    return normal(value), field, field if "." in field else f"{field}.%"


def entries(reader: Reader, field: str, value: str, *, before: int, limit: int) -> list[tuple[int, list[str]]]:
    """The newest entries below `before` that hold this value, each with what it became ('Type/id')."""
    rows = reader.execute(ENTRIES, (*asked(field, value), before, limit))
    return [(entry, [f"{type_}/{id_}" for type_, id_ in reader.execute(MADE, (entry,))]) for (entry,) in rows]
