"""Code lists of Chinese standards: named, given their meaning, and written back as they came."""

from __future__ import annotations

import msgspec
import pytest

from gateway.mapping.maps import Translation
from gateway.model import Profile, Resource
from tests.mapping import house

CHN = house.HEADER + "|||||CHN"
LISTS = house.maps().library.codes


def patient(
    field: int, value: str, *, header: str = CHN, profile: Profile = house.SHANGHAI
) -> tuple[Translation, Resource]:
    fields = ["PID", "1", "", "300001^^^COUNTY^PI", "", "张^伟", "", "19750618", "M", *[""] * 20]
    fields[field] = value
    body = f"{header.format(kind='ADT^A08')}\r{'|'.join(fields)}\r".encode()
    made = house.into(body, profile=profile)
    return made, house.only(made, "Patient")


def written(made: Translation, field: int) -> str:
    (segment,) = house.segments(house.back(made.bundle, "ADT_A01", event="A08"), "PID")
    return segment[field] if field < len(segment) else ""


MARITAL = "urn:oid:2.16.156.10011.2.3.3.5"
V3 = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"


@pytest.mark.parametrize(
    ("raw", "code", "name", "meaning"),
    [
        ("20", "20", "已婚", "M"),
        ("10^未婚", "10", "未婚", "S"),
        ("22", "22", "再婚", "M"),
        ("40^离婚^GB/T2261.2", "40", "离婚", "D"),
        ("丧偶", "30", "丧偶", "W"),
        ("M", "20", "已婚", "M"),
        ("90", "90", "未说明的婚姻状况", ""),
    ],
)
def test_marital_status_means_the_same_everywhere(raw: str, code: str, name: str, meaning: str) -> None:
    made, found = patient(16, raw)
    codings = found["maritalStatus"]["coding"]
    assert codings[0]["code"] == raw.partition("^")[0]
    assert any(each.get("system") == MARITAL and each["code"] == code for each in codings)
    assert [each["code"] for each in codings if each.get("system") == V3] == ([meaning] if meaning else [])
    assert found["maritalStatus"]["text"] == name
    assert written(made, 16) == raw


@pytest.mark.parametrize(
    ("raw", "code", "letters"),
    [
        ("01", "01", "HA"),
        ("汉族", "01", "HA"),
        ("汉", "01", "HA"),
        ("56^基诺族", "56", "JN"),
        ("UG", "05", "UG"),
        ("1", "01", "HA"),
    ],
)
def test_ethnic_groups_have_digits_and_letters(raw: str, code: str, letters: str) -> None:
    made, found = patient(22, raw)
    (extension,) = [each for each in found["extension"] if each["url"] == "urn:hutong:ethnic-group"]
    codings = extension["valueCodeableConcept"]["coding"][1:]
    assert [each["code"] for each in codings] == [code, letters]
    assert written(made, 22) == raw


def test_all_ethnic_groups_are_listed() -> None:
    names = {LISTS["ethnic-group"].into[f"{number:02d}"] for number in range(1, 57)}
    assert len(names) == 56
    letters = LISTS["ethnic-letters"].into
    assert len(set(letters.values())) == 56
    assert all(LISTS["ethnic-group"].into[each] == LISTS["ethnic-group"].into[code] for code, each in letters.items())


def test_elsewhere_the_same_digits_mean_nothing() -> None:
    made, found = patient(16, "20", header=house.HEADER)
    assert found["maritalStatus"] == {"coding": [{"code": "20"}]}
    assert written(made, 16) == "20"


def test_the_profile_may_say_that_a_sender_is_chinese() -> None:
    profile = msgspec.structs.replace(house.SHANGHAI, country="CHN")
    _, found = patient(16, "20", header=house.HEADER, profile=profile)
    assert [each["code"] for each in found["maritalStatus"]["coding"]] == ["20", "20", "M"]


def test_a_code_that_the_list_does_not_hold_is_carried_and_told() -> None:
    made, found = patient(16, "77^分居")
    assert found["maritalStatus"]["coding"] == [{"code": "77", "display": "分居"}]
    assert made.unknown == (("marital", "77"),)


@pytest.mark.parametrize("sex", ["1", "男", "男性", "M"])
def test_sex_by_gb_t_2261_1(sex: str) -> None:
    _, found = patient(8, sex)
    assert found["gender"] == "male"


def test_a_receiver_gets_its_own_codes() -> None:
    made, _ = patient(8, "F")
    profile = msgspec.structs.replace(house.SHANGHAI, codes={"sex": {"1": "M", "2": "F"}})
    (segment,) = house.segments(house.back(made.bundle, "ADT_A01", event="A08", profile=profile), "PID")
    assert segment[8] == "2"


@pytest.mark.parametrize(
    ("code", "system", "stem"),
    [
        ("I10.x00x002", "国临版2.0", "I10"),
        ("I10.x00x002", "医保版2.0", "I10"),
        ("E11.900", "ICD-10-YB", "E11.9"),
        ("I21.001", "ICD-10-CN", "I21.0"),
    ],
)
def test_both_national_editions_of_icd_10_have_the_stem_of_the_who(code: str, system: str, stem: str) -> None:
    body = house.message("ADT^A01", house.PV1, f"DG1|1||{code}^原发性高血压^{system}||20260312|A")
    condition = house.only(house.into(body), "Condition")
    codings = condition["code"]["coding"]
    assert [each["code"] for each in codings] == [code, stem]
    assert codings[1]["system"] == "http://hl7.org/fhir/sid/icd-10"
    assert codings[0]["system"] in ("urn:oid:2.16.156.10011.2.3.3.11", "urn:hutong:code:ICD-10-YB")
