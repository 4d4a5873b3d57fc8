"""FHIR Subscriptions while the gateway is killed: every event arrives, numbered without gaps, each under one key.

A fault of conformance/faults.py. Nothing of the gateway is imported.
"""

from __future__ import annotations

import json
import random
import time
from typing import Any

from conformance.fault import NAMES, Fault, Result, result, settled, until
from conformance.gateway import Gateway
from conformance.receivers import WebAddress

GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
COMMUNITY = """\
id: hooks
name: Subscriptions 订阅
open: true
hooks: {networks: [127.0.0.0/8]}
"""
FHIR = "application/fhir+json"


def killed_while_notifying(fault: Fault) -> Result:
    """kill -9 in the middle of notifications: every report comes by criteria and by topic, none is missing in between,
    and what comes twice comes under the same key and number."""
    count, lives, chance = 120, 3, random.Random(11)

    def badly(_body: bytes) -> int:
        time.sleep(0.003)
        return 0 if chance.random() < 0.05 else 503 if chance.random() < 0.05 else 200

    config = fault.home / "community.yaml"
    config.write_text(COMMUNITY, "utf-8")
    with (
        WebAddress(200) as plain,
        WebAddress(200) as topic,
        Gateway(fault.command, fault.home, config=config) as gateway,
    ):
        gateway.start()
        for wish in (_by_criteria(plain.address), _by_topic(topic.address)):
            status, answer = gateway.post("/fhir/Subscription", json.dumps(wish).encode(), FHIR)
            if status != 201:
                return "", f"no Subscription was made: {answer.decode()[:200]}"
        until(lambda: gateway.count("Subscription?status=active") == 2)
        plain.status = topic.status = badly
        for life in range(lives):
            for number in range(life * count // lives, (life + 1) * count // lives):
                if gateway.send(result(number, patients=len(NAMES))).one("MSA", 1) != "AA":
                    return "", f"message {number} was not taken"
            plain.wait(len(plain.received) + chance.randrange(3, 12), 30)
            gateway.kill()
            gateway.start()
        until(lambda: gateway.count("DiagnosticReport?status=final") == count and settled(gateway))
        figures = f"{count} reports, {lives} kills, {len(plain.received)} and {len(topic.received)} calls"
        return figures, _missing(gateway, plain, count) or _gaps(topic, count)


def _whole(address: WebAddress) -> list[tuple[dict[str, str], bytes]]:
    """Without calls that a kill cut short."""
    return [each for each in address.received if len(each[1]) == int(each[0].get("content-length", "0"))]


def _missing(gateway: Gateway, plain: WebAddress, count: int) -> str:
    """What is wrong with the calls by criteria."""
    keys: dict[tuple[str, str], set[str]] = {}
    for headers, body in _whole(plain):
        report = json.loads(body)
        version = (report["id"], report["meta"]["versionId"])
        keys.setdefault(version, set()).add(headers["idempotency-key"])
    if any(len(each) > 1 for each in keys.values()):
        return "one version came under two keys"
    stored = {each["id"] for each in gateway.search(f"DiagnosticReport?status=final&_count={count * 2}")}
    missing = stored - {name for name, _ in keys}
    return f"{len(missing)} reports did not come by criteria" if missing else ""


def _gaps(topic: WebAddress, count: int) -> str:
    """What is wrong with the notifications of the topic."""
    about: dict[int, str] = {}
    order: list[int] = []
    for _, body in _whole(topic):
        for number, focus in _events(json.loads(body)):
            if about.setdefault(number, focus) != focus:
                return f"event {number} was about two reports"
            order.append(number)
    first = list(dict.fromkeys(order))
    if first != list(range(1, len(first) + 1)):
        return "the numbers of the events have gaps, or overtook each other"
    return "" if len(set(about.values())) == count else f"{len(set(about.values()))} of {count} came by topic"


def _events(bundle: dict[str, Any]) -> list[tuple[int, str]]:
    parameters = bundle["entry"][0]["resource"]["parameter"]
    parts = [
        {part["name"]: part for part in each["part"]} for each in parameters if each["name"] == "notification-event"
    ]
    return [(int(each["event-number"]["valueString"]), each["focus"]["valueReference"]["reference"]) for each in parts]


def _by_criteria(address: str) -> dict[str, Any]:
    return {
        "resourceType": "Subscription", "status": "requested", "reason": "fault test",
        "criteria": "DiagnosticReport?status=final",
        "channel": {"type": "rest-hook", "endpoint": address, "payload": FHIR, "header": ["Authorization: Bearer x"]},
    }  # fmt: skip


def _by_topic(address: str) -> dict[str, Any]:
    return {
        "resourceType": "Subscription", "status": "requested", "reason": "fault test",
        "meta": {"profile": [f"{GUIDE}subscription"]}, "criteria": "urn:hutong:topic:report-available",
        "channel": {
            "type": "rest-hook", "endpoint": address, "payload": FHIR,
            "_payload": {"extension": [{"url": f"{GUIDE}payload-content", "valueCode": "id-only"}]},
            "extension": [{"url": f"{GUIDE}max-count", "valuePositiveInt": 5}],
        },
    }  # fmt: skip
