"""Which column means what: by its name, by what stands in it, and by which kind of export would have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.mapping.learning.columns import Column
from gateway.mapping.learning.evidence import HOLDS, STRICT, TELLING, VAGUE, Evidence, fit, of_values
from gateway.mapping.learning.vocabulary import Guess, Vocabulary

LEAST = 0.42  # confidence below which a column stays unmapped
_FOREIGN = 0.8  # of the confidence, for a meaning that the kind has no use for
_UNSEEN = 0.9  # where there is no record at all
_EMPTY = 0.55  # of the confidence, where no record fills the column
_INSIDE = 0.05  # surer, where the node around says what is meant
_NEIGHBOURS = 0.6  # confidence of what is told by the columns beside
_SECOND = {"病人ID": "病历号", "就诊流水号": "门诊住院号"}  # a further number of the same: MRN beside PatientID
_SPARSE = 0.3  # less sure a number is, by the share of records that leave it empty
_RESULT = frozenset({"结果", "文字结果"})
_MEASURED = frozenset({"单位", "参考范围", "参考上限"})
_NO_NAME = 0.5  # the share of values of a pattern that names a meaning by itself must be above this, half as much again


@dataclass(frozen=True, slots=True)
class Match:
    """One column and its meaning."""

    column: Column
    meaning: str
    confidence: float
    why: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Read:
    """A column with all that it might mean."""

    column: Column
    evidence: Evidence
    guesses: tuple[Guess, ...]


def read(columns: Sequence[Column], vocabulary: Vocabulary) -> list[Read]:
    """Every column with its guesses, the surest first."""
    return _beside([_read(column, vocabulary) for column in columns])


def assigned(found: Sequence[Read], wanted: Mapping[str, int]) -> dict[str, Match]:
    """Meaning → column, for a kind of export that has a use for these meanings: the surest pairs first, each column and
    each meaning once. `wanted`: with their places, of equals the first."""
    pairs = sorted(
        (
            (
                round(guess.confidence if guess.meaning in wanted else min(1.0, guess.confidence) * _FOREIGN, 6),
                -wanted.get(guess.meaning, len(wanted)),
                -len([other for other in each.guesses if other.confidence >= LEAST]),  # what means nothing else
                -index,
                guess,
                each,
            )
            for index, each in enumerate(found)
            for guess in each.guesses
        ),
        key=lambda pair: pair[:4],
        reverse=True,
    )
    made: dict[str, Match] = {}
    taken: set[str] = set()
    for confidence, *_, guess, each in pairs:
        meaning = _SECOND.get(guess.meaning, "") if guess.meaning in made else guess.meaning
        if confidence < LEAST or not meaning or meaning in made or each.column.shown in taken:
            continue
        taken.add(each.column.shown)
        made[meaning] = Match(each.column, meaning, guess.confidence, guess.why, each.evidence)
    return made


def _read(column: Column, vocabulary: Vocabulary) -> Read:
    evidence = of_values(column.values)
    found: dict[str, Guess] = {}
    writable = '"' not in column.name  # no map can name it
    for guess in (*_named(column, vocabulary), *_told(evidence)) if writable else ():
        judged = _judged(guess, vocabulary.holds, evidence)
        if judged.meaning not in found or found[judged.meaning].confidence < judged.confidence:
            found[judged.meaning] = judged
    return Read(column, evidence, tuple(sorted(found.values(), key=lambda each: -each.confidence)))


def _beside(found: list[Read]) -> list[Read]:
    """A column of numbers or findings that no name tells, beside those of units and ranges, is that of the results."""
    told = [each.guesses[0].meaning if each.guesses and each.guesses[0].confidence >= LEAST else "" for each in found]
    if _RESULT & set(told) or not _MEASURED & set(told):
        return found
    near = {index + step for index, meaning in enumerate(told) if meaning in _MEASURED for step in range(-3, 4)}
    guess = Guess("结果", _NEIGHBOURS, "values: numbers beside " + " ".join(sorted(_MEASURED & set(told))))
    return [
        replace(each, guesses=(guess, *each.guesses)) if index in near and not told[index] and _counted(each) else each
        for index, each in enumerate(found)
    ]


def _counted(column: Read) -> bool:
    evidence = column.evidence
    return evidence.distinct > 1 and evidence.share("number") + evidence.share("flag") > _NO_NAME


def _named(column: Column, vocabulary: Vocabulary) -> Iterator[Guess]:
    """By its name, and by the names of the nodes around it: the organisation code of `from` is that of the sender."""
    guesses = vocabulary.guesses(column.label)
    around = [guess.meaning for step in reversed(column.around[-2:]) for guess in vocabulary.guesses(step)[:6]]
    for guess in guesses:
        inside = [(each, guess.meaning) for each in dict.fromkeys(around)]
        meant = dict.fromkeys(vocabulary.inside[each] for each in inside if each in vocabulary.inside)
        for meaning in meant:
            sure = min(1.0, guess.confidence + _INSIDE)
            yield Guess(meaning, sure, f"{guess.why}, inside {column.around[-1]}")
        yield replace(guess, confidence=guess.confidence * 0.7) if meant else guess
    if column.around and not column.each:  # orgCode in `from` may be written in one word elsewhere
        for guess in vocabulary.guesses("_".join((*column.around[-1:], column.label))):
            yield replace(guess, confidence=guess.confidence * 0.95)


def _told(evidence: Evidence) -> Iterator[Guess]:
    """By its values alone."""
    for pattern, (meaning, confidence) in TELLING.items():
        share = evidence.share(pattern)
        if share > _NO_NAME * 1.5 and evidence.filled > 1:
            yield Guess(meaning, confidence * share, f"values: {pattern}")


def _judged(guess: Guess, holds: Mapping[str, str], evidence: Evidence) -> Guess:
    """A guess by the name, after a look at the values."""
    holding = holds.get(guess.meaning, "text")
    if not evidence.filled:  # another column that says something goes before it
        return replace(guess, confidence=guess.confidence * (_EMPTY if evidence.count else _UNSEEN))
    if guess.why.startswith("values"):
        return guess
    if holding == "local":
        guess = replace(guess, confidence=guess.confidence - _SPARSE * (1 - evidence.filled / evidence.count))
    fitting = fit(holding, evidence)
    if fitting >= 0:
        telling = not set(HOLDS.get(holding, ())) <= VAGUE
        return replace(guess, confidence=guess.confidence + (0.2 if telling else 0.1) * (fitting - 0.5))
    weight = 0.6 if holding in STRICT else 0.35
    return replace(guess, confidence=max(0.0, guess.confidence + weight * fitting))
