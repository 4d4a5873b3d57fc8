"""What a system of the demo received, and the patience to wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

POLL = 0.02  # seconds between two looks at what cannot call us: a folder, the record


class DemoError(Exception):
    """Something of the demo did not happen, or not as it should; the text says what, for people."""


@dataclass(slots=True)
class Patience:
    """How long the start, one hop, and everything together may take. Times in seconds."""

    start: float = 30.0
    hop: float = 20.0
    all: float = 50.0
    began: float = field(default_factory=time.monotonic)

    def end(self, *, start: bool = False) -> float:
        """Until when (monotonic) to wait for something that was set going now."""
        return min(time.monotonic() + (self.start if start else self.hop), self.began + self.all)


@dataclass(slots=True)
class Inbox(Generic[T]):
    """Arrivals in order. Filled by the threads of a listening system, read by the story."""

    patience: Patience
    _arrived: list[T] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, arrival: T) -> None:
        """Note one arrival."""
        with self._changed:
            self._arrived.append(arrival)
            self._changed.notify_all()

    def all(self) -> list[T]:
        """Everything so far."""
        with self._changed:
            return list(self._arrived)

    def wait(self, wanted: Callable[[T], bool], what: str) -> T:
        """The first arrival that is wanted, now or soon. Raises DemoError when it does not come in time."""
        end = self.patience.end()
        with self._changed:
            while True:
                found = next((each for each in self._arrived if wanted(each)), None)
                if found is not None:
                    return found
                if not self._changed.wait(max(0.0, end - time.monotonic())):
                    raise DemoError(f"{what} did not arrive in time; {len(self._arrived)} others did")


def wait_until(look: Callable[[], T | None], what: str, patience: Patience, *, start: bool = False) -> T:
    """What `look` finds, now or soon. Raises DemoError when it finds nothing in time."""
    end = patience.end(start=start)
    while (found := look()) is None:
        if time.monotonic() > end:
            raise DemoError(f"{what} did not happen in time")
        time.sleep(POLL)
    return found
