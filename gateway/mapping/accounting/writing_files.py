"""The account of resources that became a file: which element its cells say, and why another stays in the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.errors import HutongError
from gateway.fhir import reference
from gateway.mapping.accounting.account import Account
from gateway.mapping.accounting.elements import by_url
from gateway.mapping.accounting.writing import Lines, Said, account_of, paths_of, said_of
from gateway.mapping.export_parts import leads
from gateway.mapping.export_records import Part
from gateway.mapping.maps import Address, Maps
from gateway.mapping.written_file import WrittenFile
from gateway.model import Resource


def account_of_file(maps: Maps, resources: Mapping[str, Resource], *, name: str, to: Address) -> Account:
    """Every element of every resource: carried into the file that an export map writes of them, or kept in the record
    for the reason given."""
    export = maps.library.exports[name]
    asked = leads(export, maps.library, resources)
    lines = paths_of(maps.library, export.blocks)
    around = _around(resources, asked)
    sources = [
        OneLead(maps=maps, resources={url: resources[url] for url in resources if url in around[each]}, lead=each,
                title=name, to=to, written=lines)
        for each in asked
    ]  # fmt: skip
    return account_of(resources, sources, "the file")


@dataclass(frozen=True, slots=True, kw_only=True)
class OneLead:
    """What a file says of one lead: a report with its results."""

    maps: Maps
    resources: Mapping[str, Resource]
    lead: str
    title: str  # of the export
    to: Address
    written: Lines

    def lines(self) -> Lines:
        return self.written

    def body(self, resources: Mapping[str, Resource] | None = None) -> bytes:
        """What its records say; b"" where these resources make none."""
        try:
            made = self._file(resources or self.resources)
        except (HutongError, LookupError, TypeError, ValueError):  # without that element it is no valid resource
            return b""
        return repr((made.rows, made.root)).encode()

    def _file(self, resources: Mapping[str, Resource]) -> WrittenFile:
        return self.maps.exports.from_fhir(resources, [self.lead], name=self.title, to=self.to)

    def again(self, body: bytes) -> Said:
        """What the file says when it is read again."""
        if not body:
            return set()
        try:
            part = self._part(self._file(self.resources))
            made = self.maps.exports.to_fhir(
                [part], profile=self.to.profile, facility=self.to.facility, control_id=self.to.control_id,
                when=self.to.when,
            )  # fmt: skip
        except HutongError:
            return set()
        return said_of(by_url(made.bundle))

    def _part(self, made: WrittenFile) -> Part:
        if made.root is None:
            return Part(name=made.name, records=made.rows)
        return self.maps.exports.of_tree(made.root, wanted=[made.name])


def _around(resources: Mapping[str, Resource], asked: list[str]) -> dict[str, set[str]]:
    """Each lead → what belongs to it: what it leads to, and what speaks of that and is led to by no other lead."""
    targets = {url: set(_targets(each, resources)) for url, each in resources.items()}
    led: dict[str, set[str]] = {lead: _led_to(lead, targets) for lead in asked}
    free = resources.keys() - {url for each in led.values() for url in each}
    for found in led.values():
        while more := {url for url in free - found if targets[url] and targets[url] <= found}:
            found |= more
    return led


def _led_to(lead: str, targets: Mapping[str, set[str]]) -> set[str]:
    found, waiting = {lead}, [lead]
    while waiting:
        more = targets[waiting.pop()] - found
        found |= more
        waiting += more
    return found


def _targets(resource: Resource, resources: Mapping[str, Resource]) -> Iterator[str]:
    return (url for each in reference.find(resource) if (url := str(each.get("reference", ""))) in resources)
