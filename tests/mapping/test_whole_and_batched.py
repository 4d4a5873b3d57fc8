"""A file that is read as a whole and one that is read in batches make the same diagnoses and allergies."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.export_records import Carried, Part
from gateway.model import Profile, Resource
from tests.mapping.house import WHEN, maps

SAID = ("Condition", "AllergyIntolerance")
DIAGNOSES = st.sampled_from([("J18.900", "肺炎"), ("I10.x00", "高血压"), ("", "肺炎"), ("-", "头晕")])
ALLERGIES = st.sampled_from(["", "青霉素", "头孢", "不详"])
PERSONS = st.sampled_from(["529901198503120023", "52990119580412011X"])
FORMS = st.lists(st.tuples(PERSONS, st.lists(DIAGNOSES, max_size=2), DIAGNOSES, ALLERGIES), min_size=2, max_size=5)


def form(index: int, person: str, impressions: list[tuple[str, str]], found: tuple[str, str], allergy: str) -> Any:
    def node(each: tuple[str, str]) -> dict[str, str]:
        return {"编码": each[0], "名称": each[1]}

    return {
        "转诊单号": f"Z{index}",
        "转诊方向": "上转",
        "患者": {"姓名": "蓝小满", "证件号码": person, "证件类型": "01"},
        "转出": {"机构代码": "J1", "机构名称": "石桥中心卫生院"},
        "转入": {"机构代码": "J2", "机构名称": "县人民医院"},
        "初步印象": [*map(node, impressions)],
        "诊断结果": [node(found)],
        "过敏史": allergy,
    }


def row(index: int, person: str, impressions: list[tuple[str, str]], found: tuple[str, str], allergy: str) -> Any:
    cells = {"zzdh": f"Z{index}", "jgdm": "J1", "xm": "蓝小满", "zjlx": "01", "zjhm": person}
    return {**cells, "jzlsh": f"V{index}", "zdbm": found[0], "zdmc": found[1], "gms": allergy, "xbdm": "2"}


def made(name: str, records: list[Any], size: int) -> list[tuple[str, Resource]]:
    """What batches of so many records make of diagnoses and allergies; of one that several make each."""
    carried, found = Carried(), dict[str, list[Resource]]()
    for _, batch in groupby(enumerate(records), lambda each: each[0] // size):
        part = Part(name=name, records=[each for _, each in batch])
        translated = maps().exports.to_fhir(
            [part], profile=Profile(), facility="COUNTY", control_id="F", when=WHEN, carried=carried
        )
        for each in translated.bundle["entry"]:
            if each["resource"]["resourceType"] in SAID and each["resource"] not in found.get(each["fullUrl"], ()):
                found.setdefault(each["fullUrl"], []).append(each["resource"])
    return sorted(((url, each) for url, several in found.items() for each in several), key=lambda one: one[0])


@pytest.mark.parametrize(
    ("name", "record"), [("referral-form", form), ("upload-referrals", row), ("upload-visits", row)]
)
@given(forms=FORMS)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_batches_of_any_size_make_the_same(name: str, record: Any, forms: list[Any]) -> None:
    records = [record(index, *each) for index, each in enumerate(forms)]
    whole = made(name, records, len(records))
    assert made(name, records, 1) == whole
    assert made(name, records, 2) == whole


def test_each_form_names_its_own_diagnosis_and_all_of_them_the_allergy_of_the_person() -> None:
    records = [form(index, "529901198503120023", [], ("J18.900", "肺炎"), "青霉素") for index in range(3)]
    types = [each["resourceType"] for _, each in made("referral-form", records, 3)]
    assert (types.count("Condition"), types.count("AllergyIntolerance")) == (3, 1)
