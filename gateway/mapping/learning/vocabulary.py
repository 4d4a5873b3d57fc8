"""Spellings of column names → meanings (`mappings/learning/columns.tsv`): Chinese, pinyin, its initials, English."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from gateway.codec.character_forms import simplified
from gateway.mapping.learning.alike import others, plain_words, spelled, whole_words
from gateway.mapping.maps import shipped

WORD, INSIDE = "word", "inside"  # kinds of rows that are no spellings of columns
_CERTAIN = {
    "chinese": 1.0, "english": 0.95, "initials": 0.9, "pinyin": 0.9, "short": 0.9, "in other words": 0.85,
    "english in other words": 0.8, "pinyin of other words": 0.82, "initials of other words": 0.76,
}  # fmt: skip
_NOT_NAME = re.compile(r"[^0-9a-z\u3400-\u9fff]")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ASIDE = re.compile(r"[（(\[【{].*?[)）\]】}]|[*★:：]|必填|选填")
_BEFORE = (  # what many put before the name proper
    "患者", "病人", "受检者", "就诊", "检验", "检查", "标本", "样本", "报告", "本次", "所在", "当前",
    "patient", "pat", "lab", "his", "report", "visit", "exam", "person",
    "br", "hz", "f", "c", "v", "s", "str", "col", "fld", "field", "t", "p",
)  # fmt: skip
_SHORT = 3  # letters: shorter names mean many things


@dataclass(frozen=True, slots=True)
class Guess:
    """What a name may mean."""

    meaning: str
    confidence: float
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """All spellings. `inside`: (meaning of the node around, meaning of the name in it) → meaning."""

    holds: Mapping[str, str]
    spellings: Mapping[str, tuple[tuple[str, str], ...]]  # key → (meaning, kind of spelling)
    words: Mapping[str, str]
    inside: Mapping[tuple[str, str], str]
    english: Mapping[tuple[str, ...], tuple[str, ...]]  # words in their families → meanings

    def guesses(self, label: str) -> list[Guess]:
        """The meanings of a column's name, the surest first."""
        found: dict[str, Guess] = {}
        for key, certain, why in self._keys(label):
            meant = self.spellings.get(key) or _alike(self).get(key, ())
            for meaning, kind in meant:
                sure = (
                    _CERTAIN[kind]
                    * certain
                    * (0.85 if len(key) <= _SHORT and key.isascii() and len(meant) > 1 else 1.0)
                )
                guess = Guess(meaning, sure, f"{why}{kind} {key}")
                if meaning not in found or found[meaning].confidence < sure:
                    found[meaning] = guess
        families = plain_words(words_of(_ASIDE.sub("", label)), self.known) if label.isascii() else ()
        for meaning in self.english.get(families, ()):
            if meaning not in found:
                found[meaning] = Guess(meaning, _CERTAIN["english in other words"], " ".join(families))
        return sorted(found.values(), key=lambda each: -each.confidence)

    @property
    def known(self) -> frozenset[str]:
        """The English words that are whole."""
        return _words(self)

    def _keys(self, label: str) -> Iterator[tuple[str, float, str]]:
        """Keys of a name from the exact to the farfetched: (key, share of the confidence, why)."""
        label = simplified(label)
        plain = _ASIDE.sub("", label) or label
        for text, certain in ((label, 1.0), (plain, 0.97)):
            yield key_of(text), certain, ""
        tokens = [self.words.get(each, each) for each in words_of(plain)]
        yield "".join(tokens), 0.93, "words: "
        key = key_of(plain)
        for before in _BEFORE:
            if key.startswith(before) and len(key) > len(before) + 1:
                yield key[len(before) :], 0.8 if len(before) > 1 else 0.6, f"behind {before}: "
        for start in range(1, len(tokens)):
            yield "".join(tokens[start:]), 0.75, f"behind {' '.join(tokens[:start])}: "
        for end in range(len(tokens) - 1, 0, -1):
            yield "".join(tokens[:end]), 0.6, "without its end: "
        if not key.isascii():
            for size in range(len(key) - 1, max(1, len(key) // 2), -1):
                yield key[-size:], 0.7 * size / len(key), "its end: "
                yield key[:size], 0.6 * size / len(key), "its beginning: "


def key_of(text: str) -> str:
    """A name without case, blanks and signs."""
    return _NOT_NAME.sub("", text.lower())


def words_of(text: str) -> list[str]:
    """patientName, patient_name, PATIENT-NAME → patient, name."""
    return [each for each in re.split(r"[^0-9A-Za-z\u3400-\u9fff]+", _HUMPS.sub("_", text).lower()) if each]


def meaning_of(name: str) -> str:
    """The one meaning of a Chinese name that is listed as it stands; "" where there is none, or more than one."""
    found = vocabulary().spellings.get(key_of(name), ()) if not name.isascii() else ()
    return found[0][0] if len(found) == 1 and found[0][1] == "chinese" else ""


@cache
def _words(listed: Vocabulary) -> frozenset[str]:
    return whole_words({word for words in listed.english for word in words})


@cache
def _alike(listed: Vocabulary) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """What the Chinese names are in other words, where nobody listed that; the initials only of the meanings' own."""
    found: dict[str, dict[str, str]] = {}
    for key, meant in listed.spellings.items():
        for meaning, kind in meant:
            own = key == key_of(meaning)
            if kind != "chinese" or "/" in meaning or listed.holds[meaning] == "group":
                continue
            for name in others(key, listed.holds[meaning], 2 if own else 1):
                found.setdefault(name, {}).setdefault(meaning, "in other words")
                if own:
                    initials, pinyin = spelled(name)
                    found.setdefault(initials, {}).setdefault(meaning, "initials of other words")
                    found.setdefault(pinyin, {}).setdefault(meaning, "pinyin of other words")
    return {key: tuple(meanings.items()) for key, meanings in found.items()}


@cache
def vocabulary() -> Vocabulary:
    """The shipped one."""
    rows = (shipped() / "learning" / "columns.tsv").read_text(encoding="utf-8").splitlines()
    holds: dict[str, str] = {}
    words: dict[str, str] = {}
    inside: dict[tuple[str, str], str] = {}
    named: list[tuple[str, str, str]] = []
    for meaning, holding, spelling, kind in list(csv.reader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]:
        if kind == WORD:
            words[spelling] = meaning
        elif kind == INSIDE:
            around, _, own = spelling.partition(" ")
            inside[around, own] = meaning
            holds.setdefault(meaning, holding)
        else:
            holds.setdefault(meaning, holding)
            named.append((meaning, spelling, kind))
    spellings: dict[str, dict[str, str]] = {}
    for meaning, spelling, kind in named:
        keys = [key_of(spelling)]
        if kind == "english":
            keys.append("".join(words.get(each, each) for each in words_of(spelling)))
        for key in keys:
            spellings.setdefault(key, {}).setdefault(meaning, kind)
    english: dict[tuple[str, ...], dict[str, None]] = {}
    for meaning, spelling, kind in named:
        if kind == "english" and "/" not in meaning and holds[meaning] != "group":
            english.setdefault(plain_words(words_of(spelling)), {})[meaning] = None
    return Vocabulary(holds, {key: tuple(found.items()) for key, found in spellings.items()}, words, inside,
                      {key: tuple(found) for key, found in english.items()})  # fmt: skip
