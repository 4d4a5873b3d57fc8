"""What holds of every pair of data types: it never fails on any text, what it makes is valid FHIR, and what it wrote
back reads the same again."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fhir import bundle, validate
from gateway.mapping.codetables import pair as pair_of
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair, load
from gateway.mapping.datatypes.values import REPEATED, hinted
from gateway.mapping.paths import resolve
from gateway.mapping.syntax import Field, Line, Place, Step
from gateway.mapping.translation import transaction
from gateway.model import Resource
from gateway.store.update import same
from tests.mapping.house import context, maps

SIGNS = "0123456789^&~\\|.-+/:<>=≤±~ TZSFR\"'()（）％%*#,;aÄμ张伟娜䶮𠮷阴性阳１２３．\n\t　"
TEXT = st.text(st.one_of(st.sampled_from(SIGNS), st.characters(exclude_categories=("Cs", "Cc"))), max_size=40)
WORDS = st.sampled_from(["kind", "PI", "L", "urn:oid:1.2.3", "主诉"])
NAMES = sorted(load())
WORDED = ("own", "titled", "given", "local", "definition", "inunit")  # they need a word of the map
SUBJECT = {"subject": {"reference": "Patient/1"}, "status": "final", "code": {"text": "c"}}


def structured(value: dict[str, Any]) -> Resource:
    """A resource with an element of several parts: of a query, of the definition of a test, of a result."""
    if "code" in value:
        return {"resourceType": "Observation", **SUBJECT, "component": [value]}
    if "part" in value or "valueString" in value:
        return {"resourceType": "Parameters", "parameter": [{"name": "n", **value}]}
    if "range" in value:
        return {"resourceType": "ObservationDefinition", "code": {"text": "c"}, "qualifiedInterval": [value]}
    return {"resourceType": "Observation", **SUBJECT, "referenceRange": [value]}


def hosted(type_: str, value: Any) -> Resource:
    """A resource that holds a value of this type."""
    patient = {
        "Identifier": "identifier", "HumanName": "name", "Address": "address", "ContactPoint": "telecom",
        "Attachment": "photo", "Reference": "generalPractitioner",
    }  # fmt: skip
    single = {
        "CodeableConcept": "maritalStatus", "boolean": "active", "date": "birthDate", "dateTime": "deceasedDateTime",
        "integer": "multipleBirthInteger",
    }  # fmt: skip
    observation = {"resourceType": "Observation", **SUBJECT}
    if type_ in patient:
        return {"resourceType": "Patient", patient[type_]: [value]}
    if type_ in single:
        return {"resourceType": "Patient", single[type_]: value}
    match type_:
        case "decimal" | "Quantity":
            return {**observation, "valueQuantity": value if type_ == "Quantity" else {"value": value}}
        case "BackboneElement":
            return structured(value)
        case "instant":
            return {**observation, "issued": value}
        case (
            "code"
            | "url"
            | "Money"
            | "Timing"
            | "Duration"
            | "Period"
            | "Quantity"
            | "time"
            | "unsignedInt"
            | "positiveInt"
        ):
            return {**observation, "extension": [{"url": "urn:x", f"value{type_[0].upper()}{type_[1:]}": value}]}
        case "Coding":
            return {**observation, "meta": {"tag": [value]}}
        case "choice":
            kind, content, *extended = value
            element = {f"_value{kind}": extended[0]} if extended else {}
            return {**observation, f"value{kind}": content, **element}
    return {**observation, "note": [{"text": value}]}


def problems(type_: str, value: Any, around: Context) -> list[str]:
    """What is invalid about a value and about the resources that were made beside it."""
    made = transaction(around)
    host = bundle.entry(hosted(type_, value), "urn:uuid:1", {"method": "POST", "url": "X"})
    found = [*validate.problems(host["resource"]), *(validate.problems(made) if made.get("entry") else [])]
    return [f"{each.path}: {each.text}" for each in found]


def built(datatype: str, codes: str = "", words: tuple[str, ...] = ()) -> Pair:
    """A pair that is built for a code table or a system."""
    target = {"coding": ("Observation", "meta"), "concept": ("Patient", "maritalStatus"), "": ("Patient", "gender")}
    type_, name = target.get(datatype, ("Patient", "maritalStatus"))
    line = Line(
        place=Place("t", 1), into=True, back=True, sources=(Field(segment="PID", number=1),), codes=codes,
        target=(Step(name=name),), datatype=datatype, arguments=tuple(Field(name=word) for word in words),
    )  # fmt: skip
    return pair_of(line, resolve(type_, line, maps().library.systems), maps().library.codes, maps().library.systems)


BUILT = {
    "a code through a table": lambda: built("", "sex"),
    "coding with a table": lambda: built("coding", "encounter-class", ("v3-ActCode",)),
    "coding without": lambda: built("coding", "", ("v2-0003",)),
    "concept with a table": lambda: built("concept", "interpretation", ("v3-ObservationInterpretation",)),
    "concept without": lambda: built("concept", "", ("v2-0074",)),
    "CWE named by a table": lambda: built("CWE", "", ("admission-route",)),
}


def made_by(pair: Pair, raw: str, others: list[str], word: str, around: Context, *, worded: bool) -> Any:
    return pair.into(raw, *others[: pair.fields], around, *([word] if worded else []))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(raw=TEXT, others=st.lists(TEXT, min_size=6, max_size=6), word=WORDS)
def test_no_text_breaks_a_pair_and_all_it_makes_is_valid(name: str, raw: str, others: list[str], word: str) -> None:
    pair = load()[name]
    around = context()
    value = made_by(pair, raw, others, word, around, worded=name in WORDED)
    for each in value if pair.several else [value] if value is not None else []:
        assert problems(pair.fits[0] if pair.fits else "choice", each, around) == []


@pytest.mark.parametrize("name", BUILT)
@settings(max_examples=30, deadline=None)
@given(raw=TEXT)
def test_no_text_breaks_a_built_pair(name: str, raw: str) -> None:
    pair = BUILT[name]()
    around = context()
    value = pair.into(raw, around)
    if value is not None:
        assert problems(pair.fits[0], value, around) == []


# --------------------------------------------------------------------------------------- there and back

KINDS = ["NM", "ST", "TX", "FT", "SN", "CWE", "CE", "IS", "ID", "TS", "DT", "TM", "CQ", "SI"]
PLAIN = st.text(st.sampled_from("张伟欧阳abcXYZ019 .-·&^~|\\"), max_size=8)
ONE_WAY = {
    "definition",
    "called",
    "endpoint",
    "MSG",
    "universal",
    "birth",
    "organization",
    "national",
    "kind",
    "flag",
    "report",
    "ranges",
    "starred",
    "later",
    "recognition",
    "behind",
    "counted",
    "described",
}  # nothing goes back, or by another line


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in NAMES if each not in ONE_WAY])
@settings(max_examples=30, deadline=None)
@given(raw=TEXT, others=st.lists(PLAIN, min_size=6, max_size=6), word=WORDS)
def test_what_is_written_back_reads_the_same_again(name: str, raw: str, others: list[str], word: str) -> None:
    pair = load()[name]
    worded = name in WORDED
    words = [word] if worded else []
    if name == "switch":
        others[0] = KINDS[len(others[0]) % len(KINDS)]
    if name == "attachment":
        others = ["RP" if others[0] else "ED", "T1^标题^L"]
    if name == "repetition":
        others = [KINDS[len(others[0]) % len(KINDS)], others[1], "T1^标题^L", "a~b"]
    if name == "RFR":
        others[0] = ""  # the unit comes back by lines of its own field
    raw = raw.replace("|", "")  # the field separator stands in no field
    value = made_by(pair, raw, others, word, context(), worded=worded)
    if value is None:
        return
    around = context()
    if name == "switch":
        value = (value[0], hinted(value[1], value[2] if len(value) > 2 else None))
    written = pair.back(resolved(value, pair, made_by, raw, others, word, worded), around, *words)
    first, *rest = written if isinstance(written, tuple) else (written,)
    if name == "repetition" and rest[0] not in REPEATED:
        return  # an answer in words among coded ones: its type alone is lost
    rest = [*rest, *others[len(rest) :]] if name == "repetition" else [*rest, "", ""]
    again = pair.into(first, *rest[: pair.fields], context(), *words)
    assert same(normal(again), normal(value)), (raw, written, again, value)


def resolved(value: Any, pair: Pair, make: Any, raw: str, others: list[str], word: str, worded: bool) -> Any:
    """A Reference with what it points at, as the writer hands it over."""
    around = context()
    make(pair, raw, others, word, around, worded=worded)
    if not (pair.makes and isinstance(value, dict)):
        return value
    target = around.entries.get(value.get("reference", value.get("url", "")))
    return {**value, **target.resource} if target else value


def normal(value: Any) -> Any:
    """A code without a name takes the text of its concept as the name, also in what extends a value."""
    if isinstance(value, tuple):
        return [value[0], normal(value[1])]
    if isinstance(value, list):
        return [normal(each) for each in value]
    if not isinstance(value, dict):
        return value
    inside = {name: normal(each) for name, each in value.items()}
    if len(value.get("coding", ())) == 1 and "text" in value:
        return {**inside, "coding": [{"display": value["text"], **value["coding"][0]}]}
    return inside


OFFSETS = st.sampled_from(["", "+0800", "-0530", "+0000"])
MOMENTS = st.datetimes(datetime.datetime(1901, 1, 2), datetime.datetime(2199, 12, 30))  # noqa: DTZ001


@settings(deadline=None)
@given(moment=MOMENTS, places=st.sampled_from([4, 6, 8, 10, 12, 14]), offset=OFFSETS)
def test_times_keep_their_instant_and_their_precision(moment: datetime.datetime, places: int, offset: str) -> None:
    raw = moment.strftime("%Y%m%d%H%M%S")[:places] + (offset if places > 8 else "")
    value = load()["dtm"].into(raw, context())
    assert len(value) == {4: 4, 6: 7, 8: 10}.get(places, 25)
    again = load()["dtm"].into(load()["dtm"].back(value, context()), context())
    if places <= 8:
        assert again == value
    else:
        assert datetime.datetime.fromisoformat(again) == datetime.datetime.fromisoformat(value)
