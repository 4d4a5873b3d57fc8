"""The sample files of the community with other names for all their columns, shuffled, with columns that mean nothing:
what is drafted from them says the same as the map that knows them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.codec import delimited, workbook, xml_tree
from gateway.codec import json as json_tree
from gateway.mapping import maps, runtime
from gateway.mapping.exports import Part
from gateway.mapping.learning.columns import Sample, of_table, of_tree
from gateway.mapping.learning.draft import Draft, learned
from gateway.mapping.learning.vocabulary import vocabulary
from tests.mapping.house import FIXTURES, SHANGHAI
from tests.mapping.house import maps as shipped
from tests.mapping.learning.facts import Fact, agreement, facts

VARIANTS: dict[str, dict[str, dict[str, str]]] = json.loads(
    (Path(__file__).parent / "variants.json").read_text(encoding="utf-8")
)
JUNK = {"备用1": "", "zdy1": "A", "ext_flag": "0", "F_GUID": "1"}
LEAST = 0.9  # of the facts that the shipped map makes


def said(known: maps.Maps, name: str, records: Sequence[Any], root: Any = None) -> Any:
    part = Part(name=name, records=records, root=root)
    made = known.exports.to_fhir([part], profile=SHANGHAI, facility="X", control_id="1")
    assert not [each for each in made.rejects if not each.cell]
    return facts(made.bundle)


def drafted(sample: Sample, folder: Path) -> tuple[Draft, maps.Maps]:
    """The draft, used as it was written."""
    draft = learned(sample, shipped().library, name="drafted")
    (folder / "drafted.map").write_text(draft.text, encoding="utf-8")
    return draft, maps.load([maps.shipped(), folder])


def renamed(rows: Sequence[Mapping[str, str]], names: Mapping[str, str]) -> list[dict[str, str]]:
    """Other names, another order, and columns of no meaning."""
    order = [*rows[0], *JUNK]
    random.Random(7).shuffle(order)
    return [{names.get(each, each): row.get(each, JUNK.get(each, "")) for each in order} for row in rows]


def renamed_tree(node: Any, names: Mapping[str, str], chance: random.Random) -> Any:
    if isinstance(node, list):
        return [renamed_tree(each, names, chance) for each in node]
    if not isinstance(node, dict):
        return node
    items = [
        ("@" * key.startswith("@") + names.get(key.lstrip("@"), key.lstrip("@")), renamed_tree(each, names, chance))
        for key, each in node.items()
    ]
    chance.shuffle(items)
    return dict(items)


def rows_of(kind: str) -> tuple[str, list[dict[str, str]]]:
    if kind == "laboratory":
        return "laboratory-results", delimited.decode((FIXTURES / "lab_shiqiao_20260312.csv").read_bytes()).rows
    return "imaging-reports", workbook.decode((FIXTURES / "imaging_center_202603.xlsx").read_bytes())[0].rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "variant"), [(kind, each) for kind in ("laboratory", "imaging") for each in VARIANTS[kind]]
)
def test_a_table_with_other_names_says_the_same(kind: str, variant: str, tmp_path: Path) -> None:
    export, rows = rows_of(kind)
    wanted = said(shipped(), export, rows)
    others = renamed(rows, VARIANTS[kind][variant])
    draft, known = drafted(of_table(list(others[0]), others), tmp_path)
    assert draft.kind is not None
    assert draft.kind.name == kind
    assert agreement(wanted, said(known, "drafted", others)) >= LEAST
    assert {each.column.name for each in draft.unmapped} >= JUNK.keys()


TREES = {
    "encounters_liuhe_202603.xml": ("visits", "encounters"),
    "referral_up.json": ("referrals", "referral-form"),
    "referral_down.json": ("referrals", "referral-form"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "variant"), [(file, variant) for file, (kind, _) in TREES.items() for variant in VARIANTS[kind]]
)
def test_a_tree_with_other_names_says_the_same(file: str, variant: str, tmp_path: Path) -> None:
    kind, export = TREES[file]
    codec = xml_tree if file.endswith(".xml") else json_tree
    root = codec.decode((FIXTURES / file).read_bytes()).root
    wanted = said(shipped(), export, runtime.nodes(root, shipped().library.exports[export].each), root)
    other = renamed_tree(root, VARIANTS[kind][variant], random.Random(7))
    sample = of_tree(other)
    draft, known = drafted(sample, tmp_path)
    assert draft.kind is not None
    assert draft.kind.name == kind
    assert agreement(wanted, said(known, "drafted", runtime.nodes(other, sample.each), other)) >= LEAST


def test_no_value_of_a_patient_stands_in_a_draft(tmp_path: Path) -> None:
    _, rows = rows_of("laboratory")
    draft, _ = drafted(of_table(list(rows[0]), rows), tmp_path)
    for column in ("姓名", "身份证号", "病人ID", "结果", "条码号", "申请单号", "备注"):
        for value in {row[column] for row in rows if len(row[column]) > 3}:
            assert value not in draft.text


def test_the_draft_says_which_map_is_there_already() -> None:
    _, rows = rows_of("laboratory")
    draft = learned(of_table(list(rows[0]), rows), shipped().library, name="drafted")
    assert draft.fitting[0] == "laboratory-results"
    assert "laboratory-results" in draft.text


def test_a_file_like_no_kind_is_told() -> None:
    sample = of_table(["a1", "b2"], [{"a1": "x", "b2": "y"}])
    draft = learned(sample, shipped().library, name="drafted")
    assert (draft.kind, draft.text) == (None, "")
    assert [each.column.name for each in draft.unmapped] == ["a1", "b2"]


def test_there_are_more_than_four_hundred_spellings() -> None:
    assert len(vocabulary().spellings) > 4_000


def test_agreement_counts_what_is_missing() -> None:
    one: Fact = ("Patient", ".gender", "male")
    assert agreement(facts({"entry": []}), facts({"entry": []})) == 0.0
    made = facts({"entry": [{"fullUrl": "u", "resource": {"resourceType": "Patient", "gender": "male"}}]})
    assert made[one] == 1
    assert agreement(made, facts({"entry": []})) == 0.0


def test_a_column_that_is_empty_gives_way_to_one_that_says_something() -> None:
    rows = [
        {
            "申请号": "",
            "医嘱号": f"M{index}",
            "项目名称": "胸部CT",
            "申请时间": "2026-03-12",
            "申请医生": "林海",
            "姓名": "李明",
        }
        for index in range(3)
    ]
    draft = learned(of_table(list(rows[0]), rows), shipped().library, name="drafted")
    assert {each.column.name: each.meaning for each in draft.matches}["医嘱号"] == "申请单号"


@pytest.mark.parametrize(
    "name", ["list_visits", "upload_visits", "upload_results", "list_diagnoses", "oracle_patients"]
)
def test_files_of_known_systems_are_drafted_as_their_maps_say(name: str, tmp_path: Path) -> None:
    table = delimited.decode((maps.shipped() / "exports" / "examples" / f"{name}.csv").read_bytes())
    wanted = said(shipped(), name.replace("_", "-"), table.rows)
    _, known = drafted(of_table(table.columns, table.rows), tmp_path)
    assert agreement(wanted, said(known, "drafted", table.rows)) >= LEAST


def test_a_visit_without_a_diagnosis_is_a_visit(tmp_path: Path) -> None:
    head = ["就诊流水号", "病人ID", "姓名", "就诊时间", "就诊类型", "诊断编码", "诊断名称"]
    cells = [["V1", "P1", "李明", "2026-03-12 08:00:00", "门诊", "J18.900", "肺炎"],
             ["V1", "P1", "李明", "2026-03-12 08:00:00", "门诊", "I10.x00x002", "高血压病"],
             ["V2", "P1", "李明", "2026-03-13 08:00:00", "门诊", "", ""]]  # fmt: skip
    rows = [dict(zip(head, each, strict=True)) for each in cells]
    _, known = drafted(of_table(head, rows), tmp_path)
    made = said(known, "drafted", rows)
    assert made["Encounter", ".resourceType", "Encounter"] == 2
    assert made["Condition", ".resourceType", "Condition"] == 2


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ['结果"1', "项目名称", "单位 # x", "in", "row"],
        ["GMS", "诊断名称", "结果/1", "项目名称[1]", "OBX"],
        ["结果{a}", "项目名称|", "参考范围(1)", "key", "if not"],
    ],
)
def test_whatever_columns_are_called_the_draft_loads(names: list[str], tree: bool, tmp_path: Path) -> None:
    record = dict.fromkeys(names, "李明") | {"姓名": "李明", "sfzh": "529901198503120023"}
    sample = of_tree({"R": [record, record]}) if tree else of_table(list(record), [record, record])
    draft, known = drafted(sample, tmp_path)
    assert draft.kind is not None
    part = Part(name="drafted", records=[record, record], root={"R": [record, record]})
    known.exports.to_fhir([part], profile=SHANGHAI, facility="X", control_id="1")
