"""Functions that are compiled for resources that are often written write what the lines write one by one."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.mapping import examples, written_plans
from gateway.mapping.accounting.elements import by_url
from gateway.mapping.accounting.trial import again_to, leads_of
from gateway.mapping.maps import Address, Maps, Translation, shipped
from gateway.model import Resource
from tests.mapping.house import SHANGHAI, WHEN, maps

NEVER = 1_000_000
Example = tuple[Translation, Address]


@cache
def usual() -> Maps:
    """Maps with nothing remembered, for which nothing is compiled."""
    return Maps(maps().library)


@cache
def special() -> Maps:
    """Others, for which everything is."""
    return Maps(maps().library)


def written(maps_: Maps, made: Translation, to: Address, resources: dict[str, Resource]) -> bytes:
    try:
        leads = leads_of(maps_, resources, made.structure)
        return maps_.from_fhir(resources, leads, structure=made.structure, to=to)
    except HutongError as error:
        return str(error).encode()
    except (LookupError, TypeError, ValueError):  # without what was taken out it is no valid resource
        return b""


def both(made: Translation, to: Address, resources: dict[str, Resource]) -> tuple[bytes, bytes]:
    """(written by functions, written line by line)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(written_plans, "_OFTEN", 1)
        function = written(special(), made, to, resources)
        patch.setattr(written_plans, "_OFTEN", NEVER)
        return function, written(usual(), made, to, resources)


@cache
def read(number: int) -> Example | None:
    """The translation of an example, and its sender; None where it becomes an error."""
    paths = [path for path in examples.inputs(shipped()) if path.suffix == ".hl7"]
    message = hl7v2.decode(paths[number % len(paths)].read_bytes())
    try:
        made = maps().to_fhir(message, profile=SHANGHAI, when=WHEN)
    except HutongError:
        return None
    return made, again_to(message.header, SHANGHAI, WHEN)


@pytest.mark.slow
def test_examples_are_written_the_same() -> None:
    for number in range(0, 400, 8):
        if found := read(number):
            function, lines = both(*found, by_url(found[0].bundle))
            assert function == lines


@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 400), chance=st.randoms(use_true_random=False))
def test_whatever_elements_are_there(number: int, chance: random.Random) -> None:
    """Some taken out, so that lines write what others would have written."""
    if found := read(number):
        resources = {url: _without_some(each, chance) for url, each in by_url(found[0].bundle).items()}
        function, lines = both(*found, resources)
        assert function == lines


def _without_some(resource: Resource, chance: random.Random) -> Resource:
    gone = [name for name in resource if name != "resourceType" and chance.random() < 0.1]
    return {name: value for name, value in resource.items() if name not in gone}


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written_plans, "_OFTEN", 1)
    monkeypatch.setattr(written_plans, "_PLANS", 2)
    own = Maps(maps().library)
    found = read(0)
    assert found is not None
    made, to = found
    resources = by_url(made.bundle)
    assert written(own, made, to, resources) == written(usual(), made, to, resources)
    assert len(own._writers[made.structure].plans._known) <= 2
