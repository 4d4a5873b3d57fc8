"""What settings must mean: names that exist, addresses that parse, nothing claimed twice.

Every rule notes its mistakes and goes on; no rule raises.
"""

from __future__ import annotations

import codecs
import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from gateway import errors
from gateway.codec import charset as charsets
from gateway.codec import held
from gateway.codec.fixed_width import UNITS
from gateway.config import databases, servers
from gateway.config.codes import Row
from gateway.config.page import Mistakes, nearest
from gateway.config.shape import Lines
from gateway.model import Channel, FileForm, Member, Profile, Subscription
from gateway.routing import criteria

TRANSPORTS = frozenset({"mllp", "http", "files", "sftp", "database"})
FORMATS = frozenset({"hl7v2", "delimited", "fixed", "workbook", "json", "ndjson", "xml", "fhir", "rows"})
EXPORTED = frozenset({"delimited", "fixed", "workbook", "json", "ndjson", "xml", "rows"})  # written by an export map
ONLY = frozenset({"all", "placed-here", "known-here"})
VERSIONS = frozenset(
    {"2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"}
)
# HL7 table 0211 names that Python does not know by themselves
HL7_CHARSETS = frozenset(
    {"UNICODE UTF-8", "UNICODE UTF-16", "UNICODE", "GB 18030-2000", "BIG-5", "ISO IR6", "ISO IR87", "CNS 11643-1992"}
)
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "apikey"})

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MESSAGE = re.compile(r"[A-Z][A-Z0-9]{2}(_[A-Z][A-Z0-9]{2})?")
_MOVE = re.compile(r"([A-Z][A-Z0-9]{2})-[1-9]\d{0,2}\s*->\s*([A-Z][A-Z0-9]{2})-[1-9]\d{0,2}(\s+if empty)?")
_DATES = ("YYYY", "MM", "DD")
_TIMES = (*_DATES, "HH", "mm")
_FILE_NAME = re.compile(r"[\w-][\w.-]{0,60}\{key\}[\w.-]{0,60}|\{key\}[\w.-]{0,60}")
_EVENT = re.compile(r"[A-Z][A-Z0-9]{2}")


@dataclass(frozen=True, slots=True)
class Source:
    """A member as it was read, and where each of its values stands."""

    member: Member
    lines: Lines
    prefix: tuple[str | int, ...] = ()
    codes: tuple[Row, ...] = ()  # of its code lists

    def line(self, *path: str | int) -> int:
        """The line of one of the member's values."""
        return self.lines.at(*self.prefix, *path)


@dataclass(slots=True)
class Note:
    """Where a mistake is noted: one value of one member."""

    source: Source
    mistakes: Mistakes
    path: tuple[str | int, ...] = ()

    def __call__(self, cause: str, remedy: str = "", *, at: tuple[str | int, ...] = ()) -> None:
        line = self.source.line(*self.path, *at)
        self.mistakes.add(self.source.lines.file, line, cause, remedy)

    def below(self, *path: str | int) -> Note:
        """The same, one level further in."""
        return Note(self.source, self.mistakes, (*self.path, *path))


def check(sources: Iterable[Source], mistakes: Mistakes) -> None:
    """All rules on all members, and what they must not share."""
    claims = _Claims(mistakes)
    for source in sources:
        note = Note(source, mistakes)
        _member(source.member, note, claims)
        check_profile(source.member.profile, note.below("profile"))
        for index, channel in enumerate(source.member.channels):
            _channel(channel, note.below("channels", index), claims)
        for index, subscription in enumerate(source.member.subscriptions):
            _subscription(subscription, note.below("subscriptions", index), claims)


def time_zone_problem(name: str) -> tuple[str, str] | None:
    """Cause and remedy when this is no IANA time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        remedy = nearest(name, zoneinfo.available_timezones(), what="time zone")
        return f"unknown time zone {name!r}", f"{remedy} (an IANA name such as Asia/Shanghai)"
    return None


def charset_known(name: str) -> bool:
    """Whether a charset of HL7 table 0211 or of Python is meant."""
    if name.upper() in HL7_CHARSETS or re.fullmatch(r"8859/\d{1,2}", name):
        return True
    try:
        return bool(getattr(codecs.lookup(name), "_is_text_encoding", True))
    except (LookupError, ValueError):
        return False


def address_problem(text: str) -> str:
    """Why this is not HOST:PORT (IPv6 in brackets), or ""."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        return f"{text!r} is not HOST:PORT"
    if not re.fullmatch(r"\d{1,5}", port) or not 1 <= int(port) <= 65535:
        return f"{text!r}: the port must be a number from 1 to 65535"
    if not re.fullmatch(r"\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]+", host):
        return f"{text!r}: {host!r} is no host name or address"
    return ""


