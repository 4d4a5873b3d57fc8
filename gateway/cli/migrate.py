"""`hutong migrate`: the databases to another schema or another engine, with nothing lost. The gateway stands still."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.db.engine import Engine

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The data directory of the gateway.", envvar="HUTONG_DATA")
]


def add_to(app: typer.Typer) -> None:
    """Hang the command into the program."""
    app.command("migrate")(migrate)


def migrate(
    data: Data,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="WHERE",
            help="postgresql://USER@HOST/NAME, env:NAME, file:PATH or sqlite: everything moves there. "
            "A number: the schema goes back to it, for an older program.",
        ),
    ] = "",
    schema: Annotated[
        str, typer.Option("--schema", metavar="NAME", help="With a number: record or journal.")
    ] = "record",
    forget: Annotated[
        bool, typer.Option("--forget", help="With a number: what the older schema has no place for may go.")
    ] = False,
) -> None:
    """Bring the databases to this program's schema, back to an older one, or to another engine."""
    from gateway.app.processes import alone
    from gateway.db import opening

    if schema not in ("record", "journal"):
        raise typer.BadParameter("record or journal", param_hint="--schema")
    with alone(data / "lock", remedy="stop it first"), opening.occupied(data) or nullcontext():
        if to.isdecimal():
            _back(data, schema, int(to), forget=forget)
        elif to:
            _move(data, to)
        _show(data)


def _back(data: Path, schema: str, to: int, *, forget: bool) -> None:
    """An older program can open it afterwards; this one would bring it forward again."""
    from gateway.cli.storage import both
    from gateway.db import migrations
    from gateway.errors import Configuration

    steps = migrations.known(schema)
    with both(data) as (journal, record):
        engine: Engine = journal if schema == "journal" else record
        with engine.transaction() as transaction:
            lost = migrations.forgotten(transaction, steps, min(to, len(steps)))
            if lost and not forget:
                told = ", ".join(f"{name} ({count} rows)" for name, count in lost.items())
                remedy = "make a backup, then say --forget"
                raise Configuration(f"schema {to} has no place for {told}", place="--to", remedy=remedy)
            count = migrations.back(transaction, steps, to)
    typer.echo(f"{schema}: {count} steps back, now schema {to}; start the older program")
    raise typer.Exit


def _move(data: Path, to: str) -> None:
    from gateway.db import moving

    found = moving.move(data, to, lambda schema, table, rows: typer.echo(f"{schema}.{table}: {rows} rows", err=True))
    for schema, tables in found.items():
        typer.echo(f"{schema}: {sum(each.rows for each in tables.values())} rows are the same in both")
    old = "the files *.sqlite.moved in the data directory" if to != moving.SQLITE else "the schemas in PostgreSQL"
    typer.echo(f"once all is well, delete {old}")


def _show(data: Path) -> None:
    from gateway.cli.storage import both
    from gateway.db import address

    with both(data) as engines:
        for name, engine in zip(("journal", "record"), engines, strict=True):
            with engine.reading() as reader:
                number = reader.execute("SELECT max(number) FROM schema_version")[0][0]
            where = "PostgreSQL" if address.remembered(data) else "SQLite"
            typer.echo(f"{name}: schema {number}, {where}")
