"""`hutong status`, `replay` and `find`: they read the databases, beside a running gateway or without one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from gateway.api.overview import Overview, Queue, Status

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The data directory of the gateway.", envvar="HUTONG_DATA")
]
SHOWN = 10  # held rows of one kind and state that the table shows


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the program."""
    app.command("status")(status)
    app.command("replay")(replay)
    app.command("find")(find)


def status(
    data: Data,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    papers: Annotated[
        bool, typer.Option("--papers", help="Emergency referrals whose papers have not come. Exit 1: one is overdue.")
    ] = False,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="With --papers: as of this moment, not now.")] = "",
) -> None:
    """What was received, stored, sent, and what waits for whom and why."""
    if papers:
        _papers(data, at)
        return
    from gateway.api.overview import Overview
    from gateway.cli.storage import both

    with both(data) as (journal, record):
        overview = Overview(journal, record)
        found = overview.status()
        if as_json:
            import msgspec

            sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        else:
            _tables(found, overview)
            _settings(data)


def _settings(data: Path) -> None:
    """Which edition of the settings is in use, and why a newer one was refused."""
    path = data / "settings" / "state.json"
    if not path.is_file():
        return
    import msgspec

    state = msgspec.json.decode(path.read_bytes())
    typer.echo(f"settings: edition {state['edition']}, {state['at']}")
    if state["problem"]:
        typer.echo(f"a newer one was refused:\n{state['problem']}")


def replay(
    data: Data,
    entry: Annotated[
        list[int] | None, typer.Option("--entry", metavar="ID", help="A received message, by its id.")
    ] = None,
    delivery: Annotated[
        list[int] | None, typer.Option("--delivery", metavar="ID", help="A delivery, by its id.")
    ] = None,
    parked: Annotated[bool, typer.Option("--parked", help="Everything that is parked.")] = False,
) -> None:
    """Let parked, dead or refused work flow once more, after its cause was mended."""
    from gateway.api.overview import Overview, Replay
    from gateway.cli.storage import both

    asked = Replay(entries=entry or [], deliveries=delivery or [], parked=parked)
    if not (asked.entries or asked.deliveries or parked):
        raise typer.BadParameter("name what to replay: --entry ID, --delivery ID or --parked")
    with both(data) as (journal, record):
        done = Overview(journal, record).replay(asked)
    typer.echo(f"replayed {done.entries} entries and {done.deliveries} deliveries", err=True)
    if not (done.entries or done.deliveries or parked):
        raise typer.Exit(1)


def find(
    field: Annotated[str, typer.Argument(metavar="FIELD=VALUE", help="ZLB-1=2H; a value alone: in any field.")],
    data: Data,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="The newest so many.")] = 20,
) -> None:
    """Find the messages whose local segment (Z…) holds a value, mapped or not, and what they became. Exit 1: none."""
    from gateway.cli.storage import both
    from gateway.journal.ledger import LAST, Ledger
    from gateway.store import local

    name, _, value = field.rpartition("=")
    with both(data) as (journal, record):
        with record.reading() as reader:
            found = local.entries(reader, name.strip(), value.strip(), before=LAST, limit=limit)
        ledger = Ledger(journal, record)
        for number, made in found:
            entry = ledger.entry(number)
            told = f"{entry[0].received_at:%Y-%m-%d %H:%M:%S} {entry[0].member} {entry[0].kind}" if entry else ""
            typer.echo(f"entry {number} {told}".rstrip())
            for reference in made:
                typer.echo(f"  {reference}")
    if not found:
        raise typer.Exit(1)