@dataclass(slots=True)
class _Claims:
    """What only one may have: the first who took it, by kind and value."""

    mistakes: Mistakes
    taken: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def take(self, kind: str, value: str, note: Note, *, at: tuple[str | int, ...], same_member: bool = False) -> None:
        """Note a mistake when this was taken before (by another member, when `same_member` sharing is fine)."""
        owner = note.source.member.id
        place = f"{note.source.lines.file}:{note.source.line(*note.path, *at)}"
        first = self.taken.setdefault((kind, value), (owner, place))
        if first[1] != place and not (same_member and first[0] == owner):
            note(f"{kind} {value!r} is used twice (first in {first[1]})", "give each its own", at=at)


def _member(member: Member, note: Note, claims: _Claims) -> None:
    _identifier("member id", member.id, note, claims)
    if not member.name.strip() and note.source.lines.written(*note.source.prefix, "name"):
        note("'name' is empty", "write the institution's name", at=("name",))
    if member.id:
        claims.take("facility", member.id, note, at=("id",), same_member=True)
    for index, facility in enumerate(member.facilities):
        if facility.strip():
            claims.take("facility", facility, note, at=("facilities", index), same_member=True)
        else:
            note("an empty facility means nobody", "remove it", at=("facilities", index))


def _identifier(what: str, value: str, note: Note, claims: _Claims) -> None:
    if not value:
        return  # missing: noted where the file was read
    if not _IDENTIFIER.fullmatch(value):
        note(f"{what} {value!r} must be 1 to 64 of A-Z a-z 0-9 . _ -", "it stands in addresses and logs", at=("id",))
    claims.take(what, value, note, at=("id",))


def check_profile(profile: Profile, note: Note) -> None:
    """What a profile names must exist; its map names and moves are checked where maps are compiled."""
    if profile.charset and not charset_known(profile.charset):
        known = {"UTF-8", "GB18030", "GBK", "GB2312", "BIG5", "ISO-8859-1", *HL7_CHARSETS}
        note(f"unknown charset {profile.charset!r}", nearest(profile.charset, known), at=("charset",))
    if profile.version not in VERSIONS:
        remedy = nearest(profile.version, VERSIONS, what="known versions")
        note(f"unknown HL7 version {profile.version!r}", remedy, at=("version",))
    problem = time_zone_problem(profile.time_zone)
    if problem:
        note(*problem, at=("time_zone",))
    if profile.country and not re.fullmatch("[A-Z]{3}", profile.country):
        note(f"{profile.country!r} is no country", "three capitals as in MSH-17 (ISO 3166): CHN", at=("country",))
    _file_form(profile.file, note.below("file"))
    if charsets.codec_of(profile.charset or "utf-8") and held.missing(profile.file.lacking, profile.charset or "utf-8"):
        note("the charset lacks this sign itself", "take one that it has, such as ? or 〓", at=("file", "lacking"))
    for index, move in enumerate(profile.moves):
        found = _MOVE.fullmatch(move.strip())
        if not found or found[1] != found[2]:
            note(f"{move!r} is no move", "write PID-2 -> PID-3 [if empty], inside one segment", at=("moves", index))
    for authority, system in profile.authorities.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", system):
            note(
                f"{system!r} is no identifier system", "write a URI (urn:… or http://…)", at=("authorities", authority)
            )


