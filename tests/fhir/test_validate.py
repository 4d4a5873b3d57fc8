"""What is valid R4 passes, what is not is named with its place; both readers agree."""

from __future__ import annotations

import copy
import functools
import gzip
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.fhir import json, problems, shapes, validate
from tests.fhir import laboratory

MAPPINGS = Path(__file__).parents[2] / "mappings"
EXAMPLES = laboratory.SHARED / "reference" / "r4" / "examples.ndjson.gz"
FAULTS = laboratory.SHARED / "tools" / "speed" / "bundle12.json"


def says_yes(resource: dict[str, Any]) -> bool:
    """What the compiled structs alone say."""
    try:
        return validate._plainly_valid(json.dumps(resource))
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False


def first(resource: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(errors.Permanent) as caught:
        validate.check(resource)
    assert not says_yes(resource)
    return caught.value.place, caught.value.cause


@pytest.mark.parametrize("resource", [laboratory.patient(), laboratory.observation(), laboratory.transaction()])
def test_valid_resources_pass_both_readers_and_stay_as_they_are(resource: dict[str, Any]) -> None:
    before = copy.deepcopy(resource)
    validate.check(resource)
    assert says_yes(resource)
    assert validate.problems(resource) == []
    assert resource == before


def test_the_rarer_corners_are_valid() -> None:
    validate.check(laboratory.corners())


def test_white_space_between_the_parts_changes_nothing() -> None:
    body = json.dumps_pretty(laboratory.transaction())
    assert validate._plainly_valid(body)
    validate.check_bytes(body)
    wrong = body.replace(laboratory.GLUCOSE.encode(), b"urn:uuid:0", 1)
    with pytest.raises(errors.Permanent):
        validate.check_bytes(wrong)


PATIENTS: list[tuple[dict[str, Any], str]] = [
    ({"gender": 5}, "Patient.gender"),
    ({"gender": "bogus"}, "Patient.gender"),
    ({"gendre": "male"}, "Patient.gendre"),
    ({"birthDate": "1985-02-29"}, "Patient.birthDate"),
    ({"birthDate": "1900-02-29"}, "Patient.birthDate"),
    ({"birthDate": "0000"}, "Patient.birthDate"),
    ({"birthDate": "2026-04-31"}, "Patient.birthDate"),
    ({"birthDate": "2026-03-14T10:00:00+08:00"}, "Patient.birthDate"),
    ({"birthDate": "2026-03-14\n"}, "Patient.birthDate"),
    ({"birthDate": None}, "Patient.birthDate"),
    ({"id": "a b"}, "Patient.id"),
    ({"id": "a" * 65}, "Patient.id"),
    ({"active": "true"}, "Patient.active"),
    ({"active": 1}, "Patient.active"),
    ({"multipleBirthInteger": 1.5}, "Patient.multipleBirthInteger"),
    ({"multipleBirthInteger": 2**31}, "Patient.multipleBirthInteger"),
    ({"multipleBirthInteger": True}, "Patient.multipleBirthInteger"),
    ({"multipleBirthInteger": 1, "multipleBirthBoolean": True}, "Patient.multipleBirth"),
    ({"name": {"family": "x"}}, "Patient.name"),
    ({"name": []}, "Patient.name"),
    ({"name": [{}]}, "Patient.name[0]"),
    ({"name": [None]}, "Patient.name[0]"),
    ({"name": [{"family": ""}]}, "Patient.name[0].family"),
    ({"name": [{"family": "  "}]}, "Patient.name[0].family"),
    ({"name": [{"given": ["a", None]}]}, "Patient.name[0].given[1]"),
    ({"name": [{"given": "a"}]}, "Patient.name[0].given"),
    ({"name": [{"period": {"start": "2026-02", "end": "2026-01"}}]}, "Patient.name[0].period"),
    ({"_birthDate": {}}, "Patient._birthDate"),
    ({"_birthDate": {"extension": [{"url": "a"}]}}, "Patient._birthDate.extension[0]"),
    ({"_name": [{"id": "1"}]}, "Patient._name"),
    ({"contact": [{"gender": "male"}]}, "Patient.contact[0]"),
    ({"link": [{"other": {"reference": "Patient/1"}}]}, "Patient.link[0].type"),
    ({"link": [{"type": "seealso"}]}, "Patient.link[0].other"),
    ({"telecom": [{"value": "1"}]}, "Patient.telecom[0]"),
    ({"photo": [{"data": "YWJj"}]}, "Patient.photo[0]"),
    ({"photo": [{"data": "YWJ", "contentType": "image/png"}]}, "Patient.photo[0]"),
    ({"photo": [{"contentType": "image/png "}]}, "Patient.photo[0].contentType"),
    ({"identifier": [{"system": "a b"}]}, "Patient.identifier[0].system"),
    ({"managingOrganization": {"reference": "#no"}}, "Patient"),
    ({"contained": [{"resourceType": "Organization", "id": "o", "name": "x"}]}, "Patient"),
    ({"extension": [{"url": "a", "valueString": "b", "valueCode": "c"}]}, "Patient.extension[0].value"),
    ({"extension": [{"url": "a", "valueCodeableReference": {}}]}, "Patient.extension[0].valueCodeableReference"),
    ({"text": {"status": "generated", "div": "no"}}, "Patient.text.div"),
    ({"text": {"status": "generated", "div": "<div><script>1</script></div>"}}, "Patient.text"),
    ({"text": {"status": "generated", "div": "<div><p>x</div>"}}, "Patient.text"),
    ({"text": {"status": "generated", "div": "<div>x</div><div>y</div>"}}, "Patient.text"),
    ({"meta": {"lastUpdated": "2026-03-14"}}, "Patient.meta.lastUpdated"),
    ({"text": {"div": "<div>x</div>"}}, "Patient.text.status"),
]


@pytest.mark.parametrize(("change", "place"), PATIENTS)
def test_a_fault_is_found_at_its_place(change: dict[str, Any], place: str) -> None:
    assert first({**laboratory.patient(), **change})[0] == place


OBSERVATIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"status": None}, "Observation.status", "required"),
    ({"code": None}, "Observation.code", "required"),
    ({"valueString": "x"}, "Observation.value", "more than one"),
    ({"dataAbsentReason": {"text": "x"}}, "Observation", "obs-6"),
    ({"referenceRange": [{"appliesTo": [{"text": "x"}]}]}, "Observation.referenceRange[0]", "obs-3"),
    ({"component": [{"code": laboratory.observation()["code"]}]}, "Observation", "obs-7"),
    ({"effectiveDateTime": "2026-03-14T11:05:00"}, "Observation.effectiveDateTime", "offset"),
    ({"valueQuantity": {"value": "5.1"}}, "Observation.valueQuantity.value", "number"),
    ({"valueQuantity": {"value": 1, "code": "mg"}}, "Observation.valueQuantity", "qty-3"),
    (
        {"valueQuantity": None, "valueRange": {"low": {"value": 2}, "high": {"value": 1}}},
        "Observation.valueRange",
        "rng-2",
    ),
    ({"valueQuantity": None, "valueRatio": {"numerator": {"value": 2}}}, "Observation.valueRatio", "rat-1"),
    ({"valueQuantity": None, "valueTime": "24:00:00"}, "Observation.valueTime", "hh:mm:ss"),
]


