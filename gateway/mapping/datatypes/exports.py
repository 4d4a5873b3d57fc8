"""Cells of exports: a result with its unit, its flags, a code with its name (china.md §2.4)."""

from __future__ import annotations

import base64
import re
import unicodedata
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from gateway.codec.chinese_numbers import birth_date_of
from gateway.errors import Permanent
from gateway.mapping.context import CODE, IDENTIFIER, KEY, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.clocks import no_number, no_words, says_none
from gateway.mapping.datatypes.codes import (
    ABSENT,
    EXTENDED,
    ICD10,
    NEGATED_ALLERGY,
    SNOMED,
    CodeList,
    denied_allergies,
    icd_stem,
    local_codings,
    standard_codings,
)
from gateway.mapping.datatypes.identifiers import TYPES
from gateway.mapping.datatypes.papers import narrow, whole
from gateway.mapping.datatypes.people import human_name
from gateway.mapping.datatypes.recognition import unmarked
from gateway.mapping.datatypes.results import read, unmeasured
from gateway.mapping.datatypes.simple import clean, one_code
from gateway.mapping.datatypes.staff import STAFF
from gateway.mapping.datatypes.values import quantity_text, with_unit

_NAMES = re.compile("[;；]")
_NO_CODE = re.compile("[;；,，、\u4e00-\u9fff]")
_ROUNDED = re.compile(r"\d(?:\.\d+)?[Ee]\+\d{2}")
_NONE = frozenset({"否", "无"})
_DENIALS = ("否认", "无", "没有", "未发现", "未见", "未诉")
_NOT_KNOWN = frozenset({"不详", "未知", "不清", "不清楚"})
_LINES = ("town", "village", "house")
PART = "urn:hutong:address-part"  # which of them a line is, where one before it is empty
DIVISION = "urn:hutong:administrative-division"  # GB/T 2260


def number_into(raw: str, context: Context, system: str = "", code: str = "") -> dict[str, Any] | None:
    """A number of the sending member: `number(kind)`. A system with a colon is taken as it is."""
    value = raw if raw.isascii() and raw.isalnum() else whole(narrow(raw))
    if not value or no_number(value):
        return None
    if "+" in value and _ROUNDED.fullmatch(value):
        raise Permanent("a spreadsheet has rounded the number: it names nothing", place="row")
    uri = system if ":" in system else context.system(context.facility, kind=system)
    made: dict[str, Any] = {"system": uri, "value": value}
    return {"type": {"coding": [{"system": TYPES, "code": code}]}, **made} if code else made


def theirs_into(
    raw: str, institution: str, context: Context, system: str = "", code: str = ""
) -> dict[str, Any] | None:
    """A number of the institution whose code stands beside it, whoever sends it on: a form that another member passes
    on says nothing of that member's own patients and visits."""
    whose = narrow(institution)
    made = number_into(raw, context, system, code)
    return {**made, "system": context.system(whose, kind=system)} if made and whose else made


def theirs_back(value: dict[str, Any], context: Context, system: str = "", code: str = "") -> tuple[str, str]:
    number = given_back(value, context, system, code)
    whose = context.authority(str(value.get("system", "")))[0]
    return number, whose if number and whose != context.facility else ""


def number_back(value: dict[str, Any], context: Context, system: str = "", code: str = "") -> str:
    wanted = system if ":" in system else context.system(context.facility, kind=system)
    return str(value.get("value", "")) if value.get("system") == wanted else ""


def given_back(value: dict[str, Any], context: Context, system: str = "", code: str = "") -> str:
    """A number of a paper (order, report, tube), whoever gave it: the receiver asks for it by this number. Its own
    stands first (envelope.own_first); a patient's number at another member is never written like this."""
    found = str(value.get("system", ""))
    kind = unquote(found[len(IDENTIFIER) :].partition(":")[2]) if found.startswith(IDENTIFIER) else ""
    other = kind and ":" not in system and kind != system  # the number of a report is none of an order
    return "" if found == KEY or other else str(value.get("value", ""))


