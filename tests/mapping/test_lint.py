"""`hutong map lint`: what loads and is a mistake all the same, each with its line and the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.codec import hl7v2_dictionary, hl7v2_schema
from gateway.mapping.lint import lint
from tests.mapping.house import maps


def run(folder: Path) -> Result:
    return CliRunner().invoke(app, ["map", "lint", str(folder)])


def test_the_shipped_maps_are_clean() -> None:
    assert lint(maps().library) == []


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("PID => Patient\n  PID-88 <-> birthDate", "own.map:2: PID has no field 88; the last is PID-40"),
        ("PID => Patient\n  PID-3.40 -> birthDate", "own.map:2: PID-3 has no component 40; the last is PID-3.12"),
        ("PID => Patient\n  PID-5 <-> name : XPN", "own.map:2: Patient.name is a list in R4; did you mean name*?"),
        (
            "PID => Patient\n  PID-7 -> birthDate\n  PID-7 -> birthDate",
            "own.map:3: maps/own.map:2 reads the same field for Patient.birthDate already",
        ),
        (
            "OBX => Observation key OBX-3\n  OBX-3 -> code : CWE\n  . -> status = final\n  . -> status = amended",
            "own.map:4: Observation.status has its constant at maps/own.map:3 already",
        ),
        (
            "MRG => Patient in ADT_A39\n  MRG-7* -> name* : XPN ? STRUCTURE = ORU_R01",
            "own.map:2: in no message that has MRG can this line apply",
        ),
        ("PID => Patient\n  PID-7 <-> birthdate", "birthdate"),
        ("PID => Patient\n  PID-8 <-> gender | sexx", "no code table is called sexx; did you mean sex?"),
        ("PID => Patient\n  PID-5* <-> name* : XPM", "no data type is called XPM; did you mean XPN?"),
        ("PIX => Patient\n  PIX-5* <-> name* : XPN", "no message structure has a segment PIX"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, cause: str) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / "own.map").write_text(f"{text}\n", encoding="utf-8")
    made = run(folder)
    assert made.exit_code == 1
    assert any(cause in line and "own.map:" in line for line in made.stdout.splitlines()), made.stdout


def test_a_z_segment_may_have_any_field(tmp_path: Path) -> None:
    (tmp_path / "own.map").write_text("PID => Patient\n  ZPI-77.9 -> birthDate ? !PID-7\n", encoding="utf-8")
    assert run(tmp_path).exit_code == 0


def test_what_an_export_cannot_write(tmp_path: Path) -> None:
    head = "export own tree for Patient\n  each 人\n  columns 编号\n  order 编号\n"
    text = f"{head}row => Patient\n  编号 {{}} identifier* : own(PI)\n"
    (tmp_path / "own.map").write_text(text.format("->"), encoding="utf-8")
    assert "own has an order to be written in, and no line that writes" in run(tmp_path).output
    named = text.replace("  编号 {}", '  "记录[-1]/编号" {}')
    (tmp_path / "own.map").write_text(named.format("<->"), encoding="utf-8")
    assert "记录[-1]/编号 cannot be written; did you mean -> ?" in run(tmp_path).output


def test_a_folder_that_is_not_there() -> None:
    assert run(Path("/nowhere")).exit_code == 1


def test_the_dictionary_is_what_the_schema_says() -> None:
    made = hl7v2_schema.dictionary()
    assert {int(number) for number in made["segments"]["PID"]} == hl7v2_dictionary.fields("PID")
    assert hl7v2_dictionary.segments() == frozenset(made["segments"])
    assert hl7v2_dictionary.components("PID", 5) == made["types"]["XPN"]
    assert hl7v2_dictionary.components("OBX", 5) is None
    for version in hl7v2_schema.VERSIONS:
        for each in hl7v2_schema.fields("OBX", version):
            assert each.number in hl7v2_dictionary.fields("OBX")
