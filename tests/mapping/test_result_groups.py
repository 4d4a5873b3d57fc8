"""Culture → organism → susceptibility, as references going in and as numbers coming back."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.mapping.maps import Translation
from tests.mapping.house import all_of, back, into, message, segments

OBR = "OBR|{set}|P{set}^HIS|F{set}^LIS|{code}|||20260312|||||||||||||||20260312||MB|F|{parent}|||{order}"
GROWTH = "OBX|{set}|CWE|600-7^血培养^LN|{sub}|{what}^{what}^L|||A|||F"
DRUG = "OBX|{set}|NM|{code}^{code}^L|{sub}|8|ug/mL||{sign}|||F"


def culture() -> list[str]:
    return [
        OBR.format(set=1, code="87040^血培养^L", parent="", order=""),
        GROWTH.format(set=1, sub="1", what="大肠埃希菌"),
        GROWTH.format(set=2, sub="2", what="金黄色葡萄球菌"),
    ]


def susceptibility(number: int, sub: str, *, order: str = "P1&HIS^F1&LIS") -> list[str]:
    return [
        OBR.format(set=number, code="29576-6^药敏^LN", parent=f"600-7&血培养&LN^{sub}^细菌", order=order),
        DRUG.format(set=1, code=f"AMX{number}", sub="", sign="R"),
    ]


def linked(made: Translation, element: str) -> dict[str, list[str]]:
    """What each result says of itself → what it refers to, the same way."""
    names = {each["fullUrl"]: _name(each["resource"]) for each in made.bundle["entry"]}
    return {
        _name(each): [names[other["reference"]] for other in each[element]]
        for each in all_of(made, "Observation")
        if element in each
    }


def _name(resource: dict[str, Any]) -> str:
    value = resource.get("valueCodeableConcept")
    return str(value["text"] if value else resource.get("code", {}).get("text", ""))


def test_each_susceptibility_follows_from_its_own_organism() -> None:
    made = into(message("ORU^R01^ORU_R01", *culture(), *susceptibility(2, "1"), *susceptibility(3, "2")))
    assert linked(made, "derivedFrom") == {"AMX2": ["大肠埃希菌"], "AMX3": ["金黄色葡萄球菌"]}
    assert [len(each["result"]) for each in all_of(made, "DiagnosticReport")] == [2, 1, 1]
    assert linked(made, "hasMember") == {}
    written = back(made.bundle, "ORU_R01")
    assert [(each[26:27], each[29:30]) for each in segments(written, "OBR")][1] == (
        ["600-7&血培养&LN^1^细菌"],
        ["P1&HIS^F1&LIS"],
    )


@pytest.mark.parametrize("parent", [susceptibility(2, "3"), susceptibility(2, "1", order="P8&HIS^F8&LIS")])
def test_a_parent_that_is_not_in_the_message_is_not_guessed(parent: list[str]) -> None:
    assert linked(into(message("ORU^R01^ORU_R01", *culture(), *parent)), "derivedFrom") == {}


def test_two_results_of_one_name_and_number_are_not_told_apart() -> None:
    doubled = [*culture(), GROWTH.format(set=3, sub="1", what="念珠菌")]
    assert linked(into(message("ORU^R01^ORU_R01", *doubled, *susceptibility(2, "1"))), "derivedFrom") == {}


def test_a_number_below_another_is_its_member() -> None:
    lines = [
        *culture(),
        DRUG.format(set=3, code="A", sub="1.1", sign="S"),
        DRUG.format(set=4, code="B", sub="2.1", sign="R"),
    ]
    made = into(message("ORU^R01^ORU_R01", *lines))
    assert linked(made, "hasMember") == {"大肠埃希菌": ["A"], "金黄色葡萄球菌": ["B"]}
    assert [each[4] for each in segments(back(made.bundle, "ORU_R01"), "OBX")] == ["1", "2", "1.1", "2.1"]


@pytest.mark.parametrize(("sign", "members"), [("S", {"大肠埃希菌": ["A"]}), ("H", {})])
def test_under_one_number_only_susceptibilities_are_members(sign: str, members: dict[str, list[str]]) -> None:
    made = into(message("ORU^R01^ORU_R01", *culture(), DRUG.format(set=3, code="A", sub="1", sign=sign)))
    assert linked(made, "hasMember") == members


def test_members_that_references_alone_tell_of_are_written_with_numbers() -> None:
    lines = [
        *culture(),
        DRUG.format(set=3, code="A", sub="1.1", sign="S"),
        DRUG.format(set=4, code="B", sub="", sign="R"),
    ]
    made = into(message("ORU^R01^ORU_R01", *lines))
    (report,) = all_of(made, "DiagnosticReport")
    for each in all_of(made, "Observation"):
        each.pop("extension", None)
    members = {other["reference"] for each in all_of(made, "Observation") for other in each.get("hasMember", ())}
    report["result"] = [each for each in report["result"] if each["reference"] not in members]  # as FHIR has it
    written = segments(back(made.bundle, "ORU_R01"), "OBX")
    assert [(each[3].partition("^")[0], each[4]) for each in written] == [
        ("600-7", "1"), ("A", "1.1"), ("600-7", ""), ("B", ""),
    ]  # fmt: skip
