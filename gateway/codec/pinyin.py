"""How Chinese names are spelled in Latin letters: 张伟 → zhangwei and zw; surnames with the sound that a surname has.

Syllables have no tones and no blanks (GB/T 28039; 吕 is lyu in passports, lv on keyboards, lu for the careless).
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.fhir.normal import normal

MAXIMUM_FORMS: Final = 8  # of one name, of each kind
MAXIMUM_CHARACTERS: Final = 40  # of a name that is spelled; the rest of a longer one is left out

# Characters that sound otherwise as a surname: that sound first, the common one behind it for whoever does not know.
_SURNAMES: Final = """
    单 shan dan|曾 zeng|仇 qiu chou|解 xie jie|区 ou qu|查 zha cha|盖 ge gai|朴 piao pu|乐 yue le|繁 po fan|召 shao zhao
    覃 qin tan|缪 miao mou|翟 zhai di|员 yun yuan|秘 bi mi|种 chong zhong|郇 xun huan|祭 zhai ji|洗 xian xi|佴 nai er
    么 yao me|郗 xi chi|隗 wei kui|谌 chen shen|晟 cheng sheng|黑 he hei|宓 mi fu|折 she zhe|句 gou ju|能 nai neng
    乜 nie mie|牟 mou mu|长 chang zhang|尉 wei yu|呙 guo wo|钭 tou dou|柏 bai bo|薄 bo bao|俞 yu shu|贾 jia gu
    褚 chu zhu|都 du dou|炅 gui jiong|莘 xin shen|行 xing hang|重 chong zhong|角 jue jiao|盛 sheng cheng|冯 feng ping
    颉 xie jie|郄 qie xi|粘 nian zhan|褶 zhe xi|卜 bu|会 gui hui|藏 zang cang|不 fou bu|参 shen can|奇 qi ji|射 she ye
    阚 kan
"""
_COMPOUND: Final = """
    尉迟 yu chi|万俟 mo qi|单于 chan yu|长孙 zhang sun|澹台 tan tai|夏侯 xia hou|令狐 ling hu|宰父 zai fu|亓官 qi guan
    欧阳 ou yang|司马 si ma|上官 shang guan|诸葛 zhu ge|东方 dong fang|皇甫 huang fu|公孙 gong sun|慕容 mu rong
    宇文 yu wen|司徒 si tu|司空 si kong|赫连 he lian|呼延 hu yan|端木 duan mu|百里 bai li|东郭 dong guo|南宫 nan gong
    独孤 du gu|轩辕 xuan yuan|拓跋 tuo ba|淳于 chun yu|闻人 wen ren|钟离 zhong li|太史 tai shi|申屠 shen tu
    仲孙 zhong sun|鲜于 xian yu|公冶 gong ye|宗政 zong zheng|濮阳 pu yang|乐正 yue zheng|漆雕 qi diao|颛孙 zhuan sun
    哥舒 ge shu|完颜 wan yan|纳兰 na lan|叶赫 ye he|富察 fu cha|贺兰 he lan|达奚 da xi|第五 di wu|左丘 zuo qiu
"""
# Characters of given names that are read in more than one way by those who carry them.
_GIVEN: Final = """
    乐 le yue|行 xing hang|重 chong zhong|朝 chao zhao|长 chang zhang|茜 qian xi|晟 sheng cheng|娜 na nuo|盛 sheng cheng
    柏 bai bo|薄 bo bao|觉 jue jiao|仔 zi zai|莘 shen xin|参 shen can|翟 zhai di|曾 zeng ceng|单 dan shan|朴 pu piao
    省 sheng xing|澄 cheng deng|调 tiao diao|传 chuan zhuan|藏 zang cang|荨 qian xun|婼 ruo chuo|栖 qi xi|尉 wei yu
    降 jiang xiang|解 jie xie|弹 tan dan|角 jiao jue|率 shuai lv|还 huan hai|炅 jiong gui|泊 bo po|溱 qin zhen
    都 du|佛 fo|仇 qiu chou|区 qu ou
