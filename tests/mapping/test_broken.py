"""Law 5: whatever bytes arrive, they become a valid Bundle, or an error that names place, cause and remedy."""

from __future__ import annotations

import random
import time
from functools import cache

import pytest

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.fhir import json, validate
from gateway.mapping.lawful import lawful
from gateway.mapping.maps import shipped
from tests.mapping.broken import broken
from tests.mapping.house import FIXTURES, SAMPLES, SHANGHAI, WHEN, maps

REPLACEMENT = "\ufffd".encode()  # what stands for a character that was lost


@cache
def of_the_house() -> list[bytes]:
    """The messages of the tests and of the maps' own examples."""
    paths = (*FIXTURES.glob("*.hl7"), *(shipped() / "hl7v2" / "examples").glob("*.hl7"))
    return [path.read_bytes() for path in sorted(paths)]


@cache
def of_others() -> list[bytes]:
    return [path.read_bytes() for path in sorted(SAMPLES.rglob("*.hl7"))]


def wrong(body: bytes) -> str:
    """'' for a valid Bundle or an error in full."""
    try:
        made = lawful(maps().to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN))
    except HutongError as error:
        return "" if error.cause and error.place and error.remedy else f"an error without place or remedy: {error}"
    found = [each for each in validate.problems(made.bundle) if each.text != "is required"]  # refused by formats
    if found:
        return f"{made.structure}: {found[0].path} {found[0].text}"
    return "a character was lost" if REPLACEMENT in json.dumps(made.bundle) and REPLACEMENT not in body else ""


def survive(messages: list[bytes], seed: int, *, count: int, seconds: float) -> None:
    """Breaks messages one after another, until there were enough or the time is over."""
    chance, until = random.Random(seed), time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() > until:
            break
        if found := wrong(broken(chance.choice(messages), chance)):
            pytest.fail(f"message {number} of seed {seed}: {found}")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_no_broken_message_breaks_the_gateway(seed: int) -> None:
    survive(of_the_house(), seed, count=200, seconds=120)


@pytest.mark.samples
@pytest.mark.samples
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
@pytest.mark.slow
def test_no_broken_sample_breaks_the_gateway(seed: int) -> None:
    survive(of_others(), seed, count=500, seconds=120)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 102))
def test_none_of_many_broken_messages_breaks_the_gateway(seed: int) -> None:
    survive([*of_the_house(), *of_others()], seed, count=3000, seconds=600)
