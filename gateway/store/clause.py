"""One `name:modifier=value` of a query, read: a criterion, or a way through references to one (R4 search.html)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, Protocol, TypeAlias
from zoneinfo import ZoneInfo

from gateway.db.record import ZONE, composite_number, parameter_number
from gateway.errors import Permanent
from gateway.fhir import definitions
from gateway.fhir.searchparameters import SearchParameter, parameters
from gateway.store import index, local
from gateway.store.columns import real
from gateway.store.escapes import split

MAXIMUM_CHAIN: Final = 4
MAXIMUM_CODES: Final = 10_000  # that a ValueSet may bring into one search
_UNSEARCHABLE: Final = frozenset({"_filter", "_query", "_text", "_content", "_list"})
_OF_TOKENS: Final = frozenset({"text", "not", "in", "not-in", "above", "below"})
_MODIFIERS: Final = {
    "token": _OF_TOKENS,
    "reference": frozenset({"identifier"}),  # and the name of a type
    "string": frozenset({"exact", "contains"}),
    "uri": frozenset({"above", "below"}),
}
_ID_ONLY: Final = frozenset({"not"})  # what _id takes
TERMINOLOGY: Final = frozenset({"in", "not-in", "above", "below"})

_ANY_SYSTEM: Final = "parameter IN (SELECT number FROM index_half WHERE parameter = ? AND value = ?)"
_LOCAL: Final = SearchParameter(local.PARAMETER, "local", (), "", lambda _: [])

Code: TypeAlias = tuple[str, str]  # (system, code)


class Codes(Protocol):
    """What a search needs to know of terminology. Each raises Permanent for what it does not know."""

    def members(self, value_set: str) -> Collection[Code]:
        """All codes of a ValueSet, named by its canonical URL (perhaps with |version) or as 'ValueSet/id'."""
        ...

    def below(self, system: str, code: str) -> Collection[Code]:
        """The code itself and everything that it subsumes."""
        ...

    def above(self, system: str, code: str) -> Collection[Code]:
        """The code itself and everything that subsumes it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a query is read in."""

    codes: Codes | None = None  # None: no terminology here, :in and the like are refused
    base: str = ""  # the address of this service: 'http://host/fhir/Patient/1' means 'Patient/1'


NOWHERE: Final = Around()


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One `name:modifier=value`; commas in the value mean or."""

    type: str  # of the resource; 'MedicationRequest#medication:Medication' for what is contained there
    parameter: SearchParameter
    modifier: str
    values: tuple[str, ...]  # escaped still
    zone: tzinfo  # for times without an offset
    codes: tuple[Code, ...] = ()  # instead of values: what terminology made of them
    half: tuple[str | None, str] | None = None  # of a composite: (system, code) beside which the value stands

    @property
    def number(self) -> int:
        return parameter_number(self.type, self.parameter.name)

    @property
    def rows(self) -> str:
        """Which rows of an index table are meant, as SQL; see row_values."""
        return _ANY_SYSTEM if self.half and self.half[0] is None else "parameter = ?"

    @property
    def row_values(self) -> tuple[int | str, ...]:
        """What the marks in `rows` stand for."""
        if self.half is None:
            return (self.number,)
        system, code = self.half
        if system is None:
            return self.number, code
        return (composite_number(self.type, self.parameter.name, system, code),)

    @property
    def place(self) -> str:
        return f"{real(self.type)}?{self.parameter.name}"


