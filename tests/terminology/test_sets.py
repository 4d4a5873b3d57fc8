"""Value sets and code systems: listed and asked, the same answer; hostile ones are bounded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Permanent
from gateway.fhir import definitions, validate
from gateway.terminology import patterns, systems
from gateway.terminology.limits import Budget, NotFound, TooCostly, Undecided
from gateway.terminology.sets import Sets, codes_above, codes_below, codes_of
from gateway.terminology.shelf import canonical
from tests.terminology.shelves import Held, published

GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"
ANIMALS: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": "urn:animals",
    "version": "2",
    "content": "complete",
    "status": "active",
    "caseSensitive": False,
    "concept": [
        {
            "code": "animal",
            "property": [{"code": "notSelectable", "valueBoolean": True}],
            "concept": [
                {"code": "dog", "display": "Dog", "designation": [{"language": "zh-CN", "value": "狗"}]},
                {
                    "code": "cat",
                    "display": "Cat",
                    "concept": [
                        {"code": "lynx", "property": [{"code": "legs", "valueInteger": 4}]},
                        {"code": "smilodon", "property": [{"code": "status", "valueCode": "retired"}]},
                    ],
                },
            ],
        },
        {"code": "griffin", "property": [{"code": "parent", "valueCode": each} for each in ("cat", "bird")]},
        {"code": "bird"},
    ],
}  # fmt: skip


def value_set(*include: dict[str, Any], url: str = "urn:set", exclude: tuple[dict[str, Any], ...] = ()) -> Any:
    compose: dict[str, Any] = {"include": list(include)}
    if exclude:
        compose["exclude"] = list(exclude)
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose}


def codes(*include: dict[str, Any], **more: Any) -> list[str]:
    return [each.code for each in Sets(Held(ANIMALS)).expanded(value_set(*include, **more)).concepts]


def filtered(property: str, operator: str, value: str) -> dict[str, Any]:
    return {"system": "urn:animals", "filter": [{"property": property, "op": operator, "value": value}]}


def required() -> Iterator[tuple[str, frozenset[str]]]:
    for type_name in sorted(definitions.resource_types()):
        for element in definitions.children(type_name).values():
            if element.codes and element.types == ("code",):
                yield element.binding, element.codes


def test_required_bindings_are_what_the_validator_knows() -> None:
    seen = dict(required())
    assert len(seen) > 100
    for url, known in seen.items():
        assert {code for _, code in codes_of(Held(), url)} == known, url


def test_all_that_r4_publishes_is_valid_r4() -> None:
    assert len(published()) > 2_300
    wrong = [(each["id"], str(problem)) for each in published().values() for problem in validate.problems(each)]
    assert wrong == []


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        (("concept", "is-a", "cat"), ["cat", "lynx", "smilodon", "griffin"]),
        (("concept", "descendent-of", "CAT"), ["lynx", "smilodon", "griffin"]),
        (("concept", "is-not-a", "animal"), ["bird"]),
        (("concept", "generalizes", "griffin"), ["animal", "cat", "griffin", "bird"]),
        (("legs", "=", "4"), ["lynx"]),
        (("legs", "exists", "true"), ["lynx"]),
        (("notSelectable", "=", "true"), ["animal"]),
        (("code", "regex", "[cd].{2}"), ["dog", "cat"]),
        (("display", "regex", "(C|D).*"), ["dog", "cat"]),
        (("code", "in", "dog, bird"), ["dog", "bird"]),
        (("parent", "=", "bird"), ["griffin"]),
    ],
)
def test_filters(filter: tuple[str, str, str], found: list[str]) -> None:
    assert codes(filtered(*filter)) == found


def test_includes_are_united_and_value_sets_in_one_are_intersected() -> None:
    held = Held(
        ANIMALS,
        value_set(filtered("concept", "is-a", "cat"), url="urn:cats"),
        value_set(filtered("concept", "is-a", "bird"), url="urn:birds"),
    )
    both = value_set({"valueSet": ["urn:cats", "urn:birds"]})
    assert [each.code for each in Sets(held).expanded(both).concepts] == ["griffin"]
    either = value_set({"valueSet": ["urn:birds"]}, {"system": "urn:animals", "valueSet": ["urn:cats"]})
    assert [each.code for each in Sets(held).expanded(either).concepts] == [
        "griffin",
        "bird",
        "cat",
        "lynx",
        "smilodon",
    ]
    without = value_set({"system": "urn:animals"}, exclude=({"valueSet": ["urn:cats"]},))
    assert [each.code for each in Sets(held).expanded(without).concepts] == ["animal", "dog", "bird"]


_PARTS = st.one_of(
    st.just({"system": "urn:animals"}),
    st.lists(st.sampled_from(["dog", "cat", "lynx", "bird"]), min_size=1, max_size=3, unique=True).map(
        lambda found: {"system": "urn:animals", "concept": [{"code": each} for each in found]}
    ),
    st.builds(
        filtered,
        st.just("concept"),
        st.sampled_from(["is-a", "is-not-a", "descendent-of", "generalizes"]),
        st.sampled_from(["animal", "cat", "griffin", "bird"]),
    ),
    st.just({"valueSet": ["urn:cats"]}),
    st.just({"system": "urn:animals", "valueSet": ["urn:cats"]}),
)


@given(st.lists(_PARTS, min_size=1, max_size=3), st.lists(_PARTS, max_size=2), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_listed_is_what_is_contained(include: list[Any], exclude: list[Any], active: bool) -> None:
    held = Held(ANIMALS, value_set(filtered("concept", "is-a", "cat"), url="urn:cats"))
    asked = value_set(*include, exclude=tuple(exclude))
    if active:
        asked["compose"]["inactive"] = False
    listed = {each.key for each in Sets(held).expanded(asked).concepts}
    for code in systems.read(ANIMALS).concepts:
        assert (Sets(held).contains(asked, "urn:animals", code) is not None) == (("urn:animals", code) in listed), code
    assert Sets(held).contains(asked, "urn:others", "dog") is None


def test_what_is_held_in_part_is_said_to_be() -> None:
    held = Held()
    loinc = value_set({"system": "http://loinc.org"})
    assert Sets(held).expanded(loinc).open == {"http://loinc.org"}
    assert Sets(held).contains(loinc, "http://loinc.org", "8302-2") is not None
    with pytest.raises(Undecided, match="does not make it wrong"):
        Sets(held).contains(loinc, "http://loinc.org", "99999-9")
    with pytest.raises(Undecided):
        codes_of(Held(loinc), "urn:set")
    with pytest.raises(NotFound):
        codes_of(held, "urn:nobody")
    with pytest.raises(NotFound):
        codes_of(Held(value_set({"system": "urn:nobody"})), "urn:set")


def test_above_and_below() -> None:
    held = Held(ANIMALS)
    assert codes_below(held, "urn:animals", "cat") == {"cat", "lynx", "smilodon", "griffin"}
    assert codes_above(held, "urn:animals", "griffin") == {"griffin", "cat", "animal", "bird"}
    with pytest.raises(Permanent):
        codes_below(held, "urn:animals", "unicorn")
    with pytest.raises(NotFound):
        codes_below(held, "urn:plants", "rose")
    with pytest.raises(Undecided):  # two codes of a part that is held: nobody knows what lies below either
        codes_below(held, "http://snomed.info/sct", "363679005")
    clinical = systems.read(published()["CodeSystem", "http://snomed.info/sct"])
    one, other, *_ = clinical.concepts
    with pytest.raises(Undecided):
        clinical.relation(one, other)
    assert "2" in systems.read(ANIMALS).version
    assert systems.read(ANIMALS).relation("animal", "griffin") == "subsumes"
    assert systems.read(ANIMALS).relation("griffin", "bird") == "subsumed-by"
    assert systems.read(ANIMALS).relation("dog", "cat") == "not-subsumed"


def test_versions() -> None:
    with pytest.raises(NotFound, match="this version"):
        codes({"system": "urn:animals", "version": "1"})
    assert len(codes({"system": "urn:animals", "version": "2"})) == 7
    assert canonical(Held(ANIMALS), "CodeSystem", "urn:animals|2")
    with pytest.raises(NotFound):
        canonical(Held(ANIMALS), "CodeSystem", "urn:animals|3")


# ---------------------------------------------------------------------------------------------- hostile


def test_a_circle_of_value_sets_ends() -> None:
    first = value_set({"valueSet": ["urn:second"]}, url="urn:first")
    held = Held(first, value_set({"valueSet": ["urn:first"]}, url="urn:second"))
    for ask in (lambda: Sets(held).expanded(first), lambda: Sets(held).contains(first, "urn:animals", "dog")):
        with pytest.raises(Permanent, match="leads back to itself"):
            ask()


def test_depth_and_size_end() -> None:
    deep = [value_set({"valueSet": [f"urn:{number + 1}"]}, url=f"urn:{number}") for number in range(40)]
    with pytest.raises(TooCostly):
        Sets(Held(*deep)).expanded(deep[0])
    wide = [value_set(*[{"valueSet": [f"urn:{number + 1}"]}] * 8, url=f"urn:{number}") for number in range(9)]
    wide.append(value_set({"system": "urn:animals"}, url="urn:9"))
    begun = time.monotonic()
    with pytest.raises(TooCostly):
        Sets(Held(ANIMALS, *wide), budget=Budget(50_000)).expanded(wide[0])
    with pytest.raises(TooCostly):
        Sets(Held(ANIMALS, *wide), budget=Budget(50_000)).contains(wide[0], "urn:animals", "unicorn")
    assert time.monotonic() - begun < 90
    with pytest.raises(TooCostly, match="more than 3 codes"):
        Sets(Held(ANIMALS), limit=3).expanded(value_set({"system": "urn:animals"}))


def test_a_hierarchy_that_runs_in_a_circle_ends() -> None:
    circle = {**ANIMALS, "concept": [
        {"code": "a", "property": [{"code": "parent", "valueCode": "b"}]},
        {"code": "b", "property": [{"code": "parent", "valueCode": "a"}]},
    ]}  # fmt: skip
    assert codes_below(Held(circle), "urn:animals", "a") == {"a", "b"}


_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", "(a|b)", "(ab)", "(?:a|)"])
_REPEATED = st.builds(str.__add__, _ATOMS, st.sampled_from(["", "*", "+", "?", "{2}", "{1,2}", "{1,}"]))
_PATTERNS = st.lists(st.lists(_REPEATED, max_size=4).map("".join), min_size=1, max_size=2).map("|".join)


@given(_PATTERNS, st.text("ab1.", max_size=6))
@settings(max_examples=150, deadline=None)
def test_patterns_match_as_python_does(pattern: str, text: str) -> None:
    assert patterns.matcher(pattern).matches(text) == (re.fullmatch(pattern, text) is not None)


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "a*a*a*a*a*a*a*b", "((a+)+)+b"])
def test_patterns_that_explode_elsewhere(pattern: str) -> None:
    begun = time.monotonic()
    assert not patterns.matcher(pattern).matches("a" * 900)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("pattern", ["(", "a)", "[", "*", "a{99999}", "(?=a)", r"\1", "a" * 300, "(" * 50, "\\", "^a$"])
def test_patterns_that_are_refused(pattern: str) -> None:
    with pytest.raises(Permanent):
        patterns.matcher(pattern)
