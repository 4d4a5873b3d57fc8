"""A mapping lives with its examples: documents in `examples/` beside the maps, and what they become, there and back.

    NAME.hl7         a message            NAME.json    its Bundle    NAME.back.hl7    the Bundle as a message again
    NAME.csv         a table              NAME.json    its Bundle    NAME.back.csv    the Bundle as rows again
    NAME.form.json   a form, .form.xml    NAME.json    its Bundle    NAME.back.json   the Bundle as a form again
    NAME.rows        rows of views        NAME.json    their Bundle  NAME.back.rows   the Bundle as rows again

`python -m gateway.mapping.examples [FOLDER]` tells what differs; with `--accept` it writes the answers anew, when a
person has looked at the difference: a changed mapping is a changed example in the same commit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.codec import delimited, hl7v2, rows, xml_tree, xml_writer
from gateway.codec import json as json_tree
from gateway.errors import HutongError
from gateway.fhir import json, validate
from gateway.mapping.export_records import Part
from gateway.mapping.leads import leads_of
from gateway.mapping.maps import Address, Maps, Translation, load, shipped
from gateway.mapping.written_file import WrittenFile
from gateway.model import Profile, Resource

FOLDER = "examples"
_AROUND = 80  # bytes of a long line that are shown before a difference
PROFILE = Profile(time_zone="Asia/Shanghai")
FACILITY = "EXAMPLE"  # who sends the files and receives the answers
WHEN = datetime(2026, 3, 12, 14, 30, tzinfo=ZoneInfo("Asia/Shanghai"))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What is not as the example says."""

    file: str
    cause: str

    def __str__(self) -> str:
        return f"{self.file}: {self.cause}"


def run(folder: Path, *, accept: bool = False) -> list[Mismatch]:
    """Every example below a folder of maps, by the shipped maps and those of it. `accept` writes the answers."""
    folders = [shipped()] if folder.resolve() == shipped().resolve() else [shipped(), folder]
    return list(differences(inputs(folder), load(folders), accept=accept))


def differences(
    documents: Iterable[Path], maps: Maps, *, accept: bool = False, short: bool = False
) -> Iterator[Mismatch]:
    """What these maps make of the documents of examples that is not as the files beside them say, one after the other.
    `short`: Bundles have a line for each resource."""
    for path in documents:
        for answer, body in _answers(path, maps, _lines if short else json.dumps_pretty):
            if accept and isinstance(body, bytes):
                answer.write_bytes(body)
            else:
                yield from _compared(answer, body)


def inputs(folder: Path) -> list[Path]:
    """The documents of all examples below a folder."""
    there = (path for path in folder.rglob(f"{FOLDER}/*") if path.suffix in _KINDS)
    return sorted(path for path in there if ".back." not in path.name and (path.suffix != ".json" or _is_form(path)))


def _is_form(path: Path) -> bool:
    return path.name.endswith(".form.json")


def _stem(path: Path) -> Path:
    return path.with_name(path.name.partition(".")[0])


# ---------------------------------------------------------------------------------------------- answers


def _lines(bundle: Resource) -> bytes:
    head = {name: value for name, value in bundle.items() if name != "entry"}
    return b"\n".join((json.dumps(head), *map(json.dumps, bundle.get("entry", ()))))


def _answers(path: Path, maps: Maps, shown: Callable[[Resource], bytes]) -> Iterator[tuple[Path, bytes | str]]:
    """(file of an answer, its bytes or why there are none)."""
    into, back = _KINDS[path.suffix]
    target = _stem(path).with_suffix(".json")
    try:
        made = into(path.read_bytes(), maps)
        validate.check_bundle(made.bundle)
        yield target, shown(made.bundle) + b"\n"
        export = maps.library.exports.get(made.structure)
        if export is None or export.writes:
            yield _stem(path).with_suffix(f".back{path.suffix}"), back(made, path.read_bytes(), maps)
    except HutongError as error:
        yield target, f"cannot be made: {error}"


def _message(body: bytes, maps: Maps) -> Translation:
    return maps.to_fhir(hl7v2.decode(body), profile=PROFILE, when=WHEN)


def _message_back(made: Translation, body: bytes, maps: Maps) -> bytes:
    """As the sender itself would receive it, in its charset."""
    message = hl7v2.decode(body)
    to = Address(
        profile=Profile(time_zone="Asia/Shanghai", charset=message.charset, version=message.header.version),
        facility=message.header.sending_facility, control_id="BACK", when=WHEN, event=message.header.trigger,
    )  # fmt: skip
    found = maps.library.structures[made.structure]
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle["entry"]}
    return maps.from_fhir(resources, leads_of(resources, found.lead, *found.others), structure=made.structure, to=to)


