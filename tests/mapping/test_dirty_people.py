"""Whose a record is, and what is said of a person: dirt that would go into the record of another one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import stateless
from tests.mapping import dirty
from tests.mapping.dirty import FORMS, VISITS, Facts, facts, rows, table
from tests.mapping.house import FIXTURES

XML = (FIXTURES / VISITS).read_text(encoding="utf-8")


def visits(*changes: tuple[str, str]) -> Facts:
    text = XML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return facts(text.encode(), VISITS)


def told(made: Facts) -> list[tuple[str, str]]:
    return [(each.column, each.value) for each in made.rejects]


@pytest.mark.parametrize(
    ("old", "new", "column", "value"),
    [
        ("<CSRQ>1975-06-18</CSRQ>", "<CSRQ>1976-06-18</CSRQ>", "CSRQ", "1976-06-18"),
        ("<XBDM>1</XBDM>", "<XBDM>2</XBDM>", "XBDM", "2"),
        ("<ZJLX>01</ZJLX>", "<ZJLX>03</ZJLX>", "ZJHM", "529901197506180318"),
        ("<LXDH>19900000003", "<LXDH>1.99E+10", "LXDH", "1.99E+10"),
        ("<TW>36.5</TW>", "<TW>365</TW>", "SMTZ/TW", "365"),
        ("<MB>76</MB>", "<MB>0</MB>", "SMTZ/MB", "0"),
        ("<SSY>128</SSY>", "<SSY>128↑</SSY>", "SMTZ/SSY", "128↑"),
        ("<GMS>否认</GMS>", "<GMS>无过敏史，青霉素皮试阳性</GMS>", "GMS", "无过敏史，青霉素皮试阳性"),
        ("<ZT>2</ZT>", "<ZT>2</ZT><ZFBZ>1</ZFBZ>", "ZFBZ", "1"),
    ],
)
def test_what_a_person_is_told_of(old: str, new: str, column: str, value: str) -> None:
    assert told(visits((old, new))) == [(column, value)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *((text, "716186003") for text in ("未发现过敏", "无", "否认", "否认任何过敏史")),
        ("否认药物过敏史。", "409137002"),
        ("否认药物及食物过敏史", "409137002"),
        *((text, "") for text in ("-", "/", "不详")),
    ],
)
def test_a_denial_is_no_allergy(text: str, code: str) -> None:
    end = XML.index("</JZXX>") + len("</JZXX>")
    made = facts(XML[:end].replace("<GMS>否认</GMS>", f"<GMS>{text}</GMS>").encode() + b"</JZXXLB>", VISITS)
    found = [each for name, each in made.resources.items() if name.startswith("AllergyIntolerance")]
    assert [each["code"]["coding"][0]["code"] for each in found] == ([code] if code else [])
    assert made.rejects == ()


def test_a_visit_of_another_patient_under_the_same_number_waits() -> None:
    node = XML[XML.index("<JZXX>") : XML.index("</JZXX>") + len("</JZXX>")]
    made = visits((node, node + node.replace("LH000203", "LH000207")))
    assert [(each.row, each.column) for each in made.rejects] == [(2, "BRID")]
    assert made.resources == visits().resources


def test_rows_of_another_patient_under_the_same_report_are_no_newer_word_of_it() -> None:
    listed = rows(30)
    other = next(each["申请单号"] for each in listed if each["病人ID"] != listed[0]["病人ID"])
    made = facts(
        table([{**each, "申请单号": each["申请单号"].replace(other, listed[0]["申请单号"])} for each in listed])
    )
    owner = {each["subject"]["display"] for name, each in made.resources.items() if name.startswith("DiagnosticReport")}
    assert listed[0]["姓名"] in owner
    assert {"about another patient" in each.cause for each in made.rejects} == {True}


@pytest.mark.parametrize("text", ["张\x00伟", "张\x0b伟"])
def test_control_characters_in_xml_are_taken_out(text: str) -> None:
    made = visits(("<XM>张伟</XM>", f"<XM>{text}</XM>"))
    assert made.resources == visits().resources


# ------------------------------------------------------------------------------------------- forms


def forms(**changes: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((FIXTURES / FORMS[0]).read_text("utf-8"))["转诊单列表"]
    listed[0].update(changes)
    return listed


def of_forms(listed: Any, member: str = "shiqiao") -> Facts:
    return facts(json.dumps(listed, ensure_ascii=False).encode(), FORMS[0], member)


@pytest.mark.parametrize(
    ("changes", "order", "task"),
    [
        ({"撤销标志": "1"}, "revoked", "cancelled"),
        ({"作废标志": "是"}, "entered-in-error", "entered-in-error"),
        ({"备注": "（已撤销）"}, "revoked", "cancelled"),
    ],
)
def test_a_form_that_is_taken_back_by_a_flag(changes: dict[str, Any], order: str, task: str) -> None:
    made = of_forms({"转诊单列表": forms(**changes)})
    first = {
        kind: next(each for name, each in made.resources.items() if name.startswith(kind))
        for kind in ("ServiceRequest", "Task")
    }
    assert (first["ServiceRequest"]["status"], first["Task"]["status"]) == (order, task)


def test_forms_that_stand_in_a_list_alone_and_a_text_where_a_record_belongs() -> None:
    assert of_forms(forms()).resources == of_forms({"转诊单列表": forms()}).resources
    assert told(of_forms({"转诊单列表": forms(初步印象="肺炎")})) == [("初步印象", "肺炎")]


def test_the_numbers_of_a_form_belong_to_the_institution_that_wrote_it() -> None:
    made = of_forms({"转诊单列表": forms()}, "county")
    systems = {each["identifier"][0]["system"] for name, each in made.resources.items() if name.startswith("Encounter")}
    assert all(system.startswith("urn:hutong:id:12529901MB99") and "9900013D" not in system for system in systems)


def test_an_order_of_a_visit_that_nobody_shows_waits() -> None:
    columns = ["申请单号", "就诊流水号", "申请类别", "项目代码", "项目名称", "申请时间", "状态"]
    body = table(
        [dict(zip(columns, ["A1", "V1", "LIS", "0101", "血常规", "2026-03-12 08:00", "1"], strict=True))], columns
    )
    made = stateless.translate(body, name="orders.csv", member="county", to="fhir", config=None)
    assert [(each.row, "nothing tells whose it is" in each.cause) for each in made.rejects] == [(2, True)]
    assert json.loads(made.output).get("entry", []) == []


NEWBORN = [row for row in dirty.rows(118) if row["姓名"].endswith("之女")]
MOTHER = next(row for row in dirty.rows(118) if row["姓名"] == NEWBORN[0]["姓名"].removesuffix("之女"))


def patients_of(made: Facts) -> list[tuple[str, str, list[str]]]:
    found = (each for each in made.resources.values() if each["resourceType"] == "Patient")
    return [
        (each["name"][0]["text"], each.get("birthDate", ""), [one["value"] for one in each["identifier"]])
        for each in found
    ]


def test_a_newborn_has_no_identity_card_and_not_the_day_of_birth_of_the_mother() -> None:
    made = facts(dirty.table([{**NEWBORN[0], "身份证号": MOTHER["身份证号"]}]))
    assert patients_of(made) == [("刘桂花之女", "", [NEWBORN[0]["病人ID"]])]
    assert [(each.column, each.cell) for each in made.rejects] == [("身份证号", True)]


@pytest.mark.parametrize("card", ["", MOTHER["身份证号"]])
def test_results_of_a_newborn_under_the_number_of_the_mother_are_not_hers(card: str) -> None:
    baby = {**NEWBORN[0], "病人ID": MOTHER["病人ID"], "身份证号": card}
    made = facts(dirty.table([MOTHER, baby]))
    assert [name for name, *_ in patients_of(made)] == ["刘桂花"]
    assert [(each.row, each.column) for each in made.rejects if not each.cell] == [(3, "姓名")]


@pytest.mark.parametrize("text", ["NULL", "-", "/", "0", "00000000", "无", "N/A", "儿童"])
def test_no_number_is_nobodys_number(text: str) -> None:
    row = dirty.rows(1)[0]
    nobody = facts(dirty.table([{**row, "病人ID": text}]))
    assert ([each.column for each in nobody.rejects], nobody.resources) == (["病人ID"], {})
    made = facts(dirty.table([{**row, "身份证号": text}]))
    assert patients_of(made) == [("欧阳建国", "", ["SQ000101"])]


@pytest.mark.parametrize("text", ["#REF!", "#N/A", "#NAME?", "######"])
@pytest.mark.parametrize(
    "column", ["姓名", "临床诊断", "检验者", "备注", "组合名称", "标本类型", "单位", "条码号", "机构编码"]
)
def test_an_error_of_a_spreadsheet_is_no_cell(column: str, text: str) -> None:
    made, empty = (facts(dirty.changed({column: each}, count=2)) for each in (text, ""))
    assert made.resources == empty.resources
    assert (column, text) in told(made)


@pytest.mark.parametrize("column", ["申请单号", "病人ID"])
def test_an_error_of_a_spreadsheet_is_nobodys_number(column: str) -> None:
    made = facts(dirty.changed({column: "#VALUE!"}))
    assert [(each.row, each.column) for each in made.rejects] == [(2, column)]


@pytest.mark.parametrize(
    "text", ["529901****0111", "111111111111111111", "未办理", "529901195804120111,529901196311020221"]
)
def test_what_is_no_number_of_a_document_is_told_and_left_out(text: str) -> None:
    made = facts(dirty.table([{**dirty.rows(1)[0], "身份证号": text}]))
    assert (patients_of(made), made.told) == ([("欧阳建国", "", ["SQ000101"])], ["身份证号"])


@pytest.mark.parametrize(
    ("cells", "sex", "told"),
    [
        ({"性别": "", "性别代码": "1"}, "male", []),
        ({"性别代码": "1"}, "male", []),
        ({"性别代码": "2"}, "male", ["性别代码"]),
        ({"性别": "男\u200b"}, "male", []),
        ({"性别": "1-男"}, "male", []),
    ],
)
def test_two_columns_of_a_sex(cells: dict[str, str], sex: str, told: list[str]) -> None:
    made = facts(dirty.table([{**dirty.rows(1)[0], **cells}], dict.fromkeys((*dirty.laboratory()[0], *cells))))
    (patient,) = (each for each in made.resources.values() if each["resourceType"] == "Patient")
    assert (patient["gender"], made.told) == (sex, told)


def test_signs_that_nobody_sees_change_nothing() -> None:
    row = dirty.rows(1)[0]
    seen = {f"{name}\u200b": f"\u202a{cell}\u200b" for name, cell in row.items()}
    assert facts(dirty.table([seen], seen)).resources == facts(dirty.table([row])).resources
