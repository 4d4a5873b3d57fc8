"""What polling a channel would do, without doing it: is the database there, and how is each view read?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from gateway.codec.charset import codec_of
from gateway.errors import Configuration, HutongError
from gateway.formats import Formats
from gateway.formats.views import Plan, export_of, plan
from gateway.mapping.syntax import Export
from gateway.model import Channel, Database, Member, View
from gateway.transport import database
from gateway.transport.view_reader import ViewReader

ROWS = 100  # looked at in each view


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One view: how it is read, or why it cannot be."""

    view: str
    plan: Plan | None = None
    columns: int = 0
    rows: int = 0  # up to ROWS
    unmarked: int = 0  # rows without a watermark
    error: HutongError | None = None


def tried(formats: Formats, member: Member, channel: Channel, settings: Database) -> Iterator[Tried]:
    """Each view of a channel; nothing is written anywhere. Raises Transient or Configuration where the database itself
    cannot be used."""
    engine = database.engine(settings.url)
    try:
        with database.connected(engine, channel.id) as connection:
            readers, exports = dict[str, ViewReader](), dict[str, Export]()
            wrong = dict[str, HutongError]()
            for view in settings.views:
                try:
                    reader = readers[view.view] = opened(connection, settings, view)
                    exports[view.view] = export_of(formats, channel, view, reader.columns, member.profile)
                except Configuration as error:
                    wrong[view.view] = error
            for view in settings.views:
                if view.view in wrong:
                    yield Tried(view=view.view, error=wrong[view.view])
                else:
                    yield _tried(view, readers, exports)
    finally:
        engine.dispose()


def opened(connection: Connection, settings: Database, view: View) -> ViewReader:
    """A view with its watermark. Raises Configuration where one of them is not there."""
    stored = codec_of(settings.stored) if settings.stored else ""
    reader = ViewReader(connection, view.view, stored or "", frozenset(each.casefold() for each in view.without))
    reader.spelt(view.watermark)
    return reader


def _tried(view: View, readers: dict[str, ViewReader], exports: dict[str, Export]) -> Tried:
    reader = readers[view.view]
    try:
        made = plan(view, exports, {name: each.columns for name, each in readers.items()})
        mark = reader.spelt(view.watermark)
        page = reader.page(made.key, mark, after=None, again=True, limit=ROWS)
        found = list(reader.records(made.key, page.numbers[:ROWS]))
        unmarked = reader.unmarked(mark)
    except Configuration as error:
        return Tried(view=view.view, error=error)
    return Tried(view=view.view, plan=made, columns=len(reader.columns), rows=len(found), unmarked=unmarked)
