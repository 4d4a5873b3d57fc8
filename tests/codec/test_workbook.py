"""Workbooks, read as a person reads them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import workbook, workbook_xlsx
from gateway.codec.table import Table
from gateway.errors import Permanent

FIXTURES = Path(__file__).parent / "fixtures"


def made(rows: list[list[Any]], *merged: str, more: Callable[[Any], None] | None = None) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "检查报告"
    for row in rows:
        sheet.append(row)
    for each in merged:
        sheet.merge_cells(each)
    if more:
        more(book)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def only(body: bytes) -> Table:
    (table,) = workbook.decode(body)
    return table


def test_title_tiers_merged_cells_and_footer() -> None:
    rows = [
        ["青岚县影像中心", None, None, None],
        ["查询条件：全部", None, None, None],
        ["患者", None, "检查", None],
        ["姓名", "医生", "检查号", "医生"],
        ["欧阳建国", "黄志明", "CT1", "秦朗"],
        [None, None, "US2", "沈建军"],
        ["张伟", "黄志明", "CT3", "秦朗"],
        ["合计：3 条", None, "制表人：秦朗", None],
    ]
    table = only(made(rows, "A1:D1", "A2:D2", "A3:B3", "C3:D3", "A5:A6", "B5:B6"))
    assert table.sheet == "检查报告"
    assert table.columns == ("姓名", "患者/医生", "检查号", "检查/医生")
    assert [list(row.values()) for row in table.rows] == [
        ["欧阳建国", "黄志明", "CT1", "秦朗"],
        ["欧阳建国", "黄志明", "US2", "沈建军"],
        ["张伟", "黄志明", "CT3", "秦朗"],
    ]
    assert table.numbers == [5, 6, 7]
    assert "row 8 was taken for a footer and left out" in table.notes
    assert table.rejects == ()


def test_a_merged_cell_that_did_not_move_with_its_rows_covers_nobody_else() -> None:
    """A row was put in by a program that moves cells and leaves merged ranges where they were."""
    rows = [["姓名", "电话", "检查号"], ["张伟", "1", "CT1"], ["王五", "2", "CT2"], [None, None, "CT3"]]

    def put_in(book: Any) -> None:
        book.active.insert_rows(2)

    table = only(made(rows, "A3:A4", "B3:B4", more=put_in))
    assert [list(row.values()) for row in table.rows] == [
        *(["张伟", "1", "CT1"], ["王五", "2", "CT2"], ["", "", "CT3"]),
    ]
    assert "row 4: merged cells above say something else than 姓名, 电话; they count no further" in table.notes


def test_a_header_whose_names_stand_in_both_tiers() -> None:
    rows = [["病人ID", "姓名", "生命体征", None], [None, None, "体温", "脉搏"], ["1", "张晋", 36.5, 76]]
    table = only(made(rows, "A1:A2", "B1:B2", "C1:D1"))
    assert table.columns == ("病人ID", "姓名", "体温", "脉搏")
    assert table.rows == [{"病人ID": "1", "姓名": "张晋", "体温": "36.5", "脉搏": "76"}]


def test_cells_are_read_as_they_are_shown() -> None:
    cells = [13.60, 5.0, "  0012 ", datetime(2026, 3, 2, 12, 40, 0, 600), date(2026, 3, 2), time(7, 39), True, "'=1+1"]  # noqa: DTZ001 - as a spreadsheet has it
    table = only(made([[f"列{number}" for number in range(8)], cells, cells]))
    assert list(table.rows[0].values()) == [
        "13.6", "5", "0012", "2026-03-02 12:40:00", "2026-03-02", "07:39:00", "TRUE", "=1+1",
    ]  # fmt: skip


def test_an_identity_number_that_became_a_number_is_not_written_as_if_it_were_known() -> None:
    table = only(made([["姓名", "身份证号"], ["张伟", 529901197506180318], ["李秀英", "529901196311020221"]]))
    assert [row["身份证号"] for row in table.rows] == ["5.29901197506180E+17", "529901196311020221"]
    assert any("身份证号" in note and "row 2" in note for note in table.notes)


def test_several_sheets_and_hidden_ones() -> None:
    def add(book: Any) -> None:
        book.create_sheet("二月").append(["姓名", "结果"])
        book["二月"].append(["王䶮", "2+"])
        book.create_sheet("说明").append(["本表仅供内部使用"])
        hidden = book.create_sheet("旧")
        hidden.append(["姓名", "结果"])
        hidden.append(["旧人", "1"])
        hidden.sheet_state = "hidden"

    tables = workbook.decode(made([["姓名", "结果"], ["欧阳建国", 13.6]], more=add))
    assert [(table.sheet, len(table.rows)) for table in tables] == [("检查报告", 1), ("二月", 1)]
    assert [table.notes for table in tables] == [("the hidden sheet 旧 was left out",), ()]


def test_the_old_format() -> None:
    table = only((FIXTURES / "results.xls").read_bytes())
    assert table.columns == ("病人ID", "姓名", "结果", "检验时间")
    assert [list(row.values()) for row in table.rows] == [
        ["BS0001", "王䶮", "13.6", "2026-03-12 07:39:00"],
        ["BS0001", "王䶮", "阴性(-)", "2026-03-12"],
    ]


def test_rows_that_are_wider_than_the_header_are_rejects() -> None:
    table = only(made([["a", "b"], ["1", "2"], ["1", "2", "3"], ["4", "5"]]))
    assert (table.numbers, [each.number for each in table.rejects]) == ([2, 4], [3])


def test_what_is_no_workbook_is_refused_with_a_remedy() -> None:
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000
    for body in (b"PK\x03\x04 nothing", locked, b"", made([])):
        with pytest.raises(Permanent) as raised:
            workbook.decode(body)
        assert raised.value.remedy


def changed(body: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """The archive with other contents; None takes a file out."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                new.writestr(name, content)
    return target.getvalue()


