"""Which HL7 v2 message a Bundle becomes: the one that is asked for, the one that its MessageHeader names, or the one
about what it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from gateway.errors import Configuration, Permanent
from gateway.mapping.leads import leads_of
from gateway.mapping.library import Library
from gateway.mapping.syntax import Structure
from gateway.model import Resource

# What a Bundle is about when nothing tells: the first of these that is there. A report says more than its order, an
# order more than the visit, the visit more than the person.
ABOUT = (
    ("DiagnosticReport", "ORU_R01"),
    ("Appointment", "SIU_S12"),
    ("DocumentReference", "MDM_T02"),
    ("Immunization", "VXU_V04"),
    ("MedicationDispense", "RDS_O13"),
    ("MedicationAdministration", "RAS_O17"),
    ("ServiceRequest", "ORM_O01"),
    ("MedicationRequest", "OMP_O09"),
    ("SupplyRequest", "OMS_O05"),
    ("NutritionOrder", "OMD_O03"),
    ("ChargeItem", "DFT_P03"),
    ("Account", "BAR_P01"),
    ("Encounter", "ADT_A01"),
    ("Observation", "ORU_R01"),
    ("Patient", "ADT_A01"),
    ("ObservationDefinition", "MFN_M08"),
    ("Practitioner", "MFN_M02"),
    ("Location", "MFN_M05"),
    ("OperationOutcome", "ACK"),
)
_REFERRAL = "3457005"  # SNOMED CT, ServiceRequest.category


@dataclass(frozen=True, slots=True)
class Choice:
    """A message structure, the trigger event ("" where the state of the lead decides) and what it is about."""

    structure: str
    event: str
    leads: tuple[str, ...]


def asked(message: str, resources: Mapping[str, Resource], library: Library) -> Choice:
    """What a person asks for: `OML^O21`, `ADT_A04`, `ORU_R01`. Raises Configuration where no map writes it, Permanent
    where the Bundle has nothing that it is about."""
    code, event, *_ = (*re.split(r"[\^_]", message.strip().upper()), "", "")
    name = f"{code}_{event}" if event else code
    structure = library.structures.get(library.events.get(name, name))
    if structure is None:
        near = get_close_matches(name, {*library.events, *library.structures}, n=3)
        remedy = f"one of {', '.join(near)}" if near else "see the message statements in mappings/hl7v2/"
        raise Configuration(f"no map writes {message}", place="--message", remedy=remedy)
    if not _holds(resources, structure):
        wanted = " or ".join((structure.lead, *structure.others))
        raise Permanent(
            f"{name} is about a {wanted}, and there is none", place="Bundle.entry", remedy="ask for another"
        )
    return Choice(structure.name, event, tuple(leads_of(resources, structure.lead, *structure.others)))


def told(resources: Mapping[str, Resource], library: Library) -> Choice | None:
    """What the MessageHeader names, where its event is shown as in MSH-9 and the Bundle has what it is about."""
    headers = (each for each in resources.values() if each["resourceType"] == "MessageHeader")
    coding = next(headers, {}).get("eventCoding", {})
    code, _, rest = str(coding.get("display", "")).partition("^")
    event = rest.partition("^")[0]
    structure = library.structures.get(library.events.get(f"{code}_{event}", ""))
    if structure is None or event != coding.get("code") or not _holds(resources, structure):
        return None
    return Choice(structure.name, event, tuple(leads_of(resources, structure.lead, *structure.others)))


def fitting(resources: Mapping[str, Resource]) -> Choice:
    """By what is there. Raises Permanent where no message is about any of it."""
    there = {each["resourceType"] for each in resources.values()}
    type_, structure = next((each for each in ABOUT if each[0] in there), ("", ""))
    if not type_:
        raise Permanent(
            "nothing here that an HL7 v2 message is about",
            place="Bundle.entry",
            remedy="a report, a booking, an order, a visit or a patient",
        )
    event = ""
    orders = [each for each in resources.values() if each["resourceType"] == type_ == "ServiceRequest"]
    if orders and all(map(_referral, orders)):
        structure = "REF_I12"
    elif type_ == "Patient" and any(each.get("link") for each in resources.values()):
        structure, event = "ADT_A39", "A40"
    return Choice(structure, event, tuple(leads_of(resources, type_)))


def _referral(order: Resource) -> bool:
    concepts = order.get("category", ())
    return any(coding.get("code") == _REFERRAL for concept in concepts for coding in concept.get("coding", ()))


def _holds(resources: Mapping[str, Resource], structure: Structure) -> bool:
    return not {each["resourceType"] for each in resources.values()}.isdisjoint((structure.lead, *structure.others))
