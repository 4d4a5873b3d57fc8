"""The account of resources that became a message or a file: which element is in it, and why another is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.mapping import paths
from gateway.mapping.accounting.account import Account, Row, State
from gateway.mapping.accounting.elements import Leaf, by_url, leaves, names, path_of, plain, without
from gateway.mapping.into_fhir import homes
from gateway.mapping.library import Library
from gateway.mapping.maps import Address, Maps
from gateway.mapping.structure import Layout
from gateway.mapping.syntax import Block, Line
from gateway.model import Resource

OWN = frozenset(
    {"id", "meta", "text", "implicitRules", "language"}
)  # what a record says of a resource, not of a person


Lines = dict[str, list[tuple[tuple[str, ...], Line]]]  # resource type → the paths that lines write
Said = set[tuple[str, tuple[str, ...], str]]  # (type, path, value)


class Source(Protocol):
    """What is written of resources at one time: a message, or what a file says of one lead."""

    @property
    def resources(self) -> Mapping[str, Resource]: ...
    @property
    def title(self) -> str: ...
    def lines(self) -> Lines: ...
    def body(self, resources: Mapping[str, Resource] | None = None) -> bytes: ...
    def again(self, body: bytes) -> Said: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Resources that one message is written of."""

    maps: Maps
    resources: Mapping[str, Resource]
    leads: Sequence[str]
    structure: str
    to: Address
    tells: bool = True  # elements may tell the fields that they stood in (origins.py)

    def message(self) -> bytes:
        """The message. Raises HutongError where these resources make none."""
        return self.maps.from_fhir(self.resources, self.leads, structure=self.structure, to=self.to, tells=self.tells)

    def body(self, resources: Mapping[str, Resource] | None = None) -> bytes:
        """The message; b"" where these resources make none."""
        try:
            return self.maps.from_fhir(resources or self.resources, self.leads, structure=self.structure, to=self.to)
        except (HutongError, LookupError, TypeError, ValueError):  # without that element it is no valid resource
            return b""

    @property
    def title(self) -> str:
        return self.structure

    def lines(self) -> Lines:
        return written_paths(self.maps.library, self.structure)

    def again(self, body: bytes) -> Said:
        """What the message says when it is read again."""
        try:
            made = self.maps.to_fhir(hl7v2.decode(body), profile=self.to.profile, when=self.to.when)
        except HutongError:
            return set()
        return said_of(by_url(made.bundle))


def account_of_resources(writing: Writing) -> Account:
    """Every element of every resource: carried into the message, or kept in the record for the reason given."""
    return account_of(writing.resources, [writing], "the message")


def account_of(resources: Mapping[str, Resource], sources: Sequence[Source], what: str) -> Account:
    """The same of all that is written of them. `what`: how people call it."""
    named = names(resources)
    carried: dict[str, set[Leaf]] = {url: set() for url in resources}
    again: Said = set()
    for source in sources:
        body, written = source.body(), source.lines()
        again |= source.again(body)
        for url, resource in source.resources.items():
            carried[url] |= _tried(source, url, resource, written, body, carried[url])
    rows = []
    for url, resource in resources.items():
        for way, value in leaves(resource):
            place = f"{named[url]}.{path_of(way)}"
            if way in carried[url]:
                rows.append(Row(place, State.CARRIED, f"{what} says it"))
            elif (resource["resourceType"], plain(way), str(value)) in again:
                rows.append(Row(place, State.CARRIED, f"it follows from the rest: {what} says it again"))
            elif value in resources and _is_link(resource["resourceType"], way, sources):
                rows.append(Row(place, State.CARRIED, f"it follows from what stands together in {what}"))
            elif sources:
                reason = _reason(resource["resourceType"], way, sources[0].lines(), sources[0].title)
                rows.append(Row(place, State.KEPT, reason))
    return Account(tuple(rows))


def _is_link(type_: str, way: Leaf, sources: Sequence[Source]) -> bool:
    """Does a reference only say what reading makes of one record?"""
    return way[-1] == "reference" and any(line.link for line in lines_of(sources[0].lines(), type_, way))


def _tried(writing: Source, url: str, resource: Resource, written: Lines, body: bytes, known: set[Leaf]) -> set[Leaf]:
    """The elements without which another thing is written; those that no line writes are taken out all at once."""
    candidates = [way for way, _ in leaves(resource) if way not in known]
    far = [way for way in candidates if not lines_of(written, resource["resourceType"], way)]
    near = [way for way in candidates if way not in far]
    bare = resource
    for way in reversed(far):  # from the end: positions in lists stay
        bare = without(bare, way) or {"resourceType": resource["resourceType"]}
    if far and writing.body({**writing.resources, url: bare}) != body:
        near = candidates
    return {way for way in near if writing.body({**writing.resources, url: without(resource, way)}) != body}


def written_paths(library: Library, structure: str) -> Lines:
    """Resource type → the paths that lines of a structure write (links too: they say where a resource stands)."""
    layout = Layout(library.structures[structure].root)
    return paths_of(library, [block for block in library.blocks_of(structure) if homes(layout, block)])


def paths_of(library: Library, blocks: Iterable[Block]) -> Lines:
    """The same of these blocks."""
    found: Lines = {}
    for block in blocks:
        for line in block.lines:
            if not (line.back or line.link):
                continue
            steps = tuple(f"{block.path}.{line.path}".split(".")[1:])
            found.setdefault(block.type, []).append((steps, line))
            made = "" if line.link or line.constant else library.pair(line, _path(library, block.path, line)).makes
            if made:
                found.setdefault(made, []).append(((), line))
    return found


def _path(library: Library, start: str, line: Line) -> paths.Path:
    return paths.resolve(start, line, library.systems)


def lines_of(written: Lines, type_: str, way: Leaf) -> list[Line]:
    """The lines that write an element."""
    return [line for steps, line in written.get(type_, ()) if covers(steps, plain(way))]


def covers(steps: tuple[str, ...], names_: tuple[str, ...]) -> bool:
    """Is an element at, above or below a path, or beside it in one list element (a slice)?"""
    return begins(names_, steps) or begins(steps, names_) or (len(steps) > 1 and names_[:1] == steps[:1])


def begins(names_: tuple[str, ...], steps: tuple[str, ...]) -> bool:
    """Is an element at a path or below it? An open choice has each of its types below it."""
    if len(names_) < len(steps):
        return False
    return all(
        name == step or (step.endswith("[x]") and name.startswith(step[:-3]))
        for step, name in zip(steps, names_, strict=False)
    )


def _reason(type_: str, way: Leaf, written: Lines, structure: str) -> str:
    if way[0] in OWN:
        return "the record's own, no message says it"
    if type_ not in written:
        return f"{structure} has no place for {type_}"
    lines = lines_of(written, type_, way)
    if not lines:
        return f"no line of {structure} writes {type_}.{'.'.join(plain(way))}"
    return f"{lines[0].place} writes this element: another value stands there, or it holds no more"


def said_of(resources: Mapping[str, Resource]) -> Said:
    """All that resources say."""
    return {
        (resource["resourceType"], plain(way), str(value))
        for resource in resources.values()
        for way, value in leaves(resource)
    }
