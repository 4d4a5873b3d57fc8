"""What `G/L` means is told by what was measured."""

from __future__ import annotations

import pytest

from gateway import stateless
from gateway.fhir import json
from gateway.mapping.unit_of_analyte import UNSURE
from tests.mapping.dirty import facts, rows, table


def codes(name: str, short: str = "") -> tuple[set[str], bool]:
    """The UCUM codes of a result and of its range, and whether people are told that nothing tells them."""
    listed = [{**each, "项目名称": name, "英文缩写": short, "结果": "5", "参考范围": "4-10"} for each in rows(1)]
    made = facts(table([{**each, "单位": "G/L"} for each in listed]))
    found = next(each for each in made.resources.values() if each["resourceType"] == "Observation")
    quantities = [found["valueQuantity"], *(found["referenceRange"][0][end] for end in ("low", "high"))]
    assert {each["unit"] for each in quantities} == {"G/L"}
    assert all(("system" in each) == ("code" in each) for each in quantities)
    return {each.get("code", "") for each in quantities}, UNSURE in made.notes


@pytest.mark.parametrize("name", ["白细胞计数", "中性粒细胞", "血小板计数", "WBC", "PLT", "NEUT#", "Lym"])
def test_cells_are_counted(name: str) -> None:
    assert codes(name) == ({"10*9/L"}, False)


@pytest.mark.parametrize(
    "name", ["血红蛋白", "红细胞平均血红蛋白浓度", "总蛋白", "HGB", "Hb", "纤维蛋白原", "Haemoglobin"]
)
def test_proteins_are_weighed(name: str) -> None:
    assert codes(name) == ({"g/L"}, False)


@pytest.mark.parametrize("name", ["项目一", "GLYHBX"])
def test_of_anything_else_the_unit_is_kept_without_a_code(name: str) -> None:
    assert codes(name) == ({""}, True)


def test_the_short_name_tells_it_too() -> None:
    assert codes("项目一", "WBC") == ({"10*9/L"}, False)


def test_in_messages_too_and_an_explicit_code_stays() -> None:
    lines = (
        "MSH|^~\\&|LIS|TOWN|||20260312080000+0800||ORU^R01|1|P|2.5.1", "PID|1||P1^^^TOWN||张^伟",
        "OBR|1||R1|0101^血常规", "OBX|1|NM|HGB^血红蛋白||150|G/L|130-175||||F",
        "OBX|2|NM|WBC^白细胞||5|G/L|4-10||||F",
        "OBX|3|NM|X1^项目一||5|g/L^G/L^UCUM|4-10||||F",
    )  # fmt: skip
    made = stateless.translate("\r".join(lines).encode(), name="a.hl7", member=None, to="fhir", config=None)
    found = [each["resource"] for each in json.loads(made.output)["entry"]]
    results = [each for each in found if each["resourceType"] == "Observation"]
    assert [each["valueQuantity"]["code"] for each in results] == ["g/L", "10*9/L", "g/L"]
