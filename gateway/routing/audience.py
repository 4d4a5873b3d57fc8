"""For one committed change: the subscriptions to which it is owed.

A subscription wants a change when one of its criteria matches, its `only` rule holds, and the change was not made by
a message of the same member.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.model import Change, Community, Member, Resource, Subscription
from gateway.routing.criteria import compile_criteria, indexed

SYSTEM = "urn:hutong:id:"  # + facility or assigning authority [+ ':' + type of number]
PLACER = "PLAC"  # HL7 table 0203 / v2-0203: the number that the placer gave


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the record knows around a change; whoever calls fills it."""

    patient: Resource | None = None  # the Patient it is about, with all identifiers; the resource itself for a Patient
    orders: tuple[Resource, ...] = ()  # ServiceRequests that it is based on; none needed for a ServiceRequest itself
    owners: frozenset[str] = frozenset()  # member ids that are known otherwise to have placed it (the requester's)


NOTHING = Context()


def wanted(
    community: Community, *, change: Change, resource: Resource, sender: str, context: Context = NOTHING
) -> list[Subscription]:
    """The subscriptions that are owed this change, in the order of the settings.

    `resource` is the version that was committed (for a delete: the last one before it), `sender` the id of the member
    whose message made it, "" when nobody's did. Nothing is owed for a resource type that no criteria names.
    """
    if resource.get("resourceType") != change.type:
        return []
    rows = indexed(resource)
    return [
        subscription
        for member in community.members.values()
        if member.id != sender
        for subscription in member.subscriptions
        if any(compile_criteria(text).holds(resource, rows) for text in subscription.criteria)
        and _ONLY[subscription.only](member, resource, community, context)
    ]


def owner_of(system: str, community: Community) -> str | None:
    """The member whose numbers carry this identifier system; None for anybody else's (national numbers, say).

    `urn:hutong:id:{facility or authority}[:{type}]` and `urn:oid:{oid}` by the member's facilities; any other
    system when a member's profile gives it to an authority that is one of its own facilities.
    """
    for name in _authorities(system):
        member = community.member_of_facility(name)
        if member:
            return member.id
    for member in community.members.values():
        own = {*member.facilities, member.id}
        if any(system == given and authority in own for authority, given in member.profile.authorities.items()):
            return member.id
    return None


def _authorities(system: str) -> Iterator[str]:
    """The names that a system may carry, the longest first: an authority may itself hold a colon."""
    if system.startswith("urn:oid:"):
        yield system.removeprefix("urn:oid:")
    elif system.startswith(SYSTEM):
        name = system.removeprefix(SYSTEM)
        while name:
            yield unquote(name)
            name = name.rpartition(":")[0]


def _everybody(_member: Member, _resource: Resource, _community: Community, _context: Context) -> bool:
    return True


def _placed_here(member: Member, resource: Resource, community: Community, context: Context) -> bool:
    """The order's placer number or its requester is this member's."""
    if member.id in context.owners:
        return True
    papers = (resource, *context.orders)
    return any(owner_of(system, community) == member.id for paper in papers for system in _placer_systems(paper))


def _known_here(member: Member, resource: Resource, community: Community, context: Context) -> bool:
    """The patient has a number here."""
    patient = resource if resource.get("resourceType") == "Patient" else context.patient
    systems = (identifier.get("system", "") for identifier in (patient or {}).get("identifier", ()))
    return any(owner_of(system, community) == member.id for system in systems)


def _placer_systems(paper: Resource) -> Iterator[str]:
    for identifier in paper.get("identifier", ()):
        codings = identifier.get("type", {}).get("coding", ())
        if any(coding.get("code") == PLACER for coding in codings):
            yield identifier.get("system", "")
    requester = paper.get("requester", {})
    yield requester.get("identifier", {}).get("system", "")


_ONLY: Mapping[str, Callable[[Member, Resource, Community, Context], bool]] = {
    "all": _everybody,
    "placed-here": _placed_here,
    "known-here": _known_here,
}
