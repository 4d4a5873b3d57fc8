"""The nouns of the gateway: frozen, dumb, shared by every room. Verbs live in the rooms.

Times are aware datetimes. Bodies are bytes exactly as they travelled. Settings (Member, Channel, Subscription,
Profile) are msgspec structs because the same definition reads and checks a community's YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import msgspec

Resource = dict[str, Any]  # a FHIR resource in plain dictionaries; decimals are decimal.Decimal, never float


class State(StrEnum):
    """Where a piece of work stands."""

    WAITING = "waiting"  # written down, not worked on yet, or to be tried again when due
    DONE = "done"  # an entry: in the record; a delivery: receipt kept
    PARKED = "parked"  # waits for a person: a map, a code or a setting to be mended; replayed then
    DEAD = "dead"  # will not succeed as it is; kept with its cause; replayed only by a person


BODIES = "bodies"  # in the data directory: where large files lie
STREAMED = frozenset({"delimited", "workbook", "json", "ndjson", "xml"})  # of these no large file is held in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message exactly as it arrived, before anybody looked inside."""

    channel: str
    body: bytes
    peer: str  # address, file name or client of the sender; never a patient's data
    received_at: datetime
    identity: str = ""  # a file's: with its bytes it tells whether it came before ("" = its peer does)
    file: Path | None = None  # of a large file that was brought: its bytes lie there, the body is empty
    stored: str = ""  # of a large file that is written down: its SHA-256, under which its bytes lie (journal/bodies.py)
    size: int = 0  # bytes of that


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A frame that is written down on disk: safe to acknowledge."""

    id: int
    frame: Frame
    member: str  # who sent it, as identified from the channel or the message itself
    format: str  # codec name: hl7v2, delimited, json, fhir
    charset: str  # the charset that won when it was first read
    control_id: str  # MSH-10 or the like; "" when the format has none
    state: State = State.WAITING
    attempts: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One committed new version of one resource."""

    type: str
    id: str
    version: int
    transaction: int  # number of the record transaction; grows with commit order
    interaction: str  # create | update | delete; owed to a client's Subscription also handshake | heartbeat

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What we owe one subscription for one change."""

    id: int
    subscription: str
    key: str  # order key: deliveries of one subscription with one key leave in order of id
    change: Change
    attempts: int = 0
    idempotency: str = ""  # the same on every attempt: MSH-10, Idempotency-Key, file name


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the receiver answered when it took a delivery."""

    at: datetime
    code: str  # AA, CA, HTTP status, or "written" for a file
    body: bytes = b""
    also: tuple[int, ...] = ()  # further deliveries that it took with this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A record of an export that was set aside, or a cell of one that was left out: where it stands, and the cause."""

    place: str  # the sheet, or the path in a tree; "" in a file with one table
    row: int  # as a spreadsheet counts, from 1; of a tree the number of the node
    column: str  # "" where the whole row is the cause
    cause: str
    value: str  # may be a patient's: for the member's own list, never for logs
    cell: bool = False  # that cell alone was left out, the rest of the record is in the Bundle


class Document(Protocol):
    """A decoded message or file, still in its own shape. Each codec has its own concrete class."""

    @property
    def kind(self) -> str:
        """The codec's name."""
        ...


# ---------------------------------------------------------------------------------------------- settings


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything read from YAML: an unknown word is a mistake, never ignored."""


class Concept(Settings, frozen=True):
    """What a member's local code means in a standard code system."""

    system: str  # URI, or a name of HL7 table 0396: LN
    code: str
    display: str = ""
    name: str = ""  # how the member itself calls its code


class FileForm(Settings, frozen=True):
    """How files are written for a member, beside the columns of the map and the charset of its profile."""

    separator: str = ","  # delimited
    quoting: str = "needed"  # delimited: needed | all
    newline: str = "crlf"  # delimited: crlf | lf
    titles: tuple[str, ...] = ()  # delimited, workbook: rows above the header
    sheet: str = ""  # workbook: the name of its sheet
    rows: str = ""  # xml, json: the path of the rows of a table, such as DATA/ROW ("" = the map's, else ROWS/ROW)
    times: str = ""  # of moments, such as YYYYMMDDHHmmss ("" = YYYY-MM-DD HH:mm:ss)
    dates: str = ""  # of days, such as YYYY/MM/DD ("" = YYYY-MM-DD)
    operation: str = ""  # xml, json: the SOAP operation in whose string the document is sent ("" = none)
    action: str = ""  # the string beside it, such as the name of a service
    lacking: str = ""  # delimited, fixed: written for a character that the charset lacks ("" = the file is refused)
    widths: Mapping[str, int] = msgspec.field(default_factory=dict)  # fixed: column → its width, in order
    counted: str = "bytes"  # fixed: what widths count, bytes (of the charset) | places (of a terminal) | characters
    header: int = 0  # fixed: lines above the rows, where widths are given


