"""A translation that can be tried again with one value less: of a message, and of the Bundle that it became."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.codec import hl7v2
from gateway.codec.hl7v2_header import header_of
from gateway.errors import HutongError
from gateway.fhir import json, shapes
from gateway.mapping.accounting.elements import by_url
from gateway.mapping.lawful import lawful
from gateway.mapping.leads import leads_of as leads_of_document
from gateway.mapping.maps import Address, Maps, Translation
from gateway.mapping.structure import Segment
from gateway.model import Profile, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One message of one member under the maps of its community."""

    maps: Maps
    message: hl7v2.Message
    profile: Profile
    member: str = ""
    when: datetime  # time of receipt

    def made(self) -> Translation:
        """The translation of the message, with its lineage. Raises HutongError where it becomes none."""
        made = self.maps.of(self.profile).to_fhir(
            self.message, profile=self.profile, member=self.member, when=self.when, explain=True
        )
        return made if shapes.valid(made.bundle) else lawful(made)

    def into(self, segments: Sequence[Segment] | None = None, *, explain: bool = False) -> Translation | None:
        """The translation of the message, or of it with other segments; None where that is no message any more."""
        message = self.message
        if segments is not None:
            header = message.header
            if segments[0] is not message.segments[0]:
                header = header_of(segments[0], charset=message.charset, declared=header.declared_charset)
            message = replace(message, segments=list(segments), header=header)
        try:
            made = self.maps.of(self.profile).to_fhir(
                message, profile=self.profile, member=self.member, when=self.when, explain=explain
            )
            return made if shapes.valid(made.bundle) else lawful(made)
        except HutongError:
            return None

    def again(self, made: Translation) -> hl7v2.Message | None:
        """The message that its own sender would receive again; None where no message can be written."""
        try:
            body = write(
                self.maps.of(self.profile), made, address=again_to(self.message.header, self.profile, self.when)
            )
            return hl7v2.decode(body)
        except HutongError:
            return None


def again_to(header: hl7v2.Header, profile: Profile, when: datetime) -> Address:
    """The sender of a message as the receiver of the same message."""
    facility = header.sending_facility or header.sending_application or "unknown"
    return Address(
        profile=profile, facility=facility, sender=facility, control_id=header.control_id or "X", when=when,
        event=header.trigger,
    )  # fmt: skip


def write(maps: Maps, made: Translation, *, address: Address) -> bytes:
    """The message that a translation came from, written anew."""
    # as the record gives it back: what equal fields became is one object in a fresh translation (memory.py)
    resources = by_url(json.loads(json.dumps(made.bundle)))
    return maps.from_fhir(resources, leads_of(maps, resources, made.structure), structure=made.structure, to=address)


def leads_of(maps: Maps, resources: dict[str, Resource], structure: str) -> list[str]:
    """What a message of this structure is about (maps.leads_of)."""
    found = maps.library.structures[structure]
    return leads_of_document(resources, found.lead, *found.others)
