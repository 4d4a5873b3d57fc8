"""What one translation knows: who sends or receives, in which zone and with which numbers, and what came of it."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from gateway.codec.hl7v2_escape import unescape
from gateway.fhir import bundle as bundles
from gateway.fhir.fragment import frozen
from gateway.mapping import same_number
from gateway.mapping.unread import Unread
from gateway.model import Profile, Resource

IDENTIFIER = "urn:hutong:id:"  # urn:hutong:id:{authority}[:{type}]: numbers of an assigning authority without an OID
CODE = "urn:hutong:code:"  # urn:hutong:code:{facility}:{name}: a sender's local code system
MESSAGE = "urn:hutong:message"  # message control ids, as Provenance.entity names them
KEY = "urn:hutong:key"  # numbers that the gateway derives for resources that have none of their own
CHINESE_ID = "urn:oid:2.16.156.10011.1.3"  # 居民身份证 (GB 11643)
CHINESE_ORGANIZATION = "urn:oid:2.16.156.10011.1.5"  # 医疗机构: 统一社会信用代码 (GB 32100)
SYSTEMS = -1  # the table of the memory for identifier systems
FORMS = -3  # that for the forms of texts (forms.py), by the facts of the message
_FACTS = 256
OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
CREDIT_CODE = re.compile(r"[0-9A-HJ-NP-RTUWXY]{18}")


@lru_cache(maxsize=1024)  # the names of authorities, facilities and code systems are few
def _percent(name: str) -> str:
    return quote(name, safe="")


class Entry:
    """One resource of the Bundle while it is being made."""

    condition = ""  # the same as `keyed` as a condition of the request, where that is known already
    origins: Sequence[Any] = ()  # the remembered ones that went into it (memory.py)
    deletes: Sequence[str] = ()
    parts: Sequence[tuple[str, str]] = ()  # (list, fullUrl): what it no longer has to do with
    reopen = False  # its status may move back
    together = False  # what was made of the same rows alone says that it is taken back
    shown: str | None = None  # the name that references to it show, once it has one

    def __init__(self, *, full_url: str, resource: Resource, once: bool, keyed: tuple[str, str] | None) -> None:
        self.full_url = full_url
        self.resource = resource
        self.once = once
        self.keyed = keyed  # the identifier by which it is found again; None: by its own id
        self.key = f"{keyed[0]}|{keyed[1]}" if keyed else ""


class Context:
    """State of one translation, either direction. `facility` is the sender's going in, the receiver's coming back."""

    def __init__(
        self,
        *,
        profile: Profile,
        facility: str,
        control_id: str = "",
        charset: str = "utf-8",
        facts: Mapping[str, str] | None = None,
        systems: Mapping[str, str] | None = None,
        own: frozenset[str] = frozenset(),
        occasion: str = "",
        memory: dict[int, dict[Any, Any]] | None = None,
        hidden: frozenset[tuple[str, str]] = frozenset(),
        country: str = "",
        counted: Mapping[str, int] | None = None,
    ) -> None:
        self.profile = profile
        self.facility = facility
        self.control_id = control_id
        self.charset = charset
        self.zone = ZoneInfo(profile.time_zone)
        self.facts = facts or {}
        self.systems = systems or {}
        self.country = country  # MSH-17, or the profile's
        self.own = own  # assigning authorities of the receiver
        self.occasion = occasion or control_id  # this message and no other: control ids come again
        self.entries: dict[str, Entry] = {}
        self.left: list[Entry] = []  # what could not be made whole
        self.whole: Entry | None = None  # what says of all of it where it comes from
        self.notes: list[str] = []
        self.told = 0  # how often something was noted
        self.unknown: list[tuple[str, str]] = []  # (table, code) that no table knew
        self.words: dict[tuple[str, str], str] = {}  # how the sender calls them
        self.hidden = hidden  # (table, code) that count as unknown: to see what knowing them changes
        self.lineage: list[tuple[Resource, str, list[str], int, str]] | None = None
        self.united: list[tuple[Resource, Entry]] = []  # resources that went into another one of the same number
        self.memory = defaultdict(dict) if memory is None else memory  # what coded fields became (memory.py)
        self.made: list[tuple[Resource, Entry, bool]] | None = None  # what one field makes, while it is being learned
        self.named: set[Any] = set()  # the remembered ones that this message has named already (memory.py)
        self.unread = Unread()  # of the record of an export
        self.root: Any = None  # of the tree that the records stand in
        self._scratch: Context | None = None
        self.record: tuple[Any, ...] = ()  # of an export: what tells it from the others of its file
        self._counts: dict[str, int] = dict(counted or ())  # after the batches before this one
        self._ordinals: dict[tuple[tuple[Any, ...], str], int] = {}  # by record and key
        self._passing: set[str] = set()  # keys of this message alone

    @cached_property
    def _authorities(self) -> dict[str, str]:
        return {system: name for name, system in self.profile.authorities.items()}

    @cached_property
    def forms(self) -> dict[str, dict[Any, Any]]:
        """Line → form → what makes it (forms.py), for messages of the same facts."""
        known, facts = self.memory[FORMS], tuple(self.facts.values())
        if len(known) >= _FACTS:
            known.clear()
        found: dict[str, dict[Any, Any]] = known.setdefault(facts, defaultdict(dict))
        return found

    def scratch(self) -> Context:
        """One that knows the same and has made nothing: to try how a text is read. It is given again as long as nothing
        has been made in it: whoever asks is done with the one before."""
        if self._scratch is None or not self._scratch.untouched:
            self._scratch = Context(
                profile=self.profile, facility=self.facility, control_id=self.control_id, charset=self.charset,
                facts=self.facts, systems=self.systems, own=self.own, occasion=self.occasion, hidden=self.hidden,
            )  # fmt: skip
        return self._scratch

    @property
    def untouched(self) -> bool:
        """Has nothing been made or said?"""
        made = self.entries or self.left or self.united or self.whole or self._counts or self._ordinals or self._passing
        return not (made or self.told or self.unknown or self.words)

    # -------------------------------------------------------------------------------------------- texts

    def text(self, raw: str) -> str:
        """A leaf value as a person reads it."""
        return unescape(raw, self.charset) if "\\" in raw else raw

    def leave(self, entry: Entry, element: str) -> None:
        """What lacks an element that R4 demands is not made, and said so; the raw message keeps it."""
        self.entries.pop(entry.full_url, None)
        self.left.append(entry)
        self.note(f"no {entry.resource['resourceType']} was made: the message gives no {element}")

    def note(self, text: str) -> None:
        self.told += 1  # also what was told before: what gives a note is not remembered (memory.py)
        if text not in self.notes:
            self.notes.append(text)

    # ------------------------------------------------------------------------------- identifier systems

    def system(self, namespace: str, universal: str = "", universal_type: str = "", kind: str = "") -> str:
        """The identifier system of an assigning authority (HD). Without any, the number is the sender's own."""
        systems, asked = self.memory[SYSTEMS], (namespace, universal, universal_type, kind)
        found: str | None = systems.get(asked)
        if found is None:
            if len(systems) >= 4096:
                systems.clear()
            found = systems[asked] = self._system(namespace, universal, universal_type, kind)
        return found

    def _system(self, namespace: str, universal: str, universal_type: str, kind: str) -> str:
        if universal and not any(map(str.isspace, universal)):  # R4 uri: no blanks
            match universal_type.upper():
                case "ISO" if OID.fullmatch(universal):
                    return f"urn:oid:{universal}"
                case "UUID" | "GUID":
                    return f"urn:uuid:{universal.lower()}"
                case "URI" | "URL":
                    return universal
        name = namespace or universal or self.facility
        known = self.profile.authorities.get(f"{name}:{kind}") or self.profile.authorities.get(name)
        if known:
            return known
        return f"{IDENTIFIER}{_percent(name)}{':' + _percent(kind) if kind else ''}"

    def authority(self, system: str) -> tuple[str, str, str]:
        """(namespace, universal id, universal id type) of an identifier system: the way back."""
        if system in self._authorities:
            return self._authorities[system].partition(":")[0], "", ""
        if system.startswith(IDENTIFIER):
            return unquote(system[len(IDENTIFIER) :].partition(":")[0]), "", ""
        if system.startswith("urn:oid:"):
            return "", system[8:], "ISO"
        if system.startswith("urn:uuid:"):
            return "", system[9:], "UUID"
        return ("", system, "URI") if system else ("", "", "")

    def organization_system(self, code: str) -> str:
        return CHINESE_ORGANIZATION if CREDIT_CODE.fullmatch(code) else self.system(self.facility, kind="org")

    # ------------------------------------------------------------------------------------- code systems

    def code_system(self, name: str) -> str:
        """The FHIR system of a v2 coding system name (HL7 table 0396); an unknown name is the sender's own."""
        known = self.systems.get(name.upper())
        if known:
            return known
        if name.upper().startswith("HL7") and name[3:].isdigit():
            return f"http://terminology.hl7.org/CodeSystem/v2-{name[3:].zfill(4)}"
        if name.upper().startswith(("GB", "WS", "CV")):  # national standards mean the same at every member
            return f"{CODE}{_percent(name)}"
        if ("://" in name or name.startswith("urn:")) and not any(map(str.isspace, name)):
            return name
        return self.own_code_system(name)

    def own_code_system(self, name: str) -> str:
        """The sender's local code system of this name."""
        return f"{CODE}{_percent(self.facility)}:{_percent(name)}"

    def code_system_name(self, system: str) -> str:
        """The way back: the shortest v2 name that reads as this system again."""
        if system.startswith(CODE):
            return unquote(system[len(CODE) :].rpartition(":")[2])
        if system.startswith("http://terminology.hl7.org/CodeSystem/v2-"):
            return f"HL7{system[-4:]}"
        return self.systems.get(system, system)

    @cached_property
    def local_concepts(self) -> dict[tuple[str, str], list[tuple[str, str, str]]]:
        """(standard system, code) → the local codes that mean it, as (coding system name, code, words)."""
        found: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
        for name, concepts in self.profile.concepts.items():
            for code, each in concepts.items():
                local = ("" if name == "*" else name, code, each.name)
                found.setdefault((self.code_system(each.system), each.code), []).append(local)
        return found

    def local_code(self, table: str, code: str) -> str:
        """A member's own code as the standard one, by its profile."""
        table_ = self.profile.codes.get(table)
        return table_.get(code, code) if table_ else code

    def own_code(self, table: str, code: str) -> str:
        """The way back: what the receiver itself writes for a standard code."""
        table_ = self.profile.codes.get(table)
        return next((local for local, standard in table_.items() if standard == code), code) if table_ else code

    # ---------------------------------------------------------------------------------------- resources

    def make(
        self, resource: Resource, *, once: bool = False, key: str = "", spare: bool = False,
        deletes: list[str] | None = None, reopen: bool = False, parting: same_number.Parting | None = None,
    ) -> Entry:  # fmt: skip
        """Registers a resource; the same identifier twice in one message is the same resource.

        `key`: what names it where its numbers do not, or do not suffice (panels that share one filler number);
        `spare`: only where it has none. `reopen`: its status may move back. `parting`: where its number stands for
        something that this parts it from, it is another one (same_number.py)."""
        type_ = resource["resourceType"]
        keyed = None if key and not spare else _identity(resource)
        if keyed is not None:
            full_url = bundles.full_url(type_, f"{keyed[0]}|{keyed[1]}")
            if parting and full_url in self.entries:
                keyed = self._another(resource, keyed, parting)
                full_url = bundles.full_url(type_, f"{keyed[0]}|{keyed[1]}")
        elif type_ in IDENTIFIED:
            keyed = _derived(resource, key or f"{self.facility}/{self.control_id}/{type_}/{self._next(type_)}")
            full_url = bundles.full_url(type_, f"{KEY}|{keyed[1]}")
        else:
            full_url = bundles.full_url(type_, f"{self.facility}/{self.control_id}/{key or self._next(type_)}")
        entry = self._registered(type_, resource, full_url, keyed, once=once)
        if deletes:
            entry.deletes = [*entry.deletes, *deletes]
        if reopen:
            entry.reopen = True
        if spare and key in self._passing and keyed == (KEY, key):
            entry.key = ""  # it belongs to this message alone: nothing is named by it
        return entry

    def keyed(self, resource: Resource, type_: str, key: str) -> Entry:
        """The same of a resource with an identifier element that its key alone names."""
        keyed = _derived(resource, key)
        return self._registered(type_, resource, bundles.full_url(type_, f"{KEY}|{key}"), keyed, once=False)

    def _registered(
        self, type_: str, resource: Resource, full_url: str, keyed: tuple[str, str] | None, *, once: bool
    ) -> Entry:
        entry = self.entries.get(full_url)
        shared = None if self.made is None else dict(frozen(resource, type_))
        if entry is None:
            if keyed is None:
                resource["id"] = full_url.rpartition(":")[2]
            entry = self.entries[full_url] = Entry(full_url=full_url, resource=resource, once=once, keyed=keyed)
        else:
            same_number.unite(entry.resource, resource)
            if self.lineage is not None:
                self.united.append((resource, entry))
            entry.once = entry.once and once
        if self.made is not None and shared is not None:
            self.made.append((shared, entry, once))
        return entry

    def found(self, resource: Resource) -> Entry | None:
        """What was made of the same number before."""
        keyed = _identity(resource)
        return self.entries.get(bundles.full_url(resource["resourceType"], "|".join(keyed))) if keyed else None

    def _another(self, resource: Resource, keyed: tuple[str, str], parting: same_number.Parting) -> tuple[str, str]:
        """What names a resource whose number was said before: the number, where it says the same thing again; else a
        key of the number and of what it is about, the same on each arrival."""
        type_ = resource["resourceType"]
        key = f"{keyed[0]}|{keyed[1]}/{same_number.about(resource, self._code_of)}"
        count = 1
        while (entry := self.entries.get(bundles.full_url(type_, f"{keyed[0]}|{keyed[1]}"))) is not None:
            if not parting(entry.resource, resource):
                return keyed
            keyed = (KEY, key if count == 1 else f"{key}#{count}")
            count += 1
        resource["identifier"] = [*resource["identifier"], {"system": KEY, "value": keyed[1]}]
        self.note(f"one number stands over several things: each further {type_} has a key of its own beside it")
        return keyed

    def _code_of(self, reference: str) -> Any:
        entry = self.entries.get(reference)
        return entry.resource.get("code") if entry else None

    def _next(self, type_: str) -> int:
        self._counts[type_] = self._counts.get(type_, 0) + 1
        return self._counts[type_]

    @property
    def counted(self) -> dict[str, int]:
        """By type how many have been made without a number of their own: the next batch of a file counts on."""
        return dict(self._counts)

    def spare(self, type_: str, parts: tuple[str, ...], content: Sequence[str] = ()) -> str:
        """The key of a resource without a number. Where a part of it is not said nothing could find it again without
        mistaking it for another one: it belongs to this message alone. `content`: the segment of one that is only
        created if absent; then it belongs to what is said of it, so that a result sent again has no second visit."""
        if all(parts):
            return "/".join((self.facility, *parts))
        if content:
            told = hashlib.sha256("|".join(content).rstrip("|").encode()).hexdigest()[:24]
            key = "/".join((self.facility, *filter(None, parts), type_, told))
        else:
            key = f"{self.facility}/{self.occasion}/{type_}/{self._next(type_)}"
        self._passing.add(key)
        return key

    def ordinal(self, key: str) -> str:
        """The key, numbered when the same one comes again (a second result of one code in one report). Another record
        of the same file that has it tells of the same thing, as another file would."""
        count = self._ordinals[self.record, key] = self._ordinals.get((self.record, key), 0) + 1
        return key if count == 1 else f"{key}#{count}"


