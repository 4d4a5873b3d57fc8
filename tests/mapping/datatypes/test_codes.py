"""Coded values: what the sender wrote is never replaced, and no code claims a system that does not hold it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.mapping.datatypes import load
from gateway.mapping.datatypes.codes import code_pair, concept_pair, icd_stem, loinc_valid
from gateway.model import Concept, Profile
from tests.mapping.house import context

LOINC = "http://loinc.org"
LOCAL = "urn:hutong:code:COUNTY"


def cwe(raw: str, **options: Any) -> Any:
    return load()["CWE"].into(raw, context(**options))


def written(value: dict[str, Any], **options: Any) -> str:
    return str(load()["CWE"].back(value, context(**options)))


@pytest.mark.parametrize("code", ["2823-3", "10839-9", "718-7", "8867-4", "85354-9", "19005-8", "4544-3"])
def test_loinc_codes_carry_a_check_digit(code: str) -> None:
    assert loinc_valid(code)
    number, _, digit = code.partition("-")
    assert not loinc_valid(f"{number}-{(int(digit) + 1) % 10}")


@pytest.mark.parametrize("code", ["1037", "LP1234-5", "2823-33", "", "-", "２823-3"])
def test_what_is_no_loinc_code(code: str) -> None:
    assert not loinc_valid(code)


def test_a_code_that_is_not_loinc_does_not_claim_to_be() -> None:
    assert cwe("1037^检查所见^LN")["coding"] == [{"system": f"{LOCAL}:LN", "code": "1037", "display": "检查所见"}]
    assert cwe("2823-3^Potassium^LN")["coding"][0]["system"] == LOINC


@pytest.mark.parametrize("raw", ["慢性胃炎", "A型", "皮疹、瘙痒", "rash  and itch"])
def test_words_in_the_place_of_a_code_are_the_text(raw: str) -> None:
    assert cwe(raw) == {"text": raw}
    assert written(cwe(raw)) == f"^{raw}"  # the line that keeps the wording writes it as it came


@pytest.mark.parametrize("raw", ["K29.500", "Rash", "ER 2", "内科^^L", "内科^内科病区", "１２"])
def test_what_may_be_a_code_stays_one(raw: str) -> None:
    assert cwe(raw)["coding"][0]["code"] == raw.partition("^")[0]


def test_words_that_a_member_has_listed_mean_its_code() -> None:
    concepts = {"*": {"血钾": Concept(system="LN", code="2823-3", display="Potassium")}}
    made = cwe("血钾", profile=Profile(concepts=concepts))
    assert made == {"coding": [{"system": LOINC, "code": "2823-3", "display": "Potassium"}], "text": "血钾"}


@pytest.mark.parametrize(
    ("raw", "made"),
    [
        ("rash", {"text": "rash"}),
        ("皮疹", {"text": "皮疹"}),
        (
            "R21^Rash^I10",
            {
                "coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "R21", "display": "Rash"}],
                "text": "Rash",
            },
        ),
        ('""', None),
    ],
)
def test_a_reaction_alone_is_a_text(raw: str, made: Any) -> None:
    phrase = load()["phrase"]
    assert phrase.into(raw, context()) == made
    assert made is None or phrase.back(made, context()) == raw


def test_both_codings_stay_with_names_versions_and_text() -> None:
    concept = cwe("020301^钾^L^2823-3^Potassium^LN^7^2.78^血清钾")
    assert concept == {
        "coding": [
            {"system": f"{LOCAL}:L", "version": "7", "code": "020301", "display": "钾"},
            {"system": LOINC, "version": "2.78", "code": "2823-3", "display": "Potassium"},
        ],
        "text": "血清钾",
    }
    assert written(concept) == "020301^钾^L^2823-3^Potassium^LN^7^2.78^血清钾"


def test_a_third_coding_goes_both_ways() -> None:
    raw = "K1^钾^L^2823-3^Potassium^LN^7^2.78^血清钾^312468003^钾测定^SCT^2025"
    third = {"system": "http://snomed.info/sct", "version": "2025", "code": "312468003", "display": "钾测定"}
    assert cwe(raw)["coding"][2] == third
    assert written(cwe(raw)) == raw


@pytest.mark.parametrize(
    ("raw", "system"),
    [
        ("x^^LN99", f"{LOCAL}:LN99"),
        ("J18.9^^I10", "http://hl7.org/fhir/sid/icd-10"),
        ("01^汉族^GB/T3304", "urn:oid:2.16.156.10011.2.3.3.3"),
        ("101^x^GB/T7408", "urn:hutong:code:GB%2FT7408"),  # a national standard means the same at every member
        ("M^^HL70001", "http://terminology.hl7.org/CodeSystem/v2-0001"),
        ("男^^HL70001", f"{LOCAL}:HL70001"),  # a code that the table does not hold
        ("PI^^HL70203", "http://terminology.hl7.org/CodeSystem/v2-0203"),
        ("x^^urn:oid:1.2.3", "urn:oid:1.2.3"),
        ("x^^http://example.org/cs", "http://example.org/cs"),
        ("x^^本院代码", f"{LOCAL}:%E6%9C%AC%E9%99%A2%E4%BB%A3%E7%A0%81"),
    ],
)
def test_coding_system_names(raw: str, system: str) -> None:
    assert cwe(raw)["coding"][0].get("system") == system
    assert cwe(written(cwe(raw))) == cwe(raw)  # the name that is written reads as the same system


@pytest.mark.parametrize(
    ("code", "stem"),
    [("I10.x00x002", "I10"), ("I21.001", "I21.0"), ("J18.900", "J18.9"), ("E11.900", "E11.9"), ("x", "")],
)
def test_the_who_stem_behind_a_chinese_code(code: str, stem: str) -> None:
    assert icd_stem(code) == stem


def test_both_icd_codings_go_in_and_one_comes_back() -> None:
    concept = cwe("I10.x00x002^高血压病^ICD-10-CN")
    assert [(each["system"], each["code"]) for each in concept["coding"]] == [
        ("urn:oid:2.16.156.10011.2.3.3.11", "I10.x00x002"),
        ("http://hl7.org/fhir/sid/icd-10", "I10"),
    ]
    assert written(concept) == "I10.x00x002^高血压病^ICD-10-CN"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", None),
        ('""', None),
        ("^text only", {"text": "text only"}),
        ("^^^C2^second^L", {"coding": [{"system": f"{LOCAL}:L", "code": "C2", "display": "second"}], "text": "second"}),
        ("^^^^^^^^original", {"text": "original"}),
        ("a  b^^L", {"coding": [{"system": f"{LOCAL}:L", "code": "a b"}]}),
    ],
)
def test_parts_of_a_coded_value(raw: str, expected: Any) -> None:
    assert cwe(raw) == expected


def test_the_receivers_own_code_comes_first() -> None:
    concept = {
        "coding": [
            {"system": LOINC, "code": "718-7", "display": "Hemoglobin"},
            {"system": "urn:hutong:code:TOWN:L", "code": "XM05", "display": "血红蛋白"},
        ]
    }
    assert written(concept) == "718-7^Hemoglobin^LN^XM05^血红蛋白^L"
    assert written(concept, own=["TOWN"]) == "XM05^血红蛋白^L^718-7^Hemoglobin^LN"


def test_a_stated_absence_is_not_written() -> None:
    absent = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"}]}
    assert written(absent) == ""


# ------------------------------------------------------------------------------------------- code tables

SEX = code_pair("sex", {"M": "male", "A": "other", "*": "unknown"}, {"male": "M"})


@pytest.mark.parametrize(("raw", "code"), [("M", "male"), ("m", "male"), ("M^Male^HL70001", "male"), ("", None)])
def test_codes_through_a_table(raw: str, code: str | None) -> None:
    around = context()
    assert SEX.into(raw, around) == code
    assert around.unknown == []


def test_an_unknown_code_gets_the_default_and_is_told() -> None:
    around = context()
    assert SEX.into("X", around) == "unknown"
    assert around.unknown == [("sex", "X")]
    assert around.notes == ["code table sex: a code that it does not know"]  # the code itself is a sender's datum


def test_only_codes_with_a_way_back_are_written() -> None:
    assert [SEX.back(code, context()) for code in ("male", "other", "unknown")] == ["M", "", ""]


def test_a_members_own_codes_come_before_the_table() -> None:
    profile = Profile(codes={"sex": {"1": "M", "男": "M"}})
    assert SEX.into("1", context(profile=profile)) == "male"
    assert SEX.into("男", context(profile=profile)) == "male"


def test_a_concept_through_a_table_keeps_the_senders_code_where_the_table_has_none() -> None:
    pair = concept_pair("interpretation", "http://x/cs", {"H": "H", "↑": "H"}, {"H": "H"})
    assert pair.into("↑", context()) == {"coding": [{"system": "http://x/cs", "code": "H"}]}
    around = context()
    assert pair.into("Q^quite^L", around) == {
        "coding": [{"system": f"{LOCAL}:L", "code": "Q", "display": "quite"}],
        "text": "quite",
    }
    assert around.unknown == [("interpretation", "Q")]
    assert pair.back({"coding": [{"system": "http://x/cs", "code": "HU"}]}, context()) == "HU"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("^否认药物过敏史", "409137002"),
        ("^否认食物、药物过敏史", "409137002"),
        ("^无过敏史", "716186003"),
        ("^NKDA", "409137002"),
        ("^nka.", "716186003"),
        ("^No known allergies", "716186003"),
    ],
)
def test_a_denied_allergy_is_a_code_of_its_own(raw: str, code: str) -> None:
    made = load()["allergy"].into(raw, context())
    assert made["coding"][0]["code"] == code
    assert load()["allergy"].back(made, context()) == raw


@pytest.mark.parametrize("raw", ["^青霉素", "P1^青霉素^L", "^头孢过敏", "^无青霉素过敏，头孢过敏", "^无青霉素过敏"])
def test_an_allergy_stays_what_it_is(raw: str) -> None:
    assert load()["allergy"].into(raw, context()) == cwe(raw)


@pytest.mark.parametrize(
    ("raw", "text", "back"),
    [
        ("2&血清", "血清", "2&血清"),
        ("BLD&血&L^EDTA^静脉血", "血", "BLD&血&L"),
        ("Swab^Swab^HL70487", "Swab", "Swab&Swab&HL70487"),
        ("全血", "全血", "&全血"),
    ],
)
def test_specimen_sources(raw: str, text: str | None, back: str) -> None:
    made = load()["SPS"].into(raw, context())
    assert made.get("text") == text
    assert load()["SPS"].back(made, context()) == back
