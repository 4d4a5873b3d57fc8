"""Update semantics as tables, and as properties."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store import update
from gateway.store.ranks import RANKS
from tests.store.samples import identifier


def resource(type: str = "Patient", **elements: Any) -> dict[str, Any]:
    return {"resourceType": type, **elements}


ELEMENTS = [
    ("absent says nothing", {"gender": "male"}, {}, None),
    ("present replaces", {"gender": "male"}, {"gender": "female"}, {"gender": "female"}),
    ("the same changes nothing", {"gender": "male"}, {"gender": "male"}, None),
    ("lists are replaced", {"name": [{"text": "a"}]}, {"name": [{"text": "b"}]}, {"name": [{"text": "b"}]}),
    (
        "another form of a choice replaces",
        {"deceasedBoolean": False},
        {"deceasedDateTime": "2026-01-01"},
        {"deceasedDateTime": "2026-01-01"},
    ),
    (
        "the primitive's extensions go with it",
        {"birthDate": "1980", "_birthDate": {"id": "x"}},
        {"birthDate": "1981"},
        {"birthDate": "1981"},
    ),
    (
        "identifiers are united",
        {"identifier": [identifier("urn:a", "1")]},
        {"identifier": [identifier("urn:b", "2")]},
        {"identifier": [identifier("urn:a", "1"), identifier("urn:b", "2")]},
    ),
    (
        "a known identifier is refined",
        {"identifier": [identifier("urn:a", "1")]},
        {"identifier": [identifier("urn:a", "1", "MR")]},
        {"identifier": [identifier("urn:a", "1", "MR")]},
    ),
    (
        "one number of two types is two identifiers",
        {"identifier": [identifier("urn:a", "1", "PLAC")]},
        {"identifier": [identifier("urn:a", "1", "FILL")]},
        {"identifier": [identifier("urn:a", "1", "PLAC"), identifier("urn:a", "1", "FILL")]},
    ),
    (
        "extensions are united by url",
        {"extension": [{"url": "a", "valueCode": "1"}, {"url": "b", "valueCode": "1"}]},
        {"extension": [{"url": "b", "valueCode": "2"}]},
        {"extension": [{"url": "a", "valueCode": "1"}, {"url": "b", "valueCode": "2"}]},
    ),
    (
        "merges add up",
        {"link": [{"other": {"reference": "Patient/a"}, "type": "replaces"}]},
        {"link": [{"other": {"reference": "Patient/b"}, "type": "replaces"}]},
        {
            "link": [
                {"other": {"reference": "Patient/a"}, "type": "replaces"},
                {"other": {"reference": "Patient/b"}, "type": "replaces"},
            ]
        },
    ),
]


@pytest.mark.parametrize(("name", "stored", "arriving", "expected"), ELEMENTS, ids=[each[0] for each in ELEMENTS])
def test_elements(name: str, stored: Any, arriving: Any, expected: Any) -> None:
    before = copy.deepcopy((stored, arriving))
    result = update.combine(resource(**stored), resource(**arriving))
    assert result == (None if expected is None else resource(**expected))
    assert (stored, arriving) == before


def test_the_text_of_a_field_goes_when_the_resource_is_changed_by_another_message() -> None:
    kept = [{"url": "urn:hutong:written", "extension": [{"url": "field", "valueString": "ORC-7"}]}, {"url": "urn:x"}]
    stored = resource("ServiceRequest", priority="stat", extension=kept)
    assert update.combine(stored, resource("ServiceRequest", priority="stat")) is None
    changed = update.combine(stored, resource("ServiceRequest", priority="routine"))
    assert changed
    assert changed["extension"] == [{"url": "urn:x"}]
    bare = resource("ServiceRequest", priority="stat", extension=kept[:1])
    assert "extension" not in (update.combine(bare, resource("ServiceRequest", priority="routine")) or {})


def test_a_deleted_element_goes_also_from_deep_inside() -> None:
    stored = resource(
        birthDate="1980",
        _birthDate={"id": "x"},
        deceasedBoolean=True,
        contact=[{"gender": "male", "name": {"text": "a"}}],
    )
    for path, gone in [
        ("Patient.birthDate", {"birthDate", "_birthDate"}),
        ("Patient.deceased[x]", {"deceasedBoolean"}),
    ]:
        result = update.combine(stored, resource(), deletes=[path])
        assert result is not None
        assert stored.keys() - result.keys() == gone
    inner = update.combine(stored, resource(), deletes=["Patient.contact.gender"])
    assert inner is not None
    assert inner["contact"] == [{"name": {"text": "a"}}]
    assert update.combine(stored, resource(), deletes=["Observation.birthDate"]) is None


def concept(code: str) -> dict[str, Any]:
    return {"coding": [{"code": code}]}


def stated(at: str, **elements: str) -> dict[str, Any]:
    acted = {"url": "urn:hutong:action-time", "valueDateTime": at}
    return resource("Condition", extension=[acted], **{name: concept(code) for name, code in elements.items()})


def test_a_problem_that_is_stated_again_is_no_error_any_more() -> None:
    """And one that is taken back has no course (R4 con-5), whatever was known of it."""
    one = stated("2026-03-12", clinicalStatus="active", verificationStatus="confirmed")
    gone = update.combine(one, stated("2026-03-13", verificationStatus="entered-in-error"))
    assert gone == stated("2026-03-13", verificationStatus="entered-in-error")
    assert update.combine(gone, one) is None  # it comes late
    again = stated("2026-03-14", clinicalStatus="active")
    assert update.combine(gone, again) == again


def test_what_is_told_of_an_error_leaves_it_one() -> None:
    gone = resource("AllergyIntolerance", verificationStatus=concept("entered-in-error"))
    told = resource("AllergyIntolerance", code={"text": "青霉素"})
    assert update.combine(gone, told) == {**gone, **told}


def test_what_exists_stays_with_a_conditional_create() -> None:
    stored = resource(gender="male", identifier=[identifier("urn:a", "1")])
    arriving = resource(gender="female", identifier=[identifier("urn:a", "1", "MR"), identifier("urn:b", "2")])
    result = update.combine(stored, arriving, keep=True)
    assert result == {**stored, "identifier": [identifier("urn:a", "1"), identifier("urn:b", "2")]}


FORWARD = [
    ("ServiceRequest", "draft active completed entered-in-error"),
    ("ServiceRequest", "active revoked"),
    ("ServiceRequest", "on-hold completed"),
    ("DiagnosticReport", "registered partial preliminary final corrected cancelled"),
    ("DiagnosticReport", "final appended entered-in-error"),
    ("DiagnosticReport", "final amended"),
    ("Observation", "registered preliminary final corrected entered-in-error"),
    ("Observation", "final amended cancelled"),
    ("Encounter", "planned arrived triaged in-progress onleave finished"),
    ("Encounter", "in-progress cancelled"),
]


@pytest.mark.parametrize(("kind", "chain"), FORWARD)
def test_a_status_moves_forward_only(kind: str, chain: str) -> None:
    statuses = chain.split()
    for place, before in enumerate(statuses):
        for after in statuses[place + 1 :]:
            stored, arriving = resource(kind, status=before), resource(kind, status=after)
            assert update.combine(stored, arriving) == arriving
            assert update.combine(arriving, stored) is None
            assert update.combine(arriving, stored, reopen=True) == stored


@pytest.mark.parametrize(("one", "other"), [("active", "on-hold"), ("completed", "revoked")])
def test_statuses_on_one_level_replace_each_other(one: str, other: str) -> None:
    for before, after in ((one, other), (other, one)):
        result = update.combine(resource("ServiceRequest", status=before), resource("ServiceRequest", status=after))
        assert result == resource("ServiceRequest", status=after)


def test_unknown_is_no_news() -> None:
    stored = resource("Encounter", status="finished")
    arriving = resource("Encounter", status="unknown", length={"value": 3})
    assert update.combine(stored, arriving) == {**stored, "length": {"value": 3}}
    assert update.combine(resource("Task", status="requested"), resource("Task", status="accepted")) is not None


def test_a_status_that_was_only_assumed_holds_nothing_back() -> None:
    """An update of an admission tells no state (HL7 v2 A08): what it says counts after the discharge, too."""
    assumed = {"extension": [{"url": "urn:hutong:assumed", "valueBoolean": True}]}
    arriving = resource("Encounter", status="in-progress", _status=assumed, length={"value": 3})
    for status in ("finished", "planned", "onleave"):
        stored = resource("Encounter", status=status, length={"value": 2})
        assert update.combine(stored, arriving) == {**stored, "length": {"value": 3}}
    told = update.combine(arriving, resource("Encounter", status="arrived"))
    assert told == resource("Encounter", status="arrived", length={"value": 3})


@pytest.mark.parametrize(
    ("recorded", "again", "status"),
    [
        ("2026-03-01T08:00:00+08:00", "2026-03-01T08:00:00+08:00", "entered-in-error"),  # the same message once more
        ("2026-03-01T08:00:00+08:00", "2026-02-01T08:00:00+08:00", "entered-in-error"),
        ("2026-03-01T08:00:00+08:00", "2026-03-02T08:00:00+08:00", "completed"),  # given after all
        (None, "2026-03-02T08:00:00+08:00", "completed"),
    ],
)
def test_a_deleted_dose_lives_again_only_by_a_newer_entry(recorded: str | None, again: str, status: str) -> None:
    stored = resource("Immunization", status="entered-in-error", **({"recorded": recorded} if recorded else {}))
    result = update.combine(stored, resource("Immunization", status="completed", recorded=again))
    assert (result or stored)["status"] == status


def test_an_absent_reason_is_no_news_about_what_is_known() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    stored = resource("Appointment", start="2026-03-13T09:30:00+08:00")
    combined = update.combine(stored, resource("Appointment", _start=absent, _end=absent, status="noshow"))
    assert combined == resource("Appointment", start="2026-03-13T09:30:00+08:00", _end=absent, status="noshow")
    other = {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}
    assert update.combine(stored, resource("Appointment", _start=other)) == resource("Appointment", _start=other)


ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
UNTOLD = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
UNCODED = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"}]}


def test_an_answer_that_names_no_patient_changes_the_state_alone() -> None:
    stored = resource("ServiceRequest", status="active", subject={"reference": "Patient/1"}, code={"text": "CT"})
    answer = resource("ServiceRequest", status="completed", subject=UNTOLD)
    assert update.combine(stored, answer) == {**stored, "status": "completed"}
    medicine = resource("MedicationRequest", status="active", medicationReference={"reference": "Medication/1"})
    told = resource("MedicationRequest", status="cancelled", medicationCodeableConcept=UNCODED)
    assert update.combine(medicine, told) == {**medicine, "status": "cancelled"}


def test_an_order_after_its_answer_tells_what_the_answer_did_not() -> None:
    answered = resource("ServiceRequest", status="revoked", subject=UNTOLD)
    order = resource("ServiceRequest", status="active", subject={"reference": "Patient/1"})
    assert update.combine(answered, order) == {**answered, "subject": {"reference": "Patient/1"}}


@pytest.mark.parametrize(
    ("kind", "element"), [("DiagnosticReport", "issued"), ("Observation", "issued"), ("ServiceRequest", "authoredOn")]
)
def test_with_equal_status_the_older_loses(kind: str, element: str) -> None:
    old = resource(kind, status="final", code={"text": "old"}, **{element: "2026-03-01T10:00:00+08:00"})
    new = resource(kind, status="final", code={"text": "new"}, **{element: "2026-03-01T03:00:00Z"})
    assert update.combine(old, new) == new
    assert update.combine(new, old) is None


def test_an_order_that_comes_after_its_cancellation_fills_in() -> None:
    cancelled = resource("ServiceRequest", status="revoked", identifier=[identifier("urn:a", "1")])
    order = resource("ServiceRequest", status="active", code={"text": "CT"}, identifier=[identifier("urn:b", "2")])
    result = update.combine(cancelled, order)
    assert result == {
        **cancelled,
        "code": {"text": "CT"},
        "identifier": [identifier("urn:a", "1"), identifier("urn:b", "2")],
    }


def test_an_admission_that_comes_after_the_discharge_gives_its_start() -> None:
    finished = resource("Encounter", status="finished", period={"end": "2026-03-02"})
    result = update.combine(finished, resource("Encounter", status="in-progress", period={"start": "2026-03-01"}))
    assert result == {**finished, "period": {"start": "2026-03-01", "end": "2026-03-02"}}


BACKWARD = [
    ("MedicationRequest", {"status": "stopped"}, {"status": "active", "note": [{"text": "sent again"}]}),
    ("Appointment", {"status": "cancelled"}, {"status": "booked"}),
    ("DocumentReference", {"status": "superseded"}, {"status": "current"}),
    (
        "DocumentReference",
        {"status": "current", "docStatus": "final", "description": "signed"},
        {"status": "current", "docStatus": "preliminary", "description": "draft"},
    ),
]


@pytest.mark.parametrize(("kind", "stored", "late"), BACKWARD)
def test_what_was_stopped_cancelled_or_replaced_stays_so(
    kind: str, stored: dict[str, Any], late: dict[str, Any]
) -> None:
    result = update.combine(resource(kind, **stored), resource(kind, **late)) or resource(kind, **stored)
    assert stored.items() <= result.items()


def test_a_booking_that_was_missed_may_be_made_again() -> None:
    again = resource("Appointment", status="booked", start="2026-03-21T09:00:00+08:00")
    assert update.combine(resource("Appointment", status="noshow"), again) == again


def test_a_document_that_comes_after_its_replacement_gives_its_content() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    replaced = resource("DocumentReference", status="superseded", content=[{"attachment": absent}])
    content = [{"attachment": {"contentType": "text/plain"}}]
    result = update.combine(replaced, resource("DocumentReference", status="current", content=content))
    assert result == resource("DocumentReference", status="superseded", content=content)


PARTS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("period", {"start": "2026-03-01"}, {"end": "2026-03-05"}, {"start": "2026-03-01", "end": "2026-03-05"}),
    ("period", {"start": "2026-03-01", "end": "2026-03-05"}, {"start": "2026-03-08"}, {"start": "2026-03-08"}),
    (
        "hospitalization",
        {"admitSource": {"text": "a"}, "dischargeDisposition": {"text": "b"}},
        {"dischargeDisposition": {"text": "c"}},
        {"admitSource": {"text": "a"}, "dischargeDisposition": {"text": "c"}},
    ),
]


@pytest.mark.parametrize(("element", "stored", "arriving", "result"), PARTS)
def test_what_is_told_in_parts_keeps_those_that_nothing_is_said_of(
    element: str, stored: dict[str, Any], arriving: dict[str, Any], result: dict[str, Any]
) -> None:
    before = resource("Encounter", status="in-progress", **{element: stored})
    after = update.combine(before, resource("Encounter", status="finished", **{element: arriving}))
    assert after == resource("Encounter", status="finished", **{element: result})


def test_a_part_of_another_form_replaces_the_form_before() -> None:
    taken = resource("Specimen", collection={"collectedDateTime": "2026-03-01", "method": {"text": "m"}})
    again = resource("Specimen", collection={"collectedPeriod": {"start": "2026-03-01", "end": "2026-03-02"}})
    result = update.combine(taken, again)
    assert result == {**taken, "collection": {"method": {"text": "m"}, **again["collection"]}}


def test_a_late_preliminary_gives_nothing_but_its_numbers() -> None:
    final = resource("DiagnosticReport", status="final")
    late = resource("DiagnosticReport", status="preliminary", conclusion="old", identifier=[identifier("urn:a", "1")])
    assert update.combine(final, late) == {**final, "identifier": [identifier("urn:a", "1")]}


EARLIER = [
    ("2026-03-01", "2026-03-02", True),
    ("2026-03", "2026-03-02", False),
    ("2026-02", "2026-03-02", True),
    ("2026-03-01T10:00:00+08:00", "2026-03-01T03:00:00Z", True),
    ("2026-03-01T03:00:00Z", "2026-03-01T03:00:00Z", False),
    ("2026-03-01", "2026-03-01T03:00:00Z", False),
    (None, "2026", False),
    ("2026", None, False),
    ("2026-03-01T99:00:00Z", "2026-03-01T03:00:00Z", False),
]


@pytest.mark.parametrize(("left", "right", "expected"), EARLIER)
def test_earlier(left: Any, right: Any, expected: bool) -> None:
    assert update.earlier(left, right) is expected


def test_a_number_with_other_digits_is_a_change() -> None:
    old = resource("Observation", valueQuantity={"value": Decimal("0.1")})
    new = resource("Observation", valueQuantity={"value": Decimal("0.10")})
    assert update.combine(old, new) == new
    assert not update.same(1, True)
    assert update.same(Decimal(1), 1)


def test_a_plain_update_takes_the_place_and_keeps_what_the_server_says() -> None:
    stored = resource(id="a", meta={"versionId": "3", "lastUpdated": "x", "source": "s"}, gender="male", active=True)
    result = update.replaced(stored, resource(id="b", meta={"versionId": "9"}, gender="female"))
    assert result == resource(id="a", meta={"versionId": "3", "lastUpdated": "x"}, gender="female")
    assert update.replaced(stored, resource(gender="male", active=True, meta={"source": "s"})) is None


names = st.sampled_from(["gender", "birthDate", "active", "deceasedBoolean", "deceasedDateTime", "language"])
identifiers = st.lists(
    st.builds(
        identifier, st.sampled_from(["urn:a", "urn:b"]), st.sampled_from("123"), st.sampled_from(["", "MR", "PI"])
    ),
    max_size=4,
)
statuses = st.sampled_from(sorted(RANKS["DiagnosticReport"]))


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    made = resource("DiagnosticReport", status=draw(statuses))
    made |= {name: draw(st.sampled_from(["x", "y"])) for name in draw(st.sets(names))}
    found = draw(identifiers)
    unique: list[dict[str, Any]] = []
    for each in found:
        if not any(update.same_identifier(each, other) for other in unique):
            unique.append(each)
    return made | ({"identifier": unique} if unique else {})


@given(stored=resources(), arriving=resources())
def test_twice_is_once(stored: dict[str, Any], arriving: dict[str, Any]) -> None:
    once = update.combine(stored, arriving) or stored
    assert update.combine(once, arriving) is None


@given(stored=resources(), arriving=resources(), keep=st.booleans())
def test_no_identifier_is_ever_lost_and_no_status_falls_back(
    stored: dict[str, Any], arriving: dict[str, Any], keep: bool
) -> None:
    result = update.combine(stored, arriving, keep=keep) or stored
    for each in (*stored.get("identifier", ()), *arriving.get("identifier", ())):
        assert any(update.same_identifier(each, kept) for kept in result["identifier"])
    ranks = RANKS["DiagnosticReport"]
    assert ranks[result["status"]] >= ranks[stored["status"]]


def test_an_extension_is_removed_by_its_url() -> None:
    stored = resource(extension=[{"url": "urn:a", "valueCode": "x"}, {"url": "urn:b.c", "valueCode": "y"}])
    left = update.combine(stored, resource(gender="male"), deletes=["Patient.extension(urn:b.c)"])
    assert left is not None
    assert left["extension"] == [{"url": "urn:a", "valueCode": "x"}]
    both = ["Patient.extension(urn:a)", "Patient.extension(urn:b.c)"]
    assert update.combine(stored, resource(gender="male"), deletes=both) == resource(gender="male")


def test_each_of_many_identifiers_is_compared_with_its_like(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands that are all compared with each other would hold up all that is written behind them."""
    compared: list[Any] = []
    same = update.same_identifier
    monkeypatch.setattr(update, "same_identifier", lambda a, b: compared.append(a) or same(a, b))
    stored = [identifier("urn:a", str(number)) for number in range(300)]
    arriving = [identifier("urn:a", str(number)) for number in range(100, 400)]
    united = update.unite_identifiers(stored, arriving, override=False)
    assert united == [*stored, *arriving[200:]]
    assert len(compared) == 200
