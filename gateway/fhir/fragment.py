"""Pieces of FHIR that many resources share: checked once, never changed afterwards.

A coded field of a message becomes the same CodeableConcept again and again. A Fragment is such a piece, a dictionary
that refuses every change, so that it may stand in many resources at once; what reads JSON reads it like any other. It
holds no literal reference. Who wants to change one makes a copy first: `dict(fragment)`.
"""

from __future__ import annotations

from typing import Any, NoReturn

from gateway.fhir import definitions


def _refuse(self: Any, *arguments: Any, **named: Any) -> NoReturn:
    raise TypeError("a fragment is shared by many resources and never changes; copy it first")


class Fragment(dict[str, Any]):
    """An object. `path` is what it was checked as: 'CodeableConcept', 'Observation.referenceRange'."""

    __slots__ = ("path",)
    __setitem__ = __delitem__ = setdefault = update = pop = popitem = clear = __ior__ = _refuse

    def __init__(self, members: dict[str, Any], path: str) -> None:
        super().__init__(members)
        self.path = path

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """A deep copy and what comes back from another process are plain dictionaries, free to change."""
        return dict, (dict(self),)


class Fragments(list[Any]):
    """A list inside a fragment."""

    __slots__ = ()
    __setitem__ = __delitem__ = append = extend = insert = pop = remove = clear = sort = reverse = _refuse
    __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        return list, (list(self),)


def frozen(value: Any, path: str) -> Any:
    """The value with every object and list inside it made unchangeable; `path` is what it was checked as."""
    if isinstance(value, dict):
        return Fragment({name: frozen(each, _inside(path, name, each)) for name, each in value.items()}, path)
    if isinstance(value, list):
        return Fragments([frozen(each, path) for each in value])
    return value


def _inside(path: str, name: str, value: Any) -> str:
    if name.startswith("_"):
        return "Element"  # what extends a primitive
    return definitions.resolve(f"{path}.{name}").inside if isinstance(value, dict | list) else ""


def thawed(value: Any) -> Any:
    """Fragments as plain dictionaries and lists again."""
    if isinstance(value, dict):
        return {name: thawed(each) for name, each in value.items()}
    return [thawed(each) for each in value] if isinstance(value, list) else value