class Profile(Settings, frozen=True):
    """What differs at one member: one deviation from the shared maps a line. Used reading and writing."""

    charset: str = ""  # reading: beats MSH-18 and detection; writing: what is written ("" = UTF-8)
    version: str = "2.5.1"  # HL7 v2 version that is written to this member
    time_zone: str = "Asia/Shanghai"  # for times that carry no offset
    country: str = ""  # CHN: its messages are read as if MSH-17 said so
    application: str = ""  # MSH-5 when we write, MSH-3 when it writes
    facility: str = ""  # MSH-6 when we write ("" = the member's first facility)
    maps: tuple[str, ...] = ()  # own or shipped export maps of this member's files, by name
    authorities: Mapping[str, str] = msgspec.field(default_factory=dict)  # assigning authority → identifier system
    codes: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)  # table → local code → standard code
    concepts: Mapping[str, Mapping[str, Concept]] = msgspec.field(
        default_factory=dict
    )  # local coding system as in CWE-3 ("" = none written, "*" = any) → local code → standard concept
    file: FileForm = msgspec.field(default_factory=FileForm)  # of the files that are written to this member
    moves: tuple[str, ...] = ()  # 'PID-2 -> PID-3 if empty': field moves before mapping
    off: tuple[str, ...] = ()  # map rows switched off, as 'PID-14' or 'PID-14 Patient.telecom'


class Server(Settings, frozen=True):
    """An SFTP server and our account there. Secrets are named, never written: env:NAME, or file:PATH (relative to the
    data directory unless absolute)."""

    host: str
    user: str
    host_keys: tuple[str, ...]  # the keys it may show, each 'SHA256:…' or 'ssh-ed25519 AAAA…'; two while it changes
    port: int = 22
    key: str = ""  # our private key
    passphrase: str = ""  # of that key
    password: str = ""


class View(Settings, frozen=True):
    """One view of a member's database, polled by its watermark."""

    view: str  # its name, SCHEMA.NAME where it lies in one
    watermark: str  # the column that grows with every row that is written or changed: a time, or a number
    key: tuple[str, ...] = ()  # columns that name a record; () = those of its map
    overlap: int = 900  # looked at again each time, for late rows: seconds of a time, steps of a number
    map: str = ""  # export map ("" = found by the columns)
    without: tuple[str, ...] = ()  # columns that are not read


class Database(Settings, frozen=True):
    """A member's database that we may read."""

    url: str  # postgresql://… or where that stands: env:NAME, file:PATH; a password is never written here
    views: tuple[View, ...]
    optional: bool = False  # the channel is off, and that is no mistake, while env:NAME or file:PATH holds nothing
    every: float = 60.0  # seconds between two looks
    stored: str = ""  # charset of text in its latin1 or binary columns ("" = it knows its own)


class Channel(Settings, frozen=True):
    """One line on which one member sends one format."""

    id: str
    transport: str  # mllp | http | files | sftp | database
    format: str  # hl7v2 | delimited | fixed | workbook | json | ndjson | xml | fhir | rows
    listen: str = ""  # mllp: HOST:PORT of its own ("" = the shared MLLP port, the sender is known by MSH-4)
    folder: str = ""  # files: the drop folder, relative to the data directory unless absolute; sftp: on the server
    pattern: str = "*"  # files, sftp: which names are taken
    server: Server | None = None  # sftp: where it is, and who we are there
    leave: bool = False  # sftp: files stay where they are, on a server that lets us only read
    map: str = ""  # export map ("" = found by the columns)
    database: Database | None = None  # database: where it is, and which views are polled

    @property
    def of_files(self) -> bool:
        """Whether its frames are files that nobody waits for: they are moved away, not acknowledged."""
        return self.transport in ("files", "sftp")


class Table(Settings, frozen=True):
    """A middle table in a member's database, into which a subscription writes the rows of an export map."""

    name: str  # SCHEMA.NAME where it lies in one
    columns: Mapping[str, str] = msgspec.field(default_factory=dict)  # of the map → of the table; {} = the same names
    delivery: str = ""  # column for the number of the delivery: what is there already is not written again
    number: str = ""  # column for the number of a row in its delivery, from 1
    key: tuple[str, ...] = ()  # columns of the table that name a row: one that is there is written over
    withdrawn: str = ""  # column that says whether it was cancelled (撤销标志)
    marks: tuple[str, ...] = ("1", "0")  # what it says then, and else
    constants: Mapping[str, str] = msgspec.field(default_factory=dict)  # columns that always say the same


