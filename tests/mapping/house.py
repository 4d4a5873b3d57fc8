"""What the tests of the maps share: the shipped maps, a profile, messages made of a few lines, a look inside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.codec import hl7v2
from gateway.fhir import validate
from gateway.mapping import maps as maps_module
from gateway.mapping.context import Context
from gateway.mapping.maps import Address, Maps, Translation, load, shipped
from gateway.model import Profile, Resource

FIXTURES = Path(__file__).parent / "fixtures"
SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
SHANGHAI = Profile(time_zone="Asia/Shanghai")
HEADER = "MSH|^~\\&|HIS|COUNTY|GW|HUB|20260312142500||{kind}|M1|P|2.5.1"
PID = "PID|1||300001^^^COUNTY^PI||张^伟||19750618|M"
PV1 = "PV1|1|I|内科^^3床||||||||||||||||V1^^^COUNTY^VN"
WHEN = datetime(2026, 3, 12, 14, 30, tzinfo=ZoneInfo("Asia/Shanghai"))


@cache
def maps() -> Maps:
    return load([shipped()])


def fixture(name: str) -> bytes:
    """A message of the invented community by the beginning of its file name."""
    return next(FIXTURES.glob(f"{name}*.hl7")).read_bytes()


def message(kind: str, *lines: str, pid: str = PID) -> bytes:
    return "".join(f"{line}\r" for line in (HEADER.format(kind=kind), pid, *lines) if line).encode()


def into(body: bytes, *, profile: Profile = SHANGHAI, explain: bool = False) -> Translation:
    """The translation of one message; its Bundle is valid R4."""
    made = maps().to_fhir(hl7v2.decode(body, profile.charset), profile=profile, when=WHEN, explain=explain)
    assert [f"{each.path}: {each.text}" for each in validate.problems(made.bundle)] == []
    return made


def all_of(made: Translation | Resource, type_: str) -> list[Resource]:
    bundle = made.bundle if isinstance(made, Translation) else made
    return [entry["resource"] for entry in bundle.get("entry", ()) if entry["resource"]["resourceType"] == type_]


def only(made: Translation | Resource, type_: str) -> Resource:
    (found,) = all_of(made, type_)
    return found


def follow(made: Translation, reference: dict[str, Any]) -> Resource:
    (found,) = [entry["resource"] for entry in made.bundle["entry"] if entry["fullUrl"] == reference["reference"]]
    return found


def by_reference(bundle: Resource) -> dict[str, Resource]:
    return {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}


def leads_of(bundle: Resource, structure: str) -> list[str]:
    found = maps().library.structures[structure]
    return maps_module.leads_of(by_reference(bundle), found.lead, *found.others)


def back(
    bundle: Resource, structure: str, *, event: str = "", facility: str = "COUNTY", profile: Profile = SHANGHAI
) -> bytes:
    address = Address(profile=profile, facility=facility, control_id="B1", when=WHEN, event=event)
    return maps().from_fhir(by_reference(bundle), leads_of(bundle, structure), structure=structure, to=address)


def segments(body: bytes, name: str) -> list[list[str]]:
    return [segment for segment in hl7v2.decode(body).segments if segment[0] == name]


def context(*, facility: str = "COUNTY", profile: Profile = SHANGHAI, own: Sequence[str] = ()) -> Context:
    systems = maps().library.coding_systems
    return Context(profile=profile, facility=facility, control_id="M1", systems=systems, own=frozenset(own))
