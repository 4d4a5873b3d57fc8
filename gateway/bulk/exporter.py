"""Writes exports: a page of each that runs, in turn, file first and the mark behind it, in a thread of its own.

A file is synced before its new length is committed; what stands behind that length after a crash is written over. A
full disk stops an export and nothing else: it goes on when there is room.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from gateway import telemetry
from gateway.bulk.job import File, Job, Jobs, Step
from gateway.bulk.selection import Line, Selection
from gateway.db.engine import Reader
from gateway.errors import HutongError, Permanent, Transient
from gateway.store import walk

FILE_BYTES: Final = 512 * 1024 * 1024  # of a file, after which the next one begins
AGAIN: Final = 2.0  # seconds until an export that could not be written is tried again
SWEEP: Final = 60.0  # seconds between two looks for exports whose time is over
MENTIONS: Final = 500  # resources that were mentioned, in one page


@dataclass(slots=True, eq=False)
class Exporter:
    """`folder` in the data directory belongs to it alone."""

    jobs: Jobs
    folder: Path
    rows: int = walk.ROWS
    problems: dict[str, Transient] = field(default_factory=dict)  # why one waits at this moment
    _selections: dict[str, Selection] = field(default_factory=dict)
    _wake: threading.Event = field(default_factory=threading.Event)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    # ------------------------------------------------------------------------------------------ the thread

    def start(self) -> None:
        """Goes on with what a former process left."""
        self._thread = threading.Thread(target=self._run, name="bulk", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends behind the page under way."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def wake(self) -> None:
        """There is a new export."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                busy = self.turn()
                if not busy:
                    self.sweep()
            except Exception as error:  # noqa: BLE001  the thread lives as long as the process
                telemetry.logger().warning("export", error=type(error).__name__)
                busy = False
            if not busy:
                self._wake.wait(AGAIN if self.problems else SWEEP)

    def turn(self) -> bool:
        """One page of every export that runs. False where nothing came forward."""
        moved = False
        for job in self.jobs.running():
            if self._stopping.is_set():
                return False
            moved = self._guarded(job) or moved
        return moved

    def _guarded(self, job: Job) -> bool:
        try:
            self.step(job)
        except Transient as error:
            self.problems[job.id] = error
            return False
        except HutongError as error:
            self._fail(job, str(error))
        except Exception as error:  # noqa: BLE001  one export must not end the others
            telemetry.logger().warning("export failed", export=job.id, error=type(error).__name__)
            self._fail(job, "an error inside the gateway; see its log at this time")
        self.problems.pop(job.id, None)
        return True

    def _fail(self, job: Job, cause: str) -> None:
        self.jobs.end(job, state="failed", cause=cause)
        self._close(job.id)
        shutil.rmtree(self.folder / job.id, ignore_errors=True)

    def _close(self, id_: str) -> None:
        self._selections.pop(id_, None)
        self.problems.pop(id_, None)

    # ------------------------------------------------------------------------------------------ one page

    def step(self, job: Job) -> None:
        """One page more of an export, or its end. Raises Transient where the disk or the database cannot take it."""
        with self.jobs.engine.reading() as reader:
            selection = self._selections.get(job.id)
            if selection is None:
                selection = self._selections[job.id] = Selection(job, reader)
            files = self.jobs.files(job.id, reader)
            lines, stage, after = self._page(selection, reader, job)
            looked_at: list[tuple[str, str]] = []
            if not lines and stage == len(selection.types):
                looked_at = self.jobs.mentioned(job.id, reader, MENTIONS)
                lines = selection.around(reader, looked_at)
        if not lines and not looked_at and stage == len(selection.types):
            self.jobs.end(job, state="done")
            self._close(job.id)
            return
        written = self._write(job, files, lines)
        output = sum(each.kind == "output" for each in lines)
        step = Step(
            stage=stage, after=after, written=job.written + output, files=written,
            mentions=sorted(selection.mentions(lines)), looked_at=looked_at,
        )  # fmt: skip
        if not self.jobs.advance(job, step):  # it was cancelled meanwhile
            self._close(job.id)
            shutil.rmtree(self.folder / job.id, ignore_errors=True)

    def _page(self, selection: Selection, reader: Reader, job: Job) -> tuple[list[Line], int, str]:
        """The lines of the next page of the types, and where the one behind it begins. Of types that have nothing, all
        are passed at once."""
        stage, after = job.stage, job.after
        while stage < len(selection.types) and not selection.nobody:
            stretch = selection.walk(selection.types[stage]).stretch(reader, after, rows=self.rows)
            stage, after = (stage + 1, "") if stretch.last else (stage, stretch.after)
            if stretch.met:
                return selection.lines(reader, stretch.met), stage, after
        return [], len(selection.types), ""

    def _write(self, job: Job, files: Sequence[File], lines: Sequence[Line]) -> list[File]:
        """The lines at the ends of their files, synced."""
        made: list[File] = []
        number = max((each.number for each in files), default=0)
        for kind, type_ in dict.fromkeys((each.kind, each.type) for each in lines):
            bodies = [each.body for each in lines if (each.kind, each.type) == (kind, type_)]
            known = [each for each in files if (each.kind, each.type) == (kind, type_)]
            if known and known[-1].bytes < FILE_BYTES:
                file = known[-1]
            else:
                number += 1
                file = File(number=number, kind=kind, type=type_)
            body = b"".join(bodies)
            try:
                self._append(self.folder / job.id / file.name, file.bytes, body)
            except OSError as error:
                cause = f"a file of an export could not be written ({error.strerror or type(error).__name__})"
                raise Transient(cause, place="exports", remedy="free some space; it goes on by itself") from error
            made.append(replace(file, resources=file.resources + len(bodies), bytes=file.bytes + len(body)))
        return made

    @staticmethod
    def _append(path: Path, length: int, body: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            if os.fstat(descriptor).st_size < length:
                raise Permanent("a file of the export was shortened or lost", remedy="ask for the export again")
            file.truncate(length)
            file.seek(length)
            file.write(body)
            file.flush()
            os.fsync(descriptor)
        if not length:
            _sync(path.parent)

    # ------------------------------------------------------------------------------------------ the end of it

    def cancel(self, id_: str) -> None:
        """Nothing of it is left; a page that is being written is thrown away behind it."""
        self.jobs.forget(id_)
        self._close(id_)
        shutil.rmtree(self.folder / id_, ignore_errors=True)

    def sweep(self) -> None:
        """Exports whose time is over, and folders that belong to none."""
        for id_ in self.jobs.expired():
            self.cancel(id_)
        known = self.jobs.ids()
        for each in self.folder.iterdir() if self.folder.is_dir() else ():
            if each.name not in known:
                shutil.rmtree(each, ignore_errors=True)


def _sync(folder: Path) -> None:
    """So that a new file is found after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some file systems know no fsync of folders
        os.fsync(descriptor)
    os.close(descriptor)