def coded_into(raw: str, name: str, context: Context, system: str = "") -> dict[str, Any] | None:
    """A code cell with the cell of its name → CodeableConcept in the sender's own code system."""
    text = raw if raw.isascii() else unicodedata.normalize("NFKC", raw)
    code, display = "" if no_words(raw) else one_code(text.strip()), "" if no_words(name) else unmarked(name)
    if not code:
        return {"text": display} if display else None
    made: dict[str, Any] = {"system": context.code_system(system or "L"), "code": code}
    if display:
        made["display"] = display
    codings = [made]
    if made["system"] in EXTENDED:
        if _NO_CODE.search(code):
            context.unread.doubt("it is not one code of its list; it was kept as a code of the sender's own")
            made["system"] = context.code_system("L")
        elif stem := icd_stem(f"{code[0].upper()}{code[1:]}"):
            codings.append({"system": ICD10, "code": stem})
    if context.profile.concepts:
        codings += standard_codings(codings, ((code, system or "L"),), f"{code}^{name}", context)
    return {"coding": codings, "text": display} if display else {"coding": codings}


def coded_back(value: dict[str, Any], context: Context, system: str = "") -> tuple[str, str]:
    wanted = context.code_system(system or "L")
    codings = [each for each in value.get("coding", ()) if each.get("code") and each.get("system") != ABSENT]
    if system:  # a column of one list holds no code of another one
        alike = {*EXTENDED, ICD10} if wanted in EXTENDED else {wanted}
        codings = [each for each in codings if each.get("system", CODE).startswith((*alike, CODE))]
    if context.profile.concepts:
        codings = local_codings(codings, context)
    chosen: dict[str, Any] = next((each for each in codings if each.get("system") == wanted), next(iter(codings), {}))
    return str(chosen.get("code", "")), str(value.get("text") or chosen.get("display", ""))


def concept_text_into(raw: str, context: Context) -> dict[str, Any] | None:
    text = cell_into(raw, context)
    return {"text": text} if text else None


def concept_text_back(value: dict[str, Any], context: Context) -> str:
    return str(value.get("text") or next((each.get("display", "") for each in value.get("coding", ())), ""))


def person_into(raw: str, context: Context) -> dict[str, Any] | None:
    """A staff member known only by name: a Reference with the name as display."""
    text = cell_into(raw, context)
    return {"display": text} if text else None


def person_back(value: dict[str, Any], context: Context) -> str:
    name = value.get("name")
    text = name[0].get("text") if isinstance(name, list) and name else name
    return str(text or value.get("display", ""))


def staff_into(raw: str, number: str, context: Context) -> dict[str, Any] | None:
    """A staff name with the cell of the staff number → a Reference to a Practitioner."""
    text = clean(raw)
    if not number.strip():
        return {"display": text} if text else None
    identifier = {"system": context.system(context.facility, kind=STAFF), "value": number.strip()}
    resource: dict[str, Any] = {"resourceType": "Practitioner", "identifier": [identifier]}
    if text:
        resource["name"] = [human_name(text, "")]
    reference = {"reference": context.make(resource, once=True).full_url}
    return {**reference, "display": text} if text else reference


def staff_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    number = next(
        (
            each.get("value", "")
            for each in value.get("identifier", ())
            if each.get("system", "").startswith(IDENTIFIER)
        ),
        "",
    )
    return person_back(value, context), number


def institution_into(raw: str, name: str, context: Context) -> dict[str, Any] | None:
    """An institution's code with the cell of its name → a Reference to an Organization."""
    code, display = raw.strip(), name.strip()
    if not code:
        return {"display": display} if display else None
    resource: dict[str, Any] = {
        "resourceType": "Organization",
        "identifier": [{"system": context.organization_system(code), "value": code}],
    }
    if display:
        resource["name"] = display
    reference = {"reference": context.make(resource, once=True).full_url}
    return {**reference, "display": display} if display else reference


def institution_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    code = next((each.get("value", "") for each in value.get("identifier", ())), "")
    return str(code), str(value.get("display") or value.get("name", ""))


def birth_into(raw: str, context: Context) -> str | None:
    """The birth date that a valid 居民身份证 carries (GB 11643); from nothing else, an age least of all."""
    return birth_date_of(narrow(raw).removesuffix(".0")) or None


def birth_back(value: str, context: Context) -> str:
    return ""


def titled_into(raw: str, context: Context, title: str = "") -> str | None:
    """A text with its heading, where several fields become notes of one resource."""
    text = clean(raw)
    return f"{title}：{text}" if text else None


def titled_back(value: str, context: Context, title: str = "") -> str:
    head = f"{title}："
    return value[len(head) :] if value.startswith(head) else ""


