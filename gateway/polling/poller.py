"""One channel of a member's database: looks at its views again and again, in a thread of its own.

A database that is away is tried later and later, told once, and called an error when it has been away for long. What
is wrong with one view is told with its place and remedy (`hutong status`), and holds up no other.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy.engine import Connection

from gateway import telemetry
from gateway.codec import rows
from gateway.db.engine import Engine
from gateway.errors import Configuration, HutongError, Transient
from gateway.formats import Formats
from gateway.formats.exports import facility
from gateway.formats.views import Plan, export_of, plan
from gateway.journal import polled
from gateway.journal.intake import Verdict, add
from gateway.mapping.syntax import Export
from gateway.model import Channel, Database, Frame, Member, View
from gateway.polling.look import Look, Record
from gateway.polling.trial import opened
from gateway.telemetry import Metrics
from gateway.transport import database, watermark
from gateway.transport.view_reader import Number, ViewReader
from gateway.transport.watermark import Mark

PAGE: Final = 500  # rows looked at once
TOGETHER: Final = 50  # records in one transaction
LONGEST_PAUSE: Final = 60.0  # seconds between two attempts at a database that is away
ORPHANS: Final = timedelta(minutes=10)  # so long a record waits for its order or visit; then it is taken as it is
ALARM: Final = timedelta(minutes=10)  # so long a database may be away before that is an error; again every hour
UNMARKED: Final = timedelta(minutes=10)  # between two counts of rows that have no watermark


@dataclass(slots=True, kw_only=True)
class Poller:
    """One channel. `formats` gives the maps of the moment."""

    member: Member
    channel: Channel
    settings: Database
    formats: Callable[[], Formats]
    journal: Engine
    metrics: Metrics
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _away: datetime | None = field(default=None, init=False)  # since when the database is
    _alarm: datetime | None = field(default=None, init=False)  # when that is to be told again
    _hourly: dict[str, datetime] = field(default_factory=dict, init=False)  # by view: all that wait were looked for
    _told: dict[str, str] = field(default_factory=dict, init=False)  # by view: the problem that was logged last
    _unmarked: dict[str, tuple[datetime, int]] = field(default_factory=dict, init=False)  # by view: counted when

    def start(self) -> None:
        """Begin and return: a database that is away is no reason not to."""
        self._thread = threading.Thread(target=self._run, name=f"poll {self.channel.id}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends within 2 s; a statement under way is left, nothing of it was promised."""
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def _run(self) -> None:
        while not self.stopping.is_set():
            self.stopping.wait(self.round())

    def round(self) -> float:
        """One look at all views; returns the seconds until the next. Raises nothing."""
        try:
            self.look()
        except HutongError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001  a defect in one round must not end the line; it is told
            cause = f"the database could not be polled ({type(error).__name__})"
            return self._failed(Transient(cause, place=self.channel.id, remedy="report this defect"))
        if self._away is not None:
            telemetry.logger().info("database back", channel=self.channel.id, attempts=self._failures)
        self._failures, self._away, self._alarm = 0, None, None
        return self.settings.every

    def look(self) -> None:
        """All views once. Raises what concerns the whole database; what concerns one view is noted, and the others are
        looked at all the same."""
        engine = database.engine(self.settings.url)
        try:
            with database.connected(engine, self.channel.id) as connection:
                look = self._opened(connection)
                slow = [each for each in (self._looked_at(look, view) for view in look.views.values()) if each]
                if slow:
                    raise slow[0]
        finally:
            engine.dispose()
        with self.journal.transaction() as transaction:
            polled.well(transaction, self.channel.id, "")

    def _looked_at(self, look: Look, view: View) -> Transient | None:
        """Why a view could not be looked at now; the others are, as long as the database answers at all."""
        try:
            self._guarded(view, partial(self._view, look))
        except Transient as error:
            if look.readers[view.view].connection.invalidated:
                raise
            with self.journal.transaction() as transaction:
                polled.trouble(transaction, self.channel.id, view.view, error)
            return error
        return None

    # ------------------------------------------------------------------------------------------ what can be polled

    def _opened(self, connection: Connection) -> Look:
        """The views that can be polled; of the others it is told why not."""
        readers, exports, plans = dict[str, ViewReader](), dict[str, Export](), dict[str, Plan]()

        def read(view: View) -> None:
            reader = opened(connection, self.settings, view)
            self._same_columns(view, reader)
            exports[view.view] = export_of(self.formats(), self.channel, view, reader.columns, self.member.profile)
            readers[view.view] = reader

        def planned(view: View) -> None:
            plans[view.view] = plan(view, exports, {name: each.columns for name, each in readers.items()})

        for view in self.settings.views:
            self._guarded(view, read)
        for view in self.settings.views:
            if view.view in exports:
                self._guarded(view, planned)
        return Look(readers, plans, {view.view: view for view in self.settings.views if view.view in plans})

    def _guarded(self, view: View, work: Callable[[View], None]) -> None:
        """What a person must mend in one view stops that one alone."""
        try:
            if not self.stopping.is_set():
                work(view)
        except Configuration as error:
            if self._told.get(view.view) != error.cause:  # once, not at each look
                self._told[view.view] = error.cause
                telemetry.logger().warning("view not polled", channel=self.channel.id, place=error.place)
            with self.journal.transaction() as transaction:
                polled.trouble(transaction, self.channel.id, view.view, error)

    def _same_columns(self, view: View, reader: ViewReader) -> None:
        """A column that was there is there: else every row would look changed, and lose what it said."""
        there = {each.casefold() for each in reader.columns}
        with self.journal.transaction() as transaction:
            standing = polled.standing(transaction, self.channel.id, view.view)
            lost = sorted(standing.columns - there - {each.casefold() for each in view.without})
            if lost:
                raise Configuration(
                    "a column of the view is gone", place=f"{view.view}.{lost[0]}",
                    remedy="ask the member; if it shall be so, write it into the view's `without`",
                )  # fmt: skip
            if there != standing.columns:
                polled.has_columns(transaction, standing.id, there)

    # ------------------------------------------------------------------------------------------ one view

    def _view(self, look: Look, view: View) -> None:
        """Everything behind the position, page by page."""
        reader, key = look.readers[view.view], look.plans[view.view].key
        mark = reader.spelt(view.watermark)
        place = f"{view.view}.{mark}"
        position, id_ = self._position(view)
        after = None if position is None else watermark.earlier(position, view.overlap, place)
        again, more = True, True
        self._orphans(look, view, id_)
        while more and not self.stopping.is_set():
            found = reader.page(key, mark, after=after, again=again, limit=PAGE)
            numbers = list(dict.fromkeys(found.numbers))
            for start in range(0, len(numbers), TOGETHER):
                self._take(look, view, numbers[start : start + TOGETHER])
            more, again = found.more, False
            if found.last is not None:
                after = found.last
                position = self._moved(id_, found.last, position, place)
        self._marked(reader, view, mark)
        self._told.pop(view.view, None)
        with self.journal.transaction() as transaction:
            polled.well(transaction, self.channel.id, view.view)

    def _position(self, view: View) -> tuple[Mark | None, int]:
        with self.journal.transaction() as transaction:
            standing = polled.standing(transaction, self.channel.id, view.view)
        return watermark.read(standing.position) if standing.position else None, standing.id

    def _moved(self, view: int, last: Mark, position: Mark | None, place: str) -> Mark | None:
        """Everything up to this watermark is taken; a position never goes back, and never into the future."""
        if self.stopping.is_set():
            return position  # not all of it was
        capped = watermark.no_later(last, self.now(), self.member.profile.time_zone, place)
        further = watermark.further(capped, position)
        if position is None or further != position:
            with self.journal.transaction() as transaction:
                polled.move(transaction, view, watermark.written(further))
        return further

    def _marked(self, reader: ViewReader, view: View, mark: str) -> None:
        """Every row has a watermark. Raises Configuration where some have none: no look finds them."""
        counted, count = self._unmarked.get(view.view, (None, 0))
        if counted is None or self.now() - counted >= UNMARKED:
            count = reader.unmarked(mark)
            self._unmarked[view.view] = (self.now(), count)
        if count:
            raise Configuration(
                f"{count} rows have no watermark: they are never found", place=f"{view.view}.{mark}",
                remedy="let the view give each row a time, such as coalesce(修改时间, 登记时间)",
            )  # fmt: skip

    # ------------------------------------------------------------------------------------------ records

    def _take(
        self, look: Look, view: View, numbers: Sequence[Number], *, late: frozenset[polled.Number] = frozenset()
    ) -> None:
        """What of these is new or changed, in one transaction. `late`: those that have waited long enough."""
        if self.stopping.is_set():
            return
        found = look.rows(view.view, numbers)
        _, id_ = self._position(view)
        with self.journal.reading() as reader:
            known = {number: polled.known(reader, id_, number) for number in found}
        fresh = {number: own for number, own in found.items() if known[number] != look.digest(view.view, own)}
        records = list(look.records(view.view, fresh)) if fresh else []
        fitting = [each for each in records if not each.orphan or each.number in late]
        waiting = [each.number for each in records if each.orphan]
        absent = [each for each in late if each not in found]
        taken = [each for each in fitting if each.digest != known[each.number]]
        if taken or waiting or absent:
            self._write(view, look.plans[view.view].map, taken, waiting, absent)

    def _write(
        self, view: View, kind: str, records: Sequence[Record], orphans: Sequence[polled.Number],
        absent: Sequence[polled.Number],
    ) -> None:  # fmt: skip
        """Entries of these records, and which of them wait for what they lead to."""
        with self.journal.transaction() as transaction:
            standing = polled.standing(transaction, self.channel.id, view.view)
            frames = [self._frame(view, each, kind, standing.sequence + count) for count, each in enumerate(records, 1)]
            add(transaction, frames)
            digests = {each.number: each.digest for each in records}
            polled.take(transaction, standing.id, digests, sequence=standing.sequence + len(records))
            polled.wait(transaction, standing.id, orphans, now=self.now())
            polled.gone(transaction, standing.id, [*absent, *(each.number for each in records if not each.orphan)])
        for _ in records:
            self.metrics.received(self.channel.id)
            self.metrics.accepted(self.channel.id, seconds=0.0)

    def _frame(self, view: View, record: Record, kind: str, sequence: int) -> tuple[Frame, Verdict]:
        name = f"{view.view}#{sequence}"
        frame = Frame(
            channel=self.channel.id,
            body=rows.encode(record.sheets, lacks=record.lacks),
            peer=name,
            received_at=self.now(),
        )
        verdict = Verdict(
            member=self.member.id, format="rows", charset="utf-8", control_id=f"{self.channel.id}/{name}",
            key="|".join((facility(self.member), view.view, *record.number)), kind=kind,
        )  # fmt: skip
        return frame, verdict

    def _orphans(self, look: Look, view: View, id_: int) -> None:
        """Records whose order or visit was not there: once more, each time while they are young and then every hour.
        One that has waited long enough is taken as it is, and again when what it leads to is there."""
        with self.journal.reading() as reader:
            waiting = polled.orphans(reader, id_)
        now = self.now()
        limit, before = (now - ORPHANS).timestamp(), self._hourly.get(view.view)
        hourly = before is None or now - before >= timedelta(hours=1)
        if hourly:
            self._hourly[view.view] = now
        numbers = [each for each, since in waiting.items() if hourly or since > limit - ORPHANS.total_seconds()]
        for start in range(0, len(numbers), TOGETHER):
            some = numbers[start : start + TOGETHER]
            self._take(look, view, some, late=frozenset(each for each in some if waiting[each] <= limit))

    # ------------------------------------------------------------------------------------------ away

    def _failed(self, error: HutongError) -> float:
        """Told once, and as an error when it lasts; returns the pause before the next attempt."""
        self._failures += 1
        now = self.now()
        log = telemetry.logger()
        said = {"channel": self.channel.id, "error": type(error).__name__, "attempts": self._failures}
        if self._away is None:
            self._away, self._alarm = now, now + ALARM
            log.warning("database away", **said, place=error.place)
        elif self._alarm is not None and now >= self._alarm:
            self._alarm = now + timedelta(hours=1)
            log.error("database away", **said, place=error.place, seconds=int((now - self._away).total_seconds()))
        with suppress(HutongError), self.journal.transaction() as transaction:
            polled.trouble(transaction, self.channel.id, "", error)
        ceiling = min(LONGEST_PAUSE, 2.0 ** min(self._failures, 16))
        return max(0.5, random.random() * ceiling)  # noqa: S311  spreads attempts, hides nothing
