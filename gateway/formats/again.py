"""A file → FHIR → the file again, in its own format and charset: how each mapped cell came back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.formats import exports, files
from gateway.mapping.accounting.files import Files, leads
from gateway.mapping.accounting.roundtrip import Comparison, Value
from gateway.mapping.exports import Part
from gateway.mapping.translation import Address, Translation
from gateway.model import Channel, Member, Profile

if TYPE_CHECKING:
    from gateway.formats import Formats


def compare(formats: Formats, body: bytes, channel: Channel, member: Member, when: datetime) -> Comparison:
    """All mapped cells of one file. Raises HutongError for a file that is not read, or that cannot be written."""
    found = exports.read(formats, body, channel, member, channel.format)
    made = formats.maps.of(member.profile).exports.to_fhir(
        found.parts, profile=member.profile, facility=exports.facility(member), control_id="again", when=when
    )
    profile = msgspec.structs.replace(member.profile, charset=member.profile.charset or found.charset)
    values = [value for part in found.parts for value in _part(formats, part, made, channel, member, profile, when)]
    return Comparison(tuple(values))


def _part(
    formats: Formats, part: Part, made: Translation, channel: Channel, member: Member, profile: Profile, when: datetime
) -> Iterator[Value]:
    """One table or tree of it, written and read."""
    maps = formats.maps.of(profile)
    export, facility = maps.library.exports[part.name], exports.facility(member)
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle.get("entry", ())}
    own = frozenset((*member.facilities, member.id))
    to = Address(profile=profile, facility=facility, own=own, control_id="again", when=when)
    written = maps.exports.from_fhir(resources, leads(export, maps.library, resources), name=part.name, to=to)
    if channel.format in files.WRITTEN:
        way = msgspec.structs.replace(channel, map=part.name)
        (again,) = exports.read(formats, files.encode(written, channel.format, profile), way, member, way.format).parts
        records: Sequence[Any] = again.records
        root = again.root
    else:
        records, root = written.rows, None
    yield from Files(export, maps.library, profile, facility).compare(part, records, root, made.rejects)
