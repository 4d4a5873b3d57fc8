"""The reader for resources in dictionaries: a function for each shape, that is each set of elements met together.

Like structs.py it only ever says yes: what it does not take may still be valid, and problems.py decides. The functions
are written by shape_code.py; here they are kept and called, and the texts that they noted are judged, all at once.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from gateway.fhir import bundle_rules, definitions
from gateway.fhir.fragment import Fragment
from gateway.fhir.primitives import PRIMITIVES
from gateway.fhir.shape_code import Function, Noted, Read, Shapes

_SHAPES = 512  # of one path; a sender of ever new ones gets the slower reader
_UNSURE = (TypeError, KeyError, ValueError, AttributeError, RecursionError)  # of values of other kinds than expected


def valid(resource: Any) -> bool:
    """True is certain."""
    noted = Noted()
    try:
        kind = resource["resourceType"]
        if kind not in definitions.resource_types() or not reader(kind)(resource, noted):
            return False
        if kind == "Bundle":
            return _bundle(resource, noted) and _right(noted)
        noted.texts += noted.references
        return not any(each.startswith("#") for each in noted.references) and _right(noted)
    except _UNSURE:
        return False


def valid_as(path: str, value: Any) -> bool:
    """The same for a part: 'CodeableConcept', 'Observation.referenceRange'. One with a literal reference is none."""
    noted = Noted()
    try:
        return reader(path)(value, noted) and not noted.references and _right(noted)
    except _UNSURE:
        return False


# -------------------------------------------------------------------------------- what was noted

_word = re.compile(PRIMITIVES["uri"].pattern).match
_code = re.compile(PRIMITIVES["code"].pattern).match
_GRAPHIC = bytes(range(ord("!"), ord("~") + 1))


def _right(noted: Noted) -> bool:
    words = noted.words + noted.urls
    right = _plain(words) or all(_word(each) and _encodable(each) for each in words)
    if right and noted.codes:
        right = _plain(noted.codes) or all(_code(each) and _encodable(each) for each in noted.codes)
    # Not empty, not of blanks only, writable; text by text without a copy, for one may be large.
    texts = noted.texts
    return right and all(map(str.strip, texts)) and (all(map(str.isprintable, texts)) or all(map(_encodable, texts)))


def _encodable(text: str) -> bool:
    text.encode()  # half of a UTF-16 pair cannot be written; the error says no
    return True


def _plain(words: list[str]) -> bool:
    """One word each: enough for an address and for a code."""
    together = "".join(words)
    if together.isascii():
        return not together.encode().translate(None, _GRAPHIC) and all(words)
    return " " not in together and together.isprintable() and all(words)


# --------------------------------------------------------------------------------------- Bundles


def _local(reference: str) -> bool:
    """Only an entry of the same Bundle answers it, or nothing."""
    return reference.startswith(("urn:uuid:", "#"))


def _bundle(bundle: dict[str, Any], noted: Noted) -> bool:
    entries = bundle.get("entry", ())
    plain = len(noted.urls) == len(entries)
    urls = noted.urls if plain else [entry["fullUrl"] for entry in entries if "fullUrl" in entry]
    known = set(urls)
    if len(known) < len(urls) or not _ruled(bundle, entries, plain):
        return False
    if not known.issuperset(noted.references):  # those of entries are judged as the addresses that they are
        others = [each for each in noted.references if each not in known]
        noted.texts += others
        return not any(map(_local, others))
    return True


def _ruled(bundle: dict[str, Any], entries: Any, plain: bool) -> bool:
    """The rules of bundle_rules.py; those of a transaction with plain entries, which maps make, at a glance."""
    if not plain or bundle["type"] != "transaction" or "total" in bundle:
        return not any(True for _ in bundle_rules.findings(bundle, _type))
    return "/_history/" not in " ".join([entry["fullUrl"] for entry in entries])


def _type(resource: Any) -> str:
    return str(resource["resourceType"])


@functools.cache
def reader(path: str) -> Read:
    """Reads the objects of a path: 'Observation', 'HumanName', 'Patient.contact'; 'Resource' goes by its own type."""
    if path == "Resource":
        return _resource
    return _entry if path == "Bundle.entry" else _by_shape(path)


def _resource(item: Any, noted: Noted) -> bool:
    kind = item["resourceType"]
    if kind not in definitions.resource_types() or kind == "Bundle":
        return False
    return reader(kind)(item, noted)


def _entry(item: Any, noted: Noted) -> bool:
    """An entry of a transaction, as maps make nearly all: `fullUrl`, `resource`, `request`."""
    if len(item) == 3 and "fullUrl" in item and "resource" in item and "request" in item:
        resource, request = item["resource"], item["request"]
        conditional = len(request) == 3 and "ifNoneExist" in request
        if (conditional or len(request) == 2) and request["method"] in _METHODS and "url" in request:
            noted.urls.append(item["fullUrl"])
            noted.words.append(request["url"])
            if conditional:
                noted.texts.append(request["ifNoneExist"])
            kind = resource["resourceType"]
            shape = _met[kind].get(tuple(resource)) if kind in _met and kind != "Bundle" else None
            return (shape or _resource)(resource, noted)
    return _by_shape("Bundle.entry")(item, noted)


_METHODS = ("PUT", "POST")
_met: dict[str, Shapes] = {}  # of each path the shapes that have been met


@functools.cache
def _by_shape(path: str) -> Read:
    shapes = _met[path] = {}

    def read(item: Any, noted: Noted) -> bool:
        if item.__class__ is not dict:
            return item.__class__ is Fragment and item.path == path
        shape = shapes.get(tuple(item))
        if shape is None:
            if len(shapes) >= _SHAPES:
                return False
            shape = shapes[tuple(item)] = Function(path, reader=reader).compiled(item)
        return shape(item, noted)

    return read
