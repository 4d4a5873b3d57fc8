"""`hutong serve` and `hutong demo`: the running gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HTTP = "127.0.0.1:8080"
MLLP = "127.0.0.1:2575"


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the program."""
    app.command("serve")(serve)
    app.command("work", hidden=True)(work)
    app.command("demo")(demo)


def version() -> str:
    """The installed version."""
    from importlib import metadata

    try:
        return metadata.version("hutong")
    except metadata.PackageNotFoundError:  # run from a checkout without installing it
        return "0+checkout"


def serve(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is kept.", envvar="HUTONG_DATA")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="community.yaml; without it an open starter community.",
            envvar="HUTONG_CONFIG",
        ),
    ] = None,
    http: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the web door listens.", envvar="HUTONG_HTTP")
    ] = HTTP,
    mllp: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where HL7 v2 arrives.", envvar="HUTONG_MLLP")] = MLLP,
) -> None:
    """Run the gateway until it is told to stop (Ctrl-C, SIGTERM)."""
    _address(http, "--http")
    _address(mllp, "--mllp")
    from gateway import app

    app.serve(config=config, data=data, http=http, mllp=mllp)


def work(
    data: Annotated[Path, typer.Option(metavar="DIR", envvar="HUTONG_DATA")],
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", envvar="HUTONG_CONFIG")] = None,
    fell: Annotated[bool, typer.Option("--fell", help="The one before ended by itself.")] = False,
) -> None:
    """The worker half of `serve`, started by it."""
    from gateway import app

    app.work(config=config, data=data, fell=fell)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Leave after the check; otherwise the gateway keeps running.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="A new folder in which everything is kept.")
    ] = None,
) -> None:
    """Show a small community at work on this machine, with made-up patients. Exit 0 only when all of it is right."""
    from gateway import demo as show

    raise typer.Exit(show.run(once=once, keep=keep))


def _address(text: str, option: str) -> None:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise typer.BadParameter(f"{text!r} is not HOST:PORT", param_hint=option)
