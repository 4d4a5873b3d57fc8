"""Patches of a resource: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7396) and FHIRPath Patch (R4 fhirpatch.html).

Each takes a resource and gives a new one; the given one is not modified. What a patch makes is checked by whoever
applies it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonpatch

from gateway.errors import Permanent
from gateway.fhir import definitions
from gateway.fhir.location import Location, choice_of, locate
from gateway.model import Resource

_KINDS = frozenset({"add", "insert", "delete", "replace", "move"})


def json_patch(resource: Resource, operations: Sequence[Any]) -> Resource:
    """RFC 6902. Raises Permanent for what is no patch, and for one that does not fit the resource."""
    try:
        made: Resource = jsonpatch.apply_patch(resource, list(operations))
    except jsonpatch.JsonPatchTestFailed:
        raise Permanent("a test of the patch fails: the resource is not what it expects", place="JSON Patch") from None
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError, KeyError):
        raise Permanent(
            "the patch does not fit the resource", place="JSON Patch", remedy="see RFC 6902; paths begin with /"
        ) from None
    return made


def merge_patch(resource: Resource, changes: Mapping[str, Any]) -> Resource:
    """RFC 7396: what is null goes, objects are merged, everything else takes the place."""
    made: Resource = _merged(resource, changes)
    return made


def _merged(value: Any, changes: Any) -> Any:
    if not isinstance(changes, Mapping):
        return copy.deepcopy(changes)
    made = dict(value) if isinstance(value, Mapping) else {}
    for name, change in changes.items():
        if change is None:
            made.pop(name, None)
        else:
            made[name] = _merged(made.get(name), change)
    return made


# ------------------------------------------------------------------------------------------------ FHIRPath Patch


def fhirpath_patch(resource: Resource, parameters: Resource) -> Resource:
    """R4 fhirpatch.html. Raises Permanent for what is no such patch, and for one that does not fit the resource."""
    made = copy.deepcopy(resource)
    for number, each in enumerate(parameters.get("parameter", ())):
        place = f"Parameters.parameter[{number}]"
        if each.get("name") != "operation":
            raise Permanent("only parameters named operation", place=place, remedy="see R4 fhirpatch.html")
        _operate(made, _parts(each, place), place)
    return made


@dataclass(frozen=True, slots=True)
class _Value:
    """What an operation brings, and the form it has where a choice takes it (Quantity of valueQuantity)."""

    value: Any
    form: str = ""
    parts: Sequence[Mapping[str, Any]] = ()  # instead of a value, of a type that is no data type: its elements

    def of(self, path: str, place: str) -> Any:
        """The value as it stands at a path of definitions (Patient.contact), which tells lists and choices."""
        if not self.parts:
            return self.value
        made: dict[str, Any] = {}
        for part in self.parts:
            name, brought = str(part.get("name", "")), _brought(part)
            if brought is None:
                raise Permanent(f"the part {name[:60]} has no value", place=place)
            _put(made, path, name, brought, place)
        return made


def _parts(operation: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The parts of an operation by name: type, path, name, index, source, destination; value as a _Value."""
    found: dict[str, Any] = {}
    for part in operation.get("part", ()):
        name, brought = str(part.get("name", "")), _brought(part)
        if brought is not None:
            found[name] = brought if name == "value" else brought.value
    if found.get("type") not in _KINDS or not isinstance(found.get("path"), str):
        raise Permanent("no operation with type and path", place=place, remedy="see R4 fhirpatch.html")
    return found


def _brought(part: Mapping[str, Any]) -> _Value | None:
    for key, value in part.items():
        if key.startswith("value"):
            return _Value(value, key.removeprefix("value"))
    if "resource" in part:
        return _Value(part["resource"])
    return _Value(None, parts=part["part"]) if "part" in part else None


