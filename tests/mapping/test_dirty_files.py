"""Dirt in the workbook, the XML and the forms: what each cell or node then says, and who is told what."""

from __future__ import annotations

import io
import json
from datetime import datetime
from functools import cache
from typing import Any

import openpyxl
import pytest

from gateway.mapping.context import CHINESE_ID
from tests.mapping import dirty
from tests.mapping.dirty import IMAGING, VISITS, Facts, differing, facts
from tests.mapping.house import FIXTURES

SHEET, HEADER = "检查报告", 4
UP = "referral_up.json"
BOOK, XML, FORM = ((FIXTURES / name).read_bytes() for name in (IMAGING, VISITS, UP))
WHEN = datetime(2026, 3, 2, 12)  # noqa: DTZ001 - as a sheet has it


@cache
def clean(name: str) -> Facts:
    made = facts({IMAGING: BOOK, VISITS: XML, UP: FORM}[name], name, "shiqiao" if name == UP else "")
    assert made.rejects == ()
    return made


def book(row: int, **cells: Any) -> Facts:
    workbook = openpyxl.load_workbook(io.BytesIO(BOOK))
    sheet = workbook[SHEET]
    columns = {str(cell.value).replace("\n", ""): cell.column for cell in sheet[HEADER]}
    for name, value in cells.items():
        sheet.cell(row, columns[name]).value = value
    target = io.BytesIO()
    workbook.save(target)
    return facts(target.getvalue(), IMAGING)


def told(made: Facts) -> list[tuple[int, str]]:
    return [(each.row, each.column) for each in made.rejects]


def kinds(name: str, made: Facts) -> set[str]:
    return {each.partition("?")[0] for each in differing(clean(name), made)}


SHEET_CELLS: tuple[tuple[dict[str, Any], set[str], list[tuple[int, str]]], ...] = (
    ({"检查时间": 46083.5}, {"DiagnosticReport", "ImagingStudy", "Observation"}, []),
    ({"检查时间": "2026年3月2日 12时"}, {"DiagnosticReport", "ImagingStudy", "Observation"}, []),
    ({"检查时间": "昨天"}, {"DiagnosticReport", "ImagingStudy", "Observation"}, [(8, "检查时间")]),
    ({"审核时间": datetime(1900, 1, 1)}, {"DiagnosticReport"}, []),  # noqa: DTZ001
    ({"身份证号": 529901197506180334}, {"Patient"}, [(8, "身份证号")]),
    ({"身份证号": "5.29901E+17"}, {"Patient"}, [(8, "身份证号")]),
    ({"身份证号": "529901197506180319"}, {"Patient"}, [(8, "身份证号")]),
    ({"联系电话": 19900000003}, set(), []),
    ({"联系电话": "+86 199-0000-0003"}, set(), []),
    ({"报告状态": "已撤销"}, {"DiagnosticReport", "Observation"}, []),
    ({"报告状态": "更正"}, {"DiagnosticReport", "Observation"}, []),
    ({"报告状态": "奇怪"}, {"DiagnosticReport", "Observation"}, [(8, "报告状态")]),
    ({"检查类型": "热成像"}, {"DiagnosticReport", "ImagingStudy"}, [(8, "检查类型")]),
    ({"危急值": True}, set(), []),
    ({"危急值": False}, {"Observation"}, []),
    ({"危急值": "非危急"}, {"Observation"}, []),
    ({"阴阳性": "看不清"}, {"Observation"}, [(8, "阴阳性")]),
    ({"检查号": None}, {"DiagnosticReport", "ImagingStudy", "Observation", "ServiceRequest"}, [(8, "检查号")]),
    ({"影像号": None}, {"DiagnosticReport", "ImagingStudy", "Observation", "ServiceRequest"}, [(8, "影像号")]),
)  # fmt: skip


@pytest.mark.parametrize(("cells", "changed", "lines"), SHEET_CELLS)
def test_a_cell_of_the_workbook(cells: dict[str, Any], changed: set[str], lines: list[tuple[int, str]]) -> None:
    made = book(8, **cells)
    assert (kinds(IMAGING, made), told(made)) == (changed, lines)
    assert all(each.place == SHEET for each in made.rejects)


