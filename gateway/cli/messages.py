"""`hutong translate` and `hutong send`: messages from files, folders or standard input, without a running gateway."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import errors
from gateway.codec import hl7v2_batch

if TYPE_CHECKING:
    from gateway.stateless import Translated
    from gateway.transport.mllp_sender import MllpSender

STDIN = "-"
_CODE = re.compile(r"answered ([AC][AER])\b")


class Target(StrEnum):
    """What `translate` makes."""

    FHIR = "fhir"
    HL7V2 = "hl7v2"
    DELIMITED = "delimited"
    FIXED = "fixed"
    WORKBOOK = "workbook"
    XML = "xml"
    JSON = "json"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a source."""

    source: str  # for people: the file's path, and '#2' for its second message
    name: str  # file name below --out, without the suffix
    body: bytes
    notes: tuple[str, ...] = ()  # what the envelope of its batch says wrongly
    sender: str = ""  # whom that envelope names
    file: Path | None = None  # one that may be too large to be held: nothing of it has been read


OptionalFiles = Annotated[
    list[str] | None, typer.Argument(metavar="FILE...", help="Files or folders; - is standard input.")
]
Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Files or folders; - is standard input.")]


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the program."""
    app.command("translate")(translate)
    app.command("send")(send)


def translate(
    files: OptionalFiles = None,
    member: Annotated[
        str | None, typer.Option("--member", metavar="ID", help="Whose profile applies; else by the message.")
    ] = None,
    database: Annotated[
        str, typer.Option("--database", metavar="URL", help="The views of a database (sqlite:///his.db), not files.")
    ] = "",
    channel: Annotated[
        str, typer.Option("--channel", metavar="ID", help="The member's channel that it comes by; else by the bytes.")
    ] = "",
    map_folder: Annotated[
        Path | None,
        typer.Option("--map", metavar="DIR", help="Maps to try, as `hutong learn` wrote them; --member may be new."),
    ] = None,
    to: Annotated[Target, typer.Option("--to", help="What to make.")] = Target.FHIR,
    message: Annotated[
        str, typer.Option("--message", metavar="CODE^EVENT|MAP", help="To hl7v2: OML^O21; to a file: its export map.")
    ] = "",
    xml: Annotated[bool, typer.Option("--xml", help="With --to hl7v2: as HL7 v2.xml.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="With --to hl7v2: all in one file with its envelope (FHS BHS … BTS FTS).")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="community.yaml; else the starter community.", envvar="HUTONG_CONFIG"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="One file a message here, not on stdout.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", metavar="FILE.tsv", help="Write the records that were set aside here.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Tell on stderr where every element came from.")] = False,
    loss: Annotated[bool, typer.Option("--loss", help="Tell on stderr what became of every value.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.tsv", help="Write what became of every value here.")
    ] = None,
) -> None:
    """Translate messages and files to a FHIR Bundle, or Bundles to HL7 v2 or a file. Exit 1 when any of them fails."""
    from gateway import stateless
    from gateway.cli.large import Large
    from gateway.cli.losses import Losses
    from gateway.cli.rejects import Rejects

    _check_options(bool(files), bool(database), to, xml=xml, batch=batch)
    failed = 0
    together: list[bytes] = []
    aside = Rejects(rejects)
    whole = to is not Target.FHIR or explain or loss or report is not None
    losses = Losses(report)
    if database:
        made = stateless.translate_views(database, member=member, config=config, map_folder=map_folder)
        _put(made.output, out, "views.json")
        _tell("views", made)
        for each in made.rejects:
            aside.add("views", each)
    large = Large(member=member, config=config, channel=channel, map_folder=map_folder, out=out, rejected=aside.add)
    for piece in large.others(pieces(files or [], whole=whole)):
        for line in piece.notes:
            typer.echo(f"{piece.source}: {line}", err=True)
        try:
            made = stateless.translate(
                piece.body, name=piece.source, member=member, to=to.value, config=config, explain=explain,
                loss=loss or report is not None, message=message, xml=xml, sender=piece.sender,
                channel=channel, map_folder=map_folder,
            )  # fmt: skip
            if batch:
                together.append(made.output)
            else:
                _put(made.output, out, f"{piece.name}{made.suffix}")
        except errors.HutongError as error:
            failed += 1
            typer.echo(f"{piece.source}: {error}", err=True)
            continue
        _tell(piece.source, made)
        losses.add(piece.source, made.account, shown=loss)
        for each in made.rejects:
            aside.add(piece.source, each)
    losses.finish(shown=loss)
    aside.close()
    if together:
        _put(hl7v2_batch.enclosed(together), out, "batch.hl7")
    if failed or large.failed:
        raise typer.Exit(1)


def _check_options(files: bool, database: bool, to: Target, *, xml: bool, batch: bool) -> None:
    if files == database:
        raise typer.BadParameter("files, or the views of a --database: one of them")
    if (xml or batch) and to is not Target.HL7V2:
        raise typer.BadParameter("--xml and --batch need --to hl7v2")
    if xml and batch:
        raise typer.BadParameter("a batch holds messages with separators: --xml or --batch")


def _tell(source: str, made: Translated) -> None:
    """What there is to say to people."""
    for line in (*made.notes, made.explanation):
        if line:
            typer.echo(line if "\n" in line else f"{source}: {line}", err=True)


def send(
    files: Files,
    to: Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="An MLLP receiver.")],
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=600)] = 30.0,
) -> None:
    """Send HL7 v2 messages over MLLP and print each acknowledgement code. Exit 1 unless all are AA or CA."""
    from gateway.transport.mllp_sender import MllpSender

    sender = MllpSender(to, timeout=timeout)
    if not asyncio.run(_send_all(sender, pieces(files))):
        raise typer.Exit(1)


def pieces(files: list[str], *, whole: bool = True) -> Iterator[Piece]:
    """Every message of the files, folders (their files by name, hidden ones left out) and standard input. Without
    `whole`, large files of tables are named and not read."""
    found = [pair for file in files for pair in _sources(file)]
    stems = Counter(name.with_suffix("") for _, name in found)
    for path, name in found:
        label = STDIN if path is None else str(path)
        stem = name.with_suffix("") if stems[name.with_suffix("")] == 1 else name
        if path is not None and not whole and _may_be_large(path):
            yield Piece(label, stem.as_posix(), b"", file=path)
            continue
        parts, notes, sender = messages(sys.stdin.buffer.read() if path is None else path.read_bytes())
        for number, part in enumerate(parts, 1):
            mark = f"#{number}" if len(parts) > 1 else ""
            below = f"{stem.as_posix()}{mark.replace('#', '-')}"
            yield Piece(label + mark, below, part, notes if number == 1 else (), sender)


def _may_be_large(path: Path) -> bool:
    from gateway.streaming import is_large

    return is_large(path)


def messages(body: bytes) -> tuple[list[bytes], tuple[str, ...], str]:
    """The HL7 v2 messages of a file that holds several (one after the other, a batch, MLLP frames), what its envelope
    says wrongly, and whom it names as the sender; else the whole."""
    batch = hl7v2_batch.opened(body) if b"MSH" in body[:4096] or b"msh" in body[:4096] else None
    return (list(batch.messages), batch.notes, batch.sender) if batch and batch.messages else ([body], (), "")


def _sources(file: str) -> list[tuple[Path | None, PurePath]]:
    """(where to read, the name below --out); errors.Configuration when there is no such file."""
    if file == STDIN:
        return [(None, PurePath("stdin"))]
    path = Path(file)
    if path.is_dir():
        below = sorted(child for child in path.rglob("*") if child.is_file())
        visible = [child for child in below if not any(part.startswith(".") for part in child.relative_to(path).parts)]
        return [(child, child.relative_to(path)) for child in visible]
    if not path.is_file():
        raise errors.Configuration("there is no such file", place=file, remedy="check the path")
    return [(path, PurePath(path.name))]


def _put(output: bytes, out: Path | None, name: str) -> None:
    if out is None:
        sys.stdout.buffer.write(output if output.endswith((b"\n", b"\r")) else output + b"\n")
        sys.stdout.buffer.flush()
        return
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(output)


async def _send_all(sender: MllpSender, found: Iterator[Piece]) -> bool:
    """Whether every message was taken; one line each."""
    taken = True
    try:
        for piece in found:
            taken &= await _send_one(sender, piece)
    finally:
        await sender.close()
    return taken


async def _send_one(sender: MllpSender, piece: Piece) -> bool:
    from gateway.model import Change, Delivery

    nothing = Change(type="", id="", version=0, transaction=0, interaction="update")
    body = piece.body.strip(b"\x0b\x1c\r\n").replace(b"\r\n", b"\r").replace(b"\n", b"\r") + b"\r"
    try:
        receipt = await sender.send(body, Delivery(id=0, subscription="", key="", change=nothing))
    except errors.HutongError as error:
        code = _CODE.search(error.cause)
        if code:
            typer.echo(f"{piece.source}: {code[1]}")
        typer.echo(f"{piece.source}: {error}", err=True)
        return False
    typer.echo(f"{piece.source}: {receipt.code}")
    return True
