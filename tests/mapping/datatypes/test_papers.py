"""The documents by which people are known."""

from __future__ import annotations

import pytest

from gateway.mapping.context import CHINESE_ID, Context
from gateway.mapping.datatypes import load
from gateway.model import Profile


def context() -> Context:
    return Context(profile=Profile(), facility="TOWN")


@pytest.mark.parametrize(
    ("number", "kind", "system", "value"),
    [
        ("11010519491231002x", "01", CHINESE_ID, "11010519491231002X"),
        ("110105491231002", "", CHINESE_ID, "11010519491231002X"),
        ("110105194912310021", "身份证", "urn:hutong:id:TOWN:paper", "110105194912310021"),
        ("E12345678", "03", "urn:hutong:paper:03", "E12345678"),
        ("h12345678", "港澳通行证", "urn:hutong:paper:06", "H12345678"),
        ("12345", "99", "urn:hutong:id:TOWN:paper", "12345"),
    ],
)
def test_a_number_with_its_kind(number: str, kind: str, system: str, value: str) -> None:
    made = load()["paper"].into(number, kind, context())
    assert (made["system"], made["value"]) == (system, value)


@pytest.mark.parametrize("number", ["5.29901197506180E+17", "5.3E+17", "529901197506180000"])
def test_a_rounded_number_names_nobody(number: str) -> None:
    """Two people whose numbers agree in 15 places would be one by it."""
    around = context()
    assert load()["paper"].into(number, "01", around) is None
    assert around.unread.doubts == ["a spreadsheet has rounded the number; it was left out"]


@pytest.mark.parametrize(
    ("number", "system"),
    [
        ("11010519491231002X", CHINESE_ID),
        ("H12345678", "urn:hutong:paper:06"),
        ("M1234567801", "urn:hutong:paper:06"),
        ("E12345678", "urn:hutong:paper:03"),
        ("EA1234567", "urn:hutong:paper:03"),
        ("110105194912310021", "urn:hutong:id:TOWN:paper"),
    ],
)
def test_a_number_alone(number: str, system: str) -> None:
    assert load()["card"].into(number, context())["system"] == system


def test_no_number_is_no_document() -> None:
    assert load()["paper"].into("  ", "01", context()) is None
    assert load()["card"].into("", context()) is None
    assert load()["card"].into("不详", context()) is None
