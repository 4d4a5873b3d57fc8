"""A file → FHIR → the file again, in its own format and charset: how each mapped cell came back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.codec.table import Table
from gateway.formats import exports, files
from gateway.mapping.accounting.files import Files
from gateway.mapping.accounting.roundtrip import Comparison, Value
from gateway.mapping.translation import Address
from gateway.mapping.written_file import WrittenFile
from gateway.model import Channel, Member, Profile

if TYPE_CHECKING:
    from gateway.formats import Formats


def compare(formats: Formats, body: bytes, channel: Channel, member: Member, when: datetime) -> Comparison:
    """All mapped cells of one file. Raises HutongError for a file that is not read, or that cannot be written."""
    found = exports.read(formats, body, channel, member, channel.format)
    return _compared(formats, found, member, channel, when)


def compare_tables(formats: Formats, tables: Sequence[Table], member: Member, when: datetime) -> Comparison:
    """The same of tables that are no file: views of a database."""
    return _compared(formats, exports.of_tables(formats, tables, member.profile.maps), member, None, when)


def _compared(
    formats: Formats, found: exports.Export, member: Member, channel: Channel | None, when: datetime
) -> Comparison:
    maps, facility = formats.maps.of(member.profile), exports.facility(member)
    made = maps.exports.to_fhir(found.parts, profile=member.profile, facility=facility, control_id="again", when=when)
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle.get("entry", ())}
    profile = msgspec.structs.replace(member.profile, charset=member.profile.charset or found.charset)
    own = frozenset((*member.facilities, member.id))
    to = Address(profile=profile, facility=facility, own=own, control_id="again", when=when)
    values: list[Value] = []
    for part in found.parts:
        export = maps.library.exports[part.name]
        written = maps.exports.about(resources, name=part.name, to=to)
        records, root = _read(formats, written, channel, member, profile)
        values += Files(export, maps.library, profile, facility).compare(part, records, root, made.rejects)
    return Comparison(tuple(values))


def _read(
    formats: Formats, written: WrittenFile, channel: Channel | None, member: Member, profile: Profile
) -> tuple[Sequence[Any], Any]:
    """The records of what was written as a file, with the root that they stand in."""
    if channel is None or channel.format not in files.WRITTEN:
        return written.rows, None
    way = msgspec.structs.replace(channel, map=written.name)
    (again,) = exports.read(formats, files.encode(written, channel.format, profile), way, member, way.format).parts
    return again.records, again.root
