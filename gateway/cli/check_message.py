"""`hutong check-message`: messages against the HL7 v2 standard, strictly, for whoever builds a sender."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import errors
from gateway.cli.messages import Files, pieces

if TYPE_CHECKING:
    from gateway.codec.hl7v2_strict import Problem

Finding = tuple[str, "Problem"]  # the message, and what is wrong with it


def add_to(app: typer.Typer) -> None:
    """Hang the command into the program."""
    app.command("check-message")(check_message)


def check_message(
    files: Files,
    version: Annotated[
        str, typer.Option("--version", metavar="V", help="The HL7 version to check against; else MSH-12.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check messages strictly: structure, cardinality, types, tables, lengths; each with place, cause and remedy.

    The gateway itself is tolerant: it reads what has warnings, and most of what has errors. Exit 1 on any error."""
    from gateway.codec.hl7v2_schema import VERSIONS
    from gateway.codec.hl7v2_strict import ERROR

    if version and version not in VERSIONS:
        raise typer.BadParameter(f"one of {', '.join(VERSIONS)}", param_hint="--version")
    found: list[Finding] = []
    count = 0
    for piece in pieces(files):
        count += 1
        found.extend((piece.source, each) for each in _problems(piece.body, version))
    wrong = sum(problem.severity == ERROR for _, problem in found)
    if as_json:
        import msgspec

        body = msgspec.json.encode([_plain(*each) for each in found])
        sys.stdout.write(msgspec.json.format(body, indent=2).decode() + "\n")
    else:
        for source, problem in found:
            typer.echo(f"{source}: {problem.severity}: {problem.place}: {problem.text}; {problem.remedy}")
    typer.echo(f"{count} messages: {wrong} errors, {len(found) - wrong} warnings", err=True)
    if wrong or not count:
        raise typer.Exit(1)


def _problems(body: bytes, version: str) -> Iterator[Problem]:
    """What cannot be read at all is one error."""
    from gateway.codec import hl7v2
    from gateway.codec.hl7v2_strict import Problem, strict_check

    try:
        message = hl7v2.decode(body)
    except errors.HutongError as error:
        yield Problem(error.place or "message", error.cause, error.remedy)
        return
    yield from strict_check(message, version)


def _plain(source: str, problem: Problem) -> dict[str, Any]:
    return {
        "message": source,
        "severity": problem.severity,
        "place": problem.place,
        "cause": problem.text,
        "remedy": problem.remedy,
    }
