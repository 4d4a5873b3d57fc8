"""Reads one installation: community.yaml, the members' folders, the folders of maps.

A mistake in one member never hides those of the others: everything is read, then one errors.Configuration holds them
all, one a line, as `file:line: cause; remedy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.config import codes, hooks
from gateway.config.databases import store_problem
from gateway.config.page import Mistakes, open_page
from gateway.config.rules import Source, check, time_zone_problem
from gateway.config.shape import Lines, read
from gateway.model import Community, Hooks, Member, Retention, Settings, Topic

DEFAULT_MEMBERS = "members"
DEFAULT_MAPS = "maps"


class Paper(Settings, frozen=True):
    """What community.yaml may say."""

    id: str
    name: str
    open: bool = False
    time_zone: str = "Asia/Shanghai"
    members: str | tuple[Member, ...] = DEFAULT_MEMBERS
    maps: tuple[str, ...] = ()
    retention: Retention = msgspec.field(default_factory=Retention)
    database: str = ""  # postgresql://…, env:NAME or file:PATH; "" = SQLite in the data directory
    hooks: Hooks = msgspec.field(default_factory=Hooks)
    topics: tuple[Topic, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """What was understood, and every mistake; the community may be used only when there are none."""

    community: Community
    mistakes: Mistakes
    sources: tuple[Source, ...] = ()


def load(path: Path) -> Community:
    """The community that this file (or the folder it lies in) describes.

    Raises errors.Configuration whose `cause` lists every mistake. Folders are relative to community.yaml. A member
    without a time zone of its own has the community's.
    """
    found = survey(path)
    found.mistakes.finish()
    return found.community


def survey(path: Path) -> Survey:
    """The same without raising: for `hutong check`, which adds the mistakes of the maps."""
    path = path / "community.yaml" if path.is_dir() else path
    mistakes = Mistakes()
    page = open_page(path, mistakes)
    if page is None:
        return Survey(Community(id="", name=""), mistakes)
    lines = Lines(page.file)
    paper = read(page.root, Paper, lines, mistakes)
    sources = _members(path.parent, paper, lines, mistakes)
    problem = time_zone_problem(paper.time_zone)
    if problem:
        mistakes.add(page.file, lines.at("time_zone"), *problem)
    folders = _map_folders(path.parent, paper, lines, mistakes)
    for name in ("messages", "deliveries", "history"):
        if getattr(paper.retention, name) < 0:
            place = lines.at("retention", name)
            mistakes.add(page.file, place, "days cannot be fewer than none", "write 365, or 0 to keep for ever")
    cause, remedy = store_problem(paper.database)
    if paper.database and cause:
        mistakes.add(page.file, lines.at("database"), cause, remedy)
    hooks.check(
        paper.hooks, paper.topics, lambda place, cause, remedy: mistakes.add(page.file, lines.at(*place), cause, remedy)
    )
    check(sources, mistakes)
    community = Community(
        id=paper.id,
        name=paper.name,
        open=paper.open,
        time_zone=paper.time_zone,
        members={source.member.id: _in_zone(source, paper.time_zone) for source in sources},
        map_folders=folders,
        database=paper.database,
        retention=paper.retention,
        topics=paper.topics,
        hooks=hooks.with_environment(paper.hooks),
    )
    return Survey(community, mistakes, tuple(sources))


def one_member(folder: Path) -> Member:
    """The member that a folder describes. Raises errors.Configuration with every mistake."""
    mistakes = Mistakes()
    source = _member(folder, mistakes)
    check([source] if source else [], mistakes)
    mistakes.finish()
    assert source is not None  # noqa: S101 - else there was a mistake
    return source.member


def starter() -> Community:
    """What is served without a configuration: open, any sending facility becomes a member by its MSH-4."""
    made = hooks.with_environment(Hooks())
    return Community(id="starter", name="Open starter community 开放试用社区", open=True, hooks=made)


def sample() -> Community:
    """A made-up county that shows what members may say of themselves: one of each kind."""
    return load(Path(__file__).parent / "county")


def _members(folder: Path, paper: Paper, lines: Lines, mistakes: Mistakes) -> list[Source]:
    if not isinstance(paper.members, str):
        return [Source(member, lines, ("members", index)) for index, member in enumerate(paper.members)]
    home = folder / paper.members
    if not home.is_dir():
        if lines.written("members"):
            mistakes.add(lines.file, lines.at("members"), f"there is no folder {paper.members!r}", "create it")
        return []
    found = [_member(child, mistakes) for child in sorted(home.iterdir()) if _is_member_folder(child)]
    return [source for source in found if source]


def _is_member_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_"))


def _member(folder: Path, mistakes: Mistakes) -> Source | None:
    path = folder / "member.yaml"
    if not path.is_file():
        mistakes.add(str(folder), 0, "this member's folder has no member.yaml", "add it, or rename the folder to _…")
        return None
    page = open_page(path, mistakes)
    if page is None:
        return None
    lines = Lines(page.file)
    member = read(page.root, Member, lines, mistakes)
    rows = codes.read(folder, mistakes)
    member = msgspec.structs.replace(member, profile=codes.with_codes(member.profile, rows))
    if member.id and member.id != folder.name:
        cause = f"member id {member.id!r} differs from its folder {folder.name!r}"
        mistakes.add(page.file, lines.at("id"), cause, "name them alike")
    return Source(member, lines, codes=tuple(rows))


def _map_folders(folder: Path, paper: Paper, lines: Lines, mistakes: Mistakes) -> tuple[str, ...]:
    """Own map folders in the order in which they are read; a member's own .map files come last."""
    found = []
    for index, name in enumerate(paper.maps):
        if (folder / name).is_dir():
            found.append(folder / name)
        else:
            mistakes.add(
                lines.file, lines.at("maps", index), f"there is no folder {name!r}", "create it or remove the line"
            )
    if not lines.written("maps") and (folder / DEFAULT_MAPS).is_dir():
        found.append(folder / DEFAULT_MAPS)
    if isinstance(paper.members, str) and (folder / paper.members).is_dir():
        homes = (child for child in sorted((folder / paper.members).iterdir()) if _is_member_folder(child))
        found.extend(home for home in homes if any(home.glob("*.map")))
    return tuple(str(path) for path in found)


def _in_zone(source: Source, zone: str) -> Member:
    """The member with the community's time zone wherever its file names none."""
    member = source.member
    if not source.lines.written(*source.prefix, "profile", "time_zone"):
        profile = msgspec.structs.replace(member.profile, time_zone=zone)
        member = msgspec.structs.replace(member, profile=profile)
    return member
