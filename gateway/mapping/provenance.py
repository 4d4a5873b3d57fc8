"""What a Provenance says of a translated document: which one it was, who wrote it, and when."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from gateway.codec.hl7v2 import Message
from gateway.mapping.context import MESSAGE, Context
from gateway.mapping.datatypes.simple import fhir_time
from gateway.model import Resource


def occasion(message: Message) -> str:
    """What names this message among all of its sender: control ids are counted anew, and some write none."""
    header = message.header
    if header.control_id and header.time:
        return f"{header.control_id}/{header.time}"
    return hashlib.sha256(message.body).hexdigest()[:32]


def provenance(context: Context, time: str, when: datetime | None, *, batch: str = "") -> None:
    """Where all of it comes from (R4 provenance.html): one for each document, on every resource it made. What the maps
    say of it (`= @@@Resource`) is kept. `batch`: the name of one of several of a file: each has its own."""
    entries, entry = context.entries, context.whole
    said: Resource = entry.resource if entry else {}
    if entry is not None:
        entries.pop(entry.full_url)
    recorded = said.get("recorded") or (fhir_time(time, context.zone) if time else None)
    if recorded is None or "T" not in recorded:
        recorded = when.isoformat(timespec="milliseconds") if when else None
    if recorded is None or not entries:
        return
    told = {
        "target": [{"reference": each} for each in entries],
        "recorded": recorded,
        "agent": said.get("agent") or [{"who": _author(context)}],
        "entity": [{"role": "source", "what": {"identifier": {"system": MESSAGE, "value": context.control_id or "-"}}}],
    }
    if entry is None:
        key = f"provenance/{time}/{batch}" if batch else f"provenance/{time}"
        context.make({"resourceType": "Provenance", **told}, key=key)
    else:
        said.update(told)
        entries[entry.full_url] = entry


def _author(context: Context) -> dict[str, Any]:
    organizations = (each for each in context.entries.values() if each.resource["resourceType"] == "Organization")
    organization = next(organizations, None)
    return {"reference": organization.full_url} if organization else {"display": context.facility}
