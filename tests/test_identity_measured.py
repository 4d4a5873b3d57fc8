"""People of an invented county with the dirt of real data: nobody is joined with somebody else by himself."""

from __future__ import annotations

import pytest

from conformance.identity import measure
from conformance.identity.county import County


def test_the_same_seed_is_the_same_county() -> None:
    assert list(County(40, 7).records()) == list(County(40, 7).records())
    assert list(County(40, 7).records()) != list(County(40, 8).records())


def test_nobody_is_joined_with_somebody_else() -> None:
    found = measure.ours(list(County(100, 11).records()))
    assert (found.wrong, found.precision) == (0, 1.0)
    assert found.recall > 0.75
    assert found.recall_decided > 0.93
    assert (found.asked + found.waiting) / found.records < 0.12
    assert found.asked_rightly / found.asked > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 5])
def test_nor_in_a_larger_county(seed: int) -> None:
    found = measure.ours(list(County(1000, seed).records()))
    assert (found.wrong, found.precision) == (0, 1.0)
    assert found.recall > 0.84
    assert found.recall_decided > 0.96
    assert (found.asked + found.waiting) / found.records < 0.09


def test_equal_names_and_birth_dates_would_join_the_wrong_ones() -> None:
    records = list(County(1000, 1).records())
    assert measure.exact(records, "name", "born", "sex", name="").wrong > 0
