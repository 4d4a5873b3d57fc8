"""The code tables as R4 resources say what the tables do: every code of every table, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from gateway.fhir import validate
from gateway.mapping import charts
from gateway.mapping.charts import members
from gateway.mapping.charts.tables import key
from gateway.model import Concept, Member, Profile, Resource
from gateway.terminology.codes import lookup
from gateway.terminology.parameters import Given
from gateway.terminology.sets import Sets
from gateway.terminology.translations import translate
from tests.rooms import MAPS
from tests.terminology.shelves import Held

LIBRARY = MAPS.library
QINGHE = Member(
    id="qinghe",
    name="清河县人民医院",
    facilities=("QINGHE", "QH_2"),
    profile=Profile(
        codes={"sex": {"7": "M", "男的": "M"}, "section-category": {"化验": "CH", "别的": "XX"}},
        concepts={
            "L": {"K01": Concept(system="LN", code="2823-3", display="Potassium", name="血钾")},
            "*": {"白细胞": Concept(system="LN", code="6690-2")},
            "本院": {"1": Concept(system="http://snomed.info/sct", code="271649006")},
        },
    ),
)


@cache
def made() -> dict[str, Resource]:
    """By URL, those of the member too."""
    return {f"{each['resourceType']} {each['url']}": each for each in charts.every(LIBRARY, [QINGHE])}


def ours() -> list[Resource]:
    return [each for each in made().values() if each.get("publisher") == "Hutong 互通"]


@cache
def shelf() -> Held:
    return Held(*ours())


def translated(url: str, code: str) -> list[str]:
    """The codes that $translate gives for a code of the system that lists it, without those that mean nothing."""
    chart = made()[f"ConceptMap {url}"]
    listing = (each for each in chart["group"] if code in {element["code"] for element in each.get("element", ())})
    source = str(next(listing, chart["group"][0]).get("source", ""))
    pairs = (("url", url), ("code", code), ("system", source))
    answer = translate(shelf(), Given(tuple(pair for pair in pairs if pair[1])))
    matches = [each["part"] for each in answer["parameter"] if each["name"] == "match"]
    concepts = [part["valueCoding"] for match in matches for part in match if part["name"] == "concept"]
    return list(dict.fromkeys(each["code"] for each in concepts))


def plain() -> Iterator[str]:
    """The tables that are no lists."""
    for name in LIBRARY.codes:
        if f"ConceptMap urn:hutong:map:{name}" in made() and f"CodeSystem urn:hutong:table:{name}:words" not in made():
            yield name


def test_every_table_is_there() -> None:
    seen = " ".join(made())
    for name in LIBRARY.codes:
        listed = any(each["id"] == key("list", name) for each in ours())
        assert listed or f"urn:hutong:map:{name}" in seen, name


def test_translate_gives_what_each_table_gives() -> None:
    for name in plain():
        table = LIBRARY.codes[name]
        for code, target in table.into.items():
            asked = "a code that nobody has" if code == "*" else code
            assert translated(f"urn:hutong:map:{name}", asked) == ([] if target in ("-", "!") else [target]), (
                name,
                code,
            )
        if "*" not in table.into:
            assert translated(f"urn:hutong:map:{name}", "a code that nobody has") == [], name


def test_and_back() -> None:
    for name, table in LIBRARY.codes.items():
        if f"ConceptMap urn:hutong:map:{name}:back" in made():
            for code, target in table.back.items():
                asked = "a code that nobody has" if code == "*" else code
                assert translated(f"urn:hutong:map:{name}:back", asked) == [target], (name, code)


def test_lists_have_codes_names_and_words() -> None:
    marital = made()["CodeSystem urn:oid:2.16.156.10011.2.3.3.5"]
    assert marital["concept"][0] == {"code": "10", "display": "未婚"}
    assert translated("urn:hutong:map:marital", "丧偶") == ["30"]
    assert translated("urn:hutong:map:marital-status", "30") == ["W"]
    assert translated("urn:hutong:map:ethnic-group", "维吾尔") == ["05"]


def test_a_code_of_hl7_is_translated_in_its_own_system_and_in_any_case() -> None:
    assert made()["ConceptMap urn:hutong:map:sex"]["group"][0]["source"].endswith("v2-0001")
    assert translated("urn:hutong:map:sex", "m") == ["male"]
    assert made()["ConceptMap urn:hutong:map:sex"]["targetCanonical"].endswith("administrative-gender")


def test_a_member_s_codes_lead_to_the_table_where_its_list_ends() -> None:
    assert translated("urn:hutong:map-of:qinghe:sex", "7") == ["male"]
    assert translated("urn:hutong:map-of:qinghe:sex", "F") == ["female"]
    assert translated("urn:hutong:map-of:qinghe:section-category", "别的") == []
    assert translated("urn:hutong:map-of:qinghe:L", "K01") == ["2823-3"]
    local = made()["CodeSystem urn:hutong:code:QINGHE:L"]
    assert (local["content"], local["concept"]) == ("fragment", [{"code": "K01", "display": "血钾"}])
    assert "CodeSystem urn:hutong:code:QH_2:L" in made()


def test_all_are_valid_and_stand_alone() -> None:
    everything = list(made().values())
    assert len({(each["resourceType"], each["id"]) for each in everything}) == len(everything)
    wrong = [(each["id"], str(problem)) for each in ours() for problem in validate.problems(each)]
    assert wrong == []
    assert all({"name", "title", "status", "url", "publisher"} <= each.keys() for each in ours())


@pytest.mark.parametrize("code", ["mmol/L", "10*9/L"])
def test_what_the_maps_make_of_others_is_held(code: str) -> None:
    units: Any = made()["CodeSystem http://unitsofmeasure.org"]
    assert units["content"] == "fragment"
    value_set = {"resourceType": "ValueSet", "compose": {"include": [{"system": "http://unitsofmeasure.org"}]}}
    assert Sets(Held(units)).contains(value_set, "http://unitsofmeasure.org", code)


def test_the_fingerprint_tells_editions_apart() -> None:
    other = Member(id="qinghe", name="清河县人民医院", facilities=QINGHE.facilities)
    maps, lists = charts.fingerprints(LIBRARY, [QINGHE])
    assert (maps, lists) == charts.fingerprints(LIBRARY, [QINGHE])
    assert charts.fingerprints(LIBRARY, [other])[0] == maps
    assert charts.fingerprints(LIBRARY, [other])[1] != lists
    ids = {each["id"] for each in charts.of_members(LIBRARY, [QINGHE])}
    assert ids == {each["id"] for each in ours() if each["id"].startswith((f"{members.SYSTEMS}-", f"{members.MAPS}-"))}


def test_codes_of_r4_are_called_in_chinese() -> None:
    sex = "http://hl7.org/fhir/administrative-gender"
    pairs = (("system", sex), ("code", "male"), ("displayLanguage", "zh"))
    answer = {each["name"]: each for each in lookup(shelf(), Given(pairs))["parameter"]}
    assert answer["display"]["valueString"] == "男"
    assert {"name": "value", "valueString": "男"} in answer["designation"]["part"]
    supplements = [each for each in ours() if each.get("content") == "supplement"]
    assert len(supplements) > 4
    married = next(each for each in supplements if each["id"] == "words-v3-MaritalStatus")
    assert {"code": "M", "designation": [{"language": "zh-CN", "value": "已婚"}]} in married["concept"]
