"""Functions that are compiled for what is often met make what the functions for everything make."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.fhir import json
from gateway.mapping import examples, plans
from gateway.mapping.datatypes import load
from gateway.mapping.datatypes.exemplars import exemplars
from gateway.mapping.maps import Maps, shipped
from tests.mapping.house import PV1, SHANGHAI, WHEN, context, maps, message

OBR = "OBR|1|P1^HIS|F1^LIS|A^a^L|||20260312080000|||||||||||||||20260312090000||CH|F"
FIELDS = ("", '""', "A^甲^L", "A^甲^L~B^乙^L", "20260312080000", "5", "N", "F", "1-2", "^^^", "\\F\\")


def fresh() -> Maps:
    """The shipped maps with nothing remembered."""
    return Maps(maps().library)


@cache
def usual() -> Maps:
    """Others, for which nothing is compiled."""
    return fresh()


def made(maps_: Maps, body: bytes) -> bytes:
    try:
        return json.dumps(maps_.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN).bundle)
    except HutongError as error:
        return str(error).encode()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is compiled for when it is met."""
    monkeypatch.setattr(plans, "_OFTEN", 1)


@pytest.mark.slow
def test_examples_become_the_same(at_once: None) -> None:
    """Each eighth: to compile for each of them takes a while."""
    special = fresh()
    bodies = [path.read_bytes() for path in examples.inputs(shipped())[::8] if path.suffix == ".hl7"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "_OFTEN", 1_000_000)
        expected = [made(usual(), body) for body in bodies]
    assert [made(special, body) for body in bodies] == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(FIELDS), min_size=4, max_size=18), min_size=1, max_size=3))
def test_whatever_fields_are_valued(rows: list[list[str]]) -> None:
    results = (f"OBX|{number}|{'|'.join(fields)}" for number, fields in enumerate(rows, 1))
    body = message("ORU^R01^ORU_R01", PV1, OBR, *results)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "_OFTEN", 1)
        special = made(maps(), body)
        patch.setattr(plans, "_OFTEN", 1_000_000)
        assert special == made(usual(), body)


@pytest.mark.parametrize("name", sorted(name for name, pair in load().items() if pair.alone))
def test_a_pair_without_its_other_fields_makes_what_the_plain_one_makes(name: str) -> None:
    pair = load()[name]
    for texts in exemplars(name, None):
        one, other = context(), context()
        given = (texts[0], *[""] * pair.fields)
        assert pair.into(*given, one) == load()[pair.alone].into(texts[0], other)
        assert {url: each.resource for url, each in one.entries.items()} == {
            url: each.resource for url, each in other.entries.items()
        }


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch, at_once: None) -> None:
    monkeypatch.setattr(plans, "_PLANS", 2)
    monkeypatch.setattr(plans, "_FUNCTIONS", 2)
    own = fresh()
    bodies = [message("ORU^R01^ORU_R01", OBR, f"OBX|1|{'|'.join(FIELDS[2 : 4 + count])}") for count in range(6)]
    assert [made(own, body) for body in bodies] == [made(maps(), body) for body in bodies]
    known = own._structures["ORU_R01", False].plans
    assert len(known._functions) <= 2
    assert len(known._roots) <= 4
