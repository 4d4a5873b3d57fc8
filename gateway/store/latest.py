"""The newest observations of each kind of one patient (R4 observation-operation-lastn.html).

Pages come newest first from the index of the patient. What has a kind that is full already is left out by the index of
codes, so that of thousands of results only those are read that are shown, and a page besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.db.engine import Reader
from gateway.store import search
from gateway.store.query import Pairs
from gateway.store.stored import Stored

PAGE: Final = 200  # observations that are read at a time
EXCLUDED: Final = 200  # codes that are left out by the index

Kind = tuple[str, str]  # system and code; ('', text) where there is only text


@dataclass(slots=True, eq=False)
class _Group:
    kinds: set[Kind]
    members: list[Stored] = field(default_factory=list)


def latest(reader: Reader, pairs: Pairs, most: int) -> list[Stored]:
    """Of each kind the newest `most`; kinds by their newest, each from the newest on. Of two of one instant the one
    that was stored later comes first. Observations whose codings have one in common are of one kind. Permanent for a
    search that is not understood."""
    groups: list[_Group] = []
    by_kind: dict[Kind, _Group] = {}
    excluded: list[str] = []
    cursor = ""
    while True:
        asked = [*pairs, *(("code:not", token) for token in excluded), ("_sort", "-date"), ("_count", str(PAGE))]
        page = search.search(reader, "Observation", [*asked, *([("_cursor", cursor)] if cursor else [])])
        for match in page.matches:
            group = _group(set(_kinds(match.resource)), groups, by_kind)
            if len(group.members) < most:
                group.members.append(match)
        if page.next is None:
            return [member for group in groups for member in group.members]
        cursor = page.next
        full = (kind for group in groups if len(group.members) == most for kind in sorted(group.kinds))
        excluded = [_token(kind) for kind in full if kind[0]][:EXCLUDED]


def _group(kinds: set[Kind], groups: list[_Group], by_kind: dict[Kind, _Group]) -> _Group:
    """The group of these kinds: that of the first one known, else a new one."""
    found = next((by_kind[kind] for kind in sorted(kinds) if kind in by_kind), None)
    if found is None:
        found = _Group(kinds)
        groups.append(found)
    found.kinds |= kinds
    for kind in kinds:
        by_kind.setdefault(kind, found)
    return found


def _kinds(observation: dict[str, Any]) -> Iterator[Kind]:
    code = observation.get("code", {})
    codings = [each for each in code.get("coding", ()) if each.get("code")]
    if not codings:
        yield "", " ".join(str(code.get("text", "")).split()).casefold()
    for each in codings:
        yield str(each.get("system", "urn:none")), str(each["code"])


def _token(kind: Kind) -> str:
    system, code = (part.replace("\\", "\\\\").replace("|", "\\|").replace(",", "\\,") for part in kind)
    return f"{'' if system == 'urn:none' else system}|{code}"