@pytest.mark.parametrize(("change", "place", "word"), OBSERVATIONS)
def test_observations(change: dict[str, Any], place: str, word: str) -> None:
    found = first(laboratory.observation(**change))
    assert found[0] == place
    assert word in found[1]


def test_decimals_of_any_spelling_are_numbers() -> None:
    for number in (Decimal("0.10"), Decimal("1E+400"), Decimal("-0.0"), 0, 10**30):
        validate.check(laboratory.observation(valueQuantity={"value": number}))


def test_a_leap_day_and_partial_dates_are_dates() -> None:
    for text in ("2024-02-29", "2000-02-29", "2026", "2026-12"):
        validate.check({**laboratory.patient(), "birthDate": text})
        assert says_yes({**laboratory.patient(), "birthDate": text})


def test_a_bound_concept_needs_a_coding_of_its_value_set() -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
    good = {**condition, "clinicalStatus": {"coding": [{"system": system, "code": "active"}]}}
    validate.check(good)
    assert first({**condition, "clinicalStatus": {"coding": [{"system": system, "code": "ill"}]}})[0] == "Condition"
    assert first({**condition, "clinicalStatus": {"text": "active"}})[0] == "Condition"


Change = Callable[[dict[str, Any]], Any]
BUNDLES: list[tuple[Change, str]] = [
    (lambda b: b.update(type="bogus"), "Bundle.type"),
    (lambda b: b.update(total=3), "Bundle"),
    (lambda b: b["entry"][0].pop("request"), "Bundle.entry[0]"),
    (lambda b: b["entry"][0].update(search={"mode": "match"}), "Bundle.entry[0]"),
    (lambda b: b["entry"][0].update(response={"status": "200"}), "Bundle.entry[0]"),
    (
        lambda b: b["entry"][1]["resource"].update(subject={"reference": "urn:uuid:0"}),
        "Bundle.entry[1].resource.subject.reference",
    ),
    (lambda b: b["entry"][1].update(fullUrl=b["entry"][0]["fullUrl"]), "Bundle.entry"),
    (lambda b: b["entry"][1]["resource"].update(resourceType="Patientt"), "Bundle.entry[1].resource.resourceType"),
    (lambda b: b["entry"][1].update(resource="x"), "Bundle.entry[1].resource"),
    (lambda b: b["entry"][2]["resource"].pop("status"), "Bundle.entry[2].resource.status"),
    (lambda b: b["entry"][2]["resource"].update(subject={"reference": "#x"}), "Bundle.entry[2].resource"),
    (lambda b: b.update(type="document"), "Bundle"),
    (lambda b: b.update(entry=[{"fullUrl": "urn:uuid:9"}]), "Bundle.entry[0]"),
]


