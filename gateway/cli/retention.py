"""`hutong retention` and `hutong hold`: what goes when its time is over, and what stays all the same."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The data directory of the gateway.", envvar="HUTONG_DATA")
]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; else who is logged in here.")]
holds = typer.Typer(help="What must not be deleted: legal holds.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the program."""
    app.command("retention")(retention)
    app.add_typer(holds, name="hold")


def retention(
    data: Data,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="community.yaml with `retention`.", envvar="HUTONG_CONFIG"),
    ] = None,
    messages: Annotated[int | None, typer.Option(min=0, metavar="DAYS", help="Instead of the settings'.")] = None,
    deliveries: Annotated[int | None, typer.Option(min=0, metavar="DAYS", help="The same.")] = None,
    history: Annotated[int | None, typer.Option(min=0, metavar="DAYS", help="The same.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    by: By = "",
) -> None:
    """Delete what the settings let go, beside a running gateway, and give the disk back. For a timer at night."""
    from datetime import UTC, datetime

    from gateway import config as settings
    from gateway.app.processes import alone
    from gateway.cli.storage import both
    from gateway.journal.bodies import Bodies
    from gateway.keeping.retention import Sweep
    from gateway.model import Retention

    said = settings.load(config).retention if config else Retention()
    asked = {"messages": messages, "deliveries": deliveries, "history": history}
    days = Retention(**{name: getattr(said, name) if day is None else day for name, day in asked.items()})
    with alone(data / "keeping.lock", remedy="wait for the other backup or retention"), both(data) as (journal, record):
        sweep = Sweep(
            journal=journal, record=record, bodies=Bodies(data), settings=days, now=datetime.now(UTC), dry=dry_run
        )
        gone = sweep.run(by=by or getpass.getuser())
    word = "would go" if dry_run else "deleted"
    typer.echo(f"{word}: {gone.entries} messages, {gone.deliveries} deliveries, {gone.versions} versions")
    typer.echo(f"{gone.size / 1e6:.1f} MB of content, {gone.files} large files; held: {gone.held}")
    if not dry_run:
        typer.echo(f"{gone.freed / 1e6:.1f} MB given back; others waited {gone.longest * 1000:.0f} ms at most")


@holds.command("add")
def add(
    data: Data,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; no patient's name.")],
    patient: Annotated[str, typer.Option("--patient", metavar="ID", help="The id of a Patient in the record.")] = "",
    entry: Annotated[str, typer.Option("--entry", metavar="ID", help="A received message, by its id.")] = "",
    by: By = "",
) -> None:
    """From now on this stays, with all that belongs to it; prints the number of the hold."""
    from gateway.cli.storage import both
    from gateway.keeping import hold as room

    if bool(patient) == bool(entry):
        raise typer.BadParameter("name one of both", param_hint="--patient or --entry")
    kind, target = ("patient", patient) if patient else ("entry", entry)
    with both(data) as (_, record), record.transaction() as transaction:
        typer.echo(room.hold(transaction, kind, target, reason=reason, by=by or getpass.getuser()))


@holds.command("release")
def release(data: Data, number: Annotated[int, typer.Argument(metavar="NUMBER")], by: By = "") -> None:
    """It may go when its time is over. That it was held is remembered."""
    from gateway.cli.storage import both
    from gateway.keeping import hold as room

    with both(data) as (_, record), record.transaction() as transaction:
        room.release(transaction, number, by=by or getpass.getuser())


@holds.command("list")
def show(data: Data) -> None:
    """All that ever were, with who and why."""
    from gateway.cli.storage import both
    from gateway.keeping import hold as room

    with both(data) as (_, record), record.reading() as reader:
        for each in room.listed(reader):
            ended = f"released {each.released_at:%Y-%m-%d} by {each.released_by}" if each.released_at else "in force"
            since = f"{each.held_at:%Y-%m-%d} by {each.held_by}"
            typer.echo("\t".join((str(each.number), each.kind, each.target, since, ended, each.reason)))
