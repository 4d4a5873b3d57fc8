"""Which resources of a record each block of an export writes, around one lead resource.

From what is found the links of the map lead on: to the one that it names (`subject = @Patient`), to all of a list
(`reasonReference* = @@Condition`), and to what names it (`focus = @ServiceRequest`, read from the other end). What two
blocks of one type make is told apart by their constants and by the words of their keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.mapping import paths
from gateway.mapping.context import KEY
from gateway.mapping.graph import Graph, values_at
from gateway.mapping.library import Library
from gateway.mapping.syntax import Block, Export, Field, KeyWord
from gateway.mapping.written_blocks import WrittenLink, target_of
from gateway.model import Resource

Found = dict[int, list[Resource]]  # by the number of the block
_PEOPLE = frozenset({"Patient", "Organization", "Practitioner", "PractitionerRole", "RelatedPerson"})


class Parts:
    """The blocks of one export with their links."""

    def __init__(self, export: Export, library: Library) -> None:
        self.targets = [target_of(library, block) for block in export.blocks]
        self.links = [list(_links(library, block)) for block in export.blocks]
        self.making = [index for index, each in enumerate(self.targets) if each.list is None]
        self.lead = next(index for index in self.making if self.targets[index].block.type == export.lead)
        self._telling = {index: self._constants(library, index) for index in self.making}
        named = {link.type for index in self.making for link in self.links[index] if not link.every}
        self.several = {index: self.targets[index].block.type not in named for index in self.making}

    def _constants(self, library: Library, index: int) -> list[tuple[paths.Path, Any]]:
        """The constants that tell what a block makes from what others of its type make."""
        rivals = self._lines(library, index)
        return [
            (path, wanted)
            for path, wanted in constants(library, self.targets[index].block)
            if any(path.text == other and wanted != said for other, said in rivals)
        ]

    def _lines(self, library: Library, index: int) -> list[tuple[str, Any]]:
        """Where other blocks of the same type write, and their constants; None for what they read."""
        own = self.targets[index].block
        others = [self.targets[each].block for each in self.making if each != index]
        alike = [block for block in others if block.type == own.type]
        sourced = [
            (paths.resolve(block.path, line, library.systems).text, None)
            for block in alike
            for line in block.lines
            if line.sources and line.into
        ]
        return [*sourced, *((path.text, value) for block in alike for path, value in constants(library, block))]

    def around(
        self,
        lead: Resource,
        graph: Graph,
        item: tuple[int, Resource] | None = None,
        without: frozenset[int] = frozenset(),
    ) -> Found:
        """What belongs to a lead; where a row of it is meant, to the `item` (its block, its resource) first. `without`:
        what is not written, by identity."""
        found: Found = {item[0]: [item[1]]} if item else {}
        found.setdefault(self.lead, [lead])
        while (more := self._next(found, lead, graph, without)) is not None:
            found[more[0]] = more[1]
        return found

    def _next(
        self, found: Found, lead: Resource, graph: Graph, without: frozenset[int]
    ) -> tuple[int, list[Resource]] | None:
        used = without.union(id(each) for resources in found.values() for each in resources)
        for rule in (self._named, self._listed, self._pointing):
            for index in self.making:
                if index in found:
                    continue
                free = (each for each in rule(index, found, graph) if id(each) not in used)
                fitting = [each for each in _once(free) if self._fits(index, each, lead)]
                if fitting:
                    return index, fitting
        return None

    def _named(self, index: int, found: Found, graph: Graph) -> Iterator[Resource]:
        """Of one that something names: the first."""
        for resources, link in self._leading(index, found):
            if not link.every:
                linked = (each for resource in resources for each in graph.follow(resource, link.path, link.type))
                first = next(linked, None)
                if first is not None:
                    yield first
                    return

    def _listed(self, index: int, found: Found, graph: Graph) -> Iterator[Resource]:
        for resources, link in self._leading(index, found):
            if link.every:
                for resource in resources:
                    for each in graph.follow(resource, link.path, link.type):
                        yield from _with_members(each, graph, frozenset())

    def _pointing(self, index: int, found: Found, graph: Graph) -> Iterator[Resource]:
        """What names something found. Where it names more than people and places, only that counts: all of it."""
        if any(link.every for _, link in self._leading(index, found)):
            return
        there = [(link, self._of_type(link.type, found)) for link in self.links[index] if not link.every]
        there = [(link, resources) for link, resources in there if resources]
        asked = [each for each in there if each[0].type not in _PEOPLE] or there[:1]
        for link, resources in asked[:1]:
            for resource in (each for one in resources for each in graph.pointing(one, link.path)):
                if all(_leads(resource, other, wanted, graph) for other, wanted in asked):
                    yield resource

    def _leading(self, index: int, found: Found) -> Iterator[tuple[list[Resource], WrittenLink]]:
        """The links to the type of a block, with the resources that have them."""
        type_ = self.targets[index].block.type
        for other, resources in found.items():
            for link in self.links[other]:
                if link.type == type_:
                    yield resources, link

    def _of_type(self, type_: str, found: Found) -> list[Resource]:
        return [each for index, resources in found.items() for each in resources if self._is(index, type_)]

    def _is(self, index: int, type_: str) -> bool:
        return self.targets[index].block.type == type_

    def _fits(self, index: int, resource: Resource, lead: Resource) -> bool:
        block = self.targets[index].block
        told = all(
            any(_says(each, wanted) for each in values_at(resource, path.elements))
            for path, wanted in self._telling[index]
        )
        return told and _is_keyed(block, resource, lead)

    def elements(self, index: int, found: Found) -> list[dict[str, Any]]:
        """The elements of the list that a block writes, without those that refer to what other blocks write."""
        target = self.targets[index]
        owner = next(iter(self._of_type(target.block.type, found)), None)
        if owner is None or target.list is None:
            return []
        return [each for each in values_at(owner, [target.list]) if isinstance(each, dict)]

    def beside(self, index: int, element: dict[str, Any], graph: Graph) -> Iterator[Resource]:
        """The resources that an element names by the links of its block."""
        for link in self.links[index]:
            for value in values_at(element, link.path.elements):
                resource = graph.resolve(value) if isinstance(value, dict) else None
                if resource is not None:
                    yield resource


def _links(library: Library, block: Block) -> Iterator[WrittenLink]:
    """The links that a block makes going in; what another one says there (`= @ServiceRequest.subject`) is none."""
    for line in block.lines:
        if line.link and line.into and not line.link.element:
            path = paths.resolve(block.path, line, library.systems)
            yield WrittenLink(line.link.type, line.link.every, path, line.condition)


def constants(library: Library, block: Block) -> Iterator[tuple[paths.Path, Any]]:
    """What a block says of all that it makes."""
    for line in block.lines:
        if line.constant and line.constant.text and line.into and not (line.sources or line.condition):
            path = paths.resolve(block.path, line, library.systems)
            value = paths.value_of(path.text, line.constant, line, library.systems)
            yield path, value[0] if isinstance(value, list) else value


def leads(export: Export, library: Library, resources: Mapping[str, Resource]) -> list[str]:
    """What an export is about, of all that there is: of its type, and what its lists of constants say of it."""
    block = next(each for each in export.blocks if each.type == export.lead and not each.element)
    said = [(path, wanted) for path, wanted in constants(library, block) if path.leaf.many]
    return [
        name
        for name, each in resources.items()
        if each["resourceType"] == export.lead
        and all(any(_says(value, wanted) for value in values_at(each, path.elements)) for path, wanted in said)
    ]


def _with_members(resource: Resource, graph: Graph, around: frozenset[int]) -> Iterator[Resource]:
    """A result and those that it groups; a group without a value of its own is none. `around`: what it is a member
    of."""
    members = [found for each in resource.get("hasMember", ()) if (found := graph.resolve(each)) is not None]
    members = [each for each in members if each["resourceType"] == "Observation" and id(each) not in around]
    if not members or any(name.startswith("value") for name in resource):
        yield resource
    for each in members:
        yield from _with_members(each, graph, around | {id(resource)})


def _once(resources: Iterator[Resource]) -> Iterator[Resource]:
    seen: set[int] = set()
    for each in resources:
        if id(each) not in seen:
            seen.add(id(each))
            yield each


def _leads(resource: Resource, link: WrittenLink, wanted: list[Resource], graph: Graph) -> bool:
    return any(each is one for each in graph.follow(resource, link.path, link.type) for one in wanted)


def _says(value: Any, wanted: Any) -> bool:
    """Does a value say a constant, whatever it says besides?"""
    if isinstance(value, dict) and isinstance(wanted, dict):
        if "coding" in wanted:
            there = {(each.get("system"), each.get("code")) for each in value.get("coding", ())}
            return any((each.get("system"), each.get("code")) in there for each in wanted["coding"])
        return all(value.get(name) == each for name, each in wanted.items() if name != "display")
    return bool(value == wanted)


def _is_keyed(block: Block, resource: Resource, lead: Resource) -> bool:
    """A resource that the gateway named itself belongs to the block whose word its key ends with, and where columns
    name it, to the lead that has their value."""
    words = [part.text for part in block.key if isinstance(part, KeyWord)]
    keys = [each.get("value", "") for each in _identifiers(resource) if each.get("system") == KEY]
    if not words or not keys:
        return True
    parts = [key.partition("#")[0].split("/") for key in keys]
    ending = [each for each in parts if each[-1] == words[-1]]
    columns = any(isinstance(each, Field) for part in block.key if isinstance(part, tuple) for each in part)
    values = {each.get("value") for each in _identifiers(lead)}
    return any(not columns or not values.isdisjoint(each) for each in ending)


def _identifiers(resource: Resource) -> list[dict[str, Any]]:
    found = resource.get("identifier", [])
    return found if isinstance(found, list) else [found]
