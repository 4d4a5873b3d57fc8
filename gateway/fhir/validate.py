"""Is this valid FHIR R4? The door to the readers: shapes.py (dictionaries) and structs.py (bytes) say yes fast,
problems.py says what is wrong.

Checked: unknown elements, types, cardinality, exclusive choices, codes of required bindings, patterns, real calendar
dates, empty values, primitive extensions, the cheap invariants, Bundle rules and `urn:uuid:` references inside a
Bundle. Not checked: profiles, other bindings, whether other references exist. Nothing is ever changed.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import msgspec

from gateway import errors
from gateway.fhir import bundle_rules, definitions, json, shapes, structs
from gateway.fhir import problems as all_problems
from gateway.fhir.problems import Problem
from gateway.model import Resource

__all__ = ["Invalid", "Problem", "check", "check_bundle", "check_bytes", "problems"]

_TYPE = re.compile(rb'\{"resourceType":"([A-Za-z]+)"')
_TYPES = re.compile(rb'"resourceType":"([A-Za-z]+)"')
_BLANKS = b" \t\r\n"


class Invalid(errors.Permanent):
    """A resource that is not valid R4. Its own place and cause are those of the first of its `problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        first, more = problems[0], len(problems) - 1
        least = "at least " if len(problems) >= all_problems.MOST else ""
        remedy = f"mend it at the source; {least}{more} more problems follow" if more else "mend it at the source"
        super().__init__(f"not valid FHIR R4: {first.text}", place=first.path, remedy=remedy)
        self.problems = problems


class _Peek(msgspec.Struct):
    resourceType: str  # noqa: N815 - the name in JSON


_peek = msgspec.json.Decoder(_Peek)
_bundles = structs.BundleReader()


def check(resource: Resource) -> None:
    """Returns when valid. Invalid, a Permanent with the FHIR path of the first problem, otherwise."""
    if not shapes.valid(resource):
        check_bytes(json.dumps(resource))


def check_bundle(bundle: Resource) -> None:
    """`check`, and it must be a Bundle."""
    if bundle.get("resourceType") != "Bundle":
        raise errors.Permanent("not a Bundle", place="resourceType", remedy="send a FHIR R4 Bundle")
    check(bundle)


def check_bytes(body: bytes) -> None:
    """The same for JSON as it travelled: the fastest way. Permanent too when it is not JSON."""
    with suppress(msgspec.MsgspecError, RecursionError, UnicodeError):  # none of them is a clear yes
        if _plainly_valid(body):
            return
    found = all_problems.find(json.loads(body))
    if found:
        raise Invalid(found)


def problems(resource: Resource | bytes) -> list[Problem]:
    """Every problem with its path; empty for a valid resource. Permanent when bytes are not JSON."""
    return all_problems.find(json.loads(resource) if isinstance(resource, bytes) else resource)


def _plainly_valid(body: bytes) -> bool:
    """True is certain; False or a msgspec error means: look closely."""
    squeezed = body.translate(None, _BLANKS)
    if b"{}" in squeezed or b'""' in squeezed:  # empty objects; empty texts and those of blanks only
        return False
    found = _TYPE.match(squeezed)
    kind = found[1].decode() if found else _peek.decode(body).resourceType
    if kind not in definitions.resource_types():
        return False
    # The text of each literal reference starts each part but the first.
    references = [part.partition(b'"')[0] for part in squeezed.split(b'"reference":"')[1:]]
    if kind == "Bundle":
        bundle = _bundles.decode(body, lambda: _types_inside(squeezed))
        return _bundle_plainly_valid(bundle, references) and b"\\u00" not in squeezed  # escapes may hide a reference
    structs.decoder(kind).decode(body)
    return not any(text.startswith(b"#") for text in references)


def _types_inside(squeezed: bytes) -> frozenset[str]:
    return frozenset(found.decode() for found in _TYPES.findall(squeezed))


def _bundle_plainly_valid(bundle: Any, references: list[bytes]) -> bool:
    urls = [entry.fullUrl.encode() for entry in bundle.entry or () if entry.fullUrl is not None]
    known = set(urls)
    if len(known) < len(urls) or any(True for _ in bundle_rules.findings(bundle, _type_of_struct)):
        return False
    return all(not text.startswith((b"urn:uuid:", b"#")) or text in known for text in references)


def _type_of_struct(resource: Any) -> str:
    return str(type(resource).__name__.removeprefix("FHIR_"))
