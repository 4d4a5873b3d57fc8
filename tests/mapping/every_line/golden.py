"""The files: short messages with their Bundles and messages back (laid out as gateway/mapping/examples.py says).

`python -m tests.mapping.generated --accept` writes them anew, when a person has looked at the difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.mapping import examples
from gateway.mapping.maps import Maps, load, shipped
from tests.mapping.every_line import codes
from tests.mapping.every_line.cover import cover

FOLDER = Path(__file__).parent
SILENT = FOLDER / "silent.tsv"  # lines that speak in none of the messages: line, reason


def differences(maps: Maps) -> Iterator[str]:
    """What these maps make that is not as the files say."""
    yield from codes_differ(maps)
    yield from (str(each) for each in examples.differences(examples.inputs(FOLDER), maps, short=True))


def accept(maps: Maps) -> list[str]:
    """Chooses the messages anew and writes all answers; gives what could not be made."""
    folder = FOLDER / examples.FOLDER
    for path in folder.glob("*"):
        path.unlink()
    folder.mkdir(exist_ok=True)
    for name, body in cover(maps).items():
        (folder / f"{name}.hl7").write_bytes(body)
    codes.FILE.write_text(codes.told(maps.library), encoding="utf-8")
    return [str(each) for each in examples.differences(examples.inputs(FOLDER), maps, accept=True, short=True)]


def codes_differ(maps: Maps) -> Iterator[str]:
    """What the tables make of their codes that is not as the list says."""
    before, now = codes.FILE.read_text(encoding="utf-8").splitlines(), codes.told(maps.library).splitlines()
    if before != now:
        yield from (f"codes.tsv: gone: {row}" for row in before if row not in now)
        yield from (f"codes.tsv: new: {row}" for row in now if row not in before)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all is as the files say, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m tests.mapping.generated", description="Every line of every map.")
    parser.add_argument("--accept", action="store_true", help="choose the messages anew and write what is made of them")
    maps = load([shipped()])
    found = accept(maps) if parser.parse_args(arguments).accept else list(differences(maps))
    sys.stdout.write("".join(f"{each}\n" for each in found))
    sys.stdout.write(f"{len(examples.inputs(FOLDER))} messages, {len(found)} differences\n")
    return 1 if found else 0
