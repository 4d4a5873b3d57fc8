"""Kinds of exports (`mappings/learning/*.kind`): a map written in meanings, and what makes a file one of the kind.

In a `.kind` file `«姓名»` is the column of that meaning; `«a|b»` the first that there is; `«a b|c»` a and b together,
else c; `«a+b»` all that there are; `«a?»` may be missing; `«?a»` and `«!a»` keep a line only where there is, or is no
such column; `«moment:a»` a data type with a column of its own; `«local-sex»` a code table, in the variant that knows
the most of the sample. A line without its columns is left out, and a block without such lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from gateway.mapping.learning.matching import Match
from gateway.mapping.maps import shipped

_MARK = re.compile(r"«([^»]*)»")
_TABLE = re.compile(r"local-[a-z-]+")
_BLOCK = re.compile(r"(?:rows by|row|each) ")
_USED = 0.5  # what it counts that a kind has a use for all columns, beside what it needs and wants
Alternatives = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind. `needs` must all be met, `wants` tell how like it a file is: each by any of its alternatives."""

    name: str
    title: str
    lead: str
    head: str  # 'for DiagnosticReport once Patient'
    needs: tuple[Alternatives, ...]
    wants: tuple[Alternatives, ...]
    prior: float
    blocks: tuple[tuple[str, ...], ...]  # the lines of each, the first its head

    @property
    def meanings(self) -> Mapping[str, int]:
        """All that it has a use for, with their places: what it asks for first is meant sooner."""
        asked = (name for mark in (*self.needs, *self.wants) for names in mark for name in names)
        marks = (mark for block in self.blocks for line in block for mark in _MARK.findall(line))
        names = dict.fromkeys((*asked, *(name for mark in marks for name in names_of(mark))))
        return {name: place for place, name in enumerate(names)}

    def likeness(self, found: Mapping[str, Match], columns: int) -> float:
        """How like this kind a file of so many columns is, 0 where it cannot be one."""
        if not all(_met(each, found) for each in self.needs):
            return 0.0
        met = sum(_met(each, found) for each in (*self.needs, *self.wants)) / (len(self.needs) + len(self.wants))
        used = sum(each.confidence for name, each in found.items() if name in self.meanings)
        return met + self.prior + _USED * used / max(1, columns)

    def missing(self, found: Mapping[str, Match]) -> list[str]:
        """What would complete it, as people call it."""
        return [" / ".join(map(" + ".join, each)) for each in (*self.needs, *self.wants) if not _met(each, found)]


def names_of(mark: str) -> list[str]:
    """The meanings in a mark."""
    if _TABLE.fullmatch(mark):
        return []
    return [name for name in re.split(r"[|+\s]", mark.rpartition(":")[2].strip("?!")) if name]


def alternatives(mark: str) -> Alternatives:
    """`a b|c` → ((a, b), (c,))."""
    return tuple(tuple(each.split()) for each in mark.split("|"))


def _met(asked: Alternatives, found: Mapping[str, Match]) -> float:
    """The confidence of the best alternative that is there."""
    met = [min(found[name].confidence for name in names) for names in asked if all(name in found for name in names)]
    return max(met, default=0.0)


@cache
def kinds() -> tuple[Kind, ...]:
    """The shipped ones, by name."""
    return tuple(parse(path.read_text(encoding="utf-8")) for path in sorted((shipped() / "learning").glob("*.kind")))


def parse(text: str) -> Kind:
    """One `.kind` file."""
    said: dict[str, str] = {}
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if _BLOCK.match(line):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
        else:
            word, _, rest = line.partition(" ")
            said[word] = rest
    name, _, head = said["kind"].partition(" ")
    return Kind(
        name=name, title=said["title"], lead=head.split()[1], head=head, prior=float(said.get("prior", "0")),
        needs=tuple(map(alternatives, _MARK.findall(said["needs"]))),
        wants=tuple(map(alternatives, _MARK.findall(said["wants"]))),
        blocks=tuple(map(tuple, blocks)),
    )  # fmt: skip
