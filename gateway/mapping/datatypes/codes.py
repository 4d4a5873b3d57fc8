"""Coded values: CWE, CE, CNE, CF, IS, ID ↔ CodeableConcept, Coding, code (v2.5.1 chapter 2A; R4 datatypes.html)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway.codec.character_forms import simplified
from gateway.codec.hl7v2_escape import escape
from gateway.fhir import v2tables
from gateway.mapping.context import CODE, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.identifiers import joined, parts
from gateway.mapping.datatypes.simple import one_code
from gateway.mapping.wording import sent

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD10_CN = "urn:oid:2.16.156.10011.2.3.3.11"  # ICD-10 national clinical edition (国家临床版)
ICD10_YB = "urn:hutong:code:ICD-10-YB"  # ICD-10 of the medical insurance (医保版); nobody gave it an OID
EXTENDED = frozenset({ICD10_CN, ICD10_YB})  # both rival national sets extend the WHO stem: I10.x00x002, E11.900
# A denial is not an allergy to a substance of that name (china.md §3: three outcomes, never mixed); 无青霉素过敏 is
# none: it says nothing of other substances.
NEGATED_ALLERGY = {"409137002": "No known drug allergy", "716186003": "No known allergy"}
_DENIED = re.compile(
    r"(?:否|(?:否认|无|没有|未发现|未见|未诉)(?:明确|明显|已知|特殊|有)?的?"
    r"(?P<of>(?:药物|药品|食物|食品|药|及|与|和|或|、|其[他它]|任何|等)*)(?:过敏史|过敏反应|过敏|异常|史)?)[。.]?"
    r"|(?P<drugs>nkda|no known drug allerg\w*)\.?|(?:nka|no known allerg\w*)\.?",
    re.IGNORECASE,
)
_LONGEST_DENIAL = 60  # characters
NOTHING = "-"  # a table's word for "nothing to say in this system"
ASIDE = "!"  # and for "only a person can say": the record is set aside
_NAME_LIMIT = 40
_NUMBER_IN_NAME = re.compile(r"\d{5}")  # a name with a long number may be a person's
_IDEOGRAPH = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_STEM = re.compile(r"([A-Z]\d\d)(?:\.(\d))?")


def loinc_valid(code: str) -> bool:
    """The check digit (mod 10, LOINC Users' Guide appendix): `1037^检查所见^LN` is not LOINC."""
    number, _, digit = code.partition("-")
    if not code.isascii() or not number.isdecimal() or len(digit) != 1 or not digit.isdecimal():
        return False
    doubled = str(int(number[::-2]) * 2)  # every second digit from the right, beginning with the last
    total = sum(map(int, doubled)) + sum(map(int, number[-2::-2]))
    return (10 - total % 10) % 10 == int(digit)


def coding(code: str, display: str, system: str, context: Context, version: str = "") -> list[dict[str, Any]]:
    """The Coding, and with it the WHO stem where it is a Chinese ICD-10 code. None without code."""
    code = one_code(code)
    if not code:
        return []
    made: dict[str, Any] = {}
    if system:
        uri = context.code_system(system)
        if (uri == LOINC and not loinc_valid(code)) or not v2tables.known(uri, code):
            uri = context.own_code_system(system)
        made["system"] = uri
        if version:
            made["version"] = version
    made["code"] = code
    if display:
        made["display"] = display
    stem = icd_stem(code) if made.get("system") in EXTENDED else ""
    return [made, {"system": ICD10, "code": stem}] if stem else [made]


def icd_stem(code: str) -> str:
    """The WHO code behind a Chinese extension: I10.x00x002 → I10, I21.001 → I21.0."""
    found = _STEM.match(code)
    return "" if not found else f"{found[1]}.{found[2]}" if found[2] else found[1]


def no_code(text: str) -> bool:
    """Are these words, where nothing names a code system? What has ideographs (慢性胃炎), or more than single blanks
    inside (R4 datatypes.html#code)."""
    return bool(_IDEOGRAPH.search(text)) if not text.isascii() else "  " in text


def alone(raw: str) -> bool:
    """Has a value no more than its first component?"""
    return "^" not in raw.rstrip("^")


def cwe_into(raw: str, context: Context) -> dict[str, Any] | None:
    """CWE → CodeableConcept: all codings and the original text; what the sender wrote is never replaced. Words that
    stand alone in the place of the code are the text."""
    code, text, system, alternate, alternate_text, alternate_system, *rest = parts(raw, context, 9)
    if code == '""':
        return None
    if code and no_code(code) and alone(raw):
        return words_alone(code, raw, context)
    version, alternate_version, original = rest
    codings = coding(code, text, system, context, version)
    codings += coding(alternate, alternate_text, alternate_system, context, alternate_version)
    if raw.count("^") > 8:
        third, third_text, third_system, third_version = parts(raw, context, 13)[9:]
        codings += coding(third, third_text, third_system, context, third_version)
    if context.profile.concepts:
        codings += standard_codings(codings, ((code, system), (alternate, alternate_system)), raw, context)
    made: dict[str, Any] = {"coding": codings} if codings else {}
    words = original or text or (alternate_text if not code else "")
    if words:
        made["text"] = words
    return made or None


def words_alone(words: str, raw: str, context: Context) -> dict[str, Any]:
    """Words, with the codings that the member's own lists give them."""
    codings = standard_codings([], ((words, ""),), raw, context) if context.profile.concepts else []
    return {"coding": codings, "text": words} if codings else {"text": words}


def standard_codings(
    codings: list[dict[str, Any]], written: tuple[tuple[str, str], ...], raw: str, context: Context
) -> list[dict[str, Any]]:
    """What the member's own lists make of its codes: added, never in place of what it wrote."""
    made: list[dict[str, Any]] = []
    for code, name in written:
        concepts = context.profile.concepts
        listed = concepts.get(name.upper())
        found = (listed or {}).get(code) or concepts.get("*", {}).get(code)
        if not code or (found is None and (listed is None or not name)):
            continue
        if found is None or (name.upper(), code) in context.hidden:
            told_unknown(name.upper(), code, raw, context)
            continue
        coded = {"system": context.code_system(found.system), "code": found.code}
        if not any(each.get("system") == coded["system"] for each in (*codings, *made)):
            made.append({**coded, "display": found.display} if found.display else coded)
    return made


def local_codings(codings: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
    """The receiver's own code by its lists, before the standard one; a standard one that its own code implies goes."""
    made = list(codings)
    for each in codings:
        for name, code, words in context.local_concepts.get((each.get("system", ""), each["code"]), ()):
            system = context.code_system(name) if name else ""
            same = [other for other in codings if other["code"] == code and other.get("system", "") == system]
            if not same:
                local = {"system": system, "code": code, "display": words}
                made.insert(0, {key: value for key, value in local.items() if value})
            elif each in made:
                made.remove(each)
            break
    return made


def cwe_back(value: dict[str, Any], context: Context) -> str:
    text = value.get("text", "")
    codings = [each for each in value.get("coding", ()) if each.get("code")]
    if context.profile.concepts:
        codings = local_codings(codings, context)
    chosen = _preferred(codings, context)[:3]
    if not chosen:
        return joined("", text)
    written = [""] * 13  # code, text, system; the same alternate; both versions; original text; the same once more
    for each, (place, version) in zip(chosen, ((0, 6), (3, 7), (9, 12)), strict=False):
        name = context.code_system_name(each["system"]) if each.get("system") else ""
        written[place : place + 3] = each["code"], each.get("display", ""), name
        written[version] = each.get("version", "")
    if not written[1] and len(chosen) == 1:
        written[1] = text
    if text != written[1]:
        written[8] = text
    return joined(*written)


def _preferred(codings: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
    """Derived stems and stated absence are not written; the receiver's own code system comes first."""
    chinese = any(each.get("system") in EXTENDED for each in codings)
    kept = [each for each in codings if not (chinese and each.get("system") == ICD10) and each.get("system") != ABSENT]
    own = tuple(f"{CODE}{quote(authority, safe='')}:" for authority in context.own)
    return sorted(kept, key=lambda each: not each.get("system", "").startswith(own)) if own else kept


def mapped_code(raw: str, context: Context, table: str, into: dict[str, str]) -> str | None:
    """One code through a table: a member's own codes, the table, its default; None where nothing knows it."""
    written = context.text(raw.partition("^")[0].partition("&")[0]).strip()
    if not written and raw.count("^") > 2:  # only the alternate code is told
        written = parts(raw, context, 4)[3].partition("&")[0]
    if not written:
        return None
    code = context.local_code(table, written)
    found = into.get(code) or into.get(code.upper())
    found = found or into.get(simplified(unicodedata.normalize("NFKC", code)).removesuffix(".0"))  # 1.0, as programs do
    if found is None or (table, written) in context.hidden:
        default = into.get("*")
        if default != NOTHING:  # a table that says nothing of all other codes has said so on purpose
            told_unknown(table, written, raw, context)
        found = default
    return found


def told_unknown(table: str, code: str, raw: str, context: Context) -> None:
    """A code that no table knows is carried, counted and told; its name goes with it where it surely is one."""
    name = context.text(raw.partition("~")[0].partition("^")[2].partition("^")[0]).strip()
    context.unknown.append((table, code))
    context.unread.doubt(f"a code that the table {table} does not know")
    if name and len(name) <= _NAME_LIMIT and not _NUMBER_IN_NAME.search(name):
        context.words[table, code] = name
    context.note(f"code table {table}: a code that it does not know")


def code_pair(name: str, into: dict[str, str], back: dict[str, str]) -> Pair:
    """A `code` element through a table."""

    def code_into(raw: str, context: Context) -> str | None:
        code = mapped_code(raw, context, name, into)
        return code if _says(code, name, context) else None

    def code_back(value: str, context: Context) -> str:
        return escape(context.own_code(name, back.get(value) or back.get("*", "")))  # an unknown one is not written

    return Pair(code_into, code_back, fits=("code", "string", "uri"), coded=True)


def _says(code: str | None, name: str, context: Context) -> bool:
    """Does a table make something of a cell? What only a person can read sets the record aside."""
    if code == ASIDE:
        context.unread.refuse(f"a mark that the table {name} does not know: only a person can say whether it holds")
    return code not in (NOTHING, ASIDE)


@dataclass(frozen=True, slots=True)
class CodeList:
    """A list of codes with their names, and what they mean in another system; "" for a system that nobody names."""

    table: str
    names: dict[str, str]
    codes: dict[str, str]  # name → the list's own code
    system: str = ""
    meanings: dict[str, str] = field(default_factory=dict)
    meant: str = ""  # the system of the meanings

    def added(self, written: str, context: Context) -> list[dict[str, Any]]:
        """The codings that follow from a written code: the list's own, and what it means elsewhere."""
        name = self.names.get(context.local_code(self.table, written), "")
        if not name or not self.system:
            return []
        code = self.codes.get(name, written)
        made = [{"system": self.system, "code": code, "display": name}]
        if code in self.meanings:
            made.append({"system": self.meant, "code": self.meanings[code]})
        return made


def listed_pair(listed: CodeList) -> Pair:
    """A CWE whose bare codes get their names from a list (admission routes of the Chinese record, GB/T 2261.2)."""

    def listed_into(raw: str, context: Context) -> dict[str, Any] | None:
        made = cwe_into(raw, context)
        if made and "coding" not in made and listed.names.get(context.local_code(listed.table, made["text"])):
            made = {"coding": [{"code": made["text"]}]}  # words of the list are the sender's own code
        if made is None or "coding" not in made:
            return made
        first = made["coding"][0]
        named = first.get("system", "")
        if listed.system and named != listed.system and (named or context.country != "CHN"):
            return made
        name = listed.names.get(context.local_code(listed.table, first["code"]), "")
        if name:
            there = {each.get("system") for each in made["coding"]}
            made["coding"] += [each for each in listed.added(first["code"], context) if each["system"] not in there]
            made.setdefault("text", name)
        elif listed.system:
            told_unknown(listed.table, first["code"], raw, context)
        return made

    def listed_back(value: dict[str, Any], context: Context) -> str:
        codings = [each for each in value.get("coding", ()) if each.get("code")]
        written = codings[0]["code"] if codings else ""
        follows = listed.added(written, context)
        kept = [codings[0], *(each for each in codings[1:] if each not in follows)] if codings else []
        name = listed.names.get(context.local_code(listed.table, written), "")
        if kept and name and name == value.get("text") and "display" not in kept[0]:
            value = {key: each for key, each in value.items() if key != "text"}
        return cwe_back({**value, "coding": kept}, context)

    return Pair(listed_into, listed_back, fits=("CodeableConcept",), coded=True)


def coding_pair(name: str, system: str, into: dict[str, str] | None, back: dict[str, str]) -> Pair:
    """A `Coding` in one system; a code that the table does not know stays the sender's own."""

    def coding_into(raw: str, context: Context) -> dict[str, Any] | None:
        code = mapped_code(raw, context, name, into) if into is not None else one_code(parts(raw, context)[0]) or None
        if code is not None and v2tables.known(system, code):
            version = parts(raw, context, 7)[6] if into is None and raw.count("^") > 5 else ""
            return {"system": system, **({"version": version} if version else {}), "code": code}
        own, display, named, *_, version = parts(raw, context, 7)
        found = coding(own, display, named or context.own_code_system(system.rpartition("/")[2]), context, version)
        return found[0] if found else None

    def coding_back(value: dict[str, Any], context: Context) -> str:
        code = str(value.get("code", ""))
        return escape(back.get(code, code))

    return Pair(coding_into, coding_back, fits=("Coding",), coded=True)


def system_pair(system: str) -> Pair:
    """A `CodeableConcept` whose first code is one of a system; what the sender says besides stays beside it."""
    short = system.rpartition("/")[2]

    def concept_into(raw: str, context: Context) -> dict[str, Any] | None:
        code, text, named = map(one_code, parts(raw, context, 3))
        other = context.code_system(named) if named else system
        if other != system and not other.startswith(CODE) and v2tables.known(other, code):
            return cwe_into(raw, context)  # another standard one, as the sender says
        if no_code(code) and alone(raw):
            return cwe_into(raw, context)
        uri = system if v2tables.known(system, code) else context.own_code_system(short)
        made: dict[str, Any] = {"coding": [{"system": uri, "code": code}]} if code else {}
        if raw.count("^") > 1 and made and (whole := cwe_into(raw, context)):
            return {**whole, "coding": [{**whole["coding"][0], **made["coding"][0]}, *whole["coding"][1:]]}
        return ({**made, "text": text} if text else made) or None

    def concept_back(value: dict[str, Any], context: Context) -> str:
        for each in value.get("coding", ()):
            own = each.get("system", "").startswith(CODE) and each["system"].endswith(f":{short}")
            if (each.get("system") == system or own) and each.get("code"):
                bare = len(value["coding"]) == 1 and "display" not in each and "version" not in each
                return joined(each["code"], value.get("text", "")) if bare else cwe_back(value, context)
        return cwe_back(value, context) if sent(value) else ""

    return Pair(concept_into, concept_back, fits=("CodeableConcept",), coded=True)


def concept_pair(name: str, system: str, into: dict[str, str], back: dict[str, str]) -> Pair:
    """A `CodeableConcept` with one coding in one system, by a table."""

    def concept_into(raw: str, context: Context) -> dict[str, Any] | None:
        code = mapped_code(raw, context, name, into) or into.get("*", "")
        made = {"coding": [{"system": system, "code": code}]} if code else cwe_into(raw, context)
        return made if _says(code, name, context) else None

    def concept_back(value: dict[str, Any], context: Context) -> str:
        for each in value.get("coding", ()):
            own = each.get("system", "").startswith(CODE) and each["system"].endswith(f":{system.rpartition('/')[2]}")
            if (each.get("system") == system or own) and each.get("code"):
                # a table with a default does not know every code; one without lets the others through
                return escape(back.get(each["code"], back.get("*", "" if "*" in into else each["code"])))
        return cwe_back(value, context)

    return Pair(concept_into, concept_back, fits=("CodeableConcept",), coded=True)


def allergy_into(raw: str, context: Context) -> dict[str, Any] | None:
    """AL1-3: a stated absence becomes its own code; everything else stays the sender's."""
    made = cwe_into(raw, context)
    if made and "coding" not in made:
        code = denied_allergies(made.get("text", ""))
        if code:
            return {"coding": [{"system": SNOMED, "code": code, "display": NEGATED_ALLERGY[code]}], **made}
    return made


def denied_allergies(text: str) -> str:
    """The code of a text that denies all allergies, or those to drugs (and to food, which no code says: it claims no
    more than is told); "" for anything else."""
    denied = _DENIED.fullmatch(unicodedata.normalize("NFKC", text)) if len(text) <= _LONGEST_DENIAL else None
    if denied is None:
        return ""
    what = denied["of"] or ""
    drugs = denied["drugs"] or ("药" in what and not re.search("其|任何", what))
    return "409137002" if drugs else "716186003"


def allergy_back(value: dict[str, Any], context: Context) -> str:
    codings = [each for each in value.get("coding", ()) if each.get("code") not in NEGATED_ALLERGY]
    return cwe_back({**value, "coding": codings}, context)


def source_into(raw: str, context: Context) -> dict[str, Any] | None:
    """SPS, specimen source (v2.5.1 §2A.74): its first component is a CWE of subcomponents. Many senders write a CWE in
    the field's own components instead (`Swab^Swab^HL70487`): then a coding system stands third."""
    kind, _, system, *rest = parts(raw, context, 4)
    if "&" in kind or not system or any(rest):
        return cwe_into(raw.partition("^")[0].replace("&", "^"), context)
    return cwe_into(raw, context)


def source_back(value: dict[str, Any], context: Context) -> str:
    return cwe_back(value, context).replace("^", "&")


PAIRS = {
    "CWE": Pair(cwe_into, cwe_back, fits=("CodeableConcept",), coded=True),
    "SPS": Pair(source_into, source_back, fits=("CodeableConcept",), coded=True),
    "allergy": Pair(allergy_into, allergy_back, fits=("CodeableConcept",), coded=True),
}
