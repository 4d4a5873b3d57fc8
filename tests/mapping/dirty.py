"""Dirt: variants of the files of the invented community, each with what is right of it.

A variant changes a file in one way. What it must become is said against the clean file: which resources differ and how
(`shown`), and what a person is told (`told`: the columns of the lines of the rejects). All else must be the same.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from gateway import stateless
from gateway.fhir import json, validate
from gateway.model import Reject, Resource
from tests.mapping.house import FIXTURES

Row = dict[str, str]
LABORATORY, IMAGING, VISITS = "lab_shiqiao_20260312.csv", "imaging_center_202603.xlsx", "encounters_liuhe_202603.xml"
MEMBERS = {LABORATORY: "shiqiao", IMAGING: "imaging-centre", VISITS: "liuhe"}
WRITTEN = "urn:hutong:cell"
FORMS = ("referral_up.json", "referral_down.json")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file became: each resource by its request, without what names the file; and what people are told."""

    resources: Mapping[str, Resource]
    rejects: tuple[Reject, ...]
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> list[str]:
        return [each.column for each in self.rejects]


def facts(body: bytes, name: str = LABORATORY, member: str = "") -> Facts:
    """By the same door as `hutong translate`; the Bundle is valid R4."""
    made = stateless.translate(body, name=name, member=member or MEMBERS[name], to="fhir", config=None)
    bundle = json.loads(made.output)
    assert validate.problems(bundle) == []
    assert "\ufffd" not in made.output.decode()
    return Facts(named(bundle), tuple(made.rejects), tuple(made.notes))


def named(bundle: Resource) -> dict[str, Resource]:
    found: dict[str, Resource] = {}
    for entry in bundle.get("entry", ()):
        if entry["resource"]["resourceType"] == "Provenance":
            continue
        request = entry["request"]
        name = f"{request['url']}?{request.get('ifNoneExist', '')}"
        assert name not in found, f"two entries by one request: {name}"
        found[name] = _said(entry["resource"])
    return found


def _said(value: Any) -> Any:
    """Without the notes of how the sender wrote a cell."""
    if isinstance(value, list):
        return list(map(_said, value))
    if not isinstance(value, dict):
        return value
    made = {name: _said(each) for name, each in value.items()}
    if told := made.get("extension"):
        made["extension"] = [each for each in told if each.get("url") != WRITTEN]
    return {name: each for name, each in made.items() if each or not (name == "extension" or name.startswith("_"))}


def differing(clean: Facts, dirty: Facts) -> dict[str, tuple[Resource | None, Resource | None]]:
    """What is not the same, by request."""
    return {
        name: (clean.resources.get(name), dirty.resources.get(name))
        for name in sorted(clean.resources.keys() | dirty.resources.keys())
        if clean.resources.get(name) != dirty.resources.get(name)
    }


# ------------------------------------------------------------------------------------------- the laboratory's rows


@cache
def laboratory() -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """(header, rows) of the clean file."""
    text = (FIXTURES / LABORATORY).read_bytes().decode("gb18030")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return tuple(header), tuple(map(tuple, rows))


def rows(count: int = 118) -> list[Row]:
    header, listed = laboratory()
    return [dict(zip(header, each, strict=True)) for each in listed[:count]]


def table(
    listed: Sequence[Mapping[str, str]],
    header: Iterable[str] = (),
    *,
    charset: str = "gb18030",
    delimiter: str = ",",
    newline: str = "\r\n",
    mark: bytes = b"",
) -> bytes:
    columns = list(header) or list(laboratory()[0])
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, lineterminator=newline)
    writer.writerow(columns)
    writer.writerows([each.get(name, "") for name in columns] for each in listed)
    return mark + target.getvalue().encode(charset)


def changed(cells: Row, *, row: int = 0, count: int = 4) -> bytes:
    """The first rows of the file, one of them with other cells."""
    listed = rows(count)
    listed[row].update(cells)
    return table(listed)


# ------------------------------------------------------------------------------------------- what a resource shows


def value_of(observation: Resource) -> str:
    """A value as one text: `<0.05 mmol/L = mmol/L`, `'见报告'`, `NEG '阴性(-)'`, "" for none."""
    for name, value in observation.items():
        if name == "valueQuantity":
            unit = f" {value['unit']} = {value.get('code', '?')}" if "unit" in value else ""
            return f"{value.get('comparator', '')}{value['value']}{unit}"
        if name == "valueCodeableConcept":
            return f"{' '.join(each['code'] for each in value['coding'])} {value['text']!r}"
        if name.startswith("value"):
            return repr(value)
    return ""


def marks_of(observation: Resource) -> str:
    found = observation.get("interpretation", ())
    return " ".join(coding["code"] for each in found for coding in each.get("coding", ({"code": each.get("text")},)))


def ranges_of(observation: Resource) -> list[str]:
    """`3.5..9.5 '3.5-9.5'`, `男 3.9..6.1 '3.9-6.1'`, `'阴性'`."""
    found = []
    for each in observation.get("referenceRange", ()):
        ends = [str(each[name]["value"]) if name in each else "" for name in ("low", "high")]
        whom = [one["text"] for one in each.get("appliesTo", ())]
        found.append(" ".join([*whom, *(["..".join(ends)] if any(ends) else []), repr(each["text"])]))
    return found
