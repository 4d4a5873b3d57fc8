"""Documents inside and beside a message: ED (data), RP (pointer) ↔ Attachment (v2.5.1 chapter 2A)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into
from gateway.mapping.datatypes.identifiers import joined
from gateway.mapping.datatypes.simple import clean
from gateway.mapping.datatypes.values import words

CODE = "urn:hutong:v2-code"  # extension of an Attachment: the code that OBX-3 gives the document
_SUBTYPES = {
    "pdf": "application/pdf", "html": "text/html", "rtf": "application/rtf", "jpeg": "image/jpeg", "jpg": "image/jpeg",
    "png": "image/png", "xml": "application/xml", "plain": "text/plain",
}  # fmt: skip
_KINDS = {  # HL7 0191 and MIME's own words
    "ap": "application", "application": "application", "au": "audio", "audio": "audio", "im": "image",
    "image": "image", "text": "text", "tx": "text", "ft": "text", "multipart": "multipart",
}  # fmt: skip
_UNKNOWN = "application/octet-stream"


def attachment_into(raw: str, kind: str, title: str, context: Context) -> dict[str, Any] | None:
    """OBX-5 of type ED or RP, with OBX-2 and OBX-3."""
    first, second, third, fourth, fifth = (*raw.split("^", 4), "", "", "", "")[:5]
    made = _pointer(first, second, fourth, context) if kind == "RP" else _data(second, third, fourth, fifth, context)
    if made is None:
        return None
    concept = cwe_into(title.partition("~")[0], context)
    if concept and "coding" in concept:
        made["extension"] = [{"url": CODE, "valueCodeableConcept": concept}]
    if shown := words(title, context) or made.get("title"):
        made["title"] = shown
    return made


def _pointer(pointer: str, application: str, subtype: str, context: Context) -> dict[str, Any] | None:
    """RP: `pointer^application^type^subtype`. A FHIR url holds no blanks."""
    url = clean(context.text(pointer))
    if not url or any(character.isspace() for character in url):
        return None
    known = _SUBTYPES.get(subtype.lower())
    named = clean(context.text(application))
    return {"url": url, **({"contentType": known} if known else {}), **({"title": named} if named else {})}


def _data(kind: str, subtype: str, encoding: str, data: str, context: Context) -> dict[str, Any] | None:
    """ED: `source^type^subtype^encoding^data`, the data as base64, hexadecimal or plain text (HL7 0299)."""
    text = data.replace("\\.br\\", "").replace("\\X0D\\", "").replace("\\X0A\\", "")
    body: bytes | None = None
    try:
        match encoding.upper():
            case "BASE64":
                body = base64.b64decode("".join(text.split()), validate=True)
            case "HEX":
                body = bytes.fromhex(text)
            case "A" | "":
                body = context.text(data).encode()
    except (binascii.Error, ValueError):
        body = None
    if not body:
        context.note("an embedded document that cannot be read stays in the raw message only")
        return None
    return {"contentType": _content_type(kind, subtype), "data": base64.b64encode(body).decode()}


def _content_type(kind: str, subtype: str) -> str:
    known = _SUBTYPES.get(subtype.lower())
    main = _KINDS.get(kind.lower())
    plain = subtype.isascii() and subtype.replace("-", "").replace(".", "").replace("+", "").isalnum()
    return known or (f"{main}/{subtype.lower()}" if main and plain else _UNKNOWN)


def attachment_back(value: dict[str, Any], context: Context) -> tuple[str, str, str]:
    """Attachment → (OBX-5, OBX-2, OBX-3)."""
    concept = next((each["valueCodeableConcept"] for each in value.get("extension", ()) if each["url"] == CODE), None)
    title = cwe_back(concept, context) if concept else joined("", value.get("title", "document"))
    kind, _, subtype = value.get("contentType", "").partition("/")
    if "data" in value:
        return joined("", *(kind, subtype) if kind else _UNKNOWN.split("/"), "Base64", value["data"]), "ED", title
    return joined(value.get("url", ""), "", "URL", subtype), "RP", title


PAIRS = {"attachment": Pair(attachment_into, attachment_back, fields=2, fits=("Attachment",))}
