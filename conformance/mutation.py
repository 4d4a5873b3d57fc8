"""Would a wrong line in a map be noticed? Each mutant is the shipped maps with one line changed; it is caught when the
maps no longer load, when an example differs (`gateway.mapping.examples`, also those of every line), or when a test of
the maps fails.

    python -m conformance.mutation [--sample 200] [--seed 1] [--tests]

Without `--tests` only loading and the examples decide, which takes a second a mutant. Exit code 1 when one survives.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
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
_SEGMENT = re.compile(r"\b[A-Z][A-Z0-9]{2}(?=-\d|\[|\s*=>)")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One line of one map file, written otherwise."""

    file: str  # below the folder of maps
    number: int  # of the line, from 1
    kind: str
    text: str  # "" deletes the line
    segments: frozenset[str]  # that it and its block name

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
                    named = frozenset(_SEGMENT.findall(f"{head}\n{line}\n{changed}"))
                    found.append(Mutant(path.relative_to(folder).as_posix(), number, kind, changed, named))
    return found


def caught_by(mutant: Mutant, *, tests: bool) -> str:
    """What notices the mutant; "" when nothing does."""
    with tempfile.TemporaryDirectory(prefix="hutong-mutant.") as temporary:
        copy = Path(temporary) / "product"
        folder = _written(mutant, copy, whole=tests)
        try:
            maps = load([folder])
        except Configuration:
            return "loading"
        if any(True for _ in islice(_differences(folder, maps, mutant), 1)):
            return "examples"
        return "tests" if tests and _tests_fail(copy) else ""


def _differences(folder: Path, maps: Maps, mutant: Mutant) -> Iterator[object]:
    """From the quick to the slow: the codes, then the examples; those first that have what the line names."""
    yield from golden.codes_differ(maps)
    named = [f"{segment}|".encode() for segment in mutant.segments]
    found = [(path, False) for path in examples.inputs(folder)]
    found += [(path, True) for path in examples.inputs(golden.FOLDER)]
    text = {path: path.read_bytes() for path, _ in found}
    for path, short in sorted(found, key=lambda each: not any(name in text[each[0]] for name in named)):
        yield from examples.differences([path], maps, short=short)


def _written(mutant: Mutant, copy: Path, *, whole: bool) -> Path:
    for name in ("gateway", "tests", "conformance", "pyproject.toml", MAPS) if whole else (MAPS,):
        source, target = ROOT / name, copy / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    path = copy / MAPS / mutant.file
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[mutant.number - 1] = mutant.text
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return copy / MAPS


def _tests_fail(copy: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "tests/mapping"]
    return subprocess.run(command, cwd=copy, capture_output=True, check=False).returncode != 0


def _run(mutant: Mutant, tests: bool) -> tuple[Mutant, str]:
    return mutant, caught_by(mutant, tests=tests)


def results(chosen: list[Mutant], *, tests: bool) -> Iterator[tuple[Mutant, str]]:
    """(mutant, what caught it), on all cores."""
    with ProcessPoolExecutor() as pool:
        yield from pool.map(_run, chosen, [tests] * len(chosen))


def main() -> int:
    """0 when every mutant is caught."""
    parser = argparse.ArgumentParser(prog="python -m conformance.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=200, help="how many mutants, chosen at random; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", action="store_true", help="run the tests of the maps for what the examples miss")
    wanted = parser.parse_args()
    chance = random.Random(wanted.seed)
    everything = mutants(ROOT / MAPS, chance)
    chosen = chance.sample(everything, min(wanted.sample or len(everything), len(everything)))
    count: Counter[str] = Counter()
    for mutant, caught in results(chosen, tests=wanted.tests):
        count[caught] += 1
        if not caught:
            sys.stdout.write(f"survived  {mutant}\n")
            sys.stdout.flush()
    told = ", ".join(f"{number} by {name}" for name, number in sorted(count.items()) if name)
    sys.stdout.write(
        f"{len(chosen)} of {len(everything)} mutants: {len(chosen) - count['']} caught ({told}), {count['']} survived\n"
    )
    return 1 if count[""] else 0


if __name__ == "__main__":
    sys.exit(main())
