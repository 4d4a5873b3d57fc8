"""Laws of every export map, on records that it suggests itself, dirty ones too: no cell is lost in silence, and what
was written once is written the same again, as the same resources."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.mapping import runtime
from gateway.mapping.accounting.files import Files
from gateway.mapping.accounting.roundtrip import Came
from gateway.mapping.exports import Part
from gateway.mapping.maps import Address
from gateway.mapping.written_file import WrittenFile
from gateway.model import Profile, Resource
from tests.mapping.house import WHEN, maps
from tests.mapping.invented_rows import row, tree

FACILITY = "COUNTY"
MAPS = ("encounters", "his-visits", "imaging-reports", "laboratory-results", "referral-form")  # the sample community's


def files(name: str) -> Files:
    return Files(maps().library.exports[name], maps().library, Profile(), FACILITY)


def invented(name: str, seed: int) -> Part:
    export, library, random = maps().library.exports[name], maps().library, Random(seed)
    if export.format == "table":
        return Part(name=name, records=[row(export, files(name).mapped, library, random)])
    return maps().exports.of_tree(tree(export, files(name).mapped, library, random), wanted=[name])


def there_and_back(part: Part) -> tuple[WrittenFile, list[Resource], Any]:
    made = maps().exports.to_fhir([part], profile=Profile(), facility=FACILITY, control_id="F", when=WHEN)
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle.get("entry", ())}
    assume(any(each["resourceType"] == maps().library.exports[part.name].lead for each in resources.values()))
    to = Address(profile=Profile(), facility=FACILITY, own=frozenset({FACILITY}), control_id="B", when=WHEN)
    bare = [each for each in resources.values() if each["resourceType"] != "Provenance"]
    return maps().exports.about(resources, name=part.name, to=to), bare, made.rejects


def records(written: WrittenFile) -> list[Any]:
    return written.rows if written.root is None else runtime.nodes(written.root, written.each)


def part_of(written: WrittenFile) -> Part:
    if written.root is None:
        return Part(name=written.name, records=written.rows)
    return maps().exports.of_tree(written.root, wanted=[written.name])


@pytest.mark.parametrize("name", MAPS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_no_cell_is_lost_in_silence(name: str, seed: int) -> None:
    part = invented(name, seed)
    written, _, rejects = there_and_back(part)
    compared = files(name).compare(part, records(written), written.root, rejects)
    lost = [each.place for each in compared if _is_lost(each)]
    assert lost == [], (part.records, records(written))


def _is_lost(value: Any) -> bool:
    """What could not be read and was told is no loss in silence."""
    return value.came is Came.LOST and not value.form


@pytest.mark.parametrize("name", MAPS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_what_was_written_is_written_the_same_again(name: str, seed: int) -> None:
    """file → FHIR → file → FHIR → file: the files are the same, and so are the resources."""
    first, _, _ = there_and_back(invented(name, seed))
    second, resources, _ = there_and_back(part_of(first))
    third, again, _ = there_and_back(part_of(second))
    assert records(second) == records(third)
    assert resources == again
