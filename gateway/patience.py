"""What happens after an error, and when: error → next state, and the seconds until then."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import Ambiguous, Configuration, Permanent, Transient
from gateway.model import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient we are. Times in seconds."""

    refusals: int = 1  # refused so often: dead
    first: float = 0.5  # ceiling of the first pause; doubles with every failure
    longest: float = 4.0  # ceiling while the other side is away: it is up again for at most so long before we notice
    longest_refused: float = 300.0  # ceiling between two refusals


def next_state(
    error: Exception,
    attempts: int,
    policy: Policy,
    *,
    refusals: int | None = None,
    chance: Callable[[], float] = random.random,
) -> tuple[State, float]:
    """What happens next, and in how many seconds. `attempts`: failures in a row with this one; `refusals`: of them by
    the receiver's own word (all, when not given)."""
    refused = attempts if refusals is None else refusals
    match error:
        case Transient():
            return State.WAITING, max(_pause(attempts, policy.first, policy.longest, chance), error.wait)
        case Ambiguous():
            return State.WAITING, _pause(attempts, policy.first, policy.longest, chance)
        case Permanent() if refused < policy.refusals:
            return State.WAITING, _pause(refused, policy.first, policy.longest_refused, chance)
        case Permanent():
            return State.DEAD, 0.0
        case Configuration():
            return State.PARKED, 0.0
        case _:
            return State.PARKED, 0.0


def _pause(failures: int, first: float, longest: float, chance: Callable[[], float]) -> float:
    """Full jitter: anything up to a ceiling that doubles; never quite nothing, so that no failure makes a hot loop."""
    ceiling = min(longest, first * 2.0 ** min(max(failures - 1, 0), 32))
    return max(0.05, chance() * ceiling)
