"""A search that looks at every resource, written from R4 search.html over JSON: no index, no SQL, nothing shared."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

Resource = dict[str, Any]
Found = list[tuple[str, Any]]  # (FHIR type, value)
CHINA = timezone(timedelta(hours=8))
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
TICK = timedelta(microseconds=1)
SYLLABLES = {
    "张": "zhang",
    "伟": "wei",
    "小": "xiao",
    "明": "ming",
    "曾": "zeng",
    "买": "mai",
    "提": "ti",
    "江": "jiang",
}
GENDER = "http://hl7.org/fhir/administrative-gender"


def many(resource: Any, path: str, type: str) -> Found:
    """The values at a path of JSON members; lists are opened. A choice is named with its type: 'valueQuantity'."""
    found = [resource]
    for name in path.split("."):
        inner = [each.get(name) for each in found if isinstance(each, dict)]
        found = [one for each in inner for one in (each if isinstance(each, list) else [each]) if one is not None]
    return [(type, each) for each in found]


def at(*places: tuple[str, str]) -> Callable[[Resource], Found]:
    return lambda resource: [found for path, kind in places for found in many(resource, path, kind)]


def _patients(path: str) -> Callable[[Resource], Found]:
    def found(resource: Resource) -> Found:
        return [each for each in many(resource, path, "Reference") if leads_to(each[1], resource) == "Patient"]

    return found


def leads_to(reference: Mapping[str, Any], resource: Resource) -> str:
    text = reference.get("reference", "")
    if text.startswith("#"):
        return next((each["resourceType"] for each in resource.get("contained", ()) if each["id"] == text[1:]), "")
    return text.split("/")[-2] if "/" in text else reference.get("type", "")


EVERY: dict[str, tuple[str, Callable[[Resource], Found]]] = {
    "_id": ("token", at(("id", "id"))),
    "_lastUpdated": ("date", at(("meta.lastUpdated", "instant"))),
    "_tag": ("token", at(("meta.tag", "Coding"))),
    "_profile": ("uri", at(("meta.profile", "canonical"))),
    "identifier": ("token", at(("identifier", "Identifier"))),
}
TYPES: dict[str, dict[str, tuple[str, Callable[[Resource], Found]]]] = {
    "Patient": {
        **EVERY,
        "active": ("token", at(("active", "boolean"))),
        "gender": ("token", at(("gender", GENDER))),
        "name": ("string", at(("name", "HumanName"))),
        "family": ("string", at(("name.family", "family"))),
        "given": ("string", at(("name.given", "given"))),
        "phone": ("token", lambda r: [f for f in many(r, "telecom", "ContactPoint") if f[1].get("system") == "phone"]),
        "birthdate": ("date", at(("birthDate", "date"))),
        "address-city": ("string", at(("address.city", "string"))),
        "language": ("token", at(("communication.language", "CodeableConcept"))),
        "organization": ("reference", at(("managingOrganization", "Reference"))),
    },
    "Group": {**EVERY, "actual": ("token", at(("actual", "boolean")))},
    "Organization": {
        **EVERY,
        "name": ("string", at(("name", "string"), ("alias", "string"))),
        "partof": ("reference", at(("partOf", "Reference"))),
        "active": ("token", at(("active", "boolean"))),
    },
    "Encounter": {
        **EVERY,
        "status": ("token", at(("status", "http://hl7.org/fhir/encounter-status"))),
        "class": ("token", at(("class", "Coding"))),
        "date": ("date", at(("period", "Period"))),
        "length": ("quantity", at(("length", "Quantity"))),
        "patient": ("reference", _patients("subject")),
        "subject": ("reference", at(("subject", "Reference"))),
        "service-provider": ("reference", at(("serviceProvider", "Reference"))),
    },
    "Observation": {
        **EVERY,
        "status": ("token", at(("status", "http://hl7.org/fhir/observation-status"))),
        "code": ("token", at(("code", "CodeableConcept"))),
        "category": ("token", at(("category", "CodeableConcept"))),
        "date": (
            "date",
            at(("effectiveDateTime", "date"), ("effectivePeriod", "Period"), ("effectiveTiming", "Timing")),
        ),
        "patient": ("reference", _patients("subject")),
        "subject": ("reference", at(("subject", "Reference"))),
        "encounter": ("reference", at(("encounter", "Reference"))),
        "performer": ("reference", at(("performer", "Reference"))),
        "has-member": ("reference", at(("hasMember", "Reference"))),
        "value-quantity": ("quantity", at(("valueQuantity", "Quantity"))),
        "value-concept": ("token", at(("valueCodeableConcept", "CodeableConcept"))),
        "value-date": ("date", at(("valueDateTime", "date"), ("valuePeriod", "Period"))),
        "component-code": ("token", at(("component.code", "CodeableConcept"))),
        "component-value-quantity": ("quantity", at(("component.valueQuantity", "Quantity"))),
        "combo-code": ("token", at(("code", "CodeableConcept"), ("component.code", "CodeableConcept"))),
        "combo-value-quantity": (
            "quantity",
            at(("valueQuantity", "Quantity"), ("component.valueQuantity", "Quantity")),
        ),
    },
    "DiagnosticReport": {
        **EVERY,
        "status": ("token", at(("status", "http://hl7.org/fhir/diagnostic-report-status"))),
        "code": ("token", at(("code", "CodeableConcept"))),
        "patient": ("reference", _patients("subject")),
        "subject": ("reference", at(("subject", "Reference"))),
        "result": ("reference", at(("result", "Reference"))),
        "issued": ("date", at(("issued", "instant"))),
        "date": ("date", at(("effectiveDateTime", "date"), ("effectivePeriod", "Period"))),
    },
    "MedicationRequest": {
        **EVERY,
        "status": ("token", at(("status", "http://hl7.org/fhir/CodeSystem/medicationrequest-status"))),
        "code": ("token", at(("medicationCodeableConcept", "CodeableConcept"))),
        "medication": ("reference", at(("medicationReference", "Reference"))),
        "patient": ("reference", _patients("subject")),
        "subject": ("reference", at(("subject", "Reference"))),
        "authoredon": ("date", at(("authoredOn", "date"))),
        "date": ("date", at(("dosageInstruction.timing.event", "date"))),
    },
    "Medication": {**EVERY, "code": ("token", at(("code", "CodeableConcept")))},
    "DocumentReference": {
        **EVERY,
        "relatesto": ("reference", at(("relatesTo.target", "Reference"))),
        "relation": ("token", at(("relatesTo.code", "http://hl7.org/fhir/document-relationship-type"))),
        "subject": ("reference", at(("subject", "Reference"))),
        "patient": ("reference", _patients("subject")),
        "location": ("uri", at(("content.attachment.url", "url"))),
    },
    "RiskAssessment": {
        **EVERY,
        "subject": ("reference", at(("subject", "Reference"))),
        "patient": ("reference", _patients("subject")),
        "probability": ("number", at(("prediction.probabilityDecimal", "decimal"))),
    },
}
# (bases, first half, second half): each base gives pairs of its own
Half = tuple[str, Callable[[Resource], Found]]
_CODE: Half = ("token", at(("code", "CodeableConcept")))


def _whole(resource: Resource) -> list[Resource]:
    return [resource]


def _parts(resource: Resource) -> list[Resource]:
    return list(resource.get("component", []))


def _both(resource: Resource) -> list[Resource]:
    return [resource, *_parts(resource)]


_QUANTITY: Half = ("quantity", at(("valueQuantity", "Quantity")))
_CONCEPT: Half = ("token", at(("valueCodeableConcept", "CodeableConcept")))
COMPOSITES: dict[tuple[str, str], tuple[Callable[[Resource], list[Resource]], Half, Half]] = {
    ("Observation", "code-value-quantity"): (_whole, _CODE, _QUANTITY),
    ("Observation", "code-value-concept"): (_whole, _CODE, _CONCEPT),
    ("Observation", "code-value-string"): (_whole, _CODE, ("string", at(("valueString", "string")))),
    ("Observation", "code-value-date"): (
        _whole, _CODE, ("date", at(("valueDateTime", "date"), ("valuePeriod", "Period")))
    ),
    ("Observation", "component-code-value-quantity"): (_parts, _CODE, _QUANTITY),
    ("Observation", "component-code-value-concept"): (_parts, _CODE, _CONCEPT),
    ("Observation", "combo-code-value-quantity"): (_both, _CODE, _QUANTITY),
    ("Observation", "combo-code-value-concept"): (_both, _CODE, _CONCEPT),
    ("DocumentReference", "relationship"): (
        lambda r: r.get("relatesTo", []), ("token", at(("code", "code"))), ("reference", at(("target", "Reference")))
    ),
}  # fmt: skip
TARGETS = {
    "patient": ("Patient",),
    "subject": ("Patient", "Group"),
    "organization": ("Organization",),
    "partof": ("Organization",),
    "service-provider": ("Organization",),
    "performer": ("Organization", "Patient"),
    "encounter": ("Encounter",),
    "has-member": ("Observation",),
    "result": ("Observation",),
    "medication": ("Medication",),
    "relatesto": ("DocumentReference",),
}


# ------------------------------------------------------------------------------------------------ values


def split(text: str, mark: str) -> list[str]:
    parts, escaped = [""], False
    for each in text:
        if escaped or (each != mark and each != "\\"):
            parts[-1] += ("\\" if escaped else "") + each
            escaped = False
        elif each == "\\":
            escaped = True
        else:
            parts.append("")
    return parts


def plain(text: str) -> str:
    for each in ",|$\\":
        text = text.replace("\\" + each, each)
    return text


def fold(text: str) -> str:
    apart = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(each for each in apart if unicodedata.combining(each) < 10)
    bare = unicodedata.normalize("NFC", bare).strip()
    return "".join(each for place, each in enumerate(bare) if not (each in " ·•・" and _between(bare, place)))


def _between(text: str, place: int) -> bool:
    left, right = text[:place].rstrip(" ·•・"), text[place + 1 :].lstrip(" ·•・")
    return bool(left and right) and all("\u4e00" <= each <= "\u9fff" for each in (left[-1], right[0]))


def tokens(type: str, value: Any) -> list[tuple[str, str, str]]:
    """(system, code, text)."""
    match type:
        case "Coding":
            return [(value.get("system", ""), value.get("code", ""), value.get("display", ""))]
        case "CodeableConcept":
            own = [found for each in value.get("coding", ()) for found in tokens("Coding", each)]
            return [*own, ("", "", value.get("text", ""))]
        case "Identifier":
            text = value.get("type", {}).get("text", "")
            return [(value.get("system", ""), value.get("value", ""), text if "value" in value else "")]
        case "ContactPoint":
            return [("", value.get("value", ""), "")]
        case "boolean":
            return [("", str(value).lower(), "")]
    return [("", value, ""), *([(type, value, "")] if type.startswith("http") else [])]


def strings(type: str, value: Any) -> list[str]:
    if type != "HumanName":
        return [value]
    family, given = value.get("family", ""), value.get("given", [])
    parts = [value.get("text", ""), family, *given, *value.get("prefix", ())]
    if family and given and any(each > "\u2e80" for each in family):
        parts.append(family + "".join(given))
    return [each for each in parts if each]


def typed(name: str, text: str) -> list[str]:
    """What else may be typed for a Chinese name."""
    value = fold(text)
    if not value or any(each not in SYLLABLES for each in value):
        return []
    tails = [value[start:] for start in range(1, len(value))] if name == "name" and len(value) < 5 else []
    spelled = ["".join(SYLLABLES[each] for each in part) for part in (value, *tails)]
    return [*tails, *spelled, *("".join(SYLLABLES[each][0] for each in part) for part in (value, *tails))]


def span(text: str) -> tuple[datetime, datetime]:
    """First and last microsecond."""
    if len(text) == 4:
        return span(f"{text}-01")[0], span(f"{text}-12")[1]
    if len(text) == 7:
        start = datetime.fromisoformat(f"{text}-01").replace(tzinfo=CHINA)
        return start, (start + timedelta(days=32)).replace(day=1) - TICK
    if len(text) == 10:
        start = datetime.fromisoformat(text).replace(tzinfo=CHINA)
        return start, start + timedelta(days=1) - TICK
    start = datetime.fromisoformat(text)
    start = start if start.tzinfo else start.replace(tzinfo=CHINA)
    digits = len(text[20:].rstrip("Z").split("+")[0].split("-")[0]) if text[19:20] == "." else 0
    precise = timedelta(minutes=1) if text[16:17] != ":" else timedelta(seconds=1) / 10**digits
    return start, start + precise - TICK


def spans(type: str, value: Any) -> list[tuple[datetime, datetime]]:
    if type == "Period":
        low = span(value["start"])[0] if "start" in value else FIRST
        high = span(value["end"])[1] if "end" in value else LAST
        return [(low, high)] if "start" in value or "end" in value else []
    if type == "Timing":
        events = [span(each) for each in value.get("event", ())]
        return [(min(low for low, _ in events), max(high for _, high in events))] if events else []
    return [span(value)]


def bounds(value: Mapping[str, Any]) -> tuple[Decimal, Decimal] | None:
    if "value" not in value:
        return None
    number = Decimal(value["value"])
    sign = value.get("comparator", "")[:1]
    return (Decimal("-Infinity") if sign == "<" else number, Decimal("Infinity") if sign == ">" else number)


def compared(prefix: str, have: tuple[Any, Any], want: tuple[Any, Any], *, half_open: bool = False) -> bool:
    low, high = have
    start, end = want
    inside = low >= start and (high < end if half_open else high <= end)
    return bool(
        {
            "eq": inside,
            "ne": not inside,
            "gt": high > end,
            "lt": low < start,
            "ge": high > end or (low >= start and high <= end),
            "le": low < start or (low >= start and high <= end),
            "sa": low > end,
            "eb": high < start,
            "ap": low <= end and high >= start,
        }[prefix]
    )


def prefixed(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)


def asked_number(prefix: str, text: str) -> tuple[Decimal, Decimal]:
    value = Decimal(text)
    if prefix in ("gt", "lt", "ge", "le", "sa", "eb"):
        return value, value
    half = Decimal(5).scaleb(value.as_tuple().exponent - 1)  # type: ignore[operator]
    if prefix == "ap":
        half = max(half, abs(value) / 10)
    return value - half, value + half


# ------------------------------------------------------------------------------------------------ one value


def matches(kind: str, name: str, modifier: str, found: tuple[str, Any], text: str) -> bool:
    fhir, value = found
    match kind:
        case "token":
            return _token(modifier, tokens(fhir, value), value, text)
        case "string":
            return _string(name, modifier, strings(fhir, value), plain(text))
        case "date":
            prefix, rest = prefixed(text)
            return any(compared(prefix, each, span(rest)) for each in spans(fhir, value))
        case "number":
            prefix, rest = prefixed(text)
            number = Decimal(value)
            return compared(prefix, (number, number), asked_number(prefix, rest), half_open=prefix in ("eq", "ne"))
        case "quantity":
            return _quantity(value, text)
        case "uri":
            return _uri(modifier, value, plain(text))
        case "reference":
            return _reference(name, modifier, value, text)
    raise AssertionError(kind)


def _token(modifier: str, own: Iterable[tuple[str, str, str]], value: Any, text: str) -> bool:
    if modifier == "text":
        return any(each and fold(each).startswith(fold(plain(text))) for _, _, each in own)
    parts = [plain(each) for each in split(text, "|")]
    if modifier == "of-type":
        coded = value.get("type", {}).get("coding", ())
        typed = any((each.get("system"), each.get("code")) == (parts[0], parts[1]) for each in coded)
        return typed and value.get("value") == parts[2]
    if len(parts) == 1:
        return any(code == parts[0] for _, code, _ in own if code)
    system, code = parts
    return any(s == system and (not code or c == code) for s, c, _ in own if c)


def _string(name: str, modifier: str, own: list[str], text: str) -> bool:
    match modifier:
        case "exact":
            return text in own
        case "contains":
            return any(fold(text) in fold(each) for each in own)
    found = [fold(each) for each in own]
    if name in ("name", "family", "given"):
        found += [each for one in own for each in typed(name, one)]
        joined = fold(text).replace(" ", "").replace("-", "").replace("'", "")
        if (
            joined.isascii()
            and joined.isalpha()
            and any(form.startswith(joined) for one in own for form in typed(name, one))
        ):
            return True
    return any(each.startswith(fold(text)) for each in found)


def _quantity(value: Mapping[str, Any], text: str) -> bool:
    own, parts = bounds(value), [plain(each) for each in split(text, "|")]
    prefix, number = prefixed(parts[0])
    if own is None or not compared(prefix, own, asked_number(prefix, number), half_open=prefix in ("eq", "ne")):
        return False
    if len(parts) == 1:
        return True
    _, system, code = parts
    if system:
        return value.get("system") == system and (not code or (value.get("code") or value.get("unit")) == code)
    return not code or code in (value.get("code"), value.get("unit"))


def _uri(modifier: str, value: str, text: str) -> bool:
    own = {value, value.split("|")[0]}
    if modifier == "below":
        return any(each.startswith(text) for each in own)
    if modifier == "above":
        return any(each == text or text.startswith(each.rstrip("/") + "/") for each in own)
    return text in own


def _reference(name: str, modifier: str, value: Mapping[str, Any], text: str) -> bool:
    if modifier == "identifier":
        own = value.get("identifier")
        return own is not None and _token("", tokens("Identifier", own), own, text)
    target = value.get("reference", "")
    if "/" in text:
        return bool(target == text)
    kinds = (modifier,) if modifier else TARGETS.get(name, ())
    return target in {f"{kind}/{text}" for kind in kinds}


# ------------------------------------------------------------------------------------------------ clauses


class Oracle:
    """All resources there are, and the ids that a clause finds."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = list(resources)
        self.by_reference = {f"{each['resourceType']}/{each['id']}": each for each in self.resources}

    def ids(self, type: str, pairs: Iterable[tuple[str, str]]) -> set[str]:
        asked = list(pairs)
        own = [each for each in self.resources if each["resourceType"] == type]
        return {each["id"] for each in own if all(self.fulfils(each, name, value) for name, value in asked)}

    def fulfils(self, resource: Resource, name: str, value: str) -> bool:
        if name.startswith("_has:"):
            return self._has(resource, name, value)
        head, dot, rest = name.partition(".")
        base, _, modifier = head.partition(":")
        if dot:
            return self._chain(resource, base, modifier, rest, value)
        kind_of = resource["resourceType"]
        values = [each for each in split(value, ",") if each]
        if (kind_of, base) in COMPOSITES:
            return any(_pair(resource, kind_of, base, each) for each in values)
        kind, extract = TYPES[kind_of][base]
        found = extract(resource)
        if modifier == "missing":
            return (not found) == (value == "true")
        positive = "" if modifier == "not" else modifier
        hit = any(matches(kind, base, positive, one, each) for one in found for each in values)
        return not hit if modifier == "not" else hit

    def _chain(self, resource: Resource, base: str, target: str, rest: str, value: str) -> bool:
        for _, pointer in TYPES[resource["resourceType"]][base][1](resource):
            text = pointer.get("reference", "")
            inside = [each for each in resource.get("contained", ()) if text == f"#{each['id']}"]
            other = self.by_reference.get(text) or (inside[0] if inside else None)
            if other is None or (target and other["resourceType"] != target):
                continue
            head = rest.partition(".")[0].partition(":")[0]
            kind = other["resourceType"]
            known = head == "_has" or head in TYPES[kind] or (kind, head) in COMPOSITES
            if known and self.fulfils(other, rest, value):
                return True
        return False

    def _has(self, resource: Resource, name: str, value: str) -> bool:
        _, source, through, rest = name.split(":", 3)
        own = f"{resource['resourceType']}/{resource['id']}"
        return any(
            each["resourceType"] == source
            and any(pointer.get("reference") == own for _, pointer in TYPES[source][through][1](each))
            and self.fulfils(each, rest, value)
            for each in self.resources
        )

    def included(self, matched: Iterable[str], source: str, through: str) -> set[str]:
        """'Type/id' of what the matches refer to by a parameter."""
        found = set()
        for each in matched:
            resource = self.by_reference[each]
            if resource["resourceType"] == source:
                found |= {one.get("reference") for _, one in TYPES[source][through][1](resource)}
        return {each for each in found if each in self.by_reference}

    def revincluded(self, matched: Iterable[str], source: str, through: str) -> set[str]:
        own = set(matched)
        return {
            f"{source}/{each['id']}"
            for each in self.resources
            if each["resourceType"] == source
            and any(one.get("reference") in own for _, one in TYPES[source][through][1](each))
        }


def _pair(resource: Resource, type: str, name: str, text: str) -> bool:
    bases, (first_kind, first), (second_kind, second) = COMPOSITES[type, name]
    one, other = split(text, "$")
    return any(
        any(matches(first_kind, "", "", each, one) for each in first(base))
        and any(matches(second_kind, "", "", each, other) for each in second(base))
        for base in bases(resource)
    )
