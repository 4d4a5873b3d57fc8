"""Which search parameters live in columns of the resource row instead of an index table, for each type."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.fhir import definitions, expressions
from gateway.fhir.searchparameters import SearchParameter, parameters

NO_DATE = -(1 << 62)  # sorts before every time

# Statuses that somebody still works on: worklists ask for these, and a partial index keeps them short.
OPEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Task": frozenset(
            {"draft", "requested", "received", "accepted", "ready", "in-progress", "on-hold", "failed"},
        ),
        "ServiceRequest": frozenset({"draft", "active", "on-hold"}),
        "DiagnosticReport": frozenset({"registered", "partial", "preliminary"}),
        "Encounter": frozenset({"planned", "arrived", "triaged", "in-progress", "onleave"}),
        "Appointment": frozenset({"proposed", "pending", "booked", "arrived", "waitlist", "checked-in"}),
    }
)
_DATES = (
    *("date", "authored", "authored-on", "started", "recorded-date", "onset-date", "created", "recorded", "issued"),
    *("authoredon", "collected", "effective", "sent", "birthdate", "period"),
)
_ONE_ELEMENT = re.compile(r"[A-Z]\w+\.(\w+)(?:\.where\(resolve\(\) is Patient\))?")


@dataclass(frozen=True, slots=True)
class Columns:
    """The parameters of one type that are columns."""

    patient_element: str  # 'subject'; '' when the type has no single patient
    patient: frozenset[str]  # parameters that read it: 'patient', 'subject'
    date: str  # parameter, '' when there is none
    status: bool
    open: frozenset[str]
    names: frozenset[str]  # all of them


_NOTHING = Columns("", frozenset(), "", False, frozenset(), frozenset())


def real(type: str) -> str:
    """The resource type of 'MedicationRequest#medication:Medication', a Medication contained in a MedicationRequest."""
    return type.rpartition(":")[2]


def code_table(type: str, name: str) -> str:
    """The index table of a token parameter."""
    return "index_code" if name == "code" and type == real(type) else "index_token"


@functools.cache
def columns(type: str) -> Columns:
    """The columns of a type; what is contained has none."""
    if type != real(type):
        return _NOTHING
    known = parameters(type)
    element = _patient_element(type, known)
    patient = frozenset(name for name, each in known.items() if element and _element(each) == element)
    date = next((name for name in _DATES if name in known and known[name].kind == "date" and _once(type, name)), "")
    status = "status" in known and known["status"].expression == f"{type}.status"
    return Columns(
        patient_element=element,
        patient=patient,
        date=date,
        status=status,
        open=OPEN.get(type, frozenset()),
        names=patient | {name for name, there in ((date, bool(date)), ("status", status)) if there},
    )


def _patient_element(type: str, known: Mapping[str, SearchParameter]) -> str:
    parameter = known.get("patient")
    element = _element(parameter) if parameter is not None and parameter.kind == "reference" else ""
    return element if element and not definitions.resolve(f"{type}.{element}").many else ""


def _once(type: str, name: str) -> bool:
    """Whether a resource has one value of it at most."""
    found = expressions.branches_of(parameters(type)[name].expression, type)
    return not any(step.many for branch in found for step in branch.steps)


def _element(parameter: SearchParameter) -> str:
    match = _ONE_ELEMENT.fullmatch(parameter.expression)
    return match[1] if match else ""
