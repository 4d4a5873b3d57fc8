"""Makes the packaged definitions from the R4 core package: `python -m gateway.fhir.generator FOLDER`.

FOLDER holds `structuredefinitions`, `valuesets`, `codesystems`, `searchparameters` and `operations-and-compartments` as
`.ndjson.gz`, one resource a line. Written beside this file, byte for byte the same for the same input:

- `definitions.json.gz`: elements of every resource and data type, the codes of required bindings, simple invariants
- `searchparameters.json.gz`: the search parameters of every resource type
- `summaries.json.gz`: the elements of every resource type that its summary holds
- `compartments.json.gz`: by which parameters a resource belongs to a patient, an encounter …
"""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

Definition = dict[str, Any]
Coded = tuple[str, str]  # system, code

_BASE = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM_TYPES = {"http://hl7.org/fhirpath/System.String": "string"}
_STRUCTURAL = ("DomainResource", "Resource")


def read(folder: Path, name: str) -> list[Definition]:
    """All resources of `name.ndjson.gz`."""
    with gzip.open(folder / f"{name}.ndjson.gz") as lines:
        return [msgspec.json.decode(line) for line in lines]


def write(path: Path, content: Any) -> None:
    """Compact JSON, gzip without a time stamp: the same content gives the same bytes."""
    path.write_bytes(gzip.compress(msgspec.json.encode(content, order="deterministic"), 9, mtime=0))


# ------------------------------------------------------------------------------------------ value sets


class Expander:
    """Expands value sets offline; what cannot be expanded completely is None."""

    def __init__(self, value_sets: Iterable[Definition], code_systems: Iterable[Definition]) -> None:
        self._value_sets = {each["url"]: each for each in value_sets}
        self._code_systems = {each["url"]: each for each in code_systems}

    def expand(self, url: str) -> frozenset[Coded] | None:
        """The (system, code) pairs of a value set, or None (unknown, open, or a filter we cannot judge)."""
        compose = self._value_sets.get(url.split("|")[0], {}).get("compose")
        if compose is None:
            return None
        included = [self._include(each) for each in compose["include"]]
        excluded = [self._include(each) for each in compose.get("exclude", [])]
        known = [each for each in (*included, *excluded) if each is not None]
        if len(known) < len(included) + len(excluded):
            return None
        split = len(included)
        return frozenset().union(*known[:split]) - frozenset().union(*known[split:])

    def _include(self, include: Definition) -> frozenset[Coded] | None:
        parts: list[frozenset[Coded] | None] = [self.expand(url) for url in include.get("valueSet", [])]
        if "system" in include:
            parts.append(self._of_system(include))
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        return frozenset.intersection(*known)

    def _of_system(self, include: Definition) -> frozenset[Coded] | None:
        system = include["system"]
        if "concept" in include:
            return frozenset((system, concept["code"]) for concept in include["concept"])
        code_system = self._code_systems.get(system)
        if code_system is None or code_system.get("content") != "complete":
            return None
        concepts = list(_concepts(code_system.get("concept", []), ()))
        for rule in include.get("filter", []):
            if rule["op"] not in ("is-a", "descendent-of") or rule["property"] != "concept":
                return None
            proper = rule["op"] == "descendent-of"
            value = rule["value"]
            concepts = [(c, up) for c, up in concepts if value in up or (not proper and c["code"] == value)]
        return frozenset((system, concept["code"]) for concept, _ in concepts)


def _concepts(concepts: list[Definition], above: tuple[str, ...]) -> Iterator[tuple[Definition, tuple[str, ...]]]:
    """Every concept with the codes above it: by nesting, and by the `subsumedBy` property of the v3 code systems."""
    for concept in concepts:
        parents = tuple(
            each["valueCode"] for each in concept.get("property", []) if each["code"] in ("subsumedBy", "parent")
        )
        upward = (*above, *parents)
        yield concept, upward
        yield from _concepts(concept.get("concept", []), (*upward, concept["code"]))


# -------------------------------------------------------------------------------------------- elements


def _type_name(path: str, code: str, resources: frozenset[str]) -> str:
    if path == "Extension.url":
        return "uri"
    if code in _SYSTEM_TYPES:
        return "id" if path.removesuffix(".id") in resources else _SYSTEM_TYPES[code]
    return code


