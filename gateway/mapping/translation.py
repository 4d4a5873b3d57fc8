"""What a translation gives and takes: a Bundle and what there is to say of it; whom a message is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.model import Profile, Reject, Resource


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where one FHIR element came from."""

    resource: str  # fullUrl
    path: str
    segment: int  # index in the message, -1 where there is none
    field: int
    line: str  # map file:line


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What a document became. `rejects`: the records of an export that were set aside."""

    bundle: Resource
    structure: str
    notes: tuple[str, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()  # (table, code) that no table knew
    words: Mapping[tuple[str, str], str] = field(default_factory=dict)  # how the sender calls them, where it is safe
    rejects: tuple[Reject, ...] = ()
    lineage: tuple[Lineage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """For whom and as what a message is written."""

    profile: Profile
    facility: str  # MSH-6 and whose local codes are meant
    own: frozenset[str] = frozenset()  # assigning authorities of the receiver
    sender: str = "HUTONG"  # MSH-4
    control_id: str
    when: datetime
    event: str = ""