def _file_form(form: FileForm, note: Note) -> None:
    if len(form.separator) != 1 or form.separator in '"\r\n':
        note(f"{form.separator!r} separates nothing", "one sign, such as , or ;", at=("separator",))
    _one_of(form.quoting, frozenset({"needed", "all"}), "quoting", note, "quoting")
    _one_of(form.newline, frozenset({"crlf", "lf"}), "line end", note, "newline")
    _one_of(form.counted, frozenset(UNITS), "unit", note, "counted")
    if form.operation and not form.operation.isidentifier():
        note(f"{form.operation!r} names no operation", "that of the receiver's WSDL, such as Send", at=("operation",))
    for name, width in form.widths.items():
        if width < 1:
            note(f"column {name!r} has no width", "write how many places it takes", at=("widths", name))
    for name, text, parts in (("times", form.times, _TIMES), ("dates", form.dates, _DATES)):
        if text and any(text.count(part) != 1 for part in parts):
            note(f"{text!r} is no form of {name}", f"write {' '.join(parts)} once each, and signs between", at=(name,))


def _one_of(value: str, known: frozenset[str], what: str, note: Note, at: str) -> None:
    if value and value not in known:
        note(f"unknown {what} {value!r}", nearest(value, known, what=f"known {what}s"), at=(at,))


def _channel(channel: Channel, note: Note, claims: _Claims) -> None:
    _identifier("channel id", channel.id, note, claims)
    _one_of(channel.transport, TRANSPORTS, "transport", note, "transport")
    _one_of(channel.format, FORMATS, "format", note, "format")
    if channel.transport == "mllp" and channel.format in FORMATS - {"hl7v2"}:
        note(f"MLLP carries HL7 v2, not {channel.format}", "use `format: hl7v2` or another transport", at=("format",))
    _channel_listen(channel, note, claims)
    _channel_folder(channel, note, claims)
    servers.check_channel(channel, note, note.below)
    databases.check_channel(channel, note, note.below)
    if channel.map and channel.format in {"hl7v2", "fhir"}:
        note(
            f"'map' means nothing for {channel.format}",
            "remove it; maps of messages are found by themselves",
            at=("map",),
        )


def _channel_listen(channel: Channel, note: Note, claims: _Claims) -> None:
    if not channel.listen:
        return
    if channel.transport in TRANSPORTS - {"mllp"}:
        note(f"'listen' means nothing for {channel.transport}", "remove it", at=("listen",))
    problem = address_problem(channel.listen)
    if problem:
        note(problem, "such as 127.0.0.1:2576", at=("listen",))
    else:
        claims.take("listen address", channel.listen, note, at=("listen",))


def _channel_folder(channel: Channel, note: Note, claims: _Claims) -> None:
    if channel.transport != "files":
        if channel.transport == "sftp" and channel.server:
            place = f"{channel.server.host}:{channel.server.port} {_written(channel.folder)} {channel.pattern}"
            claims.take("folder and pattern", place, note, at=("folder",))
        elif channel.folder and channel.transport != "sftp":
            note(f"'folder' means nothing for {channel.transport}", "remove it", at=("folder",))
        return
    if not channel.folder:
        note("a channel of files needs its drop folder", "add `folder: …`", at=("transport",))
    elif _folder(channel.folder, note, "folder"):
        claims.take("drop folder and pattern", f"{channel.folder} {channel.pattern}", note, at=("folder",))
        claims.take("folder", _written(channel.folder), note, at=("folder",), same_member=False)


def _written(folder: str) -> str:
    return str(PurePath(folder))


def _folder(folder: str, note: Note, at: str) -> bool:
    """Whether a folder's name may stand: inside the data directory, or absolute and not a file."""
    path = Path(folder)
    if path.is_absolute():
        if path.exists() and not path.is_dir():
            note(f"{folder!r} is not a folder", "name a folder", at=(at,))
            return False
        return True
    if ".." in PurePath(folder).parts:
        note(f"{folder!r} leaves the data directory", "write an absolute path instead", at=(at,))
        return False
    return True


def _subscription(subscription: Subscription, note: Note, claims: _Claims) -> None:
    _identifier("subscription id", subscription.id, note, claims)
    _one_of(subscription.transport, TRANSPORTS, "transport", note, "transport")
    _one_of(subscription.format, FORMATS, "format", note, "format")
    _one_of(subscription.only, ONLY, "rule", note, "only")
    _criteria(subscription, note)
    address = _ADDRESSES.get(subscription.transport)
    if address:
        address(subscription, note, claims)
    servers.check_subscription(subscription, note, note.below)
    databases.check_subscription(subscription, note, note.below)
    _message(subscription, note)
    _headers(subscription.headers, note)
    _file_name(subscription, note)
    if not 0 < subscription.timeout <= 600:
        note("'timeout' must be more than 0 and at most 600 seconds", "30 is usual", at=("timeout",))
    if not 1 <= subscription.attempts <= 10_000:
        note("'attempts' must be from 1 to 10000", "10 is usual", at=("attempts",))
    if subscription.profile:
        check_profile(subscription.profile, note.below("profile"))


