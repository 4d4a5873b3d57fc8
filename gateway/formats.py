"""Bytes → document → Bundle, one row a format: what is seen at the door (fast), and what is made of it later (whole).

hl7v2       HL7 v2 messages                     delimited   CSV and its kin, by an export map
fhir        FHIR R4 resources and Bundles       json        JSON forms, by an export map
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gateway.codec import delimited, hl7v2, hl7v2_xml
from gateway.codec import json as json_tree
from gateway.errors import Configuration, HutongError, Permanent
from gateway.fhir import json, validate
from gateway.mapping.adopt import adopt
from gateway.mapping.lawful import lawful
from gateway.mapping.maps import Maps, Translation
from gateway.model import Channel, Community, Entry, Frame, Member, Profile

Hidden = frozenset[tuple[str, str]]  # (code table, code) to be taken as unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a first look at a frame found: who, what, and whether it can be taken."""

    member: Member
    format: str
    charset: str = ""
    control_id: str = ""
    key: str = ""  # order key: the patient's number at the sender
    kind: str = ""  # 'ORU^R01', the name of an export map, 'Bundle'
    header: hl7v2.Header | None = None
    error: HutongError | None = None  # why it is refused; it is kept all the same


@dataclass(frozen=True, slots=True)
class Formats:
    """Reads frames by the community's settings and maps. Pure: the same bytes give the same answer."""

    community: Community
    maps: Maps

    def look(self, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
        """At the door: decode, identify, check. Never raises for bad input; the error is in the answer."""
        format_ = channel.format if channel else _sniffed(frame.body)
        return _LOOKS[format_](self, frame, channel, owner)

    def translate(
        self, entry: Entry, channel: Channel | None, *, hidden: frozenset[tuple[str, str]] = frozenset()
    ) -> Translation:
        """The validated transaction Bundle of an entry, without what R4 forbids (mapping/lawful.py). `hidden`: (table,
        code) to be taken as unknown.

        Raises Configuration or Permanent, naming place and remedy."""
        made = _TRANSLATIONS[entry.format](self, entry, channel, self.member(entry.member), hidden)
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
    return "fhir" if start.startswith(b"{") else "delimited"


_BEFORE_MSH = b"\xef\xbb\xbf\x00\t\n\x0b\r\x1c "
STRANGER = Member(id="unknown", name="unknown", confirmed=False)


# -------------------------------------------------------------------------------------------------- hl7v2


def _look_hl7v2(self: Formats, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
    peeked = hl7v2.peek(frame.body) if owner is None else None
    member = self.sender(_facility_of(frame.body, peeked), owner)
    look = Look(
        member=member or STRANGER,
        format="hl7v2",
        header=peeked,
        control_id=peeked.control_id if peeked else "",
        kind=peeked.kind if peeked else "",
    )
    try:
        message = hl7v2.decode(frame.body, member.profile.charset if member else "")
        _check_beginning(frame.body, from_file=channel is not None and channel.transport == "files")
        if member is None:
            remedy = "add it to the facilities of a member"
            stranger = "no member of this community sends as this facility"
            raise Permanent(stranger, place="MSH-4", code="103", remedy=remedy)
    except HutongError as error:
        return replace(look, error=error, header=look.header or hl7v2.peek(frame.body))
    header = message.header
    look = Look(
        member=member,
        format="hl7v2",
        charset=message.charset,
        control_id=header.control_id,
        kind=header.kind,
        header=header,
        key=_patient_key(message),
    )
    problems = hl7v2.check(message)
    if problems:
        return replace(look, error=problems[0])
    try:
        self.maps.structure(message)
    except Configuration as error:
        return replace(look, error=error)
    return look


def _facility_of(body: bytes, peeked: hl7v2.Header | None) -> str:
    """MSH-4. A first look trusts ASCII only: a name in Chinese is read with the whole message."""
    facility = peeked.sending_facility if peeked else ""
    if "?" in facility:
        try:
            return hl7v2.decode(body).header.sending_facility
        except HutongError:
            return facility
    return facility


def _check_beginning(body: bytes, *, from_file: bool) -> None:
    """At the door a message begins with MSH (HL7 v2.5.1 §2.5.1); reading is more patient, so a person may replay it.
    What programs that write files put before it (marks, blanks, empty lines) is taken off with a note."""
    start = body[:64].lstrip(_BEFORE_MSH) if from_file else body.removeprefix(b"\xef\xbb\xbf")
    if not start.startswith((b"MSH", b"msh")) and not hl7v2_xml.is_xml(body):
        remedy = "let the sender begin with MSH; this one is kept and may be replayed"
        raise Permanent("something stands before the MSH segment", place="MSH", code="100", remedy=remedy)


def _patient_key(message: hl7v2.Message) -> str:
    """The patient's number at the sender; both of a merge go by the surviving one."""
    segment = next((each for each in message.segments if each[0] == "PID"), None)
    number = segment[3].partition("~")[0].partition("^")[0] if segment and len(segment) > 3 else ""
    return f"{message.header.sending_facility}|{number}" if number else ""


def _translate_hl7v2(
    self: Formats, entry: Entry, channel: Channel | None, member: Member, hidden: Hidden
) -> Translation:
    message = hl7v2.decode(entry.frame.body, member.profile.charset)
    return self.maps.of(member.profile).to_fhir(
        message, profile=member.profile, member=member.id, when=entry.frame.received_at, hidden=hidden
    )


# -------------------------------------------------------------------------------------------------- tables


def _look_delimited(self: Formats, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
    member = self.sender("", owner) or STRANGER
    look = Look(member=member, format="delimited")
    try:
        table = delimited.decode(frame.body, charset=member.profile.charset)
        name = self.maps.export_of(format="delimited", columns=table.columns, wanted=_wanted(channel, member))
    except HutongError as error:
        return replace(look, error=error)
    return replace(look, charset=table.charset, kind=name)


def _wanted(channel: Channel | None, member: Member) -> tuple[str, ...]:
    return (channel.map,) if channel and channel.map else member.profile.maps


def _translate_delimited(
    self: Formats, entry: Entry, channel: Channel | None, member: Member, hidden: Hidden
) -> Translation:
    table = delimited.decode(entry.frame.body, charset=member.profile.charset)
    name = self.maps.export_of(format="delimited", columns=table.columns, wanted=_wanted(channel, member))
    made = self.maps.of(member.profile).rows_to_fhir(
        table.rows,
        name=name,
        profile=member.profile,
        facility=_facility(member),
        control_id=_digest(entry),
        when=entry.frame.received_at,
        hidden=hidden,
    )
    mapped = tuple((table.numbers[row - 1], cause) for row, cause in made.rejects)
    ragged = tuple((each.number, each.cause) for each in table.rejects)
    return replace(made, rejects=tuple(sorted((*mapped, *ragged))), notes=(*table.notes, *made.notes))


def _facility(member: Member) -> str:
    return member.facilities[0] if member.facilities else member.id


def _digest(entry: Entry) -> str:
    return entry.control_id or hashlib.sha256(entry.frame.body).hexdigest()[:32]


# --------------------------------------------------------------------------------------------------- trees


def _look_json(self: Formats, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
    member = self.sender("", owner) or STRANGER
    look = Look(member=member, format="json")
    try:
        tree = json_tree.decode(frame.body, member.profile.charset)
        name, found = self.maps.form_of(tree.root, wanted=_wanted(channel, member))
    except HutongError as error:
        return replace(look, error=error)
    if not found:
        return replace(
            look,
            kind=name,
            error=Permanent("the form holds no record", place=name, code="101", remedy="send at least one"),
        )
    return replace(look, charset=tree.charset, kind=name)


def _translate_json(
    self: Formats, entry: Entry, channel: Channel | None, member: Member, hidden: Hidden
) -> Translation:
    tree = json_tree.decode(entry.frame.body, member.profile.charset)
    name, records = self.maps.form_of(tree.root, wanted=_wanted(channel, member))
    return self.maps.of(member.profile).rows_to_fhir(
        records,
        name=name,
        profile=member.profile,
        facility=_facility(member),
        control_id=_digest(entry),
        when=entry.frame.received_at,
        hidden=hidden,
    )


# ---------------------------------------------------------------------------------------------------- fhir


def _look_fhir(self: Formats, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
    member = self.sender("", owner) or STRANGER
    look = Look(member=member, format="fhir", charset="utf-8")
    try:
        resource = json.loads(frame.body)
        adopted = adopt(resource, member=member.id, control_id="-")
        validate.check_bundle(adopted)
    except HutongError as error:
        return replace(look, error=error)
    identifier = resource.get("identifier") if resource["resourceType"] == "Bundle" else None
    control_id = str(identifier.get("value", "")) if isinstance(identifier, dict) else ""
    return replace(look, kind=str(resource["resourceType"]), control_id=control_id)


def _translate_fhir(
    self: Formats, entry: Entry, channel: Channel | None, member: Member, _hidden: Hidden
) -> Translation:
    bundle = adopt(json.loads(entry.frame.body), member=member.id, control_id=_digest(entry))
    return Translation(bundle=bundle, structure="Bundle")


_LOOKS: Mapping[str, Callable[[Formats, Frame, Channel | None, Member | None], Look]] = {
    "hl7v2": _look_hl7v2,
    "delimited": _look_delimited,
    "json": _look_json,
    "fhir": _look_fhir,
}
_TRANSLATIONS: Mapping[str, Callable[[Formats, Entry, Channel | None, Member, Hidden], Translation]] = {
    "hl7v2": _translate_hl7v2,
    "delimited": _translate_delimited,
    "json": _translate_json,
    "fhir": _translate_fhir,
}
