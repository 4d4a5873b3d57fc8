"""`hutong map …`: what the maps say, for people and for tools."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.mapping.library import Library

app = typer.Typer(help="What the maps say, for people and for tools.", no_args_is_help=True, rich_markup_mode=None)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="community.yaml; else the shipped maps.", envvar="HUTONG_CONFIG"
    ),
]


@app.command("statement")
def statement(config: Config = None) -> None:
    """Every mapped field or component: messages/segment/field, tab, Resource.path, tab, to-fhir, to-v2 or both. Then,
    behind a #, every column of the exports: export/column, tab, Resource.path, tab, to-fhir, to-file or both."""
    from gateway.mapping.exported_statement import statement as exported
    from gateway.mapping.statement import statement as lines

    library = _library(config)
    _print(lines(library))
    _print(f"# {line}" for line in exported(library))


@app.command("lint")
def lint(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR...", help="Folders of maps, read after the shipped ones.")
    ] = None,
) -> None:
    """Check maps whole: every mistake as file:line, cause, nearest right name. Exit 1 when there is one."""
    from gateway.errors import Configuration
    from gateway.mapping.library import read
    from gateway.mapping.lint import lint as oddities
    from gateway.mapping.maps import shipped

    for folder in folders or ():
        if not folder.is_dir():
            raise Configuration("there is no such folder", place=str(folder), remedy="give folders of .map files")
    try:
        found = oddities(read([shipped(), *(folders or ())]))
    except Configuration as error:
        found = error.cause.splitlines()
    _print(found)
    typer.echo(f"{len(found)} mistakes", err=True)
    if found:
        raise typer.Exit(1)


@app.command("explain")
def explain(
    asked: Annotated[str, typer.Argument(metavar="FIELD|ELEMENT", help="PID-5, PID-5.1, Observation.status, 姓名")],
    config: Config = None,
) -> None:
    """Every line that touches a field or an element, both ways, with its file and line, in plain words."""
    from gateway.mapping.inquiry import explain as lines

    _print(lines(_library(config), asked))


@app.command("waived")
def waived() -> None:
    """The rows of HL7's V2-to-FHIR guide that are left out on purpose, then those that are not written back: map,
    field, element, reason."""
    from gateway.mapping.maps import shipped

    for name in ("waived.tsv", "waived_back.tsv"):
        _print((shipped() / "hl7v2" / name).read_text(encoding="utf-8").splitlines())


@app.command("normal-forms")
def normal_forms() -> None:
    """Fields, columns of exports, and resources written to exports, that come back otherwise than their data type alone
    would have it: field, export/column or export/path, when (not of fields), what is written; between tabs."""
    from gateway.mapping.accounting import file_forms, resource_forms
    from gateway.mapping.accounting.normal_forms import declared

    _print(f"{field}\t{form}" for field, form in declared().items())
    _print(file_forms.lines())
    _print(resource_forms.lines())


def _library(config: Path | None) -> Library:
    from gateway import config as settings
    from gateway.mapping.library import read
    from gateway.mapping.maps import shipped

    folders = map(Path, settings.load(config).map_folders) if config else ()
    return read([shipped(), *folders])


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
