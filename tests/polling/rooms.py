"""A gateway's rooms around one polled database, worked by hand: look, process, see what is there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway import config, telemetry
from gateway.app.rooms import channels_of
from gateway.codec import rows
from gateway.db.sqlite import SqliteEngine
from gateway.formats import Formats
from gateway.inbound import Processor
from gateway.journal import polled
from gateway.journal.ledger import Ledger, Line
from gateway.journal.work import load
from gateway.mapping import maps
from gateway.model import Resource
from gateway.polling import Poller
from gateway.store.record import Record
from gateway.transport import database
from gateway.worker import EntryDrain

MAPS = maps.load([maps.shipped()])
VIEWS = """\
          - {view: V_就诊信息, watermark: 修改时间}
          - {view: V_申请单, watermark: 修改时间}
          - {view: V_检查报告, watermark: 修改时间}
          - {view: V_检验结果, watermark: 修改时间, key: [报告单号, 序号]}
"""
COMMUNITY = """\
id: county-community
name: 示例县
members:
  - id: county
    name: 县医院
    facilities: [COUNTY]
    channels:
      - id: county-views
        transport: database
        format: rows
        database:
          url: {url}
          every: 1
{more}          views:
{views}
"""


class House:
    """`now` is the poller's clock."""

    def __init__(self, home: Path, url: str, *, views: str = VIEWS, more: str = "") -> None:
        home.mkdir(parents=True, exist_ok=True)
        path = home / "community.yaml"
        path.write_text(COMMUNITY.format(url=url, views=views, more=more), "utf-8")
        self.community = config.load(path)
        self.url = url
        self.now = datetime(2026, 4, 1, tzinfo=UTC)
        self.data = home / "data"
        self.data.mkdir(exist_ok=True)
        self.journal = SqliteEngine(self.data / "journal.sqlite", schema="journal")
        self.record = SqliteEngine(self.data / "record.sqlite", schema="record")
        self.formats = Formats(self.community, MAPS)
        self.ledger = Ledger(self.journal, self.record)
        self.store = Record(self.record)
        self.poller = self.fresh()

    def fresh(self) -> Poller:
        """As after a start."""
        member = self.community.members["county"]
        settings = member.channels[0].database
        assert settings is not None
        return Poller(
            member=member, channel=member.channels[0], settings=settings, formats=lambda: self.formats,
            journal=self.journal, metrics=telemetry.Metrics(), now=lambda: self.now,
        )  # fmt: skip

    def look(self, *, minutes: float = 1.0) -> list[list[rows.Sheet]]:
        """One look; the entries that it made."""
        before = len(self.lines())
        self.poller.look()
        self.now += timedelta(minutes=minutes)
        return [self.sheets(line.id) for line in self.lines()[before:]]

    def lines(self) -> list[Line]:
        return self.ledger.entries(limit=10_000)[::-1]

    def sheets(self, entry: int) -> list[rows.Sheet]:
        with self.journal.reading() as reader:
            return list(rows.decode(load(reader, entry).frame.body).tables)

    def process(self) -> list[str]:
        """Everything; where the entries stand."""
        processor = Processor(
            community=self.community, formats=self.formats, record=self.store, channels=channels_of(self.community)
        )
        drain = EntryDrain(journal=self.journal, record=self.record, process=processor.process, stop=threading.Event())
        while drain.once():
            pass
        return [line.state for line in self.lines()]

    def search(self, query: str) -> list[Resource]:
        kind, _, parameters = query.partition("?")
        return [each.resource for each in self.store.search(kind, parameters).matches]

    def count(self, kind: str) -> int:
        return dict(self.store.statistics()).get(kind, 0)

    def problems(self) -> dict[str, tuple[str, str]]:
        """(place, cause) by view."""
        with self.journal.reading() as reader:
            return {each.view: (each.place, each.cause) for each in polled.everything(reader) if each.since}

    def change(self, *statements: str) -> None:
        """In the member's database."""
        change(self.url, *statements)

    def close(self) -> None:
        self.poller.close()
        self.journal.close()
        self.record.close()


def change(url: str, *statements: str) -> None:
    """Committed together."""
    engine = database.engine(url, reading=False)
    raw = engine.raw_connection()
    cursor = raw.cursor()
    for each in statements:
        cursor.execute(each)
    raw.commit()
    raw.close()
    engine.dispose()


@contextmanager
def house(home: Path, url: str, **said: Any) -> Iterator[House]:
    made = House(home, url, **said)
    try:
        yield made
    finally:
        made.close()


def numbers(sheets: list[rows.Sheet], column: str) -> list[str]:
    """The cells of a column of an entry's own rows."""
    place = sheets[0].columns.index(column)
    return [cells[place] for cells in sheets[0].cells]


def shown(resources: list[Resource]) -> list[Any]:
    """As JSON would compare them."""
    return [json.loads(json.dumps(each, default=str)) for each in resources]
