"""Dirt in the views of a hospital's database: what each cell then says, and who is told what."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway import stateless
from gateway.fhir import json
from gateway.model import Resource
from tests.mapping.dirty import Facts, differing, facts, named, rows, table
from tests.mapping.house import FIXTURES

PATIENT, VISIT = 300001, "H2026031200001"


def read(folder: Path, *changes: tuple[str, Any]) -> Facts:
    """The views of the sample's database after these changes."""
    path = folder / "his.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript((FIXTURES / "his_view.sql").read_text("utf-8"))
        for statement, values in changes:
            database.execute(statement, values)
        database.commit()
    made = stateless.translate_views(f"sqlite:///{path}", member="county", config=None)
    return Facts(named(json.loads(made.output)), tuple(made.rejects), tuple(made.notes))


def patient(folder: Path, column: str, cell: str) -> tuple[Resource, list[tuple[str, str]]]:
    made = read(folder, (f"UPDATE HIS_BRXX SET {column} = ? WHERE patid = ?", (cell, PATIENT)))
    found = next(each for name, each in made.resources.items() if name.endswith(f":PI|{PATIENT}"))
    return found, [(each.column, each.cause) for each in made.rejects]


@pytest.mark.parametrize("cell", ["无", "-", "0000", "00000000000", ""])
def test_a_phone_that_is_none(tmp_path: Path, cell: str) -> None:
    found, told = patient(tmp_path, "lxdh", cell)
    assert ("telecom" in found, told) == (False, [])


@pytest.mark.parametrize(("cell", "sex"), [("1.0", "male"), ("2", "female"), ("９", "unknown")])
def test_a_code_as_programs_write_numbers(tmp_path: Path, cell: str, sex: str) -> None:
    assert patient(tmp_path, "sex", cell)[0]["gender"] == sex


@pytest.mark.parametrize("cell", ["欧??国", "欧阳建？", "□阳建国"])
def test_a_name_that_has_lost_characters_is_told(tmp_path: Path, cell: str) -> None:
    found, told = patient(tmp_path, "hzxm", cell)
    assert found["name"][0]["text"] == cell
    assert told == [("姓名", "a sign stands in it for a character that was lost on the way; it was kept as it is")]


@pytest.mark.parametrize(
    ("cell", "codings", "told"),
    [
        ("J18.900", ["J18.900", "J18.9"], []),
        ("j18.900", ["j18.900", "J18.9"], []),
        ("Ｊ18．900", ["J18.900", "J18.9"], []),
        ("肺炎", ["肺炎"], ["诊断编码"]),
        ("J18.900;I10.x00", ["J18.900;I10.x00"], ["诊断编码"]),
        ("J18.900，I10.x00", ["J18.900,I10.x00"], ["诊断编码"]),
    ],
)
def test_what_is_no_code_of_a_national_list_is_none_of_it(
    tmp_path: Path, cell: str, codings: list[str], told: list[str]
) -> None:
    made = read(tmp_path, ("UPDATE HIS_JZXX SET zddm = ? WHERE jzlsh = ?", (cell, VISIT)))
    found = next(each for name, each in made.resources.items() if name.startswith("Condition?") and VISIT in name)
    assert [each["code"] for each in found["code"]["coding"]] == codings
    own = [each["system"].endswith(":L") for each in found["code"]["coding"]]
    assert own == [bool(told)] * len(codings)
    assert found["code"]["text"] == "肺炎"
    assert made.told == told


@pytest.mark.parametrize(
    ("value", "mark", "code", "told"),
    [("15.2", "N", "N", ["结果"]), ("2.0", "M", "N", ["结果"]), ("5.2", "N", "N", []), ("15.2", "↑", "H", [])],
)
def test_a_mark_that_says_normal_outside_of_all_ranges_is_told(
    tmp_path: Path, value: str, mark: str, code: str, told: list[str]
) -> None:
    change = "UPDATE HIS_BGMX SET jg = ?, gdbz = ? WHERE bgdh = 'B20260312001L' AND xh = 1"
    made = read(tmp_path, (change, (value, mark)))
    found = next(
        each
        for name, each in made.resources.items()
        if name.startswith("Observation?") and "B20260312001L" in name and each["code"]["text"] == "白细胞计数"
    )
    assert found["interpretation"][0]["coding"][0]["code"] == code
    assert made.told == told


def test_numbers_that_programs_write_as_decimals_are_the_same_numbers() -> None:
    """A column that is empty in some row becomes one of decimals in many a program."""
    listed = [{**each, "病人ID": each["病人ID"][2:], "申请单号": each["申请单号"][3:]} for each in rows(40)]
    clean = facts(table(listed))
    for name in ("病人ID", "申请单号"):
        listed = [{**each, name: f"{each[name]}.0"} for each in listed]
    made = facts(table([{**each, "危急值": "1.0" if each["危急值"] else "0.0"} for each in listed]))
    assert differing(clean, made) == {}
    assert made.told == []
