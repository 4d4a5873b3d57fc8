"""Names, addresses, phones, staff, institutions and places, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.fhir import validate
from gateway.mapping.context import Context
from gateway.mapping.datatypes import load
from gateway.mapping.datatypes.extensions import STANDARD
from tests.mapping.house import context
from tests.mapping.test_there_and_back import forth


def there_and_back(name: str, raw: str, around: Context | None = None) -> str:
    around = around or context()
    made = load()[name].into(raw, around)
    if "reference" in made:
        made = {**made, **around.entries[made["reference"]].resource}
    return str(load()[name].back(made, around))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("欧阳建国^^^^^^L", {"use": "official", "text": "欧阳建国"}),
        ("张^伟", {"text": "张伟", "family": "张", "given": ["伟"]}),
        ("阿依古丽·买买提", {"text": "阿依古丽·买买提"}),
        ("李娜之女", {"text": "李娜之女"}),
        (
            "Smith^John^Q^Jr^Dr",
            {
                "text": "Dr John Q Smith Jr",
                "family": "Smith",
                "given": ["John", "Q"],
                "prefix": ["Dr"],
                "suffix": ["Jr"],
            },
        ),
        ("Smith", {"text": "Smith", "family": "Smith"}),
        (
            "de Vries&de&Vries^Jan",
            {
                "text": "Jan de Vries",
                "family": "de Vries",
                "given": ["Jan"],
                "_family": {
                    "extension": [
                        {"url": f"{STANDARD}humanname-own-prefix", "valueString": "de"},
                        {"url": f"{STANDARD}humanname-own-name", "valueString": "Vries"},
                    ]
                },
            },
        ),
        (
            "Smith^John^^Jr^^MD^R^^^^G^20200101^20300101^PhD",
            {
                "use": "official",
                "extension": [{"url": f"{STANDARD}humanname-assembly-order", "valueCode": "G"}],
                "text": "John Smith Jr",
                "family": "Smith",
                "given": ["John"],
                "suffix": ["Jr", "MD", "PhD"],
                "period": {"start": "2020-01-01", "end": "2030-01-01"},
            },
        ),
    ],
)  # fmt: skip
def test_names(raw: str, expected: dict[str, Any]) -> None:
    assert load()["XPN"].into(raw, context()) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "欧阳建国^^^^^^L",
        "张^伟",
        "Smith^John^Q^Jr^Dr",
        "阿依古丽·买买提",
        "周\\S\\玘^^^^^^D",
        "de Vries&de&Vries&\\T\\^Jan^^^^^M",
        "Smith^John^^Jr^^MD^L^^^^F^20200101^2030^PhD",
    ],
)
def test_names_come_back(raw: str) -> None:
    assert there_and_back("XPN", raw) == raw


@pytest.mark.parametrize("raw", ["", "^^^^^^L", "^^^Jr"])
def test_no_name(raw: str) -> None:
    assert load()["XPN"].into(raw, context()) is None


def test_a_chinese_address_reads_from_the_largest_to_the_smallest() -> None:
    raw = "石桥镇硚头村3组12号^^青岚县^示例省^529901^CHN^H"
    made = load()["XAD"].into(raw, context())
    assert made["text"] == "示例省青岚县石桥镇硚头村3组12号"
    assert (made["use"], made["city"], made["state"], made["postalCode"]) == ("home", "青岚县", "示例省", "529901")
    assert there_and_back("XAD", raw) == raw


@pytest.mark.parametrize(
    "raw", ["1 Main St^Apt 3^Town^ST^12345^USA^H^^County", "1 Main St^^^^^^B", "P.O.^^Town^^^^M", "^^Town^^^^BI",
    "1 Main St^^Town^^^^V^^^T12^^^20200101^20300101^^^^^Jane Doe", "1^2^Town^^^^H^^^^^^^^^^^^2"],
)  # fmt: skip
def test_addresses_come_back(raw: str) -> None:
    assert there_and_back("XAD", raw) == raw


@pytest.mark.parametrize(
    ("street", "text"),
    [
        ("四川省绵阳市游仙区1号", "四川省绵阳市游仙区1号"),  # all of it
        ("绵阳市游仙区1号", "四川省绵阳市游仙区1号"),
        ("游仙区1号", "四川省绵阳市游仙区1号"),
        ("1号", "四川省绵阳市游仙区1号"),
    ],
)
def test_areas_that_the_street_names_already_are_not_said_twice(street: str, text: str) -> None:
    raw = f"{street}^^绵阳市^四川省^^^^^游仙区"
    assert load()["XAD"].into(raw, context())["text"] == text


def test_the_code_of_an_area_is_no_word_of_an_address() -> None:
    assert load()["XAD"].into("1号^^绵阳市^四川省^^^^^510704", context())["text"] == "四川省绵阳市1号"


def test_an_address_of_text_alone_is_written_as_its_line() -> None:
    assert load()["XAD"].back({"text": "示例省青岚县1号"}, context()) == "示例省青岚县1号"
    assert load()["XAD"].into("^^^^^^H", context()) is None


@pytest.mark.parametrize(
    ("raw", "system", "value", "use"),
    [
        ("^PRN^CP^^^^19900000001", "phone", "19900000001", "mobile"),
        ("0859-9900001", "phone", "0859-9900001", None),
        ("^WPN^PH^^^0859^9900001", "phone", "0859-9900001", "work"),
        ("^NET^Internet^a@example.org", "email", "a@example.org", None),
        ("^^FX^^86^010^6000", "fax", "+86-010-6000", None),
        ("88888888^PRN^PH^5555", "phone", "88888888", "home"),  # XTN.4 is no address of mail
        ("^PRN^PH^^^^6000^12", "phone", "6000 x12", "home"),
    ],
)
def test_phones(raw: str, system: str, value: str, use: str | None) -> None:
    made = load()["XTN"].into(raw, context())
    assert (made["system"], made["value"], made.get("use")) == (system, value, use)
    assert load()["XTN"].into(load()["XTN"].back(made, context()), context()) == made


@pytest.mark.parametrize("raw",
    [
        "^PRN^CP^^^^19900000001", "^WPN^PH^^^^6000", "^NET^Internet^a@example.org", "^WPN^PH^^86^010^6000^12",
        "^PRN^PH^^^^6000^12^^^^^20200101^20300101^^^^2", "^NET^Internet^a@example.org^86^^^^^^^^20200101^^^^^1",
        "010 6000^WPN^PH^^86^010^6000", "^EMR^PH^^^^6000",
    ],
)  # fmt: skip
def test_phones_come_back(raw: str) -> None:
    assert there_and_back("XTN", raw) == raw


def test_the_parts_of_a_number_stand_beside_it_and_it_tells_when_to_be_called() -> None:
    made = load()["XTN"].into("^WPN^PH^^86^010^6000^12^^^^^20200101^^^^^2", context())
    assert [each["valueString"] for each in made["extension"]] == ["86", "010", "6000", "12"]
    assert (made["value"], made["rank"], made["period"]) == ("+86-010-6000 x12", 2, {"start": "2020-01-01"})
    assert "extension" not in load()["XTN"].into("^WPN^PH^^^^6000", context())


def test_a_period_that_ends_before_it_begins_is_none() -> None:
    assert "period" not in load()["XTN"].into("6000^WPN^PH^^^^^^^^^^20300101^20200101", context())


# ------------------------------------------------------------------------------------------------- staff


def test_a_numbered_member_of_staff_is_a_practitioner() -> None:
    around = context()
    made = load()["XCN"].into("H0207^林海", around)
    practitioner = around.entries[made["reference"]].resource
    assert made["display"] == "林海"
    assert practitioner["identifier"] == [{"system": "urn:hutong:id:COUNTY:staff", "value": "H0207"}]
    assert practitioner["name"] == [{"text": "林海"}]
    assert load()["XCN"].into("H0207^林海", around) == made  # the same person, once


def test_what_is_told_of_a_member_of_staff() -> None:
    around = context()
    made = load()["XCN"].into("77^Smith^Jane^^^^MD^^OTHER^D^5^M11^EI^^^^^^20200101", around)
    practitioner = around.entries[made["reference"]].resource
    assert practitioner["identifier"][0]["type"]["coding"][0]["code"] == "EI"
    assert [each["valueString"] for each in practitioner["identifier"][0]["extension"]] == ["5", "M11"]
    assert practitioner["qualification"] == [{"code": {"text": "MD"}}]
    assert (practitioner["name"][0]["use"], practitioner["name"][0]["period"]) == ("usual", {"start": "2020-01-01"})


def test_a_member_of_staff_without_number_is_a_name() -> None:
    around = context()
    assert load()["XCN"].into("^林海", around) == {"display": "林海"}
    assert around.entries == {}
    assert load()["XCN"].into("^^^", context()) is None
    assert there_and_back("XCN", "^林海") == "^林海"


@pytest.mark.parametrize(
    "raw",
    [
        "H0207^林海",
        "1234^Smith^John^M^Jr^Dr",
        "77^Jones^^^^^^^OTHER",
        "77^Jones^^^^^^^&2.16.840.1.113883.4.6&ISO",
        "77^Jones^^^^^^^NPI&2.16.840.1.113883.4.6&ISO",
        "77^van Dyk&van&Dyk^Jan^^Jr^^MD^^OTHER^L^5^M11^EI^^^^^F^20200101^20300101^PhD",
        "77^^^^^^主任医师",
    ],
)
def test_staff_comes_back_with_who_gave_the_number(raw: str) -> None:
    assert there_and_back("XCN", raw) == raw


@pytest.mark.parametrize(
    ("raw", "back"),
    [
        ("JY02&罗刚", "JY02&罗刚"),
        ("JY02^罗刚", "JY02&罗刚"),  # with `^` instead of `&`
        ("52040&张何锐^^^临床检验", "52040&张何锐"),
        ("JY02&罗刚^20260304060000", "JY02&罗刚"),
        ("JY02", "JY02"),
        ("7&Doe&Jane&&&&&&NPI&1.2.3&ISO", "7&Doe&Jane&&&&&&NPI&1.2.3&ISO"),
        ("7&Doe&Jane&&&&MD", "7&Doe&Jane&&&&MD"),
    ],
)
def test_interpreters(raw: str, back: str) -> None:
    assert there_and_back("NDL", raw) == back


def test_places_are_found_again_by_all_their_parts() -> None:
    around = context()
    made = load()["PL"].into("内科^^3床^COUNTY", around)
    place = around.entries[made["reference"]].resource
    assert place["name"] == made["display"] == "内科 3床"
    assert place["physicalType"]["coding"][0]["code"] == "bd"
    assert there_and_back("PL", "内科^^3床^COUNTY") == "内科^^3床^COUNTY"
    assert there_and_back("PL", "A/B^1^2^X") == "A/B^1^2^X"
    assert load()["PL"].into("^^^COUNTY", context()) is None
    one, other = (load()["PL"].into(raw, around)["reference"] for raw in ("A^B", "A B"))
    assert one != other


def test_institutions() -> None:
    around = context()
    made = load()["XON"].into("12529901MB9900128K^柳河镇卫生院", around)
    assert around.entries[made["reference"]].resource == {
        "resourceType": "Organization",
        "identifier": [{"system": "urn:oid:2.16.156.10011.1.5", "value": "12529901MB9900128K"}],
        "name": "柳河镇卫生院",
    }
    assert there_and_back("XON", "12529901MB9900128K^柳河镇卫生院") == "12529901MB9900128K^柳河镇卫生院"
    assert load()["XON"].into("示例市医疗保障局", context()) == {"display": "示例市医疗保障局"}
    assert there_and_back("XON", "Insurer^^^^^^^^^99") == "Insurer^^^^^^^^^99"


def test_a_member_of_staff_with_a_family_name_in_parts_is_remembered_and_comes_again() -> None:
    message = (
        "MSH|^~\\&|A|B|C|D|20260101||ADT^A01^ADT_A01|1|P|2.5.1\rEVN||20260101\rPID|1||1^^^H^PI||de Vries&de&Vries^Jan\r"
        "PV1|1|I|A^1^2||||77^van Dyk&van&Dyk^Jan^^Jr^^MD^^O^L|77^van Dyk&van&Dyk^Jan^^Jr^^MD^^O^L\r"
    )
    bundle = forth(message.encode()).bundle
    assert validate.problems(bundle) == []
    names = [
        each["resource"]["name"][0] for each in bundle["entry"] if each["resource"]["resourceType"] == "Practitioner"
    ]
    assert [each["_family"]["extension"][1]["valueString"] for each in names] == ["Dyk"]
