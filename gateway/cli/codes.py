"""`hutong codes`: local codes that no table knows, and the messages that are translated again once they are mapped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.operations import Data

if TYPE_CHECKING:
    from gateway.journal.unknown import UnknownCode

app = typer.Typer(
    help="Local codes that no table knows yet, and what becomes of their messages.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("unknown")
def unknown(
    data: Data,
    member: Annotated[str, typer.Option("--member", metavar="ID", help="Of this member only.")] = "",
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="Of this code table or system only.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the codes that no table knew: how often, since when, and an entry that holds one."""
    from gateway.cli.storage import record
    from gateway.journal.unknown import listed

    with record(data) as engine, engine.reading() as reader:
        found = listed(reader, member=member, table=table)
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    _show(found)


@app.command("apply")
def apply(
    data: Data,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="The community.yaml.", envvar="HUTONG_CONFIG")
    ],
) -> None:
    """Translate the messages again whose unknown codes are mapped now. A start of the gateway does the same."""
    from gateway.app.rooms import read_maps
    from gateway.cli.storage import both
    from gateway.journal.unknown import ask_again

    formats, _ = read_maps(config)
    with both(data) as (journal, record):
        codes, entries = ask_again(journal, record, formats.knows)
    typer.echo(f"{codes} codes are known now; {entries} messages wait to be translated again", err=True)


@app.command("table")
def table(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A code table; without it, their names.")] = "",
) -> None:
    """Show a code table of the shipped maps: the codes that a local code may be mapped to, and what they become."""
    from gateway import errors
    from gateway.mapping import guide, maps

    tables = maps.load([maps.shipped()]).library.codes
    if not name:
        for each in sorted(tables):
            typer.echo(each)
        return
    if name not in tables:
        raise errors.Configuration(f"there is no code table {name}", remedy="see `hutong codes table`")
    texts = {row.code: row.text for row in guide.of(name)}
    for code, target in tables[name].into.items():
        typer.echo(f"{code}\t{target}\t{texts.get(code, '')}".rstrip())


def _show(found: list[UnknownCode]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from gateway.journal.unknown import shown

    table = Table("member", "table", "code", "sender's words", "times", "messages", "first", "last", "entry")
    for each in found:
        days = (each.first_seen.date().isoformat(), each.last_seen.date().isoformat())
        counts = (str(each.times), str(each.entries))
        row = (each.member, each.table, shown(each.code), each.words, *counts, *days, str(each.example))
        table.add_row(*(Text(cell) for cell in row))
    if found:
        Console(highlight=False).print(table)
    else:
        typer.echo("every code was known")
