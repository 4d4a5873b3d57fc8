"""The invariants of Bundle (R4 bundle.html), for dictionaries and compiled structs alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gateway.fhir.invariants import Item

Finding = tuple[int | None, str, str]  # entry (None = the Bundle itself), key, text

_REQUESTS = frozenset({"batch", "transaction", "history"})
_RESPONSES = frozenset({"batch-response", "transaction-response", "history"})
_FIRST = {"document": ("bdl-11", "Composition"), "message": ("bdl-12", "MessageHeader")}


def findings(bundle: Item, resource_type: Callable[[Any], str]) -> Iterator[Finding]:
    """Every broken rule; `resource_type` tells the type of the resource of an entry."""
    kind = bundle.get("type")
    entries = bundle.get("entry") or ()
    yield from _of_bundle(bundle, kind)
    for index, entry in enumerate(entries):
        for key, text in _of_entry(entry, kind):
            yield index, key, text
    if kind in _FIRST:
        key, wanted = _FIRST[kind]
        if not entries or entries[0].get("resource") is None or resource_type(entries[0].get("resource")) != wanted:
            yield None, key, f"the first resource of a {kind} is a {wanted}"


def _of_bundle(bundle: Item, kind: Any) -> Iterator[Finding]:
    if bundle.get("total") is not None and kind not in ("searchset", "history"):
        yield None, "bdl-1", "only a searchset or history has a total"
    if kind == "document":
        identifier = bundle.get("identifier")
        if identifier is None or identifier.get("system") is None or identifier.get("value") is None:
            yield None, "bdl-9", "a document has an identifier with system and value"
        if bundle.get("timestamp") is None:
            yield None, "bdl-10", "a document has a timestamp"


def _of_entry(entry: Item, kind: Any) -> Iterator[tuple[str, str]]:
    if entry.get("search") is not None and kind != "searchset":
        yield "bdl-2", "only a searchset has entry.search"
    if (entry.get("request") is not None) is not (kind in _REQUESTS):
        yield "bdl-3", f"entry.request is {'needed' if kind in _REQUESTS else 'not allowed'} in a {kind}"
    if (entry.get("response") is not None) is not (kind in _RESPONSES):
        yield "bdl-4", f"entry.response is {'needed' if kind in _RESPONSES else 'not allowed'} in a {kind}"
    if "/_history/" in (entry.get("fullUrl") or ""):
        yield "bdl-8", "fullUrl names no version"
