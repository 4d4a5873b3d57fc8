"""The TerminologyCapabilities, made from what is held and from the tables of the operations, so that it is true.

R4 terminologycapabilities.html. It is made anew for each question: clients may write code systems at any time.
"""

from __future__ import annotations

from typing import Any

from gateway.api.services import Services
from gateway.model import Resource
from gateway.terminology.expansions import EXPAND

DATE = "2026-11-22"  # of this description; changes with the code


def statement(services: Services, base: str) -> Resource:
    """The statement; `base` is the address of the service as the caller wrote it."""
    held: dict[str, list[str]] = {}
    with services.record.shelf() as shelf:
        for url, version in shelf.systems():
            held.setdefault(url, []).append(version)
    made: Resource = {
        "resourceType": "TerminologyCapabilities",
        "url": f"{base}/metadata?mode=terminology",
        "name": "HutongTerminology",
        "title": "Hutong 互通: the code tables of a hospital community",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "Hutong", "version": services.version},
        "implementation": {"description": "The shared record of a hospital community", "url": base},
        "lockedDate": False,
    }
    if held:
        made["codeSystem"] = [_system(url, versions) for url, versions in sorted(held.items())]
    made |= {
        "expansion": {
            "hierarchical": False,
            "paging": True,
            "incomplete": True,
            "parameter": [{"name": each} for each in EXPAND],
            "textFilter": "Every word of the filter stands in the code, the display or a designation, in any case.",
        },
        "codeSearch": "all",
        "validateCode": {"translations": True},
        "translation": {"needsMap": False},
    }
    return made


def _system(url: str, versions: list[str]) -> dict[str, Any]:
    named = sorted(filter(None, versions))
    made: dict[str, Any] = {"uri": url, "subsumption": True}
    if named:
        made["version"] = [{"code": each, **({"isDefault": True} if len(named) == 1 else {})} for each in named]
    return made
