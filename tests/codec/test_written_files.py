"""Files that are written: what a spreadsheet, an XML reader and a program that knows only GBK find in them."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import delimited, held, workbook, workbook_writer, xml_tree, xml_writer
from gateway.codec import json as json_tree
from gateway.codec.table import clean
from gateway.errors import Permanent

CELLS = [
    "=1+1", "+1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "＝1+1", "'=1", "''=1", '="0123"', "-1.5", "+++", "-", "1+",
    "+86 139-0000-0000", "+8613900000000", "529901195804120111", "0101", "5.60", "1E5", "↑", "<0.05", "1月2日", "#N/A",
    "TRUE", "_x0041_", "a\nb", 'say "no"', "a,b;c\td", "周玘^硚|皛", "&<>",
]  # fmt: skip
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=12)
cells = st.lists(st.one_of(texts, st.sampled_from(CELLS)).map(clean), min_size=2, max_size=4)


@given(st.lists(cells, min_size=1, max_size=4))
def test_cells_come_back_from_text_and_workbooks(rows: list[list[str]]) -> None:
    columns = ("号", "姓名", "结果", "注")
    written = [dict(zip(columns, ["1", *row], strict=False)) for row in rows]
    expected = [{name: row.get(name, "") for name in columns} for row in written]
    assert delimited.decode(delimited.encode(columns, written), delimiter=",").rows == expected
    quoted = delimited.encode(columns, written, charset="gb18030", delimiter=";", newline="\n", quoted=True)
    assert delimited.decode(quoted, charset="gb18030", delimiter=";").rows == expected
    (table,) = workbook.decode(workbook_writer.encode(columns, written))
    assert table.rows == expected


def test_no_cell_of_text_runs_as_a_formula() -> None:
    body = delimited.encode(["值"], [{"值": cell} for cell in CELLS]).decode()
    written = [row[0] for row in csv.reader(io.StringIO(body, newline=""))][1:]
    running = [cell for cell in written if cell[:1] in "=+-@＝＋－＠\t\r" and any(map(str.isalpha, cell))]
    assert running == []
    assert [cell for cell in written if cell[0] in "+-"] == ["-1.5", "+++", "-", "+86 139-0000-0000", "+8613900000000"]
    assert not {"=1+1", "+1+1"} & set(written)


def test_every_cell_of_a_workbook_is_text_and_its_bytes_are_the_same() -> None:
    columns, rows = ("号", "值"), [{"号": str(index), "值": cell} for index, cell in enumerate(CELLS)]
    body = workbook_writer.encode(columns, rows, sheet="检验/结果", titles=("石桥中心卫生院检验结果",))
    assert body == workbook_writer.encode(columns, rows, sheet="检验/结果", titles=("石桥中心卫生院检验结果",))
    page = openpyxl.load_workbook(io.BytesIO(body)).active
    assert page.title == "检验 结果"
    assert {(cell.data_type, cell.number_format) for row in page.iter_rows() for cell in row if cell.value} == {
        ("s", "@")
    }
    (table,) = workbook.decode(body)
    assert [row["值"] for row in table.rows] == CELLS


@pytest.mark.parametrize("cell", ["\x01", "x" * 32_768])
def test_what_a_workbook_cannot_hold_is_refused_with_its_place(cell: str) -> None:
    with pytest.raises(Permanent) as refused:
        workbook_writer.encode(["值"], [{"值": "好"}, {"值": cell}])
    assert refused.value.place == "row 3, 值"


# ------------------------------------------------------------------------------------------------ charsets


@pytest.mark.parametrize(
    ("text", "charset", "lacked"),
    [
        ("玘·—硚", "GBK", []), ("䶮µ²€", "GBK", ["²", "µ", "€", "䶮"]), ("䶮µ²€\U0002cb7c", "GB18030", []),
        ("张伟·—℃", "GB2312", []), ("玘張", "GB2312", ["張", "玘"]),
        ("䶮€", "UTF-8", []), ("中é", "ISO-8859-1", ["中"]),
    ],
)  # fmt: skip
def test_a_charset_holds_what_its_own_programs_read(text: str, charset: str, lacked: list[str]) -> None:
    assert held.missing(text, charset) == lacked
    if lacked:
        with pytest.raises(Permanent, match=f"U\\+{ord(lacked[0]):04X}") as refused:
            delimited.encode(["姓名"], [{"姓名": text}], charset=charset)
        assert text not in str(refused.value)
    elif charset.startswith("GB"):
        assert held.encode(text, charset).decode("gb18030") == text


@given(texts)
def test_what_gbk_holds_is_read_by_a_program_that_knows_gbk(text: str) -> None:
    kept = "".join(each for each in text if not held.missing(each, "GBK"))
    assert held.encode(kept, "GBK").decode("gbk") == kept


# ----------------------------------------------------------------------------------------------------- XML


@pytest.mark.parametrize(
    ("charset", "declared"), [("gbk", "GBK"), ("GB2312", "GB2312"), ("", "UTF-8"), ("GB18030", "GB18030")]
)
def test_xml_says_the_charset_that_it_has(charset: str, declared: str) -> None:
    tree = {"DATA": {"@机构": '"甲" & 乙', "行": [{"姓名": "周䶮·张", "注": "a\r\nb <c>"}, {"姓名": ""}], "空": None}}
    body = xml_writer.encode(tree, charset or "utf-8")
    assert body.startswith(f'<?xml version="1.0" encoding="{declared}"?>'.encode())
    text = body.decode(declared).partition("?>")[2]
    root = ElementTree.fromstring(text)
    assert root.attrib["机构"] == '"甲" & 乙'
    assert [each.findtext("姓名") for each in root.iter("行")] == ["周䶮·张", ""]
    read = xml_tree.decode(body).root["DATA"]
    assert (read["行"][0], read["空"]) == ({"姓名": "周䶮·张", "注": "a\r\nb <c>"}, "")


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"A": {"B": [{"C": "好"}, {"C": "\x02"}]}}, "A/B/C"), ({"A": {"1月": "x"}}, "A/1月"),
        ({"A": "", "B": ""}, "A/B"),
        ({"A": {"参考范围(单位)": "x"}}, "A/参考范围(单位)"), ({"A": {"B": [["x"]]}}, "A/B"), ({"A": "￾"}, "A"),
    ],
)  # fmt: skip
def test_what_xml_cannot_say_is_refused_with_its_place(tree: dict[str, object], place: str) -> None:
    with pytest.raises(Permanent) as refused:
        xml_writer.encode(tree)
    assert refused.value.place == place


def test_a_name_that_the_charset_lacks_is_refused() -> None:
    with pytest.raises(Permanent, match="cannot be written in GBK"):
        xml_writer.encode({"䶮": "x"}, "gbk")


trees = st.recursive(
    texts.map(str.strip),
    lambda inner: st.dictionaries(st.sampled_from(["XM", "姓名", "@XH", "DZ"]), inner, min_size=1, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["XM", "姓名", "DZ"]), trees, min_size=1, max_size=3),
    st.sampled_from(["utf-8", "gbk"]),
)
def test_trees_come_back(node: dict[str, object], charset: str) -> None:
    def plain(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {
            name: "@" if name.startswith("@") and isinstance(each, dict) else plain(each)
            for name, each in value.items()
        }

    tree = {"A": plain(node)}
    assert xml_tree.decode(xml_writer.encode(tree, charset)).root == tree
    assert json_tree.decode(json_tree.encode(tree, charset), charset).root == tree