"""


def _table(text: str) -> dict[str, tuple[str, ...]]:
    words = (entry.split() for line in text.splitlines() for entry in line.split("|") if entry.strip())
    return {first: tuple(sounds) for first, *sounds in words}


_SURNAME_SOUNDS: Final = _table(_SURNAMES)
_COMPOUND_SOUNDS: Final = _table(_COMPOUND)
_GIVEN_SOUNDS: Final = _table(_GIVEN)
_IDEOGRAPH: Final = "〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ANY_IDEOGRAPH: Final = re.compile(f"[{_IDEOGRAPH}]")
_NAME_WITH_SURNAME: Final = re.compile(f"[{_IDEOGRAPH}]{{1,6}}")
_BETWEEN: Final = re.compile(r"[\s·.•・‧∙⋅●○､_'’`\-]+")
_TYPED: Final = re.compile(r"[a-z]+(?:[1-5]?[a-z]+)*[1-5]?")


@dataclass(frozen=True, slots=True)
class Spelling:
    """The ways one name may be typed, likeliest first; both empty where there is nothing Chinese in it."""

    full: tuple[str, ...]  # 'zhangwei'
    initials: tuple[str, ...]  # 'zw'


NOTHING: Final = Spelling((), ())


@functools.lru_cache(maxsize=16_384)
def spelled(name: str, *, surname: bool = True) -> Spelling:
    """The spellings of a name, at most MAXIMUM_FORMS of each kind.

    `surname`: it begins with one (a whole name, or a family name), so that 单雄信 is shan…; False for given names. A
    name with a middle dot (买买提·吐尔逊) begins with none. Letters that are Latin already stay; a character without a
    known sound stands for itself.
    """
    text = unicodedata.normalize("NFKC", name[:MAXIMUM_CHARACTERS]).strip()
    if not _ANY_IDEOGRAPH.search(text):
        return NOTHING
    sounds = _sounds(text, surname=surname and _NAME_WITH_SURNAME.fullmatch(text) is not None)
    return Spelling(_forms(sounds), _forms([_heads(each) for each in sounds]))


def typed(text: str) -> str:
    """What somebody typed as it stands in a Spelling: 'Zhāng Wěi', "zhang1 wei3", 'ZHANG-WEI' → 'zhangwei'; '' when it
    is no pinyin."""
    joined = _BETWEEN.sub("", normal(text)).replace("u:", "v")
    return re.sub(r"\d", "", joined) if _TYPED.fullmatch(joined) else ""


def turned(text: str) -> tuple[str, ...]:
    """A name in pinyin with the surname first, as it may have been meant: 'XIAOMING WANG' is also wangxiaoming."""
    parts = text.split()
    ways = (text, " ".join((parts[-1], *parts[:-1])), " ".join((*parts[1:], parts[0]))) if len(parts) > 1 else (text,)
    return tuple(dict.fromkeys(filter(None, map(typed, ways))))


def _forms(sounds: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Every way to choose one sound for each character, as far as MAXIMUM_FORMS reaches."""
    choices = itertools.islice(itertools.product(*sounds), MAXIMUM_FORMS)
    return tuple(dict.fromkeys("".join(choice) for choice in choices))


def _heads(sounds: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sound[:1] for sound in sounds))


def _sounds(text: str, *, surname: bool) -> list[tuple[str, ...]]:
    """For each character what it may sound like."""
    found: list[tuple[str, ...]] = []
    if surname:
        own = _SURNAME_SOUNDS.get(text[0]) or _common(text[0])
        compound = _COMPOUND_SOUNDS.get(text[:2])
        # 单于: the surname Chanyu, or Mr Shan whose name is 于
        found = [_distinct(compound[:1], own), _distinct(compound[1:], _given(text[1]))] if compound else [own]
        text = text[len(found) :]
    return found + [_given(character) for character in text if not _BETWEEN.fullmatch(character)]


def _distinct(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _given(character: str) -> tuple[str, ...]:
    return _GIVEN_SOUNDS.get(character) or _common(character)


@functools.lru_cache(maxsize=8192)
def _common(character: str) -> tuple[str, ...]:
    """The commonest sound; with ü in each way that people write it."""
    if not _ANY_IDEOGRAPH.match(character):
        return (normal(character),) if character.isalnum() else ("",)
    sounds = _all_sounds(character)
    if not sounds:
        return (character,)
    first = sounds[0]
    return (first, first.replace("v", "yu"), first.replace("v", "u")) if "v" in first else (first,)


@functools.lru_cache(maxsize=8192)
def _all_sounds(character: str) -> tuple[str, ...]:
    library = _library()
    found = library.pinyin(character, style=library.Style.NORMAL, heteronym=True, errors="ignore")
    return tuple(found[0]) if found else ()


@functools.cache
def _library() -> Any:
    """pypinyin, loaded when the first Chinese name comes, and without its table of phrases: names are none, and it
    costs 44 MB and 0.15 s."""
    switch = "PYPINYIN_NO_PHRASES"
    before = os.environ.get(switch)
    os.environ[switch] = "true"
    try:
        import pypinyin
    finally:
        os.environ.pop(switch) if before is None else os.environ.update({switch: before})
    return pypinyin
