"""What master files hold (v2.5.1 chapter 8): their keys, units of an institution, flags, reference ranges (RFR)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into
from gateway.mapping.datatypes.identifiers import joined, parts
from gateway.mapping.datatypes.places import pl_back, pl_into
from gateway.mapping.datatypes.simple import clean, number, number_back

UNIT = "unit"
ABILITY = "urn:hutong:language-ability"
PROFICIENCY = "urn:hutong:language-proficiency"
_GENDERS = {"M": "male", "F": "female", "O": "other", "U": "unknown"}
_SEXES = {gender: sex for sex, gender in _GENDERS.items()}


def local_into(raw: str, context: Context, kind: str) -> dict[str, Any] | None:
    """A bare number, the first component, in the sender's own numbering of this kind."""
    value = parts(raw, context)[0]
    return {"system": context.system("", kind=kind), "value": value} if value and value != '""' else None


def local_back(value: dict[str, Any], context: Context, kind: str) -> str:
    return escape(value.get("value", "")) if value.get("system", "").endswith(f":{quote(kind, safe='')}") else ""


def place_number_into(raw: str, context: Context) -> dict[str, Any] | None:
    """PL → the identifier by which a Location is found wherever a message names this place."""
    aside = Context(profile=context.profile, facility=context.facility, charset=context.charset)
    made = pl_into(raw, aside)
    entry = aside.entries.get(made.get("reference", "")) if made else None
    found: dict[str, Any] | None = entry.resource["identifier"][0] if entry else None
    return found


def place_number_back(value: dict[str, Any], context: Context) -> str:
    return pl_back({"identifier": [value]}, context)


def unit_into(raw: str, context: Context) -> dict[str, Any] | None:
    """CWE of a department → Reference(Organization), by its code in the sender's own numbering."""
    code, name = parts(raw, context, 2)
    display = {"display": name} if name else {}
    if not code or code == '""':
        return display or None
    resource: dict[str, Any] = {
        "resourceType": "Organization",
        "identifier": [{"system": context.system("", kind=UNIT), "value": code}],
    }
    if name:
        resource["name"] = name
    return {"reference": context.make(resource, once=True).full_url, **display}


def unit_back(value: dict[str, Any], context: Context) -> str:
    identifier: dict[str, Any] = next(iter(value.get("identifier", ())), {})
    return joined(identifier.get("value", ""), value.get("name") or value.get("display", ""))


def active_into(raw: str, context: Context) -> bool | None:
    """HL7 0183: A and I; senders write Y and N as well."""
    return {"A": True, "I": False, "Y": True, "N": False}.get(raw.strip().upper())


def active_back(value: object, context: Context) -> str:
    return "A" if value else "I"


def event_into(raw: str, context: Context) -> bool | None:
    """MFE-1, HL7 0180: deleted and deactivated records stay, and are not active; MAC makes one active again."""
    return {"MDL": False, "MDC": False, "MAC": True}.get(raw.strip().upper())


def event_back(value: object, context: Context) -> str:
    return "MUP" if value else "MDC"


def range_into(raw: str, units: str, context: Context) -> dict[str, Any] | None:
    """RFR `low&high^sex^age low&high^gestation^species^race^condition` → ObservationDefinition.qualifiedInterval."""
    between, sex, age, _, _, _, condition = parts(raw, context, 7)
    unit = parts(units, context)[0]
    found = _between(between, unit)
    if not found:
        return None
    made: dict[str, Any] = {"range": found}
    if sex in _GENDERS:
        made["gender"] = _GENDERS[sex]
    if years := _between(age, ""):
        made["age"] = {name: {**each, "unit": "a"} for name, each in years.items()}
    if condition:
        made["condition"] = condition
    return made


