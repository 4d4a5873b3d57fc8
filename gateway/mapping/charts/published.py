"""What R4 publishes, by URL: which systems a value set draws on, whether a system has a code, and what it calls it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.model import Resource


@dataclass(slots=True)
class Published:
    """Resources, and quick answers about them."""

    resources: Sequence[Resource]
    _by_url: dict[tuple[str, str], Resource] = field(init=False)
    _displays: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_url = {(each["resourceType"], each["url"]): each for each in self.resources}

    def __contains__(self, system: str) -> bool:
        return ("CodeSystem", system) in self._by_url

    def systems_of(self, value_set: str) -> tuple[str, ...]:
        """The code systems that a value set includes by name."""
        found = self._by_url.get(("ValueSet", value_set), {})
        parts = found.get("compose", {}).get("include", ())
        return tuple(dict.fromkeys(str(part["system"]) for part in parts if "system" in part))

    def displays(self, system: str) -> Mapping[str, str]:
        """Code → display of a system; {} for one that is not published."""
        if system not in self._displays:
            listed = self._by_url.get(("CodeSystem", system), {}).get("concept", [])
            self._displays[system] = {each["code"]: each.get("display", "") for each in _concepts(listed)}
        return self._displays[system]

    def system_of(self, code: str, systems: Sequence[str]) -> str:
        """Which of these systems a code is of: the first that has it, else the only one; "" where nobody knows."""
        found = next((each for each in systems if code in self.displays(each)), "")
        return found or (systems[0] if len(systems) == 1 else "")


def _concepts(listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in listed:
        yield each
        yield from _concepts(each.get("concept", []))
