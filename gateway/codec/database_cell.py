"""Values as a database driver gives them → cells of text: all digits, the clock of a midnight, no padding, no mojibake.

Chinese systems keep GBK in columns that their database takes for latin1 or for bytes. What is bytes is read as UTF-8
or, where it is none, as GB18030; what a driver has read as latin1 is read again only where a person has said so,
since `37°C` in a proper column would be two other characters in GBK.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.codec.cell import shown
from gateway.codec.table import clean


def cell(value: Any, stored: str = "") -> str:
    """The text of a value; "" for NULL. `stored`: the Python codec of text in latin1 or binary columns, "" where the
    database knows its own. Bytes that are no text come in base64."""
    match value:
        case None:
            return ""
        case str():
            return clean(_again(value, stored) if stored else value)
        case bool() | float():
            return shown(value)
        case int():
            return str(value)  # a database keeps the digits that a spreadsheet rounds
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(" ")
        case timedelta():  # a time of day in MySQL
            seconds = int(value.total_seconds())
            return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        case bytes() | bytearray() | memoryview():
            return _text(bytes(value), stored)
        case _:
            return shown(value) or clean(str(value))


def _text(value: bytes, stored: str) -> str:
    for codec in (stored,) if stored else ("utf-8", "gb18030"):
        try:
            return clean(value.decode(codec))
        except UnicodeDecodeError:
            continue
    return base64.b64encode(value).decode()


def _again(text: str, stored: str) -> str:
    """Text that was read as latin1, read as what it is; as it stands where it cannot have been that."""
    if text.isascii():
        return text
    try:
        return b"".join(map(_byte, text)).decode(stored)
    except UnicodeError:
        return text


def _byte(character: str) -> bytes:
    """The one byte of a character: MySQL's latin1 is Windows-1252 where that has one, else ISO 8859-1."""
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")
