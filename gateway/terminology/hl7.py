"""The code systems, value sets and concept maps that R4 itself publishes: HL7's own, and of others the codes it names.

Of LOINC, SNOMED CT, UCUM, ICD-10 and their like there are only the codes that R4's value sets list by name: they say
`fragment`. Data: `hl7.json.gz`, made by `python -m gateway.terminology.hl7 ../shared/reference/r4`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.model import Resource

TYPES: Final = ("CodeSystem", "ValueSet", "ConceptMap")
_DATA: Final = "hl7.json.gz"
_LEFT_OUT: Final = (  # of every resource: what is about its editing
    *("meta", "extension", "text", "contact", "useContext", "purpose", "jurisdiction", "_description", "contained"),
)
_DEFINITION: Final = 200  # characters of a concept's definition that are worth keeping
_UNDEFINED: Final = ("/v3-", "/v2-", "nema.org")  # systems of which the displays say enough
_PUBLISHERS: Final = ("http://hl7.org/", "http://terminology.hl7.org/")
_EXAMPLE: Final = re.compile(r"/example(-[a-z]+)?\d?$")
_COPYRIGHTS: Final = {
    "http://loinc.org": "LOINC is copyright © Regenstrief Institute and the LOINC Committee; see loinc.org/license",
    "http://snomed.info/sct": "SNOMED CT is copyright © International Health Terminology Standards Development "
    "Organisation; using it may need a licence",
}
_NAMES: Final = {  # of the code systems of others: (id, name)
    "http://loinc.org": ("loinc", "LOINC"),
    "http://snomed.info/sct": ("snomedct", "SNOMED CT"),
    "http://unitsofmeasure.org": ("ucum", "UCUM"),
    "http://hl7.org/fhir/sid/icd-10": ("icd-10", "ICD-10"),
    "http://hl7.org/fhir/sid/cvx": ("cvx", "CVX"),
    "http://www.nlm.nih.gov/research/umls/rxnorm": ("rxnorm", "RxNorm"),
    "http://nucc.org/provider-taxonomy": ("nucc", "NUCC provider taxonomy"),
    "urn:ietf:bcp:47": ("bcp-47", "Tags for languages (BCP 47)"),
    "urn:ietf:bcp:13": ("bcp-13", "Media types (BCP 13)"),
    "urn:iso:std:iso:3166": ("iso-3166", "Countries (ISO 3166)"),
    "urn:iso:std:iso:4217": ("iso-4217", "Currencies (ISO 4217)"),
}


def digest() -> str:
    """Of the data file: another one holds other resources."""
    return hashlib.sha256(resources.files(__package__).joinpath(_DATA).read_bytes()).hexdigest()


def shipped() -> Iterator[Resource]:
    """Every one of them, code systems first; each as it is written into the record."""
    body = gzip.decompress(resources.files(__package__).joinpath(_DATA).read_bytes())
    yield from msgspec.json.decode(body, type=list[dict[str, Any]])


# ---------------------------------------------------------------------------------------------- making the data file


def generate(definitions: Path) -> None:
    """Writes the data file from the folder of R4 definitions."""
    found = {name: list(_read(definitions / f"{name.lower()}s.ndjson.gz")) for name in TYPES}
    known = {each["url"]: each for each in found["CodeSystem"]}
    for each in found["ValueSet"]:
        _of_published_versions(each, known)
    listed = _listed(found["ValueSet"])
    _named(listed, definitions / "examples.ndjson.gz")
    for url, concepts in sorted(listed.items()):
        if url not in known:
            known[url] = _fragment(url, concepts)
        elif known[url]["content"] == "not-present" and url in _NAMES:
            known[url] = {**known[url], "content": "fragment", "concept": concepts, "copyright": _COPYRIGHTS[url]}
    made = [*known.values(), *found["ValueSet"], *found["ConceptMap"]]
    body = json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
    Path(__file__).with_name(_DATA).write_bytes(gzip.compress(body, 9, mtime=0))


def _read(path: Path) -> Iterator[Resource]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            resource = json.loads(line)
            if not _EXAMPLE.search(resource["url"]):
                yield _shortened(resource)


def _shortened(resource: Resource) -> Resource:
    made = {key: value for key, value in resource.items() if key not in _LEFT_OUT}
    if made["url"].startswith(_PUBLISHERS):
        made["publisher"] = "HL7 International"
    short = any(part in made["url"] for part in _UNDEFINED)
    if "concept" in made:
        made["concept"] = [each for each in made["concept"] if each["code"].strip()]
    for each in _concepts(made.get("concept", [])):
        each["code"] = each["code"].strip()
        for name in ("extension", "designation"):  # Dutch and German
            each.pop(name, None)
        text = each.get("definition", "")
        if short or len(text) > _DEFINITION or text == each.get("display"):
            each.pop("definition", None)
    compose = made.get("compose", {})
    for each in (*compose.get("include", ()), *compose.get("exclude", ())):
        each.pop("extension", None)
        for concept in each.get("concept", ()):
            concept.pop("extension", None)
    return made


def _of_published_versions(value_set: Resource, known: Mapping[str, Resource]) -> None:
    """Takes out versions of R4's own code systems that R4 does not hold."""
    for part in value_set["compose"].get("include", ()):
        system = known.get(part.get("system", ""))
        if system is None or system.get("version") != part.get("version"):
            part.pop("version", None)


def _concepts(listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in listed:
        yield each
        yield from _concepts(each.get("concept", []))


def _listed(value_sets: list[Resource]) -> dict[str, list[dict[str, Any]]]:
    """System → the codes that value sets name with their displays, in the order of their codes."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for each in value_sets:
        for part in each.get("compose", {}).get("include", ()):
            for concept in part.get("concept", ()):
                told = {key: concept[key] for key in ("code", "display") if key in concept}
                known = found.setdefault(part["system"], {}).setdefault(concept["code"], told)
                known.update({key: value for key, value in told.items() if key not in known})
    return {system: [codes[code] for code in sorted(codes)] for system, codes in found.items()}


def _named(listed: dict[str, list[dict[str, Any]]], examples: Path) -> None:
    """Gives the codes that value sets list without a display that of the examples."""
    unnamed = {
        (system, each["code"]): each
        for system, concepts in listed.items()
        for each in concepts
        if "display" not in each
    }
    with gzip.open(examples, "rt", encoding="utf-8") as lines:
        waiting = [json.loads(line) for line in lines]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            concept = unnamed.get((str(each.get("system")), str(each.get("code"))))
            if concept is not None and each.get("display"):
                concept.setdefault("display", each["display"])
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _fragment(url: str, concepts: list[dict[str, Any]]) -> Resource:
    plain = re.sub(r"[^a-z0-9]+", "-", url.partition(":")[2].casefold()).strip("-")[:64]
    key, title = _NAMES.get(url, (plain, url))
    made: Resource = {
        "resourceType": "CodeSystem",
        "id": key,
        "url": url,
        "name": "".join(part.capitalize() for part in re.findall(r"[A-Za-z0-9]+", key)),
        "title": title,
        "status": "active",
        "description": f"The codes of {title} that value sets of R4 list by name; the others are unknown here.",
        "content": "fragment",
        "concept": concepts,
    }
    return {**made, "copyright": _COPYRIGHTS[url]} if url in _COPYRIGHTS else made


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
