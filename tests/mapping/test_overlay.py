"""A receiver's own headers and codes: an overlay says them, the map stays one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from gateway.codec import delimited, xml_tree
from gateway.codec import json as json_tree
from gateway.errors import Configuration
from gateway.formats import files
from gateway.mapping.export_records import Part
from gateway.mapping.maps import Address, Maps, load, shipped
from gateway.model import FileForm, Profile, Resource
from tests.mapping.house import FIXTURES, WHEN

TOWNSHIP, COUNTY = "12529901MB990011XK", "12529901MB9900013D"
OVERLAY = """\
# What the county's platform takes
export county-results like laboratory-results
  named 病人ID=BRID 姓名=XM 性别=XBDM 身份证号=SFZH 项目代码=XMDM 项目名称=XMMC 结果=JCJG 单位=DW
    报告时间=BGSJ 申请单号=SQDH
  without 年龄 仪器
  codes export-sex=county-sex
  each JYJG/JG
  order SQDH XM XBDM SFZH XMDM XMMC JCJG DW BGSJ 年龄 LYXT
codes county-sex 1=male 2=female *>unknown
row => Observation key @DiagnosticReport XMDM
  LYXT <- status = "LIS"
"""


def made(folder: Path, text: str = OVERLAY) -> Maps:
    (folder / "own.map").write_text(text, encoding="utf-8")
    return load([shipped(), folder])


def township(maps: Maps) -> dict[str, Resource]:
    table = delimited.decode((FIXTURES / "lab_shiqiao_20260312.csv").read_bytes())
    part = Part(name="laboratory-results", records=table.rows, numbers=table.numbers)
    bundle = maps.exports.to_fhir([part], profile=Profile(), facility=TOWNSHIP, control_id="F", when=WHEN).bundle
    return {each["fullUrl"]: each["resource"] for each in bundle["entry"]}


def test_a_csv_of_the_township_becomes_the_xml_of_the_county(tmp_path: Path) -> None:
    maps = made(tmp_path)
    resources = township(maps)
    profile = Profile(charset="GB18030", file=FileForm(times="YYYYMMDDHHmmss"))
    to = Address(profile=profile, facility=COUNTY, own=frozenset({COUNTY}), control_id="B", when=WHEN)
    written = maps.exports.about(resources, name="county-results", to=to)
    body = files.encode(written, "xml", profile)
    assert body.startswith(b'<?xml version="1.0" encoding="GB18030"?>')
    assert "欧阳建国".encode("gb18030") in body
    rows = xml_tree.decode(body).root["JYJG"]["JG"]
    assert len(rows) == 118
    assert list(rows[0]) == ["SQDH", "XM", "XBDM", "SFZH", "XMDM", "XMMC", "JCJG", "DW", "BGSJ", "LYXT"]
    assert rows[0] == {
        "SQDH": "SQL202603120001", "XM": "欧阳建国", "XBDM": "1", "SFZH": "529901195804120111", "XMDM": "010101",
        "XMMC": "白细胞计数", "JCJG": "13.6", "DW": "10^9/L", "BGSJ": "20260312091400", "LYXT": "LIS",
    }  # fmt: skip
    assert {row["XBDM"] for row in rows} == {"1", "2"}


def test_the_overlay_reads_what_it_writes(tmp_path: Path) -> None:
    maps = made(tmp_path, OVERLAY.replace(" XM XBDM", " BRID XM XBDM"))
    resources = township(maps)
    to = Address(profile=Profile(), facility=TOWNSHIP, control_id="B", when=WHEN)
    written = maps.exports.about(resources, name="county-results", to=to)
    bodies = {each: files.encode(written, each, Profile()) for each in files.WRITTEN}
    assert len(set(bodies.values())) == len(files.WRITTEN)
    table = delimited.decode(bodies["delimited"])
    assert table.rows[0]["XBDM"] == "1"
    part = maps.exports.of_tree(xml_tree.decode(bodies["xml"]).root)
    assert (part.name, part.place, part.records) == ("county-results", "JYJG/JG", table.rows)
    assert maps.exports.of_tree(json_tree.decode(bodies["json"]).root).records == table.rows
    again = maps.exports.to_fhir([part], profile=Profile(), facility=TOWNSHIP, control_id="F", when=WHEN).bundle
    assert people(each["resource"] for each in again["entry"]) == people(resources.values())


def people(resources: Iterable[Resource]) -> list[dict[str, object]]:
    patients = (each for each in resources if each["resourceType"] == "Patient")
    return [{name: each[name] for name in ("identifier", "name", "gender")} for each in patients]


def test_names_of_trees_are_renamed_step_by_step(tmp_path: Path) -> None:
    named = "转诊单列表=list 患者=patient 姓名=name 转诊单号=number"
    text = f"export own-form like referral-form\n  named {named}\n  without 患者/民族\n  each list\n"
    export = made(tmp_path, text).library.exports["own-form"]
    (patient,) = (each for each in export.blocks if each.type == "Patient")
    assert patient.each == "patient"
    assert "name" in {each.name for line in patient.lines for each in line.sources}
    assert (export.each, export.columns[0], export.without) == ("list", "number", ("patient/民族",))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("export a like b\n", "own.map:1: no export is called b to be like"),
        ("export a like a\n", "no export is called a to be like"),
        ("export a like laboratory-results\n  named 姓名>XM\n", "姓名 is renamed with ="),
        ("export a like laboratory-results\n  named 名字=XM\n", "laboratory-results has no column 名字"),
        ("export a like laboratory-results\n  without 名字\n", "laboratory-results has no column 名字"),
        ("export a like laboratory-results\n  codes export-sex=no-sex\n", "no code table is called no-sex"),
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(Configuration, match=cause):
        made(tmp_path, text)
