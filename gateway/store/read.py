"""Reads single resources: the current version, an old one, all of them, the one of a past transaction."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from gateway.db.engine import Reader
from gateway.errors import Permanent
from gateway.fhir import reference
from gateway.model import Resource
from gateway.store.stored import Page, Stored, milliseconds, moment

COLUMNS = "r.type, r.id, r.version, r.updated, r.deleted, r.body, r.committed"
CURRENT = f"SELECT {COLUMNS} FROM resource r WHERE r.type = ? AND r.id = ?"
_OLD_COLUMNS = "r.type, r.id, h.version, h.updated, h.deleted, h.body, h.committed"
OLD = f"SELECT {_OLD_COLUMNS} FROM resource r JOIN history h ON h.rid = r.rid WHERE r.type = ? AND r.id = ?"
ONE_OLD = f"{OLD} AND h.version = ?"
AS_OF = f"{OLD} AND h.committed <= ? ORDER BY h.version DESC LIMIT 1"
# The end of an old version is the beginning of the next one, which is old too or is the current one.
_ENDED = "coalesce((SELECT n.updated FROM history n WHERE n.rid = h.rid AND n.version = h.version + 1), r.updated)"
_AT = " AND r.updated <= ?", f" AND h.updated <= ? AND {_ENDED} > ?"  # of the current version, of an old one


# Whether the version before says "deleted".
_RENEWED = "coalesce((SELECT p.deleted FROM history p WHERE p.rid = r.rid AND p.version = {}.version - 1), 0)"


def _histories(current: str, old: str) -> tuple[str, str, str, str]:
    """The statements of a page of one resource's versions, of their number, of a page of a type's versions, of their
    number."""
    newest, older = f"{COLUMNS}, {_RENEWED.format('r')}", f"{_OLD_COLUMNS}, {_RENEWED.format('h')}"
    every = (
        f"(SELECT {newest} FROM resource r WHERE r.type = ? AND r.id = ?{current} UNION ALL SELECT {older} "
        f"FROM resource r JOIN history h ON h.rid = r.rid WHERE r.type = ? AND r.id = ?{old}) AS every"
    )
    return (
        f"SELECT * FROM {every} WHERE version < ? AND updated >= ? ORDER BY version DESC LIMIT ?",
        f"SELECT count(*) FROM {every} WHERE updated >= ?",
        f"SELECT * FROM (SELECT {newest} FROM resource r WHERE r.type = ?{current} AND (r.updated, r.id) < (?, ?) "
        "AND r.updated >= ? ORDER BY r.updated DESC, r.id DESC LIMIT ?) AS current UNION ALL "
        f"SELECT * FROM (SELECT {older} FROM history h JOIN resource r ON r.rid = h.rid "
        f"WHERE h.type = ?{old} AND (h.updated, r.id) < (?, ?) AND h.updated >= ? "
        "ORDER BY h.updated DESC, r.id DESC LIMIT ?) AS old ORDER BY 4 DESC, 2 DESC LIMIT ?",
        f"SELECT (SELECT count(*) FROM resource r WHERE r.type = ?{current} AND r.updated >= ?) + "
        f"(SELECT count(*) FROM history h JOIN resource r ON r.rid = h.rid "
        f"WHERE h.type = ?{old} AND h.updated >= ?)",
    )


HISTORIES, HISTORIES_AT = _histories("", ""), _histories(*_AT)
# The types that there are, each found from the one before by the index.
TYPES = (
    "WITH RECURSIVE there (type) AS (SELECT min(type) FROM resource UNION ALL "
    "SELECT (SELECT min(type) FROM resource WHERE type > there.type) FROM there WHERE there.type IS NOT NULL) "
    "SELECT type FROM there WHERE type IS NOT NULL"
)
STATISTICS = "SELECT type, count(*) FROM resource WHERE deleted = 0 GROUP BY type ORDER BY type"
_FOREVER = 1 << 62
Looked = dict[
    tuple[str, int], "tuple[Resource, list[str]] | None"
]  # by reference and transaction: it, and whom it names
_LAST = "\U0010ffff"  # behind every id

# What a receiver needs besides the resource itself: references worth following, from any type.
FOLLOWED = (
    *("subject", "patient", "for", "encounter", "basedOn", "result", "hasMember", "specimen", "performer"),
    *("requester", "imagingStudy", "focus", "owner", "resultsInterpreter", "serviceProvider", "individual"),
    *("location", "reasonReference", "supportingInfo", "managingOrganization", "organization", "practitioner"),
    *("author", "custodian", "derivedFrom", "endpoint", "diagnosis", "condition", "collector", "media", "link"),
    *("authenticator", "context", "relatesTo", "device"),
    *("participant", "collection", "parent", "request", "partOf", "replaces", "generalPractitioner", "insurance"),
)


def stored(row: Sequence[Any]) -> Stored:
    """A row of COLUMNS as a noun."""
    kind, key, version, updated, deleted, body, committed = row
    return Stored(
        type=kind,
        id=key,
        version=version,
        updated=moment(updated),
        deleted=bool(deleted),
        body=body or b"",
        transaction=committed,
    )


def read(reader: Reader, type: str, id: str) -> Stored | None:
    """The current version (also one that says "deleted"); None when there never was one."""
    rows = reader.execute(CURRENT, (type, id))
    return stored(rows[0]) if rows else None


def vread(reader: Reader, type: str, id: str, version: int) -> Stored | None:
    """One version, current or old."""
    current = read(reader, type, id)
    if current is None or current.version == version:
        return current
    rows = reader.execute(ONE_OLD, (type, id, version))
    return stored(rows[0]) if rows else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which versions of a history are wanted: none from before `since`; those that were current at some time from the
    first to the last instant of `at` (R4 http.html#history). Milliseconds since 1970."""

    since: int = 0
    at: tuple[int, int] | None = None

    @property
    def statements(self) -> tuple[str, str, str, str]:
        return HISTORIES if self.at is None else HISTORIES_AT

    def of_current(self, *values: Any) -> tuple[Any, ...]:
        """The values of the part of a statement that reads the current version."""
        return values if self.at is None else (*values, self.at[1])

    def of_old(self, *values: Any) -> tuple[Any, ...]:
        """The same of the part that reads old ones."""
        return values if self.at is None else (*values, self.at[1], self.at[0])


