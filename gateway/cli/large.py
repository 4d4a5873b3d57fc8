"""Files that are too large to be held: their Bundle is written while they are read."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import typer

from gateway.cli.progress import reading
from gateway.errors import HutongError

if TYPE_CHECKING:
    from gateway.cli.messages import Piece
    from gateway.model import Reject


@dataclass(slots=True, kw_only=True)
class Large:
    """Translates the large files among others. `failed`: how many of them could not be."""

    member: str | None
    config: Path | None
    channel: str
    map_folder: Path | None
    out: Path | None
    rejected: Callable[[str, Reject], None]
    failed: int = 0

    def others(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Those that are read as a whole; the large ones are written when their turn comes."""
        for piece in pieces:
            if piece.file is None:
                yield piece
                continue
            try:
                if self._written(piece, piece.file):
                    continue
            except HutongError as error:
                self.failed += 1
                typer.echo(f"{piece.source}: {error}", err=True)
                continue
            yield replace(piece, body=piece.file.read_bytes(), file=None)

    def _written(self, piece: Piece, file: Path) -> bool:
        """The Bundle of a file to `out`, else to stdout; what is written until an error is no Bundle."""
        from gateway import streaming

        told = streaming.Told(
            note=lambda text: typer.echo(f"{piece.source}: {text}", err=True),
            reject=lambda reject: self.rejected(piece.source, reject),
        )
        with reading(piece.source, file.stat().st_size, quiet=self.out is None) as through:
            found = streaming.translate(
                file, name=piece.source, member=self.member, config=self.config, channel=self.channel, told=told,
                map_folder=self.map_folder, through=through,
            )  # fmt: skip
            if found is None:
                return False
            gc.freeze()  # the maps stay for good: the collector need not look at them again and again
            gc.set_threshold(50_000, 20, 50)
            with _target(self.out / f"{piece.name}.json" if self.out else None) as target:
                for each in found:
                    target.write(each)
        return True


@contextmanager
def _target(out: Path | None) -> Iterator[IO[bytes]]:
    """A file has its name only when it is whole."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.part")
    try:
        with unfinished.open("wb") as target:
            yield target
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
