"""Files of fixed width, of one object a line, and FHIR as XML or a resource a line, through the whole translation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app

COLUMNS = ["申请单号", "条码号", "病人ID", "姓名", "项目代码", "项目名称", "结果", "单位", "参考范围"]
ROWS = [
    ["SQ001", "T1", "P1", "蓝小满", "K", "血清钾", "6.8", "mmol/L", "3.5-5.3"],
    ["SQ002", "T2", "P2", "郳立新", "NA", "血清钠", "139", "mmol/L", "137-147"],
    ["SQ003", "T3", "P3", "周玘", "CL", "血清氯", "101", "mmol/L", "99-110"],
]
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "血清钾"}}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def counted(done: Result, kind: str) -> int:
    assert done.exit_code == 0, done.output
    return sum(each["resource"]["resourceType"] == kind for each in json.loads(done.stdout)["entry"])


def padded(cells: list[str]) -> str:
    return "".join(cell + " " * (14 - len(cell.encode("gb18030"))) for cell in cells)


def test_a_table_of_fixed_width_is_known_by_its_blanks(tmp_path: Path) -> None:
    path = tmp_path / "lis.txt"
    path.write_bytes("\r\n".join(map(padded, [COLUMNS, *ROWS])).encode("gb18030"))
    done = run("translate", path, "--member", "shiqiao")
    assert counted(done, "Observation") == 3
    assert "9 columns of fixed width, counted in bytes" in done.stderr


def test_a_declared_layout_needs_no_header(tmp_path: Path) -> None:
    folder = tmp_path / "xinhe"
    folder.mkdir()
    widths = ", ".join(f"{name}: 14" for name in COLUMNS)
    (folder / "member.yaml").write_text(
        "id: xinhe\nname: 新河\nfacilities: [XH]\nprofile:\n  charset: GB18030\n  maps: [laboratory-results]\n"
        f"  file: {{widths: {{{widths}}}}}\nchannels:\n"
        "  - {id: xinhe-files, transport: files, format: fixed, folder: in/xinhe}\n",
        encoding="utf-8",
    )
    path = tmp_path / "lis.dat"
    path.write_bytes("\n".join([*map(padded, ROWS), padded(ROWS[0]) + "too long"]).encode("gb18030"))
    done = run("translate", path, "--map", folder, "--channel", "xinhe-files")
    assert counted(done, "Observation") == 3
    assert "row 4 was set aside: the line is longer" in done.stderr


def test_an_object_a_line_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "lis.ndjson"
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in ROWS]
    path.write_text("\n".join([lines[0], '{"damaged": ', *lines[1:]]), encoding="utf-8")
    aside = tmp_path / "aside.tsv"
    done = run("translate", path, "--member", "shiqiao", "--rejects", aside)
    assert counted(done, "Observation") == 3
    assert aside.read_text(encoding="utf-8").splitlines()[1].split("\t")[1] == "2"


def test_an_object_a_line_is_a_tree_where_something_is_inside_it(tmp_path: Path) -> None:
    form = json.loads((Path(__file__).parent / "mapping/fixtures/referral_up.json").read_text(encoding="utf-8"))
    path = tmp_path / "referrals.ndjson"
    path.write_text("\n".join(json.dumps(each, ensure_ascii=False) for each in form["转诊单列表"]), encoding="utf-8")
    assert counted(run("translate", path, "--member", "shiqiao"), "Task") == 3


def test_fhir_a_resource_a_line(tmp_path: Path) -> None:
    path = tmp_path / "results.ndjson"
    good = json.dumps(OBSERVATION)
    bad = json.dumps(OBSERVATION | {"status": "done"})
    path.write_text("\n".join([good, bad, '{"a": 1}', good]), encoding="utf-8")
    done = run("translate", path, "--member", "shiqiao")
    assert counted(done, "Observation") == 2
    assert "row 2 was set aside: Observation.status" in done.stderr
    assert "row 3 was set aside: no FHIR resource" in done.stderr


def test_fhir_as_xml(tmp_path: Path) -> None:
    path = tmp_path / "patient.xml"
    path.write_text(
        '<Patient xmlns="http://hl7.org/fhir"><name><text value="蓝小满"/></name></Patient>', encoding="utf-8"
    )
    done = run("translate", path, "--member", "shiqiao")
    assert counted(done, "Patient") == 1
    path.write_text(
        '<Patient xmlns="http://hl7.org/fhir"><nam><text value="蓝小满"/></nam></Patient>', encoding="utf-8"
    )
    refused = run("translate", path, "--member", "shiqiao")
    assert refused.exit_code == 1
    assert "Patient.nam" in refused.stderr
    assert "蓝小满" not in refused.stderr


@pytest.mark.parametrize("format", ["ndjson", "fixed"])
def test_they_are_learned_too(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"lis.{'txt' if format == 'fixed' else format}"
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in ROWS]
    text = "\n".join(map(padded, [COLUMNS, *ROWS])) if format == "fixed" else "\n".join(lines)
    path.write_bytes(text.encode("gb18030"))
    folder = tmp_path / "xinhe"
    assert run("learn", path, "--out", folder).exit_code == 0
    assert f"format: {format}" in (folder / "member.yaml").read_text(encoding="utf-8")
    assert counted(run("translate", path, "--map", folder), "Observation") == 3


def test_a_layout_that_cannot_be_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "xinhe"
    folder.mkdir()
    (folder / "member.yaml").write_text(
        "id: xinhe\nname: 新河\nprofile:\n  file: {widths: {姓名: 0}, counted: inches}\n", encoding="utf-8"
    )
    path = tmp_path / "lis.dat"
    path.write_bytes(b"x")
    done = run("translate", path, "--map", folder)
    assert done.exit_code == 1
    assert "column '姓名' has no width" in done.stderr
    assert "unknown unit 'inches'" in done.stderr
