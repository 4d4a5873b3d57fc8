"""Every format that is written is read again as the same rows: charset, header, widths, records, SOAP strings."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.codec import charset as charsets
from gateway.codec import delimited, fixed_width, fixed_width_writer, ndjson, workbook, xml_tree
from gateway.codec.table import Table
from gateway.errors import Configuration, Permanent
from gateway.formats import files
from gateway.mapping.written_file import WrittenFile
from gateway.model import FileForm, Profile

COLUMNS = ("报告单号", "姓名", "结果", "单位")
ROWS = [
    {"报告单号": "R1", "姓名": "欧阳·买买提", "结果": "=1+1", "单位": "mg/L"},
    {"报告单号": "R2", "姓名": "周玘硚", "结果": "阴性(-)", "单位": ""},
    {"报告单号": "R3", "姓名": "张伟", "结果": "a,b\"c;d|e<f>&g", "单位": "×10^9/L"},
]  # fmt: skip
TABLE = WrittenFile(name="t", columns=COLUMNS, rows=ROWS)
RARE = WrittenFile(name="t", columns=("姓名", "结果"), rows=[{"姓名": "𬭎陂", "结果": "5.60"}])


def read(body: bytes, format: str, profile: Profile) -> list[dict[str, str]]:
    form = profile.file
    layout = fixed_width.declared(form.widths, form.counted, form.header) if form.widths else None
    match format:
        case "workbook":
            table: Table | None = workbook.decode(body)[0]
        case "ndjson":
            table = ndjson.table_of(ndjson.decode(body, profile.charset))
        case "fixed":
            table = fixed_width.decode(body, layout=layout, charset=profile.charset)
        case _:
            table = delimited.decode(body, charset=profile.charset)
    assert table is not None
    return [dict(row) for row in table.rows]


@pytest.mark.parametrize("charset", ["utf-8", "gb18030", "GBK"])
@pytest.mark.parametrize("format", ["delimited", "fixed", "workbook", "ndjson"])
def test_a_table_is_read_as_it_was_written(format: str, charset: str) -> None:
    profile = Profile(charset=charset)
    body = files.encode(TABLE, format, profile)
    assert body == files.encode(TABLE, format, profile)
    assert read(body, format, profile) == ROWS


@pytest.mark.parametrize("counted", ["bytes", "places", "characters"])
def test_declared_widths_are_kept(counted: str) -> None:
    widths = {"姓名": 20, "报告单号": 6, "结果": 20}
    form = FileForm(widths=widths, counted=counted, header=2, titles=("检验结果",))
    profile = Profile(charset="gb18030", file=form)
    body = files.encode(TABLE, "fixed", profile)
    assert body.splitlines()[0].decode("gb18030") == "检验结果"
    assert read(body, "fixed", profile) == [{name: row[name] for name in widths} for row in ROWS]


@pytest.mark.parametrize(("text", "cause"), [("一二三", "6 bytes in a column of 5"), ("a\nb", "line break")])
def test_no_cell_is_cut(text: str, cause: str) -> None:
    with pytest.raises(Permanent) as error:
        fixed_width_writer.encode(("a",), [{"a": "x"}, {"a": text}], widths={"a": 5}, charset="gb18030")
    assert cause in error.value.cause
    assert error.value.place == "line 2, a"


TREE: dict[str, Any] = {
    "单据": [{"号": "1", "患者": {"姓名": "蓝\n小满"}}, {"号": "2", "附件": [{"名": "a"}, {"名": "b"}]}]
}


def test_the_records_of_a_tree_are_lines() -> None:
    body = files.encode(WrittenFile(name="t", each="单据", root=TREE), "ndjson", Profile())
    assert [msgspec.json.decode(line) for line in body.splitlines()] == TREE["单据"]


def test_what_stands_above_the_records_is_never_left_out() -> None:
    with pytest.raises(Permanent, match="no place in its records"):
        files.encode(WrittenFile(name="t", each="单据", root={**TREE, "机构": "J1"}), "ndjson", Profile())
    with pytest.raises(Configuration):
        files.encode(WrittenFile(name="t", each="单据", root=TREE), "fixed", Profile())


@pytest.mark.parametrize("charset", ["GB2312", "utf-8"])
@pytest.mark.parametrize("action", ["", "ExamAppInfo"])
def test_rows_stand_in_the_string_of_a_soap_message(charset: str, action: str) -> None:
    profile = Profile(charset=charset, file=FileForm(rows="ROWS/ROW", operation="HIPMessageServer", action=action))
    body = files.encode(RARE, "xml", profile)
    assert f'encoding="{charset.upper()}"'.encode() in body
    tree = xml_tree.decode(body).root
    call = tree["Envelope"]["Body"]["HIPMessageServer"] if "Envelope" in tree else tree
    assert call.get("action", "") == action
    assert call["message"]["ROWS"]["ROW"] == {"姓名": "𬭎陂", "结果": "5.60"}


@pytest.mark.parametrize("format", ["delimited", "fixed"])
def test_what_a_charset_lacks_is_refused_or_replaced_by_the_rule_of_the_receiver(format: str) -> None:
    form = FileForm(widths={"姓名": 20, "结果": 8}, header=1)
    with pytest.raises(Permanent) as error:
        files.encode(RARE, format, Profile(charset="GBK", file=form))
    assert "U+2CB4E" in error.value.cause
    assert "姓名" in error.value.place
    told: list[str] = []
    profile = Profile(charset="GBK", file=msgspec.structs.replace(form, lacking="〓"))
    body = files.encode(RARE, format, profile, told.append)
    assert read(body, format, profile)[0]["姓名"] == "〓陂"
    assert told == ["row 1, 姓名: U+2CB4E cannot be written in GBK: 〓 stands there"]
    assert charsets.decode(body, "gbk").text.count("〓") == 1


@pytest.mark.parametrize("format", ["json", "ndjson", "xml"])
def test_a_format_with_references_loses_nothing(format: str) -> None:
    told: list[str] = []
    body = files.encode(RARE, format, Profile(charset="GBK", file=FileForm(lacking="〓")), told.append)
    assert told == []
    assert ("&#x2CB4E;" if format == "xml" else r"\ud872\udf4e").encode() in body
