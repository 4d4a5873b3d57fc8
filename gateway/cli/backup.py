"""`hutong backup` and `hutong restore`: everything of a gateway in one folder or file, taken while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The data directory of the gateway.", envvar="HUTONG_DATA")
]


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the program."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    data: Data,
    target: Annotated[Path, typer.Argument(metavar="DIR|FILE.tar", help="A new folder, or a new file.")],
) -> None:
    """Copy everything as of this moment, beside a running gateway or without one. It holds patients' data."""
    from gateway.app.processes import alone
    from gateway.cli.service import version
    from gateway.keeping.backup import back_up

    with alone(data / "keeping.lock", remedy="wait for the other backup or retention"):
        made = back_up(data, target, program=version())
    size = sum(each.get("size", 0) for each in made["files"].values())
    typer.echo(f"{target}: {len(made['files'])} files, {size / 1e6:.1f} MB, as of {made['began']}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="DIR|FILE.tar", help="What `hutong backup` made.")],
    data: Data,
    to: Annotated[
        str, typer.Option("--to", metavar="WHERE", help="Into a PostgreSQL: its address, env:NAME or file:PATH.")
    ] = "",
) -> None:
    """Make a new data directory of a backup, after every byte of it was checked."""
    from gateway.db import moving
    from gateway.keeping import backup as room

    made = room.restore(source, data)
    if to:
        moving.move(data, to, lambda *_: None)
    typer.echo(f"{data}: as of {made['began']}; start it with `hutong serve --data {data}`")
