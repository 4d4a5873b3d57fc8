"""Is this the same person? Pure rules over identifiers and demographics; nothing here knows a database or a clock.

Reasons are words for people and for counters; they never hold a name or a number.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.codec.chinese_numbers import national_id

_NO_DATES: Final = frozenset({"19000101", "00010101", "00000000", "19700101", "18991230", "99991231"})  # "not known"
_DOT: Final = re.compile(
    r"(?<=[\u3400-\u9fff\U00020000-\U0003ffff])[.•・‧∙⋅●○､](?=[\u3400-\u9fff\U00020000-\U0003ffff])"
)
_CHINESE: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff〇]+")
_ANY_CHINESE: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_NEWBORN: Final = re.compile(
    r".{1,6}之(?:[大小长次]?[子女儿婴]|(?:男|女)?婴儿?)[一二三四A-D0-9]?|.*(?:新生儿|男婴|女婴|婴儿)\d*"
)
_PLACEHOLDER: Final = re.compile(
    r"(?:无名氏?|未知|不详|不明|佚名|匿名|患者|病人|路人|三无人员|测试|unknown|unnamed|noname|test|none|null)[\d甲乙丙丁A-Z]*"
    r"|.?某{1,3}|.{0,2}\*+.?|[?？.\-_xX0-9]+",
    re.IGNORECASE,
)
_COMPOUND: Final = """
    欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台
    皇甫 宗政 濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘
    子车 亓官 司寇 巫马 公西 颛孙 壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋 夹谷 轩辕 令狐
    段干 百里 呼延 东郭 南门 羊舌 微生 梁丘 左丘 东门 西门 第五 完颜 纳兰 叶赫 富察
    淳于 单于 贺兰 申徒 公仪 达奚 即墨 哥舒
"""
COMPOUND_SURNAMES: Final = frozenset(_COMPOUND.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What one source says of a person; "" where it says nothing."""

    name: str = ""
    birth_date: str = ""  # YYYY-MM-DD, YYYYMMDD or the beginning of one
    sex: str = ""  # FHIR administrative-gender
    national_id: str = ""  # as written; only a valid one counts
    numbers: frozenset[tuple[str, str]] = frozenset()  # (system of the authority, local number)
    phones: frozenset[str] = frozenset()  # digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A patient of the record who shares something with the arriving one."""

    patient_id: str
    person: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """same: `patient_id` is who it is. new: nobody we know. ask: a person decides between `candidates` and new."""

    kind: Literal["same", "new", "ask"]
    patient_id: str = ""
    reasons: tuple[str, ...] = ()  # also with "new": 'recycled-number' and 'namesake' are worth a look
    candidates: tuple[str, ...] = field(default=())


# ------------------------------------------------------------------------------------------------ names


@functools.lru_cache(maxsize=8192)
def name_form(name: str) -> str:
    """The form in which two names are compared: full-width letters narrowed, every kind of middle dot one ·, no blanks
    in Chinese names, one blank and no capitals in others. The original is what is shown."""
    text = unicodedata.normalize("NFKC", name).strip()
    if not _ANY_CHINESE.search(text):
        return " ".join(text.casefold().split())
    return _DOT.sub("·", re.sub(r"\s+", "", text))


def split_name(name: str) -> tuple[str, str] | None:
    """(family, given) of a Chinese name when it is sure: 2 or 3 characters, or a compound surname and 1 or 2 more.
    None for names with ·, other lengths, other scripts and placeholders."""
    form = name_form(name)
    if not _CHINESE.fullmatch(form) or is_placeholder(form):
        return None
    if form[:2] in COMPOUND_SURNAMES and len(form) in (3, 4):
        return form[:2], form[2:]
    return (form[0], form[1:]) if len(form) in (2, 3) else None


def is_newborn(name: str) -> bool:
    """张三之女, 李四之子, 王五女婴: the mother's name, not yet a name of its own."""
    return _NEWBORN.fullmatch(name_form(name)) is not None


@functools.lru_cache(maxsize=8192)
def is_placeholder(name: str) -> bool:
    """A name that says nothing about who it is: empty, 无名氏, 未知, 某某, masked (张**) or a newborn's."""
    form = name_form(name)
    return not form or _PLACEHOLDER.fullmatch(form) is not None or is_newborn(form)


# ------------------------------------------------------------------------------------------------ decision


