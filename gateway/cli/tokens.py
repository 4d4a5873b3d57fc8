"""`hutong token create|list|revoke`: who may come in by the web door. Works while the server runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.api.security import Tokens

app = typer.Typer(help="Tokens of the web door.", no_args_is_help=True, rich_markup_mode=None)

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The data directory of the gateway.", envvar="HUTONG_DATA")
]
Name = Annotated[str, typer.Option("--name", metavar="N", help="For whom it is; one valid token a name.")]


@contextmanager
def _tokens(data: Path) -> Iterator[Tokens]:
    from gateway.api.security import Tokens
    from gateway.cli.storage import record

    with record(data, create=True) as engine:
        yield Tokens(engine)


@app.command("create")
def create(
    data: Data,
    name: Name,
    scope: Annotated[
        str, typer.Option("--scope", help="'system/*.*' (all), 'system/Observation.rs', 'intake/*', 'operations/*', …")
    ],
) -> None:
    """Make a token and print it, alone, on stdout: the only time that it can be read."""
    with _tokens(data) as table:
        typer.echo(table.create(name=name, scope=scope))


@app.command("list")
def show(data: Data) -> None:
    """Print names, scopes and dates; never a token."""
    with _tokens(data) as table:
        for issued in table.list():
            ended = f"revoked {issued.revoked_at}" if issued.revoked_at else "valid"
            typer.echo("\t".join((issued.name, issued.scope, issued.created_at, ended)))


@app.command("revoke")
def revoke(data: Data, name: Name) -> None:
    """End a token; the next request with it is refused."""
    with _tokens(data) as table:
        table.revoke(name)
    typer.echo(f"revoked {name}", err=True)
