"""What an arriving resource does to the stored one: pure, no database, no clock.

An element that is absent says nothing, one that is present replaces, part by part where messages tell it in parts;
identifiers are united. A status moves forward only: an older statement that comes late never undoes a newer one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gateway.model import Resource
from gateway.store.elements import element_of, told_in_parts
from gateway.store.ranks import RANKS, WORDED

_CORRECTED = frozenset({"amended", "corrected", "appended"})  # of something that was written before
_WRITTEN_AT = {"ServiceRequest": "authoredOn", "DiagnosticReport": "issued", "Observation": "issued"}
# A late first message of these still tells what the newer, shorter one did not: an order that comes after its
# cancellation, an admission that comes after the discharge. A late report or result tells nothing.
_FILLED = frozenset(
    {
        *("ServiceRequest", "MedicationRequest", "SupplyRequest", "NutritionOrder"),
        *("Appointment", "DocumentReference", "Encounter"),
    }
)
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_SENT = "urn:hutong:written"  # on a resource: fields of its message as they were sent (gateway/mapping/sent_fields.py)
_ASSUMED = "urn:hutong:assumed"  # on a status
_SERVER = frozenset({"versionId", "lastUpdated"})
_STATED = frozenset({"Condition", "AllergyIntolerance"})  # with a course, which an error has not (con-5, ait-2)
_ACTED = "urn:hutong:action-time"  # when it was stated or taken back (PRB-2)


def combine(
    stored: Resource,
    arriving: Resource,
    *,
    keep: bool = False,
    deletes: Sequence[str] = (),
    reopen: bool = False,
) -> Resource | None:
    """The stored resource after the arriving one; None when nothing changed. Neither is modified.

    `keep`: what exists stays, only identifiers it lacks are added (POST with ifNoneExist). `deletes`: paths such as
    'Patient.birthDate' that the source said are empty now. `reopen`: the status may move back (a cancelled discharge).
    """
    if keep:
        result = _with_identifiers(stored, arriving, override=False)
    elif not reopen and outdated(stored, arriving):
        result = _with_identifiers(stored, arriving, override=False)
        if stored.get("resourceType") in _FILLED:
            result = _filled(result, arriving)
    else:
        result = _merged(_without(stored, deletes), arriving)
    return None if same(result, stored) else result


def amended(stored: Resource, before: Resource, after: Resource) -> Resource | None:
    """The stored resource where the same statement is understood better: elements that `after` says otherwise than
    `before`, and that nobody has changed since. None when nothing changed."""
    result = dict(stored)
    for name in sorted(before.keys() | after.keys()):
        if same(before.get(name), after.get(name)) or not same(stored.get(name), before.get(name)):
            continue
        if name in after:
            result[name] = after[name]
        else:
            del result[name]
    return None if same(result, stored) else result


def of_some(stored: Resource, arriving: Resource) -> Resource:
    """A report that is taken back because all results that came with it are: where it has others, it is corrected, and
    keeps them. An order that is known already stands: nothing tells that these are all of its results."""
    if "result" not in arriving:
        return {**arriving, "status": stored["status"]}
    came = {each.get("reference") for each in arriving.get("result", ())}
    others = [each for each in stored.get("result", ()) if each.get("reference") not in came]
    if not others:
        return arriving
    return {
        **arriving,
        "status": "corrected",
        "result": [*stored["result"], *(each for each in arriving.get("result", ()) if each not in stored["result"])],
    }


def parted(stored: Resource, element: str, other: str) -> Resource:
    """The stored resource without the members of a list ('Patient.link') that refer to another one: two records that
    were linked by mistake. A patient who was retired by that link alone lives again."""
    name = element.rpartition(".")[2]
    gone = [each for each in stored.get(name, ()) if _other(each) == other]
    if not gone:
        return stored
    left = [each for each in stored[name] if _other(each) != other]
    result = {key: value for key, value in stored.items() if key != name} | ({name: left} if left else {})
    retired = [each for each in gone if each.get("type") == "replaced-by"]
    if retired and not any(each.get("type") == "replaced-by" for each in left):
        result.pop("active", None)
    return result


def replaced(stored: Resource, arriving: Resource) -> Resource | None:
    """Plain PUT Type/id (R4 http.html#update): the arriving resource takes the place; None when it is the same."""
    meta = {name: value for name, value in arriving.get("meta", {}).items() if name not in _SERVER}
    own = {name: value for name, value in stored.get("meta", {}).items() if name in _SERVER}
    result = {**arriving, "id": stored["id"], "meta": {**own, **meta}}
    return None if same(result, stored) else result


def outdated(stored: Resource, arriving: Resource) -> bool:
    """The arriving resource is older: its status lies behind, or with the same status it was written before."""
    kind = str(stored.get("resourceType"))
    ranks = RANKS.get(kind)
    if kind == "Immunization" and stored.get("status") == "entered-in-error" != arriving.get("status"):
        told = stored.get("recorded"), arriving.get("recorded")  # a dose that was deleted, and is sent again as it was
        return all(told) and not earlier(*told)
    if ranks is None:
        return False
    before, after = ranks.get(_told_status(stored), -1), ranks.get(_told_status(arriving), -1)
    name = _WRITTEN_AT.get(kind, "")
    older = earlier(arriving.get(name), stored.get(name))
    if before != after and before >= 0 and after >= 0:
        return after < before or (older and arriving.get("status") in _CORRECTED)
    return older or WORDED.get(arriving.get("docStatus", ""), 9) < WORDED.get(stored.get("docStatus", ""), 0)


def earlier(left: Any, right: Any) -> bool:
    """`left` lies surely before `right`: FHIR date, dateTime or instant, compared at the coarser precision."""
    if not isinstance(left, str) or not isinstance(right, str):
        return False
    if len(left) > 10 and len(right) > 10:
        try:
            return _aware(left) < _aware(right)
        except ValueError:
            return False
    length = min(len(left), len(right), 10)
    return left[:length] < right[:length]


def _aware(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


# ------------------------------------------------------------------------------------------------ merging


def _merged(stored: Resource, arriving: Resource) -> Resource:
    """Element-wise: what arrives replaces its element, with all forms of a choice and the primitive's extensions."""
    kind = str(arriving.get("resourceType"))
    news = {name: value for name, value in arriving.items() if name not in ("id", "meta", "resourceType")}
    if stored.get("status") and not _is_status(kind, _told_status(news)):
        news.pop("status", None)  # "unknown" is no news about something that is known
        news.pop("_status", None)
    for name in [name for name, value in news.items() if name[1:] in stored and _is_absent(name, value)]:
        del news[name]
    known = {element_of(kind, name) for name, value in stored.items() if not says_nothing(value)}
    for name in [name for name, value in news.items() if says_nothing(value) and element_of(kind, name) in known]:
        del news[name]
    if _no_content(news.get("content")) and stored.get("content"):
        del news["content"]  # a document whose state is told without its content keeps what it has
    if kind in _STATED:
        stored, news = _restated(stored, news)
    spoken = {element_of(kind, name) for name in news}
    result = {name: value for name, value in stored.items() if name in news or element_of(kind, name) not in spoken}
    for name, value in news.items():
        result[name] = _united(kind, name, stored.get(name), value)
    if "extension" in stored and any(result.get(name) != stored.get(name) for name in news):
        result["extension"] = _of_now(result["extension"], arriving)
        if not result["extension"]:
            del result["extension"]
    if meta := {name: value for name, value in arriving.get("meta", {}).items() if name not in _SERVER}:
        result["meta"] = {**stored.get("meta", {}), **meta}
    return result


def _restated(stored: Resource, news: dict[str, Any]) -> tuple[Resource, dict[str, Any]]:
    """What is stated again is no error any more, and what is taken back has no course. A statement of before it was
    taken back changes nothing of that."""
    if _is_error(news):
        return {name: value for name, value in stored.items() if name != "clinicalStatus"}, news
    if not _is_error(stored) or not news.keys() & {"clinicalStatus", "verificationStatus"}:
        return stored, news
    if earlier(_acted(news), _acted(stored)):
        told = {"clinicalStatus", "verificationStatus", "extension"}
        return stored, {name: value for name, value in news.items() if name not in told}
    return {name: value for name, value in stored.items() if name != "verificationStatus"}, news


def _is_error(resource: Mapping[str, Any]) -> bool:
    codings = resource.get("verificationStatus", {}).get("coding", ())
    return any(each.get("code") == "entered-in-error" for each in codings)


def _acted(resource: Mapping[str, Any]) -> Any:
    acted = (each.get("valueDateTime") for each in resource.get("extension", ()) if each.get("url") == _ACTED)
    return next(acted, None)


def _of_now(extensions: list[dict[str, Any]], arriving: Resource) -> list[dict[str, Any]]:
    """Without the texts of fields of an earlier message: the resource is another one now."""
    own = arriving.get("extension", ())
    return [each for each in extensions if each.get("url") != _SENT or each in own]


def _is_absent(name: str, value: Any) -> bool:
    """`_start` with nothing but the reason why there is no start (R4 extension-data-absent-reason.html)."""
    if not name.startswith("_") or not isinstance(value, dict) or set(value) != {"extension"}:
        return False
    return [each.get("url") for each in value["extension"]] == [_ABSENT_REASON]


def says_nothing(value: Any) -> bool:
    """An element that R4 demands and the source did not tell: `subject` of an answer that names no patient, a coded
    element with data-absent-reason as its only code. It is no news about what is known."""
    if not isinstance(value, dict):
        return False
    if set(value) == {"extension"}:
        return all(each.get("url") == _ABSENT_REASON for each in value["extension"])
    return set(value) == {"coding"} and all(each.get("system") == _ABSENT for each in value["coding"])


def _no_content(value: Any) -> bool:
    """DocumentReference.content is mandatory: attachments that only state that nothing is known say nothing."""
    attachments = [each.get("attachment", {}) for each in value] if isinstance(value, list) else []
    return bool(attachments) and all(each.keys() == {"extension"} for each in attachments)


def _told_status(resource: Mapping[str, Any]) -> str:
    """The status; "unknown" where it was only assumed, because R4 demands one."""
    beside = resource.get("_status", {}).get("extension", ())
    return "unknown" if any(each.get("url") == _ASSUMED for each in beside) else str(resource.get("status", ""))


def _is_status(kind: str, status: Any) -> bool:
    return status != "unknown" and (kind not in RANKS or status in RANKS[kind])


def _united(kind: str, name: str, stored: Any, arriving: Any) -> Any:
    """The few lists whose members say something each, and elements told in parts; anything else is simply replaced."""
    if isinstance(stored, dict) and isinstance(arriving, dict) and (inside := told_in_parts(kind, name)):
        return _in_order(_with_parts(inside, stored, arriving), arriving)
    if not isinstance(stored, list) or not isinstance(arriving, list):
        return arriving
    if name == "identifier":
        return unite_identifiers(stored, arriving, override=True)
    if name in ("extension", "modifierExtension"):
        said = {each.get("url") for each in arriving}
        return [each for each in stored if each.get("url") not in said] + arriving
    if name == "link" and kind == "Patient":
        linked = {_other(each) for each in arriving}
        return [each for each in stored if _other(each) not in linked] + arriving
    return arriving


def _with_parts(inside: str, stored: dict[str, Any], arriving: dict[str, Any]) -> dict[str, Any]:
    """What arrives of an element, and of what is stored the parts that nothing was said of."""
    told = {element_of(inside, name) for name in arriving}
    left = {name: value for name, value in stored.items() if element_of(inside, name) not in told}
    return left | {name: _united(inside, name, stored.get(name), value) for name, value in arriving.items()}


def _in_order(period: dict[str, Any], arriving: dict[str, Any]) -> dict[str, Any]:
    """A period that would end before it begins is another one than the stored (R4 per-1)."""
    return arriving if earlier(period.get("end"), period.get("start")) else period


def _other(link: Mapping[str, Any]) -> str:
    return str(link.get("other", {}).get("reference", ""))


def _filled(stored: Resource, arriving: Resource) -> Resource:
    """Elements that the stored resource lacks, from an older statement; the missing ends of a period too."""
    kind = str(stored.get("resourceType"))
    known = {element_of(kind, name) for name, value in stored.items() if not says_nothing(value)}
    if _no_content(stored.get("content")):
        known.discard("content")
    lacking = {name: value for name, value in arriving.items() if element_of(kind, name) not in known}
    told = {element_of(kind, name) for name in lacking}
    result = {name: value for name, value in stored.items() if element_of(kind, name) not in told} | lacking
    if isinstance(period := arriving.get("period"), dict) and isinstance(stored.get("period"), dict):
        result["period"] = {**period, **stored["period"]}
    return result


def _with_identifiers(stored: Resource, arriving: Resource, *, override: bool) -> Resource:
    identifiers = arriving.get("identifier")
    if not isinstance(identifiers, list):
        return stored
    return {**stored, "identifier": unite_identifiers(stored.get("identifier", []), identifiers, override=override)}


# ------------------------------------------------------------------------------------------------ identifiers


def unite_identifiers(
    stored: Sequence[Mapping[str, Any]], arriving: Iterable[Mapping[str, Any]], *, override: bool
) -> list[dict[str, Any]]:
    """Stored first, then what is new. `override`: an arriving one refines the stored one that is the same."""
    result = [dict(each) for each in stored]
    places: defaultdict[tuple[Any, Any], list[int]] = defaultdict(list)  # thousands are not compared with each other
    for index, old in enumerate(result):
        places[_number(old)].append(index)
    for new in arriving:
        at = next((index for index in places[_number(new)] if same_identifier(result[index], new)), None)
        if at is None:
            places[_number(new)].append(len(result))
            result.append(dict(new))
        elif override:
            result[at] = {**result[at], **new}
    return result


def _number(identifier: Mapping[str, Any]) -> tuple[Any, Any]:
    """The same of two that are the same."""
    return identifier.get("system", ""), identifier.get("value")


def identifiers(resource: Resource) -> list[Mapping[str, Any]]:
    """The identifiers that have a value (a few types have a single one)."""
    found = resource.get("identifier", [])
    return [each for each in ([found] if isinstance(found, dict) else found) if each.get("value")]


def same_identifier(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Same system and value, and the same type where both have one (a placer's number is not a filler's)."""
    if left.get("value") is None or right.get("value") is None:
        return dict(left) == dict(right)
    return (
        left.get("value") == right.get("value")
        and left.get("system", "") == right.get("system", "")
        and types_agree(left, right)
    )


def types_agree(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """True unless both identifiers say their type and say different ones."""
    ours, theirs = identifier_types(left), identifier_types(right)
    return not ours or not theirs or bool(ours & theirs)


def identifier_types(identifier: Mapping[str, Any]) -> frozenset[str]:
    """The codes of Identifier.type, such as PLAC, FILL, ACSN (HL7 table 0203)."""
    codings = identifier.get("type", {}).get("coding", ())
    return frozenset(str(coding["code"]) for coding in codings if coding.get("code"))


# ------------------------------------------------------------------------------------------------ deleting, comparing


def _without(stored: Resource, paths: Sequence[str]) -> Resource:
    """A copy without the elements that the source said are empty."""
    result = stored
    for path in paths:
        kind, _, rest = path.partition(".")
        if rest.startswith("extension(") and kind == stored.get("resourceType"):
            url = rest[len("extension(") : -1]
            left = [each for each in result.get("extension", ()) if each.get("url") != url]
            result = {name: value for name, value in result.items() if name != "extension" or left}
            result |= {"extension": left} if left else {}
        elif rest and kind == stored.get("resourceType"):
            result = _removed(result, rest.split("."), kind)
    return result


def _removed(value: dict[str, Any], steps: Sequence[str], kind: str) -> dict[str, Any]:
    step, *deeper = steps
    result = {}
    for name, inner in value.items():
        if step not in (name, name.removeprefix("_"), element_of(kind, name)):
            result[name] = inner
        elif deeper and (left := _removed_inside(inner, deeper)):
            result[name] = left
    return result


def _removed_inside(value: Any, steps: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [left for each in value if (left := _removed_inside(each, steps))]
    return _removed(value, steps, "") if isinstance(value, dict) else value


def same(left: Any, right: Any) -> bool:
    """Equal to the digit: 0.10 and 0.1 are different statements of precision."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return left == right and str(left) == str(right)
    return bool(left == right)
