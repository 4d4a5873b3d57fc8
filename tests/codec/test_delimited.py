"""Delimited text, in and out."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import delimited, table
from gateway.codec.table import UNSEEN, Reject, clean
from gateway.codec.text_stream import opened
from gateway.errors import HutongError, Permanent

TABLE = "申请单号,姓名,结果\r\nA1,欧阳建国,13.6\r\nA2,张晋,阴性(-)\r\n"


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("newline", ["\r\n", "\n", "\r"])
def test_charset_separator_and_line_end_are_found(codec: str, delimiter: str, newline: str) -> None:
    body = TABLE.replace(",", delimiter).replace("\r\n", newline).encode(codec)
    table = delimited.decode(body)
    assert table.columns == ("申请单号", "姓名", "结果")
    assert table.rows[1] == {"申请单号": "A2", "姓名": "张晋", "结果": "阴性(-)"}
    assert (table.delimiter, table.newline, table.numbers, table.kind) == (delimiter, newline, [2, 3], "delimited")
    assert (table.notes, table.rejects) == ((), ())


def test_header_below_a_title() -> None:
    body = "石桥中心卫生院检验结果,,\n查询日期:2026-03-12,,\n\n" + TABLE.replace("\r\n", "\n")
    table = delimited.decode(body.encode())
    assert table.columns[0] == "申请单号"
    assert table.notes == ("header found in row 4",)
    assert table.numbers == [5, 6]
    assert delimited.decode(body.encode(), header_row=4).rows == table.rows


def test_header_names_are_trimmed_and_made_unique() -> None:
    table = delimited.decode('\u3000姓名 ,结果,,结果,"单\n位 "\na,1,2,3,4\n'.encode())
    assert table.columns == ("姓名", "结果", "#3", "结果#2", "单位")
    assert len(table.notes) == 2


def test_cells_are_trimmed_and_spreadsheet_tricks_undone() -> None:
    table = delimited.decode('号,值,注\n110101199003077571\t,　13.6 ,"=""0123"""\n'.encode())
    assert list(table.rows[0].values()) == ["110101199003077571", "13.6", "0123"]


def test_ragged_and_broken_rows_are_rejects_with_their_number() -> None:
    table = delimited.decode(b'a,b,c\n1,2,3\n1,2\n\n1,2,3,4\n1,2,3,,\n1,"x"y,3\n7,8,9\n')
    assert table.numbers == [2, 8]
    assert [(reject.number, reject.cause.split(":")[0]) for reject in table.rejects] == [
        (3, "2 cells, the header has 3"),
        (5, "4 cells, the header has 3"),
        (6, "5 cells, the header has 3"),  # it may have shifted
        (7, "broken quotes"),
    ]


def test_empty_cells_behind_the_last_column_of_all_rows_are_harmless() -> None:
    table = delimited.decode(b"a,b,c\n1,2,3,\n4,5,6,\n,7,8,9,\n")
    assert table.numbers == [2, 3]
    assert [reject.number for reject in table.rejects] == [4]


def test_some_columns_alone_follow_a_header_in_another_order() -> None:
    body = b"no,name,sex\r\n1,a,m\r\nsex,name,no\r\nf,b,2\r\n"
    table = delimited.stream(opened(body))
    assert table.cells
    assert [*table.cells(["no", "sex"])] == [["1", "m"], ["no", "sex"], ["2", "f"]]


def test_an_open_quote_costs_its_own_row() -> None:
    table = delimited.decode(b'a,b\n1,2\n3,"4\n5,6\n')
    assert table.numbers == [2, 4]
    assert [(each.number, each.cells) for each in table.rejects] == [(3, ("3", '"4'))]


def test_damaged_lines_and_lines_in_another_charset() -> None:
    lines = ["姓名,结果", "张伟,1", "李秀英,2", "王小明,3", "赵桂兰,4"]
    body = [line.encode("gb18030") for line in lines]
    body[2] = lines[2].encode()
    body[3] = body[3].replace(b",", b"\xff,")
    table = delimited.decode(b"\n".join(body))
    assert [row["姓名"] for row in table.rows] == ["张伟", "李秀英", "赵桂兰"]
    assert [(each.number, each.cells[0][-4:]) for each in table.rejects] == [(4, "\\xff")]
    assert table.notes[0] == "lines in utf-8, the others in gb18030: 3"
    body = [line.encode() for line in lines]
    body[3] = body[3].replace(b",", b"\xff,")
    table = delimited.decode(b"\n".join(body))
    assert (table.charset, table.numbers) == ("utf-8", [2, 3, 5])


