"""Words of headers that mean the same (`mappings/learning/alike.tsv`): a name that nobody listed is read as one that
somebody did."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

from pypinyin import Style, lazy_pinyin

from gateway.mapping.maps import shipped

_SHORTEST = 3  # letters of an abbreviation that is looked for
_NAMED = {
    "姓名": ("doctor", "name"),
    "名称": ("dept", "orgname", "item", "panel", "device", "ward", "exam", "diagnosis", "name"),
}


def others(name: str, holds: str, rounds: int = 2) -> Iterator[str]:
    """A Chinese name in other words, at most `rounds` of its words replaced: 申请医生 → 开单医师, 送检医生姓名."""
    made: dict[str, tuple[str, ...]] = {name: ()}  # name → the words replaced in it
    for ending, held in _NAMED.items():
        if holds in held and not name.endswith(("名", "名称")):
            made[name + ending] = ()
    listed = list(made)
    for each in listed:
        for word, alike in _alike().items():
            if (
                len(made[each]) < rounds
                and word in each
                and not any(word in done or done in word for done in made[each])
            ):
                for other in alike:
                    if other not in each and (text := each.replace(word, other)) not in made:
                        made[text] = (*made[each], word)
                        listed.append(text)
    yield from listed[1:]


def plain_words(words: Sequence[str], known: Collection[str] = ()) -> tuple[str, ...]:
    """English words as their families: rpt_verify_date → report, audit, time; the word for a name at the end says
    nothing. A word that is not `known` is one that it begins, or that has its consonants: instr, rcv."""
    families = _families()
    made = [families.get(each, each) for each in (_whole(word, known) if known else word for word in words)]
    return tuple(made[:-1] if len(made) > 1 and made[-1] == "name" else made)


def whole_words(words: Collection[str]) -> frozenset[str]:
    """With the families of these words."""
    return frozenset(words) | _families().keys()


def _whole(word: str, known: Collection[str]) -> str:
    """The one word that is abbreviated so; the word itself where there is none, or are several families."""
    if word in known or word in _families() or len(word) < _SHORTEST:
        return word
    short = re.compile("".join(f"{each}[aeiou]*" for each in word))
    fits = {_families().get(each, each) for each in known if each.startswith(word) or short.match(each)}
    return fits.pop() if len(fits) == 1 else word


def spelled(name: str) -> tuple[str, str]:
    """Its initials and its pinyin: 申请医生 → sqys, shenqingyisheng."""
    parts = [_pinyin(each) for each in name]
    return "".join(each[:1] for each in parts), "".join(parts)


@cache
def _pinyin(character: str) -> str:
    found: Sequence[str] = lazy_pinyin(character, style=Style.NORMAL)
    return found[0].lower()


@cache
def _alike() -> Mapping[str, tuple[str, ...]]:
    text = (shipped() / "learning" / "alike.tsv").read_text(encoding="utf-8")
    rows = csv.reader(text.splitlines()[1:], delimiter="\t", quoting=csv.QUOTE_NONE)
    return {word: tuple(alike.split()) for word, alike in rows}


@cache
def _families() -> Mapping[str, str]:
    return {each: word for word, alike in _alike().items() if word.isascii() for each in (word, *alike)}
