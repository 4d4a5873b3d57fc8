"""HL7 v2 messages: who sends them by MSH-4, whose they are by PID-3."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.codec import hl7v2, hl7v2_xml
from gateway.errors import Configuration, HutongError, Permanent
from gateway.formats.look import STRANGER, Hidden, Look
from gateway.mapping.maps import Translation
from gateway.model import Channel, Entry, Frame, Member

if TYPE_CHECKING:
    from gateway.formats import Formats

_BEFORE_MSH = b"\xef\xbb\xbf\x00\t\n\x0b\r\x1c "


def look(formats: Formats, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
    peeked = hl7v2.peek(frame.body) if owner is None else None
    member = formats.sender(_facility_of(frame.body, peeked), owner)
    seen = Look(
        member=member or STRANGER,
        format="hl7v2",
        header=peeked,
        control_id=peeked.control_id if peeked else "",
        kind=peeked.kind if peeked else "",
    )
    try:
        message = hl7v2.decode(frame.body, member.profile.charset if member else "")
        _check_beginning(frame.body, from_file=channel is not None and channel.of_files)
        if member is None:
            remedy = "add it to the facilities of a member"
            stranger = "no member of this community sends as this facility"
            raise Permanent(stranger, place="MSH-4", code="103", remedy=remedy)
    except HutongError as error:
        return replace(seen, error=error, header=seen.header or hl7v2.peek(frame.body))
    header = message.header
    seen = Look(
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
        return replace(seen, error=problems[0])
    try:
        formats.maps.structure(message)
    except Configuration as error:
        return replace(seen, error=error)
    return seen


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


def translate(formats: Formats, entry: Entry, channel: Channel | None, member: Member, hidden: Hidden) -> Translation:
    message = hl7v2.decode(entry.frame.body, member.profile.charset)
    return formats.maps.of(member.profile).to_fhir(
        message, profile=member.profile, member=member.id, when=entry.frame.received_at, hidden=hidden
    )
