"""The transaction Bundle that mapping makes and the record applies (R4 http.html#transaction).

Its entries are conditional on business identifiers: the same Bundle applied twice changes nothing the second time.
References inside are the `urn:uuid:` full URLs of other entries.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from gateway.model import Resource

DELETE = "urn:hutong:delete"  # extension of an entry: the source said "" for this path; remove it on update
PART = "urn:hutong:part"  # extension of an entry: {element, from}: what of that list refers there is taken out (A37)
TOGETHER = "urn:hutong:together"  # extension of an entry, valueBoolean: its results alone say that it is taken back
REOPEN = "urn:hutong:reopen"  # extension of an entry, valueBoolean: the status may move back (a cancelled discharge)
_NAMESPACE = uuid.UUID("6f1b3d1e-6a0c-5a53-9f3e-4a7c1c1f0b6e")
_PREFIX = _NAMESPACE.bytes
_VARIANT = {digit: f"{int(digit, 16) & 0x3 | 0x8:x}" for digit in "0123456789abcdef"}  # of RFC 4122
_UNSAFE = re.compile(r"[^A-Za-z0-9:/.\-_~]+")


def full_url(type: str, key: str) -> str:
    """'urn:uuid:…', always the same for the same type and key (RFC 4122 version 5, without the cost of uuid.UUID)."""
    digest = hashlib.sha1(_PREFIX + f"{type}/{key}".encode(), usedforsecurity=False).hexdigest()
    return (
        f"urn:uuid:{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"
    )


def condition(system: str, value: str, quoted: dict[str, str] | None = None) -> str:
    """`identifier=system|value`, both percent-encoded; without a system `identifier=|value`. `quoted`: parts, between
    slashes, that many numbers of one Bundle have in common: they are encoded once."""
    if value.isascii() and value.isalnum():
        return f"{_of_system(system)}{value}"
    if quoted is None or "/" not in value:
        return f"{_of_system(system)}{_quoted(value)}"
    found = [_codes.get(part) or quoted.get(part) or _met(part, quoted) for part in value.split("/")]
    return f"{_of_system(system)}{'/'.join(found)}"


def _met(part: str, quoted: dict[str, str]) -> str:
    quoted[part] = made = _quoted(part)
    return made


@lru_cache(maxsize=1024)  # systems are few
def _of_system(system: str) -> str:
    return f"identifier={_quoted(system)}|"


def _quoted(text: str) -> str:
    """Percent-encoded; nearly all systems and numbers need none of it."""
    return _UNSAFE.sub(_percent, text)


def _percent(found: re.Match[str]) -> str:
    return "%" + found[0].encode().hex("%").upper()


_codes: dict[str, str] = {}  # words of codes, percent-encoded
_CODES = 4096


def remember(code: str) -> None:
    """The words of a code will be asked for again in conditions. Never those of persons."""
    if len(_codes) >= _CODES:
        _codes.clear()
    for part in code.split("/"):
        _codes[part] = _quoted(part)


def update_url(type: str, system: str, value: str) -> str:
    """`Type?identifier=system|value`: create, or update what matches."""
    return f"{type}?{condition(system, value)}"


def if_none_exist(system: str, value: str) -> str:
    """The condition of a create: `identifier=system|value`."""
    return condition(system, value)


def update(type: str, system: str, value: str) -> dict[str, str]:
    """The request of a conditional update."""
    return {"method": "PUT", "url": update_url(type, system, value)}


def create(type: str, system: str, value: str) -> dict[str, str]:
    """The request of a conditional create: what exists stays."""
    return {"method": "POST", "url": type, "ifNoneExist": if_none_exist(system, value)}


def read_condition(text: str) -> tuple[str, str, str] | None:
    """(type, system, value) of `Type?identifier=system|value` or `identifier=system|value`; None when it is not one.

    The type is "" where the text has none, the system "" where the identifier has none.
    """
    type_name, mark, query = text.rpartition("?")
    name, equals, token = query.partition("=")
    if name != "identifier" or not equals or "&" in token or (mark and not type_name):
        return None
    system, bar, value = token.rpartition("|")
    return (type_name, unquote(system) if bar else "", unquote(value)) if value else None


def entry(
    resource: Resource,
    full_url: str,
    request: Mapping[str, str],
    *,
    deletes: Iterable[str] = (),
    reopen: bool = False,
    parts: Iterable[tuple[str, str]] = (),
    together: bool = False,
) -> dict[str, Any]:
    """One entry; `deletes` are the paths ('Patient.birthDate') that the source said are to be empty, `reopen` that the
    status may move back, `parts` what is to be taken out: ('Patient.link', the fullUrl that it refers to)."""
    made: dict[str, Any] = {"fullUrl": full_url, "resource": resource, "request": dict(request)}
    extension: list[dict[str, Any]] = [{"url": DELETE, "valueString": path} for path in deletes]
    for element, other in parts:
        inner = [{"url": "element", "valueString": element}, {"url": "from", "valueReference": {"reference": other}}]
        extension.append({"url": PART, "extension": inner})
    if reopen:
        extension.append({"url": REOPEN, "valueBoolean": True})
    if together:
        extension.append({"url": TOGETHER, "valueBoolean": True})
    return {"extension": extension, **made} if extension else made


def deletes(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths that an entry wants removed on update."""
    return tuple(each["valueString"] for each in entry.get("extension", ()) if each.get("url") == DELETE)


def parts(entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The (list, reference) that an entry wants taken out: 'Patient.link' and whom it referred to."""
    found = (each["extension"] for each in entry.get("extension", ()) if each.get("url") == PART)
    return tuple((element["valueString"], other["valueReference"]["reference"]) for element, other in found)


def reopens(entry: Mapping[str, Any]) -> bool:
    """Whether the entry may move the status back."""
    return any(each.get("url") == REOPEN and each.get("valueBoolean") for each in entry.get("extension", ()))


def together(entry: Mapping[str, Any]) -> bool:
    """Whether a report is taken back because all its results in this Bundle are; the record may know others."""
    return any(each.get("url") == TOGETHER and each.get("valueBoolean") for each in entry.get("extension", ()))


def transaction(entries: Iterable[Mapping[str, Any]]) -> Resource:
    """A Bundle of type transaction. FHIR has no empty arrays: without entries there is no `entry`."""
    listed = [dict(each) for each in entries]
    return {"resourceType": "Bundle", "type": "transaction", **({"entry": listed} if listed else {})}