def copied(**cells: Any) -> Facts:
    """The workbook with a copy of its sheet, of which row 8 says otherwise."""
    workbook = openpyxl.load_workbook(io.BytesIO(BOOK))
    sheet = workbook.copy_worksheet(workbook[SHEET])
    sheet.title = "副本"
    columns = {str(cell.value).replace("\n", ""): cell.column for cell in sheet[HEADER]}
    for name, value in cells.items():
        sheet.cell(8, columns[name]).value = value
    target = io.BytesIO()
    workbook.save(target)
    return facts(target.getvalue(), IMAGING)


def test_a_sheet_that_is_there_twice_is_taken_once() -> None:
    made = copied()
    assert kinds(IMAGING, made) == set()
    assert {(each.place, each.cause) for each in made.rejects} == {
        ("副本", f"the same as row {number} of {SHEET}, taken once") for number in range(5, 41)
    }


def test_a_later_word_on_another_sheet_stands() -> None:
    made = copied(审核时间="2026-03-20 10:00:00", 诊断意见="更正后的诊断")
    assert kinds(IMAGING, made) == {"DiagnosticReport"}
    assert [(each.place, each.row, each.cause) for each in made.rejects if each.place == SHEET] == [
        (SHEET, 8, "row 8 of 副本 is about the same and newer")
    ]


VISIT_NODES = (
    ("529901197506180318", " 529901 197506180318 ", set(), []),
    ("529901197506180318", "5.29901E+17", set(), [(1, "ZJHM")]),  # another visit of hers tells it
    ("529901197506180318", "529901197506180319", {"Patient"}, [(1, "ZJHM")]),
    ("2026-03-03 08:41:10", "2026年3月3日 上午8:41:10", set(), []),
    ("2026-03-03 08:41:10", "46084.3619212963", set(), []),
    ("2026-03-03 08:41:10", "2026-33-03 08:41:10", {"Encounter", "Observation"}, [(1, "JZKSSJ")]),
    ("<CSRQ>1975-06-18</CSRQ>", "<CSRQ>1900-01-01</CSRQ>", set(), []),
    ("<TW>36.5</TW>", "<TW>３６．５</TW>", set(), []),
    ("<TW>36.5</TW>", "<TW>36.5℃</TW>", set(), []),
    ("<TW>36.5</TW>", "<TW>97.7℉</TW>", {"Observation"}, [(1, "SMTZ/TW")]),
    ("2026-03-03 09:02:00", "2026-03-02 09:02:00", {"Encounter"}, [(1, "JZJSSJ")]),
    ("2026-03-03 09:02:00", "2026-03-02", {"Encounter"}, [(1, "JZJSSJ")]),
    ("2026-03-03 09:02:00", "2026-03-03", {"Encounter"}, []),
    ("<TW>36.5</TW>", "<TW>正常</TW>", {"Observation"}, [(1, "SMTZ/TW")]),
    ("<SSY>128</SSY>", "<SSY>128/78</SSY>", {"Observation"}, [(1, "SMTZ/SSY")]),
    ("<ZT>2</ZT>", "<ZT>0</ZT>", {"Condition", "Encounter", "Observation"}, []),  # what was found at it, too
    ("<ZT>2</ZT>", "<ZT>8</ZT>", {"Encounter"}, [(1, "ZT")]),
    ("<JZLX>1</JZLX>", "<JZLX>7</JZLX>", {"Encounter"}, [(1, "JZLX")]),
    ("<XBDM>1</XBDM>", "<XBDM>男</XBDM>", set(), []),
    ("<JZLSH>LHJZ202603030001</JZLSH>", "<JZLSH/>", {"Condition", "Encounter", "Observation"}, [(1, "JZLSH")]),
)


@pytest.mark.parametrize(("old", "new", "changed", "lines"), VISIT_NODES)
def test_a_node_of_the_visits(old: str, new: str, changed: set[str], lines: list[tuple[int, str]]) -> None:
    text = XML.decode()
    assert old in text
    made = facts(text.replace(old, new, 1).encode(), VISITS)
    assert (kinds(VISITS, made), told(made)) == (changed, lines)


