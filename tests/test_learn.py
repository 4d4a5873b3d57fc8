"""`hutong learn`: a sample of an unknown system → a map and a member.yaml that are used as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app

ROWS = (
    "yljgdm,hzxm,xbdm,csrq,sfzh,jzlsh,sqdh,xmmc,jyjg,dw,ckfw,bgsj,cxbz,zdy1\n"
    "A01,蓝小满,2,19900307,529901199003070023,MZ001,SQ001,血清钾,6.8,mmol/L,3.5-5.3,2026-03-12 09:14:00,0,x\n"
    "A01,蓝小满,2,19900307,529901199003070023,MZ001,SQ001,血清钠,139,mmol/L,137-147,2026-03-12 09:14:00,1,x\n"
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "daily.csv"
    path.write_bytes(ROWS.encode("gb18030"))
    return path


def resources(done: Result, kind: str) -> list[dict[str, object]]:
    assert done.exit_code == 0, done.output
    return [each["resource"] for each in json.loads(done.stdout)["entry"] if each["resource"]["resourceType"] == kind]


def test_what_is_drafted_is_used_as_it_is(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xinhe"
    learned = run("learn", sample, "--out", folder)
    assert learned.exit_code == 0, learned.output
    assert "laboratory results" in learned.stderr
    assert sorted(each.name for each in folder.iterdir()) == ["member.yaml", "xinhe-laboratory.map"]
    results = resources(run("translate", sample, "--member", "xinhe", "--map", folder), "Observation")
    assert [each["status"] for each in results] == ["final", "entered-in-error"]  # cxbz of the second says so
    assert results[0]["valueQuantity"]["value"] == 6.8  # type: ignore[index]


def test_whoever_is_named_has_the_numbers(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xinhe"
    run("learn", sample, "--out", folder)
    (visit,) = resources(run("translate", sample, "--member", "others", "--map", folder), "Encounter")
    (own,) = resources(run("translate", sample, "--map", folder), "Encounter")
    assert "others" in json.dumps(visit["identifier"])
    assert "xinhe" in json.dumps(own["identifier"])


def test_the_folder_is_a_member_of_a_community(sample: Path, tmp_path: Path) -> None:
    county = tmp_path / "county"
    assert run("init", county).exit_code == 0
    shutil.rmtree(county / "members" / "example-township")
    assert run("learn", sample, "--out", county / "members" / "xinhe").exit_code == 0
    checked = run("check", "--config", county / "community.yaml")
    assert checked.exit_code == 0, checked.output
    done = run("translate", sample, "--config", county / "community.yaml", "--member", "xinhe")
    assert len(resources(done, "Observation")) == 2


def test_no_value_is_shown(sample: Path) -> None:
    done = run("learn", sample)
    assert done.exit_code == 0
    assert "export daily-laboratory table" in done.stdout
    for value in ("蓝小满", "529901199003070023", "6.8", "血清钾", "SQ001", "MZ001"):
        assert value not in done.output


def test_codes_that_no_table_knows_are_told_and_names_are_not(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    rows = [f"MZ{index},李小明,2026-03-0{index % 9 + 1},{'甲' if index % 2 else '门诊'},内科" for index in range(12)]
    path.write_text("\n".join(["jzlsh,xm,jzrq,jzlx,ksmc", *rows]), encoding="utf-8")
    done = run("learn", path)
    assert "codes that local-visit does not know: 甲" in done.stdout
    assert "李小明" not in done.output


def test_nothing_is_overwritten(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xinhe"
    assert run("learn", sample, "--out", folder).exit_code == 0
    again = run("learn", sample, "--out", folder)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("a.hl7", b"MSH|^~\\&|HIS|A|||20260305||ADT^A04|1|P|2.4\r", "hutong sniff"),
        ("a.json", b'{"resourceType": "Patient"}', "this is FHIR"),
        ("a.csv", b"a1,b2\nx,y\n", "like no kind of export"),
    ],
)
def test_what_needs_no_map_and_what_is_not_understood(name: str, body: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    done = run("learn", path)
    assert done.exit_code == 1
    assert told in done.stderr


def test_a_folder_that_is_not_there_is_told(sample: Path, tmp_path: Path) -> None:
    done = run("translate", sample, "--map", tmp_path / "none")
    assert done.exit_code == 1
    assert "there is no such folder" in done.stderr


def test_a_folder_of_maps_alone_is_enough(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xinhe"
    run("learn", sample, "--out", folder)
    (folder / "member.yaml").unlink()
    assert resources(run("translate", sample, "--map", folder), "Observation")


def test_of_a_long_table_the_beginning_is_enough(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.learn.LONG", 220)
    head, first, _ = ROWS.splitlines()
    sample.write_text("\n".join([head, *[first] * 9]), encoding="utf-8")
    done = run("learn", sample, "--out", tmp_path / "xinhe")
    assert done.exit_code == 0, done.output
    assert "are looked at" in done.stderr
    assert "1 records" in done.stderr


def test_a_folder_whose_maps_cannot_be_used_is_told_at_once(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xinhe"
    folder.mkdir()
    (folder / "old.map").write_text(
        "export old table for Patient\n  columns a\nrow => Patient\n  a -> nonsense\n", "utf-8"
    )
    learned = run("learn", sample, "--out", folder)
    assert learned.exit_code == 1
    assert "before they can be used" in learned.stderr
    assert "old.map" in learned.stderr
    assert (folder / "xinhe-laboratory.map").exists()
