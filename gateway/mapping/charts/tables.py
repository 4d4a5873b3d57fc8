"""A code table of the maps: the code system of what senders write, and a concept map a direction.

What stands both ways in the table (`M=male`) is `equivalent`; what goes one way only is `relatedto`, since the table
does not say more; a code of which the table says nothing in the target system (`-`) is `unmatched`; its default (`*`)
is the group's `unmapped` (R4 conceptmap.html).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gateway.mapping.charts.published import Published
from gateway.mapping.charts.uses import Use
from gateway.mapping.datatypes.codes import ASIDE, NOTHING
from gateway.mapping.syntax import CodeTable
from gateway.model import Resource

TABLE: Final = "urn:hutong:table:"  # urn:hutong:table:{name}: what senders write, as the table reads it
MAP: Final = "urn:hutong:map:"  # urn:hutong:map:{name}: the table as a concept map; …:back: its way back
PUBLISHER: Final = "Hutong 互通"
WHOLE: Final = frozenset({"urn:oid:2.16.156.10011.2.3.3.5", "urn:oid:2.16.156.10011.2.3.3.3"})  # GB/T 2261.2, GB/T 3304
_DEFAULT: Final = "*"
_OTHER: Final = re.compile(r"[^A-Za-z0-9.-]+")

Pair = tuple[str, dict[str, Any]]  # a source code, and an element target


def key(*parts: str) -> str:
    """A resource id of these words (R4 datatypes.html#id); where it cannot hold them a digest tells them apart."""
    wanted = "-".join(parts).replace("_", "-")
    plain = _OTHER.sub("-", wanted).strip("-")
    if plain == wanted and len(plain) <= 64:
        return plain
    return f"{plain[:55]}-{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"


def named(*parts: str) -> str:
    """A name as programs use it: 'EncounterClassBack'."""
    words = [word for part in parts for word in re.findall(r"[A-Za-z0-9]+", part)]
    return "".join(word[0].upper() + word[1:] for word in ("Hutong", *words))


def source_systems(name: str, use: Use) -> list[str]:
    """The code systems of what a table reads: HL7's tables of its fields, else its own."""
    return use.sources or [f"{TABLE}{name}"]


def charted(table: CodeTable, use: Use, published: Published, others: Mapping[str, CodeTable]) -> Iterator[Resource]:
    """The resources of one table."""
    if use.listed:
        yield from _list(table)
        return
    if not use.of and not use.sources:
        yield _own_system(table)
    sources = [_list_system(others[use.of])] if use.of else source_systems(table.name, use)
    if len(table.into) - (_DEFAULT in table.into):
        yield _into(table, use, published, sources)
    if table.back:
        yield _back(table, use, published, sources)


# ---------------------------------------------------------------------------------------------- code systems


def _own_system(table: CodeTable) -> Resource:
    words = {**dict.fromkeys(table.into), **dict.fromkeys(table.back.values())}
    codes = [each for each in words if each not in (_DEFAULT, NOTHING, ASIDE)]
    folded = {each.casefold() for each in codes}
    return code_system(
        id=key("table", table.name),
        url=f"{TABLE}{table.name}",
        name=named(table.name),
        title=f"What senders write: code table {table.name}",
        cased=len(folded) < len(codes),
        concepts=({"code": each} for each in codes),
    )


def code_system(
    *, id: str, url: str, name: str, title: str, concepts: Iterable[dict[str, Any]], content: str = "complete",
    cased: bool = True, language: str = "",
) -> Resource:  # fmt: skip
    """A CodeSystem of ours."""
    made: Resource = {"resourceType": "CodeSystem", "id": id}
    if language:
        made["language"] = language
    made |= {
        "url": url, "name": name, "title": title, "status": "active", "publisher": PUBLISHER, "caseSensitive": cased,
        "content": content,
    }  # fmt: skip
    listed = list(concepts)
    return {**made, "concept": listed} if listed else made


def _list_system(table: CodeTable) -> str:
    return table.system or f"{TABLE}{table.name}"


def _list(table: CodeTable) -> Iterator[Resource]:
    """A list of codes with their Chinese names, and the words that are read as its codes."""
    system = _list_system(table)
    whole = not table.system or system in WHOLE
    yield code_system(
        id=key("list", table.name), url=system, name=named(table.name), title=f"Code list {table.name}",
        content="complete" if whole else "fragment", language="zh-CN",
        concepts=({"code": code, "display": name} for name, code in table.back.items()),
    )  # fmt: skip
    pairs = [
        (word, {"code": code, "display": name, "equivalence": "equivalent"})
        for word, name in table.into.items()
        if (code := table.back.get(name, word)) != word
    ]
    if not pairs:
        return
    words = f"{TABLE}{table.name}:words"
    yield code_system(
        id=key("table", table.name, "words"), url=words, name=named(table.name, "words"),
        title=f"What senders write for codes of the list {table.name}", concepts=({"code": word} for word, _ in pairs),
    )  # fmt: skip
    yield concept_map(table.name, (), groups=[group(words, system, pairs)])


# ---------------------------------------------------------------------------------------------- concept maps


def _into(table: CodeTable, use: Use, published: Published, sources: Iterable[str]) -> Resource:
    by_target: dict[str, list[Pair]] = {}
    nothing: list[Pair] = []
    for code, made in table.into.items():
        if code == _DEFAULT:
            continue
        if made in (NOTHING, ASIDE):
            nothing.append((code, {"equivalence": "unmatched"}))
            continue
        target = target_of(made, use, published)
        same = "equivalent" if table.back.get(made) == code else "relatedto"
        by_target.setdefault(target[0], []).append((code, {**target[1], "equivalence": same}))
    default = table.into.get(_DEFAULT, NOTHING)
    where, fixed = ("", {}) if default in (NOTHING, ASIDE) else target_of(default, use, published)
    if fixed:
        by_target.setdefault(where, [])
    first = next(iter(by_target), use.targets[0] if use.targets else "")
    by_target[first] = [*by_target.get(first, []), *nothing]
    groups = [
        group(source, target, pairs, fixed=fixed if target == where else {})
        for source in sources
        for target, pairs in by_target.items()
        if pairs
    ]
    return concept_map(table.name, use.sets, groups=groups)


def _back(table: CodeTable, use: Use, published: Published, sources: Iterable[str]) -> Resource:
    by_source: dict[str, list[Pair]] = {}
    for made, code in table.back.items():
        if made != _DEFAULT:
            same = "equivalent" if table.into.get(code) == made else "relatedto"
            system = target_of(made, use, published)[0]
            by_source.setdefault(system, []).append((made, {"code": code, "equivalence": same}))
    default = table.back.get(_DEFAULT, NOTHING)
    fixed = {} if default == NOTHING else {"code": default}
    groups = [
        group(system, source, _with_displays(pairs, source, published), fixed=fixed)
        for source in sources
        for system, pairs in by_source.items()
    ]
    return concept_map(table.name, (), "back", groups=groups)


def _with_displays(pairs: Iterable[Pair], system: str, published: Published) -> list[Pair]:
    shown = published.displays(system)
    return [
        (code, {**told, "display": shown[told["code"]]} if shown.get(told["code"]) else told) for code, told in pairs
    ]


def target_of(code: str, use: Use, published: Published) -> tuple[str, dict[str, Any]]:
    """(system, code and display) of what a table makes."""
    system = published.system_of(code, use.targets)
    display = published.displays(system).get(code, "")
    return system, {"code": code, "display": display} if display else {"code": code}


def group(
    source: str, target: str, pairs: Iterable[Pair], *, fixed: Mapping[str, Any] | None = None, other: str = ""
) -> dict[str, Any]:
    """A group; `fixed`: what all other codes become; `other`: the map that knows of them."""
    elements: dict[str, list[dict[str, Any]]] = {}
    for code, told in pairs:
        elements.setdefault(code, []).append(told)
    made: dict[str, Any] = {"source": source} if source else {}
    if target:
        made["target"] = target
    made["element"] = [{"code": code, "target": told} for code, told in elements.items()]
    if fixed:
        made["unmapped"] = {"mode": "fixed", **fixed}
    elif other:
        made["unmapped"] = {"mode": "other-map", "url": other}
    return made


def concept_map(table: str, sets: Iterable[str], *more: str, groups: list[dict[str, Any]]) -> Resource:
    """The ConceptMap of a table; `more`: what tells its direction."""
    bound = list(sets)
    return {
        "resourceType": "ConceptMap",
        "id": key("map", table, *more),
        "url": ":".join((f"{MAP}{table}", *more)),
        "name": named(table, "map", *more),
        "title": f"Code table {table}{', the way back' if more else ''}",
        "status": "active",
        "publisher": PUBLISHER,
        **({"targetCanonical": bound[0]} if len(bound) == 1 else {}),
        "group": groups,
    }