ALWAYS = Span()


def history(reader: Reader, type: str, id: str, *, count: int = 100, cursor: str = "", span: Span = ALWAYS) -> Page:
    """A page of the versions of one resource, newest first; with a `count` of 0 their number alone."""
    if cursor and not (cursor.isdecimal() and len(cursor) < 10):
        raise _no_cursor()
    before = int(cursor) if cursor else _FOREVER
    page, number, *_ = span.statements
    which = (*span.of_current(type, id), *span.of_old(type, id))
    rows = reader.execute(page, (*which, before, span.since, count + 1)) if count else []
    total = reader.execute(number, (*which, span.since))[0][0]
    following = str(rows[count - 1][2]) if len(rows) > count else None
    return Page(total=total, matches=[_version(row) for row in rows[:count]], included=[], next=following)


def types(reader: Reader) -> list[str]:
    """The resource types that there are."""
    return [row[0] for row in reader.execute(TYPES)]


def versions(reader: Reader, type: str | None, *, count: int = 100, cursor: str = "", span: Span = ALWAYS) -> Page:
    """A page of all versions of a type, or of all types (None), newest first; with a `count` of 0 their number alone.
    `total` is given where one page holds all. A resource has one version per transaction, hence per instant."""
    if not count:
        total = sum(_number(reader, each, span) for each in ([type] if type else types(reader)))
        return Page(total=total, matches=[], included=[], next=None)
    edge = _edge(cursor)
    found: list[Stored] = []
    for each in [type] if type else types(reader):
        found += _of_type(reader, each, edge, span, count + 1)
    found.sort(key=_newest, reverse=True)
    following = found[count - 1] if len(found) > count else None
    return Page(
        total=None if cursor or following else len(found), matches=found[:count], included=[],
        next=f"{milliseconds(following.updated)}.{following.type}.{following.id}" if following else None,
    )  # fmt: skip


