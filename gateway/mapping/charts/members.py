"""The code lists of one member: its local codes as code systems, and what they mean as concept maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from gateway.mapping.charts.published import Published
from gateway.mapping.charts.tables import MAP, PUBLISHER, code_system, group, key, named, target_of
from gateway.mapping.charts.uses import Use
from gateway.mapping.context import CODE, Context
from gateway.mapping.datatypes.codes import ASIDE, NOTHING
from gateway.mapping.library import Library
from gateway.model import Concept, Member, Resource

MAP_OF = "urn:hutong:map-of:"  # urn:hutong:map-of:{member}:{name}: what a list of a member says
SYSTEMS, MAPS = "codes", "map-of"  # what the ids of these resources begin with
_UNNAMED = {"": "none", "*": "any"}  # coding systems that have no name


def charted(member: Member, uses: Mapping[str, Use], published: Published, library: Library) -> Iterator[Resource]:
    """The resources of one member: those of its codes of our tables, those of its own coding systems."""
    context = Context(
        profile=member.profile, facility=next(iter(member.facilities), member.id), systems=library.coding_systems
    )
    for name, codes in sorted(member.profile.codes.items()):
        table = library.codes.get(name)
        if table is None or not codes:
            continue
        system = Context(profile=member.profile, facility=member.id).own_code_system(name)
        yield _system(member, name, system, ({"code": each} for each in codes))
        by_target: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for local, standard in codes.items():
            made = table.into.get(standard, table.into.get(standard.upper(), NOTHING))
            where, told = ("", {}) if made in (NOTHING, ASIDE) else target_of(made, uses[name], published)
            equivalence = "equivalent" if told else "unmatched"
            by_target.setdefault(where, []).append((local, {**told, "equivalence": equivalence}))
        groups = [group(system, target, pairs, other=f"{MAP}{name}") for target, pairs in by_target.items()]
        yield _map(member, name, groups)
    for name, concepts in sorted(member.profile.concepts.items()):
        if concepts:
            yield from _own(member, name, concepts, context)


def _own(member: Member, name: str, concepts: Mapping[str, Concept], context: Context) -> Iterator[Resource]:
    """A coding system of the member, as its messages name it: one for each of its facilities."""
    systems = [""]
    if name not in _UNNAMED:
        facilities = member.facilities or (member.id,)
        contexts = (Context(profile=member.profile, facility=each, systems=context.systems) for each in facilities)
        systems = list(dict.fromkeys(each.code_system(name) for each in contexts))
    listed = [{"code": code, **({"display": each.name} if each.name else {})} for code, each in concepts.items()]
    for system in systems:
        if system.startswith(CODE):
            facility = system.removeprefix(CODE).partition(":")[0] if len(systems) > 1 else ""
            yield _system(member, f"{name}-{facility}" if facility else name, system, listed, "fragment")
    by_target: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for code, each in concepts.items():
        told = {"code": each.code, **({"display": each.display} if each.display else {}), "equivalence": "equivalent"}
        by_target.setdefault(context.code_system(each.system), []).append((code, told))
    groups = [group(system, target, pairs) for system in systems for target, pairs in by_target.items()]
    yield _map(member, _UNNAMED.get(name, name), groups)


def _system(member: Member, name: str, url: str, concepts: Any, content: str = "complete") -> Resource:
    return code_system(
        id=key(SYSTEMS, member.id, name), url=url, name=named(member.id, name), content=content,
        title=f"{member.name}: {name}", concepts=concepts,
    )  # fmt: skip


def _map(member: Member, name: str, groups: list[dict[str, Any]]) -> Resource:
    return {
        "resourceType": "ConceptMap",
        "id": key(MAPS, member.id, name),
        "url": f"{MAP_OF}{quote(member.id, safe='')}:{quote(name, safe='')}",
        "name": named(member.id, name, "map"),
        "title": f"{member.name}: what its codes of {name} mean",
        "status": "active",
        "publisher": PUBLISHER,
        "group": groups,
    }
