"""How Chinese names are spelled: what a person at a keyboard would type."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec.pinyin import MAXIMUM_FORMS, NOTHING, spelled, typed

NAMES = [
    ("张伟", "zhangwei", "zw"),
    ("张伟明", "zhangweiming", "zwm"),
    ("单雄信", "shanxiongxin", "sxx"),
    ("曾国藩", "zengguofan", "zgf"),
    ("仇英", "qiuying", "qy"),
    ("解缙", "xiejin", "xj"),
    ("区志强", "ouzhiqiang", "ozq"),
    ("查良镛", "zhaliangyong", "zly"),
    ("盖叫天", "gejiaotian", "gjt"),
    ("朴树", "piaoshu", "ps"),
    ("任贤齐", "renxianqi", "rxq"),
    ("华罗庚", "hualuogeng", "hlg"),
    ("乐嘉", "yuejia", "yj"),
    ("覃辉", "qinhui", "qh"),
    ("翟志刚", "zhaizhigang", "zzg"),
    ("欧阳锋", "ouyangfeng", "oyf"),
    ("尉迟恭", "yuchigong", "ycg"),
    ("万俟卨", "moqixie", "mqx"),
    ("长孙无忌", "zhangsunwuji", "zswj"),
    ("吕布", "lvbu", "lb"),
    ("買買提", "maimaiti", "mmt"),
    ("买买提·吐尔逊", "maimaitituerxun", "mmttex"),
    ("买买提．吐尔逊", "maimaitituerxun", "mmttex"),
    ("买买提吐尔逊", "maimaitituerxun", "mmttex"),
    ("张𬭎", "zhanghong", "zh"),
    ("䶮龑", "yanyan", "yy"),
    ("阿Ｑ", "aq", "aq"),
]


@pytest.mark.parametrize(("name", "full", "initials"), NAMES)
def test_a_name_is_spelled_as_people_type_it(name: str, full: str, initials: str) -> None:
    found = spelled(name)
    assert (found.full[0], found.initials[0]) == (full, initials)


def test_a_surname_that_is_read_otherwise_is_found_by_its_common_sound_too() -> None:
    assert spelled("单雄信").full == ("shanxiongxin", "danxiongxin")
    assert spelled("单于").full == ("chanyu", "shanyu", "danyu")
    assert "lyubu" in spelled("吕布").full
    assert "lubu" in spelled("吕布").full


def test_a_given_name_begins_with_no_surname() -> None:
    assert spelled("解", surname=False).full == ("jie", "xie")
    assert spelled("乐", surname=False).full == ("le", "yue")
    assert spelled("乐").full == ("yue", "le")


@pytest.mark.parametrize("text", ["", "Zhang Wei", "Ivan", "123", "·", "いろは"])
def test_nothing_chinese_has_no_spelling(text: str) -> None:
    assert spelled(text) == NOTHING


def test_a_character_without_a_sound_stands_for_itself() -> None:
    assert spelled("张\U00030000").full == ("zhang\U00030000",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("zhang wei", "zhangwei"),
        ("Zhāng Wěi", "zhangwei"),
        ("ZHANG-WEI", "zhangwei"),
        ("ｚｈａｎｇ", "zhang"),
        ("zhang1 wei3", "zhangwei"),
        ("xi'an", "xian"),
        ("lu:", "lv"),
        ("张wei", ""),
        ("1234", ""),
        ("", ""),
    ],
)
def test_what_is_typed_is_compared_without_its_ornaments(text: str, found: str) -> None:
    assert typed(text) == found


def test_the_environment_is_left_as_it_was() -> None:
    spelled("张")
    assert "PYPINYIN_NO_PHRASES" not in os.environ


@settings(max_examples=60)
@given(st.text(max_size=60), st.booleans())
def test_any_text_has_a_bounded_spelling(text: str, surname: bool) -> None:
    found = spelled(text, surname=surname)
    assert len(found.full) <= MAXIMUM_FORMS
    assert len(found.initials) <= MAXIMUM_FORMS
    assert bool(found.full) == bool(found.initials)