def _newest(version: Stored) -> tuple[int, str, str]:
    return milliseconds(version.updated), version.type, version.id


def _edge(cursor: str) -> tuple[int, str, str]:
    """(instant, type, id) that the page begins behind."""
    if not cursor:
        return _FOREVER, "", ""
    before, _, rest = cursor.partition(".")
    type_name, dot, key = rest.partition(".")
    if not before.isdecimal() or len(before) > 15 or not dot:
        raise _no_cursor()
    return int(before), type_name, key


def _no_cursor() -> Permanent:
    return Permanent("not a cursor of this server", place="_cursor", remedy="start with the first page")


def _of_type(reader: Reader, type: str, edge: tuple[int, str, str], span: Span, limit: int) -> list[Stored]:
    instant, type_name, key = edge
    behind = key if type == type_name else _LAST if type < type_name else ""
    place = (instant, behind, span.since, limit)
    values = (*span.of_current(type), *place, *span.of_old(type), *place, limit)
    return [_version(row) for row in reader.execute(span.statements[2], values)]


def _number(reader: Reader, type: str, span: Span) -> int:
    values = (*span.of_current(type), span.since, *span.of_old(type), span.since)
    return int(reader.execute(span.statements[3], values)[0][0])


def _version(row: Sequence[Any]) -> Stored:
    *columns, renewed = row
    found = stored(columns)
    return replace(found, renewed=True) if renewed and not found.deleted else found


def as_of(reader: Reader, type: str, id: str, transaction: int) -> Stored | None:
    """The version that was current when `transaction` had been committed; None when there was none yet."""
    current = read(reader, type, id)
    if current is None or current.transaction <= transaction:
        return current
    rows = reader.execute(AS_OF, (type, id, transaction))
    return stored(rows[0]) if rows else None


def related(
    reader: Reader, type: str, id: str, transaction: int, *, depth: int = 3, known: Looked | None = None
) -> dict[str, Resource]:
    """The resource and what it refers to, as they were at that transaction: 'Type/id' → resource, itself first.

    Follows the references that a report, an order or a referral needs to be understood elsewhere, `depth` steps far.
    Deleted and absent ones are left out. `known`: what was looked up for others while nothing was written.
    """
    known = {} if known is None else known
    found: dict[str, Resource] = {}
    seen: set[str] = set()
    edge = [f"{type}/{id}"]
    for _ in range(depth + 1):
        following: list[str] = []
        for text in edge:
            if text in seen:
                continue
            seen.add(text)
            place = (text, transaction)
            if place not in known:
                known[place] = _looked_up(reader, text, transaction)
            there = known[place]
            if there is not None:
                found[text] = there[0]
                following += there[1]
        edge = following
    return found


def _looked_up(reader: Reader, text: str, transaction: int) -> tuple[Resource, list[str]] | None:
    parsed = reference.parse(text)
    version = as_of(reader, parsed.type, parsed.id, transaction) if parsed and not parsed.base else None
    if version is None or version.deleted:
        return None
    resource = version.resource
    return resource, _followed(resource)


def _followed(resource: Resource) -> list[str]:
    found: list[str] = []
    for name in FOLLOWED:
        if (value := resource.get(name)) is not None:
            pointers = [value] if isinstance(value, dict) and reference.is_reference(value) else reference.find(value)
            found += [str(pointer["reference"]) for pointer in pointers if "reference" in pointer]
    return found + attached(resource)


def attached(resource: Resource) -> list[str]:
    """The Binaries of a report's, a document's or an image's attachments."""
    content = resource.get("content", ())
    parts = (
        [content]
        if isinstance(content, dict)
        else [each.get("attachment") for each in content if isinstance(each, dict)]
    )
    listed = [*resource.get("presentedForm", ()), *filter(None, parts)]
    return [each["url"] for each in listed if str(each.get("url", "")).startswith("Binary/")]


def statistics(reader: Reader) -> dict[str, int]:
    """How many resources of each type exist."""
    return dict(reader.execute(STATISTICS))
