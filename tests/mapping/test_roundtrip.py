"""There and back: identical, in a normal form that has a name, or lost and said so."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.mapping.accounting import file_forms, files, resource_forms
from gateway.mapping.accounting.normal_forms import completed, declared, mapped_fields
from gateway.mapping.accounting.roundtrip import Came, Comparison, compare_message, compare_resources
from gateway.mapping.accounting.trial import Trial
from tests.mapping.house import FIXTURES, fixture, maps, message
from tests.mapping.test_accounting import MESSAGES, trial, writing


def compare(body: bytes) -> Comparison:
    return compare_message(trial(body))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["roundtrip", *arguments])


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_nothing_of_the_fixtures_is_lost(path: Path) -> None:
    found = compare(path.read_bytes())
    assert [value for value in found.values if value.came is Came.LOST] == []
    assert found.totals[Came.IDENTICAL] > 0.7 * len(found.values)
    assert all(value.form for value in found.values if value.came is Came.NORMALISED)
    assert len({value.place for value in found.values}) == len(found.values)


def test_a_normal_form_has_its_name() -> None:
    pid = f"PID|1||300001^^^COUNTY^PI||张^伟~^^^^^^L||19750618|M{'|' * 16}是"
    body = message("ADT^A08", "PV1|1|I|||||||||||||||||V1^^^COUNTY^VN", pid=pid)
    forms = {value.place: (value.came, value.form) for value in compare(body).values}
    assert forms["PID-5"] == (Came.NORMALISED, "as XPN is written")
    assert forms["PID-24"] == (Came.IDENTICAL, "")
    assert forms["PID-7"] == (Came.IDENTICAL, "")


def test_what_is_written_otherwise_by_habit_comes_back_as_it_was() -> None:
    body = message("ADT^A08", pid="PID|1||300001^^^COUNTY^PI^~300002||张^伟^||19750618|m|||||5551234~^NET^^a@b.cn")
    forms = {value.place: value.came for value in compare(body).values}
    for place in ("PID-3", "PID-5", "PID-8", "PID-13"):
        assert forms[place] is Came.IDENTICAL, place


def test_what_does_not_come_back_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    body = message("ADT^A08", pid="PID|1||300001^^^COUNTY^PI||张^伟||19750618|M")
    assert compare(body).totals[Came.LOST] == 0
    monkeypatch.setattr(Trial, "again", lambda self, made: None)
    lost = [value.place for value in compare(body).values if value.came is Came.LOST]
    assert {"PID-5", "PID-7", "PID-8"} <= set(lost)


@pytest.mark.parametrize("name", ["01", "07", "08"])
def test_a_bundle_comes_back(name: str) -> None:
    found = compare_resources(writing(fixture(name)))
    assert len(found.values) > 20
    assert found.totals[Came.LOST] <= 0.05 * len(found.values)


@pytest.mark.parametrize(
    ("sent", "written", "held"),
    [
        ("V1^^^", "V1^^^COUNTY^VN", True),
        ("V1", "V1^^^COUNTY&1.2&ISO", True),
        ("V1~V2", "V1", False),
        ("V1^A", "V1^B", False),
        ("", "V1", True),
    ],
)
def test_completed(sent: str, written: str, held: bool) -> None:
    assert completed(sent, written) is held


def test_the_table_of_normal_forms_names_mapped_fields_and_says_what_is_written() -> None:
    library = maps().library
    mapped = {place for structure in library.structures for place in mapped_fields(library, structure)}
    assert set(declared()) <= mapped
    assert all(declared().values())
    shown = CliRunner().invoke(app, ["map", "normal-forms"])
    exported = [
        [f"{export}/{column}", form.when, form.said]
        for (export, column), forms in file_forms.declared().items()
        for form in forms
    ]
    resources = [
        [f"{export}/{form.path}", form.when, form.said]
        for export, forms in resource_forms.declared().items()
        for form in forms
    ]
    told = [line.split("\t") for line in shown.stdout.splitlines()]
    assert told == [*map(list, declared().items()), *exported, *resources]


def test_the_normal_forms_of_exports_name_columns_that_are_read() -> None:
    library = maps().library
    for export, column in files.declared():
        names = {
            f"{block.each}/{each.name}" if block.each else each.name
            for block in library.exports[export].blocks
            for line in block.lines
            for each in (*line.sources, *line.arguments)
        }
        assert column in names, (export, column)


def test_the_command_tells_files_totals_and_fails_for_what_it_cannot_do(tmp_path: Path) -> None:
    made = run(str(FIXTURES / "01_adt_a01_admit.hl7"))
    assert made.exit_code == 0, made.output
    assert "0 lost" in made.stdout.splitlines()[-1]
    bundle = tmp_path / "bundle.json"
    translated = CliRunner().invoke(app, ["translate", str(FIXTURES / "01_adt_a01_admit.hl7")])
    bundle.write_text(translated.stdout, encoding="utf-8")
    assert "mapped values" in run(str(bundle)).stdout
    (tmp_path / "bad.hl7").write_bytes(b"MSH|^~\\&|A|B|||20260101||XXX^X01|1|P|2.5\r")
    assert run(str(tmp_path / "bad.hl7")).exit_code == 1
