"""Laws of every export map that ships, on records that it suggests itself, dirty ones too: no cell is lost in silence,
what was written once is written the same again, as the same resources, and every Bundle is valid."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.fhir import validate
from gateway.mapping import runtime
from gateway.mapping.accounting.file_forms import is_nothing
from gateway.mapping.accounting.files import Files
from gateway.mapping.accounting.roundtrip import Came
from gateway.mapping.export_parts import leads
from gateway.mapping.export_records import Part
from gateway.mapping.lawful import lawful
from gateway.mapping.maps import Address
from gateway.mapping.translation import Translation
from gateway.mapping.written_file import WrittenFile
from gateway.model import Profile, Reject, Resource
from tests.mapping.house import WHEN, maps
from tests.mapping.invented_rows import rows, tree

FACILITY = "COUNTY"
MORE = 40  # times as many records in the slow part


def groups() -> list[tuple[str, ...]]:
    """Each export alone; one that finds what others make together with those of its system (his-orders, his-visits)."""
    exports = maps().library.exports
    found = {name: {each.type for each in exports[name].blocks if each.found} for name in sorted(exports)}
    made = {name: {each.type for each in exports[name].blocks if not each.found} for name in found}
    lone = [(name,) for name in found if not found[name]]
    systems = sorted({name.partition("-")[0] for name in found if found[name]})
    alike = [[name for name in found if name.startswith(f"{each}-")] for each in systems]
    joined = [tuple(each for each in names if found[each] or _serves(each, names, made, found)) for names in alike]
    return [*lone, *joined]


def _serves(name: str, names: list[str], made: dict[str, set[str]], found: dict[str, set[str]]) -> bool:
    return any(made[name] & found[other] for other in names if other != name)


GROUPS = groups()
GIVEN_FIRST = sorted(  # what others find, before them
    maps().library.exports, key=lambda name: sum(each.found for each in maps().library.exports[name].blocks)
)


def files(name: str) -> Files:
    return Files(maps().library.exports[name], maps().library, Profile(), FACILITY)


def invented(names: tuple[str, ...], seed: int) -> list[Part]:
    earlier: list[dict[str, str]] = []
    found = {name: _part(name, Random(seed), earlier) for name in sorted(names, key=GIVEN_FIRST.index)}
    return [found[name] for name in names]


def _part(name: str, random: Random, earlier: list[dict[str, str]]) -> Part:
    export, library = maps().library.exports[name], maps().library
    if export.format == "table":
        return Part(name=name, records=rows(export, files(name).mapped, library, random, earlier), place=name)
    return maps().exports.of_tree(tree(export, files(name).mapped, library, random), wanted=[name])


def into_fhir(parts: list[Part]) -> Translation:
    made = maps().exports.to_fhir(parts, profile=Profile(), facility=FACILITY, control_id="F", when=WHEN)
    return lawful(made)


def resources_of(made: Translation) -> dict[str, Resource]:
    return {each["fullUrl"]: each["resource"] for each in made.bundle.get("entry", ())}


def into_files(resources: dict[str, Resource], names: tuple[str, ...]) -> list[WrittenFile]:
    """Those of the files that the resources are for."""
    to = Address(profile=Profile(), facility=FACILITY, own=frozenset({FACILITY}), control_id="B", when=WHEN)
    exports, library = maps().library.exports, maps().library
    wanted = [name for name in names if leads(exports[name], library, resources)]
    return [maps().exports.about(resources, name=name, to=to) for name in wanted]


def records(written: WrittenFile) -> list[Any]:
    return written.rows if written.root is None else runtime.nodes(written.root, written.each)


def again(written: list[WrittenFile]) -> list[Part]:
    return [
        Part(name=each.name, records=each.rows, place=each.name)
        if each.root is None
        else maps().exports.of_tree(each.root, wanted=[each.name])
        for each in written
    ]


def lost_of(names: tuple[str, ...], seed: int) -> list[str]:
    """The cells that come back otherwise, in no form that is declared, without a word."""
    parts = invented(names, seed)
    made = into_fhir(parts)
    validate.check(made.bundle)
    if made.notes:  # something in it was against R4, and was left out as the notes say
        return []
    written = {each.name: each for each in into_files(resources_of(made), names)}
    return [
        f"{part.name}: {value.place}"
        for part in parts
        if part.name in written
        for value in files(part.name).compare(part, records(written[part.name]), written[part.name].root, made.rejects)
        if value.came is Came.LOST and not value.form and not _of_others(part, value.place, made.rejects)
    ]


def _of_others(part: Part, place: str, rejects: Sequence[Reject]) -> bool:
    """Is it a cell that says nothing, or that others than the lead read, of a row that makes no lead, which was told?
    No row is written for whom it is about."""
    lead = maps().library.exports[part.name].lead
    row, _, column = place.rpartition(", ")
    told = [each for each in rejects if f"{each.place} row {each.row}" == row and f"no {lead} is made" in each.cause]
    readings = files(part.name).mapped[""].get(column, ())
    return any(is_nothing(part.records[each.row - 1][column]) for each in told) or (
        bool(told) and any(each.block.type != lead for each in readings)
    )


def settles(names: tuple[str, ...], seed: int) -> None:
    """file → FHIR → file → FHIR → file: the files are the same, and so are the resources."""
    first = into_files(resources_of(into_fhir(invented(names, seed))), names)
    assume(first)
    made = resources_of(into_fhir(again(first)))
    second = into_files(made, names)
    more = resources_of(into_fhir(again(second)))
    assert [records(each) for each in second] == [records(each) for each in into_files(more, names)]
    assert _told(made) == _told(more)


def _told(resources: dict[str, Resource]) -> dict[str, Resource]:
    return {url: each for url, each in resources.items() if each["resourceType"] != "Provenance"}


@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_no_cell_is_lost_in_silence(names: tuple[str, ...], seed: int) -> None:
    assert lost_of(names, seed) == []


@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_what_was_written_is_written_the_same_again(names: tuple[str, ...], seed: int) -> None:
    settles(names, seed)


@pytest.mark.slow
@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
def test_many_records_come_back(names: tuple[str, ...]) -> None:
    for seed in range(8 * MORE):
        assert lost_of(names, seed) == [], seed
