"""Would a wrong line in a map be noticed? Each mutant is the shipped maps with one line changed; it is caught when the
maps no longer load, when an example differs (`gateway.mapping.examples`, also those of every line), or when a test of
the maps fails.

    python -m conformance.mutation [--sample 200] [--seed 1] [--at hl7v2/team.map:61 …] [--tests] [--processes 2]

Without `--tests` only loading and the examples decide: those first whose fields the line names, so that most mutants
take a second, and one that survives ten. Tells how far it is on standard error. Exit code 1 when one survives.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from gateway.errors import Configuration
from gateway.mapping import examples
from gateway.mapping.maps import Maps, load
from tests.mapping.every_line import golden

ROOT = Path(__file__).resolve().parents[1]
MAPS = "mappings"
_LINE = re.compile(r"^  +(?!events |: |columns |order |each )\S.*(<->|->|<-)")
_ENTRY = re.compile(r"(?<=\s)[^\s=<>#]+[=<>][^\s=<>#]+(?=\s|$)")
_FIELD = re.compile(r"\b([A-Z][A-Z0-9]{2}-)(\d+)")
_NAMED = re.compile(r"\b(?:[A-Z][A-Z0-9]{2}-\d+|[A-Z][A-Z0-9]{2}(?=\[|\s*[=<]))")
_TOLD = 10  # mutants from one word about progress to the next


@dataclass(frozen=True, slots=True)
class Mutant:
    """One line of one map file, written otherwise."""

    file: str  # below the folder of maps
    number: int  # of the line, from 1
    kind: str
    text: str  # "" deletes the line
    fields: frozenset[str]  # and segments that it and the head of its block name

    def __str__(self) -> str:
        return f"{self.file}:{self.number} {self.kind}: {self.text.strip() or '(gone)'}"


Change = Callable[[str, random.Random], str | None]


def _one_way(arrow: str) -> Change:
    return lambda line, _: line.replace("<->", arrow, 1) if "<->" in line else None


def _field(line: str, _: random.Random) -> str | None:
    """The field after the one that is meant."""
    changed = _FIELD.sub(lambda found: f"{found[1]}{int(found[2]) + 1}", line, count=1)
    return changed if changed != line else None


def _unconditional(line: str, _: random.Random) -> str | None:
    head, mark, _condition = line.partition(" ? ")
    return head if mark else None


def _first_only(line: str, _: random.Random) -> str | None:
    """One repetition instead of all."""
    changed = re.sub(r"^(\s+[A-Z]\w\w-\d+)\*", r"\1", line, count=1)
    return changed if changed != line else None


def _entry(line: str, chance: random.Random) -> str | None:
    """A code table without one of its codes."""
    found = list(_ENTRY.finditer(line.partition(" #")[0]))
    if not found:
        return None
    gone = chance.choice(found)
    return line[: gone.start()] + line[gone.end() :]


_OF_LINES: dict[str, Change] = {
    "line deleted": lambda line, _: "",
    "only into FHIR": _one_way("->"),
    "only back": _one_way("<-"),
    "another field": _field,
    "condition dropped": _unconditional,
    "first repetition only": _first_only,
}


def mutants(folder: Path, chance: random.Random) -> list[Mutant]:
    """Every change that is known, of every line of every map."""
    found = []
    for path in sorted(folder.rglob("*.map")):
        head = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line[:1] not in (" ", "#", ""):
                head = line
            changes = {"code gone": _entry} if head.startswith("codes ") else _OF_LINES if _LINE.match(line) else {}
            for kind, change in changes.items():
                changed = change(line, chance)
                if changed is not None and not line.lstrip().startswith("#"):
                    named = frozenset(_NAMED.findall(f"{head}\n{line}\n{changed}"))
                    found.append(Mutant(path.relative_to(folder).as_posix(), number, kind, changed, named))
    return found


def caught_by(mutant: Mutant, *, tests: bool) -> str:
    """What notices the mutant; "" when nothing does."""
    with tempfile.TemporaryDirectory(prefix="hutong-mutant.") as temporary:
        folder = Path(temporary) / MAPS
        for path in (ROOT / MAPS).rglob("*.map"):
            copy = folder / path.relative_to(ROOT / MAPS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        _change(mutant, folder)
        try:
            maps = load([folder])  # what is not changed was read before
        except Configuration:
            return "loading"
    if any(True for _ in islice(_differences(maps, mutant), 1)):
        return "examples"
    return "tests" if tests and _tests_fail(mutant) else ""


def _change(mutant: Mutant, folder: Path) -> None:
    path = folder / mutant.file
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[mutant.number - 1] = mutant.text
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _differences(maps: Maps, mutant: Mutant) -> Iterator[object]:
    """From the quick to the slow: the codes, then the examples; those first that have what the mutant names."""
    if _codes_listed():
        yield from golden.codes_differ(maps)
    for example in sorted(_examples(), key=lambda each: (-len(each.fields & mutant.fields), each.size)):
        yield from _differs(example, maps)


@cache
def _codes_listed() -> bool:
    """Is the list of codes that of the shipped maps? Else it catches nothing."""
    return not any(True for _ in golden.codes_differ(load([ROOT / MAPS])))


def _differs(example: Example, maps: Maps) -> Iterator[object]:
    return examples.differences([example.path], maps, short=example.short)


@dataclass(frozen=True, slots=True)
class Example:
    """A document of an example, as far as its order matters."""

    path: Path
    short: bool  # how its answer is laid out
    fields: frozenset[str]  # those that are valued, and the segments
    size: int  # bytes


@cache
def _examples() -> list[Example]:
    found = [(path, False) for path in examples.inputs(ROOT / MAPS)]
    found += [(path, True) for path in examples.inputs(golden.FOLDER)]
    bodies = [path.read_bytes() for path, _ in found]
    return [
        Example(path, short, frozenset(_valued(body)), len(body))
        for (path, short), body in zip(found, bodies, strict=True)
    ]


def _valued(body: bytes) -> Iterator[str]:
    for line in body.decode("utf-8", "replace").replace("\n", "\r").split("\r"):
        name, *fields = line.split("|")
        yield name
        yield from (f"{name}-{number}" for number, text in enumerate(fields, start=1 + (name == "MSH")) if text)


def _tests_fail(mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory(prefix="hutong-mutant.") as temporary:
        copy = Path(temporary) / "product"
        for name in ("gateway", "tests", "conformance", "pyproject.toml", MAPS):
            source, target = ROOT / name, copy / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        _change(mutant, copy / MAPS)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        done = subprocess.run([*command, "tests/mapping"], cwd=copy, env=environment, capture_output=True, check=False)
        return done.returncode != 0


def results(chosen: list[Mutant], *, tests: bool, processes: int) -> Iterator[tuple[Mutant, str]]:
    """(mutant, what caught it), as they come."""
    maps = load([ROOT / MAPS])
    for example in [each for each in _examples() if any(_differs(each, maps))]:
        sys.stderr.write(f"{example.path.name} differs without any mutant: it is left out\n")
        _examples().remove(example)
    if not _codes_listed():
        sys.stderr.write("codes.tsv differs without any mutant: it is left out\n")
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        waiting = {pool.submit(caught_by, mutant, tests=tests): mutant for mutant in chosen}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def main() -> int:
    """0 when every mutant is caught."""
    parser = argparse.ArgumentParser(prog="python -m conformance.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=200, help="how many mutants, chosen at random; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at", nargs="+", default=[], help="only those of these lines, all of them: FILE:LINE")
    parser.add_argument("--tests", action="store_true", help="run the tests of the maps for what the examples miss")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many at a time; all cores")
    wanted = parser.parse_args()
    chance = random.Random(wanted.seed)
    everything = mutants(ROOT / MAPS, chance)
    if wanted.at:
        chosen = [each for each in everything if f"{each.file}:{each.number}" in wanted.at]
    else:
        chosen = chance.sample(everything, min(wanted.sample or len(everything), len(everything)))
    began = time.monotonic()
    count: Counter[str] = Counter()
    for mutant, caught in results(chosen, tests=wanted.tests, processes=wanted.processes):
        count[caught] += 1
        if not caught:
            sys.stdout.write(f"survived  {mutant}\n")
            sys.stdout.flush()
        if count.total() % _TOLD == 0:
            seconds = time.monotonic() - began
            sys.stderr.write(f"{count.total()} of {len(chosen)} tried, {count['']} survived, {seconds:.0f} s\n")
    told = ", ".join(f"{number} by {name}" for name, number in sorted(count.items()) if name)
    caught_ones = f"{len(chosen) - count['']} caught ({told})"
    sys.stdout.write(
        f"{len(chosen)} of {len(everything)} mutants: {caught_ones}, {count['']} survived, "
        f"{time.monotonic() - began:.0f} s\n"
    )
    return 1 if count[""] else 0


if __name__ == "__main__":
    sys.exit(main())