def element(definition: Definition, resources: frozenset[str], codes: dict[str, list[str]], expander: Expander) -> Any:
    """[path, types, minimum, maximum (-1 = many), targets, binding, key of the codes or "", content reference]."""
    path = definition["path"]
    types = [_type_name(path, each["code"], resources) for each in definition.get("type", [])]
    targets = sorted(
        {
            profile.removeprefix(_BASE)
            for each in definition.get("type", [])
            for profile in each.get("targetProfile", [])
        }
    )
    binding = definition.get("binding", {})
    url = binding.get("valueSet", "").split("|")[0]
    key = _code_key(url, types, codes, expander) if binding.get("strength") == "required" else ""
    maximum = -1 if definition["max"] == "*" else int(definition["max"])
    content = definition.get("contentReference", "").removeprefix("#")
    return [path, types or ["BackboneElement"], definition["min"], maximum, targets, url, key, content]


def _code_key(url: str, types: list[str], codes: dict[str, list[str]], expander: Expander) -> str:
    """Expands a required binding into `codes`; plain codes for `code`, `system|code` for a CodeableConcept."""
    expansion = expander.expand(url)
    if expansion is None:
        return ""
    plain = types == ["code"]
    key = url if plain else f"{url}#coded"
    codes.setdefault(key, sorted({code if plain else f"{system}|{code}" for system, code in expansion}))
    return key


# The forms of invariants that are only about what is present: most of them, in every type.
_FORMS = (
    (re.compile(r"(\w+)\.empty\(\) or (\w+)\.exists\(\)|(\w+)\.exists\(\) implies (\w+)\.exists\(\)"), "needs"),
    (
        re.compile(r"(\w+)\.empty\(\) or (\w+)\.empty\(\)|\((\w+)\.exists\(\) and (\w+)\.exists\(\)\)\.not\(\)"),
        "excludes",
    ),
    (
        re.compile(r"(\w+)\.exists\(\)(?: or (\w+)\.exists\(\))(?: or (\w+)\.exists\(\))?(?: or (\w+)\.exists\(\))?"),
        "any",
    ),
    (re.compile(r"\((\w+)\.count\(\) \+ (\w+)\.count\(\)(?: \+ (\w+)\.count\(\))?\) > 0"), "any"),
    (re.compile(r"(\w+)\.exists\(\) (?:xor|!=) (\w+)\.exists\(\)"), "one"),
    (re.compile(r"(\w+)\.exists\(\) = (\w+)\.exists\(\)"), "both"),
)


def rules(structure: Definition) -> Iterator[tuple[str, list[Any]]]:
    """(path, [key, form, names, text]) of the invariants of a type and its inline structures that have a form above."""
    for item in structure["snapshot"]["element"]:
        inline = "." not in item["path"] or item.get("type", [{}])[0].get("code") in ("BackboneElement", "Element")
        for constraint in item.get("constraint", []) if inline else []:
            for pattern, form in _FORMS:
                found = pattern.fullmatch(constraint.get("expression", ""))
                if found and constraint["severity"] == "error":
                    names = [each for each in found.groups() if each]
                    yield item["path"], [constraint["key"], form, names, constraint["human"]]


def definitions(folder: Path) -> Definition:
    """The content of definitions.json.gz."""
    structures = read(folder, "structuredefinitions")
    resources = frozenset(each["name"] for each in structures if each["kind"] == "resource")
    expander = Expander(read(folder, "valuesets"), read(folder, "codesystems"))
    codes: dict[str, list[str]] = {}
    types = {
        each["name"]: [element(item, resources, codes, expander) for item in each["snapshot"]["element"][1:]]
        for each in structures
        if each["kind"] != "primitive-type"
    }
    by_path: dict[str, list[Any]] = {}
    for structure in structures:
        for path, rule in rules(structure):
            by_path.setdefault(path, []).append(rule)
    return {
        "resources": sorted(each["name"] for each in structures if each["kind"] == "resource" and not each["abstract"]),
        "primitives": sorted(each["name"] for each in structures if each["kind"] == "primitive-type"),
        "types": types,
        "codes": codes,
        "rules": by_path,
    }


