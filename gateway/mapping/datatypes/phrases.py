"""Fields in which words and codes meet: texts that many senders code, codes of which only the words are meant."""

from __future__ import annotations

from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import alone, cwe_back, cwe_into, words_alone
from gateway.mapping.datatypes.identifiers import joined, parts
from gateway.mapping.datatypes.simple import clean


def wording_into(raw: str, context: Context) -> str | None:
    """CWE of which only the words are meant (an instruction): its text, else its code."""
    made = cwe_into(raw, context)
    return clean(made.get("text") or made["coding"][0]["code"]) if made else None


def wording_back(value: str, context: Context) -> str:
    return joined("", value)


def remark_back(value: str, context: Context) -> str:
    """The words alone: the field was a plain text before it was coded."""
    return escape(value)


def phrase_into(raw: str, context: Context) -> dict[str, Any] | None:
    """A text (ST) where many senders write a CWE: alone it is the text, whatever it looks like (AL1-5, §3.4.6.5)."""
    if raw == '""' or not alone(raw):
        return cwe_into(raw, context)
    words = parts(raw, context)[0]
    return words_alone(words, raw, context) if words else None


def phrase_back(value: dict[str, Any], context: Context) -> str:
    return cwe_back(value, context) if value.get("coding") else escape(value.get("text", ""))


PAIRS = {
    "phrase": Pair(phrase_into, phrase_back, fits=("CodeableConcept",), coded=True),
    "remark": Pair(wording_into, remark_back, fits=("string", "markdown")),
    "wording": Pair(wording_into, wording_back, fits=("string", "markdown")),
}