@pytest.mark.parametrize(("change", "place"), BUNDLES)
def test_bundles(change: Change, place: str) -> None:
    made = laboratory.transaction()
    change(made)
    assert first(made)[0] == place


def test_an_escaped_reference_does_not_slip_through() -> None:
    body = json.dumps(laboratory.transaction()).replace(b'"reference":"urn', b'"\\u0072eference":"urn:x', 1)
    with pytest.raises(errors.Permanent):
        validate.check_bytes(body.replace(b"urn:x:uuid", b"urn:uuid:1"))


def test_types_never_met_before_are_learnt_on_the_way() -> None:
    for kind in ("Slot", "Substance", "Flag"):
        made = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": kind}}]}
        assert first(made)[0].startswith("Bundle.entry[0].resource.")
    validate.check_bundle(laboratory.transaction())


def test_check_bundle_takes_bundles_only() -> None:
    with pytest.raises(errors.Permanent, match="not a Bundle"):
        validate.check_bundle(laboratory.patient())


@pytest.mark.parametrize(
    "body", [b"[]", b"7", b"{}", b'{"resourceType":7}', b'{"resourceType":"Resource"}', b"{", b"null"]
)
def test_what_is_no_resource_is_permanent(body: bytes) -> None:
    with pytest.raises(errors.Permanent):
        validate.check_bytes(body)


def test_all_problems_are_listed_and_none_shows_a_value() -> None:
    resource = {**laboratory.patient(), "gender": "张三", "birthDate": "张三", "foo": "张三", "id": "张三"}
    found = validate.problems(resource)
    assert {each.path for each in found} == {"Patient.gender", "Patient.birthDate", "Patient.foo", "Patient.id"}
    assert "张三" not in str(found)
    with pytest.raises(errors.Permanent, match="3 more problems") as caught:
        validate.check(resource)
    assert "张三" not in str(caught.value)


# ------------------------------------------------------------------------------- the readers agree

ODD = [
    "", " ", "x", "2026-02-30", "2026-13", "urn:uuid:0", "#no", 0, -1, Decimal("1.5"), True, None, {}, [],
    {"text": "a"}, [{"text": "a"}], "a b ", "Patient/1", "2020", "2020-01-01T00:00:00Z", {"coding": [{"code": "x"}]},
]  # fmt: skip
WORDS = [
    "valueString",
    "valueBoolean",
    "foo",
    "_status",
    "text",
    "extension",
    "id",
    "contained",
    "value",
    "code",
    "start",
]


