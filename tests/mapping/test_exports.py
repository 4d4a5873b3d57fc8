"""Records of exports: all of one or nothing, and each tree by the map of its own nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.codec import delimited
from gateway.errors import Configuration, Permanent
from gateway.mapping import exports
from gateway.mapping.context import CHINESE_ID, Context
from gateway.mapping.datatypes.papers import paper_into
from gateway.mapping.exports import Part
from gateway.mapping.maps import Address, Maps, load, shipped
from tests.mapping.house import SHANGHAI, WHEN, maps

MAP = """\
export {name} tree for Patient
  each {each}
  columns 编号 姓名
row => Patient
  编号 -> identifier* : own(PI,PI)
  姓名 -> name*.text
row => Observation key @Patient
  结果 -> valueString
  .    -> code    = "{name}"
  .    -> status  = final
  .    -> subject = @Patient
"""


@pytest.fixture
def own(tmp_path: Path) -> Maps:
    for name, each in (("village", "村/人"), ("town", "镇/人")):
        (tmp_path / f"{name}.map").write_text(MAP.format(name=name, each=each), encoding="utf-8")
    return load([tmp_path])


def test_a_tree_is_known_by_its_own_nodes(own: Maps) -> None:
    person = {"编号": "1", "姓名": "张伟"}
    assert own.exports.of_tree({"镇": {"人": [person]}}).name == "town"
    assert own.exports.of_tree({"村": {"人": person}}).records == [person]
    with pytest.raises(Configuration):
        own.exports.of_tree({"村": {"人": {"编号": "1"}}})


ROW = {"申请单号": "A1", "病人ID": "P1", "姓名": "张伟"}


@pytest.mark.parametrize(
    ("root", "place"),
    [
        ({"DATA": {"@时": "1", "行": {**ROW, "姓名": {"@码": "x", "#text": "张伟"}}}}, "DATA/行"),
        ([ROW], ""),
        ({"Body": {"rows": {"row": [{f"@{name}": cell for name, cell in ROW.items()}]}}}, "Body/rows/row"),
    ],
)  # fmt: skip
def test_rows_of_a_table_stand_in_a_tree(root: Any, place: str, tmp_path: Path) -> None:
    text = "export some like laboratory-results\n  columns 申请单号 病人ID 姓名\n"
    (tmp_path / "some.map").write_text(text, encoding="utf-8")
    part = load([shipped(), tmp_path]).exports.of_tree(root)
    assert (part.name, part.place, part.records) == (
        "some",
        place,
        [{"申请单号": "A1", "病人ID": "P1", "姓名": "张伟"}],
    )


def test_a_record_that_fails_leaves_nothing(own: Maps, monkeypatch: pytest.MonkeyPatch) -> None:
    record = exports.ExportMap._made

    def failing(self: Any, compiled: Any, row: Any, *rest: Any) -> Any:
        if row["编号"] == "2" and compiled.block.type == "Observation":
            raise Permanent("cannot be understood", place="row")
        return record(self, compiled, row, *rest)

    monkeypatch.setattr(exports.ExportMap, "_made", failing)
    people = [{"编号": number, "姓名": "张伟", "结果": "好"} for number in ("1", "2", "3")]
    made = own.exports.to_fhir(
        [Part(name="town", records=people)], profile=SHANGHAI, facility="T", control_id="F", when=WHEN
    )
    assert [(each.row, each.cause, each.cell) for each in made.rejects] == [(2, "cannot be understood", False)]
    numbers = [
        each["resource"]["identifier"][0]["value"]
        for each in made.bundle["entry"]
        if each["resource"]["resourceType"] == "Patient"
    ]
    assert numbers == ["1", "3"]


def test_what_is_found_comes_before_what_asks_for_it() -> None:
    visit = {"就诊流水号": "V1", "病人ID": "P1", "姓名": "张伟", "就诊类别": "0", "就诊时间": "2026031208:00:00"}
    order = {"申请单号": "O1", "就诊流水号": "V1", "项目代码": "01", "项目名称": "血常规", "状态": "1"}
    parts = [Part(name="his-orders", records=[order]), Part(name="his-visits", records=[visit])]
    made = maps().exports.to_fhir(parts, profile=SHANGHAI, facility="H", control_id="F", when=WHEN)
    found = {each["resource"]["resourceType"]: each["resource"] for each in made.bundle["entry"]}
    assert found["ServiceRequest"]["subject"] == found["Encounter"]["subject"]


def test_a_map_that_only_reads_is_not_asked_to_write(own: Maps) -> None:
    to = Address(profile=SHANGHAI, facility="X", control_id="1", when=WHEN)
    with pytest.raises(Configuration, match="only reads"):
        own.exports.from_fhir({}, [], name="village", to=to)
    laboratory = maps().exports.from_fhir({}, [], name="laboratory-results", to=to)
    assert "结果" in laboratory.columns


@pytest.mark.parametrize(("raw", "national"), [("11010519491231002X.0", True), ("110105194912310021.0", False)])
def test_the_digits_of_a_card_behind_which_a_program_wrote_a_fraction(raw: str, national: bool) -> None:
    made = paper_into(raw, "", Context(profile=SHANGHAI, facility="X"))
    assert made is not None
    assert (made["system"] == CHINESE_ID, made["value"].endswith(".0")) == (national, not national)


@pytest.mark.parametrize(
    ("name", "visit", "code", "words"),
    [
        ("list-diagnoses", "就诊流水号", "诊断编码", "诊断名称"),
        ("winning-visits", "xh", "zddm", "zdmc"),
        ("upload-visits", "jzlsh", "zdbm", "zdmc"),
    ],
)
def test_diagnoses_without_a_code_are_told_apart_by_their_names(name: str, visit: str, code: str, words: str) -> None:
    """One code is one diagnosis; of those that have none each name is one, and the same row again is the same."""
    path = shipped() / "exports" / "examples" / f"{name.replace('-', '_')}.csv"
    own = delimited.decode(path.read_bytes()).rows[0]
    told = (("", "腹痛待查"), ("", "发热待查"), ("J18.900", "肺炎"), ("", "腹痛待查"))
    records = [{**own, visit: "V1", code: each, words: called} for each, called in told]
    made = maps().exports.to_fhir(
        [Part(name=name, records=records)], profile=SHANGHAI, facility="TOWN", control_id="1", when=WHEN
    )
    resources = [each["resource"] for each in made.bundle["entry"]]
    found = [each["code"] for each in resources if each["resourceType"] == "Condition"]
    assert sorted(each.get("text", "") for each in found) == sorted(["腹痛待查", "发热待查", "肺炎"])
    assert [each.cause for each in made.rejects] == ["the same as row 1, taken once"]
