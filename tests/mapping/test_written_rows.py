"""What the rows of files say when they are written back: contacts, marks of withdrawal, words beside numbers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from gateway.fhir.shapes import valid_as
from gateway.mapping.context import Context
from gateway.mapping.datatypes import load
from gateway.mapping.export_records import Part
from gateway.model import Profile
from tests.mapping.test_invented_rows import again, into_fhir, into_files, resources_of


def back(name: str, *rows: dict[str, str]) -> list[dict[str, str]]:
    made = into_fhir([Part(name=name, records=list(rows))])
    return into_files(resources_of(made), (name,))[0].rows


def of_type(name: str, type_: str, *rows: dict[str, str]) -> list[dict[str, Any]]:
    made = resources_of(into_fhir([Part(name=name, records=list(rows))]))
    return [each for each in made.values() if each["resourceType"] == type_]


PERSON = {
    "姓名": "蓝小满",
    "性别": "女",
    "出生日期": "1985-03-12",
    "身份证号": "529901198503120023",
    "家庭住址": "青岚县",
}
DIAGNOSIS = {
    "就诊流水号": "V1",
    "病人ID": "P1",
    "诊断编码": "J18.900",
    "诊断名称": "肺炎",
    "诊断类型": "",
    "诊断日期": "",
}
RESULT = {
    "SerialNo": "S1", "CName": "蓝小满", "PatNo": "P1", "ReportFormID": "F1", "ItemNo": "K", "ItemName": "血清钾",
    "ReportValue": "", "ReportDesc": "", "RefRange": "", "ResultStatus": "", "Unit": "",
}  # fmt: skip


def test_the_contact_of_a_person_is_written() -> None:
    [row] = back("list-patients", {**PERSON, "联系人": "蓝大满", "联系人电话": "19900000109", "与患者关系": "父亲"})
    assert (row["联系人"], row["联系人电话"], row["与患者关系"]) == ("蓝大满", "19900000109", "父亲")


def test_a_diagnosis_that_was_taken_back_says_so() -> None:
    rows = back(
        "list-diagnoses", {**DIAGNOSIS, "作废标志": "1"}, {**DIAGNOSIS, "诊断编码": "I10.x00", "诊断名称": "高血压"}
    )
    assert {row["诊断编码"]: row["作废标志"] for row in rows} == {"J18.900": "1", "I10.x00": "0"}


NAMES_BESIDE = {  # an export whose rows name diagnoses → columns of the code, of the names, and what a row has besides
    "his-visits": ("诊断编码", "诊断名称", {"病人ID": "P1", "就诊流水号": "V1"}),
    "upload-referrals": ("zdbm", "zdmc", {"zzdh": "ZZ1", "zjhm": "529901198503120023", "xm": "蓝小满"}),
    "upload-visits": ("zdbm", "zdmc", {"jzlsh": "V1", "zjhm": "529901198503120023", "xm": "蓝小满", "jgdm": "J1"}),
    "winning-visits": ("zddm", "zdmc", {"xh": "V1", "patid": "P1"}),
}


@pytest.mark.parametrize("code", ["J18.900", "-", ""])
@pytest.mark.parametrize("name", NAMES_BESIDE)
def test_all_names_of_a_diagnosis_come_back_whatever_stands_for_its_code(name: str, code: str) -> None:
    column, names, row = NAMES_BESIDE[name]
    [written] = back(name, {**row, column: code, names: "肺炎;高血压;哮喘"})
    assert written[names] == "肺炎;高血压;哮喘"


@pytest.mark.parametrize("name", [each for each in NAMES_BESIDE if each != "upload-referrals"])  # a row is a referral
def test_a_diagnosis_that_only_a_later_row_of_a_visit_names_is_made(name: str) -> None:
    code, names, row = NAMES_BESIDE[name]
    [made] = of_type(name, "Condition", {**row, code: "", names: ""}, {**row, code: "", names: "肺炎"})
    assert made["code"] == {"text": "肺炎"}


def test_a_full_width_code_names_what_the_half_width_one_names() -> None:
    [made] = of_type("list-diagnoses", "Condition", DIAGNOSIS, {**DIAGNOSIS, "诊断编码": "Ｊ１８．９００"})
    assert made["code"]["coding"][0]["code"] == "J18.900"


def test_words_and_numbers_stand_in_their_own_columns() -> None:
    [words] = back("zhifang-results", {**RESULT, "ReportDesc": "溶血", "ResultStatus": "↑"})
    assert (words.get("ReportValue", ""), words["ReportDesc"], words["ResultStatus"]) == ("", "溶血", "↑")
    [both] = back("zhifang-results", {**RESULT, "ReportValue": "6.8", "ReportDesc": "已复查"})
    assert (both["ReportValue"], both["ReportDesc"]) == ("6.8", "已复查")


def test_the_unit_of_a_range_is_written_where_the_result_is_words() -> None:
    [row] = back("zhifang-results", {**RESULT, "ReportDesc": "溶血", "RefRange": "3.5-5.3", "Unit": "mmol/L"})
    assert row["Unit"] == "mmol/L"


def test_what_is_said_of_all_reports_is_no_value_of_a_cell() -> None:
    row = {
        "病人ID": "P1",
        "医嘱ID": "O1",
        "检查号": "R1",
        "影像类别": "",
        "标本部位": "胸部",
        "检查所见": "清",
        "诊断意见": "正常",
    }
    [written] = back("zlsoft-imaging", row)
    assert written.get("影像类别", "") == ""


def test_a_referral_is_written_and_read_as_the_same() -> None:
    row = {
        "zzdh": "ZZ1", "jgdm": "J1", "jgmc": "石桥中心卫生院", "xm": "蓝小满", "xbdm": "2", "csrq": "1985-03-12",
        "zjlx": "01", "zjhm": "529901198503120023", "lxdh": "19900000101", "jzlsh": "V1", "jzlx": "1",
        "zzsj": "2026-03-12 11:30:00", "zzyy": "诊断有困难", "zdbm": "J18.900", "zdmc": "肺炎", "zyjws": "高血压病10年",
        "zljg": "头孢呋辛静滴", "xybzlfa": "抗感染；随访", "zzys": "黄志明", "zzysgh": "SQ001", "zxjgdm": "J2",
        "zxjgmc": "县人民医院", "zxks": "呼吸科", "cxbz": "1",
    }  # fmt: skip
    first = resources_of(into_fhir([Part(name="upload-referrals", records=[row])]))
    written = into_files(first, ("upload-referrals",))
    assert written[0].rows == [row]
    assert resources_of(into_fhir(again(written))) == first


TUBE = {
    "申请单号": "O1", "病人ID": "P1", "姓名": "蓝小满", "项目代码": "K", "项目名称": "钾", "结果": "5.6",
    "单位": "mmol/L", "参考范围": "", "条码号": "T1", "标本类型": "血清",
}  # fmt: skip


def test_a_tube_that_two_orders_share_is_asked_for_by_both() -> None:
    second = {**TUBE, "申请单号": "O2", "项目代码": "NA", "项目名称": "钠"}
    [tube] = of_type("laboratory-results", "Specimen", TUBE, second, {**second, "项目代码": "CL"})
    assert len(tube["request"]) == 2
    rows = back("laboratory-results", TUBE, second)
    assert [(row["申请单号"], row["条码号"], row["项目代码"]) for row in rows] == [
        ("O1", "T1", "K"),
        ("O2", "T1", "NA"),
    ]


@pytest.mark.parametrize("given", [*product(("", "广西"), ("", "石桥镇"), ("", "一村"), ("", "3号"))])
def test_each_part_of_an_address_comes_back_where_it_stood(given: tuple[str, str, str, str]) -> None:
    state, town, village, house = given
    pair, around = load()["residence"], Context(profile=Profile(), facility="COUNTY")
    made = pair.into(state, "", "", town, village, house, "", around)
    assert made is None or pair.back(made, around) == (state, "", "", town, village, house, "")
    assert (made is None) == (not any(given))
    assert made is None or valid_as("Address", made)
