"""Rows that are added to an index, on both engines: what is there stays, and every value comes back as it went."""

from __future__ import annotations

from pathlib import Path

from tests.engines import Engines

COLUMNS = ("parameter", "low", "high", "system", "code", "rid")
INFINITY = float("inf")


def test_values_come_back_and_what_is_there_stays(engines: Engines, tmp_path: Path) -> None:
    odd = 'half "quoted" \\ back\\u0000slash 张, [a] {b} :null \u2028'
    rows = [
        (1, -INFINITY, 5.4, 0, odd, 9),
        (1, 0.1, INFINITY, (1 << 62) + 1, "", 9),
        (1, 1e-300, 1.7976931348623157e308, -1, "mg/L", 9),
    ]
    engine = engines.open(tmp_path, "record")
    try:
        with engine.transaction() as transaction:
            transaction.add("index_quantity", COLUMNS, rows)
            transaction.add("index_quantity", COLUMNS, [*rows, rows[0]])
            transaction.add("index_string", ("parameter", "value", "exact", "rid"), [(1, "a\0b", "", 9)])
        with engine.reading() as reader:
            assert sorted(reader.execute(f"SELECT {', '.join(COLUMNS)} FROM index_quantity")) == sorted(rows)
            assert reader.execute("SELECT value FROM index_string")[0][0] in ("a\0b", "a\u2400b")
    finally:
        engine.close()