@dataclass(frozen=True, slots=True)
class Chain:
    """`patient:Patient.identifier=…`: a reference to something that fulfils a further clause."""

    type: str
    parameter: SearchParameter
    targets: tuple[tuple[str, Clause], ...]  # resource type that it leads to, and what that fulfils
    contained: tuple[Clause, ...] = ()  # the same asked of what the resource itself contains


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Observation:patient:code=…`: something refers here that fulfils a further clause."""

    type: str
    source: str  # resource type that refers
    parameter: SearchParameter  # by which it refers
    inner: Clause


@dataclass(frozen=True, slots=True)
class Inside:
    """What belongs to the compartment of one resource: any of the criteria refers to it."""

    criteria: tuple[Criterion, ...]


Clause: TypeAlias = Criterion | Chain | Has | Inside


def refused(criterion: Criterion, cause: str, remedy: str = "") -> Permanent:
    """The error for a value or modifier that cannot be searched; it does not repeat the value."""
    return Permanent(cause, place=criterion.place, remedy=remedy)


def zone() -> tzinfo:
    """The zone of times without an offset."""
    return ZoneInfo(ZONE)


def known(type: str, name: str) -> SearchParameter:
    """The parameter of that name; Permanent when the type has none that can be searched."""
    if name == local.PARAMETER:
        return _LOCAL
    parameter = parameters(real(type)).get(name)
    special = parameter is None or name in _UNSEARCHABLE or parameter.kind == "special"
    if parameter is None or special or not (parameter.expression or index.aliases(type, name)):
        raise Permanent(
            f"{real(type)} has no search parameter {name[:40]!r} here",
            place="search",
            remedy="see CapabilityStatement.rest.resource.searchParam",
        )
    return parameter


def modifiers(parameter: SearchParameter) -> frozenset[str]:
    """The modifiers that a parameter takes here, those of terminology and the names of types among them."""
    if parameter.kind in ("composite", "local"):
        return frozenset()
    if parameter.name in ("_id", "_lastUpdated"):
        return _ID_ONLY if parameter.name == "_id" else frozenset()
    found = _MODIFIERS.get(parameter.kind, frozenset()) | {"missing"}
    if parameter.kind == "reference":
        found |= set(parameter.targets)
    return found | {"of-type"} if parameter.name == "identifier" and parameter.kind == "token" else found


def inside(type: str, names: Collection[str], whose: str) -> Inside:
    """What refers to `whose` ('Patient/1') by any of the parameters."""
    found = (
        Criterion(type=type, parameter=known(type, name), modifier="", values=(whose,), zone=zone()) for name in names
    )
    return Inside(tuple(found))


# ------------------------------------------------------------------------------------------------ reading


def read(type: str, name: str, value: str, around: Around = NOWHERE, *, depth: int = 0) -> Clause:
    """One `name[:modifier]=value` of a type. Permanent for what is not known or makes no sense."""
    if depth > MAXIMUM_CHAIN:
        raise Permanent(f"a chain has at most {MAXIMUM_CHAIN} links", place=f"{real(type)}?")
    if name.startswith("_has:"):
        return _has(type, name, value, around, depth)
    head, dot, rest = name.partition(".")
    base, _, modifier = head.partition(":")
    parameter = known(type, base)
    if dot:
        return _chain(type, parameter, modifier, (rest, value), around, depth)
    if modifier and modifier not in modifiers(parameter):
        raise Permanent(f"the modifier :{modifier[:20]} is not supported", place=f"{real(type)}?{base}")
    criterion = Criterion(
        type=type,
        parameter=parameter,
        modifier=modifier,
        values=tuple(part for part in split(value, ",") if part),
        zone=zone(),
    )
    if not criterion.values:
        raise refused(criterion, "there is no value between the commas")
    return _prepared(criterion, around)


def _prepared(criterion: Criterion, around: Around) -> Criterion:
    """With codes from terminology, and references to this service without its address."""
    if criterion.parameter.kind == "token" and criterion.modifier in TERMINOLOGY:
        return _expanded(criterion, around.codes)
    if criterion.parameter.kind == "reference" and around.base and criterion.modifier != "identifier":
        short = tuple(value.removeprefix(f"{around.base}/") for value in criterion.values)
        return _with(criterion, values=short)
    return criterion


def _expanded(criterion: Criterion, codes: Codes | None) -> Criterion:
    if codes is None:
        raise refused(criterion, f"the modifier :{criterion.modifier} needs code systems, and there are none here")
    found: dict[Code, None] = {}
    for value in criterion.values:
        if criterion.modifier in ("in", "not-in"):
            found |= dict.fromkeys(codes.members(value))
            continue
        system, bar, code = value.partition("|")
        if not (system and bar and code):
            raise refused(criterion, f":{criterion.modifier} needs system|code")
        subsumed = codes.below if criterion.modifier == "below" else codes.above
        found |= dict.fromkeys(subsumed(system, code))
    if len(found) > MAXIMUM_CODES:
        raise refused(criterion, f"more than {MAXIMUM_CODES} codes", "name a smaller ValueSet")
    return _with(criterion, values=(), codes=tuple(found))


def _with(
    criterion: Criterion, *, values: tuple[str, ...], codes: tuple[Code, ...] = (), modifier: str | None = None
) -> Criterion:
    return Criterion(
        type=criterion.type,
        parameter=criterion.parameter,
        modifier=criterion.modifier if modifier is None else modifier,
        values=values,
        zone=criterion.zone,
        codes=codes,
    )


def _chain(
    type: str, parameter: SearchParameter, target: str, asked: tuple[str, str], around: Around, depth: int
) -> Chain:
    place = f"{real(type)}?{parameter.name}"
    if parameter.kind != "reference":
        raise Permanent("a chain leads through references", place=place)
    if target and target not in definitions.resource_types():
        raise Permanent("not a resource type in a chain", place=place)
    name, value = asked
    head = name.partition(".")[0].partition(":")[0]
    kinds = (target,) if target else parameter.targets
    if parameter.name == "patient" and not target:
        kinds = ("Patient",)
    kinds = tuple(kind for kind in kinds if head == "_has" or head in parameters(kind))
    if not kinds:
        raise Permanent(f"no target of {parameter.name} has {head[:40]!r}", place=f"{real(type)}?chain")
    targets, errors = [], []
    for kind in kinds:
        try:
            targets.append((kind, read(kind, name, value, around, depth=depth + 1)))
        except Permanent as error:
            errors.append(error)
    if not targets:
        raise errors[0]
    within = _within(type, parameter.name, [kind for kind, _ in targets], asked, around, depth)
    return Chain(type, parameter, tuple(targets), within)


def _within(
    type: str, name: str, kinds: list[str], asked: tuple[str, str], around: Around, depth: int
) -> tuple[Clause, ...]:
    """The same clause asked of contained resources (R4 search.html#contained: a chain is evaluated inside them)."""
    if asked[0].startswith(("_has:", "_id", "_lastUpdated", local.PARAMETER)) or type.count("#") >= index.NESTED:
        return ()
    return tuple(read(index.contained(type, name, kind), *asked, around, depth=depth + 1) for kind in kinds)


def _has(type: str, name: str, value: str, around: Around, depth: int) -> Has:
    parts = name.split(":", 3)
    if len(parts) != 4 or parts[1] not in definitions.resource_types():
        raise Permanent("write _has:Type:reference:parameter", place=type)
    parameter = known(parts[1], parts[2])
    if parameter.kind != "reference":
        raise Permanent("_has leads through a reference", place=f"{parts[1]}?{parts[2]}")
    return Has(type, parts[1], parameter, read(parts[1], parts[3], value, around, depth=depth + 1))
