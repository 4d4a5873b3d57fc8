"""Rows with fewer cells than their header."""

from __future__ import annotations

import pytest

from gateway.codec.short_rows import Whole

ROWS = [
    ["A1", "张伟", "2026-03-12", "5.6", "HR", ""],
    ["A2", "李秀英", "2026-03-12", "7.1", "", ""],
    ["A3", "陈珅", "2026-03-13", "13.6", "HR", "复查"],
]


@pytest.mark.parametrize(
    "cells",
    [
        ["A4", "王䶮", "2026-03-14", "4.4", "HR"],
        ["A4", "王䶮", "2026-03-14", "4.4"],
    ],
)
def test_what_lacks_is_the_end(cells: list[str]) -> None:
    assert Whole(ROWS, 6).lacks_its_end(cells)


@pytest.mark.parametrize(
    "cells",
    [
        ["A4", "王䶮", "2026-03-14"],  # its value, which no row is without
        ["A4", "2026-03-14", "4.4", "HR", ""],
        ["A4", "王䶮", "4.4", "HR", ""],
        ["A4", "王䶮", "2026-03-14", "HR", "复查"],
        ["A5", "周玘", "2026-03-15", "阴性"],  # a value or a remark
        ["合计"],
        [],
    ],
)
def test_another_cell_lacks(cells: list[str]) -> None:
    assert not Whole(ROWS, 6).lacks_its_end(cells)


def test_without_whole_rows_nothing_tells() -> None:
    assert not Whole([], 3).lacks_its_end(["A", "B"])


def test_where_no_row_has_empty_cells_at_its_end_many_lack_them() -> None:
    rows = [["A1", "5.6", "复查"], *([f"B{at}", "7.1"] for at in range(4))]
    assert Whole(rows, 3).lacks_its_end(["B9", "4.4"])
    assert not Whole([*([f"A{at}", "5.6", "复查"] for at in range(9)), ["B1", "7.1"]], 3).lacks_its_end(["B9", "4.4"])
