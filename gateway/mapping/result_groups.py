"""Results that belong to other results: culture → organism → susceptibility (HL7 v2.5.1 §7.4.2.4, §7.4.1.26, §7.2.4).

Going in, the numbers by which a message says so become references, where both ends are in the message and only one can
be meant; the numbers themselves stay: OBX-4 groups results of one report (hasMember), OBR-26 and OBR-29 tell from which
result of another report these follow (derivedFrom; each stays with its own report). Coming back, what was grouped by
references alone gets numbers for OBX-4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context, Entry
from gateway.model import Resource

SUB_ID = "urn:hutong:sub-id"  # OBX-4
PARENT = "urn:hutong:parent-result"  # OBR-26
_SUSCEPTIBILITY = frozenset({"S", "I", "R", "SDD", "NS", "SYN-S", "SYN-R", "MS", "VS"})  # HL7 0078
Results = list[tuple[Entry, str]]  # of one report, each with its sub-id


def link(context: Context) -> None:
    """Adds Observation.hasMember and derivedFrom to what a message has made."""
    reports = [each for each in context.entries.values() if each.resource["resourceType"] == "DiagnosticReport"]
    for report in reports:
        results = _results(report, context)
        if [number for _, number in results if number]:
            _by_number(results)
        if extension := _said(report.resource, PARENT):
            _by_parent(report, extension, results, reports, context)


def _results(report: Entry, context: Context) -> Results:
    made = context.entries
    found = [made.get(each.get("reference", "")) for each in report.resource.get("result", ())]
    return [
        (each, _said(each.resource, SUB_ID) if "extension" in each.resource else "")
        for each in found
        if each is not None
    ]


def _said(resource: Resource, url: str) -> str:
    for each in resource.get("extension", ()):
        if each.get("url") == url:
            return str(each["valueString"])
    return ""


def _by_number(results: Results) -> None:
    """1.2 belongs to 1; of several under one number, susceptibilities belong to the only other one: the organism."""
    groups: dict[str, list[Entry]] = {}
    for entry, number in results:
        if number:
            groups.setdefault(number, []).append(entry)
    for number, members in groups.items():
        above = groups.get(number.rpartition(".")[0], [])
        if len(above) == 1:
            for each in members:
                _refer(above[0], "hasMember", each)
        others = (each for each in members if not _is_susceptibility(each.resource))
        organism = next(others, None) if len(members) > 1 else None
        if organism is not None and next(others, None) is None:
            for each in members:
                if each is not organism:
                    _refer(organism, "hasMember", each)


def _is_susceptibility(observation: Resource) -> bool:
    codings = (coding for concept in observation.get("interpretation", ()) for coding in concept.get("coding", ()))
    return any(coding.get("code") in _SUSCEPTIBILITY for coding in codings)


def _by_parent(report: Entry, extension: str, results: Results, reports: list[Entry], context: Context) -> None:
    """OBR-26 names the result (its code, its sub-id), OBR-29 the order of the report in which it stands."""
    code, _, rest = extension.partition("^")
    code, number = code.partition("&")[0], rest.partition("^")[0]
    wanted = _numbers_of_parent(report, context)
    above = [each for each in reports if each is not report and (not wanted or wanted & _numbers(each, context))]
    found = [
        entry
        for each in above
        for entry, own in _results(each, context)
        if own == number and any(coding.get("code") == code for coding in _codings(entry.resource))
    ]
    if len(found) == 1:
        for entry, _ in results:
            _refer(entry, "derivedFrom", found[0])


def _codings(observation: Resource) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = observation.get("code", {}).get("coding", [])
    return found


def _orders(report: Entry, context: Context) -> Iterator[Resource]:
    for each in report.resource.get("basedOn", ()):
        if (order := context.entries.get(each.get("reference", ""))) is not None:
            yield order.resource


def _numbers(report: Entry, context: Context) -> set[tuple[str, str]]:
    """The numbers of a report and of its orders."""
    known = (report.resource, *_orders(report, context))
    return {
        (each.get("system", ""), each["value"])
        for one in known
        for each in one.get("identifier", ())
        if each.get("value")
    }


def _numbers_of_parent(report: Entry, context: Context) -> set[tuple[str, str]]:
    """What OBR-29 says: the numbers of the order that this one follows from."""
    named = (each.get("identifier", {}) for order in _orders(report, context) for each in order.get("basedOn", ()))
    return {(each.get("system", ""), each["value"]) for each in named if each.get("value")}


def _refer(owner: Entry, element: str, other: Entry) -> None:
    listed = owner.resource.setdefault(element, [])
    if all(each.get("reference") != other.full_url for each in listed):
        listed.append({"reference": other.full_url})


# --------------------------------------------------------------------------------------------------------- back


def numbered(report: Resource, resources: Mapping[str, Resource]) -> tuple[Resource, dict[str, Resource]]:
    """A report that lists the members of its results too, each with a number that tells where it belongs; what has
    such numbers already stays as it is, and so does a report that lists all of them."""
    tops = [str(each.get("reference", "")) for each in report.get("result", ())]
    below = {url for top in tops if "hasMember" in resources.get(top, ()) for url in _members(top, resources)}
    if below.issubset(tops):
        return report, {}
    listed: dict[str, str] = {}
    for number, top in enumerate((each for each in tops if each not in below), 1):
        _number(top, str(number) if resources.get(top, {}).get("hasMember") else "", resources, listed)
    made = {
        url: _with_number(resources[url], number)
        for url, number in listed.items()
        if number and not _said(resources[url], SUB_ID)
    }
    return {**report, "result": [{"reference": url} for url in listed]}, made


def _members(url: str, resources: Mapping[str, Resource]) -> list[str]:
    found = [str(each.get("reference", "")) for each in resources.get(url, {}).get("hasMember", ())]
    return [each for each in found if each in resources]


def _number(url: str, number: str, resources: Mapping[str, Resource], listed: dict[str, str]) -> None:
    if url in listed or url not in resources:
        return
    listed[url] = number
    for position, member in enumerate(_members(url, resources), 1):
        _number(member, f"{number}.{position}" if number else "", resources, listed)


def _with_number(observation: Resource, number: str) -> Resource:
    extension = {"url": SUB_ID, "valueString": escape(number)}
    return {**observation, "extension": [*observation.get("extension", ()), extension]}
