"""What a field of a person becomes, by its form: who else writes a number, a name or an address in the same way.

Patients are not remembered (memory.py). But `1000234567^^^XZRMYY^MR` differs from the next one by its number only, and
what becomes of the rest follows from the rest. A form is the text with its words (Pair.words) taken out, each replaced
by its kind: digits, ASCII letters and digits, text with Chinese letters. What is met twice is made of two samples of
invented words; where the words stand in what was made is then known, and code that puts others there is kept. It is
kept only if it makes of the real words, and of both samples, exactly what the pair makes. Words of other kinds (blanks,
signs), the same word twice, and long texts are made by the pair each time.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.fhir.fragment import Fragment, Fragments
from gateway.mapping import origins
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair

_LONGEST = 200  # characters
_KEPT = 1024  # forms of one line
_DIGITS, _LETTERS, _CHINESE = "\x01", "\x02", "\x03"
_SAMPLES = {  # two of each kind, for as many words as a text may have; none is in another one, nor in any name of FHIR
    _DIGITS: ("730915264804{}6", "295038174639{}1"),
    _LETTERS: ("qZ7xKv{}Jy", "Wb4hRu{}gQ"),
    _CHINESE: ("槐榆{}梣", "楸梓{}柘"),
}
_NEVER = object()  # a form that does not follow from its kinds


class Form:
    """How one line makes elements of texts."""

    __slots__ = ("name", "own", "pair", "rivals", "slice", "words")

    def __init__(
        self, name: str, pair: Pair, words: tuple[str, ...], rivals: tuple[origins.Rival, ...], own: str,
        slice_: tuple[Any, ...],
    ) -> None:  # fmt: skip
        self.name = name  # the line and its pair
        self.pair = pair
        self.words = words
        self.rivals = rivals
        self.own = own
        self.slice = slice_

    def __call__(self, raw: str, given: tuple[str, ...], context: Context) -> Any:
        """What the pair makes of a text, with its place told (origins.py). `given`: the field arguments."""
        pieces = raw.split("^")
        count = len(pieces)
        holes = self.pair.words
        if count > holes[0] or len(raw) > _LONGEST or "\\" in raw or (given and "\\" in "".join(given)):
            return self.made(raw, given, context)
        words = []
        for number in holes[1:]:
            if number < count and (word := pieces[number]):
                pieces[number] = kind = _kind(word)
                if not kind:
                    return self.made(raw, given, context)
                words.append(word)
        if len(words) > 1 and len(set(words)) < len(words):
            return self.made(raw, given, context)
        key = ("^".join(pieces), *given)
        table = context.forms[self.name]
        known = table.get(key)
        if known is None or known is _NEVER:
            return self._met(table, key, known, (raw, words), context)
        return known(*words)

    def made(self, raw: str, given: tuple[str, ...], context: Context) -> Any:
        """The same, without any memory."""
        value = self.pair.into(raw, *given, context, *self.words)
        if value is None or not self.rivals:
            return value
        return origins.placed(value, self.rivals, self.own, self.slice, context)

    def _met(
        self, table: dict[Any, Any], key: tuple[str, ...], known: Any, real: tuple[str, list[str]], context: Context
    ) -> Any:
        raw, words = real
        told = context.told, len(context.unknown)
        value = self.made(raw, key[1:], context)
        if known is _NEVER or context.lineage is not None:
            return value
        if len(table) >= _KEPT:
            table.clear()
        if key not in table:
            table[key] = None
        else:
            table[key] = self._learned(key, words, value, context) or _NEVER
            if told != (context.told, len(context.unknown)):
                table[key] = _NEVER
        return value

    def _learned(self, key: tuple[str, ...], words: list[str], value: Any, context: Context) -> Any:
        """Code for the form, None where what is made does not follow from it."""
        if not isinstance(value, dict):
            return None
        (samples, made), (others, other) = (self._tried(key, which, context) for which in (0, 1))
        if not isinstance(made, dict) or any(each in text for each in samples for text in key):
            return None
        build = _compiled(made, samples)
        right = repr(build(*samples)) == repr(made) and repr(build(*others)) == repr(other)
        return build if right and repr(build(*words)) == repr(value) else None

    def _tried(self, key: tuple[str, ...], which: int, context: Context) -> tuple[list[str], Any]:
        """What is made of invented words."""
        samples: list[str] = []
        pieces = key[0].split("^")
        for number in self.pair.words[1:]:
            if number < len(pieces) and pieces[number]:
                pieces[number] = _SAMPLES[pieces[number]][which].format(str(number))
                samples.append(pieces[number])
        return samples, self.made("^".join(pieces), key[1:], context)


def _kind(word: str) -> str:
    """The kind of a word, "" for one that is to be read closely."""
    if not word.isalnum():
        return ""
    if word.isascii():
        return _DIGITS if word.isdecimal() else _LETTERS
    return _CHINESE if "\u4e00" <= word[0] <= "\u9fff" or "\u4e00" <= word[-1] <= "\u9fff" else ""


def _compiled(made: dict[str, Any], samples: list[str]) -> Any:
    """A function of the words. Its source is made of names and numbers; every text is a named object."""
    objects: dict[str, Any] = {}
    names = {sample: f"w{number}" for number, sample in enumerate(samples)}
    body = _code(made, names, objects)
    exec(compile(f"def build({', '.join(names.values())}): return {body}", "<form>", "exec"), objects)  # noqa: S102 - see above
    return objects["build"]


def _code(value: Any, names: dict[str, str], objects: dict[str, Any]) -> str:
    """Code that makes a value; what is shared by all stays shared."""
    if isinstance(value, dict) and not isinstance(value, Fragment):
        return (
            "{"
            + ", ".join(f"{_object(name, objects)}: {_code(each, names, objects)}" for name, each in value.items())
            + "}"
        )
    if isinstance(value, list) and not isinstance(value, Fragments):
        return "[" + ", ".join(_code(each, names, objects) for each in value) + "]"
    if isinstance(value, str) and names:
        parts = [part for part in re.split(f"({'|'.join(names)})", value) if part]
        if any(part in names for part in parts):
            return " + ".join(names.get(part) or _object(part, objects) for part in parts)
    return _object(value, objects)


def _object(value: Any, objects: dict[str, Any]) -> str:
    name = f"O{len(objects)}"
    objects[name] = value
    return name
