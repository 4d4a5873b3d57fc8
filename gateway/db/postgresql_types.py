"""What goes between Python and PostgreSQL as it does with SQLite: values both ways, and the driver's errors as ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import psycopg
from psycopg.adapt import AdaptersMap, Buffer, Dumper
from psycopg.types.numeric import Int8BinaryDumper, NumericBinaryLoader, NumericLoader
from psycopg.types.string import StrDumperUnknown

from gateway.db.address import Address
from gateway.db.engine import FEWER, TOO_MUCH
from gateway.errors import HutongError, Permanent, Transient

_AGAIN: Final = "it is tried again"
_WAITS: Final = "work goes on by itself once it answers"
_SAID: Final = {  # by the first letters of SQLSTATE, the longest first (PostgreSQL 15, appendix A)
    "08": ("the database server does not answer", _WAITS),
    "25006": ("the database is read-only", "is this a standby? name the server that takes writes"),
    "25P03": ("the transaction took too long", _AGAIN),
    "28": ("the database does not let us in", "check user and password of the database"),
    "3D000": ("there is no such database", "create it, and give our user the right to create schemas in it"),
    "40": ("two transactions met", _AGAIN),
    "42501": ("the user of the database may not do this", "give it the right to create schemas, and all in them"),
    "53100": ("the disk of the database server is full", "free some space; work goes on by itself"),
    "53200": ("the database server is out of memory", _AGAIN),
    "53300": ("the database server has no connection left", "raise max_connections; work goes on by itself"),
    "53": ("the database server is short of something", _WAITS),
    "55P03": ("the database is locked by another process", "it is tried again; end the other program"),
    "57014": ("a statement took too long", _AGAIN),
    "57P": ("the database server stops or starts", _WAITS),
    "58": ("the disk of the database server failed", _WAITS),
}
_DAMAGED: Final = "XX0"
_encode: Final = msgspec.json.Encoder().encode


class _Integer(Int8BinaryDumper):
    """Every int is a bigint, so that a statement is prepared once whatever the values are."""


class _Truth(Dumper):
    """True and False are 1 and 0."""

    oid = 20

    def dump(self, obj: bool) -> Buffer:
        return b"1" if obj else b"0"


class _Text(StrDumperUnknown):
    """PostgreSQL keeps no NUL in a text: the sign for it stands in its place. Bodies are bytes and stay as they are."""

    def dump(self, obj: str) -> Buffer:
        return (obj.replace("\0", "\u2400") if "\0" in obj else obj).encode()


def rows_of(columns: Sequence[str], rows: Sequence[Sequence[int | float | str]]) -> str:
    """Rows as one JSON array of objects; PostgreSQL reads the texts of numbers without an end."""
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    body = _encode(found)
    if b":null" in body or b"\\u0000" in body:  # infinity, or a text with a NUL; or a text about one of them
        body = _encode([{name: _written(value) for name, value in row.items()} for row in found])
    return body.decode()


def _written(value: float | str) -> int | float | str:
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value.replace("\0", "\u2400") if isinstance(value, str) else value


def _plain(value: Decimal) -> Any:
    """Sums of integers are integers."""
    return int(value) if value == value.to_integral_value() else float(value)


class _Sum(NumericLoader):
    def load(self, data: Buffer) -> Any:
        return _plain(super().load(data))


class _BinarySum(NumericBinaryLoader):
    def load(self, data: Buffer) -> Any:
        return _plain(super().load(data))


def _types() -> AdaptersMap:
    found = AdaptersMap(psycopg.adapters)
    for kind, dumper in ((int, _Integer), (bool, _Truth), (str, _Text)):
        found.register_dumper(kind, dumper)
    found.register_loader("numeric", _Sum)
    found.register_loader("numeric", _BinarySum)
    return found


class _Context:
    """What psycopg asks for values."""

    adapters = _types()
    connection = None


TYPES: Final = _Context()


def place_of(address: Address, schema: str) -> str:
    """What an error says of where: the schema, never a user or a password."""
    return f"postgresql {address.namespace}_{schema}"


def translated(error: psycopg.Error, place: str) -> HutongError:
    """Our error for one of the driver's. Never with the driver's words: they quote values and addresses."""
    state = error.sqlstate or ""
    if state.startswith("54") or (not state and "number of parameters" in str(error)):  # program_limit_exceeded
        return Permanent(TOO_MUCH, place=place, remedy=FEWER)
    if not state and isinstance(error, psycopg.OperationalError):
        state = "28" if "authentication failed" in str(error) else "08"
    for length in (5, 3, 2):
        if said := _SAID.get(state[:length]):
            return Transient(said[0], place=place, remedy=said[1])
    if state.startswith(_DAMAGED):
        return Permanent("the database is damaged", place=place, remedy="restore the last backup")
    name = f"{state or 'no SQLSTATE'} {type(error).__name__}"
    return Permanent(f"the database refused a statement ({name})", place=place, remedy="report this defect")
