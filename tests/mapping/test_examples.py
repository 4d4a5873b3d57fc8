"""The examples beside the maps: all of them hold, and a difference is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.codec import delimited, hl7v2, json, xml_tree
from gateway.mapping import examples
from gateway.mapping.maps import shipped
from tests.mapping.house import maps


@pytest.mark.timeout(360)  # the maps of all structures are compiled for it, on a machine that may be busy
@pytest.mark.slow
def test_every_example_is_as_it_says() -> None:
    assert [str(each) for each in examples.run(shipped())] == []


def test_every_structure_and_every_export_has_an_example() -> None:
    there = examples.inputs(shipped())
    structures = {maps().structure(hl7v2.decode(path.read_bytes())) for path in there if path.suffix == ".hl7"}
    assert structures == set(maps().library.structures)
    tables = [maps().exports.of_columns(delimited.decode(path.read_bytes()).columns) for path in _of(there, ".csv")]
    forms = [json.decode(path.read_bytes()) for path in _of(there, ".form.json")]
    forms += [xml_tree.decode(path.read_bytes()) for path in _of(there, ".form.xml")]
    trees = [maps().exports.of_tree(form.root).name for form in forms]
    views = {"his-visits", "his-orders", "his-imaging", "his-results"}  # of one database: tests/transport/test_views.py
    assert {*tables, *trees, *views} == set(maps().library.exports)


def _of(there: list[Path], suffix: str) -> list[Path]:
    return [path for path in there if path.name.endswith(suffix)]


UNKNOWN = {  # codes of the examples that no table knows, as it should be
    ("master_answer", "record-kind", "U"),
    ("other_supplies_answer", "supply-control", "OK"),
    ("stock_answer", "supply-control", "OK"),
    ("county_views", "his-visit", "7"),
    ("county_views", "his-visit-kind", "7"),
    ("county_views", "his-state", "5"),
    ("county_views", "his-order-state", "4"),
    ("county_views", "his-report-state", "3"),
}


def test_no_code_is_asked_of_a_table_that_does_not_have_it() -> None:
    """A line that holds where it should not makes the same Bundle, and codes for a person to look at."""
    found = set()
    for path in examples.inputs(shipped()):
        into, _ = examples._KINDS[path.suffix]
        found |= {(path.stem, *each) for each in into(path.read_bytes(), maps()).unknown}
    assert found == UNKNOWN


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A community's own folder of maps with two of the shipped examples."""
    folder = tmp_path / "maps" / "examples"
    folder.mkdir(parents=True)
    for name in ("merge.hl7", "merge.json", "merge.back.hl7", "cancelled_order.hl7"):
        shutil.copy(shipped() / "hl7v2" / "examples" / name, folder / name)
    return tmp_path / "maps"


def told(own: Path) -> list[str]:
    return [str(each) for each in examples.run(own)]


def test_a_missing_answer_is_told_and_written_when_a_person_accepts(own: Path) -> None:
    assert [each.partition(":")[0] for each in told(own)] == [
        "maps/examples/cancelled_order.json",
        "maps/examples/cancelled_order.back.hl7",
    ]
    assert examples.run(own, accept=True) == []
    assert told(own) == []
    shipped_answer = shipped() / "hl7v2" / "examples" / "cancelled_order.json"
    assert (own / "examples" / "cancelled_order.json").read_bytes() == shipped_answer.read_bytes()


def test_a_changed_map_is_a_changed_example(own: Path) -> None:
    examples.run(own, accept=True)
    (own / "own.map").write_text("codes sex M=male F=other *>unknown\n", encoding="utf-8")
    (found,) = told(own)
    assert found.startswith("maps/examples/merge.json: line ")
    assert 'expected \'"gender": "female"' in found
    assert 'made \'"gender": "other"' in found


def test_an_answer_with_other_line_ends_is_another_answer(own: Path) -> None:
    examples.run(own, accept=True)
    path = own / "examples" / "merge.back.hl7"
    path.write_bytes(path.read_bytes().replace(b"\r", b"\n"))
    assert told(own) == ["maps/examples/merge.back.hl7: the line ends differ"]


def test_a_document_that_cannot_be_made_says_why(own: Path) -> None:
    (own / "examples" / "bad.hl7").write_bytes(b"MSH|^~\\&|A|B|||2026||NMQ^N01|1|P|2.5\r")
    assert any("bad.json: cannot be made: MSH-9: message type NMQ^N01 is not mapped yet" in each for each in told(own))


def test_the_command(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert examples.main([str(own)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 examples, 2 differences"
    assert examples.main([str(own), "--accept"]) == 0
    assert examples.main([str(own)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 examples, 0 differences"
