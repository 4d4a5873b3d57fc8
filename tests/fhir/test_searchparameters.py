"""Every R4 search parameter compiles; resources are indexed by their values."""

from __future__ import annotations

import gzip
from decimal import Decimal
from typing import Any

import pytest

from gateway import errors
from gateway.fhir import dates, definitions, expressions, json, searchparameters
from gateway.fhir.normal import contact, normal
from tests.fhir import laboratory

EXAMPLES = laboratory.SHARED / "reference" / "r4" / "examples.ndjson.gz"


def rows(resource: dict[str, Any], name: str) -> list[tuple[Any, ...]]:
    found = searchparameters.index(resource)
    return [row.values for row in found if row.name == name and row.kind != "present"]


def test_an_element_without_anything_to_search_by_is_there_still() -> None:
    resource = laboratory.observation(subject={"display": "x"}, valueQuantity={"unit": "mg"})
    present = {row.name for row in searchparameters.index(resource) if row.kind == "present"}
    assert {"subject", "value-quantity"} <= present
    assert "code" not in present


def test_all_parameters_of_all_types_compile() -> None:
    total = 0
    for kind in definitions.resource_types():
        total += len(searchparameters.parameters(kind))
    assert total > 3000
    with pytest.raises(errors.Configuration):
        searchparameters.parameters("Patientt")


def test_what_a_parameter_says_of_itself() -> None:
    patient = searchparameters.parameters("Observation")["patient"]
    assert (patient.kind, patient.targets) == ("reference", ("Patient",))
    assert patient.expression == "Observation.subject.where(resolve() is Patient)"
    assert patient.extract(laboratory.observation(subject={"reference": "Patient/1"})) == [{"reference": "Patient/1"}]
    assert patient.extract(laboratory.observation(subject={"reference": "Group/1"})) == []
    composite = searchparameters.parameters("Observation")["code-value-quantity"]
    assert composite.components[0] == ("code", "token")


def test_token() -> None:
    patient = laboratory.patient()
    assert rows(patient, "_id") == [("", "p1", "")]
    assert rows(patient, "identifier") == [(laboratory.HOSPITAL, "1000", "")]
    assert rows(patient, "identifier:of-type") == [("http://terminology.hl7.org/CodeSystem/v2-0203", "MR|1000", "")]
    assert rows(patient, "gender") == [("", "female", "")]
    assert rows(patient, "phone") == [("phone", "13800000000", "")]
    assert rows(patient, "email") == []  # where(system='email')
    assert rows(laboratory.observation(), "code") == [("http://loinc.org", "14771-0", "空腹血糖")]
    assert rows(laboratory.report(), "code") == [("", "", "生化")]


def test_deceased_is_false_until_something_else_is_said() -> None:
    patient = laboratory.patient()
    for said, found in (({}, "false"), ({"deceasedBoolean": False}, "false"), ({"deceasedBoolean": True}, "true")):
        assert rows({**patient, **said}, "deceased") == [("", found, "")]
    assert rows({**patient, "deceasedDateTime": "2026"}, "deceased") == [("", "true", "")]
    shanghai = searchparameters.time_zone("Asia/Shanghai")
    assert rows({**patient, "deceasedDateTime": "2026"}, "death-date") == [dates.interval("2026", shanghai)]


def test_string() -> None:
    names = rows(laboratory.patient(), "name")
    assert ("欧阳", "欧阳") in names
    assert ("欧阳小燕", "欧阳小燕") in names  # joined where no text says so
    assert ("Müller", "muller") in names
    assert ("MüllerAna", "mullerana") not in names
    assert rows(laboratory.patient(), "family") == [("欧阳", "欧阳"), ("Müller", "muller")]
    assert rows(laboratory.patient(), "address-city") == [("郑州市", "郑州市")]


def test_date_in_the_zone_that_is_asked_for() -> None:
    patient = laboratory.patient()
    shanghai = searchparameters.time_zone("Asia/Shanghai")
    assert rows(patient, "birthdate") == [dates.interval("1985-03", shanghai)]
    utc = [row.values for row in searchparameters.index(patient, zone="UTC") if row.name == "birthdate"]
    assert utc[0][0] - rows(patient, "birthdate")[0][0] == 8 * 3600 * 10**6


