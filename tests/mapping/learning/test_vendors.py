"""Tables with headers that no map knows, in many guises: what a draft makes of each of their columns."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.sax.saxutils import quoteattr

import openpyxl
import pytest

from gateway.formats.sample import look
from gateway.mapping import maps
from gateway.mapping.exports import Part
from gateway.mapping.learning.columns import of_table
from gateway.mapping.learning.draft import Draft, learned
from gateway.mapping.learning.vocabulary import vocabulary
from tests.mapping.house import SHANGHAI
from tests.mapping.house import maps as shipped
from tests.mapping.learning.vendors import Vendor, score, total, vendors

VENDORS = {each.name: each for each in vendors()}
NUMBERED = ["报告单号", "门诊号", "住院号", "姓名", "科室", "申请医生", "项目名称", "结果", "单位", "报告时间"]


def drafted(vendor: Vendor) -> Draft:
    return learned(of_table(list(vendor.columns), vendor.rows()), shipped().library, name="drafted")


@pytest.mark.parametrize(("seen", "right", "wrong"), [(True, 0.88, 0.01), (False, 0.78, 0.1)])
def test_of_the_columns_most_are_named_rightly_and_few_wrongly(seen: bool, right: float, wrong: float) -> None:
    outcomes = total([(each, drafted(each)) for each in VENDORS.values() if each.seen is seen])
    count = outcomes.total()
    assert outcomes["right"] >= right * count, outcomes
    assert outcomes["wrong"] <= wrong * count, outcomes
    assert outcomes["lost"] == 0


@pytest.mark.parametrize("name", VENDORS)
def test_what_is_drafted_loads_and_takes_every_row(name: str, tmp_path: Path) -> None:
    vendor = VENDORS[name]
    draft, rows = drafted(vendor), vendor.rows()
    (tmp_path / "drafted.map").write_text(draft.text, encoding="utf-8")
    known = maps.load([maps.shipped(), tmp_path])
    made = known.exports.to_fhir(
        [Part(name="drafted", records=rows, root=None)], profile=SHANGHAI, facility="X", control_id="1"
    )
    assert not [each for each in made.rejects if not each.cell]
    names = {
        each["resource"]["name"][0]["text"]
        for each in made.bundle["entry"]
        if each["resource"]["resourceType"] == "Patient"
    }
    header = next(header for header, meant in vendor.columns.items() if "姓名" in meant)
    assert {row[header] for row in rows} <= names


GUISES = ("gb18030", "utf-8", "workbook", "xml", "json", "ndjson")


def written(guise: str, head: list[str], rows: list[dict[str, str]]) -> bytes:
    if guise == "workbook":
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(["石桥镇卫生院检验结果"])
        for line in (head, *([row[name] for name in head] for row in rows)):
            sheet.append(line)
        out = io.BytesIO()
        book.save(out)
        return out.getvalue()
    if guise == "xml":
        records = "".join(
            "<Row>" + "".join(f"<{name}>{quoteattr(row[name])[1:-1]}</{name}>" for name in head) + "</Row>"
            for row in rows
        )
        return f'<?xml version="1.0" encoding="UTF-8"?><Rows>{records}</Rows>'.encode()
    if guise == "json":
        return json.dumps({"code": "0", "data": rows}, ensure_ascii=False).encode()
    if guise == "ndjson":
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerows([head, *([row[name] for name in head] for row in rows)])
    return text.getvalue().encode(guise)


@pytest.mark.parametrize("guise", GUISES)
@pytest.mark.parametrize("name", ["lis-initials", "lis-chinese", "lis-english", "lis-traditional-odd"])
def test_a_file_of_any_shape_is_understood_alike(name: str, guise: str) -> None:
    vendor = VENDORS[name]
    suffix = {"workbook": "xlsx", "gb18030": "csv", "utf-8": "csv"}.get(guise, guise)
    looked = look(written(guise, list(vendor.columns), vendor.rows()), f"daily.{suffix}")
    (sample,) = looked.samples
    draft = learned(sample, shipped().library, name="drafted")
    assert draft.kind is not None
    assert draft.kind.name == vendor.kind
    outcomes = [outcome for outcome, _, _ in score(vendor, draft)]
    assert outcomes.count("wrong") + outcomes.count("lost") == 0
    assert outcomes.count("right") >= 0.8 * len(outcomes)


def bundle_of(rows: list[dict[str, str]], folder: Path) -> tuple[Draft, list[dict[str, object]]]:
    draft = learned(of_table(list(rows[0]), rows), shipped().library, name="drafted")
    (folder / "drafted.map").write_text(draft.text, encoding="utf-8")
    part = Part(name="drafted", records=rows, root=None)
    made = maps.load([maps.shipped(), folder]).exports.to_fhir([part], profile=SHANGHAI, facility="X", control_id="1")
    assert not made.rejects
    return draft, [each["resource"] for each in made.bundle["entry"]]


def test_inpatients_and_outpatients_in_one_file_have_the_numbers_of_both(tmp_path: Path) -> None:
    cells = [
        ["R1", "M001", "", "蓝小满", "内科", "林海", "血清钾", "6.8", "mmol/L", "2026-03-12 09:14:00"],
        ["R2", "", "Z002", "王建国", "外科", "何丽", "血清钠", "139", "mmol/L", "2026-03-12 09:20:00"],
    ]
    _, made = bundle_of([dict(zip(NUMBERED, each, strict=True)) for each in cells], tmp_path)
    text = json.dumps([each for each in made if each["resourceType"] in ("Encounter", "Patient")])
    assert sum(each["resourceType"] == "Encounter" for each in made) == 2
    assert all(f'"value": "{number}"' in text for number in ("M001", "Z002"))
    classes = [each["class"]["code"] for each in made if each["resourceType"] == "Encounter"]  # type: ignore[index]
    assert sorted(classes) == ["AMB", "IMP"]


def test_without_numbers_of_orders_and_visits_the_doctor_and_the_department_are_said(tmp_path: Path) -> None:
    names = ["条码号", "病人ID", "姓名", "送检科室", "送检医师", "标本", "检验项目", "测定结果", "单位"]
    cells = ["TM1", "P1", "蓝小满", "呼吸内科", "林海", "血清", "血清钾", "6.8", "mmol/L"]
    _, made = bundle_of([dict(zip(names, cells, strict=True))], tmp_path)
    requests = [each for each in made if each["resourceType"] == "ServiceRequest"]
    visits = [each for each in made if each["resourceType"] == "Encounter"]
    assert requests[0]["requester"] == {"display": "林海"}
    assert visits[0]["serviceType"] == {"text": "呼吸内科"}


def test_results_that_no_name_tells_are_told_by_the_columns_beside() -> None:
    rows = [
        {"姓名": "蓝小满", "条码号": f"T{index}", "项目名称": "血清钾", "zdy7": f"{index}.5", "单位": "mmol/L"}
        for index in range(5)
    ]
    draft = learned(of_table(list(rows[0]), rows), shipped().library, name="drafted")
    assert {each.column.name: each.meaning for each in draft.matches}["zdy7"] == "结果"
    assert "zdy7 = 结果  likely 0.60  values: numbers beside 单位" in draft.text


@pytest.mark.parametrize(
    ("header", "meaning"),
    [("檢驗結果", "结果"), ("開單醫師", "申请医生"), ("InstrName", "仪器"), ("RcvTime", "接收时间"),
     ("核对日期", "审核时间"), ("YBTMH", "条码号"), ("SJYSXM", "申请医生"), ("caijishijian", "采样时间"),
     ("超声描述", "检查所见"), ("超声结论", "诊断意见"), ("内镜所见", "检查所见"), ("镜检诊断", "诊断意见"),
     ("心电图描述", "检查所见"), ("心电图诊断", "诊断意见")],
)  # fmt: skip
def test_names_in_other_words_are_known(header: str, meaning: str) -> None:
    assert meaning in [each.meaning for each in vocabulary().guesses(header)[:2]]


def test_without_records_nothing_is_sure_and_that_is_said() -> None:
    draft = learned(of_table(list(VENDORS["lis-initials"].columns), []), shipped().library, name="drafted")
    assert draft.kind is not None
    assert "There are no records" in draft.text
    assert not [each for each in draft.matches if each.confidence > 0.9]
