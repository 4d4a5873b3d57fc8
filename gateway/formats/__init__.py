"""Bytes → document → Bundle, one row a format: what is seen at the door (fast), and what is made of it later (whole).

hl7v2       HL7 v2 messages                         delimited   CSV and its kin, by an export map
fhir        FHIR R4, JSON, NDJSON and XML           workbook    Excel files, by an export map
rows        rows of database views                  json, xml   forms and records, by an export map
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gateway.codec import fhir_xml, hl7v2_xml, ndjson, rows, workbook, xml_tree
from gateway.errors import Permanent
from gateway.fhir import validate
from gateway.formats import exports, messages, resources
from gateway.formats.look import STRANGER, Hidden, Look
from gateway.mapping.lawful import lawful
from gateway.mapping.maps import Maps, Translation
from gateway.model import Channel, Community, Entry, Frame, Member, Profile

__all__ = ["EXPORTS", "STRANGER", "Formats", "Look"]


@dataclass(frozen=True, slots=True)
class Formats:
    """Reads frames by the community's settings and maps. Pure: the same bytes give the same answer."""

    community: Community
    maps: Maps

    def look(self, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
        """At the door: decode, identify, check. Never raises for bad input; the error is in the answer."""
        format_ = channel.format if channel else _sniffed(frame.body)
        return _LOOKS[format_](self, frame, channel, owner)

    def translate(self, entry: Entry, channel: Channel | None, *, hidden: Hidden = frozenset()) -> Translation:
        """The validated transaction Bundle of an entry, without what R4 forbids (mapping/lawful.py). `hidden`: (table,
        code) to be taken as unknown.

        Raises Configuration or Permanent, naming place and remedy."""
        return self.checked(_TRANSLATIONS[entry.format](self, entry, channel, self.member(entry.member), hidden))

    def checked(self, made: Translation) -> Translation:
        """The same where it is valid FHIR; else without what R4 forbids. Raises Permanent for what cannot be mended."""
        if _valid(made):
            return made
        made = lawful(made)
        try:
            validate.check_bundle(made.bundle)
        except Permanent as error:
            raise Permanent(
                f"what the maps make is not valid FHIR: {error.cause}",
                place=f"{made.structure}, {error.place}", code="207",
                remedy="complete the message at the sender, or mend the map, and replay it",
            ) from error  # fmt: skip
        return made

    def member(self, id: str) -> Member:
        """A member by its id; in an open community a sender that nobody has confirmed yet."""
        return self.community.members.get(id) or Member(
            id=id, name=id, facilities=(id,), confirmed=False, profile=self._profile()
        )

    def sender(self, facility: str, owner: Member | None) -> Member | None:
        """Whose message it is: the channel's owner, else by MSH-4; None for a stranger in a closed community."""
        if owner is not None:
            return owner
        found = self.community.member_of_facility(facility) if facility else None
        return found or (self.member(facility or "unknown") if self.community.open else None)

    def knows(self, member: str, table: str, code: str) -> bool:
        """Is a code of this member's known by now? See journal.unknown."""
        return self.maps.knows(self.member(member).profile, table, code)

    def _profile(self) -> Profile:
        return Profile(time_zone=self.community.time_zone)


def _valid(made: Translation) -> bool:
    try:
        validate.check_bundle(made.bundle)
    except Permanent:
        return False
    return True


def _sniffed(body: bytes) -> str:
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    if start.startswith((b"MSH", b"msh", b"FHS", b"BHS")) or not start or hl7v2_xml.is_xml(body):
        return "hl7v2"
    if workbook.is_workbook(body):
        return "workbook"
    if xml_tree.is_xml(body):
        return "fhir" if fhir_xml.is_fhir_xml(body) else "xml"
    if start.startswith(b"{"):
        return "rows" if rows.is_rows(start) else "fhir" if b'"resourceType"' in body[:100_000] else _of_objects(body)
    return "delimited"


def _of_objects(body: bytes) -> str:
    """FHIR that nobody can see to be none, unless there is an object a line."""
    return "ndjson" if ndjson.is_ndjson(body) else "fhir"


EXPORTS = ("delimited", "fixed", "workbook", "json", "ndjson", "xml", "rows")
_LOOKS: Mapping[str, Callable[[Formats, Frame, Channel | None, Member | None], Look]] = {
    "hl7v2": messages.look,
    "fhir": resources.look,
    **{name: partial(exports.look, format=name) for name in EXPORTS},
}
_TRANSLATIONS: Mapping[str, Callable[[Formats, Entry, Channel | None, Member, Hidden], Translation]] = {
    "hl7v2": messages.translate,
    "fhir": resources.translate,
    **{name: partial(exports.translate, format=name) for name in EXPORTS},
}
