"""How likely two records are one person: levels, weights, what is never joined, and what a question costs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import chinese_numbers, person_keys
from gateway.identity import compare
from gateway.identity.person import Person, person
from gateway.identity.score import score, weights, worked_out

BASE = Person(
    name="王小明",
    birth_date="1980-05-17",
    sex="male",
    phones=frozenset({"13800138000"}),
    addresses=("青岚县石桥镇硚头村3组12号",),
    numbers=frozenset({("urn:a", "1")}),
)


def other(**changes: object) -> Person:
    return replace(BASE, **{"numbers": frozenset({("urn:b", "2")}), **changes})  # type: ignore[arg-type]


def card(seventeen: str) -> str:
    return seventeen + chinese_numbers.check_character(seventeen)


CARD = card("52990119800517011")
TWIN = card("52990119800517013")


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("张伟", "张 伟", "equal"),
        ("张伟", "张玮", "sound"),
        ("张伟", "ZHANG WEI", "sound"),
        ("张伟", "伟张", "swapped"),
        ("欧阳建国", "建国欧阳", "swapped"),
        ("SMITH JOHN", "John Smith", "swapped"),
        ("张伟", "张强", "different"),
        ("王小明", "王晓明", "sound"),
        ("王小明", "王小朋", "character"),
        ("王小明", "李小朋", "different"),
        ("阿依古丽·买买提", "阿依古丽买买提", "variant"),
        ("阿依古丽·买买提", "阿依古丽•买买提", "equal"),
        ("阿依古丽·买买提", "买买提·阿依古丽", "swapped"),
        ("阿依古丽·买买提", "阿衣古丽·买买提", "sound"),
        ("阿依古丽·买买提", "阿依古丽·买麦提", "sound"),
        ("吐尔逊·艾力", "图尔荪·艾力", "character"),
        ("阿依古丽·买买提", "阿依古丽·买", "variant"),
        ("阿依古丽·买买提", "吐尔逊·艾力", "different"),
        ("Alexander", "Alexandre", "character"),
        ("无名氏", "张伟", ""),
        ("刘桂花之女", "刘桂花", ""),
    ],
)
def test_names(one: str, other: str, level: str) -> None:
    assert compare.names(one, other) == compare.names(other, one) == level


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("1980-05-17", "19800517", "equal"),
        ("1980-05-07", "1980-07-05", "swapped"),
        ("1980-05-17", "1980-05-11", "digit"),
        ("1980-05-17", "1980-05-71", "digit"),
        ("1980-05-17", "1980", "year"),
        ("1980-05-17", "1980-01-01", "year"),
        ("1980-01-01", "1980-01-01", "year"),  # only the age was known
        ("1980-05-17", "1981-06-20", "different"),
        ("1980-05-17", "1900-01-01", ""),
        ("1980-05-17", "", ""),
    ],
)
def test_birth_dates(one: str, other: str, level: str) -> None:
    assert compare.dates(one, other) == compare.dates(other, one) == level


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("示例省青岚县石桥镇硚头村3组12号", "青岚县石桥镇硚头村三组12号", "door"),
        ("石桥镇硚头村3组12号", "青岚县石桥镇硚头村3组14号", "village"),
        ("青岚县石桥镇1组", "青岚县石桥镇1组", "town"),
        ("青岚县石桥镇硚头村", "青岚县石桥镇赵家沟村", "different"),
        ("青岚县石桥镇", "青岚县柳河镇", "different"),
        ("青岚县", "石桥镇硚头村", ""),
        ("人民路18号2单元301室", "人民路18号2单元301室", "door"),
    ],
)
def test_addresses(one: str, other: str, level: str) -> None:
    assert compare.addresses(one, other) == compare.addresses(other, one) == level


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        (CARD, CARD.lower(), "equal"),
        (CARD, TWIN, "contrary"),
        (CARD, CARD[:10] + "5" + CARD[11:], "near" if CARD[10] != "5" else "equal"),
        (CARD, f"{CARD[:6]}********{CARD[-4:]}", "masked"),
        (CARD, f"{TWIN[:6]}********{TWIN[-4:]}", "contrary"),
        (CARD, f"{CARD[:6]}************", ""),
        (CARD, "123", ""),
        (CARD, "", ""),
    ],
)
def test_cards(one: str, other: str, level: str) -> None:
    assert compare.cards(one, other) == compare.cards(other, one) == level


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "link"),
        ({"addresses": ()}, "link"),
        ({"phones": frozenset()}, "link"),
        ({"phones": frozenset(), "addresses": ()}, "ask"),  # name and birth date and sex
        ({"phones": frozenset({"13900139000"}), "addresses": ()}, "ask"),
        ({"name": "王晓明"}, "ask"),  # a twin is called like that
        ({"name": "王小朋"}, "ask"),
        ({"sex": "female"}, "ask"),
        ({"birth_date": "1980-05-18"}, "ask"),
        ({"birth_date": "1958-03-02"}, "none"),  # father and son
        ({"name": "王大力"}, "none"),  # brothers of one day
        ({"numbers": frozenset({("urn:a", "2")})}, "ask"),  # the house itself says two
        ({"name": "无名氏"}, "none"),
        ({"name": "王小明之子", "birth_date": "2026-03-01"}, "none"),
    ],
)
def test_verdicts(changes: dict[str, object], verdict: str) -> None:
    assert score(BASE, other(**changes)).verdict == verdict


def test_what_rules_a_pair_out() -> None:
    with_card = replace(BASE, national_id=CARD)
    assert score(with_card, other(national_id=TWIN)).reasons[0] == "two-identity-cards"
    assert score(with_card, other(sex="female")).grade == "certainly-not"
    mother = Person(name="王芳", birth_date="1990-04-04", sex="female", phones=BASE.phones)
    child = Person(name="王芳之女", birth_date="2026-03-01", sex="female", phones=BASE.phones)
    assert score(mother, child).veto


def test_a_telephone_of_everybody_tells_nothing() -> None:
    common = BASE.phones
    assert score(BASE, other(addresses=()), common=common).verdict == "ask"


def test_a_slip_in_the_card_tells_more_than_a_telephone() -> None:
    one = replace(BASE, national_id=CARD, phones=frozenset(), addresses=())
    wrong = CARD[:17] + ("X" if CARD[17] != "X" else "1")
    assert score(one, other(national_id=wrong, phones=frozenset(), addresses=())).verdict == "link"


def test_grades_follow_the_odds() -> None:
    assert score(BASE, other()).grade == "certain"
    assert score(BASE, other(phones=frozenset(), addresses=())).grade == "probable"
    assert score(BASE, other(name="王大力")).grade in ("possible", "certainly-not")
    assert 0.0 <= score(BASE, other(name="王大力")).probability < 0.9 < score(BASE, other()).probability


def test_weights_are_logarithms_of_what_is_written_down() -> None:
    table = {"persons": 8, "threshold": {"link": 3, "ask": 1, "possible": 0}, "sex": {"equal": {"m": 1.0, "u": 0.5}}}
    made = worked_out(table)
    assert (made.prior, made.fields["sex"]["equal"]) == (-3.0, 1.0)
    for field in weights().fields.values():
        assert all(math.isfinite(each) for each in field.values())


NAMES = st.sampled_from(
    ["张伟", "张玮", "伟张", "王芳", "阿依古丽·买买提", "阿依古丽买买提", "无名氏", "王芳之女", "Ann Lee", ""]
)
DATES = st.sampled_from(["1980-05-17", "1980-05-18", "1958-03-02", "1980", "1900-01-01", "1980-01-01", ""])
SEXES = st.sampled_from(["male", "female", "unknown", ""])
PEOPLE = st.builds(
    Person, name=NAMES, birth_date=DATES, sex=SEXES,
    national_id=st.sampled_from(["", CARD, TWIN, "5299**********1234"]),
    phones=st.frozensets(st.sampled_from(["13800138000", "13900139000"])),
    addresses=st.sampled_from([(), ("石桥镇硚头村3组12号",), ("石桥镇赵家沟村1组1号",)]),
    numbers=st.frozensets(st.sampled_from([("a", "1"), ("b", "2")])),
)  # fmt: skip


@settings(max_examples=200)
@given(PEOPLE, PEOPLE)
def test_it_is_the_same_either_way_and_tells_no_data(one: Person, two: Person) -> None:
    found, turned = score(one, two), score(two, one)
    assert (found.odds, found.verdict, found.veto) == (turned.odds, turned.verdict, turned.veto)
    words = " ".join(found.reasons)
    assert words.isascii()
    assert not any(character.isdigit() for character in words)
    if found.verdict == "link":
        assert not found.veto
        assert compare.dates(one.known_birth_date, two.known_birth_date) == "equal"


@settings(max_examples=100)
@given(NAMES, DATES, SEXES, NAMES, DATES, SEXES)
def test_name_birth_date_and_sex_never_join(a: str, b: str, c: str, d: str, e: str, f: str) -> None:
    assert score(Person(name=a, birth_date=b, sex=c), Person(name=d, birth_date=e, sex=f)).verdict != "link"


def test_keys_find_what_is_written_otherwise() -> None:
    def keys(name: str, birth: str, *phones: str) -> set[str]:
        telecom = [{"value": each} for each in phones]
        return set(person_keys.keys({"name": [{"text": name}], "birthDate": birth, "telecom": telecom}))

    base = keys("王小明", "1980-05-07", "138-0013-8000")
    for again in (
        keys("王晓明", "1980-07-05"),
        keys("WANG Xiaoming", "1980-12-12"),
        keys("王大力", "1980-05-07"),
        keys("", "", "+86 13800138000"),
    ):
        assert base & again
    assert not base & keys("李四", "1980-05-08")
    assert keys("无名氏", "1980-05-07") == set()
    assert person({"name": [{"text": "王芳"}], "address": [{"state": "示例省", "line": ["人民路1号"]}]}).addresses == (
        "示例省人民路1号",
    )


def test_of_thousands_of_addresses_the_first_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(compare, "addresses", lambda one, _: compared.append(one) or "")
    one, two = (other(addresses=tuple(f"{letter}村{number}号" for number in range(1000))) for letter in "甲乙")
    compare.levels(one, two)
    assert 0 < len(compared) <= compare.ADDRESSES**2
