"""What is taken back or corrected in a file, before or after what it speaks of has come."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from tests.mapping import dirty
from tests.mapping.dirty import LABORATORY, VISITS
from tests.mapping.house import FIXTURES
from tests.rooms import House
from tests.test_people import Loader

HEADER = dirty.laboratory()[0]
ITEM = "010101"


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[Loader]:
    house = House(tmp_path)
    yield Loader(house)
    house.close()


def result(**cells: str) -> bytes:
    """A report of four results, the first with other cells."""
    listed = dirty.rows(4)
    listed[0].update(cells)
    return dirty.table(listed, dict.fromkeys((*HEADER, *cells)))


def stored(loader: Loader) -> tuple[str, str, str]:
    (found,) = loader.all_of(f"Observation?code={ITEM}")
    return found["status"], str(found["valueQuantity"]["value"]), found["issued"][11:16]


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_result_that_is_taken_back_stays_so_whatever_comes_first(loader: Loader, order: tuple[int, ...]) -> None:
    files = (result(), result(备注="作废"))
    for index in order:
        loader.load(LABORATORY, files[index])
    assert stored(loader)[0] == "entered-in-error"
    assert len(loader.all_of("Observation")) == 4


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_corrected_result_stands_whatever_comes_first(loader: Loader, order: tuple[int, ...]) -> None:
    files = (result(), result(结果="9.9", 备注="更正", 报告时间="2026-03-12 10:14:00"))
    for index in order:
        loader.load(LABORATORY, files[index])
    assert stored(loader) == ("corrected", "9.9", "10:14")
    (found,) = loader.all_of(f"Observation?code={ITEM}")
    if order == (0, 1):
        old = loader.record.vread("Observation", found["id"], 1)
        assert old is not None
        assert str(old.resource["valueQuantity"]["value"]) == "13.6"  # in the history


def test_a_correction_of_something_older_changes_nothing(loader: Loader) -> None:
    loader.load(LABORATORY, result(报告时间="2026-03-12 12:00:00"))
    loader.load(LABORATORY, result(结果="9.9", 备注="更正", 报告时间="2026-03-12 10:14:00"))
    assert stored(loader) == ("final", "13.6", "12:00")


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_visit_that_is_taken_back_stays_so_whatever_comes_first(loader: Loader, order: tuple[int, ...]) -> None:
    text = (FIXTURES / VISITS).read_text(encoding="utf-8")
    files = (text, text.replace("<ZT>2</ZT>", "<ZT>0</ZT>", 1))
    for index in order:
        loader.load(VISITS, files[index].encode())
    (visit,) = loader.all_of("Encounter?identifier=LHJZ202603030001")
    assert visit["status"] == "cancelled"


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_referral_that_is_taken_back_stays_so_whatever_comes_first(loader: Loader, order: tuple[int, ...]) -> None:
    text = (FIXTURES / "referral_up.json").read_text(encoding="utf-8")
    at = text.index('"状态"')
    assert '"已接诊"' in text[at : at + 20]
    files = (text, text[:at] + text[at:].replace('"已接诊"', '"已撤销"', 1))
    for index in order:
        loader.load("referral_up.json", files[index].encode())
    number = "identifier=urn:hutong:referral|ZZ529901202603100001"
    assert [each["status"] for each in loader.all_of(f"ServiceRequest?{number}")] == ["revoked"]
    assert [each["status"] for each in loader.all_of(f"Task?{number}")] == ["cancelled"]


def test_papers_that_are_due_are_listed_until_they_come(loader: Loader) -> None:
    """The emergency of the sample has its papers; without them it is on the list, and overdue after three days."""
    text = (FIXTURES / "referral_up.json").read_text(encoding="utf-8")
    done = '"补办完成时间": "2026-03-05 10:20:00"'
    assert done in text
    loader.load("referral_up.json", text.replace(done, '"补办完成时间": ""').replace('"已完成"', '"已接诊"').encode())
    asked = ["status", "--papers", "--data", str(loader.house.data), "--at"]
    told = CliRunner().invoke(app, [*asked, "2026-03-06T00:00:00+08:00"])
    assert (told.exit_code, told.stdout) == (0, "ZZ529901202603040002 due 2026-03-07T04:30:00+08:00 青岚县人民医院\n")
    told = CliRunner().invoke(app, [*asked, "2026-03-08T00:00:00+08:00"])
    assert (told.exit_code, told.stdout.split()[1]) == (1, "overdue")
    loader.load("referral_up.json", text.encode())
    told = CliRunner().invoke(app, [*asked, "2026-03-08T00:00:00+08:00"])
    assert (told.exit_code, told.stdout) == (0, "")


def test_a_file_of_one_result_that_is_taken_back_does_not_take_back_the_report(loader: Loader) -> None:
    loader.load(LABORATORY, result())
    loader.load(LABORATORY, dirty.table([{**dirty.rows(1)[0], "备注": "作废"}]))
    (report,) = loader.all_of("DiagnosticReport")
    assert (report["status"], len(report["result"])) == ("corrected", 4)
    assert stored(loader)[0] == "entered-in-error"
    loader.load(LABORATORY, dirty.table([{**row, "备注": "作废"} for row in dirty.rows(4)]))
    (report,) = loader.all_of("DiagnosticReport")
    assert (report["status"], len(report["result"])) == ("entered-in-error", 4)
