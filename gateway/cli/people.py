"""`hutong people`: pairs of patients that may be one person, and what is decided of them, also while it is served."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.operations import Data

app = typer.Typer(
    help="Patients that may be one person: the list, merge, unmerge, and the log of both.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="The community.yaml: members are told of it.", envvar="HUTONG_CONFIG"
    ),
]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="For the log; without a name or a number.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decided; else who is logged in.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Two = Annotated[list[str], typer.Argument(metavar="NUMBER | ID ID", help="A pair of the list, or two Patients by id.")]


@app.command("review")
def listed(
    data: Data,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000)] = 50,
    as_json: Json = False,
) -> None:
    """The pairs that a person must decide, the likeliest first: ids, probability and reasons, never a name."""
    from gateway.api.people import shown
    from gateway.cli.storage import record
    from gateway.identity import review

    with record(data) as engine, engine.reading() as reader:
        pairs, count = [shown(each) for each in review.listed(reader, limit=limit)], review.count(reader)
    if as_json:
        _print({"open": count, "pairs": pairs})
        return
    for pair in pairs:
        words = (str(pair["number"]), f"{pair['probability']:.4f}", pair["one"], pair["other"], *pair["reasons"])
        typer.echo("\t".join(words[:4]) + "\t" + " ".join(words[4:]))
    typer.echo(f"{count} pairs wait for a decision", err=True)


@app.command("log")
def log(
    data: Data,
    patient: Annotated[str, typer.Argument(metavar="[ID]", help="A Patient; without it, the last of all.")] = "",
    as_json: Json = False,
) -> None:
    """What was joined and parted: when, by whom and why."""
    from gateway.api.people import logged
    from gateway.cli.storage import record
    from gateway.identity import review

    with record(data) as engine, engine.reading() as reader:
        lines = [logged(each) for each in review.deeds(reader, patient=patient)]
    if as_json:
        _print(lines)
        return
    for line in lines:
        typer.echo("\t".join((line["at"], line["deed"], line["one"], line["other"], line["by"], line["why"])))


@app.command("merge")
def merge(two: Two, data: Data, why: Why, config: Config = None, by: By = "") -> None:
    """They are one person: the first Patient is retired and lives on as the second one."""
    _carry_out("merge", two, data, config, why=why, by=by)


@app.command("unmerge")
def unmerge(two: Two, data: Data, why: Why, config: Config = None, by: By = "") -> None:
    """They were two people all the time: each gets back what is its own."""
    _carry_out("unmerge", two, data, config, why=why, by=by)


@app.command("apart")
def apart(two: Two, data: Data, why: Why, by: By = "") -> None:
    """They are two people, and nobody is asked again."""
    _carry_out("apart", two, data, None, why=why, by=by)


def _carry_out(deed: str, two: list[str], data: Path, config: Path | None, *, why: str, by: str) -> None:
    from datetime import UTC, datetime

    from gateway.api.people import Decision, carry_out
    from gateway.app.rooms import read_maps
    from gateway.cli.storage import record
    from gateway.inbound import Processor
    from gateway.store.joining import Reason
    from gateway.store.record import Record

    asked = Decision(why=why, number=int(two[0])) if len(two) == 1 and two[0].isdecimal() else None
    if asked is None:
        if len(two) != 2:
            raise typer.BadParameter("name a pair by its number, or two Patients by id")
        asked = Decision(why=why, one=two[0], other=two[1])
    formats, channels = read_maps(config)
    with record(data) as engine, engine.transaction() as transaction:
        reason = Reason(by=by or getpass.getuser(), why=why, at=datetime.now(UTC))
        changes = carry_out(transaction, deed, asked, reason)
        processor = Processor(community=formats.community, formats=formats, record=Record(engine), channels=channels)
        for change in changes if config else ():
            processor.owe(transaction, change, "")
    told = "members are told" if config and changes else "without --config no member is told" if changes else ""
    typer.echo(f"{deed}: {len(changes)} Patients changed" + (f"; {told}" if told else ""), err=True)


def _print(value: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
