"""What the packaged definitions answer about paths."""

from __future__ import annotations

import gzip
import subprocess
import sys
from importlib import resources
from typing import Any

import msgspec
import pytest

from gateway import errors
from gateway.fhir import definitions, generator
from tests.fhir.laboratory import SHARED


@pytest.mark.parametrize(
    ("path", "types", "maximum", "inside"),
    [
        ("Patient.name", ("HumanName",), None, "HumanName"),
        ("Patient.name.family", ("string",), 1, ""),
        ("Patient.contact", ("BackboneElement",), None, "Patient.contact"),
        ("Patient.id", ("id",), 1, ""),
        ("Patient.contact.id", ("string",), 1, ""),
        ("Observation.valueQuantity", ("Quantity",), 1, "Quantity"),
        ("Observation.valueQuantity.value", ("decimal",), 1, ""),
        ("Observation.component.referenceRange.low", ("Quantity",), 1, "Quantity"),  # contentReference
        ("Bundle.entry.link.url", ("uri",), 1, ""),  # contentReference
        ("ValueSet.expansion.contains.contains.contains.code", ("code",), 1, ""),  # recursive
        ("Timing.repeat.boundsPeriod.start", ("dateTime",), 1, ""),
        ("Patient.extension.valueCoding.code", ("code",), 1, ""),
        ("Patient.birthDate.extension", ("Extension",), None, "Extension"),
        ("Bundle.entry.resource.id", ("id",), 1, ""),
        ("Extension.url", ("uri",), 1, ""),
    ],
)
def test_resolve(path: str, types: tuple[str, ...], maximum: int | None, inside: str) -> None:
    found = definitions.resolve(path)
    assert (found.types, found.max, found.inside) == (types, maximum, inside)


def test_choice() -> None:
    choice = definitions.resolve("Observation.value[x]")
    assert choice.choice
    assert {"Quantity", "string", "dateTime"} <= set(choice.types)
    assert definitions.resolve("Observation.valueDateTime").choice


def test_required_codes_are_expanded_and_others_left_out() -> None:
    assert definitions.resolve("Patient.gender").codes == frozenset({"male", "female", "other", "unknown"})
    assert "final" in (definitions.resolve("Observation.status").codes or ())
    active = "http://terminology.hl7.org/CodeSystem/condition-clinical|active"
    assert active in (definitions.resolve("Condition.clinicalStatus").codes or ())
    assert definitions.resolve("Attachment.contentType").codes is None  # mime types: open
    assert definitions.resolve("Patient.maritalStatus").codes is None  # extensible
    assert definitions.resolve("Patient.maritalStatus").binding.endswith("marital-status")


def test_reference_targets() -> None:
    assert definitions.resolve("Encounter.subject").targets == ("Group", "Patient")


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("Patient.name.famly", "family"),
        ("Patent.name", "Patient"),
        ("Observation.valueQuantty", "valueQuantity"),
        ("Patient.contact.nam", "name"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_right_one(path: str, near: str) -> None:
    with pytest.raises(errors.Configuration, match=near) as caught:
        definitions.resolve(path)
    assert caught.value.place == path


def test_a_type_alone_is_not_an_element() -> None:
    with pytest.raises(errors.Configuration, match="a type"):
        definitions.resolve("Patient")


def test_children_are_in_r4_order_and_reach_through_types() -> None:
    assert list(definitions.children("Period")) == ["id", "extension", "start", "end"]
    assert "family" in definitions.children("Patient.name")
    assert "low" in definitions.children("Observation.component.referenceRange")
    assert not definitions.children("Patient.birthDate")


def test_every_path_of_every_type_resolves() -> None:
    for name in definitions.resource_types() | definitions.data_types():
        for element in definitions.children(name).values():
            assert definitions.resolve(f"{name}.{element.name}") == element
    assert len(definitions.resource_types()) == 146
    assert "DomainResource" not in definitions.resource_types()


def test_the_first_answers_read_no_more_than_they_need() -> None:
    code = (
        "from gateway.fhir import definitions, searchparameters\n"
        "for name in ('Patient', 'Observation', 'DiagnosticReport', 'ServiceRequest', 'Encounter'):\n"
        "    definitions.children(name); searchparameters.parameters(name)\n"
        "print(definitions._type.cache_info().currsize)"
    )
    assert int(subprocess.check_output([sys.executable, "-c", code])) < 20  # of 200


@pytest.mark.samples
@pytest.mark.skipif(not SHARED.exists(), reason="the R4 definitions are not beside the repository")
def test_the_packaged_files_are_what_the_generator_writes() -> None:
    folder = SHARED / "reference" / "r4"
    content = generator.definitions(folder)
    for name, made in (
        ("definitions.json.gz", content),
        ("searchparameters.json.gz", generator.search_parameters(folder, content["resources"])),
        ("compartments.json.gz", generator.compartments(folder)),
        ("summaries.json.gz", generator.summaries(folder)),
    ):
        packaged = gzip.decompress(resources.files("gateway.fhir").joinpath(name).read_bytes())
        assert packaged == msgspec.json.encode(made, order="deterministic")


def test_expander() -> None:
    systems: list[dict[str, Any]] = [
        {
            "url": "s",
            "content": "complete",
            "concept": [{"code": "a", "concept": [{"code": "b", "concept": [{"code": "c"}]}]}, {"code": "d"}],
        },
        {"url": "open", "content": "fragment", "concept": [{"code": "x"}]},
    ]

    def value_set(url: str, *include: dict[str, object], exclude: tuple[dict[str, object], ...] = ()) -> dict[str, Any]:
        return {"url": url, "compose": {"include": list(include), "exclude": list(exclude)}}

    below = [{"property": "concept", "op": "descendent-of", "value": "a"}]
    is_a = [{"property": "concept", "op": "is-a", "value": "b"}]
    sets = [
        value_set("all", {"system": "s"}),
        value_set("below", {"system": "s", "filter": below}),
        value_set("is-a", {"system": "s", "filter": is_a}),
        value_set("without", {"system": "s"}, exclude=({"system": "s", "concept": [{"code": "d"}]},)),
        value_set("both", {"valueSet": ["below"]}, {"system": "t", "concept": [{"code": "z"}]}),
        value_set("open", {"system": "open"}),
        value_set("odd", {"system": "s", "filter": [{"property": "p", "op": "regex", "value": "."}]}),
    ]
    expander = generator.Expander(sets, systems)

    def codes(url: str) -> str | None:
        found = expander.expand(url)
        return None if found is None else "".join(sorted(code for _, code in found))

    assert [codes(url) for url in ("all", "below", "is-a", "without", "both")] == ["abcd", "bc", "bc", "abc", "bcz"]
    assert [codes(url) for url in ("open", "odd", "unknown")] == [None, None, None]


def test_asking_for_one_type_does_not_read_all() -> None:
    definitions._type.cache_clear()
    definitions.children("Slot")
    assert definitions._type.cache_info().currsize == 1