def decide(arriving: Person, candidates: Sequence[Candidate]) -> Decision:
    """Who the arriving person is among `candidates` (each shares an identifier, or name and birth date, with it).

    One valid national id: the same. One local number of one authority: the same unless facts speak against it; another
    valid national id means the number was given to somebody else. Name and birth date alone never join two people.
    """
    by_id = [candidate for candidate in candidates if _same_national_id(arriving, candidate.person)]
    if by_id:
        return _decide_by_id(arriving, by_id)
    sharing = [candidate for candidate in candidates if arriving.numbers & candidate.person.numbers]
    recycled = [candidate for candidate in sharing if _other_national_id(arriving, candidate.person)]
    open_ones = [candidate for candidate in sharing if candidate not in recycled]
    flags = ("recycled-number",) if recycled else ()
    if len(open_ones) > 1:
        return _ask(open_ones, "numbers-of-several-patients", *flags)
    if open_ones:
        return _decide_by_number(arriving, open_ones[0], flags)
    born = [candidate for candidate in candidates if not flags and _same_newborn(arriving, candidate.person)]
    if len(born) == 1:
        return Decision(kind="same", patient_id=born[0].patient_id, reasons=("same-newborn",))
    if any(_namesake(arriving, candidate.person) for candidate in candidates):
        flags = (*flags, "namesake")
    return Decision(kind="new", reasons=flags or ("unknown",))


def _decide_by_id(arriving: Person, found: list[Candidate]) -> Decision:
    if len(found) > 1:
        found = [one for one in found if arriving.numbers & one.person.numbers] or found
    if len(found) > 1:
        return _ask(found, "national-id-of-several-patients")
    if _disagreements(arriving, found[0].person) == {"name", "birth-date", "sex"}:
        return _ask(found, "same-national-id", "name-birth-date-and-sex-differ")
    return Decision(kind="same", patient_id=found[0].patient_id, reasons=("same-national-id",))


def _decide_by_number(arriving: Person, found: Candidate, flags: tuple[str, ...]) -> Decision:
    agreeing = sorted(_agreements(arriving, found.person))
    differing = sorted(_disagreements(arriving, found.person))
    if differing and not agreeing:
        return _ask([found], "same-number", *(f"other-{fact}" for fact in differing), *flags)
    reasons = ("same-number", *(f"same-{fact}" for fact in agreeing), *(f"other-{fact}" for fact in differing), *flags)
    return Decision(kind="same", patient_id=found.patient_id, reasons=reasons)


def _ask(candidates: Sequence[Candidate], *reasons: str) -> Decision:
    return Decision(kind="ask", reasons=reasons, candidates=tuple(candidate.patient_id for candidate in candidates))


def _own_national_id(person: Person) -> str:
    """A newborn's record carries the mother's number."""
    return "" if is_newborn(person.name) else national_id(person.national_id)


def _same_national_id(one: Person, other: Person) -> bool:
    number = _own_national_id(one)
    return bool(number) and number == _own_national_id(other)


def _other_national_id(one: Person, other: Person) -> bool:
    ours, theirs = _own_national_id(one), _own_national_id(other)
    return bool(ours) and bool(theirs) and ours != theirs


def _namesake(one: Person, other: Person) -> bool:
    return {"name", "birth-date"} <= _agreements(one, other)


def _same_newborn(one: Person, other: Person) -> bool:
    """A newborn has no number of its own yet. The mother's name, the day, the sex and her telephone number together
    tell who it is among the records of several institutions; in one of them two numbers are two children (twins)."""
    if not (is_newborn(one.name) and is_newborn(other.name) and one.phones & other.phones):
        return False
    if (
        one.national_id
        or other.national_id
        or {system for system, _ in one.numbers} & {each for each, _ in other.numbers}
    ):
        return False
    same = name_form(one.name) == name_form(other.name) and one.sex == other.sex != ""
    return same and _compare_dates(one.birth_date, other.birth_date) is True


def _agreements(one: Person, other: Person) -> set[str]:
    return {fact for fact, verdict in _comparison(one, other).items() if verdict}


def _disagreements(one: Person, other: Person) -> set[str]:
    return {fact for fact, verdict in _comparison(one, other).items() if verdict is False}


def _comparison(one: Person, other: Person) -> dict[str, bool | None]:
    """For name, birth date and sex: agree, differ, or None where one side says nothing."""
    return {
        "name": _compare_names(one.name, other.name),
        "birth-date": _compare_dates(one.birth_date, other.birth_date),
        "sex": one.sex == other.sex if {one.sex, other.sex} <= {"male", "female"} else None,
    }


def _compare_names(one: str, other: str) -> bool | None:
    if is_placeholder(one) or is_placeholder(other):
        return None
    return name_form(one) == name_form(other)


def _compare_dates(one: str, other: str) -> bool | None:
    """Whole dates agree or differ; a year or month alone can only differ."""
    ours, theirs = re.sub(r"\D", "", one)[:8], re.sub(r"\D", "", other)[:8]
    if {ours, theirs} & _NO_DATES or min(len(ours), len(theirs)) < 4:
        return None
    precision = min(len(ours), len(theirs))
    if ours[:precision] != theirs[:precision]:
        return False
    return True if precision == 8 else None