@pytest.mark.parametrize(
    ("declared", "real"), [("UTF-8", "gb18030"), ("GB2312", "gb18030"), ("GB2312", "utf-8"), ("GBK", "utf-8")]
)
def test_the_charset_is_what_the_bytes_are(declared: str, real: str) -> None:
    made = facts(XML.decode().replace('encoding="UTF-8"', f'encoding="{declared}"').encode(real), VISITS)
    assert (kinds(VISITS, made), made.rejects) == (set(), ())


def test_an_end_before_the_beginning_is_left_out_and_told_with_its_cell() -> None:
    made = facts(XML.replace(b"2026-03-03 09:02:00", b"2026-03-02 09:02:00", 1), VISITS)
    (visit,) = [name for name, (_, after) in differing(clean(VISITS), made).items() if "Encounter" in name]
    assert made.resources[visit]["period"] == {"start": "2026-03-03T08:41:10+08:00"}
    assert [(each.column, each.value, each.cause) for each in made.rejects] == [
        ("JZJSSJ", "2026-03-02 09:02:00", "it lies before the beginning; it was left out")
    ]


def test_a_visit_that_comes_twice_and_one_that_is_taken_back_later() -> None:
    text = XML.decode()
    node = text[text.index("<JZXX>") : text.index("</JZXX>") + len("</JZXX>")]
    made = facts(text.replace("</JZXXLB>", f"{node}</JZXXLB>").encode(), VISITS)
    assert (kinds(VISITS, made), told(made)) == (set(), [(31, "")])
    back = node.replace("<ZT>2", "<ZT>0")
    made = facts(text.replace("</JZXXLB>", f"{back}</JZXXLB>").encode(), VISITS)
    assert (kinds(VISITS, made), told(made)) == ({"Condition", "Encounter", "Observation"}, [(1, "")])


def test_a_number_of_another_person_in_a_tree_makes_two_people() -> None:
    made = facts(XML.decode().replace("<BRID>LH000207</BRID>", "<BRID>LH000203</BRID>", 1).encode(), VISITS)
    people = [each for each in made.resources.values() if each["resourceType"] == "Patient"]
    names = {
        one["value"]: each["name"][0]["text"]
        for each in people
        for one in each["identifier"]
        if one["system"] == CHINESE_ID
    }
    assert names["529901197506180318"] == "张伟"
    assert names["529901197912310624"] == "周玘"
    assert told(made) == [(2, "BRID")]


def form(**changes: Any) -> Facts:
    """The first of the forms otherwise."""
    document = json.loads(FORM)
    listed = document["转诊单列表"]
    listed[0] = {**listed[0], **changes}
    return facts(json.dumps(document, ensure_ascii=False).encode(), UP, "shiqiao")


@pytest.mark.parametrize(
    ("changes", "changed", "lines"),
    [
        ({"申请时间": "2026年3月12日 11:30"}, set(), []),
        ({"申请时间": 46093.479166667}, set(), []),
        ({"紧急程度": "特"}, set(), [(1, "紧急程度")]),
        ({"状态": "已撤销"}, {"ServiceRequest", "Task"}, []),
        ({"状态": "作废"}, {"ServiceRequest", "Task"}, []),
    ],
)
def test_a_field_of_a_form(changes: dict[str, Any], changed: set[str], lines: list[tuple[int, str]]) -> None:
    made = form(**changes)
    assert (kinds(UP, made), told(made)) == (changed, lines)


def test_a_form_without_a_number_waits_and_one_that_comes_twice_is_taken_once() -> None:
    made = form(转诊单号="")
    assert told(made) == [(1, "转诊单号")]
    document = json.loads(FORM)
    document["转诊单列表"].append(document["转诊单列表"][0])
    made = facts(json.dumps(document, ensure_ascii=False).encode(), UP, "shiqiao")
    assert (kinds(UP, made), told(made)) == (set(), [(4, "")])


@pytest.mark.parametrize("charset", ["gb18030", "utf-8-sig", "utf-16"])
def test_a_form_in_another_charset(charset: str) -> None:
    made = facts(FORM.decode().encode(charset), UP, "shiqiao")
    assert (kinds(UP, made), made.rejects) == (set(), ())


def task(**changes: Any) -> dict[str, Any]:
    made = form(**changes)
    return next(each for each in made.resources.values() if each["resourceType"] == "Task")


