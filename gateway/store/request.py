"""What an entry of a transaction asks for: method, target, condition (R4 http.html#transaction)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from gateway.errors import Permanent
from gateway.fhir import bundle, definitions
from gateway.model import Resource

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # R4 datatypes.html#id
ORDER = {"DELETE": 0, "POST": 1, "PUT": 2}
ANY_VERSION = "*"  # of If-Match: there has to be one (RFC 9110 §13.1.1)

Pair = tuple[str | None, str]  # system (None: any, '': none) and value of an identifier


@dataclass(slots=True)
class Item:
    """One entry, and what the transaction finds out about it on the way."""

    position: int
    full_url: str
    method: str
    type: str
    resource: Resource
    literal: str = ""  # the id in the URL
    identifiers: tuple[Pair, ...] = ()  # of the condition
    criteria: tuple[tuple[str, str], ...] = ()  # the condition's other parameters
    if_match: int | None = None
    deletes: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()  # (list, reference): what is taken out of it
    keep: bool = False  # what exists stays
    reopen: bool = False
    together: bool = False  # taken back because all results that came with it are
    target: str = ""  # id of the resource it is
    late: bool = False  # part of a statement that is older than what is stored

    @property
    def conditional(self) -> bool:
        return bool(self.identifiers or self.criteria)


def read(transaction_bundle: Resource) -> list[Item]:
    """The entries in the order in which FHIR applies them: DELETE, POST, PUT. Permanent for what is no such Bundle."""
    if transaction_bundle.get("resourceType") != "Bundle" or transaction_bundle.get("type") != "transaction":
        raise Permanent("not a Bundle of type transaction", place="Bundle.type")
    items = [_item(position, entry) for position, entry in enumerate(transaction_bundle.get("entry", ()))]
    return sorted(items, key=lambda item: ORDER[item.method])


def _item(position: int, entry: Mapping[str, Any]) -> Item:
    place = f"Bundle.entry[{position}]"
    request, resource = entry.get("request", {}), entry.get("resource", {})
    method, url = request.get("method"), str(request.get("url", ""))
    if method not in ORDER:
        raise Permanent("only DELETE, POST and PUT", place=f"{place}.request.method")
    path, _, query = url.partition("?")
    type_name, _, literal = path.partition("/")
    if type_name not in definitions.resource_types() or (literal and not _ID.fullmatch(literal)):
        raise Permanent("not the URL of a resource or a type", place=f"{place}.request.url")
    if method != "DELETE" and resource.get("resourceType") != type_name:
        raise Permanent(f"the resource is not a {type_name}", place=f"{place}.resource")
    if (method == "PUT" and not literal and not query) or (method == "POST" and (literal or query)):
        raise Permanent(f"not a URL for {method}", place=f"{place}.request.url")
    identifiers, criteria = read_condition(request.get("ifNoneExist", "") if method == "POST" else query)
    return Item(
        position=position,
        full_url=str(entry.get("fullUrl", "")),
        method=method,
        type=type_name,
        resource=resource,
        literal=literal,
        identifiers=identifiers,
        criteria=criteria,
        if_match=read_etag(request.get("ifMatch", "")),
        deletes=bundle.deletes(entry),
        parts=bundle.parts(entry),
        keep=method == "POST",
        reopen=bundle.reopens(entry),
        together=bundle.together(entry),
    )


def read_etag(text: str) -> int | None:
    """The version of `W/"3"`; None when there is none, or `*` for any. Permanent when it is no version."""
    number = text.strip().removeprefix("W/").strip('"')
    if number in ("", ANY_VERSION):
        return None
    if not number.isdecimal():
        raise Permanent("not a version", place="ifMatch", remedy='write W/"3"')
    return int(number)


def read_condition(query: str) -> tuple[tuple[Pair, ...], tuple[tuple[str, str], ...]]:
    """The identifiers of a condition, and its other parameters as (name, value)."""
    identifiers: list[Pair] = []
    others: list[tuple[str, str]] = []
    for part in filter(None, query.removeprefix("?").split("&")):
        name, _, value = part.partition("=")
        if name == "identifier":
            identifiers += [read_token(each) for each in value.split(",") if each]
        else:
            others.append((unquote(name), unquote(value)))
    return tuple(identifiers), tuple(others)


def pairs(query: str) -> tuple[tuple[str, str], ...]:
    """The parameters of a condition as (name, value), in their order."""
    return tuple(parse_qsl(query.removeprefix("?"), keep_blank_values=True)) if query else ()


def read_token(text: str) -> Pair:
    """`system|value`, percent-encoded. The bar may be encoded too, as many clients do."""
    system, bar, value = text.partition("|")
    if not bar:
        system, bar, value = unquote(text).rpartition("|")
        return (system, value) if bar else (None, value)
    return unquote(system), unquote(value)