def test_line_breaks_and_separators_inside_quotes() -> None:
    table = delimited.decode('所见,结论\n"两肺清晰,\n未见异常","正常""\n"\n'.encode())
    assert table.rows == [{"所见": "两肺清晰,\n未见异常", "结论": '正常"\n'}]


def test_one_column_and_control_characters() -> None:
    table = delimited.decode(b"name\nA\x00B\nC\n")
    assert [row["name"] for row in table.rows] == ["AB", "C"]
    assert table.notes == ("1 control characters removed",)


@pytest.mark.parametrize("body", [b"", b"\n\n", b"1,2\n3,4\n", b"\xff\xff\xff"])
def test_no_table(body: bytes) -> None:
    with pytest.raises(Permanent):
        delimited.decode(body)
    with pytest.raises(Permanent):
        delimited.decode(TABLE.encode(), header_row=99)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "ROWS_LIMIT", 2)
    with pytest.raises(Permanent, match="rows"):
        delimited.decode(TABLE.encode())
    monkeypatch.undo()
    monkeypatch.setattr(table, "COLUMNS_LIMIT", 2)
    with pytest.raises(Permanent, match="columns"):
        delimited.decode(TABLE.encode())


def test_rows_streams() -> None:
    stream = io.StringIO("a,b\n" + "1,2\n" * 5_000 + "3\n", newline="")
    items = delimited.rows(stream)
    assert next(items) == delimited.Row(2, {"a": "1", "b": "2"})
    assert stream.tell() < 20_000
    assert isinstance(list(items)[-1], delimited.Reject)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+86", "+86"),
        ("-0.5", "-0.5"),
        ("-", "-"),
        ("+++", "+++"),
        ("++a", "'++a"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("-1e3", "-1e3"),
        ("'=x", "''=x"),
        ("it's", "it's"),
    ],
)
def test_no_cell_is_a_formula(cell: str, written: str) -> None:
    body = delimited.encode(["c", "d"], [{"c": cell}])
    assert list(csv.reader(io.StringIO(body.decode(), newline="")))[1] == [written, ""]


def test_a_charset_that_lacks_a_character() -> None:
    with pytest.raises(Permanent):
        delimited.encode(["姓名"], [], charset="ASCII")
    assert delimited.encode(["姓名"], [], charset="GBK", newline="\n") == "姓名\n".encode("gb18030")


CELL = st.text(st.characters(codec="utf-8"), max_size=20).map(
    lambda text: clean("".join(c for c in UNSEEN.sub("", text) if c in "\n" or (c >= " " and c != "\x7f")))
)


@given(
    st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8),
    st.sampled_from(",\t;|"),
    st.sampled_from(["utf-8", "GB18030"]),
)
def test_what_is_written_is_read_again(drawn: list[tuple[str, str]], delimiter: str, charset: str) -> None:
    columns = ["编号", "甲", "乙"]
    data = [
        {"编号": f"n{index}", "甲": first, "乙": second}
        for index, (first, second) in enumerate(drawn)
        if not (first + second).startswith('="') and not second.startswith('="')
    ]
    body = delimited.encode(columns, data, charset=charset, delimiter=delimiter)
    table = delimited.decode(body, charset=charset, delimiter=delimiter, header_row=1)
    assert table.rows == data
    assert table.rejects == ()


@given(st.binary(max_size=200), st.text(st.sampled_from("a,;\"\t|\r\n1='张"), max_size=60))
def test_anything_is_a_table_or_our_error(body: bytes, text: str) -> None:
    for candidate in (body, text.encode()):
        try:
            table = delimited.decode(candidate)
        except HutongError:
            continue
        assert all(tuple(row) == table.columns for row in table.rows)


def test_a_damaged_line_of_a_long_file_costs_itself_alone() -> None:
    lines = ["姓名,结果", *(f"张伟,{number}" for number in range(2, 1000))]
    body = [line.encode("gb18030") for line in lines]
    body[700] = body[700].replace(b",", b"\xff,")
    table = delimited.stream(opened(b"\n".join(body)))
    items = list(table.items())
    assert [item.number for item in items if isinstance(item, Reject)] == [701]
    assert len(items) == 998