def _between(text: str, unit: str) -> dict[str, Any]:
    """Range of `low&high`; `3.5-5.5`, as many senders write it, is the same."""
    low, sign, high = text.partition("&")
    if not sign:
        low, _, high = text.partition("-")
    made = {name: number(each.strip()) for name, each in (("low", low), ("high", high))}
    return {
        name: {"value": value, **({"unit": unit} if unit else {})} for name, value in made.items() if value is not None
    }


def range_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    sides = [_written(value.get(name, {}), context) for name in ("range", "age")]
    text = [sides[0], _SEXES.get(value.get("gender", ""), ""), sides[1], "", "", "", escape(value.get("condition", ""))]
    return "^".join(text).rstrip("^"), ""  # the unit stands in its own field: OM2-2 has lines for it


def _written(value: dict[str, Any], context: Context) -> str:
    sides = [value.get(name, {}).get("value") for name in ("low", "high")]
    return "&".join("" if each is None else number_back(each, context) for each in sides).rstrip("&")


def definition_into(raw: str, context: Context, kind: str) -> str | None:
    """The URI by which a definition of the sender's own is known (R4 canonical resources have one)."""
    value = parts(raw, context)[0]
    return f"{context.system('', kind=kind)}:{quote(value, safe='')}" if value and value != '""' else None


def definition_back(value: str, context: Context, kind: str) -> str:
    return ""


def spoken_into(raw: str, abilities: str, proficiency: str, context: Context) -> dict[str, Any] | None:
    """A language (LAN-2) with what somebody does in it (LAN-3, repeated) and how well (LAN-4) → CodeableConcept."""
    made = cwe_into(raw, context)
    told = [(ABILITY, each) for each in abilities.split("~")] + [(PROFICIENCY, proficiency)]
    more = [{"url": url, "valueCodeableConcept": found} for url, each in told if (found := cwe_into(each, context))]
    return {**made, "extension": more} if made and more else made


def spoken_back(value: dict[str, Any], context: Context) -> tuple[str, str, str]:
    told: dict[str, list[str]] = {ABILITY: [], PROFICIENCY: []}
    for each in value.get("extension", ()):
        if each.get("url") in told and "valueCodeableConcept" in each:
            told[each["url"]].append(cwe_back(each["valueCodeableConcept"], context))
    return cwe_back(value, context), "~".join(told[ABILITY]), "".join(told[PROFICIENCY][:1])


def specialty_into(raw: str, context: Context) -> dict[str, Any] | None:
    """SPD `name^board^certified^date` → CodeableConcept: the name; the rest is kept in the sender's wording."""
    name = clean(parts(raw, context)[0])
    return {"text": name} if name and name != '""' else None


def specialty_back(value: dict[str, Any], context: Context) -> str:
    return escape(value.get("text") or next((each.get("display", "") for each in value.get("coding", ())), ""))


def email_into(raw: str, context: Context) -> dict[str, Any] | None:
    """An address as bare text → ContactPoint."""
    value = clean(context.text(raw))
    return {"system": "email", "value": value} if value and value != '""' else None


def email_back(value: dict[str, Any], context: Context) -> str:
    return escape(value.get("value", "")) if value.get("system") == "email" else ""


PAIRS = {
    "definition": Pair(definition_into, definition_back, fits=("uri",)),
    "spoken": Pair(spoken_into, spoken_back, fields=2, fits=("CodeableConcept",)),
    "specialty": Pair(specialty_into, specialty_back, fits=("CodeableConcept",)),
    "email": Pair(email_into, email_back, fits=("ContactPoint",)),
    "local": Pair(local_into, local_back, fits=("Identifier",)),
    "placenumber": Pair(place_number_into, place_number_back, fits=("Identifier",)),
    "unit": Pair(unit_into, unit_back, makes="Organization", fits=("Reference",)),
    "active": Pair(active_into, active_back, fits=("boolean",)),
    "recordevent": Pair(event_into, event_back, fits=("boolean",)),
    "RFR": Pair(range_into, range_back, fields=1, fits=("BackboneElement",)),
}