def nodes(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from nodes(each)


def spoil(resource: Any, chance: random.Random) -> None:
    """One random change, mostly for the worse."""
    node = chance.choice(list(nodes(resource)))
    if isinstance(node, list):
        if node:
            node[chance.randrange(len(node))] = copy.deepcopy(chance.choice(ODD))
        return
    keys = [key for key in node if key != "resourceType"]
    match chance.randrange(4):
        case 0 if keys:
            node.pop(chance.choice(keys))
        case 1 if keys:
            node[chance.choice(keys)] = copy.deepcopy(chance.choice(ODD))
        case 2:
            node[chance.choice(WORDS)] = copy.deepcopy(chance.choice(ODD))
        case _ if keys:
            node[f"_{chance.choice(keys)}"] = {"extension": [{"url": "urn:x", "valueString": "b"}]}


@given(st.randoms(use_true_random=False), st.sampled_from(["transaction", "corners", "patient", "observation"]))
def test_a_yes_of_the_structs_is_never_a_no_of_the_full_reader(chance: random.Random, name: str) -> None:
    resource = getattr(laboratory, name)()
    spoil(resource, chance)
    body = json.dumps(resource)
    found = problems.find(json.loads(body))  # total: never raises, whatever it meets
    if says_yes(resource):
        assert found == []
    if found:
        with pytest.raises(errors.Permanent):
            validate.check_bytes(body)
    else:
        validate.check_bytes(body)


# ------------------------------------------------------------------------------------- the samples


@pytest.mark.samples
@pytest.mark.skipif(not EXAMPLES.exists(), reason="the R4 examples are not beside the repository")
def test_the_examples_of_the_specification_are_valid_but_one() -> None:
    refused = []
    with gzip.open(EXAMPLES) as lines:
        for line in lines:
            try:
                validate.check_bytes(line)
            except errors.Permanent as error:
                refused.append((json.loads(line)["id"], error.place))
    assert refused == [("qs1", "Questionnaire.item[0].item[0].linkId")]  # it lacks the required linkId


@pytest.mark.samples
@pytest.mark.skipif(not FAULTS.exists(), reason="the speed samples are not beside the repository")
def test_a_message_bundle_is_valid_by_the_fast_way() -> None:
    assert validate._plainly_valid(FAULTS.read_bytes())


@functools.cache
def made_by_maps() -> list[bytes]:
    """Bundles and resources of many types: the examples of the maps, as JSON."""
    found = []
    for path in sorted(MAPPINGS.glob("*/examples/*.json"))[::7]:
        bundle = json.loads(path.read_bytes())
        found += [bundle, *(each["resource"] for each in bundle.get("entry", ()) if "resource" in each)]
    return sorted({json.dumps(each) for each in found})


@given(st.randoms(use_true_random=False))
def test_the_shapes_and_the_full_reader_agree_on_what_maps_make(chance: random.Random) -> None:
    body = chance.choice(made_by_maps())
    resource = json.loads(body)
    assert shapes.valid(resource) is (problems.find(resource) == [])
    spoil(resource, chance)
    if shapes.valid(resource):
        assert problems.find(resource) == []
        assert json.loads(json.dumps(resource)) == resource


ODD_TEXTS = [
    "",
    " ",
    "\u3000",
    "a\u3000b",
    "a\tb",
    "\ud800",
    "x y",
    " x",
    5,
    None,
    True,
    ["a"],
    {"a": "b"},
    Decimal("NaN"),
]


@pytest.mark.parametrize("odd", ODD_TEXTS)
@pytest.mark.parametrize(
    "place",
    [
        "subject.reference",
        "subject.display",
        "valueQuantity.unit",
        "valueQuantity.code",
        "valueQuantity.system",
        "note",
    ],
)
def test_texts_judged_together_are_judged_each(place: str, odd: Any) -> None:
    """Among others that are right, in the same shape as one that was met before."""
    bundle = laboratory.transaction()
    observation = bundle["entry"][2]["resource"]
    observation["subject"]["display"] = "张三"
    observation["note"] = [{"text": "x"}]
    assert shapes.valid(bundle)
    if place == "note":
        observation["note"][0]["text"] = odd
    else:
        outer, inner = place.split(".")
        observation[outer][inner] = odd
    if shapes.valid(bundle):
        assert problems.find(bundle) == []
        assert json.loads(json.dumps(bundle)) == bundle


def test_an_object_of_another_shape_than_the_first_is_read_too() -> None:
    for subject in ({"reference": "Patient/1"}, {"reference": "Patient/1", "display": "x"}, {"display": "x"}):
        for category in ([{"text": "x"}], [{"coding": [{"code": "x"}]}, {"text": "x"}]):
            assert shapes.valid(laboratory.observation(subject=subject, category=category))
            assert not shapes.valid(laboratory.observation(subject={**subject, "foo": "x"}, category=category))
            assert not shapes.valid(laboratory.observation(subject=subject, category=[*category, {}]))
            assert not shapes.valid(laboratory.observation(subject=subject, category=category[0]))


@given(st.randoms(use_true_random=False), st.sampled_from(["transaction", "corners", "patient", "observation"]))
def test_a_yes_of_the_shapes_is_never_a_no_of_the_full_reader(chance: random.Random, name: str) -> None:
    resource = json.loads(json.dumps(getattr(laboratory, name)()))
    assert shapes.valid(resource) is (problems.find(resource) == []) or name == "corners"
    spoil(resource, chance)
    if shapes.valid(resource):
        assert problems.find(resource) == []


def test_of_very_many_problems_the_first_are_told() -> None:
    with pytest.raises(validate.Invalid, match="at least 999 more") as refused:
        validate.check({"resourceType": "Patient", **{f"k{number}": 1 for number in range(5_000)}})
    assert len(refused.value.problems) == 1_000