def test_periods_are_open_where_nothing_is_said() -> None:
    encounter = {"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}}
    start = {**encounter, "period": {"start": "2026-03-14T09:30:00+08:00"}}
    assert rows(start, "date")[0][1] == dates.END
    assert rows({**encounter, "period": {"end": "2026-03-14"}}, "date")[0][0] == dates.BEGINNING
    assert rows({**encounter, "period": {"id": "x"}}, "date") == []


def test_a_timing_is_from_its_first_to_its_last_moment() -> None:
    request = {"resourceType": "ServiceRequest", "occurrenceTiming": {"event": ["2026-03-15", "2026-03-14"]}}
    low, high = rows(request, "occurrence")[0]
    assert high - low == 2 * 86_400 * 10**6 - 1


@pytest.mark.parametrize(
    ("reference", "row"),
    [
        ({"reference": "Patient/1"}, ("Patient", "1", "", "", "")),
        ({"reference": "Patient/1/_history/2"}, ("Patient", "1", "", "", "")),
        ({"reference": "http://h/Patient/1"}, ("Patient", "1", "http://h/Patient/1", "", "")),
        ({"reference": "urn:uuid:1"}, ("", "", "urn:uuid:1", "", "")),
        ({"reference": "urn:uuid:1", "type": "Patient"}, ("Patient", "", "urn:uuid:1", "", "")),
        ({"type": "Patient", "identifier": {"system": "s", "value": "v"}}, ("Patient", "", "", "s", "v")),
        ({"reference": "Patient?identifier=a|b"}, ("Patient", "", "Patient?identifier=a|b", "", "")),
        ({"display": "x"}, None),
    ],
)
def test_reference(reference: dict[str, Any], row: tuple[str, ...] | None) -> None:
    observation = laboratory.observation(subject=reference)
    assert rows(observation, "subject") == ([row] if row else [])
    assert bool(rows(observation, "patient")) is bool(row and row[0] == "Patient")


def test_resolve_looks_into_contained_resources() -> None:
    contained = [{"resourceType": "Patient", "id": "p"}]
    identified = {"reference": "#p", "identifier": {"value": "7"}}
    assert rows(laboratory.observation(subject=identified, contained=contained), "patient") == [("", "", "", "", "7")]
    assert rows(laboratory.observation(subject=identified), "patient") == []


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ({"value": Decimal("5.10")}, "5.10", "5.10"),
        ({"value": 5, "comparator": "<"}, None, "5"),
        ({"value": 5, "comparator": ">="}, "5", None),
    ],
)
def test_quantity(value: dict[str, Any], low: str | None, high: str | None) -> None:
    found = rows(laboratory.observation(valueQuantity={**value, "code": "mg"}), "value-quantity")
    assert [(str(each) if each is not None else None) for each in found[0][:2]] == [low, high]
    assert found[0][3] == "mg"


@pytest.mark.parametrize(
    ("resource", "name", "expected"),
    [
        (
            {"resourceType": "Invoice", "totalNet": {"value": 12, "currency": "CNY"}},
            "totalnet",
            ("urn:iso:std:iso:4217", "CNY"),
        ),
        ({"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": Decimal("0.3")}]}, "probability", ()),
        ({"resourceType": "Condition", "onsetRange": {"low": {"value": 3, "code": "a"}}}, "onset-age", ("", "a")),
        ({"resourceType": "Condition", "onsetRange": {"high": {"value": 3, "code": "a"}}}, "onset-age", ("", "a")),
        (
            laboratory.observation(valueSampledData={"origin": {"code": "V"}, "lowerLimit": 1}),
            "value-quantity",
            ("", "V"),
        ),
    ],
)
def test_other_measures(resource: dict[str, Any], name: str, expected: tuple[str, ...]) -> None:
    found = rows(resource, name)[-1]
    assert {type(each) for each in found[:2]} <= {Decimal, type(None)}
    assert found[2:4] == expected


def test_measures_that_say_nothing_are_not_indexed() -> None:
    silent: list[dict[str, Any]] = [{"valueQuantity": {"unit": "mg"}}, {"valueSampledData": {"origin": {}}}]
    for value in silent:
        assert rows(laboratory.observation(**{"valueQuantity": None, **value}), "value-quantity") == []
    assert rows({"resourceType": "Condition", "onsetRange": {"id": "x"}}, "onset-age") == []
    assert rows({"resourceType": "Invoice", "totalNet": {"currency": "CNY"}}, "totalnet") == []


