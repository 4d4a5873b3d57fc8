"""Who is who: numbers, names and the decision."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import chinese_numbers, person_names
from gateway.identity import match
from gateway.identity.match import decide
from gateway.identity.person import Candidate, Person

FEMALE = "11010519491231002X"  # the samples of GB 11643
MALE = "440524188001010014"
NUMBER = frozenset({("urn:town01", "300005")})


@pytest.mark.parametrize(
    ("written", "valid"),
    [
        (FEMALE, FEMALE),
        ("11010519491231002x", FEMALE),
        (" 110105 19491231 002X ", FEMALE),
        ("１１０１０５１９４９１２３１００２Ｘ", FEMALE),
        (MALE, MALE),
        ("110105491231002", FEMALE),  # 15 digits
        ("110105194912310021", ""),  # wrong check character
        ("110105194913310029", ""),  # no such month
        ("111111111111111111", ""),
        ("000000000000000000", ""),
        ("5.29901E+17", ""),
        ("", ""),
        ("11010519491231002X1", ""),
    ],
)
def test_national_id(written: str, valid: str) -> None:
    assert chinese_numbers.national_id(written) == valid


def test_birth_date_and_sex_out_of_the_number() -> None:
    assert (chinese_numbers.birth_date_of(FEMALE), chinese_numbers.sex_of(FEMALE)) == ("1949-12-31", "female")
    assert (chinese_numbers.birth_date_of("110105491231002"), chinese_numbers.sex_of(MALE)) == ("1949-12-31", "male")
    assert (chinese_numbers.birth_date_of("x"), chinese_numbers.sex_of("x")) == ("", "")


@given(st.dates(), st.integers(0, 999), st.integers(0, 17), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(born: object, sequence: int, place: int, shift: int) -> None:
    seventeen = f"529901{str(born).replace('-', '')}{sequence:03d}"
    number = seventeen + chinese_numbers.check_character(seventeen)
    wrong = "0123456789"[(int(number[place]) + shift) % 10] if number[place] != "X" else str(shift)
    assert chinese_numbers.national_id(number[:place] + wrong + number[place + 1 :]) == ""


def test_credit_code() -> None:
    assert chinese_numbers.is_credit_code("12360000491015900T")
    for wrong in ("12360000491015900A", "12360000491015900", "1236000049101590OT", "12360000491051900T", ""):
        assert not chinese_numbers.is_credit_code(wrong)


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("138 0013-8000", "13800138000"),
        ("+86 13800138000", "13800138000"),
        ("008613800138000", "13800138000"),
        ("８６13800138000", "13800138000"),
        ("(0871)6512-3456", "087165123456"),
        ("0871-65123456转801", "087165123456"),
        ("110", ""),
        ("00000000000", ""),
        ("无", ""),
    ],
)
def test_phone(written: str, digits: str) -> None:
    assert chinese_numbers.phone(written) == digits


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("买买提·艾山", "买买提•艾山"),
        ("买买提·艾山", "买买提・艾山"),
        ("买买提·艾山", "买买提．艾山"),
        ("买买提·艾山", "买买提.艾山"),
        ("张  晋", "张晋"),
        ("张\u3000晋", "张晋"),
        ("SMITH  John", "smith john"),
        ("ＪＯＨＮ", "john"),
    ],
)
def test_name_form(one: str, other: str) -> None:
    assert person_names.name_form(one) == person_names.name_form(other)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("张晋", ("张", "晋")),
        ("王小明", ("王", "小明")),
        ("欧阳建国", ("欧阳", "建国")),
        ("诸葛亮", ("诸葛", "亮")),
        ("司马", ("司", "马")),
        ("张李小明", None),
        ("买买提·艾山", None),
        ("Smith", None),
        ("王", None),
        ("张三之女", None),
        ("无名氏", None),
    ],
)
def test_split_name(name: str, parts: tuple[str, str] | None) -> None:
    assert person_names.split_name(name) == parts


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "无名氏",
        "无名氏2",
        "未知",
        "某某",
        "张某某",
        "张**",
        "UNKNOWN",
        "?",
        "王芳之女",
        "李四之子",
        "王五女婴",
    ],
)
def test_placeholders(name: str) -> None:
    assert person_names.is_placeholder(name)


@pytest.mark.parametrize("name", ["张伟", "买买提·艾山", "某雨欣", "John Test", "之子于归"])
def test_names_that_are_none(name: str) -> None:
    assert not person_names.is_placeholder(name)


ZHANG = Person(name="张伟", birth_date="1980-01-01", sex="male", numbers=NUMBER)


def known(person: Person, patient_id: str = "P1") -> Candidate:
    return Candidate(patient_id=patient_id, person=person)


def test_the_same_valid_national_id_is_the_same_person() -> None:
    stored = Person(name="欧阳 建国", national_id="110105491231002")
    decision = decide(Person(name="欧阳建国", national_id=FEMALE.lower()), [known(stored)])
    assert (decision.kind, decision.patient_id, decision.reasons) == ("same", "P1", ("same-national-id",))


def test_an_invalid_national_id_says_nothing() -> None:
    wrong = "110105194912310021"
    assert decide(Person(national_id=wrong), [known(Person(national_id=wrong))]).kind == "new"


def test_the_same_national_id_with_every_fact_different_is_asked() -> None:
    stored = Person(name="李四", birth_date="1949-12-31", sex="female", national_id=FEMALE)
    arriving = Person(name="张三", birth_date="1990-05-05", sex="male", national_id=FEMALE)
    assert decide(arriving, [known(stored)]).kind == "ask"


def test_one_national_id_of_two_patients() -> None:
    stored = Person(name="李四", national_id=FEMALE)
    both = [known(stored), known(Person(name="李四", national_id=FEMALE, numbers=NUMBER), "P2")]
    assert decide(Person(name="李四", national_id=FEMALE), both).candidates == ("P1", "P2")
    assert decide(Person(name="李四", national_id=FEMALE, numbers=NUMBER), both).patient_id == "P2"


@pytest.mark.parametrize(
    "arriving",
    [
        Person(name="张 伟", numbers=NUMBER),
        Person(birth_date="19800101", numbers=NUMBER),
        Person(name="张玮", birth_date="1980-01-01", sex="male", numbers=NUMBER),
        Person(numbers=NUMBER),
        Person(name="无名氏", numbers=NUMBER),
        Person(name="张伟", national_id=FEMALE, numbers=NUMBER),
    ],
)
def test_the_same_local_number_and_nothing_against_it(arriving: Person) -> None:
    decision = decide(arriving, [known(ZHANG)])
    assert (decision.kind, decision.patient_id) == ("same", "P1")


def test_a_recycled_local_number_is_somebody_new() -> None:
    stored = Person(name="张伟", birth_date="1980-01-01", sex="male", numbers=NUMBER, national_id=MALE)
    decision = decide(Person(name="张伟", sex="male", numbers=NUMBER, national_id=FEMALE), [known(stored)])
    assert (decision.kind, decision.patient_id) == ("new", "")
    assert "recycled-number" in decision.reasons


def test_the_same_number_with_everything_different_is_asked() -> None:
    decision = decide(Person(name="李娜", birth_date="1990-05-05", sex="female", numbers=NUMBER), [known(ZHANG)])
    assert (decision.kind, decision.patient_id, decision.candidates) == ("ask", "", ("P1",))


def test_name_and_birth_date_alone_never_join() -> None:
    twin = Person(name="张伟", birth_date="1980-01-01", sex="male", numbers=frozenset({("urn:town02", "300005")}))
    decision = decide(twin, [known(ZHANG)])
    assert (decision.kind, decision.reasons) == ("new", ("namesake",))


def test_numbers_of_two_patients_are_asked() -> None:
    other = ("urn:county", "9")
    arriving = Person(name="张伟", numbers=NUMBER | {other})
    decision = decide(arriving, [known(ZHANG), known(Person(name="张伟", numbers=frozenset({other})), "P2")])
    assert (decision.kind, decision.candidates) == ("ask", ("P1", "P2"))


def test_a_newborn_with_the_mothers_number_is_not_the_mother() -> None:
    mother = Person(name="王芳", birth_date="1949-12-31", sex="female", national_id=FEMALE)
    baby = Person(name="王芳之女", birth_date="2026-03-01", sex="female", national_id=FEMALE)
    assert decide(baby, [known(mother)]).kind == "new"


def test_nobody_known() -> None:
    assert decide(ZHANG, []) == match.Decision(kind="new", reasons=("unknown",))


def test_unknown_dates_do_not_disagree() -> None:
    for date in ("1900-01-01", "0000-00-00", "", "1980", "1980-01"):
        assert decide(Person(birth_date=date, numbers=NUMBER), [known(ZHANG)]).kind == "same"
    assert decide(Person(birth_date="1981", numbers=NUMBER), [known(ZHANG)]).kind == "ask"


PERSON = st.builds(
    Person,
    name=st.sampled_from(["", "张伟", "张 伟", "李娜", "无名氏", "王芳之女"]),
    birth_date=st.sampled_from(["", "1980-01-01", "19800101", "1990", "1900-01-01"]),
    sex=st.sampled_from(["", "male", "female", "unknown"]),
    national_id=st.sampled_from(["", FEMALE, MALE, "x"]),
    numbers=st.frozensets(st.sampled_from([("a", "1"), ("a", "2"), ("b", "1")])),
)


@given(PERSON, st.lists(PERSON, max_size=3))
def test_a_decision_is_always_one_of_three_and_carries_no_data(arriving: Person, stored: list[Person]) -> None:
    candidates = [known(person, f"P{index}") for index, person in enumerate(stored)]
    decision = decide(arriving, candidates)
    assert (decision.kind == "same") == bool(decision.patient_id)
    assert (decision.kind == "ask") == bool(decision.candidates)
    assert decision.reasons
    assert not any("张" in reason or FEMALE in reason for reason in decision.reasons)
    if decision.kind == "same":
        person = stored[int(decision.patient_id[1:])]
        assert arriving.numbers & person.numbers or chinese_numbers.national_id(arriving.national_id)


NEWBORN = Person(
    name="刘桂花之女",
    birth_date="2026-03-09",
    sex="female",
    numbers=frozenset({("urn:a", "1")}),
    phones=frozenset({"1"}),
)


def newborn(**changes: object) -> Person:
    return replace(NEWBORN, **{"numbers": frozenset({("urn:b", "2")}), **changes})  # type: ignore[arg-type]


def test_a_newborn_is_the_same_at_another_institution_by_all_that_is_known_of_it() -> None:
    known = [Candidate(patient_id="1", person=NEWBORN)]
    assert decide(newborn(), known) == match.Decision(kind="same", patient_id="1", reasons=("same-newborn",))
    for other in (
        newborn(birth_date="2026-03-10"),
        newborn(birth_date=""),
        newborn(sex="male"),
        newborn(phones=frozenset()),
        newborn(phones=frozenset({"2"})),
        newborn(name="刘桂花之子"),
        newborn(numbers=frozenset({("urn:a", "2")})),  # two children of one mother in one house
    ):
        assert decide(other, known).kind == "new"
    assert decide(newborn(), [*known, Candidate(patient_id="2", person=NEWBORN)]).kind == "new"
