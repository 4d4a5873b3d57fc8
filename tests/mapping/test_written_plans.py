"""Functions that are compiled for resources that are often written write what the lines write one by one."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.fhir import json
from gateway.mapping import examples, written_plans, written_together
from gateway.mapping.accounting.elements import by_url
from gateway.mapping.accounting.trial import again_to, leads_of
from gateway.mapping.maps import Address, Maps, Translation, shipped
from gateway.mapping.wording import FIELD
from gateway.model import Resource
from tests.mapping.generated import Generator
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
    """Elements are taken out, and elements of lists; some of these tell another field, which they stood in."""
    gone = [name for name in resource if name != "resourceType" and chance.random() < 0.1]
    made = {name: value for name, value in resource.items() if name not in gone}
    for name, value in made.items():
        if isinstance(value, list) and len(value) > 1 and chance.random() < 0.2:
            made[name] = value[1:]
        elif isinstance(value, list) and isinstance(value[0], dict) and name != "extension" and chance.random() < 0.1:
            told = {"url": FIELD, "valueString": chance.choice(FIELDS)}
            made[name] = [{**value[0], "extension": [*value[0].get("extension", ()), told]}, *value[1:]]
    return made


FIELDS = ("PID-3", "PID-13", "PID-14", "PID-18", "PV1-7", "PV1-8", "PV1-17", "OBR-16", "ORC-12", "OBX-16", "DG1-3")


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\r") if not line.startswith(b"MSH")]


RESULT = (
    "MSH|^~\\&|LIS|COUNTY|H|C|20260314101530+0800||ORU^R01^ORU_R01|{number}|P|2.5.1|||||CHN|UNICODE UTF-8\r"
    "PID|1||{number}^^^COUNTY^MR||{family}^{given}^^^^^L||{born}|{sex}|||{street}^^示例市||^PRN^CP^^86^^{number}\r"
    "ORC|RE|P{number}^HIS|F{number}^LIS||CM\r"
    "OBR|1|P{number}^HIS|F{number}^LIS|58410-2^全血细胞分析^LN|||20260314103000+0800|||||||||||||||||LAB|F\r"
    "OBX|1|NM|718-7^血红蛋白^LN||{value}|g/L|{low}-160|{flag}|||{status}\r"
    "OBX|2|ST|{number}^{given}^L||{given}||{low}-160|{flag}|||{status}\r"
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_nothing_of_one_patient_is_written_of_the_next(chance: random.Random) -> None:
    """Resources of one shape, written by one function with what it remembers: each as if it were the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(written_plans, "_OFTEN", 1)
        for _ in range(3):
            body = RESULT.format(
                number=chance.randrange(10**9), family=chance.choice("王李张"), given=chance.choice("伟芳娜"),
                born=f"19{chance.randrange(10, 99)}0312", sex=chance.choice("MF"), street=f"{chance.randrange(99)}号",
                value=chance.randrange(200), low=chance.randrange(100, 120), flag=chance.choice("HLN"),
                status=chance.choice("FPC"),
            )  # fmt: skip
            message = hl7v2.decode(body.encode())
            made = maps().to_fhir(message, profile=SHANGHAI, when=WHEN)
            to = again_to(message.header, SHANGHAI, WHEN)
            resources = by_url(json.loads(json.dumps(made.bundle)))
            again = written(special(), made, to, resources)
            assert again == written(Maps(maps().library), made, to, resources)
            assert _lines(again)[0].startswith(body.encode().split(b"\r")[1][:40])


def test_what_is_remembered_of_resources_written_together_is_coded() -> None:
    """No number, name, time or value of a patient is in the memory of coded elements."""
    own = Maps(maps().library)
    for number in ("4711000815", "4711000816"):
        body = RESULT.format(
            number=number, family="王", given="小明", born="19850312", sex="M", street="8号", value=141,
            low=110, flag="N", status="F",
        )  # fmt: skip
        message = hl7v2.decode(body.encode())
        made = maps().to_fhir(message, profile=SHANGHAI, when=WHEN)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(written_plans, "_OFTEN", 1)
            written(own, made, again_to(message.header, SHANGHAI, WHEN), by_url(made.bundle))
    tables = [tables for known in own._memory._known.values() for _, tables in known]
    kept = [key for each in tables for key in each.get(written_together.SLOT, ())]
    assert kept
    for told in (b"19850312", b"1985-03-12", b"141", "王".encode(), "8号".encode(), b"urn:hutong:id"):
        assert not any(told in key for key in kept)


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written_plans, "_OFTEN", 1)
    monkeypatch.setattr(written_plans, "_PLANS", 2)
    own = Maps(maps().library)
    found = read(0)
    assert found is not None
    made, to = found
    resources = by_url(made.bundle)
    assert written(own, made, to, resources) == written(usual(), made, to, resources)
    known = [each for found in own._writers[made.structure].plans._known.values() for each in found.values()]
    assert 0 < sum(len(each.known) for each in known) <= 2


@pytest.mark.parametrize("name", ["MFN_M02", "PMU_B01"])
def test_what_several_segments_say_of_one_around_them_is_said_once(name: str) -> None:
    """STF-4 of all roles of a person, whether a function writes it or the pen."""
    generator = Generator(maps().library, name)
    recipe = next(generator.recipes())
    message = hl7v2.decode(generator.message(recipe))
    made = maps().to_fhir(message, profile=SHANGHAI, when=WHEN)
    resources = by_url(json.loads(json.dumps(made.bundle)))
    function, lines = both(made, again_to(message.header, SHANGHAI, WHEN), resources)
    assert function == lines
