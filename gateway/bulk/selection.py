"""Which resources an export holds: by level, patients, time, filters; and what of them, by elements.

Levels: Bulk Data Access 2.0 §export; the patient compartment decides (R4 compartmentdefinition-patient.html), and what
its resources refer to of people, places and medicines comes along.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.bulk.job import Job
from gateway.db.engine import Reader
from gateway.errors import Permanent
from gateway.fhir import compartments, json
from gateway.fhir.searchparameters import parameters
from gateway.store import past, query, read, search, subset, walk
from gateway.store.clause import Around, Criterion
from gateway.store.columns import columns
from gateway.store.query import Query
from gateway.store.stored import Stored, milliseconds
from gateway.store.walk import Met, Walk

# Outside of what belongs to patients, and helpful to understand it.
AROUND: Final = frozenset(
    {"Organization", "Practitioner", "PractitionerRole", "Location", "Medication", "Device", "Substance", "Binary",
     "HealthcareService", "Endpoint"}
)  # fmt: skip
_MENTIONED = re.compile(rb'"(?:reference|url)":"(%s)/([A-Za-z0-9\-.]{1,64})[/"]' % "|".join(sorted(AROUND)).encode())
_PATIENT = re.compile(rb'"reference":"Patient/([A-Za-z0-9\-.]{1,64})[/"]')
_FILTER = re.compile(r"([A-Za-z]+)\?(.+)", re.DOTALL)


def of_patients() -> frozenset[str]:
    """The types that an export of patients may hold."""
    return AROUND | {"Patient"} | set(compartments.parameters("Patient"))


def filter_of(text: str, around: Around) -> Query:
    """The query of one _typeFilter, with the codes of value sets as they are now. Raises Permanent for what is none, or
    would have to ask other resources too."""
    match = _FILTER.fullmatch(text)
    if match is None:
        raise Permanent("a filter is a search: Observation?status=final", place="_typeFilter")
    asked = query.read(match[1], match[2], around=around)
    controls = (asked.sort, asked.includes, asked.revincludes, asked.elements, asked.summary, asked.cursor, asked.total)
    own = all(isinstance(each, Criterion) and each.parameter.kind != "local" for each in asked.criteria)
    if not own or not asked.criteria or any(controls) or asked.ignored or asked.count != query.DEFAULT_COUNT:
        remedy = "without chains, _has, _sort, _count and _include"
        raise Permanent("a filter takes search parameters of the type itself", place="_typeFilter", remedy=remedy)
    return asked


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file."""

    kind: str  # output | deleted
    type: str
    body: bytes


