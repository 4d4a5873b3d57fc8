"""A document in the string of a SOAP message, as the buses of hospitals take rows (SOAP 1.1 §4); xml_tree reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from gateway.codec import charset as charsets
from gateway.codec import held
from gateway.codec.soap import NAMESPACE, SOAP_11
from gateway.errors import Configuration

_ALSO: Final = {"\r": "&#13;"}


def encode(body: bytes, *, operation: str, action: str = "", charset: str = "utf-8") -> bytes:
    """`<operation><action>…</action><message>the document</message></operation>` in an envelope; without an action the
    message alone. The document is escaped, with the references in it. Raises Configuration for a name that is none."""
    if not operation.isidentifier():
        remedy = "take that of the receiver's WSDL"
        raise Configuration(f"{operation!r} names no operation", place="file.operation", remedy=remedy)
    text = charsets.decode(body, charset).text
    strings: Mapping[str, str] = {"action": action, "message": text} if action else {"message": text}
    inside = "".join(f"<{name}>{escape(each, _ALSO)}</{name}>" for name, each in strings.items())
    envelope = (
        f'<?xml version="1.0" encoding="{held.declared(charset)}"?>\n'
        f"<soap:Envelope xmlns:soap={quoteattr(SOAP_11)}><soap:Body>"
        f"<{operation} xmlns={quoteattr(NAMESPACE)}>{inside}</{operation}>"
        "</soap:Body></soap:Envelope>\n"
    )
    return held.encode(held.referred(envelope, charset, lambda point: f"&#x{point:X};"), charset)
