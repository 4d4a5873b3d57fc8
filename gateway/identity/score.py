"""How likely are two records one person, when no number that both have tells it? Pure and the same on every day.

The sum of weights (weights.toml) says how likely; rules say what may follow from it. By itself nothing is ever joined
on name, birth date and sex alone: something independent of them has to agree as well, to the letter.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Literal

from gateway.codec.person_names import is_newborn
from gateway.identity.compare import levels
from gateway.identity.person import Person

Verdict = Literal["link", "ask", "none"]
Grade = Literal["certain", "probable", "possible", "certainly-not"]  # R4 extension match-grade

WRITTEN_ALIKE: Final = frozenset({"equal", "variant", "swapped"})  # twins have names that sound alike

NOTHING_ELSE: Final = "nothing-but-name-and-birth-date"


@dataclass(frozen=True, slots=True)
class Weights:
    """weights.toml, worked out."""

    prior: float
    link: float
    ask: float
    possible: float
    fields: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What speaks for two records being one person. Reasons are words: never a name, a number or a date."""

    odds: float  # logarithm, base 2
    verdict: Verdict
    reasons: tuple[str, ...]
    veto: bool = False

    @property
    def probability(self) -> float:
        """Between 0 and 1."""
        return 0.0 if self.veto else 1.0 / (1.0 + 2.0 ** -max(-60.0, min(60.0, self.odds)))

    @property
    def grade(self) -> Grade:
        """R4 valueset-match-grade."""
        if self.veto:
            return "certainly-not"
        if self.verdict == "link":
            return "certain"
        known = weights()
        return "probable" if self.odds >= known.ask else "possible" if self.odds >= known.possible else "certainly-not"


@functools.cache
def weights() -> Weights:
    """The weights that are shipped."""
    text = resources.files("gateway.identity").joinpath("weights.toml").read_text(encoding="utf-8")
    return worked_out(tomllib.loads(text))


def worked_out(table: Mapping[str, Any]) -> Weights:
    """The logarithms (base 2) of what a table in the form of weights.toml says."""
    fields = {
        name: MappingProxyType({level: math.log2(pair["m"] / pair["u"]) for level, pair in each.items()})
        for name, each in table.items()
        if isinstance(each, dict) and name != "threshold"
    }
    limits = table["threshold"]
    return Weights(
        -math.log2(table["persons"]), limits["link"], limits["ask"], limits["possible"], MappingProxyType(fields)
    )


def score(one: Person, other: Person, *, common: Set[str] = frozenset()) -> Score:
    """What two records have in common. `common`: telephone numbers of too many people to tell anything."""
    found = levels(one, other, common=common)
    known = weights()
    odds = known.prior + sum(known.fields[field].get(level, 0.0) for field, level in found.items() if level)
    reasons = tuple(f"{field}-{level}" for field, level in found.items() if level)
    if against := _against(one, other, found):
        return Score(odds=odds, verdict="none", reasons=(against, *reasons), veto=True)
    if odds < known.ask or not found["name"]:
        return Score(odds=odds, verdict="none", reasons=reasons)
    doubts = _doubts(one, other, found)
    verdict: Verdict = "link" if odds >= known.link and not doubts else "ask"
    return Score(odds=odds, verdict=verdict, reasons=(*doubts, *reasons))


def _against(one: Person, other: Person, found: Mapping[str, str]) -> str:
    """What rules out that they are one person, whatever else agrees."""
    if found["card"] == "contrary":
        return "two-identity-cards"
    if found["sex"] == "different" and (one.valid_id or other.valid_id):
        return "other-sex-with-identity-card"
    if is_newborn(one.name) is not is_newborn(other.name) and found["birth"] == "different":
        return "mother-and-child"
    return ""


def _doubts(one: Person, other: Person, found: Mapping[str, str]) -> tuple[str, ...]:
    """Why a high score still is a question for a person."""
    doubts = []
    if found["name"] not in WRITTEN_ALIKE or found["birth"] != "equal" or found["sex"] == "different":
        doubts.append("not-all-written-alike")
    if found["phone"] != "shared" and found["address"] != "door" and found["card"] not in ("near", "masked", "equal"):
        doubts.append(NOTHING_ELSE)
    if {system for system, _ in one.numbers} & {system for system, _ in other.numbers}:
        doubts.append("two-numbers-of-one-house")
    return tuple(doubts)
