"""`hutong sniff`: messages of a new member → a draft of its member.yaml, with the evidence."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import errors
from gateway.cli.messages import Files, Piece, pieces

if TYPE_CHECKING:
    from gateway.codec.hl7v2_habits import Habits
    from gateway.mapping.maps import Maps


def add_to(app: typer.Typer) -> None:
    """Hang the command into the program."""
    app.command("sniff")(sniff)


def sniff(
    files: Files,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write <id>/member.yaml here, not to stdout.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The evidence, for programs.")] = False,
) -> None:
    """Propose a new member's settings from its messages: one draft of member.yaml for each sending facility.

    No patient's data is shown, only field positions, names of systems and codes. Exit 1 when nothing could be read."""
    habits, others = survey(pieces(files))
    for line in others:
        typer.echo(line, err=True)
    if as_json:
        import msgspec

        body = msgspec.json.encode([_plain(each) for each in habits])
        sys.stdout.write(msgspec.json.format(body, indent=2).decode() + "\n")
    else:
        _write(habits, out)
    if not habits:
        raise typer.Exit(1)


def survey(found: Iterable[Piece]) -> tuple[list[Habits], list[str]]:
    """The habits of each sending facility, and a line for each kind of file that is no HL7 v2."""
    from gateway.codec import hl7v2
    from gateway.codec.hl7v2_habits import Habits

    senders: dict[str, Habits] = {}
    others: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for piece in found:
        try:
            message = hl7v2.decode(piece.body)
        except errors.HutongError as error:
            kind = _other(piece.body) or f"refused: {error}"
            others[kind] += 1
            examples.setdefault(kind, piece.source)
            continue
        facility = message.header.sending_facility
        senders.setdefault(facility, Habits(facility)).add(message, piece.source)
    lines = [f"{kind} ({count}, e.g. {examples[kind]})" for kind, count in others.most_common()]
    return sorted(senders.values(), key=lambda each: -each.messages), lines


def _other(body: bytes) -> str:
    """What a file is that holds no HL7 v2 message; "" when nobody can tell."""
    from gateway.codec import delimited

    start = body[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"{", b"[")):
        return "FHIR as JSON" if b'"resourceType"' in body[:100_000] else "JSON: add a channel of format json"
    if start.startswith((b"MSH", b"msh")):
        return ""
    try:
        table = delimited.decode(body)
    except errors.HutongError:
        return ""
    if len(table.columns) < 2:
        return ""
    try:
        known = f"the map {_maps().exports.of_columns(table.columns)} reads it"
    except errors.HutongError:
        known = "no shipped map knows its columns: write an export map"
    return f"a table of {len(table.columns)} columns in {table.charset}, {known}; add a channel of format delimited"


@cache
def _maps() -> Maps:
    from gateway.mapping import maps

    return maps.load([maps.shipped()])


def _write(habits: list[Habits], out: Path | None) -> None:
    from gateway.config.draft import draft, member_id

    tables = {name: table.into.keys() for name, table in _maps().library.codes.items()}
    for number, each in enumerate(habits, 1):
        text = draft(each, tables=tables, number=number)
        if out is None:
            typer.echo(("---\n" if number > 1 else "") + text, nl=False)
            continue
        path = out / member_id(each.facility, number) / "member.yaml"
        if path.exists():
            raise errors.Configuration("it exists already", place=str(path), remedy="choose another --out")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        typer.echo(f"wrote {path}", err=True)


def _plain(habits: Habits) -> dict[str, Any]:
    return {
        "facility": habits.facility,
        "messages": habits.messages,
        "aspects": {
            aspect: {value: {"count": seen.count, "example": seen.example} for value, seen in habits.of(aspect)}
            for aspect in sorted(habits.aspects)
        },
    }
