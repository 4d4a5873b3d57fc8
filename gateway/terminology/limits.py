"""What a question about codes may cost, and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Permanent

CODES: Final = 10_000  # in one expansion
DEPTH: Final = 12  # value sets in value sets, maps that lead to other maps
WORK: Final = 300_000  # codes that are looked at for one question
TEXT: Final = 200  # characters of a regular expression or a text filter


class NotFound(Permanent):
    """A code system, value set, map or code that is not held here."""


class TooCostly(Permanent):
    """It would be larger, or would take longer, than one answer may."""


class Undecided(Permanent):
    """What is held here does not tell: of the code system only a part is held, or nothing."""


@dataclass(slots=True)
class Budget:
    """The work that is left for one question."""

    left: int = WORK
    open: list[str] = field(default_factory=list)  # the value sets or maps that are being read, the outermost first

    def spend(self, amount: int = 1) -> None:
        """Raises TooCostly when nothing is left."""
        self.left -= amount
        if self.left < 0:
            raise TooCostly("it asks for more codes to be looked at than one answer may", remedy="ask for less at once")

    def enter(self, name: str) -> None:
        """Raises Permanent for what leads back to itself, TooCostly for what lies too deep."""
        if name and name in self.open:
            raise Permanent("it leads back to itself", place=name, remedy="break the circle")
        if len(self.open) >= DEPTH:
            raise TooCostly(f"more than {DEPTH} of them lie within each other", place=name)
        self.open.append(name)

    def leave(self) -> None:
        """The one entered last has been read."""
        self.open.pop()
