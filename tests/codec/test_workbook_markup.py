"""Pages and XML under the name .xls: read as the workbooks that they stand for."""

from __future__ import annotations

import pytest

from gateway.codec import workbook
from gateway.errors import Permanent
from gateway.stateless import channel_of

HEAD = '<html><head><meta http-equiv="Content-Type" content="text/html; charset={}"></head><body>'
PAGE = (
    "<table><tr><td colspan=3>石桥中心卫生院检验结果</td></tr><tr><th>申请单号</th><th>姓名</th><th>结果</th></tr>"
    '<tr><td rowspan="2">A1</td><td>张&nbsp;&amp;晋</td><td>13.6</td></tr>'
    "<tr><td>欧阳建国</td><td>阴性<br>(-)</td></tr>"
    "<tr><td>A2</td><td></td><td> 5.0 </td></tr></table></body></html>"
)
EXCEL = """<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"
 xmlns:x="urn:schemas-microsoft-com:office:excel">
<Worksheet ss:Name="检验"><Table><Row><Cell><Data ss:Type="String">申请单号</Data></Cell>
<Cell><Data ss:Type="String">姓名</Data></Cell><Cell><Data ss:Type="String">时间</Data></Cell></Row>
<Row ss:Index="3"><Cell ss:MergeDown="1"><Data ss:Type="String">A1</Data></Cell>
<Cell ss:Index="3"><Data ss:Type="DateTime">2026-03-12T08:30:00.000</Data></Cell></Row>
<Row><Cell ss:Index="2"><Data ss:Type="String">张晋</Data></Cell>
<Cell><Data ss:Type="DateTime">2026-03-12T00:00:00.000</Data></Cell></Row></Table></Worksheet>
<Worksheet ss:Name="旧"><Table><Row><Cell><Data ss:Type="String">密</Data></Cell></Row></Table>
<x:WorksheetOptions><x:Visible>SheetHidden</x:Visible></x:WorksheetOptions></Worksheet></Workbook>"""


@pytest.mark.parametrize(
    "body",
    [
        (HEAD.format("gb2312") + PAGE).encode("gb18030"),
        (HEAD.format("utf-8") + PAGE).encode("utf-8-sig"),
        PAGE.encode(),
        (
            "<!DOCTYPE html>\n"
            + HEAD.format("GBK")
            + PAGE.upper().replace("&NBSP;", "&nbsp;").replace("&AMP;", "&amp;")
        ).encode("gb18030"),
    ],
)
def test_a_page_is_read_as_its_table(body: bytes) -> None:
    (table,) = workbook.decode(body)
    assert table.columns == ("申请单号", "姓名", "结果")
    assert table.rows == [
        {"申请单号": "A1", "姓名": "张 &晋", "结果": "13.6"},
        {"申请单号": "A1", "姓名": "欧阳建国", "结果": "阴性\n(-)"},
        {"申请单号": "A2", "姓名": "", "结果": "5.0"},
    ]
    assert table.numbers == [3, 4, 5]
    assert channel_of(body, "export.xls").format == "workbook"


def test_of_tables_in_one_another_the_innermost_holds_the_records() -> None:
    body = f"<html><table><tr><td>菜单</td><td>{PAGE[: PAGE.index('</body>')]}</td></tr></table></html>".encode()
    (table,) = workbook.decode(body)
    assert (table.columns, len(table.rows)) == (("申请单号", "姓名", "结果"), 3)


def test_the_xml_of_excel_2003_is_a_workbook() -> None:
    (table,) = workbook.decode(EXCEL.encode())
    assert table.rows == [
        {"申请单号": "A1", "姓名": "", "时间": "2026-03-12 08:30:00"},
        {"申请单号": "A1", "姓名": "张晋", "时间": "2026-03-12"},
    ]
    assert (table.sheet, table.numbers) == ("检验", [3, 4])
    assert "the hidden sheet 旧 was left out" in table.notes
    assert channel_of(EXCEL.encode(), "export.xls").format == "workbook"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"<html><table><tr><td colspan=99999999>a</td></tr></table></html>", "larger than the limit"),
        (b"<table><tr><td rowspan='99999999'>a</td><td>b</td></tr></table>", "larger than the limit"),
        (b"<html><body>" + b"<div>" * 200_000 + b"</body></html>", "no sheet holds a table"),
        (b"<html><body><p>404 Not Found</p></body></html>", "no sheet holds a table"),
        (EXCEL.replace("<Workbook", '<!DOCTYPE Workbook [<!ENTITY a "b">]><Workbook', 1).encode(), "document type"),
        (EXCEL.replace('ss:Index="3"', 'ss:Index="99999999"', 1).encode(), "larger than the limit"),
        (EXCEL[:-40].encode(), "damaged or cut off"),
    ],
)
def test_what_is_no_workbook_of_these_is_refused(body: bytes, cause: str) -> None:
    with pytest.raises(Permanent, match=cause):
        workbook.decode(body)


@pytest.mark.parametrize(
    "text",
    [
        "<Body><rows><row><病人ID>1</病人ID></row></rows></Body>",
        "<?xml version='1.0'?><table><row><XM>a</XM></row></table>",
        "<Head/><html/>",
        "姓名,结果\n<table>,1\n",
        '<Patient xmlns="http://hl7.org/fhir"><text><div xmlns="http://www.w3.org/1999/xhtml"><table><tr/></table></div></text></Patient>',
    ],
)
def test_other_documents_stay_what_they_are(text: str) -> None:
    assert not workbook.is_workbook(text.encode())
