"""The nouns of the mapping language, as the grammar reads them; every one knows its file and line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

WHOLE = "Resource"  # `= @@@Resource`: everything that the message became


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A source value: `PID-3*`, `OBX[3 in (19005-8)]-5`, a column, or a path into a tree."""

    segment: str = ""  # "" for a column or a path
    number: int = 0
    repeats: bool = False  # '*': every repetition
    component: int = 0
    subcomponent: int = 0
    every: bool = False  # 'OBX[]-5': every such segment of the group and of the groups in it
    where: Condition | None = None  # 'OBX[OBX-3.1 = x]-5': only those segments
    name: str = ""  # column name or path

    def __str__(self) -> str:
        if not self.segment:
            return self.name
        parts = "".join(f".{part}" for part in (self.component, self.subcomponent) if part)
        return f"{self.segment}-{self.number}{'*' if self.repeats else ''}{parts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`!a`, `a and b`, `a or b`, `PID-8 in (M F)`, `EVENT = A03`: decided on the source, before mapping."""

    operator: Literal["valued", "in", "not", "and", "or"]
    field: Field | None = None
    fact: str = ""  # EVENT, STRUCTURE, MESSAGE, VERSION instead of a field
    values: tuple[str, ...] = ()
    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One element of a FHIR path: `telecom*{use=home|mobile}`."""

    name: str
    repeats: bool = False
    slice: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (element path, admissible values; the first is set going in)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """`= final`, `= loinc#19005-8 "Impression"`, `= "text"`."""

    text: str
    system: str = ""
    display: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """`= @ServiceRequest`: the nearest one made beside or above; `= @@Observation`: all made here and below;
    `= @@@Patient`: all others of the whole message. `= !@@@Patient`: what stands there for those is to be taken out."""

    type: str
    every: bool = False
    everywhere: bool = False
    parts: bool = False
    element: str = ""  # `= @ServiceRequest.subject`: what stands there, not the resource itself


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValue:
    """`PV1-44:timed` in a key: what the data type makes of the field, however it was written."""

    field: Field
    datatype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWord:
    """`=8310-5` in a key: tells what several blocks make of one record apart."""

    text: str


KeyPart = KeyValue | KeyWord | tuple[Link | Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One fact: where the value stands in the source, where in FHIR, and what lies between."""

    place: Place
    into: bool  # source → FHIR
    back: bool  # FHIR → source
    sources: tuple[Field, ...]  # alternatives: the first one valued goes in, all are written coming back
    target: tuple[Step, ...]
    datatype: str = ""
    arguments: tuple[Field, ...] = ()  # fields first, as many as the data type takes; the rest are words
    codes: str = ""
    constant: Constant | None = None
    link: Link | None = None
    reference: str = ""  # '=> Practitioner': the value becomes a resource of its own, referenced from here
    condition: Condition | None = None

    @property
    def path(self) -> str:
        return ".".join(step.name for step in self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """`ORC OBR => DiagnosticReport key identifier in ORU_R01`: which part of the source makes which resource.

    `AIL => Appointment.participant*`: which part makes an element of the resource that was made beside or above."""

    place: Place
    segments: tuple[str, ...] = ()
    rows_by: tuple[str, ...] | None = (
        None  # exports: one resource for the rows that agree in these columns; () = every row
    )
    each: str = ""  # trees: one resource for every node at this path below the current one
    type: str = ""
    element: Step | None = None  # the block makes an element of this list, not the resource itself
    into: bool = True
    back: bool = True
    key: tuple[KeyPart, ...] = ()  # what names it: of alternatives the first that is there
    spare: bool = False  # `else key`: the key names it only where it has no identifier of its own
    reopen: Condition | None = None  # then its status may move back (a cancelled discharge)
    structures: tuple[str, ...] = ()  # only in these message structures ("" = all)
    without: tuple[str, ...] = ()  # not in these
    condition: Condition | None = None
    once: bool = False  # created if absent, never changed by this
    found: bool = False  # only what other records of the file have made, found by its number: nothing is made
    unless: str = ""  # backward-only blocks: not when an Observation of this code is there already
    lines: tuple[Line, ...] = ()

    @property
    def key_links(self) -> list[Link]:
        """The resources that name it, alternatives too."""
        parts = (part for part in self.key if isinstance(part, tuple))
        return [each for part in parts for each in part if isinstance(each, Link)]

    @property
    def path(self) -> str:
        """Where the paths of its lines begin: 'Appointment', 'Appointment.participant'."""
        return f"{self.type}.{self.element.name}" if self.element else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTable:
    """A two-way code table; '*' is the default."""

    place: Place
    name: str
    into: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    system: str = ""  # the system of the codes on the FHIR side, where they become codings


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """`message ORU_R01 for DiagnosticReport = MSH [PID] (OBR (OBX)*)*`: one message structure."""

    place: Place
    name: str
    lead: str  # the resource a message of this structure is about: one group (or message) for each going back
    root: Group
    events: dict[str, str] = field(default_factory=dict)  # 'ADT_A04': trigger events that use this structure
    once: tuple[str, ...] = ()  # resource types that this message creates if absent and never changes
    others: tuple[str, ...] = ()  # `for Encounter or Patient`: what it may be about where it makes no lead
    each: str = ""  # `each PID`: all that follows the head repeats with this segment, a patient each time

    def holds(self, segment: str) -> bool:
        """Does it name this segment anywhere?"""
        return self.root.holds(segment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of segments: items in order; a nested repeating group is a scope of its own."""

    items: tuple[Item, ...]

    def holds(self, segment: str) -> bool:
        return any(each.group.holds(segment) if each.group else each.segment == segment for each in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A segment or a repeating group in its parent."""

    segment: str = ""
    group: Group | None = None
    repeats: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """`export laboratory_results table columns 申请单号 项目代码`: a file shape, recognised by its columns."""

    place: Place
    name: str
    format: str  # table | tree
    lead: str
    each: str = ""  # trees: the path of the nodes
    columns: tuple[str, ...] = ()  # must be there for the file to be recognised
    order: tuple[str, ...] = ()  # all columns in the order they are written
    latest: tuple[str, ...] = ()  # the columns of times that tell which of several rows of one thing is newer
    once: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    like: str = ""  # an overlay: the export that it says otherwise
    named: tuple[tuple[str, str], ...] = ()  # its column, the receiver's
    without: tuple[str, ...] = ()  # columns that are not written
    tables: tuple[tuple[str, str], ...] = ()  # its code table, the receiver's

    @property
    def writes(self) -> bool:
        """Has any of its lines a way back?"""
        return any(line.back and line.sources for block in self.blocks for line in block.lines)