class Selection:
    """The selection of one export. It is made anew after a restart, and is the same then."""

    def __init__(self, job: Job, reader: Reader) -> None:
        self._job = job
        self.types = [each for each in job.asked.types if not (job.asked.level and each in AROUND)]
        self._around = frozenset(job.asked.types) & AROUND if job.asked.level else frozenset()
        self._people = self._cohort(reader)
        self._filters: dict[str, list[Query]] = {}
        for text in job.asked.filters:
            asked = filter_of(text, search.here(reader))
            self._filters.setdefault(asked.type, []).append(asked)

    def _cohort(self, reader: Reader) -> frozenset[str] | None:
        """The patients that it is about; None for all of them."""
        asked = self._job.asked
        if asked.level != "Group":
            return frozenset(asked.patients) or None
        group = read.as_of(reader, "Group", asked.group, self._job.cut)
        members = members_of(group.resource) if group is not None else frozenset()
        return members & frozenset(asked.patients) if asked.patients else members

    @property
    def nobody(self) -> bool:
        """Is it about patients, and there is none?"""
        return self._people is not None and not self._people

    def walk(self, type: str) -> Walk:
        """The way through a type."""
        few = self._people is not None and len(self._people) <= walk.FEW
        people = tuple(sorted(self._people)) if self._people is not None and few else ()
        return Walk(type=type, cut=self._job.cut, at=self._job.at, people=people)

    # ------------------------------------------------------------------------------------------ what is written

    def lines(self, reader: Reader, met: Sequence[Met]) -> list[Line]:
        """What becomes of a page of one type, in its order."""
        fitting = [each for each in met if self._young(each.stored)]
        wanted = [each for each in fitting if not each.stored.deleted and self._belongs(each.stored, each.patient)]
        if wanted and (queries := self._filters.get(wanted[0].stored.type)):
            found = walk.fulfilling(reader, wanted, queries)
            wanted = [each for each in wanted if each.stored.id in found]
        deleted = (self._deleted(reader, each.stored) for each in fitting if each.stored.deleted)
        return [*(self._line(each.stored) for each in wanted), *filter(None, deleted)]

    def mentions(self, lines: Iterable[Line]) -> set[tuple[str, str]]:
        """(type, id) of what these refer to and comes along."""
        if not self._around:
            return set()
        found = {(kind.decode(), key.decode()) for each in lines for kind, key in _MENTIONED.findall(each.body)}
        return {each for each in found if each[0] in self._around}

    def around(self, reader: Reader, names: Iterable[tuple[str, str]]) -> list[Line]:
        """Those that were mentioned, as they were at that time."""
        versions = (read.as_of(reader, kind, key, self._job.cut) for kind, key in names)
        there = [each for each in versions if each is not None and not each.deleted and self._young(each)]
        if there and (queries := self._filters.get(there[0].type)):
            kept = past.fulfilling(there, queries)
            there = [each for each in there if each.id in kept]
        return [self._line(each) for each in there]

    def _young(self, stored: Stored) -> bool:
        since = self._job.asked.since
        return since is None or milliseconds(stored.updated) * 1000 > since

    def _belongs(self, stored: Stored, patient: str | None) -> bool:
        people, kind = self._people, stored.type
        if not self._job.asked.level:
            return True
        if kind == "Patient":
            return people is None or stored.id in people
        names = compartments.parameters("Patient").get(kind, ())
        if patient and columns(kind).patient & set(names) and (people is None or patient in people):
            return True  # most of them, without reading the resource
        named = {each.decode() for each in _PATIENT.findall(stored.body)}
        if not (named if people is None else named & people):
            return False
        return any(self._one_of_them(each) for name in names for each in _selected(stored, name))

    def _one_of_them(self, reference: str) -> bool:
        kind, _, rest = reference.partition("/")
        return kind == "Patient" and (self._people is None or rest.partition("/")[0] in self._people)

    def _line(self, stored: Stored) -> Line:
        names = self._job.asked.elements
        if names:
            own = tuple(each.rpartition(".")[2] for each in names if each.rpartition(".")[0] in ("", stored.type))
            if own:
                stored = subset.cut(stored, elements=own)
        return Line("output", stored.type, stored.body + b"\n")

    def _deleted(self, reader: Reader, stored: Stored) -> Line | None:
        """That a resource is no longer there; only whoever asks for changes wants to know."""
        if self._job.asked.since is None:
            return None
        earlier = walk.before(reader, stored)
        if earlier is None or not self._belongs(earlier, None):
            return None
        entry = {"request": {"method": "DELETE", "url": stored.reference}}
        body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        return Line("deleted", "Bundle", body + b"\n")


def members_of(group: dict[str, Any]) -> frozenset[str]:
    """The ids of the patients that are in a group now (R4 group.html: inactive ones are not)."""
    members = (each for each in group.get("member", ()) if not each.get("inactive"))
    references = (str(each.get("entity", {}).get("reference", "")).split("/") for each in members)
    return frozenset(each[1] for each in references if len(each) >= 2 and each[0] == "Patient")


def _selected(stored: Stored, name: str) -> Iterable[str]:
    """The literal references that a search parameter selects."""
    parameter = parameters(stored.type).get(name)
    found = parameter.extract(stored.resource) if parameter is not None else ()
    return [str(each.get("reference", "")) for each in found if isinstance(each, dict)]
