"""Which column means what: by its name, by what stands in it, and by which kind of export would have it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.mapping.learning.columns import Column
from gateway.mapping.learning.evidence import STRICT, TELLING, Evidence, fit, of_values
from gateway.mapping.learning.vocabulary import Guess, Vocabulary

LEAST = 0.42  # confidence below which a column stays unmapped
_FOREIGN = 0.8  # of the confidence, for a meaning that the kind has no use for
_EMPTY = 0.7  # of the confidence, where no record fills the column
_INSIDE = 0.05  # surer, where the node around says what is meant
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
    return [_read(column, vocabulary) for column in columns]


def assigned(found: Sequence[Read], wanted: Collection[str]) -> dict[str, Match]:
    """Meaning → column, for a kind of export that has a use for these meanings: the surest pairs first, each column and
    each meaning once."""
    pairs = sorted(
        (
            (guess.confidence * (1 if guess.meaning in wanted else _FOREIGN), -index, guess, each)
            for index, each in enumerate(found)
            for guess in each.guesses
        ),
        key=lambda pair: pair[:2],
        reverse=True,
    )
    made: dict[str, Match] = {}
    taken: set[str] = set()
    for confidence, _, guess, each in pairs:
        if confidence < LEAST or guess.meaning in made or each.column.shown in taken:
            continue
        taken.add(each.column.shown)
        made[guess.meaning] = Match(each.column, guess.meaning, guess.confidence, guess.why, each.evidence)
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
        return replace(guess, confidence=guess.confidence * _EMPTY)
    if guess.why.startswith("values"):
        return guess
    fitting = fit(holding, evidence)
    weight = 0.2 if fitting >= 0 else 0.6 if holding in STRICT else 0.35
    return replace(
        guess, confidence=max(0.0, min(1.0, guess.confidence + weight * (fitting - (0.5 if fitting >= 0 else 0))))
    )
