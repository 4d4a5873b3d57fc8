"""Law 6 in the eyes of others: what the maps make is valid R4 for fhir.resources, and for a validator of its own."""

from __future__ import annotations

import random
import re

import pytest

from conformance import validator
from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.fhir.resources_door import second_opinion
from gateway.mapping.lawful import lawful
from tests.mapping.house import FIXTURES, SAMPLES, SHANGHAI, WHEN, maps
from tests.mapping.invented import invented

UNKNOWN_TO_IT = re.compile(r"\._value\w+: extra_forbidden$")  # its Extension does not know what extends a value
STRICTER = re.compile(r"per-1|no code")  # of a day and a moment no one can say which is later; of a code, whose it is
needs_validator = pytest.mark.skipif(not validator.command(), reason="there is no validator beside the repository")


def some(rounds: int) -> list[bytes]:
    """Invented messages of every structure."""
    chance = random.Random(7)
    names = sorted(maps().library.structures)
    return [invented(maps().library, name, chance) for _ in range(rounds) for name in names]


def objections(bodies: list[bytes]) -> set[str]:
    """What fhir.resources finds wrong in any resource."""
    found = set()
    for body in bodies:
        try:
            made = lawful(maps().to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN))
        except HutongError:
            continue
        for entry in made.bundle["entry"]:
            type_ = entry["resource"]["resourceType"]
            found |= {f"{made.structure} {type_} {each}" for each in second_opinion(entry["resource"])}
    return {each for each in found if not UNKNOWN_TO_IT.search(each)}


def test_the_second_opinion_on_our_messages() -> None:
    assert objections([path.read_bytes() for path in FIXTURES.glob("*.hl7")]) == set()


@pytest.mark.slow
def test_the_second_opinion_on_invented_messages() -> None:
    assert objections(some(rounds=3)) == set()


@pytest.mark.slow
@pytest.mark.samples
@pytest.mark.samples
def test_the_second_opinion_on_samples() -> None:
    assert objections([path.read_bytes() for path in SAMPLES.rglob("*.hl7")]) == set()


@pytest.mark.samples
@pytest.mark.samples
@needs_validator
def test_the_validator_on_samples() -> None:
    bodies = (path.read_bytes() for path in sorted(SAMPLES.rglob("*.hl7")))
    assert validator.judged(validator.bundles(bodies, maps())) == ""


@pytest.mark.slow
@needs_validator
def test_the_validator_on_invented_messages() -> None:
    told = validator.judged(validator.bundles(some(rounds=2), maps())).splitlines()
    assert [line for line in told if " error " in line and not STRICTER.search(line)] == []
