"""What became of every value: shown for one message, written down for many, with totals by message and folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from gateway.mapping.accounting.account import Account, State

HEAD = ("source", "place", "state", "count", "reason")
MISSING = "missing"  # in the place of a state: it stands nowhere
ALL = "*"  # in the place of a row that counts a whole message or folder


class Losses:
    """Collects the accounts of one run."""

    def __init__(self, report: Path | None) -> None:
        self.report = report
        self.lines = ["\t".join(HEAD)]
        self.folders: dict[str, Counter[State]] = {}

    def add(self, source: str, account: Account | None, *, shown: bool) -> None:
        """One document; nothing for one that has no account (FHIR that passes through)."""
        if account is None:
            return
        from gateway.mapping.accounting.account import told

        for row, count in Counter(account.rows).items():
            self.lines.append("\t".join((source, row.place, row.state, str(count), row.reason)))
            if shown:
                typer.echo("\t".join((row.place, row.state, *([str(count)] * (count > 1)), row.reason)), err=True)
        for missing in account.missing:
            self.lines.append("\t".join((source, missing, MISSING, "0", "documents of this kind have it")))
            if shown:
                typer.echo(f"{missing}\t{MISSING}\tdocuments of this kind have it", err=True)
        if shown:
            typer.echo(f"{source}: {told(account.totals)}", err=True)
        self._total(source, account.totals)
        folder = f"{Path(source.partition('#')[0]).parent.as_posix()}/"
        self.folders[folder] = self.folders.get(folder, Counter()) + account.totals

    def finish(self, *, shown: bool) -> None:
        """The totals of the folders, and the file where one was asked for."""
        from gateway.mapping.accounting.account import told

        for folder, totals in sorted(self.folders.items()):
            self._total(folder, totals)
            if shown:
                typer.echo(f"{folder}: {told(totals)}", err=True)
        if self.report:
            self.report.write_text("\n".join(self.lines) + "\n", encoding="utf-8")

    def _total(self, source: str, totals: Counter[State]) -> None:
        from gateway.mapping.accounting.account import State

        self.lines.extend("\t".join((source, ALL, state, str(totals[state]), "")) for state in State)
