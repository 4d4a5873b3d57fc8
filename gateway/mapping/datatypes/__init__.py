"""Pairs: an HL7 v2 data type (or an export's cell) ↔ a FHIR data type, both ways in one place.

`into(raw, *fields, context, *constants)` gives the FHIR value or None; raw is one repetition, still escaped.
`back(value, context, *constants)` gives the raw text, or one text for the value and one for each field argument.
A choice element (`value[x]`) gets and gives a pair (type name, value).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

Into = Callable[..., Any]
Back = Callable[..., Any]
SLOTS = count()  # each pair and each line that writes has its own table in the memory (memory.py)


@dataclass(frozen=True, slots=True)
class Pair:
    """One data type, both ways. `fields` arguments are values of the source; the rest are constants."""

    into: Into
    back: Back
    fields: int = 0
    optional: int = 0  # of the fields, how many of the last may be left out: `into` then gets fewer
    whole: bool = False  # takes the field with all its repetitions
    makes: str = ""  # the resource type that it makes, where the element is a Reference
    fits: tuple[str, ...] = ()  # the FHIR types that it makes; () = an open choice, by its own type name
    # Coded fields, times of day, staff and places, never patients: what it makes follows from the raw text, the profile
    # and the sending facility alone, so it is made once and remembered (memory.py).
    coded: bool = False
    several: bool = False  # makes a list: a member of the element's list for each
    repeated: bool = False  # makes something only of fields that repeat
    # Of persons: how many components a usual text has, and which of these (from 0) are words of their own: names and
    # numbers that stand in what is made as they came, and of which nothing else depends but their kind (forms.py).
    words: tuple[int, ...] = ()
    alone: str = ""  # the pair that makes the same where the field arguments are empty
    joins: Callable[[str, str], str] | None = None  # (what stands in the cell, its text) → both
    together: Callable[..., Any] | None = None  # (all values of a list, context) → the one that a cell has room for
    # (texts, what stands in the cells of the field arguments) → what is written instead, where that is something else
    apart: Callable[[tuple[str, ...], tuple[str, ...]], tuple[str, ...]] | None = None
    slot: int = field(default_factory=SLOTS.__next__, compare=False, repr=False)


@cache
def load() -> dict[str, Pair]:
    """All pairs by name."""
    from gateway.mapping.datatypes import (
        answers,
        attachments,
        cells,
        codes,
        exports,
        headers,
        identifiers,
        laboratory,
        masters,
        moments,
        money,
        papers,
        people,
        phrases,
        places,
        queries,
        ranges,
        recognition,
        referrals,
        results,
        schedules,
        signals,
        simple,
        sites,
        staff,
        things,
        timing,
        values,
        visits,
    )

    kinds = (simple, identifiers, people, staff, codes, values, attachments, exports, answers, money, masters, queries)
    pairs: dict[str, Pair] = {}
    more = (results, ranges, recognition, moments, papers, phrases, referrals, schedules, places, visits, timing, sites)
    for module in (*kinds, *more, things, laboratory, headers, cells, signals):
        doubled = pairs.keys() & module.PAIRS.keys()
        if doubled:
            raise ValueError(f"two data types are called {sorted(doubled)[0]}")
        pairs.update(module.PAIRS)
    return pairs
