"""What became of every value of an export adds up, names its reason, and never shows a value."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.codec import delimited, workbook, xml_tree
from gateway.codec import json as json_tree
from gateway.mapping.accounting.account import Row, State
from gateway.mapping.accounting.exported import account_of_export, explained, leaves, traced
from gateway.mapping.export_records import Part
from gateway.mapping.exported_statement import statement
from tests.mapping.house import FIXTURES, SHANGHAI, maps

HEAD = "机构编码,机构名称,申请单号,条码号,病人ID,姓名,性别,项目代码,项目名称,结果,单位,参考范围,采样时间,页码"
FULL = "A1,卫生院,S1,T1,P1,蓝小满,2,K,血清钾,6.8,mmol/L,3.5-5.3,2026-03-12 09:14:00,7"


def parts_of(file: str) -> list[Part]:
    body = (FIXTURES / file).read_bytes()
    exports = maps().exports
    if file.endswith((".xml", ".json")):
        return [exports.of_tree((xml_tree if file.endswith(".xml") else json_tree).decode(body).root)]
    tables = workbook.decode(body) if file.endswith(".xlsx") else [delimited.decode(body)]
    known = [each for each in tables if len(each.columns) > 5]
    return [
        Part(name=exports.of_columns(each.columns), records=each.rows, numbers=each.numbers, place=each.sheet)
        for each in known
    ]


def rows_of(*lines: str) -> Counter[Row]:
    table = delimited.decode("\n".join((HEAD, *lines)).encode())
    part = Part(name="laboratory-results", records=table.rows, numbers=table.numbers)
    traces, _ = traced(maps().library, [part], SHANGHAI, "LIS")
    return Counter(account_of_export(traces).rows)


def state_of(rows: Counter[Row], place: str) -> dict[str, str]:
    return {row.state: row.reason for row in rows if row.place == place}


FILES = [
    "lab_shiqiao_20260312.csv",
    "imaging_center_202603.xlsx",
    "encounters_liuhe_202603.xml",
    "referral_up.json",
    "referral_down.json",
]


@pytest.mark.parametrize("file", FILES)
def test_every_value_is_accounted_for_once(file: str) -> None:
    parts = parts_of(file)
    traces, _ = traced(maps().library, parts, SHANGHAI, "X")
    account = account_of_export(traces)
    count = 0
    for trace in traces:
        count += sum(len(list(leaves(each, trace.export.export.format))) for each in trace.part.records)
    above = [row for row in account.rows if row.place.startswith("/")]
    assert account.totals.total() == count + len(above)
    assert account.totals[State.CARRIED] > 0.8 * account.totals.total()
    assert all(row.reason for row in account.rows)


def test_what_no_line_reads_and_what_says_nothing() -> None:
    rows = rows_of(FULL.replace("2026-03-12 09:14:00", "1900-01-01"))
    assert state_of(rows, "页码") == {State.KEPT: "no line of the map reads it"}
    assert state_of(rows, "采样时间") == {State.DROPPED: "it says that there is none"}
    assert state_of(rows, "结果") == {State.CARRIED: "the Bundle says it"}


def test_a_record_that_was_set_aside_says_why() -> None:
    rows = rows_of(FULL, FULL.replace("S1", ""))
    assert state_of(rows, "结果") == {
        State.CARRIED: "the Bundle says it",
        State.KEPT: "its record was set aside: 申请单号 is empty",
    }


def test_what_an_earlier_record_says_otherwise_is_told() -> None:
    rows = rows_of(FULL, FULL.replace("卫生院", "卫生室").replace(",K,", ",NA,"))
    assert state_of(rows, "机构名称")[State.KEPT] == "an earlier record of the same 机构编码 says otherwise"
    assert state_of(rows, "病人ID") == {State.CARRIED: "the Bundle says it"}


def test_a_cell_that_was_left_out_says_why() -> None:
    rows = rows_of(FULL.replace("2026-03-12 09:14:00", "昨天"))
    assert state_of(rows, "采样时间")[State.KEPT].startswith("left out: ")


@pytest.mark.parametrize("file", FILES)
def test_every_element_has_its_columns_and_its_line(file: str) -> None:
    traces, context = traced(maps().library, parts_of(file), SHANGHAI, "X")
    lines = list(explained(traces, context))
    types = {str(entry.resource["resourceType"]) for entry in context.entries.values()}
    assert {line.partition("[")[0] for line in lines} <= types
    assert all(" <- " in line and ".map:" in line for line in lines)
    values = {text for each in traces for record in each.part.records for _, text in leaves(record, "tree")}
    assert not any(value in line for line in lines[:200] for value in values if len(value) > 7)


def test_the_statement_lists_columns_and_no_words() -> None:
    lines = set(statement(maps().library))
    assert "laboratory-results/结果\tObservation.value[x]\tboth" in lines
    assert "laboratory-results/单位\tObservation.value[x]\tboth" in lines
    assert "encounters/ZDLB/ZD/ZDBM\tCondition.code\tboth" in lines
    assert not any("/PI\t" in line for line in lines)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_report_counts_by_column_and_tells_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    path.write_text("\n".join((HEAD, FULL, FULL.replace(",K,", ",NA,"))), encoding="utf-8")
    report = tmp_path / "loss.tsv"
    done = run("translate", path, "--member", "shiqiao", "--loss", "--report", report)
    assert done.exit_code == 0, done.output
    assert "页码\tkept\t2\tno line of the map reads it" in done.stderr
    assert "28 values: 26 carried (92.9 %), 2 kept (7.1 %), 0 dropped (0.0 %)" in done.stderr
    lines = [line.split("\t") for line in report.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ["source", "place", "state", "count", "reason"]
    assert [str(path), "结果", "carried", "2", "the Bundle says it"] in lines
    assert "蓝小满" not in done.stderr + report.read_text(encoding="utf-8")


def test_what_the_kind_has_besides_is_told(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(
        "申请单号,就诊流水号,申请类别,项目代码,项目名称,申请时间,状态\nS1,V1,LIS,1,血常规,2026-03-12,1\n",
        encoding="utf-8",
    )
    done = run("translate", path, "--member", "county", "--loss")
    assert "missing\tdocuments of this kind have it" in done.stderr
    assert "检查部位 / 标本类型 / 临床诊断" in done.stderr


def test_the_command_explains_a_file(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    path.write_text("\n".join((HEAD, FULL)), encoding="utf-8")
    done = run("translate", path, "--member", "shiqiao", "--explain")
    assert (
        "Observation[1].value[x] <- 结果 单位 参考范围, row 2, mappings/exports/laboratory_results.map:" in done.stderr
    )
