"""Names of people as they are written: one form for comparing, family and given name, and names that say nothing."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Final

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
