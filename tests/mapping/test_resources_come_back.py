"""FHIR → file → FHIR gives the same resources, for every export map that ships, on the records that the maps suggest;
up to the normal forms that are declared in mappings/exports/resource_forms.tsv."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fhir import definitions
from gateway.mapping.accounting import resource_forms
from gateway.mapping.exports import Part
from tests.mapping.house import maps
from tests.mapping.test_invented_rows import GROUPS, again, into_fhir, into_files, invented, resources_of

MORE = 300  # seeds of the slow part
NEEDED = {  # what a row must say so that it is read: without it the row is set aside, and that is told
    "list-patients": "身份证号", "list-visits": "身份证号", "upload-referrals": "zjhm", "upload-results": "zjhm",
    "upload-visits": "zjhm",
}  # fmt: skip


def readable(part: Part) -> Part:
    """Without the records of persons whose number was none: what is written of them says nobody's."""
    if part.name not in NEEDED:
        return part
    kept = [each for each in part.records if not set_aside(Part(name=part.name, records=[each], place=part.place))]
    return Part(name=part.name, records=kept, place=part.place)


def set_aside(part: Part) -> bool:
    """Is the row that is written of this one set aside for what it lacks?"""
    told = [
        each
        for each in into_fhir(again(into_files(resources_of(into_fhir([part])), (part.name,)))).rejects
        if not each.cell
    ]
    assert {(each.column, each.cause) for each in told} <= {(NEEDED[part.name], f"{NEEDED[part.name]} is empty")}
    return bool(told)


def lost_of(names: tuple[str, ...], seed: int) -> list[str]:
    """What differs in no declared form after resources → files → resources."""
    parts = [readable(each) for each in invented(names, seed)]
    before = {url: each for url, each in resources_of(into_fhir(parts)).items() if _is_told(each)}
    written = into_files(before, names)
    if not written:
        return []
    read = into_fhir(again(written))
    assert [each for each in read.rejects if not each.cell and "taken once" not in each.cause] == []
    after = {url: each for url, each in resources_of(read).items() if _is_told(each)}
    return resource_forms.lost(before, after, names)


def _is_told(resource: dict[str, object]) -> bool:
    return resource["resourceType"] != "Provenance"


@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_the_resources_of_a_file_come_back(names: tuple[str, ...], seed: int) -> None:
    assert lost_of(names, seed) == []


@pytest.mark.slow
@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
def test_the_resources_of_many_files_come_back(names: tuple[str, ...]) -> None:
    for seed in range(MORE):
        assert lost_of(names, seed) == [], seed


def test_the_forms_name_what_the_maps_make() -> None:
    for name, forms in resource_forms.declared().items():
        exports = maps().library.exports.values() if name == "*" else [maps().library.exports[name]]
        types = {block.type for export in exports for block in export.blocks}
        for form in forms:
            type_, _, path = form.path.partition(".")
            assert type_ in types, (name, form.path)
            assert not path or definitions.resolve(form.path.replace("._", "."))


def test_a_form_holds_only_when_it_says_so() -> None:
    (unmeasured, *_) = resource_forms.declared()["encounters"]
    bare = {"resourceType": "Observation", "valueQuantity": {"extension": [{"url": "x", "valueCode": "unknown"}]}}
    measured = {"resourceType": "Observation", "valueQuantity": {"value": 1}}
    assert unmeasured.holds("Observation", bare, alone=True)
    assert not unmeasured.holds("Observation", measured, alone=True)
    assert not unmeasured.holds("Observation.status", bare, alone=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "final"}, ["Observation.status +final", "Observation.status -preliminary"]),
        ({"status": None}, ["Observation.status -preliminary"]),
        ({"performer": [{"reference": "p"}]}, ["Observation.performer.reference +p"]),
    ],
)
def test_any_other_difference_is_a_loss(change: dict[str, object], told: list[str]) -> None:
    one = {"resourceType": "Observation", "status": "preliminary"}
    other = {name: each for name, each in {**one, **change}.items() if each is not None}
    assert resource_forms.lost({"o": one}, {"o": other}, ("his-results",)) == told
    assert resource_forms.lost({"o": one}, {}, ("his-results",)) == ["-Observation"]


def test_another_order_is_a_difference() -> None:
    one = {"resourceType": "Patient", "name": [{"text": "甲"}, {"text": "乙"}]}
    other = {"resourceType": "Patient", "name": [{"text": "乙"}, {"text": "甲"}]}
    assert resource_forms.lost({"p": one}, {"p": other}, ("list-patients",)) == ["Patient: in another order"]