def test_signs_that_xml_cannot_hold_are_read_as_what_they_stand_for() -> None:
    written = b"A_x000D_\nB_x0007_C_x005F_x0041_"
    body = changed(made([["姓名", "性别"], ["SIGNS", "男"]]), lambda name, body: body.replace(b"SIGNS", written))
    assert only(body).rows == [{"姓名": "A\r\nBC_x0041_", "性别": "男"}]


def test_what_unpacks_to_more_than_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 10_000_000)
    monkeypatch.setattr(workbook_xlsx, "SIZE_LIMIT", 1_000_000)
    with pytest.raises(Permanent, match="larger than the limit"):
        workbook.decode(target.getvalue())


def test_a_cell_far_away_costs_nothing() -> None:
    def add(book: Any) -> None:
        book.active["XFD1048576"] = "x"

    with pytest.raises(Permanent, match="more than 2000 columns"):
        workbook.decode(made([["a", "b"], ["1", "2"]], more=add))


def test_entities_are_refused() -> None:
    source, target = io.BytesIO(made([["a", "b"], ["1", "2"]])), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                text = b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "aaaa">]>' + text.partition(b"?>")[2]
            new.writestr(name, text)
    with pytest.raises(Permanent, match="document type"):
        workbook.decode(target.getvalue())


WORDS = st.text(st.sampled_from("张伟䶮·abc-%0123456789。，"), min_size=1, max_size=12)


@given(st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=1, max_size=12))
def test_texts_come_as_they_were_written(rows: list[list[str]]) -> None:
    table = only(made([["甲列", "乙列", "丙列"], *rows]))
    read = {number: list(row.values()) for number, row in zip(table.numbers, table.rows, strict=True)}
    for number, row in enumerate(rows, 2):
        assert read[number] == row


def _without(part: str, put: bytes | None = None) -> bytes:
    """A workbook that lacks a part, or has another in its place."""
    target = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["申请单号", "结果"])
    book.save(target)
    whole, made = zipfile.ZipFile(target), io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in whole.namelist():
            if name != part:
                archive.writestr(name, whole.read(name))
        if put is not None:
            archive.writestr(part, put)
    return made.getvalue()


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (_without("")[:1500], "cut off"),
        (_without("xl/workbook.xml"), "a part of it is missing"),
        (_without("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row>"), "a part of it is damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "it is damaged, or has a password"),
    ],
)
def test_a_broken_workbook_says_what_is_wrong_in_words(body: bytes, cause: str) -> None:
    with pytest.raises(Permanent, match=cause) as caught:
        workbook.decode(body)
    assert "Error" not in str(caught.value)
    assert ".xlsx" in caught.value.remedy