def _operate(resource: Resource, parts: dict[str, Any], place: str) -> None:
    path = parts["path"]
    match parts["type"]:
        case "add":
            _add(_one(resource, path, place), str(parts.get("name", "")), _value(parts, place), place)
        case "replace":
            _replace(_one(resource, path, place), _value(parts, place), place)
        case "delete":
            found = locate(resource, path, place)
            if len(found) > 1:
                raise Permanent("the path names several elements; delete takes one", place=place)
            for location in found:  # nothing there: nothing to be done
                _delete(location, place)
        case "insert":
            location = _listed(resource, path, place)
            index = _index(parts, "index", len(location.holder), place)
            value = _value(parts, place).of(location.path, place)
            _in_lists(location, lambda listed, bare: listed.insert(index, value if bare else None))
        case _:
            location = _listed(resource, path, place)
            source = _index(parts, "source", len(location.holder) - 1, place)
            destination = _index(parts, "destination", len(location.holder) - 1, place)
            _in_lists(location, lambda listed, _: listed.insert(destination, listed.pop(source)))


def _one(resource: Resource, path: str, place: str) -> Location:
    found = locate(resource, path, place)
    if len(found) != 1:
        raise Permanent(f"the path names {'several elements' if found else 'nothing'}", place=place)
    return found[0]


def _value(parts: dict[str, Any], place: str) -> _Value:
    if "value" not in parts:
        raise Permanent("no value", place=place, remedy="give a part named value")
    value: _Value = parts["value"]
    return value


def _index(parts: dict[str, Any], name: str, last: int, place: str) -> int:
    index = parts.get(name)
    if not isinstance(index, int) or not 0 <= index <= last:
        raise Permanent(f"{name} is no place in the list (0 to {last})", place=place)
    return index


def _add(location: Location, name: str, value: _Value, place: str) -> None:
    """A further member of a list, or an element that was not there."""
    holder = location.value
    if not isinstance(holder, dict) or not name:
        raise Permanent("add needs the path of an object and a name", place=place)
    _put(holder, location.path, name, value, place)


def _put(holder: dict[str, Any], path: str, name: str, value: _Value, place: str) -> None:
    """A further member of a list, or an element of `path` that was not there (R4 fhirpatch.html: add)."""
    known = definitions.children(path)
    choice = known.get(f"{name}[x]")
    if choice is None and name not in known:
        raise Permanent(f"no such element: {name[:60]}", place=place)
    if choice is None and known[name].many:
        holder.setdefault(name, []).append(value.of(f"{path}.{name}", place))
        return
    names = [definitions.one_type(choice, each).name for each in choice.types] if choice else [name]
    if any(each in holder for each in names):
        raise Permanent(f"{name[:60]} is there already", place=place, remedy="replace it")
    holder[f"{name}{value.form}" if choice else name] = value.of(f"{path}.{name}", place)


def _replace(location: Location, value: _Value, place: str) -> None:
    holder, key = location.holder, location.key
    stem = choice_of(location.path)
    if stem and isinstance(holder, dict):
        del holder[key]
        holder.pop(f"_{key}", None)
        key = f"{stem}{value.form}"
    holder[key] = value.of(location.path, place)


def _delete(location: Location, place: str) -> None:
    if location.holder is None:
        raise Permanent("the path names the resource itself", place=place)
    if isinstance(location.holder, dict):
        del location.holder[location.key]
        location.holder.pop(f"_{location.key}", None)
        return
    _in_lists(location, lambda listed, _: listed.pop(location.key))
    if not location.holder:
        del location.around[location.name]
        location.around.pop(f"_{location.name}", None)


def _listed(resource: Resource, path: str, place: str) -> Location:
    """A place in the list that a path names as a whole."""
    found = locate(resource, path, place)
    if not found or not isinstance(found[0].holder, list) or any(each.holder is not found[0].holder for each in found):
        raise Permanent("the path names no list", place=place)
    return found[0]


def _in_lists(location: Location, change: Callable[[list[Any], bool], object]) -> None:
    """Changes a list, and the one of its members' extensions beside it (`_given`)."""
    beside = location.around.get(f"_{location.name}")
    if isinstance(beside, list):
        beside.extend([None] * (len(location.holder) - len(beside)))
        change(beside, False)
    change(location.holder, True)