class Subscription(Settings, frozen=True):
    """A member's standing request: what we send it, in which format, by which transport."""

    id: str
    criteria: tuple[str, ...]  # FHIR searches, any of which must match: 'DiagnosticReport?status=final,corrected'
    only: str = (
        "all"  # all | placed-here (results of this member's own orders) | known-here (patients with a number here)
    )
    format: str = "fhir"  # hl7v2 | fhir | delimited | workbook | xml | json | rows
    message: str = (
        ""  # hl7v2: the structure, such as ORU_R01 or ADT_A01; exports: the map's name; fhir: bundle | resource
    )
    event: str = ""  # hl7v2: the trigger event when the structure serves several (A01, A08)
    transport: str = "http"  # mllp | http | files | sftp | database
    address: str = ""  # mllp HOST:PORT, http URL, files folder, sftp folder on the server, database env:NAME or URL
    file_name: str = ""  # files, sftp: such as LIS_{key}.TXT; {key} is the delivery's own ("" = {key}, by the format)
    table: Table | None = None  # database: where the rows go
    server: Server | None = None  # sftp: where it is, and who we are there
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)  # http: as "Authorization": "env:NAME"
    profile: Profile | None = None  # deviations of this line from the member's profile
    timeout: float = 30.0  # seconds to wait for an answer
    attempts: int = 10  # refused this often by the receiver (AE, 4xx): dead letter; a dead line is tried for ever


class Member(Settings, frozen=True):
    """An institution of the community (FHIR Organization)."""

    id: str
    name: str
    identifier: str = ""  # 统一社会信用代码 or any organisation number
    kind: str = ""  # hospital | township | village | centre, free text for people
    facilities: tuple[str, ...] = ()  # MSH-4 values and assigning authorities that mean this member
    authoritative: bool = True  # may its ADT change demographics
    queries: bool = False  # may its messages ask who is known here (QBP, QRY): the answers name patients
    confirmed: bool = True  # False: met by its MSH-4 in an open community; a person has not confirmed it
    profile: Profile = msgspec.field(default_factory=Profile)
    channels: tuple[Channel, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()


class Trigger(Settings, frozen=True):
    """What happens to a resource that is an event of a topic."""

    resource: str  # type
    on: tuple[str, ...] = ("create", "update")  # create | update | delete
    previous: str = ""  # search parameters that the version before fulfilled, such as status:not=final; a new one does
    current: str = ""  # search parameters that the version now fulfils; a deleted one does
    changed: tuple[str, ...] = ()  # elements of which one must differ from the version before


class Topic(Settings, frozen=True):
    """What FHIR clients may subscribe to by its name (SubscriptionTopic)."""

    url: str  # canonical
    title: str
    triggers: tuple[Trigger, ...]
    filters: tuple[str, ...] = ()  # search parameters by which a Subscription may narrow it


class Hooks(Settings, frozen=True):
    """Where the Subscriptions of FHIR clients may send to. Public addresses take https; what is listed here may be
    private, and be spoken to by http."""

    networks: tuple[str, ...] = ()  # such as 10.20.0.0/16; loopback and link-local only by a network of their own
    hosts: tuple[str, ...] = ()  # names whose addresses may be private
    ports: tuple[int, ...] = ()  # the only ones (() = 443 and 8443; for what is listed also 80 and from 1024 on)
    attempts: int = 10  # refused this often by the endpoint without taking anything between: error
    patience: float = 3600.0  # seconds in which the endpoint took nothing: error
    kept: float = 604_800.0  # seconds that what is missed is kept for an endpoint in error; then it is off


class Retention(Settings, frozen=True):
    """How many days things are kept once nothing is to be done with them; 0 = for ever."""

    messages: int = 0  # what came in, byte for byte
    deliveries: int = 0  # receipts of what was delivered
    history: int = 0  # versions of resources after they were replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """All members and where their own maps lie: the checked settings of one installation."""

    id: str
    name: str
    open: bool = False  # any sending facility becomes an unconfirmed member by its MSH-4
    time_zone: str = "Asia/Shanghai"
    members: Mapping[str, Member] = field(default_factory=dict)
    map_folders: tuple[str, ...] = ()  # folders with own .map files, after the shipped ones
    topics: tuple[Topic, ...] = ()  # own ones, beside those that are shipped
    hooks: Hooks = field(default_factory=Hooks)
    retention: Retention = field(default_factory=Retention)
    database: str = ""  # where the record lies: postgresql://…, env:NAME, file:PATH; "" = SQLite in the data directory

    def member_of_facility(self, facility: str) -> Member | None:
        """The member that this MSH-4 or assigning authority means."""
        return next((m for m in self.members.values() if facility in m.facilities or facility == m.id), None)
