"""`hutong init` and `hutong check`: a community's own folder, and all its mistakes at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
) -> None:
    """Check settings and maps; print every mistake as file:line. Exit 1 when there is one."""
    from gateway import config as settings
    from gateway.config.maps import check_maps

    found = settings.survey(config)
    check_maps(found)
    found.mistakes.finish()
    community = found.community
    channels = sum(len(member.channels) for member in community.members.values())
    subscriptions = sum(len(member.subscriptions) for member in community.members.values())
    counts = f"{len(community.members)} members, {channels} channels, {subscriptions} subscriptions"
    typer.echo(f"{config}: no mistakes ({counts})", err=True)