IDENTIFIED = frozenset({  # resource types with an identifier element that repeats
    "Account", "AllergyIntolerance", "Appointment", "Basic", "CarePlan", "CareTeam", "ChargeItem",
    "ChargeItemDefinition", "Condition", "Consent", "Coverage", "Device", "DiagnosticReport", "DocumentReference",
    "Encounter", "EpisodeOfCare", "Flag", "Goal", "HealthcareService", "ImagingStudy", "Immunization", "Location",
    "Medication", "MedicationAdministration", "MedicationDispense", "MedicationRequest", "NutritionOrder",
    "Observation", "ObservationDefinition", "Organization", "Patient", "Practitioner", "PractitionerRole",
    "Procedure", "RelatedPerson", "ResearchStudy", "ServiceRequest", "Specimen", "SupplyDelivery",
    "SupplyRequest", "Task",
})  # fmt: skip


def _derived(resource: Resource, key: str) -> tuple[str, str]:
    """Gives a resource the number that the gateway derives for it."""
    number = {"system": KEY, "value": key}
    resource["identifier"] = [*resource["identifier"], number] if "identifier" in resource else [number]
    return KEY, key


def _identity(resource: Resource) -> tuple[str, str] | None:
    identifiers = resource.get("identifier") or ()
    if isinstance(identifiers, dict):
        identifiers = (identifiers,)
    for each in identifiers:
        if (system := each.get("system")) and (value := each.get("value")):
            return system, value
    return None


def passing(key: str, type_: str) -> bool:
    """Is it the key of a resource that belongs to its message alone: counted there, named by nothing?"""
    around, _, number = key.rpartition("/")
    return number.isdecimal() and around.endswith(f"/{type_}")