def test_the_papers_of_an_emergency_are_due_in_three_days() -> None:
    emergency = {"先转后补": "是", "转出时间": "2026-03-04 04:30:00"}
    assert task(**emergency)["restriction"]["period"]["end"] == "2026-03-07T04:30:00+08:00"
    said = task(**emergency, 补办手续截止="2026-03-06 00:00:00")
    assert said["restriction"]["period"]["end"] == "2026-03-06T00:00:00+08:00"  # as the form says it
    done = task(**emergency, 补办完成时间="2026-03-05 10:20:00")
    assert done["executionPeriod"] == {"end": "2026-03-05T10:20:00+08:00"}
    assert "restriction" not in task(转出时间="2026-03-04 04:30:00")


def incomplete(**changes: Any) -> list[str]:
    told = (each for each in task(**changes).get("extension", ()) if each["url"] == "urn:hutong:incomplete")
    return [each["valueString"].partition("：")[0] for each in told]


def test_what_a_referral_must_carry_is_told() -> None:
    bare = {"检查检验资料": [], "附件": [], "主要检查结果": ""}
    assert incomplete() == []
    assert incomplete(**bare) == ["UP-1"]
    assert incomplete(**bare, 先转后补="是") == []  # the papers of an emergency follow
    assert incomplete(**{**bare, "主要检查结果": "血钾6.8mmol/L"}) == []
    down = {"转诊方向": "下转", **bare}
    assert incomplete(**down) == ["DOWN-1", "DOWN-1", "DOWN-1"]
    told = {"主要检查结果": "好转", "下一步治疗方案": "氨氯地平", "康复建议": "戒烟"}
    assert incomplete(**{**down, **told}) == []


def halves(text: str, at: int, first: str, second: str) -> bytes:
    return text[:at].encode(first) + text[at:].encode(second)


@pytest.mark.parametrize(("first", "second"), [("utf-8", "gb18030"), ("gb18030", "utf-8")])
def test_two_charsets_in_one_document(first: str, second: str) -> None:
    """A node that another program has put there."""
    text = (FIXTURES / VISITS).read_text(encoding="utf-8")
    made = facts(halves(text, text.index("<JZXX>", len(text) // 2), first, second), VISITS)
    assert made.resources == facts(text.encode(), VISITS).resources
    assert any("some parts are in utf-8" in note for note in made.notes)


@pytest.mark.parametrize(("usual", "other"), [("utf-8", "gb18030"), ("gb18030", "utf-8")])
@pytest.mark.parametrize("column", ["姓名", "审核者", "临床诊断", "项目名称", "标本类型"])
def test_a_cell_in_another_charset_than_its_row(column: str, usual: str, other: str) -> None:
    header, listed = dirty.laboratory()[0], dirty.rows(4)
    cells = [cell.encode(other if name == column else usual) for name, cell in listed[0].items()]
    rest = dirty.table(listed[1:], charset=usual).splitlines(keepends=True)
    body = rest[0] + b",".join(cells) + b"\r\n" + b"".join(rest[1:])
    assert len(header) == len(cells)
    assert facts(body).resources == facts(dirty.table(listed)).resources


@pytest.mark.parametrize("text", ["Иванов", "±", "μmol", "é", "李·αβ"])
def test_words_of_another_script_stay_what_they_are(text: str) -> None:
    listed = [{**row, "临床诊断": text} for row in dirty.rows(2)]
    made = facts(dirty.table(listed, charset="utf-8"))
    (order,) = (each for each in made.resources.values() if each["resourceType"] == "ServiceRequest")
    assert order["reasonCode"] == [{"text": text}]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("姓名", "患者姓名"),
        ("身份证号", "身份证号码"),
        ("结果", "检验结果"),
        ("参考范围", "参考值"),
        ("项目名称", "检验项目"),
        ("异常提示", "高低标志"),
        ("报告时间", "审核时间"),
        ("性别", "性别代码"),
    ],
)
def test_a_column_of_another_name_that_means_the_same(ours: str, theirs: str) -> None:
    header = [theirs if each == ours else each for each in dirty.laboratory()[0]]
    listed = [{theirs if name == ours else name: cell for name, cell in row.items()} for row in dirty.rows(4)]
    assert facts(dirty.table(listed, header)).resources == facts(dirty.table(dirty.rows(4))).resources
