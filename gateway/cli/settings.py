"""`hutong init` and `hutong check`: a community's own folder, and all its mistakes at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.polling.trial import Tried


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the program."""
    app.command("init")(init)
    app.command("check")(check)


def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")]) -> None:
    """Write a community's folder: community.yaml, members/ with a commented example, maps/."""
    from gateway import config

    for path in config.template(folder):
        typer.echo(f"wrote {path}", err=True)
    typer.echo(f"next: hutong check --config {folder / 'community.yaml'}", err=True)


def check(
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="The community.yaml.", envvar="HUTONG_CONFIG")
    ],
    connect: Annotated[
        bool, typer.Option("--connect", help="Try the databases and SFTP servers too; nothing is taken or written.")
    ] = False,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Where file:… of the settings begin.", envvar="HUTONG_DATA")
    ] = Path(),
) -> None:
    """Check settings and maps; print every mistake as file:line. Exit 1 when there is one."""
    from gateway import config as settings
    from gateway.cli import servers
    from gateway.config.maps import check_maps

    found = settings.survey(config)
    check_maps(found)
    found.mistakes.finish()
    community = found.community
    channels = sum(len(member.channels) for member in community.members.values())
    subscriptions = sum(len(member.subscriptions) for member in community.members.values())
    counts = f"{len(community.members)} members, {channels} channels, {subscriptions} subscriptions"
    typer.echo(f"{config}: no mistakes ({counts})", err=True)
    if connect and not all([_databases(config), servers.tried(community, data)]):
        raise typer.Exit(1)


def _databases(config: Path) -> bool:
    """Whether every view of every database can be polled; one line each. Nothing is taken."""
    from gateway import errors
    from gateway.app.rooms import read_maps
    from gateway.polling.trial import tried
    from gateway.transport.secret import is_there

    formats, channels = read_maps(config)
    well = True
    for member, channel in channels.values():
        if member is None or channel.database is None:
            continue
        if channel.database.optional and not is_there(channel.database.url):
            typer.echo(f"{channel.id}: off until {channel.database.url} is set", err=True)
            continue
        try:
            for one in tried(formats, member, channel, channel.database):
                well &= one.error is None and not one.unmarked
                typer.echo(f"{channel.id}: {_told(one)}", err=True)
        except errors.HutongError as error:
            well = False
            typer.echo(f"{channel.id}: {error}", err=True)
    return well


def _told(one: Tried) -> str:
    if one.plan is None:
        return str(one.error)
    parents = ", ".join(f"{each.view} by {' '.join(each.columns)}" for each in one.plan.parents)
    told = f"{one.view}: map {one.plan.map}, a record by {' '.join(one.plan.key)}, "
    told += f"{len(one.plan.mapped)} of {one.columns} columns"
    told += f" read; leads to {parents}" if parents else " read"
    if not one.rows:
        told += "; it is empty"
    return f"{told}; {one.unmarked} rows have no watermark: they are never found" if one.unmarked else told
