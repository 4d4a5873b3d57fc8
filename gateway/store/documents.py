"""What a document holds: a Composition and everything that it refers to, however far (R4 documents.html#content).

References are followed forwards only, and none from one patient to another, so that a document never grows into the
record of somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.db.engine import Reader
from gateway.errors import Permanent
from gateway.fhir import reference
from gateway.fhir.reference import Literal
from gateway.store import read
from gateway.store.stored import Stored

MOST: Final = 2_000  # resources of one document
_PEOPLE: Final = frozenset({"Patient", "RelatedPerson", "Person"})
_ONWARD: Final = frozenset({"Organization", "Practitioner", "PractitionerRole"})  # from a person only to these


def gathered(reader: Reader, composition: Stored) -> list[Stored]:
    """The Composition first, then what it refers to in the order in which it is come upon. Permanent where the record
    does not hold what the Composition itself refers to, or where there is too much."""
    found: dict[str, Stored] = {composition.reference: composition}
    edge = [composition]
    while edge:
        following: list[Stored] = []
        for version in edge:
            for place, literal in _pointed(version):
                name = f"{literal.type}/{literal.id}"
                if name in found:
                    continue
                stored = read.read(reader, literal.type, literal.id)
                if stored is not None and not stored.deleted:
                    found[name] = stored
                    following.append(stored)
                elif version is composition:
                    raise Permanent(f"the {literal.type} that it refers to is not in the record", place=place)
        if len(found) > MOST:
            raise Permanent(f"a document of more than {MOST} resources", place="Composition.section")
        edge = following
    return list(found.values())


def _pointed(version: Stored) -> Iterator[tuple[str, Literal]]:
    """The references to resources of this server that a document follows, each with its place."""
    for place, pointer in reference.walk(version.resource):
        literal = reference.parse(str(pointer.get("reference", "")))
        if literal is None or literal.base or place.startswith("Composition.relatesTo"):
            continue
        if version.type not in _PEOPLE or literal.type in _ONWARD:
            yield place, literal