def cell_into(raw: str, context: Context) -> str | None:
    """The text; a dash or NULL is none."""
    return None if len(raw) < 7 and no_words(raw) else clean(raw)


def cell_back(value: str, context: Context) -> str:
    return str(value)


def history_into(raw: str, context: Context) -> dict[str, Any] | None:
    """A cell of the allergies of a person: that there are none is said with its code, that nobody knows is nothing, and
    anything else is what the person does not bear (china.md §3)."""
    text = clean(raw)
    if not text or text in _NOT_KNOWN or (says_none(text) and text not in _NONE):
        return None
    code = denied_allergies(text)
    if not code and text.startswith(_DENIALS):
        context.unread.doubt("it denies something in words that only a person can read; it was left out")
        return None
    if code:
        return {"coding": [{"system": SNOMED, "code": code, "display": NEGATED_ALLERGY[code]}], "text": text}
    return {"text": text}


def in_unit_into(raw: str, context: Context, unit: str = "", low: str = "", high: str = "") -> dict[str, Any] | None:
    """A number in a unit that its column tells; the cell may say it too. Beyond `low` and `high` it is no measurement:
    a 0 where nothing was measured, a point that was lost; what is none is said to be unknown (R4 vs-2)."""
    found = read(raw, "")
    if found.amount is None or found.amount.get("code", unit) != unit:
        context.unread.doubt("no Quantity; it was left out")
        return unmeasured()
    if (low and found.amount["value"] < Decimal(low)) or (high and found.amount["value"] > Decimal(high)):
        context.unread.doubt("no living person has such a value; it was left out")
        return unmeasured()
    if found.marks:
        context.unread.doubt("the mark beside the number was left out")
    return with_unit({name: found.amount[name] for name in ("value", "comparator") if name in found.amount}, unit)


def in_unit_back(value: dict[str, Any], context: Context, unit: str = "", low: str = "", high: str = "") -> str:
    return quantity_text(value, context) if value.get("code", value.get("unit", "")) == unit else ""


def listed_pair(found: CodeList) -> Pair:
    """A code of a list: with its name, and with what the list says that it means in another system."""
    system = found.system or f"{CODE}{found.table}"

    def into(raw: str, context: Context) -> dict[str, Any] | None:
        code = clean(raw)
        if not code:
            return None
        if code not in found.names or found.names[code] == code:  # the name may stand there
            code = found.codes.get(code, code)
        name = found.names.get(code) or found.names.get(code.removesuffix(".0"))
        if name is None:
            context.unknown.append((found.table, code))
            context.unread.doubt(f"a code that the list {found.table} does not know; it was kept as text")
            return {"text": code}
        code = found.codes.get(name, code)  # another spelling of it (畲 of 22) is none of the list's own
        codings = [{"system": system, "code": code, "display": name}]
        if meant := found.meanings.get(code):
            codings.append({"system": found.meant, "code": meant})
        return {"coding": codings, "text": name}

    def back(value: dict[str, Any], context: Context) -> str:
        codes = (each.get("code", "") for each in value.get("coding", ()) if each.get("system") == system)
        return str(next(codes, value.get("text", "")))

    return Pair(into, back, fits=("CodeableConcept",))


def address_into(
    state: str, city: str, county: str, town: str, village: str, house: str, division: str, context: Context
) -> dict[str, Any] | None:
    """The six elements of a Chinese address (WS/T 500) and the code of its division (GB/T 2260), which is no postal
    code."""
    told = {name: text for name, each in zip(_LINES, (town, village, house), strict=True) if (text := clean(each))}
    lines = list(told.values())
    named = {"state": clean(state), "city": clean(city), "district": clean(county)}
    made: dict[str, Any] = {name: text for name, text in named.items() if text}
    if lines:
        made["line"] = lines
    if tuple(told) != _LINES[: len(told)]:  # a line before it is empty: each says which it is
        made["_line"] = [{"extension": [{"url": PART, "valueCode": name}]} for name in told]
    if not made:
        return None
    made["text"] = "".join((*(made[name] for name in named if name in made), *lines))
    if code := clean(division):
        made["extension"] = [{"url": DIVISION, "valueCode": code}]
    return made