def _table(body: bytes, maps: Maps) -> Translation:
    table = delimited.decode(body)
    part = Part(name=maps.exports.of_columns(table.columns), records=table.rows)
    return maps.exports.to_fhir([part], profile=PROFILE, facility=FACILITY, control_id="EXAMPLE", when=WHEN)


def _table_back(made: Translation, body: bytes, maps: Maps) -> bytes:
    written = _written(made, maps)
    return delimited.encode(written.columns, written.rows, charset=delimited.decode(body).charset)


def _written(made: Translation, maps: Maps) -> WrittenFile:
    """The resources as the export that they came from."""
    lead = maps.library.exports[made.structure].lead
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle["entry"]}
    to = Address(profile=PROFILE, facility=FACILITY, control_id="BACK", when=WHEN)
    return maps.exports.from_fhir(resources, leads_of(resources, lead), name=made.structure, to=to)


def _form(body: bytes, maps: Maps) -> Translation:
    tree = xml_tree.decode(body) if xml_tree.is_xml(body) else json_tree.decode(body)
    part = maps.exports.of_tree(tree.root)
    return maps.exports.to_fhir([part], profile=PROFILE, facility=FACILITY, control_id="EXAMPLE", when=WHEN)


def _form_back(made: Translation, body: bytes, maps: Maps) -> bytes:
    """A tree in the form that it came in."""
    tree = _written(made, maps).tree()
    return xml_writer.encode(tree) if xml_tree.is_xml(body) else json_tree.encode(tree)


def _views(body: bytes, maps: Maps) -> Translation:
    """Those of one database, which lead to each other."""
    tables = map(rows.table, rows.decode(body).tables)
    parts = [Part(name=maps.exports.of_columns(each.columns), records=each.rows, place=each.sheet) for each in tables]
    return maps.exports.to_fhir(parts, profile=PROFILE, facility=FACILITY, control_id="EXAMPLE", when=WHEN)


def _views_back(made: Translation, body: bytes, maps: Maps) -> bytes:
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle["entry"]}
    to = Address(profile=PROFILE, facility=FACILITY, control_id="BACK", when=WHEN)
    written = ((name, maps.exports.about(resources, name=name, to=to)) for name in made.structure.split())
    sheets = [
        rows.Sheet(name=name, columns=file.columns, cells=tuple(tuple(each.values()) for each in file.records()))
        for name, file in written
    ]
    return rows.encode(sheets).replace(b"],[", b"],\n[") + b"\n"


Into = Callable[[bytes, Maps], Translation]
Back = Callable[[Translation, bytes, Maps], bytes]
_KINDS: dict[str, tuple[Into, Back]] = {
    ".hl7": (_message, _message_back),
    ".csv": (_table, _table_back),
    ".json": (_form, _form_back),
    ".xml": (_form, _form_back),
    ".rows": (_views, _views_back),
}


# ------------------------------------------------------------------------------------------- comparing


def _compared(path: Path, made: bytes | str) -> Iterator[Mismatch]:
    file = f"{path.parent.parent.name}/{FOLDER}/{path.name}"
    if isinstance(made, str):
        yield Mismatch(file, made)
    elif not path.exists():
        yield Mismatch(file, "is not there yet; look at what is made and write it with --accept")
    elif path.read_bytes() != made:
        yield Mismatch(file, _first_difference(path.read_bytes(), made))


def _first_difference(expected: bytes, made: bytes) -> str:
    """The first line that differs; segments are lines."""
    lines = zip_longest(*(body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n") for body in (expected, made)))
    for number, (one, other) in enumerate(lines, start=1):
        if one != other:
            alike = next(
                (at for at, (left, right) in enumerate(zip_longest(one or b"", other or b"")) if left != right), 0
            )
            return f"line {number}: expected {_shown(one, alike)}, made {_shown(other, alike)}"
    return "the line ends differ"


def _shown(line: bytes | None, alike: int) -> str:
    """A line; of a long one what stands around the first sign that differs."""
    if line is None:
        return "nothing"
    start = max(0, alike - _AROUND) if len(line) > 4 * _AROUND else 0
    text = line[start : start + 4 * _AROUND].decode("utf-8", "replace").strip()
    return f"{'…' if start else ''}{text!r}{'…' if start + 4 * _AROUND < len(line) else ''}"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all examples are as they say, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m gateway.mapping.examples", description="Run the examples of maps.")
    parser.add_argument("folder", nargs="?", type=Path, default=shipped(), help="a folder of maps (the shipped ones)")
    parser.add_argument("--accept", action="store_true", help="write what is made as the new answers")
    chosen = parser.parse_args(arguments)
    found = run(chosen.folder, accept=chosen.accept)
    for mismatch in found:
        sys.stdout.write(f"{mismatch}\n")
    sys.stdout.write(f"{len(inputs(chosen.folder))} examples, {len(found)} differences\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
