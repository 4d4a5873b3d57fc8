"""Columns of fixed width: in bytes of the charset, in places of a terminal, in characters; declared or learned."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import fixed_width
from gateway.codec.fixed_width import BYTES, CHARACTERS, PLACES
from gateway.errors import Permanent

NAMES = ("申请单号", "姓名", "结果", "单位")
WIDTHS = {"申请单号": 12, "姓名": 14, "结果": 9, "单位": 10}
ROWS = [
    ("SQ001", "蓝小满", "6.8", "mmol/L"),
    ("SQ002", "阿依古丽·买买提", "<0.05", "ng/mL"),
    ("SQ003", "郳立新", "", ""),
]
CELLS = st.text(st.sampled_from("ab1.蓝满硚<"), max_size=4)


def places(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def written(rows: list[tuple[str, ...]], widths: list[int], size: Callable[[str], int]) -> str:
    lines = [
        "".join(cell + " " * (width - size(cell)) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]
    return "\r\n".join(lines) + "\r\n"


SIZES = {
    ("gb18030", BYTES): lambda text: len(text.encode("gb18030")),
    ("utf-8", PLACES): places,
    ("utf-8", BYTES): lambda text: len(text.encode()),
    ("gb18030", CHARACTERS): len,
}


@pytest.mark.parametrize(("charset", "unit"), SIZES)
def test_a_declared_layout_is_read(charset: str, unit: str) -> None:
    widths = [12, 26, 9, 10]
    body = written([NAMES, *ROWS], widths, SIZES[charset, unit]).encode(charset)
    layout = fixed_width.declared(dict(zip(NAMES, widths, strict=True)), unit, 1)
    table = fixed_width.decode(body, layout=layout, charset=charset)
    assert table.columns == NAMES
    assert [tuple(row.values()) for row in table.rows] == ROWS
    assert (table.numbers, table.rejects) == ([2, 3, 4], ())


@pytest.mark.parametrize(("charset", "unit"), SIZES)
def test_a_layout_is_learned_from_header_and_blanks(charset: str, unit: str) -> None:
    body = written([NAMES, *ROWS], [16, 28, 9, 10], SIZES[charset, unit]).encode(charset)
    assert fixed_width.is_fixed(body)
    table = fixed_width.decode(body)
    assert table.columns == NAMES
    assert [tuple(row.values()) for row in table.rows] == ROWS


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_what_is_written_is_read(rows: list[tuple[str, str, str]]) -> None:
    size = SIZES["gb18030", BYTES]
    layout = fixed_width.declared({"a": 9, "b": 9, "c": 9})
    table = fixed_width.decode(written(list(rows), [9, 9, 9], size).encode("gb18030"), layout=layout, charset="GB18030")
    assert [tuple(row.values()) for row in table.rows] == [row for row in rows if any(row)]


def test_numbers_that_stand_right_and_a_ruled_header() -> None:
    head = "编号     姓名      结果\n-------- -------- ------\n"
    text = f"{head}A1       蓝小满     6.8\nA2       农海      16.8\nA3       梁艳       0.8\n"
    table = fixed_width.decode(text.encode("gb18030"))
    assert [row["结果"] for row in table.rows] == ["6.8", "16.8", "0.8"]
    assert table.columns == ("编号", "姓名", "结果")


def test_a_line_that_is_too_long_and_a_character_in_two_columns_fail_alone() -> None:
    layout = fixed_width.declared({"a": 4, "b": 5})
    body = "1234蓝满\n123蓝56\n12345678901\n12\n1234567     \n".encode("gb18030")
    table = fixed_width.decode(body, layout=layout, charset="GB18030")
    assert [row["a"] for row in table.rows] == ["1234", "12", "1234"]
    assert [(each.number, each.cause.partition(" (")[0]) for each in table.rejects] == [
        (2, "a character lies in two columns: a, b"),
        (3, "the line is longer"),
    ]


@pytest.mark.parametrize("body", [b"a,b,c\n1,2,3\n4,5,6\n", b"one\ntwo\nthree\n", b"a b c\n1 2 3\n4 5 6\n", b""])
def test_other_texts_are_none(body: bytes) -> None:
    assert not fixed_width.is_fixed(body)


def test_what_cannot_be_told_is_refused_with_a_remedy() -> None:
    with pytest.raises(Permanent) as caught:
        fixed_width.decode(b"one\ntwo\n")
    assert "widths" in caught.value.remedy


def test_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixed_width, "ROWS_LIMIT", 2)
    with pytest.raises(Permanent, match="more than 2 lines"):
        fixed_width.decode(b"1\n2\n3\n", layout=fixed_width.declared({"a": 3}))


def test_titles_above_and_footers_below_are_no_columns() -> None:
    rows = written([NAMES, *ROWS], [16, 28, 9, 10], SIZES["gb18030", BYTES])
    titles, footer = (
        "石桥中心卫生院检验结果\r\n\r\n日期：2026-03-12  科室：全部\r\n",
        "\r\n合计：3 条  制表人：张三\r\n",
    )
    body = (titles + rows + footer).encode("gb18030")
    assert fixed_width.is_fixed(body)
    found = fixed_width.decode(body)
    assert (found.columns, found.numbers[:3]) == (NAMES, [5, 6, 7])
    assert [tuple(row.values()) for row in found.rows[:3]] == ROWS