def address_back(value: dict[str, Any], context: Context) -> tuple[str, ...]:
    lines = _lines_of(value)
    told = (each.get("valueCode", "") for each in value.get("extension", ()) if each.get("url") == DIVISION)
    return value.get("state", ""), value.get("city", ""), value.get("district", ""), *lines, next(told, "")


def _lines_of(value: dict[str, Any]) -> tuple[str, ...]:
    """Town, village and house; lines that do not say which they are stand in this order."""
    written = [*value.get("line", ())]
    beside = [*value.get("_line", ()), *[None] * len(written)]
    parts = [_code_of(each, PART) for each in beside[: len(written)]]
    if any(parts):
        return tuple(
            next((text for text, part in zip(written, parts, strict=True) if part == name), "") for name in _LINES
        )
    return (*written, "", "", "")[:3]


def _code_of(element: dict[str, Any] | None, url: str) -> str:
    return next(
        (str(each.get("valueCode", "")) for each in (element or {}).get("extension", ()) if each["url"] == url), ""
    )


def followed_into(raw: str, other: str, context: Context, sign: str = " ") -> str | None:
    """Two cells that are one text: `林海@青岚县人民医院`, `已接收：床位已留`."""
    first, second = clean(raw) or "", clean(other)
    if not sign.isspace():
        first = first.replace(sign, sign * 2)
    return f"{first}{sign}{second}" if second else first or None


def followed_back(value: str, context: Context, sign: str = " ") -> tuple[str, str]:
    single = f"(?<!{re.escape(sign)}){re.escape(sign)}(?!{re.escape(sign)})"
    first, *second = re.split(single, str(value), maxsplit=1)
    return first.replace(sign * 2, sign), "".join(second)


def behind_into(raw: str, context: Context, sign: str = " ") -> str | None:
    """The second of two such cells, where the first is empty; `followed` writes it."""
    text = clean(raw)
    return f"{sign}{text}" if text else None


def behind_back(value: str, context: Context, sign: str = " ") -> str:
    return ""


def base64_into(raw: str, context: Context) -> str | None:
    """A document in a cell; what is none is told and left out."""
    text = "".join(raw.split())
    if not text:
        return None
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        context.note("a document that is no base64 was left out")
        return None
    return text


def diagnosis_into(raw: str, names: str, context: Context, system: str = "") -> dict[str, Any] | None:
    """A code with a cell of names, of which it is that of the first: `肺炎;高血压病`."""
    return coded_into(raw, _NAMES.split(names, maxsplit=1)[0], context, system)


def others_into(raw: str, context: Context) -> str | None:
    """The names behind the first."""
    return ";".join(filter(None, map(clean, _NAMES.split(raw)[1:]))) or None


PAIRS = {
    "diagnosis": Pair(diagnosis_into, coded_back, fields=1, fits=("CodeableConcept",)),
    "others": Pair(others_into, cell_back, fits=("string", "markdown"), joins="{};{}".format),
    "base64": Pair(base64_into, cell_back, fits=("base64Binary",)),
    "followed": Pair(followed_into, followed_back, fields=1, fits=("string", "markdown")),
    "behind": Pair(behind_into, behind_back, fits=("string", "markdown")),
    "residence": Pair(address_into, address_back, fields=6, fits=("Address",)),
    "allergyhistory": Pair(history_into, concept_text_back, fits=("CodeableConcept",), joins="{}、{}".format),
    "inunit": Pair(in_unit_into, in_unit_back, fits=("Quantity",)),
    "cell": Pair(cell_into, cell_back, fits=("string", "markdown", "uri", "url", "code", "id")),
    "own": Pair(number_into, number_back, fits=("Identifier",)),
    "theirs": Pair(theirs_into, theirs_back, fields=1, fits=("Identifier",)),
    "given": Pair(number_into, given_back, fits=("Identifier",)),
    "coded": Pair(coded_into, coded_back, fields=1, fits=("CodeableConcept",), coded=True),
    "words": Pair(concept_text_into, concept_text_back, fits=("CodeableConcept",)),
    "person": Pair(person_into, person_back, fits=("Reference",)),
    "staff": Pair(staff_into, staff_back, fields=1, makes="Practitioner", fits=("Reference",)),
    "institution": Pair(institution_into, institution_back, fields=1, makes="Organization", fits=("Reference",)),
    "birth": Pair(birth_into, birth_back, fits=("date",)),
    "titled": Pair(titled_into, titled_back, fits=("string", "markdown")),
}
