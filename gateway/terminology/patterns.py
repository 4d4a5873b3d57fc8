"""Regular expressions of value set filters, matched in a time that grows with the text alone (R4 valueset.html).

Python's own would need hours for some patterns. Known: characters, escapes, . [ ] ( ) | * + ? {m,n}; the whole text has
to match. Each state set is worked out once (a lazy automaton).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.errors import Permanent
from gateway.terminology.limits import TEXT, TooCostly

_STATES = 500
_REPEATS = 64
_COUNT = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")
_END = -1

_Made = tuple[int, list[int]]  # the first state, the states whose exits are open


def matcher(pattern: str) -> Pattern:
    """The compiled pattern. Raises Permanent for what is none, TooCostly for one too long."""
    if len(pattern) > TEXT:
        raise TooCostly(f"the regular expression is longer than {TEXT} characters", place="filter.value")
    return _Reader(pattern).read()


@dataclass(slots=True)
class Pattern:
    """Whole texts that match. States are numbered; an edge with no test is free."""

    tests: list[re.Pattern[str] | None] = field(default_factory=list)
    exits: list[list[int]] = field(default_factory=list)
    start: int = 0
    _steps: dict[tuple[frozenset[int], str], frozenset[int]] = field(default_factory=dict)

    def matches(self, text: str) -> bool:
        """Does the whole text match?"""
        states = self._closed([self.start])
        for character in text[:1000]:
            key = (states, character)
            found = self._steps.get(key)
            if found is None:
                onward = (state for state in states if state != _END and self._reads(state, character))
                found = self._closed([each for state in onward for each in self.exits[state]])
                if len(self._steps) < 10_000:
                    self._steps[key] = found
            states = found
            if not states:
                return False
        return _END in states and len(text) <= 1000

    def _reads(self, state: int, character: str) -> bool:
        test = self.tests[state]
        return test is not None and test.fullmatch(character) is not None

    def _closed(self, states: list[int]) -> frozenset[int]:
        found: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in found:
                continue
            found.add(state)
            if state != _END and self.tests[state] is None:
                waiting.extend(self.exits[state])
        return frozenset(found)

    def state(self, test: re.Pattern[str] | None) -> int:
        """A new state; its exits are not known yet."""
        if len(self.tests) >= _STATES:
            raise TooCostly("the regular expression repeats too much", place="filter.value")
        self.tests.append(test)
        self.exits.append([])
        return len(self.tests) - 1


class _Reader:
    """Recursive descent over alternatives, sequences, repeated atoms."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._made = Pattern()

    def read(self) -> Pattern:
        first, open_ = self._alternatives()
        if self._at < len(self._text):
            raise _wrong()
        self._join(open_, _END)
        self._made.start = first
        return self._made

    def _join(self, states: list[int], target: int) -> None:
        for state in states:
            self._made.exits[state].append(target)

    def _alternatives(self) -> _Made:
        self._depth += 1
        if self._depth > 20:
            raise TooCostly("the regular expression is nested too deeply", place="filter.value")
        first, open_ = self._sequence()
        while self._next("|"):
            other, others = self._sequence()
            fork = self._made.state(None)
            self._made.exits[fork] += [first, other]
            first, open_ = fork, open_ + others
        self._depth -= 1
        return first, open_

    def _sequence(self) -> _Made:
        empty = self._made.state(None)
        first, open_ = empty, [empty]
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            start, others = self._repeated()
            self._join(open_, start)
            open_ = others
        return first, open_

    def _repeated(self) -> _Made:
        before = self._at
        made = self._atom()
        if self._next("*"):
            return self._loop(made, skip=True)
        if self._next("+"):
            return self._loop(made, skip=False)
        if self._next("?"):
            return self._maybe(made)
        if counted := _COUNT.match(self._text, self._at):
            return self._counted(counted, made, before)
        return made

    def _loop(self, made: _Made, *, skip: bool) -> _Made:
        fork = self._made.state(None)
        self._made.exits[fork].append(made[0])
        self._join(made[1], fork)
        return (fork if skip else made[0]), [fork]

    def _maybe(self, made: _Made) -> _Made:
        fork = self._made.state(None)
        self._made.exits[fork].append(made[0])
        return fork, [*made[1], fork]

    def _counted(self, counted: re.Match[str], made: _Made, before: int) -> _Made:
        least = int(counted[1])
        most = least if counted[2] is None else int(counted[3]) if counted[3] else None
        if max(least, most or 0) > _REPEATS or (most is not None and most < least):
            raise TooCostly(
                f"a part of the regular expression repeats more than {_REPEATS} times", place="filter.value"
            )
        first = self._made.state(None)
        open_ = [first]
        for number in range(least if most is None else most):
            part = made if not number else self._again(before)
            start, ends = part if number < least else self._maybe(part)
            self._join(open_, start)
            open_ = ends
        if most is None:
            start, ends = self._loop(self._again(before), skip=True)
            self._join(open_, start)
            open_ = ends
        self._at = counted.end()
        return first, open_

    def _again(self, before: int) -> _Made:
        kept, self._at = self._at, before
        made = self._atom()
        self._at = kept
        return made

    def _atom(self) -> _Made:
        if self._next("("):
            self._next("?:")
            made = self._alternatives()
            if not self._next(")"):
                raise _wrong()
            return made
        state = self._made.state(self._test())
        return state, [state]

    def _test(self) -> re.Pattern[str]:
        """What one character must be."""
        rest = self._text[self._at :]
        if rest[:1] in ("", "*", "+", "?", "{", "^", "$"):
            raise _wrong()
        found = _CLASS.match(rest)
        one = found[0] if found else rest[:2] if rest[0] == "\\" else rest[0]
        if one == "\\" or (one[0] == "\\" and one[1].isdigit()) or (one[0] == "[" and not found):
            raise _wrong()
        self._at += len(one)
        try:
            return re.compile(one if one[0] in "[\\." else re.escape(one), re.DOTALL)
        except re.error:
            raise _wrong() from None

    def _next(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False


def _wrong() -> Permanent:
    return Permanent("no regular expression that is understood here", place="filter.value")
