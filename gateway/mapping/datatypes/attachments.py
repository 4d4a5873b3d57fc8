"""Documents inside and beside a message: ED (data), RP (pointer), texts ↔ Attachment (v2.5.1 chapter 2A).

Embedded data becomes a Binary that is named by its content (SHA-256): the same document twice is one Binary.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.fhir import bundle as bundles
from gateway.mapping.context import Context, Entry
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into
from gateway.mapping.datatypes.identifiers import ei_back, ei_into, joined
from gateway.mapping.datatypes.simple import clean
from gateway.mapping.datatypes.values import words

CODE = "urn:hutong:v2-code"  # extension of an Attachment: the code that OBX-3 gives the document
FORM = "urn:hutong:v2-form"  # extension of an Attachment: OBX-2 and the parts around the data, where they do not follow
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_SUBTYPES = {
    "pdf": "application/pdf", "html": "text/html", "rtf": "application/rtf", "jpeg": "image/jpeg", "jpg": "image/jpeg",
    "png": "image/png", "xml": "application/xml", "plain": "text/plain",
}  # fmt: skip
_KINDS = {  # HL7 0191 and MIME's own words
    "ap": "application", "application": "application", "au": "audio", "audio": "audio", "im": "image",
    "image": "image", "text": "text", "tx": "text", "ft": "text", "multipart": "multipart",
}  # fmt: skip
_UNKNOWN = "application/octet-stream"
_TEXT = "text/plain"
_CHUNK = 1 << 20  # characters of base64 that are decoded at a time: a multiple of 4


def attachment_into(raw: str, kind: str, title: str, context: Context) -> dict[str, Any] | None:
    """OBX-5 with OBX-2 and OBX-3: ED and RP by their components, anything else as a text of all repetitions."""
    match kind:
        case "RP":
            made = _pointer(raw.partition("~")[0], context)
        case "ED":
            made = _document(raw.partition("~")[0], context)
        case _:
            made = _text(raw, kind, context)
    if made is None:
        return None
    concept = cwe_into(title.partition("~")[0], context)
    if concept and "coding" in concept:
        made["extension"] = [{"url": CODE, "valueCodeableConcept": concept}, *made.get("extension", ())]
    if shown := words(title, context) or made.get("title"):
        made["title"] = shown
    return made


def _formed(made: dict[str, Any], form: str, usual: str) -> dict[str, Any]:
    return made if form == usual else {**made, "extension": [{"url": FORM, "valueString": form}]}


def _pointer(raw: str, context: Context) -> dict[str, Any] | None:
    """RP: `pointer^application^type^subtype`. A FHIR url holds no blanks."""
    pointer, _, rest = raw.rstrip("^").partition("^")
    url = clean(context.text(pointer))
    if not url or any(character.isspace() for character in url):
        return None
    application, _, subtype = (*rest.split("^", 2), "", "", "")[:3]
    known = _SUBTYPES.get(subtype.partition("^")[0].lower())
    named = clean(context.text(application.partition("&")[0]))
    made = {"url": url, **({"contentType": known} if known else {}), **({"title": named} if named else {})}
    return _formed(made, f"RP^{rest}", f"RP^{_pointer_rest(made)}") if rest.isprintable() else made


def _pointer_rest(attachment: dict[str, Any]) -> str:
    return joined("", "URL", attachment.get("contentType", "").partition("/")[2])


def _text(raw: str, kind: str, context: Context) -> dict[str, Any] | None:
    """A section of a document as plain text; repetitions are lines of their own (v2.5.1 §2.A.79)."""
    text = clean("\n".join(context.text(each.replace("^", " ")) for each in raw.split("~")))
    if not text or text == '""':
        return None
    made = {"contentType": f"{_TEXT}; charset=utf-8", "data": base64.b64encode(text.encode()).decode()}
    return _formed(made, _text_form(raw, kind), "TX")


def _text_form(raw: str, kind: str) -> str:
    """OBX-2; with OBX-5 behind it where the text alone does not tell how it was parted."""
    parted = ("^" in raw or "~" in raw) and raw.isprintable()
    return f"{kind or '-'}^{raw}" if parted else kind or "-"


# ---------------------------------------------------------------------------------------- embedded data


def _document(raw: str, context: Context) -> dict[str, Any] | None:
    """ED: `source^type^subtype^encoding^data`, the data as base64, hexadecimal or plain text (HL7 0299)."""
    source, kind, subtype, encoding, data = (*raw.split("^", 4), "", "", "", "")[:5]
    try:
        name, size, data = _encoded(encoding.upper(), data, context)
    except (binascii.Error, ValueError):
        size = 0
    if not size:
        context.note("an embedded document that cannot be read stays in the raw message only")
        return None
    type_ = _content_type(kind, subtype)
    made = {"contentType": type_, "url": _binary(name, type_, data, context), "size": size}
    form = f"ED^{source}^{kind}^{subtype}^{encoding}"
    return _formed(made, form, f"ED^{_data_head(type_)}^Base64") if form.isprintable() else made


def _encoded(encoding: str, data: str, context: Context) -> tuple[str, int, str]:
    """(SHA-256 of the document, its size, its base64). Base64 passes through as it is, read once in pieces."""
    if encoding == "BASE64":
        try:
            return *_digest(data), data
        except ValueError:  # nearly always for line breaks
            text = "".join(data.replace("\\.br\\", "").replace("\\X0D\\", "").replace("\\X0A\\", "").split())
            return *_digest(text), text
    if encoding not in ("HEX", "A", ""):
        raise ValueError("an encoding that HL7 table 0299 does not have")
    body = bytes.fromhex(data) if encoding == "HEX" else context.text(data).encode()
    return hashlib.sha256(body).hexdigest(), len(body), base64.b64encode(body).decode()


def _digest(text: str) -> tuple[str, int]:
    """(SHA-256, size) of what a base64 text holds. Raises ValueError for a text that is none."""
    if len(text) % 4:
        raise ValueError("base64 comes in fours")
    digest = hashlib.sha256()
    size = 0
    for start in range(0, len(text), _CHUNK):
        piece = binascii.a2b_base64(text[start : start + _CHUNK], strict_mode=True)
        digest.update(piece)
        size += len(piece)
        if len(piece) < _CHUNK // 4 * 3 and start + _CHUNK < len(text):
            raise ValueError("base64 goes on behind its end")
    return digest.hexdigest(), size


def _binary(name: str, type_: str, data: str, context: Context) -> str:
    """The full URL of the Binary with this content."""
    url = bundles.full_url("Binary", name)
    if url not in context.entries:
        resource = {"resourceType": "Binary", "id": name, "contentType": type_, "data": data}
        context.entries[url] = Entry(full_url=url, resource=resource, once=True, keyed=None)
    return url


def _content_type(kind: str, subtype: str) -> str:
    known = _SUBTYPES.get(subtype.lower())
    main = _KINDS.get(kind.lower())
    plain = subtype.isascii() and subtype.replace("-", "").replace(".", "").replace("+", "").isalnum()
    return known or (f"{main}/{subtype.lower()}" if main and plain else _UNKNOWN)


def _data_head(type_: str) -> str:
    kind, _, subtype = type_.partition("/")
    return joined("", *(kind, subtype) if kind else _UNKNOWN.split("/"))


# ------------------------------------------------------------------------------------------------- back


def attachment_back(value: dict[str, Any], context: Context) -> tuple[str, str, str]:
    """Attachment, together with its Binary → (OBX-5, OBX-2, OBX-3)."""
    extensions = {each["url"]: each for each in value.get("extension", ())}
    if ABSENT in extensions:
        return "", "", ""
    concept = extensions.get(CODE, {}).get("valueCodeableConcept")
    title = cwe_back(concept, context) if concept else joined("", value.get("title", "document"))
    kind, _, form = extensions.get(FORM, {}).get("valueString", "").partition("^")
    type_ = value.get("contentType", "")
    if "data" not in value:
        rest = form if kind == "RP" else _pointer_rest(value)
        return _address(value, context) and f"{_address(value, context)}^{rest}".rstrip("^"), "RP", title
    if kind == "ED" or (not kind and not type_.startswith(_TEXT)):
        head = form or f"{_data_head(type_)}^Base64"
        return f"{head}^{_decoded(head.rpartition('^')[2].upper(), value['data'])}", "ED", title
    return form or escape(base64.b64decode(value["data"]).decode("utf-8", "replace")), kind.strip("-") or "TX", title


def _address(value: dict[str, Any], context: Context) -> str:
    """The URL of a pointer; a Binary of ours that is not at hand cannot be fetched by the receiver."""
    url = value.get("url", "")
    if url.startswith(("urn:uuid:", "Binary/")):
        context.note("an attached document is not in the record; it was not written")
        return ""
    return escape(url)


def _decoded(encoding: str, data: str) -> str:
    """The data as the sender encoded it."""
    match encoding:
        case "HEX":
            return base64.b64decode(data).hex().upper()
        case "A" | "":
            return escape(base64.b64decode(data).decode("utf-8", "replace"))
    return data


# ------------------------------------------------------------------------------------- other documents


def document_into(raw: str, context: Context, status: str = "current") -> dict[str, Any] | None:
    """EI of another document → a reference to it. Of the other one only its number is known, and what became of it."""
    number = ei_into(raw, context)
    if number is None:
        return None
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "masterIdentifier": number,
        "identifier": [number],
        "status": status,
        "content": [{"attachment": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}}],
    }
    patient = next((each for each in context.entries.values() if each.resource["resourceType"] == "Patient"), None)
    if patient:
        resource["subject"] = {"reference": patient.full_url}
    return {"reference": context.make(resource, once=status == "current").full_url}


def document_back(value: dict[str, Any], context: Context, status: str = "current") -> str:
    return ei_back(value.get("masterIdentifier") or value.get("identifier") or {}, context)


PAIRS = {
    "attachment": Pair(attachment_into, attachment_back, fields=2, makes="Binary", fits=("Attachment",), whole=True),
    "document": Pair(document_into, document_back, makes="DocumentReference", fits=("Reference",)),
}
