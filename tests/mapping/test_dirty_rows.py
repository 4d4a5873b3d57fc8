"""Dirty files and rows: a bad row is set aside with its cause, the rest is what it is in the clean file."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from gateway.errors import Configuration, Permanent
from gateway.mapping.context import CHINESE_ID
from tests.mapping import dirty
from tests.mapping.dirty import Facts, Row, changed, differing, facts, rows, table

COUNT = 20
TEXT = table(rows(COUNT)).decode("gb18030")
LINES = TEXT.split("\r\n")
HEADER = dirty.laboratory()[0]


def gb(*lines: str) -> bytes:
    return "\r\n".join(lines).encode("gb18030")


def renamed(change: Callable[[str], str]) -> bytes:
    return gb(",".join(map(change, HEADER)), *LINES[1:])


def mixed(number: int, charset: str, others: str) -> bytes:
    return b"\r\n".join(line.encode(charset if at == number else others) for at, line in enumerate(LINES))


@pytest.fixture(scope="module")
def clean() -> Facts:
    made = facts(TEXT.encode("gb18030"))
    assert made.rejects == ()
    return made


HARMLESS = {
    "UTF-8": TEXT.encode(),
    "a byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "UTF-16": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "UTF-16, big end first": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "UTF-16 without a mark": TEXT.encode("utf-16-le"),
    "one row in UTF-8": mixed(5, "utf-8", "gb18030"),
    "one row in GB18030": mixed(5, "gb18030", "utf-8"),
    "line feeds": TEXT.replace("\r\n", "\n").encode("gb18030"),
    "carriage returns": TEXT.replace("\r\n", "\r").encode("gb18030"),
    "line ends of all kinds": ("\r\n".join(LINES[:5]) + "\n" + "\r".join(LINES[5:])).encode("gb18030"),
    "tabs": table(rows(COUNT), delimiter="\t"),
    "semicolons": table(rows(COUNT), delimiter=";"),
    "a title": gb("石桥中心卫生院检验结果导出", "查询日期：2026-03-12", *LINES),
    "a title over all columns": gb("石桥中心卫生院检验结果导出" + "," * 34, *LINES),
    "blank rows": gb(*LINES[:3], "", "," * 34, *LINES[3:]),
    "columns in another order": table(rows(COUNT), HEADER[::-1]),
    "another column": table([{**row, "打印次数": "1"} for row in rows(COUNT)], [*HEADER, "打印次数"]),
    "a quote in a cell": gb(*LINES[:4], LINES[4].replace("何丽", '"何丽"'), *LINES[5:]),
    "blanks around names": renamed(lambda name: f" {name} "),
    "blanks in names": renamed(lambda name: " ".join(name) if len(name) == 2 else name),
    "brackets behind names": renamed(lambda name: {"结果": "结果（定量）", "单位": "单位[UCUM]"}.get(name, name)),
    "stars before names": renamed(lambda name: f"*{name}" if name in ("姓名", "病人ID") else name),
    "full-width names": renamed(lambda name: name.replace("ID", "ＩＤ")),
    "traditional characters": "\r\n".join(
        [
            LINES[0].translate(
                str.maketrans("别证号医断龄类门时间检验参围异值备注", "別證號醫斷齡類門時間檢驗參圍異値備註")
            ),
            *LINES[1:],
        ]
    ).encode(),
    "a column without a name behind the last": table([{**row, "": "x"} for row in rows(COUNT)], [*HEADER, ""]),
    "blanks before quotes": gb(*(", ".join(f'"{cell}"' for cell in line.split(",")) for line in LINES[:-1])),
    "apostrophes before texts": gb(LINES[0], *(re.sub(",(?=[^,])", ",'", line) for line in LINES[1:])),
    "small letters": renamed(lambda name: name.replace("ID", "id")),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_nothing_is_lost_or_told(clean: Facts, kind: str) -> None:
    made = facts(HARMLESS[kind])
    assert (differing(clean, made), made.rejects) == ({}, ())


LACKING = {  # rows without their last cells, which others leave empty too: (body, rows that are told)
    "one row": (gb(*LINES[:5], LINES[5].removesuffix(","), *LINES[6:]), [6]),
    "all but one, as some programs write": (
        gb(*LINES[:5], *(line.removesuffix(",") for line in LINES[5:])),
        [row for row, line in enumerate(LINES, 1) if row > 5 and line.endswith(",")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LACKING)
def test_a_row_that_lacks_empty_cells_at_its_end_is_read_and_told(clean: Facts, kind: str) -> None:
    body, lacking = LACKING[kind]
    made = facts(body)
    assert (differing(clean, made), made.rejects) == ({}, ())
    assert [*made.notes] == [f"row {row} lacks its last 1 cells; they were read as empty" for row in lacking]


def test_a_row_with_a_cell_too_few_further_left_is_set_aside(clean: Facts) -> None:
    row = LINES[5].split(",")
    last = max(place for place, cell in enumerate(row) if cell)
    for place in range(last):
        shown = [cell for at, cell in enumerate(row) if at != place]
        made = facts(gb(*LINES[:5], ",".join(shown), *LINES[6:]))
        assert [(each.row, each.column) for each in made.rejects] == [(6, "")], HEADER[place]


@pytest.mark.parametrize("name", ["results.xls", "results.xlsx"])
def test_text_by_the_name_of_a_workbook_is_read_as_text(clean: Facts, name: str) -> None:
    made = facts(table(rows(COUNT), delimiter="\t"), name, "shiqiao")
    assert (differing(clean, made), made.rejects) == ({}, ())


def again(*added: Row) -> bytes:
    """Row 6 of the file (the fifth result), and these behind it."""
    listed = rows(COUNT)
    return table([*listed[:5], *({**listed[4], **each} for each in added), *listed[5:]])


TOLD = {  # rows that are set aside while the rest is as it was: (row, column, the beginning of the cause)
    "the header again": (gb(*LINES[:8], LINES[0], *LINES[8:]), (9, "", "the header stands here again")),
    "names of fields below the header": (
        gb(LINES[0], ",".join(f"FIELD_{at}" for at in range(35)), *LINES[1:]), (2, "", "the names of the columns again")
    ),
    "types below the header": (
        gb(LINES[0], ",".join(["varchar(20)"] * 35).replace("(20)", ""), *LINES[1:]),
        (2, "", "the names of the columns again"),
    ),
    "the header again in another order": (
        gb(*LINES[:11]) + b"\r\n" + table(rows(COUNT)[10:], HEADER[::-1]),
        (12, "", "the header stands here again, in another order"),
    ),
    "a total": (gb(*LINES[:-1], "合计,20" + "," * 33, ""), (22, "申请单号", "申请单号 is empty")),
    "a short total": (gb(*LINES[:-1], "合计：20条", ""), (22, "", "1 cells, the header has 35")),
    "a footer": (gb(*LINES[:-1], "制表人：张三,,审核：李四", ""), (22, "", "3 cells, the header has 35")),
    "the same row": (again({}), (7, "", "the same as row 6, taken once")),
    "another value, nothing else": (again({"结果": "9.9"}), (7, "", "row 6 says otherwise of the same")),
    "an older value": (
        again({"结果": "9.9", "报告时间": "2026-03-11 08:00:00"}), (7, "", "row 6 is about the same and newer"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TOLD)
def test_a_row_too_many_is_told_and_changes_nothing(clean: Facts, kind: str) -> None:
    body, (row, column, cause) = TOLD[kind]
    made = facts(body)
    assert differing(clean, made) == {}
    (told,) = made.rejects
    assert (told.row, told.column) == (row, column)
    assert told.cause.startswith(cause)


def test_what_stands_below_a_header_of_other_columns_is_set_aside(clean: Facts) -> None:
    other = LINES[0].replace("结果,单位", "单位,定性")
    made = facts(gb(*LINES[:19], other, *LINES[19:]))
    assert [each.row for each in made.rejects] == [20, 21, 22]
    assert len(clean.resources) - len(made.resources) == 2


def broken(change: Callable[[str], str]) -> bytes:
    return gb(*LINES[:5], change(LINES[5]), *LINES[6:])


def cells(**changes: str) -> bytes:
    listed = rows(COUNT)
    listed[4].update(changes)
    return table(listed)


WITHOUT = {  # row 6 cannot be read: (column, the beginning of the cause)
    "a quote that is not closed": (broken(lambda line: line.replace("何丽", '"何丽')), "", "broken quotes"),
    "a damaged character": (
        TEXT.encode("gb18030").replace(gb(LINES[5]), gb(LINES[5]) + b"\xff"),
        "", "it holds bytes that are no characters",
    ),
    "a damaged character of UTF-8": (
        TEXT.encode().replace(LINES[5].encode(), LINES[5].encode().replace("何丽".encode(), b"\xe4\xbd", 1)),
        "", "it holds bytes that are no characters",
    ),
    "a cut row": (broken(lambda line: line[:200]), "", "23 cells"),
    "a shifted row": (broken(lambda line: f",{line}"), "", "36 cells"),
    "no number of the order": (cells(申请单号=""), "申请单号", "申请单号 is empty"),
    "no number of the patient": (cells(病人ID=""), "病人ID", "病人ID is empty"),
    "no item": (cells(项目代码="", 项目名称=""), "", "no Observation can be made of it"),
    "a rounded number": (cells(申请单号="2.02603E+12"), "", "a spreadsheet has rounded the number"),
    "another patient's number": (cells(病人ID="SQ000999"), "病人ID", "row 2 of the same"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WITHOUT)
def test_a_row_that_cannot_be_read_costs_itself_alone(clean: Facts, kind: str) -> None:
    body, column, cause = WITHOUT[kind]
    made = facts(body)
    lost = [name for name in clean.resources if name not in made.resources]
    assert len(lost) == 1
    assert "Observation" in lost[0]
    assert [name.partition("?")[0] for name in differing(clean, made)] == ["DiagnosticReport", "Observation"]
    (told,) = made.rejects
    assert (told.row, told.column) == (6, column)
    assert told.cause.startswith(cause)


def test_a_later_value_stands(clean: Facts) -> None:
    made = facts(again({"结果": "9.9", "报告时间": "2026-03-12 10:14:00"}))
    ((_, (before, after)),) = [each for each in differing(clean, made).items() if "Observation" in each[0]]
    assert before
    assert after
    assert (str(after["valueQuantity"]["value"]), after["issued"]) == ("9.9", "2026-03-12T10:14:00+08:00")
    assert [(each.row, each.cause) for each in made.rejects] == [(6, "row 7 is about the same and newer")]


OTHER = "529901196311020221"


def with_stranger(**changes: str) -> bytes:
    """The last report of the first rows goes under the number of the first patient."""
    listed = rows(COUNT)
    first = listed[0]["病人ID"]
    for row in listed:
        if row["病人ID"] != first:
            row.update({"病人ID": first, **changes})
    return table(listed)


def test_a_number_given_to_another_person_makes_two_people_and_is_told() -> None:
    made = facts(with_stranger(姓名="李秀英", 身份证号=OTHER))
    people = [each for each in made.resources.values() if each["resourceType"] == "Patient"]
    cards = [[one["value"] for one in each["identifier"] if one["system"] == CHINESE_ID] for each in people]
    assert cards == [["529901195804120111"], [OTHER]]
    assert [len(each["identifier"]) for each in people] == [2, 1]  # the number stays with the first
    told = {(each.column, each.cause) for each in made.rejects}
    assert told == {
        ("病人ID", "the number is that of another person in row 2: this one is kept apart, without it"),
    }


@pytest.mark.parametrize("row", [0, 4])
def test_two_names_beside_one_identity_card_are_told(clean: Facts, row: int) -> None:
    listed = rows(COUNT)
    listed[row]["姓名"] = "何家豪"
    made = facts(table(listed))
    assert made.resources.keys() == clean.resources.keys()
    assert {(each.column, each.cause.partition(" has ")[2], each.cell) for each in made.rejects} == {
        ("姓名", "another name for the same identity card", True)
    }


def test_two_names_under_one_number_without_a_card_wait_for_a_person() -> None:
    made = facts(with_stranger(姓名="李秀英", 身份证号=""))
    assert len([each for each in made.resources.values() if each["resourceType"] == "Patient"]) == 1
    assert {(each.column, each.cause) for each in made.rejects} == {
        ("姓名", "row 2 has another name for the same 病人ID")
    }
    same = facts(cells(姓名="欧阳 建国"))
    assert same.rejects == ()


def test_what_is_no_table_of_ours_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(Configuration, match="laboratory-results needs 项目代码 besides"):
        facts(table(rows(3), [name for name in HEADER if name != "项目代码"]))
    with pytest.raises(Permanent, match="the file is empty"):
        facts(b"")
    with pytest.raises(Permanent, match="no record"):
        facts(gb(LINES[0], ""))


@pytest.mark.parametrize(
    ("column", "left"),
    [("条码号", ["标本类型", "接收时间"]), ("门诊住院号", ["就诊类型", "申请科室"]), ("机构编码", ["机构名称"])],
)
def test_cells_that_belong_to_what_has_no_number_are_told(column: str, left: list[str]) -> None:
    made = facts(changed({column: ""}))
    assert [(each.row, each.column, each.cell) for each in made.rejects] == [(2, name, True) for name in left]
    assert all(column in each.cause for each in made.rejects)
    assert len([each for each in made.resources.values() if each["resourceType"] == "Observation"]) == 4
