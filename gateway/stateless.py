"""`hutong translate`: bytes in, a FHIR transaction Bundle out; or a Bundle in, an HL7 v2 message out; nothing stored.

The same translation as in the running gateway, by the same settings and maps.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from gateway import config
from gateway.codec import fhir_xml, fixed_width, hl7v2, hl7v2_xml, hl7v2_xml_writer, ndjson, rows, workbook, xml_tree
from gateway.codec.text_stream import Opened
from gateway.config import learned
from gateway.errors import Configuration, Permanent
from gateway.fhir import json, validate
from gateway.formats import STRANGER, Formats, again, files
from gateway.formats.accounts import of_export
from gateway.formats.exports import knows, translate_tables
from gateway.formats.written import NEVER, address_of, bundle_of, by_reference, timed, writing_of
from gateway.mapping import maps
from gateway.mapping.accounting.account import Account, account_of_message
from gateway.mapping.accounting.explained import Explanation
from gateway.mapping.accounting.roundtrip import Comparison, compare_message, compare_resources
from gateway.mapping.accounting.trial import Trial
from gateway.mapping.accounting.writing import account_of_resources
from gateway.mapping.accounting.writing_files import account_of_file
from gateway.mapping.accounting.written import written
from gateway.mapping.translation import Translation
from gateway.model import Channel, Community, Entry, Frame, Member, Reject

_SUFFIXES = {
    **dict.fromkeys((".csv", ".txt", ".tsv", ".dat", ".prn"), "delimited"),
    **dict.fromkeys((".xls", ".xlsx"), "delimited"),  # text by the name of a workbook, as many programs write it
    ".json": "json",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """What came of one document. `notes` are for people; `explanation` says where each element came from."""

    output: bytes
    suffix: str
    notes: list[str] = field(default_factory=list)
    explanation: str = ""
    rejects: list[Reject] = field(default_factory=list)  # records that were set aside
    account: Account | None = None  # what became of every value; not of FHIR that stays FHIR


def translate(
    body: bytes,
    *,
    name: str,
    member: str | None,
    to: str,
    config: Path | None,
    explain: bool = False,
    loss: bool = False,
    message: str = "",
    xml: bool = False,
    sender: str = "",
    channel: str = "",
    map_folder: Path | None = None,
) -> Translated:
    """One document. `name` is its file name, for the format where the bytes do not tell; `message` ('OML^O21') what to
    write to HL7 v2, where the Bundle shall not decide; `xml`: write that as HL7 v2.xml; `sender`: who sends a message
    that does not say so itself (BHS-4); `channel`: the channel of the member that it comes by; `map_folder`: maps (and
    a member.yaml) that are tried on it (`hutong learn`). Raises HutongError."""
    if not body.strip(b"\0 \t\r\n"):
        raise Permanent("the file is empty", place="file", remedy="export it again, and look whether it got here whole")
    formats = formats_of(config, member, map_folder)
    member = asked(formats, member, map_folder)
    if to == "hl7v2":
        written = _to_hl7v2(body, formats, member, explain=explain, loss=loss, message=message)
        return _as_xml(written) if xml else written
    if to in files.WRITTEN:
        return _to_file(body, formats, member, to, message, loss=loss)
    owner = owner_of(formats, member)
    if owner is None and sender and not hl7v2.decode(body).header.sending_facility:
        owner = formats.sender(sender, None)
    way = way_of(owner, channel) or channel_of(body, name)
    frame = Frame(channel=way.id, body=body, peer=name, received_at=NEVER)
    look = formats.look(frame, way, owner)
    if look.error:
        raise look.error
    entry = Entry(
        id=0, frame=frame, member=look.member.id, format=look.format, charset=look.charset, control_id=look.control_id
    )
    made = formats.translate(entry, way)
    if not (explain or loss) or look.format == "fhir":
        return _answer(made)
    if look.format != "hl7v2":
        told = of_export(formats, entry, way, look.member, explain=explain, loss=loss)
        return replace(_answer(made), explanation=told.explanation, account=told.account)
    trial = _trial(body, formats, look.member)
    return replace(
        _answer(made),
        explanation=_explained(trial) if explain else "",
        account=account_of_message(trial) if loss else None,
    )


def digest_of(source: Opened) -> str:
    """What names a file among all of its sender, as `formats.exports.digest` does."""
    with source() as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]  # type: ignore[arg-type]


def translate_views(url: str, *, member: str | None, config: Path | None, map_folder: Path | None = None) -> Translated:
    """All views of a member's database that a map knows, in one Bundle; `map_folder`: maps that are tried besides.
    Raises HutongError."""
    from gateway.transport import views  # a tenth of a second that only this needs

    formats = formats_of(config, member, map_folder)
    owner = owner_of(formats, asked(formats, member, map_folder))
    if owner is None:
        raise Configuration("a view does not say whose it is", place="--database", remedy="name its --member")
    known = partial(knows, formats, wanted=owner.profile.maps)
    tables = list(views.read(url, wanted=known))
    if not tables:
        raise Configuration("there is no view and no table", place="--database", remedy="check its name and the rights")
    told = hashlib.sha256()
    for table in tables:
        for row in table.rows:
            told.update(f"{table.sheet} {'|'.join(row.values())}\n".encode("utf-8", "surrogatepass"))
    control_id = told.hexdigest()[:32]
    made = formats.checked(translate_tables(formats, tables, owner, control_id=control_id, when=NEVER))
    return _answer(made)


def _answer(made: Translation) -> Translated:
    rejects = [told_of(each) for each in made.rejects]
    unknown = [f"code table {table} does not know {code}" for table, code in dict.fromkeys(made.unknown)]
    return Translated(
        output=json.dumps_pretty(timed(made.bundle), finite=True),
        suffix=".json",
        notes=[*rejects, *made.notes, *unknown],
        rejects=list(made.rejects),
    )


def roundtrip(body: bytes, *, name: str, member: str | None, config: Path | None) -> Comparison:
    """A message or a file → FHIR → the same again, or a Bundle → a message → the Bundle again. Raises HutongError."""
    formats = formats_of(config, member)
    if channel_of(body, name).format == "fhir":
        return compare_resources(writing_of(body, formats, member))
    owner = owner_of(formats, member)
    channel = channel_of(body, name)
    look = formats.look(Frame(channel=channel.id, body=body, peer=name, received_at=NEVER), channel, owner)
    if look.error:
        raise look.error
    if look.format != "hl7v2":
        return again.compare(formats, body, channel, look.member, NEVER)
    return compare_message(_trial(body, formats, look.member))


def _trial(body: bytes, formats: Formats, member: Member) -> Trial:
    message = hl7v2.decode(body, member.profile.charset)
    return Trial(maps=formats.maps, message=message, profile=member.profile, member=member.id, when=NEVER)


def _explained(trial: Trial) -> str:
    """One line an element: `Type[1].path <- SEG-n bytes offset+length map:line`, or what else made it."""
    made = trial.into(explain=True)
    return "\n".join(map(str, Explanation(trial, made).origins())) if made else ""


def told_of(reject: Reject) -> str:
    """For people: the place, never the value."""
    place = f"{reject.place} row {reject.row}".strip()
    return f"{place}, {reject.column}: {reject.cause}" if reject.cell else f"{place} was set aside: {reject.cause}"


def formats_of(path: Path | None, member: str | None = None, folder: Path | None = None) -> Formats:
    sample = path is None and member in _sample().members
    return _tried(path, folder, member, sample=sample) if folder else _read(path, sample=sample)


def asked(formats: Formats, member: str | None, folder: Path | None) -> str | None:
    """Whose the files are: where nobody is named, the member that the folder of a map adds (the last one)."""
    return member or (list(formats.community.members)[-1] if folder else None)


@lru_cache(maxsize=4)
def _tried(path: Path | None, folder: Path, member: str | None, *, sample: bool) -> Formats:
    """With the maps of one more folder, as a member that uses them."""
    if not folder.is_dir():
        raise Configuration("there is no such folder", place=str(folder), remedy="give the folder of a map")
    known = _read(path, sample=sample).community
    loaded = maps.load([maps.shipped(), *map(Path, known.map_folders), folder])
    own = [name for name, each in loaded.library.exports.items() if each.place.file.startswith(f"{folder.name}/")]
    return Formats(learned.with_folder(known, folder, member, own), loaded)


@lru_cache(maxsize=1)
def _sample() -> Community:
    return config.sample()


@lru_cache(maxsize=4)
def _read(path: Path | None, *, sample: bool) -> Formats:
    community = config.load(path) if path else _sample() if sample else config.starter()
    return Formats(community, maps.load([maps.shipped(), *map(Path, community.map_folders)]))


def owner_of(formats: Formats, member: str | None) -> Member | None:
    if member is None:
        return None
    if member not in formats.community.members and not formats.community.open:
        raise Configuration(
            f"there is no member {member}", place="--member", remedy="one of " + ", ".join(formats.community.members)
        )
    return formats.member(member)


def way_of(owner: Member | None, id: str) -> Channel | None:
    """The channel of a member by its id; None where none is named."""
    if not id:
        return None
    found = [each for each in owner.channels if each.id == id] if owner else []
    if not found:
        known = ", ".join(each.id for each in owner.channels) if owner else ""
        remedy = f"one of {known}" if known else "name its --member"
        raise Configuration(f"there is no channel {id}", place="--channel", remedy=remedy)
    return found[0]


def channel_of(body: bytes, name: str) -> Channel:
    """The format by the bytes, then by the file's name."""
    start = body[:256].lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    if start.startswith((b"MSH", b"msh", b"FHS", b"BHS")):
        format_ = "hl7v2"
    elif rows.is_rows(start):
        format_ = "rows"
    elif start.startswith((b"{", b"[")):
        objects = "ndjson" if ndjson.is_ndjson(body) else "json"
        format_ = "fhir" if b'"resourceType"' in body[:100_000] else objects
    elif workbook.is_workbook(body):
        format_ = "workbook"
    elif xml_tree.is_xml(body) and not hl7v2_xml.is_xml(body):
        format_ = "fhir" if fhir_xml.is_fhir_xml(body) else "xml"
    else:
        format_ = _SUFFIXES.get(Path(name).suffix.lower(), "hl7v2")
        if format_ == "delimited" and fixed_width.is_fixed(body):
            format_ = "fixed"
    return Channel(id="translate", transport="files", format=format_)


