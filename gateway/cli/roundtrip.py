"""`hutong roundtrip`: documents there and back, and what came back identical, in a normal form, or not at all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import errors
from gateway.cli.messages import Files, pieces

if TYPE_CHECKING:
    from gateway.mapping.accounting.roundtrip import Came


def add_to(app: typer.Typer) -> None:
    """Hang the command into the program."""
    app.command("roundtrip")(roundtrip)


def roundtrip(
    files: Files,
    member: Annotated[
        str | None, typer.Option("--member", metavar="ID", help="Whose profile applies; else by the message.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="community.yaml; else the starter community.", envvar="HUTONG_CONFIG"
        ),
    ] = None,
) -> None:
    """Translate messages and files → FHIR → the same again (Bundles the other way), and compare every mapped value.
    Exit 1 when one is lost or a document cannot be translated."""
    from gateway import stateless
    from gateway.mapping.accounting.roundtrip import Came, told

    totals: Counter[Came] = Counter()
    failed = 0
    count = 0
    for piece in pieces(files):
        try:
            made = stateless.roundtrip(piece.body, name=piece.source, member=member, config=config)
        except errors.HutongError as error:
            failed += 1
            typer.echo(f"{piece.source}: {error}", err=True)
            continue
        count += 1
        totals += made.totals
        typer.echo(f"{piece.source}: {told(made.totals)}")
        for value in made.values:
            if value.came is not Came.IDENTICAL:
                typer.echo(f"  {value.place} {value.came}{f': {value.form}' if value.form else ''}")
    typer.echo(f"{count} documents, {failed} not translated; {told(totals)}")
    if failed or totals[Came.LOST]:
        raise typer.Exit(1)
