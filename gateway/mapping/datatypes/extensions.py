"""What names, addresses and phones say beyond the elements of their FHIR types: HL7's standard extensions, and how
long they hold (R4 extensibility-registry.html; V2-to-FHIR guide, data type maps)."""

from __future__ import annotations

from typing import Any

from gateway.fhir.shapes import valid_as
from gateway.mapping.context import Context
from gateway.mapping.datatypes.simple import fhir_time, time_back

STANDARD = "http://hl7.org/fhir/StructureDefinition/"
FAMILY = tuple(f"{STANDARD}humanname-{name}" for name in ("own-prefix", "own-name", "partner-prefix", "partner-name"))
ASSEMBLY = f"{STANDARD}humanname-assembly-order"
ADDRESS_USE = f"{STANDARD}iso21090-AD-use"
CENSUS_TRACT = f"{STANDARD}iso21090-ADXP-censusTract"
CARE_OF = f"{STANDARD}iso21090-ADXP-careOf"
PHONE_PARTS = tuple(f"{STANDARD}contactpoint-{name}" for name in ("country", "area", "local", "extension"))


def strings(urls: tuple[str, ...], texts: tuple[str, ...]) -> list[dict[str, Any]]:
    """An extension with a text for each of these that says something."""
    return [{"url": url, "valueString": text} for url, text in zip(urls, texts, strict=True) if text]


def said(value: dict[str, Any], *urls: str) -> tuple[str, ...]:
    """The texts or codes of these extensions; "" for each that is not there."""
    extensions = value.get("extension")
    if not extensions:
        return ("",) * len(urls)
    found = {each.get("url"): each.get("valueString") or each.get("valueCode", "") for each in extensions}
    return tuple([str(found.get(url, "")) for url in urls])


def period(span: str, start: str, end: str, context: Context) -> dict[str, Any]:
    """Period of two times, or of a DR `from&to` where neither is said."""
    if not start and not end:
        start, _, end = span.partition("&")
    texts = (("start", start), ("end", end))
    made = {name: moment for name, text in texts if text and (moment := fhir_time(text, context.zone))}
    return {"period": made} if made and valid_as("Period", made) else {}


def ends(value: dict[str, Any], context: Context) -> tuple[str, str]:
    """(start, end) of the period of a value."""
    found = value.get("period")
    if not found:
        return "", ""
    start, end = (time_back(found[name], context) if name in found else "" for name in ("start", "end"))
    return start, end
