"""A copy of everything, made while the gateway runs: both databases as of one moment, large files, settings, folders.

The moment: the record's writer is held back for the instant in which both snapshots begin, the record's first. So the
record knows of no entry that the journal has not, every delivery is either owed or done in it, and whatever was
acknowledged before is in the journal. What arrived in that very instant is worked on after the restore.
The files are copied after the snapshots: large files are on the disk before their entry is. `manifest.json` is written
last, with the size and SHA-256 of all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.db import address, copying, migrations, opening
from gateway.db.engine import Reader
from gateway.db.sqlite import SqliteEngine, SqliteReader
from gateway.errors import Configuration, Permanent, Transient
from gateway.model import BODIES

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
PART: Final = ".part"  # behind the name of what is not whole yet
_CHUNK: Final = 2**20
_LEFT_OUT: Final = {"lock", "worker.lock", "keeping.lock", "in-work", "metrics", address.REMEMBERED}
_ARRIVING: Final = (BODIES, "arriving")


def back_up(data: Path, target: Path, *, program: str) -> dict[str, Any]:
    """Everything of a data directory, into a new folder, or into one file where the name ends with .tar; returns the
    manifest. Raises Configuration where the target is there already or nothing was served from here, Permanent for a
    large file whose bytes are not what they were."""
    if not all(opening.exists(data, schema) for schema in opening.SCHEMAS):
        raise Configuration("there is nothing to back up", place=str(data), remedy="check --data")
    if target.exists():
        raise Configuration("the target is there already", place=str(target), remedy="name a new one")
    part = target.with_name(target.name + PART)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    began = datetime.now(UTC)
    steps = _databases(data, part)
    manifest = {
        "format": FORMAT,
        "program": program,
        "began": began.isoformat(),
        "engine": "postgresql" if address.remembered(data) else "sqlite",
        "schemas": steps,
        "files": {opening.file(part, schema).name: _told(opening.file(part, schema)) for schema in steps}
        | {name: _copied(data / name, part / name) for name in _others(data)},
        "ended": datetime.now(UTC).isoformat(),
    }
    _write(part / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    if target.suffix == ".tar":
        _pack(part, target)
    else:
        part.replace(target)
    return manifest


def restore(source: Path, data: Path) -> dict[str, Any]:
    """The data directory of a backup; it must not be there, or be empty. Returns the manifest.

    Every byte is compared with the manifest before anything is in its place: what is damaged is named (Permanent). A
    backup of a newer program is Configuration.
    """
    if data.exists() and any(data.iterdir()):
        raise Configuration("the data directory is not empty", place=str(data), remedy="name a new one")
    part = data.with_name(data.name + PART)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        if source.is_file():
            _unpack(source, part)
        else:
            shutil.copytree(source, part, dirs_exist_ok=True)
        manifest = _checked(part)
        (part / MANIFEST).unlink()
        if data.exists():
            data.rmdir()
        part.replace(data)
    _sync(data.parent)
    return manifest


# ------------------------------------------------------------------------------------------------ the databases


def _databases(data: Path, part: Path) -> dict[str, int]:
    """Both databases as SQLite files, whatever engine they come from. Returns their schemas."""
    with ExitStack() as stack:
        journal, record = (stack.enter_context(closing(opening.opened(data, schema))) for schema in opening.SCHEMAS)
        readers: dict[str, Reader] = {}
        with ExitStack() as still:
            with suppress(Transient):  # where others never pause, the order alone must do: what is done twice is little
                still.enter_context(record.transaction())  # nobody goes on in the record until both snapshots began
            for schema, engine in (("record", record), ("journal", journal)):
                readers[schema] = stack.enter_context(engine.reading())
                readers[schema].execute("SELECT max(number) FROM schema_version")
        steps = {}
        for schema, reader in readers.items():
            file = opening.file(part, schema)
            steps[schema] = int(reader.execute("SELECT max(number) FROM schema_version")[0][0])
            if isinstance(reader, SqliteReader):
                reader.pages_into(file)
            else:
                with closing(SqliteEngine(file, schema=schema)) as copy:
                    copying.copy(reader, copy, lambda *_: None)
        return steps


# ------------------------------------------------------------------------------------------------ files


def _others(data: Path) -> Iterator[str]:
    """All files of the data directory but the databases and what only lives while it runs."""
    for folder, names, files in os.walk(data):
        inside = Path(folder).relative_to(data)
        names[:] = sorted(names) if inside.parts else sorted(set(names) - _LEFT_OUT)
        for name in sorted(files):
            known = not inside.parts and (name in _LEFT_OUT or ".sqlite" in name)
            if not known and inside.parts[:2] != _ARRIVING and (data / inside / name).is_file():
                yield str(inside / name)


def _copied(source: Path, target: Path) -> dict[str, Any]:
    """What the manifest says of a file that was copied; {} for one that went away meanwhile (it was picked up)."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        return {}
    told = _told(target)
    if BODIES in source.parts and len(source.name) == 64 and told["sha256"] != source.name:
        raise Permanent("a large file is damaged", place=str(source), remedy="restore it from an earlier backup")
    return told


def _told(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        os.fsync(opened.fileno())
    return {"size": file.stat().st_size, "sha256": digest}


def _checked(part: Path) -> dict[str, Any]:
    """The manifest, once every file is what it says."""
    try:
        manifest: dict[str, Any] = json.loads((part / MANIFEST).read_bytes())
    except (OSError, ValueError):
        remedy = "name the folder or the .tar that `hutong backup` made"
        raise Permanent("this is no whole backup", place=MANIFEST, remedy=remedy) from None
    if manifest["format"] != FORMAT or any(
        number > len(migrations.known(schema)) for schema, number in manifest["schemas"].items()
    ):
        raise Configuration("a newer program made this backup", place=MANIFEST, remedy="restore it with that program")
    for name, told in manifest["files"].items():
        file = part / name
        if told and (not file.is_file() or _told(file) != told):
            raise Permanent("this file of the backup is damaged", place=name, remedy="take another backup")
    return manifest


def _pack(part: Path, target: Path) -> None:
    fresh = target.with_name(target.name + ".writing")
    with fresh.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for child in sorted(part.iterdir()):
                tar.add(child, arcname=child.name)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
    _sync(target.parent)
    shutil.rmtree(part)


def _unpack(source: Path, part: Path) -> None:
    try:
        with tarfile.open(source) as tar:
            tar.extractall(part, filter="data")  # nothing outside, no links, no devices
    except tarfile.TarError:
        raise Permanent("this is no whole backup", place=source.name, remedy="take another backup") from None


def _write(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
