"""The `hutong` command. Rooms are imported when a command runs, so that `hutong --help` answers at once.

Every error is one clear line on stderr; exit 0 done, 1 it failed, 2 it was called wrongly, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.cli import (
    backup,
    check_message,
    codes,
    learn,
    maps,
    messages,
    migrate,
    operations,
    people,
    retention,
    roundtrip,
    service,
    settings,
    sniff,
    tokens,
)
from gateway.errors import HutongError

DEBUG = "HUTONG_DEBUG"  # in the environment: show where an error inside the program came from


# What typer itself turns into an exit code; wrong usage, with typer's own copy of click and with click itself.
_TYPERS: tuple[type[BaseException], ...] = (
    typer.Exit,
    typer.Abort,
    *(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"),
)


class Commands(TyperGroup):
    """Turns errors into one line and an exit code."""

    def invoke(self, context: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(context)
        except _TYPERS:
            raise
        except HutongError as error:
            typer.echo(str(error), err=True)
        except BrokenPipeError:  # `hutong … | head`
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  nothing left to flush at exit
        except OSError as error:
            typer.echo(f"{error.filename or 'the system'}: {error.strerror or type(error).__name__}", err=True)
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            typer.echo(f"an error inside hutong ({type(error).__name__}); set {DEBUG}=1 to see where", err=True)
        raise typer.Exit(1)


app = typer.Typer(
    cls=Commands,
    name="hutong",
    help="Hutong 互通: interoperability gateway for hospital communities (HL7 v2, exports and FHIR R4, both ways).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables: message bodies
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"hutong {service.version()}")
        raise typer.Exit


@app.callback()
def hutong(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hutong 互通: interoperability gateway for hospital communities (HL7 v2, exports and FHIR R4, both ways)."""


settings.add_to(app)
service.add_to(app)
messages.add_to(app)
roundtrip.add_to(app)
sniff.add_to(app)
learn.add_to(app)
check_message.add_to(app)
operations.add_to(app)
migrate.add_to(app)
backup.add_to(app)
retention.add_to(app)
app.add_typer(maps.app, name="map")
app.add_typer(tokens.app, name="token")
app.add_typer(codes.app, name="codes")
app.add_typer(people.app, name="people")


def main() -> None:
    """The entry point of the installed command."""
    app()