def _papers(data: Path, at: str) -> None:
    """The emergency referrals whose papers have not come, a line each. Exit 1: one is overdue."""
    from datetime import UTC, datetime

    from gateway.cli import storage
    from gateway.store.papers import awaited

    try:
        now = datetime.fromisoformat(at) if at else datetime.now(UTC)
    except ValueError:
        raise typer.BadParameter("--at is a moment such as 2026-03-08T00:00:00+08:00") from None
    now = now if now.tzinfo else now.replace(tzinfo=UTC)
    with storage.record(data) as record, record.reading() as reader:
        found = awaited(reader, now)
    for each in found:
        word = "overdue" if each.overdue else "due"
        typer.echo(f"{each.number} {word} {each.due.isoformat()} {each.receiver}".rstrip())
    if any(each.overdue for each in found):
        raise typer.Exit(1)


def _tables(found: Status, overview: Overview) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    resources = ", ".join(f"{count} {kind}" for kind, count in found.resources.items())
    tables = f"; code tables: {found.tables}" if found.tables else ""
    console.print(f"record: {resources or 'empty'}{tables}", markup=False)
    entries = _lines("received", "channel", found.entries)
    deliveries = _lines("sent", "subscription", found.deliveries)
    for table in (entries, deliveries, _views(found), _hooks(found), _held(overview)):
        if table.row_count:
            console.print(table)
    if not found.entries:
        console.print("nothing received yet")


def _lines(title: str, what: str, queues: Mapping[str, Queue]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from gateway.journal.ledger import REFUSED
    from gateway.model import State

    states = [state.value for state in State] + ([REFUSED] if title == "received" else [])
    table = Table(title=title, title_justify="left")
    table.add_column(what)
    for state in states:
        table.add_column(state, justify="right")
    table.add_column("oldest waits", justify="right")
    for line, queue in queues.items():
        counts = (str(queue.counts.get(state, 0)) for state in states)
        table.add_row(Text(line), *counts, _duration(queue.oldest_seconds))
    return table


def _views(found: Status) -> Table:
    """The views of members' databases; of one with a problem what it is."""
    from rich.table import Table
    from rich.text import Text

    table = Table("channel", "view", "entries", "looked at", "problem", title="views", title_justify="left")
    for each in found.views:
        told = f"{each.place}: {each.cause}; {each.remedy}" if each.since else ""
        waiting = f"{each.orphans} wait for their order or visit" if each.orphans else ""
        looked = f"{each.looked_at:%Y-%m-%d %H:%M:%S}" if each.looked_at else ""
        row = (each.channel, each.view or "(database)", str(each.entries), looked, told or waiting)
        table.add_row(*(Text(cell) for cell in row))
    return table


def _hooks(found: Status) -> Table:
    """The Subscriptions of FHIR clients; what is sent to them stands among what is sent."""
    from rich.table import Table
    from rich.text import Text

    table = Table("Subscription", "state", "of", "events", "failing for", title="FHIR clients", title_justify="left")
    for each in found.subscriptions:
        failing = _duration(each.failing_seconds) if each.failing_seconds else ""
        table.add_row(*map(Text, (each.id, each.state, each.maker or "(token revoked)", str(each.events), failing)))
    return table


def _held(overview: Overview) -> Table:
    """What is held up, newest first, and why."""
    from rich.table import Table
    from rich.text import Text

    from gateway.journal.ledger import LAST, REFUSED
    from gateway.model import State

    table = Table("", "id", "line", "kind", "state", "place", "cause", title="held", title_justify="left")
    for state in (State.PARKED.value, State.DEAD.value, REFUSED):
        for line in overview.entries(state=state, limit=SHOWN, before=LAST):
            row = ("entry", str(line.id), line.channel, line.kind, state, line.place, line.cause)
            table.add_row(*(Text(cell) for cell in row))
        for owed in overview.deliveries(state=state, limit=SHOWN, before=LAST):
            kind = owed.reference.partition("/")[0]
            row = ("delivery", str(owed.id), owed.subscription, kind, state, owed.place, owed.cause)
            table.add_row(*(Text(cell) for cell in row))
    return table


def _duration(seconds: float) -> str:
    if seconds <= 0:
        return ""
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
