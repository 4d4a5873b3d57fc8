"""What both halves need: settings, maps, databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from gateway import config, telemetry
from gateway.db.sqlite import SqliteEngine
from gateway.formats import Formats
from gateway.mapping import maps
from gateway.model import Channel, Community, Member

SHARED = Channel(id="mllp", transport="mllp", format="hl7v2")  # the port that all members may use, known by MSH-4
METRICS = "metrics"  # folder in the data directory that the two processes share

Channels = Mapping[str, tuple[Member | None, Channel]]


@dataclass(slots=True, kw_only=True)
class Rooms:
    """Built once in each process; `close` gives the databases back. Raises Configuration for what cannot be used."""

    community: Community
    data: Path
    metrics: telemetry.Metrics
    formats: Formats = field(init=False)
    journal: SqliteEngine = field(init=False)
    record: SqliteEngine = field(init=False)
    channels: Channels = field(init=False)

    def __post_init__(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        folders = [maps.shipped(), *map(Path, self.community.map_folders)]
        self.formats = Formats(self.community, maps.load(folders))
        self.channels = channels(self.community)
        self.journal = SqliteEngine(self.data / "journal.sqlite", schema="journal")
        self.record = SqliteEngine(self.data / "record.sqlite", schema="record")

    def close(self) -> None:
        """Give back every connection and file."""
        self.journal.close()
        self.record.close()


def open_rooms(*, settings: Path | None, data: Path) -> Rooms:
    """The rooms of one process, over the checked settings of a community.yaml or the open starter community."""
    metrics = telemetry.Metrics(data / METRICS)  # before anything imports prometheus_client
    community = config.load(settings) if settings else config.starter()
    return Rooms(community=community, data=data, metrics=metrics)


def channels(community: Community) -> Channels:
    """Every channel by its id, with its member; the shared MLLP port belongs to nobody."""
    own = {channel.id: (member, channel) for member in community.members.values() for channel in member.channels}
    return {SHARED.id: (None, SHARED), **own}


def version() -> str:
    """The installed version."""
    try:
        return metadata.version("hutong")
    except metadata.PackageNotFoundError:  # run from a checkout without installing it
        return "0+checkout"