def _file_name(subscription: Subscription, note: Note) -> None:
    name = subscription.file_name
    if name and subscription.transport not in {"files", "sftp"}:
        note(f"'file_name' means nothing for {subscription.transport}", "remove it", at=("file_name",))
    elif name and not _FILE_NAME.fullmatch(name):
        note(f"{name!r} names no file of its own", "letters, digits, . _ - and {key} once", at=("file_name",))


def _criteria(subscription: Subscription, note: Note) -> None:
    if not subscription.criteria and note.source.lines.written(*note.source.prefix, *note.path, "criteria"):
        note(
            "'criteria' is empty: nothing would ever be sent", "such as DiagnosticReport?status=final", at=("criteria",)
        )
    for index, text in enumerate(subscription.criteria):
        try:
            criteria.compile_criteria(text)
        except errors.Configuration as error:
            note(error.cause, error.remedy, at=("criteria", index))


def _message(subscription: Subscription, note: Note) -> None:
    if subscription.format == "hl7v2":
        if not subscription.message:
            note("an HL7 v2 subscription needs its structure", "add `message: ORU_R01` or the like", at=("format",))
        elif not _MESSAGE.fullmatch(subscription.message):
            note(f"{subscription.message!r} is no message structure", "such as ORU_R01 or ADT_A01", at=("message",))
        if subscription.event and not _EVENT.fullmatch(subscription.event):
            note(f"{subscription.event!r} is no trigger event", "such as A08", at=("event",))
    elif subscription.event:
        note(f"'event' means nothing for {subscription.format}", "remove it", at=("event",))
    if subscription.format == "fhir":
        _one_of(subscription.message, frozenset({"bundle", "resource"}), "message", note, "message")
    elif subscription.format in EXPORTED and not subscription.message:
        note("an export needs the name of its map", "add `message: <map name>`", at=("format",))


def _mllp_address(subscription: Subscription, note: Note, _claims: _Claims) -> None:
    if subscription.format in FORMATS - {"hl7v2"}:
        note(
            f"MLLP carries HL7 v2, not {subscription.format}",
            "use `format: hl7v2` or another transport",
            at=("format",),
        )
    problem = address_problem(subscription.address)
    if problem:
        note(problem if subscription.address else "no address to send to", "add `address: HOST:PORT`", at=("address",))


def _http_address(subscription: Subscription, note: Note, _claims: _Claims) -> None:
    try:
        parts = urlsplit(subscription.address)
        host, _ = parts.hostname, parts.port  # .port raises on a bad number
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not host:
        cause = f"{subscription.address!r} is no web address" if subscription.address else "no address to send to"
        note(cause, "add `address: https://…`", at=("address",))
    elif parts.username or parts.password:
        note("the address holds a password", 'use `headers: {Authorization: "env:NAME"}`', at=("address",))


def _files_address(subscription: Subscription, note: Note, claims: _Claims) -> None:
    if not subscription.address:
        note("no folder to write to", "add `address: <folder>`", at=("transport",))
    elif _folder(subscription.address, note, "address"):
        claims.take("folder", _written(subscription.address), note, at=("address",), same_member=False)


_ADDRESSES: Mapping[str, Callable[[Subscription, Note, _Claims], None]] = {
    "mllp": _mllp_address,
    "http": _http_address,
    "files": _files_address,
}


def _headers(headers: Mapping[str, str], note: Note) -> None:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            note(f"{name!r} is no header name", "such as Authorization", at=("headers", name))
        elif name.lower() in SECRET_HEADERS and not value.startswith("env:"):
            remedy = 'write "env:NAME" and set NAME in the environment of the service'
            note(f"the secret of header {name!r} stands in the file", remedy, at=("headers", name))
