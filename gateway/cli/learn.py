"""`hutong learn`: a file of a new system → a draft of its map and of its member.yaml, with the evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import errors
from gateway.cli.progress import reading

if TYPE_CHECKING:
    from gateway.formats.sample import Looked
    from gateway.mapping.learning.draft import Draft


_SHOWN = 8  # columns of a file that is not understood
LONG = 16 << 20  # bytes: a table that is longer is known by its beginning


def add_to(app: typer.Typer) -> None:
    """Hang the command into the program."""
    app.command("learn")(learn)


def learn(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table, a workbook, XML or JSON, as the system exports it.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the map and member.yaml here, not to stdout.")
    ] = None,
    member: Annotated[
        str, typer.Option("--member", metavar="ID", help="The new member; else named as the folder.")
    ] = "",
) -> None:
    """Draft the map of an export, and the profile of its member, from a sample. They are used as they are:
    hutong translate FILE --map DIR

    No patient's data is shown: names of columns, counts of patterns, codes. Exit 1 when no kind of export fits."""
    from gateway.config.draft import member_id
    from gateway.formats.sample import look
    from gateway.mapping.learning.draft import learned
    from gateway.mapping.library import read
    from gateway.mapping.maps import shipped

    if not file.is_file():
        raise errors.Configuration("there is no such file", place=str(file), remedy="check the path")
    looked = look(_sample(file), file.name)
    library = read([shipped()])
    own = member_id(member or (out.resolve().name if out else file.stem))
    drafts: dict[str, Draft] = {}
    for sample in looked.samples:
        kind = learned(sample, library, name=own)
        name = _name(own, kind, drafts)
        drafts[name] = learned(sample, library, name=name)
    for draft in drafts.values():
        _tell(draft)
    made = {name: draft for name, draft in drafts.items() if draft.kind}
    if made:
        _write(made, looked, own, file, out)
    else:
        raise typer.Exit(1)


def _sample(file: Path) -> bytes:
    """The file; of one that is long the lines at its beginning, where it has lines."""
    size = file.stat().st_size
    if size <= LONG:
        return file.read_bytes()
    with reading(file.name, size) as through, through(lambda: file.open("rb"))() as opened:
        start = opened.read(LONG)
        plain = not start.startswith((b"PK", b"\xd0\xcf")) and start.lstrip(b"\xef\xbb\xbf \r\n")[:1] not in b"<{["
        rest = b"" if plain else opened.read()
    if not plain:
        return start + rest
    typer.echo(f"{file}: long; its first {LONG >> 20} MB are looked at", err=True)
    return start[: start.rfind(b"\n") + 1] or start


def _name(id: str, draft: Draft, taken: dict[str, Draft]) -> str:
    name = f"{id}-{draft.kind.name}" if draft.kind else f"{id}-unknown"
    number = sum(each == name or each.startswith(f"{name}-") for each in taken)
    return f"{name}-{number + 1}" if number else name


def _tell(draft: Draft) -> None:
    """What it is, on stderr: the draft itself may go to stdout."""
    from gateway.mapping.learning.draft import certainty, guessed

    sheet = f"{draft.sample.sheet}: " if draft.sample.sheet else ""
    at = f" at {draft.sample.each}" if draft.sample.each else ""
    count = f"{draft.sample.records} records{at}, {len(draft.sample.columns)} columns"
    if draft.kind is None:
        typer.echo(f"{sheet}{count}: like no kind of export that is known; write its map by hand", err=True)
        for column in draft.unmapped[:_SHOWN]:
            typer.echo(f"  {column.column.shown}: {guessed(column) or 'unknown'}", err=True)
        typer.echo("  results, reports, orders, visits, diagnoses, patients and referrals are known", err=True)
    else:
        sure = sum(each.confidence >= 0.85 for each in draft.matches)
        typer.echo(f"{sheet}{count}: {draft.kind.title}", err=True)
        typer.echo(f"  understood {len(draft.matches)} ({sure} surely), not mapped {len(draft.unmapped)}", err=True)
        if not draft.sample.records:
            typer.echo("  no records: only the names of the columns were looked at", err=True)
        for each in sorted(draft.matches, key=lambda each: each.confidence)[:8]:
            if each.confidence < 0.7:
                typer.echo(f"  check: {each.column.shown} = {each.meaning} ({certainty(each.confidence)})", err=True)
    for missing in draft.missing:
        typer.echo(f"  not found: {missing}", err=True)
    if draft.fitting:
        typer.echo(f"  a map that is there reads it already: {' '.join(draft.fitting)}", err=True)


def _check(out: Path) -> None:
    """Can the maps of the folder be used as they are? Exit 1 where not."""
    from gateway.mapping.maps import load, shipped

    try:
        load([shipped(), out])
    except errors.HutongError as error:
        typer.echo(f"before they can be used: {error}", err=True)
        raise typer.Exit(1) from None


def _write(made: dict[str, Draft], looked: Looked, own: str, file: Path, out: Path | None) -> None:
    from gateway.config.learned import member_yaml

    codes = {table: strange for draft in made.values() for table, strange in draft.codes.items()}
    profile = member_yaml(
        id=own,
        format=looked.format,
        charset=looked.charset,
        maps=list(made),
        source=file.name,
        how=looked.how,
        codes=codes,
    )
    texts = {f"{name}.map": draft.text for name, draft in made.items()} | {"member.yaml": profile}
    if out is None:
        for name, text in texts.items():
            typer.echo(f"# --- {name}\n{text}", nl=False)
        return
    for name in texts:
        if (out / name).exists():
            raise errors.Configuration("it exists already", place=str(out / name), remedy="choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, "utf-8")
        typer.echo(f"wrote {out / name}", err=True)
    _check(out)
    typer.echo(f"try it: hutong translate {file} --map {out} --loss", err=True)
