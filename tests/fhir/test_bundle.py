"""The transaction Bundle and its conditional requests."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir import bundle, validate
from tests.fhir import laboratory

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXT, TEXT)
def test_a_condition_survives_any_identifier(system: str, value: str) -> None:
    assert bundle.read_condition(bundle.update_url("Patient", system, value)) == ("Patient", system, value)
    assert bundle.read_condition(bundle.if_none_exist(system, value)) == ("", system, value)
    assert urlsplit(bundle.update_url("Patient", system, value)).query.count("|") == 1


@given(st.lists(st.text("a1/|血 ", max_size=6), max_size=4))
def test_a_condition_is_the_same_whatever_was_encoded_before(values: list[str]) -> None:
    quoted: dict[str, str] = {}
    for value in values:
        assert bundle.condition("urn:a", value, quoted) == bundle.condition("urn:a", value)


def test_the_letter_of_the_condition() -> None:
    assert bundle.update_url("Patient", "urn:oid:1.2", "1 2|3") == "Patient?identifier=urn:oid:1.2|1%202%7C3"
    assert bundle.if_none_exist("", "7") == "identifier=|7"


def test_what_is_no_condition() -> None:
    for text in ("Patient/1", "Patient?name=a", "Patient?identifier=a|b&name=c", "identifier=", "identifier=a|"):
        assert bundle.read_condition(text) is None
    assert bundle.read_condition("identifier=7") == ("", "", "7")


def test_a_full_url_is_the_same_every_time_and_differs_by_type_and_key() -> None:
    assert bundle.full_url("Patient", "1") == bundle.full_url("Patient", "1")
    assert bundle.full_url("Patient", "1").startswith("urn:uuid:")
    assert len({bundle.full_url(kind, key) for kind in ("Patient", "Group") for key in ("1", "2")}) == 4


def test_an_entry_carries_what_is_to_be_removed() -> None:
    made = bundle.entry(
        {"resourceType": "Patient"}, "urn:uuid:1", {"method": "PUT", "url": "x"}, deletes=["Patient.name"]
    )
    assert made["extension"] == [{"url": "urn:hutong:delete", "valueString": "Patient.name"}]
    assert bundle.deletes(made) == ("Patient.name",)
    assert "extension" not in bundle.entry({"resourceType": "Patient"}, "urn:uuid:1", {})


def test_a_transaction_is_valid_r4() -> None:
    validate.check_bundle(laboratory.transaction())
    assert bundle.transaction([]) == {"resourceType": "Bundle", "type": "transaction"}
    validate.check_bundle(bundle.transaction([]))
