"""Rows that take something back or correct it, codes that no table knows, and the mark of mutual recognition."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import stateless
from gateway.model import Resource
from tests.mapping import dirty
from tests.mapping.dirty import IMAGING, VISITS, Facts, Row, facts, rows, table
from tests.mapping.house import FIXTURES

HEADER = dirty.laboratory()[0]
TOGETHER = {
    "final": "final",
    "entered-in-error": "corrected",
    "cancelled": "corrected",
    "corrected": "corrected",
    "preliminary": "partial",
}  # a report of which one of four results says so


def with_cells(**cells: str) -> Facts:
    """The first of four results with other cells, also of columns that the file has not."""
    listed: list[Row] = rows(4)
    listed[0].update(cells)
    return facts(table(listed, dict.fromkeys((*HEADER, *cells))))


def statuses(made: Facts, type_: str = "Observation") -> list[str]:
    return [each["status"] for each in made.resources.values() if each["resourceType"] == type_]


@pytest.mark.parametrize(
    ("column", "text", "status"),
    [
        *(("备注", text, "entered-in-error") for text in ("作废", "已作废", "撤销", "已撤销")),
        *(("备注", text, "corrected") for text in ("更正", "已修改", "修正")),
        ("备注", "补报", "final"),
        ("备注", "足跟血", "final"),
        *((column, "1", "entered-in-error") for column in ("作废标志", "撤销标志", "cxbz", "CXBZ")),
        *((column, "0", "final") for column in ("作废标志", "cxbz")),
        ("作廢標誌", "是", "entered-in-error"),
        ("作废标志", "是", "entered-in-error"),
        ("is_valid", "0", "entered-in-error"),
        ("is_valid", "1", "final"),
        ("有效标志", "无效", "entered-in-error"),
        ("结果状态", "已取消", "cancelled"),
        ("结果状态", "更正", "corrected"),
        ("状态", "未审核", "preliminary"),
        *(("作废标志", text, "entered-in-error") for text in ("退费", "D", "9", "-1", "√", "已退费", "Y")),
        *(
            (column, "1", "entered-in-error")
            for column in ("是否取消", "退费标志", "cancel_flag", "IS_DELETED", "冲销标识")
        ),
        *((column, "录入错误", "entered-in-error") for column in ("作废原因", "撤销人")),
        ("作废时间", "2026-03-13 10:00:00", "entered-in-error"),
        *(("作废时间", text, "final") for text in ("1900-01-01", "0000-00-00 00:00:00", "-")),
        *((column, "N", "entered-in-error") for column in ("valid_flag", "是否有效")),
        *((column, "1", "corrected") for column in ("更正标志", "修改标识")),
        *(("状态", text, "cancelled") for text in ("退费", "X")),
        *(
            ("操作类型", text, status)
            for text, status in (("D", "entered-in-error"), ("U", "final"), ("DELETE", "entered-in-error"))
        ),
    ],
)
def test_a_row_that_is_taken_back_or_corrected(column: str, text: str, status: str) -> None:
    made = with_cells(**{column: text})
    assert statuses(made) == [status, "final", "final", "final"]
    assert statuses(made, "DiagnosticReport") == [TOGETHER[status]]
    assert statuses(made, "ServiceRequest") == ["completed"]
    assert made.rejects == ()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        *(
            (text, "entered-in-error")
            for text in ("作废", "（已作废）", "该结果作废", "此报告已撤回。", "删除", "本条废弃!")
        ),
        *((text, "corrected") for text in ("结果已更正", "修改报告", "結果已更正")),
        *((text, "entered-in-error") for text in ("已作廢", "撤銷")),
        ("取消", "cancelled"),
        *((text, "final") for text in ("复查未作废", "建议取消输液后复查", "标本溶血")),
    ],
)
def test_a_remark_is_a_signal_however_it_is_dressed(text: str, status: str) -> None:
    made = with_cells(备注=text)
    assert (statuses(made)[0], made.rejects) == (status, ())


@pytest.mark.parametrize("text", ["原报告作废，以此为准", "昨日结果已撤销，请见新报告"])
def test_a_remark_that_may_mean_another_row_waits_for_a_person(text: str) -> None:
    made = with_cells(备注=text)
    assert [(each.row, "taken back" in each.cause) for each in made.rejects] == [(2, True)]
    assert statuses(made) == ["final"] * 3


@pytest.mark.parametrize(
    ("remarks", "report", "order"),
    [
        (("作废",) * 4, "entered-in-error", "completed"),  # results in error; what was ordered was ordered
        (("取消",) * 4, "cancelled", "revoked"),
        (("更正",) * 4, "corrected", "completed"),
        (("作废", "取消", "作废", "作废"), "corrected", "completed"),
        (("", "", "", "作废"), "corrected", "completed"),
        (("", "更正", "", ""), "corrected", "completed"),
    ],
)
def test_a_report_and_its_order_are_what_all_their_rows_say(remarks: tuple[str, ...], report: str, order: str) -> None:
    listed = [{**row, "备注": text} for row, text in zip(rows(4), remarks, strict=True)]
    made = facts(table(listed))
    assert (statuses(made, "DiagnosticReport"), statuses(made, "ServiceRequest")) == ([report], [order])


@pytest.mark.parametrize(("column", "text"), [("作废标志", "2"), ("退费标志", "部分"), ("是否有效", "待定")])
def test_a_flag_that_only_a_person_can_read_holds_its_row_back(column: str, text: str) -> None:
    made = with_cells(**{column: text})
    assert [(each.row, each.value, each.cell) for each in made.rejects] == [(2, text, False)]
    assert statuses(made) == ["final"] * 3


@pytest.mark.parametrize("column", ["jlzt", "ZT", "记录状态"])
def test_a_state_that_few_rows_have_is_not_taken_for_the_usual_one(column: str) -> None:
    listed = [{**row, column: "7" if at == 2 else "0"} for at, row in enumerate(rows(6))]
    made = facts(table(listed, [*HEADER, column]))
    assert [(each.row, each.column) for each in made.rejects if not each.cell] == [(4, column)]
    assert statuses(made) == ["final"] * 5


def test_a_flag_that_no_line_reads_is_never_passed_over() -> None:
    """A list of visits whose map has no line for it."""
    header = "就诊日期,门诊号,姓名,性别,身份证号,就诊科室,诊断,作废标志"
    text = header + "\n2026-03-01,{},张伟,男,529901197506180318,内科,感冒,{}\n"
    held, kept = (
        stateless.translate(text.format(*each).encode(), name="a.csv", member="liuhe", to="fhir", config=None).rejects
        for each in (("M1", "1"), ("M2", "0"))
    )
    assert ([(each.row, each.column) for each in held], kept) == ([(2, "作废标志")], [])


def test_what_one_flag_denies_another_may_say() -> None:
    made = with_cells(作废标志="0", 撤销标志="1", is_valid="1")
    assert statuses(made)[0] == "entered-in-error"


@pytest.mark.parametrize(
    ("text", "status"), [("撤销", "entered-in-error"), ("更正", "corrected"), ("初步", "preliminary")]
)
def test_a_report_that_is_taken_back(text: str, status: str) -> None:
    listed = [{**row, "报告状态": text} for row in rows(4)]
    made = facts(table(listed, [*HEADER, "报告状态"]))
    assert statuses(made, "DiagnosticReport") == [status]
    assert statuses(made) == [status] * 4


def test_a_report_with_results_that_differ_is_corrected_by_the_flag_at_the_same_time() -> None:
    first = rows(4)
    made = facts(table([*first, {**first[1], "结果": "9.9", "备注": "更正"}]))
    assert statuses(made) == ["final", "final", "final", "corrected"]
    assert [each.row for each in made.rejects] == [3]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("<ZT>2</ZT>", "<ZT>0</ZT>", "cancelled"), ("<ZT>2</ZT>", "<ZT>2</ZT><CXBZ>1</CXBZ>", "cancelled")],
)
def test_a_visit_that_is_taken_back(old: str, new: str, status: str) -> None:
    text = (FIXTURES / VISITS).read_text(encoding="utf-8").replace(old, new, 1)
    made = facts(text.encode(), VISITS)
    assert statuses(made, "Encounter")[0] == status
    assert made.rejects == ()


@pytest.mark.parametrize(
    ("column", "text", "table_"),
    [("性别", "X", "export-sex"), ("就诊类型", "转科", "export-visit"), ("结果状态", "奇怪", "row-state")],
)
def test_a_code_that_no_table_knows_is_told_with_its_cell(column: str, text: str, table_: str) -> None:
    made = with_cells(**{column: text})
    assert [(each.row, each.column, each.value) for each in made.rejects] == [(2, column, text)]
    assert table_ in made.rejects[0].cause


def test_a_word_in_traditional_characters_is_the_code_that_it_is() -> None:
    made = with_cells(就诊类型="門診")
    (visit,) = (each for each in made.resources.values() if each["resourceType"] == "Encounter")
    assert (visit["class"]["code"], made.rejects) == ("AMB", ())


@pytest.mark.parametrize("text", ["男性", "男", "1", "１", "M", "m"])
def test_the_words_for_a_sex(text: str) -> None:
    made = with_cells(性别=text)
    (patient,) = [each for each in made.resources.values() if each["resourceType"] == "Patient"]
    assert (patient["gender"], made.rejects) == ("male", ())


def recognised(made: Facts) -> list[tuple[str, str]]:
    """(name, mark) of the results."""
    return [(_name(each), _mark(each)) for each in made.resources.values() if each["resourceType"] == "Observation"]


def _name(observation: Resource) -> str:
    return str(observation["code"]["text"])


def _mark(observation: Resource) -> str:
    found = (each for each in observation.get("extension", ()) if each["url"] == "urn:hutong:mutual-recognition")
    return next((str(each["valueString"]) for each in found), "")


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        ({"互认标志": "HR"}, "HR"),
        ({"互认标志": "*"}, "HR"),
        ({"互认标志": "是"}, "HR"),
        ({"互认标志": ""}, ""),
        ({"互认标志": "否"}, ""),
        ({"互认标志": "", "项目名称": "*白细胞计数"}, "HR"),
        ({"互认标志": "", "项目名称": "★ 白细胞计数"}, "HR"),
        ({"互认标志": "", "mtuRecMark": "1"}, "HR"),
        ({"互认标志": "苏HR"}, "苏HR"),
    ],
)
def test_mutual_recognition_is_stored_in_one_way(cells: Row, mark: str) -> None:
    made = with_cells(**cells)
    assert recognised(made)[0] == ("白细胞计数", mark)
    assert made.rejects == ()


def test_a_whole_workbook_is_clean() -> None:
    made = facts(Path(FIXTURES / IMAGING).read_bytes(), IMAGING)
    assert made.rejects == ()


VISIT = "就诊流水号,病人ID,姓名,性别,出生日期,身份证号,就诊类别,就诊时间,诊断编码,诊断名称,记录状态,作废标志"


def diagnoses(*marks: str) -> Facts:
    """A visit with a row a diagnosis, each with its mark."""
    person = "V1,300003,张伟,1,19750618,529901197506180318,0,2026031208:00:00"
    lines = [f"{person},I1{at}.x00,诊断{at},0,{mark}" for at, mark in enumerate(marks)]
    return facts("\n".join((VISIT, *lines)).encode(), "visits.csv", "county")


@pytest.mark.parametrize(
    ("marks", "visit", "kept", "rows_"),
    [
        (("", ""), "finished", 2, []),
        (("", "1"), "finished", 1, [3]),
        (("1", ""), "finished", 1, [2]),
        (("", "2"), "finished", 1, [3]),
        (("1", "1"), "cancelled", 2, []),
    ],
)
def test_a_row_of_a_visit_is_not_the_visit(marks: tuple[str, ...], visit: str, kept: int, rows_: list[int]) -> None:
    made = diagnoses(*marks)
    found = [each["resourceType"] for each in made.resources.values()].count("Condition")
    assert (statuses(made, "Encounter"), found, [each.row for each in made.rejects]) == ([visit], kept, rows_)


@pytest.mark.parametrize(("mark", "kept"), [("<CXBZ>1</CXBZ>", 0), ("<YXBZ>0</YXBZ>", 0), ("<CXBZ>0</CXBZ>", 1)])
def test_a_diagnosis_that_is_taken_back_inside_a_visit(mark: str, kept: int) -> None:
    text = (FIXTURES / VISITS).read_text(encoding="utf-8")
    cut = f"{text[: text.index('</JZXX>')]}</JZXX></JZXXLB>".replace("</ZDMC>", f"</ZDMC>{mark}")
    made = facts(cut.encode(), VISITS)
    assert [each["resourceType"] for each in made.resources.values()].count("Condition") == kept
    assert len(made.rejects) == 1 - kept


@pytest.mark.parametrize(("column", "text"), [("检查所见", "-"), ("检查所见", "NULL"), ("阴阳性", "-")])
def test_a_dash_is_no_finding(column: str, text: str) -> None:
    header = "影像号,姓名,性别,检查号,检查类型,检查项目,检查时间,检查所见,诊断意见,阴阳性,报告状态"
    cells = dict(
        zip(
            header.split(","),
            ["I1", "张伟", "男", "C1", "CT", "胸部CT", "2026-03-01", "两肺清晰", "未见异常", "阴性", "已审核"],
            strict=True,
        )
    )
    line = ",".join({**cells, column: text}.values())
    made = facts(f"{header}\n{line}".encode(), "a.csv", "imaging-centre")
    (found,) = (each for each in made.resources.values() if each["resourceType"] == "Observation")
    assert ("valueString" in found, "interpretation" in found) == (column != "检查所见", column != "阴阳性")
