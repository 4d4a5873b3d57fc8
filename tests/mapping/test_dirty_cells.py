"""Dirty cells: each is what it surely says, and a person is told where it says nothing."""

from __future__ import annotations

import pytest

from gateway.model import Resource
from tests.mapping import dirty, dirty_cells
from tests.mapping.dirty import Facts, changed, differing, facts, rows, table
from tests.mapping.dirty_cells import Result

ITEM = "010101"  # of the first row


@pytest.fixture(scope="module")
def clean() -> Facts:
    return facts(table(rows(4)))


def of(made: Facts, type_: str) -> Resource:
    return next(each for name, each in made.resources.items() if name.startswith(f"{type_}?"))


def result_of(made: Facts) -> Resource:
    return next(
        each
        for each in made.resources.values()
        if each["resourceType"] == "Observation" and each["code"]["coding"][0]["code"] == ITEM
    )


@pytest.mark.parametrize("each", dirty_cells.RESULTS, ids=lambda each: f"{each.kind} {each.cells}")
def test_a_result(clean: Facts, each: Result) -> None:
    made = facts(changed(each.cells))
    found = result_of(made)
    assert (dirty.value_of(found), dirty.marks_of(found), tuple(made.told)) == (each.value, each.marks, each.told)
    assert {resource["resourceType"] for pair in differing(clean, made).values() for resource in pair if resource} <= {
        "Observation"
    }


@pytest.mark.parametrize(("text", "ucum"), dirty_cells.UNITS)
def test_a_unit(text: str, ucum: str) -> None:
    made = facts(changed({"单位": text}))
    value = result_of(made)["valueQuantity"]
    assert (value["unit"], value.get("code", "?"), made.told) == (text, ucum, [])


@pytest.mark.parametrize(("kind", "text", "ranges", "told"), dirty_cells.RANGES)
def test_a_range(kind: str, text: str, ranges: list[str], told: tuple[str, ...]) -> None:
    made = facts(changed({"参考范围": text}))
    assert (dirty.ranges_of(result_of(made)), tuple(made.told)) == (ranges, told), kind


@pytest.mark.parametrize(("kind", "text", "moment", "told"), dirty_cells.MOMENTS)
def test_a_moment(kind: str, text: str, moment: str, told: tuple[str, ...]) -> None:
    made = facts(changed({"报告时间": text}, count=1))
    assert (of(made, "DiagnosticReport").get("issued", ""), tuple(dict.fromkeys(made.told))) == (moment, told), kind


@pytest.mark.parametrize(("kind", "text", "number", "told"), dirty_cells.CARDS)
def test_an_identity_card(kind: str, text: str, number: str, told: tuple[str, ...]) -> None:
    made = facts(changed({"身份证号": text}, count=1))
    (patient,) = [each for each in made.resources.values() if each["resourceType"] == "Patient"]
    cards = [each["value"] for each in patient["identifier"] if each["system"] == "urn:oid:2.16.156.10011.1.3"]
    assert (cards, tuple(made.told)) == ([number] if number else [], told), kind
    born = f"{number[6:10]}-{number[10:12]}-{number[12:14]}" if number else None
    assert patient.get("birthDate") == born
