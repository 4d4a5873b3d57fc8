"""What settings of a member's database must mean: an address without a password, views by a watermark, a table.

Nothing is connected to here. Every rule tells its mistakes to `note` and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.codec.charset import codec_of
from gateway.model import Channel, Database, Subscription, Table, View

Note = Callable[..., None]

SCHEMES = ("postgresql", "mysql", "mariadb", "mssql", "oracle", "sqlite")
_NAMED = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*")
_SCHEME = re.compile(r"([a-z]+)(?:\+[a-z]+)?://")
_PASSWORD = re.compile(r"[a-z+]+://[^/@]*:[^/@]*@|[?&]password=")


def check_channel(channel: Channel, note: Note, below: Callable[..., Note]) -> None:
    """The database of a channel that is polled."""
    if channel.transport != "database":
        if channel.database is not None:
            note(f"'database' means nothing for {channel.transport}", "remove it", at=("database",))
        if channel.format == "rows":
            note(
                "rows come from a database",
                "add `transport: database`, or name the format of the files",
                at=("format",),
            )
        return
    if channel.format != "rows":
        note(f"a database gives rows, not {channel.format}", "write `format: rows`", at=("format",))
    if channel.database is None:
        remedy = "add `database: {url: env:NAME, views: [{view: V_检验结果, watermark: 修改时间}]}`"
        note("a channel of a database needs its address and views", remedy, at=("transport",))
        return
    _database(channel.database, below)


def check_subscription(subscription: Subscription, note: Note, below: Callable[..., Note]) -> None:
    """The middle table of a subscription."""
    if subscription.transport != "database":
        if subscription.table is not None:
            note(f"'table' means nothing for {subscription.transport}", "remove it", at=("table",))
        if subscription.format == "rows":
            note("rows go into a table", "add `transport: database`, or name the format of a file", at=("format",))
        return
    if subscription.format != "rows":
        note(f"a table takes rows, not {subscription.format}", "write `format: rows`", at=("format",))
    cause, remedy = url_problem(subscription.address)
    if cause:
        note(cause if subscription.address else "no database to write to", remedy, at=("address",))
    if subscription.table is None:
        remedy = "add `table: {name: JHPT_JYJG, delivery: jhlsh}`"
        note("a database needs the table to write into", remedy, at=("transport",))
        return
    _table(subscription.table, below("table"))


def _table(table: Table, note: Note) -> None:
    if not table.delivery and not table.key:
        remedy = "add `delivery: <column for our number>`, or `key: [columns that name a row]`"
        note("nothing tells whether a row is there already", remedy, at=("name",))
    if len(table.marks) != 2:
        note("'marks' must be two: for what was withdrawn, and for the rest", 'such as ["1", "0"]', at=("marks",))
    own = [each for each in (table.delivery, table.number, table.withdrawn) if each]
    written = [each.casefold() for each in (*own, *table.constants, *table.columns.values())]
    doubled = next((each for each in written if written.count(each) > 1), "")
    if doubled:
        note(f"the column {doubled!r} is written twice", "name each once", at=("columns",))
    lost = [each for each in table.key if table.columns and each.casefold() not in written]
    if lost:
        note(f"the key column {lost[0]!r} is not written", "name it in `columns`", at=("key",))


def url_problem(url: str) -> tuple[str, str]:
    """(cause, remedy) where this is no address of a database, or one that holds a password; ("", "") where it is."""
    remedy = "write `env:NAME` or `file:PATH` and put postgresql://USER:PASSWORD@HOST/NAME there"
    if _NAMED.fullmatch(url):
        return "", ""
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[1] not in SCHEMES:
        return "this is no address of a database", f"{remedy}; known are {', '.join(SCHEMES)}"
    return ("the password stands in the file", remedy) if _PASSWORD.search(url) else ("", "")


def store_problem(url: str) -> tuple[str, str]:
    """The same of the database that holds the record: PostgreSQL, or nothing for SQLite in the data directory."""
    scheme = _SCHEME.match(url)
    if scheme is not None and scheme[1] != "postgresql":
        return "the record lies in PostgreSQL, or in the data directory", "name a PostgreSQL, or leave this line out"
    return url_problem(url)


def _database(found: Database, below: Callable[..., Note]) -> None:
    note = below("database")
    cause, remedy = url_problem(found.url)
    if found.url and cause:
        note(cause, remedy, at=("url",))
    if found.optional and not _NAMED.fullmatch(found.url):
        note("'optional' means nothing for an address that stands here", "write `url: env:NAME`", at=("optional",))
    if not 1 <= found.every <= 86_400:
        note("'every' must be from 1 to 86400 seconds", "60 is usual", at=("every",))
    if found.stored and not codec_of(found.stored):
        note(f"unknown charset {found.stored!r}", "such as GB18030", at=("stored",))
    if not found.views:
        note("no view is named", "add `views: [{view: V_检验结果, watermark: 修改时间}]`", at=("views",))
    seen: set[str] = set()
    for index, view in enumerate(found.views):
        _view(view, below("database", "views", index), seen)


def _view(view: View, note: Note, seen: set[str]) -> None:
    if view.view and view.view.casefold() in seen:
        note(f"{view.view} is named twice", "name it once", at=("view",))
    seen.add(view.view.casefold())
    if not 0 <= view.overlap <= 31 * 86_400:
        note("'overlap' must be from 0 to 2678400 (31 days)", "900 is usual", at=("overlap",))
    if view.watermark.casefold() in {each.casefold() for each in view.without}:
        note("the watermark is read, and stands in `without`", "remove it there", at=("without",))