# ----------------------------------------------------------------------------------- search parameters


def terms(expression: str) -> Iterator[str]:
    """The members of a union: split at `|` outside brackets and quotes."""
    start = depth = 0
    quoted = False
    for index, character in enumerate(expression):
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
            if character == "|" and not depth:
                yield expression[start:index].strip()
                start = index + 1
    yield expression[start:].strip()


def _root(term: str) -> str:
    found = re.search(r"[A-Za-z]+", term)
    return found[0] if found else ""


def _of_type(expression: str, resource_type: str) -> str:
    """The members of the union that concern this type; a shared parameter lists all its types."""
    roots = (resource_type, *_STRUCTURAL)
    kept = [term for term in terms(expression) if _root(term) in roots or _root(term).islower()]
    return " | ".join(kept)


def _parameter(definition: Definition, resource_type: str, by_url: Mapping[str, Definition]) -> Definition:
    expression = _of_type(definition.get("expression", ""), resource_type)
    # What resolves to Patient is a Patient, also where R4 lists Group beside it: a chain through it has one meaning.
    resolved = re.findall(r"resolve\(\) is (\w+)", expression)
    narrowed = len(resolved) == len(list(terms(expression)))
    made: Definition = {
        "name": definition["code"],
        "kind": definition["type"],
        "expression": expression,
        "targets": sorted(set(resolved)) if narrowed else definition.get("target", []),
    }
    if definition["type"] == "composite":
        made["components"] = [
            {"expression": each["expression"], "kind": by_url[each["definition"]]["type"]}
            for each in definition["component"]
        ]
    return made


def search_parameters(folder: Path, resource_types: Iterable[str]) -> Definition:
    """The content of searchparameters.json.gz: resource type → its parameters by name."""
    all_parameters = read(folder, "searchparameters")
    by_url = {each["url"]: each for each in all_parameters}
    made: Definition = {}
    for resource_type in resource_types:
        bases: tuple[str, ...] = (resource_type, *_STRUCTURAL)
        if resource_type in ("Bundle", "Binary", "Parameters"):
            bases = (resource_type, "Resource")
        found = [each for each in all_parameters if not set(bases).isdisjoint(each.get("base", []))]
        by_name: dict[str, Definition] = {}
        for each in found:  # the package also holds two examples under names that are taken; the first is the real one
            by_name.setdefault(each["code"], _parameter(each, resource_type, by_url))
        made[resource_type] = [by_name[name] for name in sorted(by_name)]
    return made


def compartments(folder: Path) -> dict[str, dict[str, list[str]]]:
    """The content of compartments.json.gz: compartment → resource type → the parameters by which one belongs to it."""
    made = {}
    for each in read(folder, "operations-and-compartments"):
        if each["resourceType"] == "CompartmentDefinition" and each["url"].endswith(f"/{each['code'].lower()}"):
            named = {
                one["code"]: [name for name in one.get("param", ()) if name != "{def}"] for one in each["resource"]
            }
            made[each["code"]] = {kind: names for kind, names in named.items() if names}
    return made


def summaries(folder: Path) -> dict[str, list[str]]:
    """The content of summaries.json.gz: resource type → paths of its own elements that are marked isSummary."""
    made = {}
    for each in read(folder, "structuredefinitions"):
        if each["kind"] == "resource" and not each["abstract"] and each["derivation"] == "specialization":
            paths = (one["path"] for one in each["snapshot"]["element"] if one.get("isSummary"))
            made[each["type"]] = sorted({path.partition(".")[2] for path in paths if "." in path})
    return made


def main(arguments: list[str]) -> int:
    """Writes the files beside this one."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gateway.fhir.generator FOLDER-OF-R4-DEFINITIONS\n")
        return 2
    source, target = Path(arguments[0]), Path(__file__).parent
    content = definitions(source)
    write(target / "definitions.json.gz", content)
    write(target / "searchparameters.json.gz", search_parameters(source, content["resources"]))
    write(target / "compartments.json.gz", compartments(source))
    write(target / "summaries.json.gz", summaries(source))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
