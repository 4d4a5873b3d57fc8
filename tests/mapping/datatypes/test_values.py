"""Results: numbers with comparators and units, words and signs, ranges, structured numerics, types both ways."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.mapping.datatypes import load
from gateway.mapping.datatypes.units import ucum
from gateway.mapping.datatypes.values import hinted, qualitative, quantity, reference_range
from tests.mapping.house import context


def result(raw: str, kind: str, units: str = "") -> Any:
    return load()["switch"].into(raw, kind, units, context())


@pytest.mark.parametrize(
    ("text", "value", "comparator"),
    [
        ("5.20", "5.20", None),
        ("<0.05", "0.05", "<"),
        ("≤ 0.05", "0.05", "<="),
        (">=1000", "1000", ">="),
        ("<=7.0", "7.0", "<="),
        ("＜０．０５", "0.05", "<"),
        ("１２．５", "12.5", None),
        ("⩾7", "7", ">="),
        ("-2.0", "-2.0", None),
    ],
)
def test_quantities_keep_digits_and_comparator(text: str, value: str, comparator: str | None) -> None:
    found = quantity(text, "g/L")
    assert found is not None
    assert str(found["value"]) == value
    assert found.get("comparator") == comparator
    assert (found["unit"], found["code"], found["system"]) == ("g/L", "g/L", "http://unitsofmeasure.org")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("阴性(-)", "NEG"), ("阴性", "NEG"), ("未检出", "NEG"), ("阴性（-）", "NEG"), ("-", "NEG"), ("Negative", "NEG"),
        ("阳性(+)", "POS"), ("阳性(+++)", "POS"), ("弱阳性", "POS"), ("1+", "POS"), ("+++", "POS"), ("2+", "POS"),
        ("+", "POS"), ("±", "IND"), ("+/-", "IND"), ("可疑", "IND"),
        ("1:80", ""), ("棕色", ""), ("5.2", ""), ("阴性对照合格", ""), ("A+", ""),
    ],
)  # fmt: skip
def test_words_and_signs(text: str, code: str) -> None:
    assert qualitative(text) == code


@pytest.mark.parametrize("text", ["1+", "2+", "+++", "±", "-", "阴性(-)"])
def test_no_sign_becomes_a_number(text: str) -> None:
    for kind in ("NM", "ST"):
        type_, value = result(text, kind, "mmol/L")
        assert type_ == "CodeableConcept"
        assert value["text"] == text


@pytest.mark.parametrize(
    ("raw", "kind", "units", "type_", "value"),
    [
        ("2.4", "NM", "mmol/L", "Quantity", {"value": Decimal("2.4"), "unit": "mmol/L"}),
        ("2.40", "ST", "mmol/L", "Quantity", {"value": Decimal("2.40"), "unit": "mmol/L"}),
        ("2.40", "ST", "", "String", "2.40"),
        (">^500", "SN", "ng/mL", "Quantity", {"value": Decimal(500), "comparator": ">", "unit": "ng/mL"}),
        ("^1^-^2", "SN", "g", "Range", {"low": {"value": Decimal(1)}, "high": {"value": Decimal(2)}}),
        ("^1^:^80", "SN", "", "Ratio", {"numerator": {"value": Decimal(1)}, "denominator": {"value": Decimal(80)}}),
        ("a~b", "TX", "", "String", "a\nb"),
        ("见下\\.br\\第二行", "FT", "", "String", "见下\n第二行"),
        ("20260312", "DT", "", "DateTime", "2026-03-12"),
        ("0715", "TM", "", "Time", "07:15:00"),
        ("5.1^g&gram&UCUM", "CQ", "", "Quantity", {"value": Decimal("5.1"), "unit": "gram", "code": "g"}),
        ("A^b^L", "CWE", "", "CodeableConcept", {"text": "b"}),
        ("Doe^John", "XPN", "", "String", "Doe John"),
    ],
)
def test_results_by_their_type(raw: str, kind: str, units: str, type_: str, value: Any) -> None:
    found = result(raw, kind, units)
    assert found is not None
    assert found[0] == type_
    assert contains(found[1], value), found[1]


def contains(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return all(name in found and contains(found[name], value) for name, value in wanted.items())
    return bool(found == wanted) and str(found) == str(wanted)


@pytest.mark.parametrize("raw", ["", '""', " "])
def test_an_empty_result_is_none(raw: str) -> None:
    assert result(raw, "NM", "g") is None


def test_a_number_that_is_none_is_noted() -> None:
    around = context()
    assert load()["switch"].into("see note", "NM", "", around)[:2] == ("String", "see note")
    assert around.notes == ["a numeric result (OBX-2 NM) is no number; it was carried as text"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("10^9/L", "10^9/L"),  # not escaped by the sender
        ("10\\S\\9/L", "10^9/L"),
        ("10*9/L", "10*9/L"),
        ("×10⁹/L", "×10⁹/L"),
        ("^umol/L", "umol/L"),
        ("mmol/L^毫摩尔每升^L", "mmol/L"),
        ("mg/dL^milligram per deciliter^UCUM", "milligram per deciliter"),
        ("ug/L^μg/L^UCUM", "μg/L"),
        ("{CFU}/mL^^UCUM", "{CFU}/mL"),
        ("264864^MDC_DIM_BEAT_PER_MIN^MDC", "MDC_DIM_BEAT_PER_MIN"),
        ("264864^MDC_DIM_BEAT_PER_MIN^MDC^/min^per minute^UCUM", "MDC_DIM_BEAT_PER_MIN"),
        ('""', None),
    ],
)
def test_units_as_written(raw: str, shown: str | None) -> None:
    assert result("5", "NM", raw)[1].get("unit") == shown


@pytest.mark.parametrize(
    ("raw", "system", "code"),
    [
        ("{CFU}/mL^^UCUM", "http://unitsofmeasure.org", "{CFU}/mL"),
        ("[lb_av]^pound^UCUM", "http://unitsofmeasure.org", "[lb_av]"),
        ("264864^MDC_DIM_BEAT_PER_MIN^MDC", "urn:iso:std:iso:11073:10101", "264864"),
        ("264864^MDC_DIM_BEAT_PER_MIN^MDC^/min^per minute^UCUM", "http://unitsofmeasure.org", "/min"),
    ],
)
def test_a_unit_whose_system_the_sender_names_has_it_in_both_directions(raw: str, system: str, code: str) -> None:
    made = result("80", "NM", raw)[1]
    assert (made["system"], made["code"]) == (system, code)
    written = load()["switch"].back(("Quantity", made), context())[2]
    assert result("80", "NM", written)[1] == made


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("10^9/L", "10*9/L"), ("10*9/L", "10*9/L"), ("×10⁹/L", "10*9/L"), ("x10^9/L", "10*9/L"), ("G/L", ""),
        ("g/L", "g/L"), ("μmol/L", "umol/L"), ("µmol/L", "umol/L"), ("umol/l", "umol/L"), ("IU/mL", "[IU]/mL"),
        ("个/HP", "/[HPF]"), ("mmHg", "mm[Hg]"), ("℃", "Cel"), ("秒", "s"), ("％", "%"), ("10^12/L", "10*12/L"),
        ("furlong", ""), ("", ""), ("S/CO", "{s_co_ratio}"),
    ],
)  # fmt: skip
def test_units_in_ucum(unit: str, code: str) -> None:
    assert ucum(unit) == code


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("3.5-5.3", "3.5", "5.3"),
        ("3.9000-6.1000", "3.9000", "6.1000"),
        ("3.5 ～ 5.3", "3.5", "5.3"),
        ("3.5--5.3", "3.5", "5.3"),
        ("3.5—5.3", "3.5", "5.3"),
        ("３.５~５.３", "3.5", "5.3"),
        ("-2-2", "-2", "2"),
        ("<5.2", None, "5.2"),
        ("≥60", "60", None),
        ("阴性(-)", None, None),
        ("男:3.5-5.3;女:3.1-5.0", None, None),
        ("5.3-3.5", None, None),  # upside down: only the text
    ],
)
def test_reference_ranges(text: str, low: str | None, high: str | None) -> None:
    found = reference_range(text, "mmol/L")
    assert found is not None
    assert found["text"] == text
    assert str(found.get("low", {}).get("value")) == str(low)
    assert str(found.get("high", {}).get("value")) == str(high)


def test_a_range_goes_back_as_it_came_and_one_without_text_is_written() -> None:
    pair = load()["range"]
    assert pair.back(pair.into("3.5～5.3", "mmol/L", context()), context()) == ("3.5～5.3", "mmol/L")
    bare = {"low": {"value": Decimal("3.50"), "unit": "g/L"}, "high": {"value": Decimal("5.3")}}
    assert pair.back(bare, context()) == ("3.50-5.3", "g/L")
    assert pair.back({"high": {"value": Decimal(5)}}, context()) == ("<=5", "")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (("Quantity", {"value": Decimal("2.40"), "unit": "mmol/L"}), ("2.40", "NM", "mmol/L")),
        (("Quantity", {"value": Decimal(5), "unit": "10^9/L", "code": "10*9/L"}), ("5", "NM", "10\\S\\9/L")),
        (
            ("Quantity", {"value": Decimal(5), "unit": "day", "code": "d", "system": "http://unitsofmeasure.org"}),
            ("5", "NM", "d^day^UCUM"),
        ),
        (("Quantity", {"value": Decimal("0.05"), "comparator": "<", "unit": "g"}), ("<^0.05", "SN", "g")),
        (("CodeableConcept", {"coding": [{"code": "A", "display": "b"}]}), ("A^b", "CWE", "")),
        (("CodeableConcept", {"text": "words"}), ("^words", "CWE", "")),
        (("String", "short"), ("short", "ST", "")),
        (("String", "two\nlines"), ("two\\.br\\lines", "TX", "")),
        (("DateTime", "2026-03-12"), ("20260312", "DT", "")),
        (("DateTime", "2026-03-12T14:20:00+08:00"), ("20260312142000", "TS", "")),
        (("Time", "07:15:00"), ("071500", "TM", "")),
        (("Boolean", True), ("Y", "ID", "")),
        (("Integer", 7), ("7", "ST", "")),
    ],
)
def test_values_are_written_with_their_type_and_unit(value: tuple[str, Any], written: tuple[str, str, str]) -> None:
    assert load()["switch"].back(value, context()) == written


def test_a_worded_result_is_written_as_the_words() -> None:
    pair = load()["switch"]
    assert pair.back(pair.into("阴性(-)", "ST", "", context()), context()) == ("阴性(-)", "ST", "")


@pytest.mark.parametrize(
    ("raw", "kind", "units", "hint"),
    [
        ("short", "TX", "", "TX"), ("x", "FT", "", "FT"), ("x", "ST", "", None), ("x" * 300, "TX", "", None),
        ("5.60", "NM", "mmol/L", None),
        ("5.60", "ST", "mmol/L", "ST"), ("<0.05", "NM", "mg/L", "NM^<0.05"),
        ("+5", "NM", "", "NM^+5"),
        ("<^0.05", "SN", "mg/L", None), ("^5", "SN", "", "SN^^5"), ("^1^:^128", "SN", "", "SN^^1^:^128"),
        ("A^甲^L", "CWE", "", None), ("A^甲^L", "CE", "", "CE"), ("A^甲^L", "CNE", "", "CNE"),
        ("20260312", "DT", "", None),
        ("202603120810", "TS", "", "TS^202603120810"), ("20260312081000", "DTM", "", "DTM"),
        ("0810", "TM", "", "TM^0810"),
        ("20260312^20260313", "DR", "", None), ("1.5^2.5", "NR", "g/L", "NR^1.5^2.5"),
        ("300001^^^COUNTY^PI", "CX", "", "CX^300001^^^COUNTY^PI"), ("1^2^3", "NA", "", "NA^1^2^3"),
        ("张^伟", "XPN", "", "XPN^张^伟"), ("5^mg", "CQ", "", "CQ^5^mg"), ("阳性(+)", "ST", "", None),
        ("↑", "ST", "", None),
        ("**", "ST", "", None), ("5.60", "", "mmol/L", None),
    ],
)  # fmt: skip
def test_a_result_comes_back_as_it_was_written(raw: str, kind: str, units: str, hint: str | None) -> None:
    """Type, text and unit; a note of them only where they would be guessed otherwise."""
    name, value, *rest = result(raw, kind, units)
    extensions = (rest[0] if rest else value if isinstance(value, dict) else {}).get("extension", ())
    assert [each["valueString"] for each in extensions] == ([hint] if hint else [])
    text, type_, unit = load()["switch"].back((name, hinted(value, rest[0] if rest else None)), context())
    assert (text, unit or units) == (raw, units)
    assert type_ == (kind or "NM")


def test_a_note_of_a_value_that_has_changed_since_is_not_believed() -> None:
    name, value = result("<0.05", "NM", "mg/L")
    assert load()["switch"].back((name, {**value, "value": 7}), context()) == ("<^7", "SN", "mg/L")
    _, _, element = result("0810", "TM")
    assert load()["switch"].back(("Time", hinted("09:30:00", element)), context()) == ("093000", "TM", "")
