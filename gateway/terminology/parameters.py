"""What an operation is given and what it answers: R4 Parameters, and the query of a GET (R4 operations.html)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import Permanent
from gateway.model import Resource

_LIMIT: Final = 1000  # parameters of one request
_PRESENTATION: Final = frozenset({"_format", "_pretty"})


@dataclass(frozen=True, slots=True)
class Given:
    """The parameters of one request, in order: (name, value); a value is plain, a data type, a resource or parts."""

    pairs: tuple[tuple[str, Any], ...] = ()
    parts: Mapping[str, tuple[Given, ...]] = field(default_factory=dict)

    def all(self, name: str) -> list[Any]:
        """Every value of this name."""
        return [value for key, value in self.pairs if key == name]

    def text(self, name: str) -> str:
        """A plain value as text; "" where it is not given. Raises Permanent for one that is given twice."""
        found = self.all(name)
        if len(found) > 1:
            raise Permanent(f"{name} is given more than once", place="Parameters")
        if found and isinstance(found[0], dict | list):
            raise Permanent(f"{name} is a plain value", place="Parameters")
        return "" if not found else {True: "true", False: "false"}.get(found[0], str(found[0])) if found else ""

    def flag(self, name: str) -> bool | None:
        """true, false, or not given."""
        text = self.text(name)
        if text not in ("", "true", "false"):
            raise Permanent(f"{name} is true or false", place="Parameters")
        return {"true": True, "false": False}.get(text)

    def number(self, name: str) -> int | None:
        """A number from 0 on, or not given."""
        text = self.text(name)
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Permanent(f"{name} is a number from 0 on", place="Parameters")
        return int(text) if text else None

    def object(self, name: str) -> dict[str, Any] | None:
        """A data type or a resource, or not given."""
        found = self.all(name)
        if found and not isinstance(found[0], dict):
            raise Permanent(f"{name} is not a plain value; send it in Parameters", place="Parameters")
        return found[0] if found else None

    def only(self, names: Iterable[str]) -> None:
        """Raises Permanent for a parameter that the operation does not know: nobody is to believe that it counted."""
        known = set(names)
        for name, _ in self.pairs:
            if name not in known:
                raise Permanent(f"the operation has no parameter {name[:40]!r}", place="Parameters")


def of_query(pairs: Iterable[tuple[str, str]]) -> Given:
    """The parameters of a GET."""
    return Given(tuple(pair for pair in pairs if pair[0] not in _PRESENTATION and pair[1]))


def of_resource(resource: Resource) -> Given:
    """The parameters of a POST. Raises Permanent for what is no Parameters."""
    if resource.get("resourceType") != "Parameters":
        raise Permanent("an operation is given Parameters", place="resourceType")
    return _given(resource.get("parameter", ()))


def _given(listed: Iterable[Mapping[str, Any]]) -> Given:
    pairs: list[tuple[str, Any]] = []
    parts: dict[str, tuple[Given, ...]] = {}
    for each in listed:
        name = str(each.get("name", ""))
        value = next((value for key, value in each.items() if key.startswith("value") or key == "resource"), None)
        if "part" in each:
            parts[name] = (*parts.get(name, ()), _given(each["part"]))
        pairs.append((name, value))
        if len(pairs) > _LIMIT:
            raise Permanent(f"more than {_LIMIT} parameters", place="Parameters")
    return Given(tuple(pairs), parts)


# ---------------------------------------------------------------------------------------------- answers


def parameter(name: str, type: str, value: Any) -> dict[str, Any]:
    """One parameter of an answer: `parameter("result", "Boolean", True)`."""
    return {"name": name, f"value{type}": value}


def parted(name: str, *parts: dict[str, Any]) -> dict[str, Any]:
    """One with parts."""
    return {"name": name, "part": list(parts)}


def answer(*parameters: dict[str, Any] | None) -> Resource:
    """The Parameters of those that there are."""
    return {"resourceType": "Parameters", "parameter": [each for each in parameters if each]}


def text(name: str, value: str, type: str = "String") -> dict[str, Any] | None:
    """One parameter, or None where there is nothing to say."""
    return parameter(name, type, value) if value else None
