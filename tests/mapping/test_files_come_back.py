"""Files → FHIR → files: every mapped cell of the sample community's files, floor by floor (mappings/exports)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gateway import stateless
from gateway.errors import Configuration
from gateway.mapping.accounting.roundtrip import Came
from tests.mapping.house import FIXTURES, SAMPLES

COMMUNITY = SAMPLES / "community"


def came(path: Path, member: str) -> tuple[Counter[Came], list[str]]:
    made = stateless.roundtrip(path.read_bytes(), name=path.name, member=member, config=None)
    return made.totals, [value.place for value in made.values if value.came is Came.LOST]


def test_the_laboratory_file_comes_back_whole() -> None:
    assert came(FIXTURES / "lab_shiqiao_20260312.csv", "shiqiao") == ({Came.IDENTICAL: 3317}, [])


@pytest.mark.samples
@pytest.mark.parametrize(
    ("file", "member", "identical", "normalised"),
    [
        ("encounters_liuhe_202603.xml", "liuhe", 1101, 3),
        ("imaging_center_202603.xlsx", "imaging-centre", 860, 0),
        ("referral_up.json", "shiqiao", 194, 2),
        ("referral_down.json", "county", 126, 0),
    ],
)
def test_every_sample_comes_back(file: str, member: str, identical: int, normalised: int) -> None:
    totals, lost = came(COMMUNITY / file, member)
    assert lost == []
    assert (totals[Came.IDENTICAL], totals[Came.NORMALISED]) == (identical, normalised)


def test_a_file_that_no_map_knows_is_no_round_trip() -> None:
    with pytest.raises(Configuration):
        stateless.roundtrip("甲,乙\n1,2\n".encode(), name="a.csv", member="shiqiao", config=None)
