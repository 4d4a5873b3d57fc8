"""What both halves need: settings, maps, databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import config, telemetry
from gateway.db import opening
from gateway.db.engine import Engine
from gateway.formats import Formats
from gateway.journal.bodies import Bodies
from gateway.mapping import maps
from gateway.model import Channel, Community, Entry, Member
from gateway.store import reindexing

if TYPE_CHECKING:
    from gateway.db.occupancy import Occupancy

SHARED = Channel(id="mllp", transport="mllp", format="hl7v2")  # the port that all members may use, known by MSH-4
EXPORTS = "exports"  # folder in the data directory of bulk exports
METRICS = "metrics"  # folder in the data directory where the worker leaves its counters

Channels = Mapping[str, tuple[Member | None, Channel]]


@dataclass(slots=True, kw_only=True)
class Rooms:
    """Built once in each process; `close` gives the databases back. Raises Configuration for what cannot be used.
    `alone`: no other gateway works over the same databases until then."""

    data: Path
    alone: bool
    metrics: telemetry.Metrics
    formats: Formats
    channels: Channels
    bodies: Bodies = field(init=False)
    occupancy: Occupancy | None = field(init=False)
    journal: Engine = field(init=False)
    record: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.bodies = Bodies(self.data)
        opening.settle(self.data, self.community.database)
        self.occupancy = opening.occupied(self.data) if self.alone else None
        self.journal = opening.opened(self.data, "journal")
        self.record = opening.opened(self.data, "record")

    @property
    def community(self) -> Community:
        """The checked settings."""
        return self.formats.community

    def index(self) -> None:
        """Returns once the record is indexed as this program looks for things: at once, but for the first start of a
        newer one."""
        log = telemetry.logger()
        if count := reindexing.ensure(self.record, lambda: log.info("record is indexed anew")):
            log.info("record was indexed anew", count=count)

    def close(self) -> None:
        """Give back every connection and file."""
        self.journal.close()
        self.record.close()
        if self.occupancy is not None:
            self.occupancy.close()


def open_rooms(*, config: Path | None, data: Path, process: str) -> Rooms:
    """The rooms of one process: 'front' or 'worker'."""
    metrics = telemetry.Metrics(data / METRICS, process)
    formats, channels = read_maps(config)
    return Rooms(data=data, metrics=metrics, formats=formats, channels=channels, alone=process == "front")


def read_maps(path: Path | None) -> tuple[Formats, Channels]:
    """What the settings of a community.yaml, or of the open starter community, and its maps make of messages."""
    community = config.load(path) if path else config.starter()
    folders = [maps.shipped(), *map(Path, community.map_folders)]
    return Formats(community, maps.load(folders)), channels_of(community)


def channels_of(community: Community) -> Channels:
    """Every channel by its id, with its member; the shared MLLP port belongs to nobody."""
    own = {channel.id: (member, channel) for member in community.members.values() for channel in member.channels}
    return {SHARED.id: (None, SHARED), **own}


def channel_of(channels: Channels, entry: Entry) -> Channel | None:
    """The channel that an entry came by; None for an open community's web door, where any name is one."""
    return channels.get(entry.frame.channel, (None, None))[1]


def version() -> str:
    """The installed version."""
    try:
        return metadata.version("hutong")
    except metadata.PackageNotFoundError:  # run from a checkout without installing it
        return "0+checkout"
