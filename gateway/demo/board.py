"""The live table: one line a hop, and the list of what holds at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

WIDTH = 110  # characters, where the output is no terminal
_STYLES = {"…": "yellow", "failed": "bold red"}


@dataclass(slots=True)
class Hop:
    """One step of a message. `state` is what the receiver answered, or what was seen."""

    source: str
    what: str
    target: str
    state: str = "…"
    milliseconds: float | None = None


@dataclass(slots=True)
class Board:
    """What the story does, shown while it does it."""

    console: Console
    hops: list[Hop] = field(default_factory=list)
    _live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(self.table(), console=self.console, refresh_per_second=12)
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.update(self.table(), refresh=True)
            self._live.stop()
            if not self.console.is_terminal:
                self.console.line()

    @contextmanager
    def hop(self, source: str, what: str, target: str) -> Iterator[Hop]:
        """One line, running until the block ends; set its `state` inside. What is raised inside marks it as failed."""
        line = Hop(source, what, target)
        self.hops.append(line)
        self._show()
        began = time.monotonic()
        try:
            yield line
        except BaseException:
            line.state = "failed"
            raise
        finally:
            line.milliseconds = (time.monotonic() - began) * 1000
            if line.state == "…":
                line.state = "done"
            self._show()

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(self.table(), refresh=True)

    def table(self) -> Table:
        """All hops so far."""
        made = Table(title="互通 Hutong: a day in a hospital community", title_justify="left")
        for name in ("#", "from", "what", "to", "state"):
            made.add_column(name, justify="right" if name == "#" else "left")
        made.add_column("ms", justify="right")
        for number, hop in enumerate(self.hops, 1):
            style = _STYLES.get(hop.state, "green")
            taken = "" if hop.milliseconds is None else f"{hop.milliseconds:.0f}"
            cells = (str(number), hop.source, hop.what, hop.target)
            made.add_row(*map(Text, cells), Text(hop.state, style=style), taken)
        return made


def console() -> Console:
    """Standard output; wide enough for the table where it is a file or a pipe."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=WIDTH)


def verdicts(found: list[tuple[str, str]]) -> RenderableType:
    """One line a claim: ✓ when it holds, else ✗ and why not."""
    lines = []
    for claim, fault in found:
        lines.append(Text.assemble(("✗ " if fault else "✓ ", "bold red" if fault else "green"), claim))
        if fault:
            lines.append(Text(f"    {fault}", style="red"))
    return Group(*lines)