def test_text_parameters_on_concepts_and_canonicals() -> None:
    concept = laboratory.observation(valueQuantity=None, valueCodeableConcept={"text": "阳性"})
    assert rows(concept, "value-string") == [("阳性", "阳性")]
    request = {"resourceType": "ServiceRequest", "instantiatesCanonical": ["http://a|1"]}
    versions = [("", "", "http://a|1", "", ""), ("", "", "http://a", "", "")]  # any version is meant by no version
    assert rows(request, "instantiates-canonical") == versions


def test_composite_joins_the_values_of_one_repetition() -> None:
    component = [
        {"code": {"coding": [{"code": "a"}]}, "valueQuantity": {"value": 1}},
        {"code": {"coding": [{"code": "b"}]}, "valueString": "x"},
    ]
    found = rows(laboratory.observation(component=component), "component-code-value-quantity")
    assert found == [((("token", ("", "a", "")),), (("quantity", (1, 1, "", "", "")),))]
    assert rows(laboratory.observation(valueQuantity=None), "code-value-quantity") == []


def test_a_component_of_the_whole_resource_stands_beside_those_of_each_part() -> None:
    sequence = {
        "resourceType": "MolecularSequence",
        "coordinateSystem": 0,
        "referenceSeq": {"chromosome": {"coding": [{"system": "urn:c", "code": "1"}]}, "windowStart": 1},
        "variant": [{"start": 3, "end": 4}],
    }
    ((chromosome, start, end),) = rows(sequence, "chromosome-variant-coordinate")
    assert chromosome == (("token", ("urn:c", "1", "")),)
    assert [*start, *end] == [("number", (3, 3)), ("number", (4, 4))]


def test_extensions_and_uris() -> None:
    url = "http://hl7.org/fhir/StructureDefinition/patient-extensions-Patient-mothersMaidenName"
    patient = {
        **laboratory.patient(),
        "extension": [{"url": url, "valueString": "王"}, {"url": "x", "valueString": "y"}],
    }
    assert rows(patient, "mothersMaidenName") == [("王", "王")]
    tagged = {
        **patient,
        "meta": {"profile": ["http://p"], "lastUpdated": "2026-03-14T10:00:00Z", "tag": [{"code": "t"}]},
    }
    assert rows(tagged, "_profile") == [("http://p",)]
    assert rows(tagged, "_tag") == [("", "t", "")]
    assert len(rows(tagged, "_lastUpdated")) == 1


def test_the_first_resource_of_a_bundle() -> None:
    made = {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [
            {"resource": {"resourceType": "MessageHeader", "id": "1"}},
            {"resource": {"resourceType": "Slot", "id": "2"}},
        ],
    }
    assert rows(made, "message") == [("MessageHeader", "1", "", "", "")]


def test_nulls_and_corners_never_raise() -> None:
    assert rows(laboratory.corners(), "given") == [("小", "小")]


@pytest.mark.parametrize(
    "expression", ["Patient.foo", "Patient.name.", "Patient ^ x", "Patient.name.first()", "Patient.name)"]
)
def test_what_is_not_understood_is_a_configuration_error(expression: str) -> None:
    with pytest.raises(errors.Configuration):
        expressions.branches_of(expression, "Patient")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (" Ｚhang ", "zhang"),
        ("Müller", "muller"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("が", "が"),
        ("Łódź", "łodz"),
    ],
)
def test_normal(text: str, form: str) -> None:
    assert normal(text) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("+86-139 0000 0001", "+8613900000001"),
        ("（0512）6666-7777", "051266667777"),
        ("0512-6666 转 12", "0512-6666 转 12"),
        ("Foo.Bar@Example.cn", "foo.bar@example.cn"),
        ("-", "-"),
    ],
)
def test_the_normal_form_of_contacts(text: str, form: str) -> None:
    assert contact(text) == form
    assert contact(form) == form


@pytest.mark.samples
@pytest.mark.skipif(not EXAMPLES.exists(), reason="the R4 examples are not beside the repository")
def test_every_example_is_indexed() -> None:
    with gzip.open(EXAMPLES) as lines:
        counts = [len(searchparameters.index(json.loads(line))) for line in lines]
    assert min(counts) > 0
    assert sum(counts) > 7000
