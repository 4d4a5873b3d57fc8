"""Values of database drivers as cells."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from gateway.codec.database_cell import cell


@pytest.mark.parametrize(("value", "stored", "text"), [
    (None, "", ""),
    ("  王䶮  \u3000", "", "王䶮"),
    ("0012      ", "", "0012"),  # CHAR padding
    (Decimal("5.60"), "", "5.60"),
    (Decimal("1E+3"), "", "1000"),
    (529901195804120111, "", "529901195804120111"),
    (0.05, "", "0.05"),
    (True, "", "TRUE"),
    (datetime.combine(date(2026, 3, 12), time()), "", "2026-03-12 00:00:00"),
    (datetime(2026, 3, 12, 6, 30, tzinfo=UTC), "", "2026-03-12 06:30:00+00:00"),
    (date(2026, 3, 12), "", "2026-03-12"),
    (time(7, 5), "", "07:05:00"),
    (timedelta(hours=7, minutes=5), "", "07:05:00"),
    ("阳性".encode(), "", "阳性"),
    ("阳性".encode("gb18030"), "", "阳性"),
    (memoryview("阳性".encode("gb18030")), "gb18030", "阳性"),
    (b"\xff\xd8\xff\xe0", "", "/9j/4A=="),
    ("阳性".encode("gb18030").decode("latin-1"), "gb18030", "阳性"),
    ("欧阳€".encode("gb18030").decode("cp1252", "replace"), "", "欧阳€".encode("gb18030").decode("cp1252", "replace")),
    ("37°C", "", "37°C"),
    ("血糖", "gb18030", "血糖"),  # a proper column stays
    (UUID(int=7), "", "00000000-0000-0000-0000-000000000007"),
])  # fmt: skip
def test_a_value_is_the_text_that_people_see(value: Any, stored: str, text: str) -> None:
    assert cell(value, stored) == text


def test_windows_1252_is_what_mysql_calls_latin1() -> None:
    """Bytes 0x80 to 0x9F are € ‚ ƒ … there."""
    raw = "铀".encode("gb18030")
    read = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in raw)
    assert cell(read, "gb18030") == "铀"