# ---------------------------------------------------------------------------------------------------- back


def _to_hl7v2(
    body: bytes, formats: Formats, member: str | None, *, explain: bool, loss: bool, message: str
) -> Translated:
    if body.lstrip(b"\xef\xbb\xbf \t\r\n\x0b").startswith(
        (b"MSH", b"msh", b"<")
    ):  # a message stays the message: in our separators, or as XML
        found = hl7v2.decode(body, (owner_of(formats, member) or STRANGER).profile.charset)
        return Translated(output=hl7v2.encode(found.segments, found.charset), suffix=".hl7", notes=[*found.notes])
    writing = writing_of(body, formats, member, message=message)
    return Translated(
        output=writing.message(),
        suffix=".hl7",
        explanation="\n".join(map(str, written(writing))) if explain else "",
        account=account_of_resources(writing) if loss else None,
    )


def _to_file(body: bytes, formats: Formats, member: str | None, to: str, name: str, *, loss: bool) -> Translated:
    """What an export map says of a Bundle, as a file for a member. Raises HutongError."""
    bundle = bundle_of(body)
    validate.check(bundle)
    resources = by_reference(bundle)
    address = address_of(formats, member, bundle, body, "")
    found = formats.maps.of(address.profile)
    written = found.exports.about(resources, name=name, to=address)
    notes = [*written.notes]
    body = files.encode(written, to, address.profile, notes.append)
    told = account_of_file(found, resources, name=name, to=address) if loss else None
    return Translated(output=body, suffix=files.SUFFIXES[to], notes=notes, account=told)


def _as_xml(made: Translated) -> Translated:
    """The same message in XML (HL7 v2.xml)."""
    return replace(made, output=hl7v2_xml_writer.write(hl7v2.decode(made.output).segments), suffix=".xml")
