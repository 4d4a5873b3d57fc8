"""Transactions: who is who, what changes, what is refused; all or nothing."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.db.engine import Row, Transaction
from gateway.errors import Configuration, Permanent
from gateway.fhir import bundle, json
from gateway.fhir.bundle import REOPEN
from gateway.store.stored import PreconditionFailed
from gateway.store.workspace import Workspace
from tests.engines import Engines
from tests.store import samples
from tests.store.conftest import START, Ward
from tests.store.samples import FILLER, MRN, PLACER, identifier, observation, order, patient, post, put, report

P, O, R = "urn:uuid:p", "urn:uuid:o", "urn:uuid:r"  # noqa: E741  fullUrls of a patient, an order, a report


def person(ward: Ward, number: str = "P1", **elements: Any) -> str:
    return ward.apply(put(patient(number, **elements), P)).references[P]


# ------------------------------------------------------------------------------------------------ creating, updating


def test_references_become_ids_and_the_server_stamps_versions(ward: Ward) -> None:
    sent = [post(patient(), P), put(order(subject=P), O)]
    before = copy.deepcopy(sent)
    done = ward.apply(*sent)
    assert sent == before
    assert [change.interaction for change in done.changes] == ["create", "create"]
    stored = ward.get(done.references[O])
    assert stored["subject"] == {"reference": done.references[P]}
    assert stored["meta"] == {"versionId": "1", "lastUpdated": "2026-03-05T02:01:00.000Z"}
    assert list(stored)[:3] == ["resourceType", "id", "meta"]
    assert len(stored["id"]) == 26


def test_the_same_bundle_twice_changes_nothing(ward: Ward) -> None:
    entries = samples.laboratory(1, 1)["entry"]
    first = ward.apply(*entries)
    again = ward.apply(*entries)
    assert len(first.changes) == 12
    assert again.changes == ()
    assert again.transaction == first.transaction
    assert again.references == first.references
    assert {outcome.interaction for outcome in again.outcomes} == {"unchanged"}


def test_versions_and_transactions_grow(ward: Ward) -> None:
    reference = person(ward)
    done = ward.apply(put({**patient(), "gender": "female"}, P))
    (change,) = done.changes
    assert (change.reference, change.version, change.transaction, change.interaction) == (reference, 2, 2, "update")
    versions = ward.record.history(*reference.split("/")).matches
    assert [each.resource["gender"] for each in versions] == ["female", "male"]


def test_times_grow_even_when_the_clock_goes_back(ward: Ward) -> None:
    person(ward)
    one = ward.apply(put(patient(gender="female"), P), at=START - timedelta(days=2))
    stored = ward.record.read(*one.references[P].split("/"))
    assert stored is not None
    assert stored.updated == START + timedelta(minutes=1, milliseconds=1)


def test_a_conditional_create_leaves_what_exists_and_adds_numbers(ward: Ward) -> None:
    reference = person(ward)
    stranger = patient(gender="female", identifier=[identifier(MRN, "P1"), identifier("urn:other", "9")])
    ward.apply(post(stranger, P))
    stored = ward.get(reference)
    assert stored["gender"] == "male"
    assert [each["value"] for each in stored["identifier"]] == ["P1", "9"]


def test_an_explicit_null_removes(ward: Ward) -> None:
    reference = person(ward)
    ward.apply(
        put({"resourceType": "Patient", "identifier": [identifier(MRN, "P1")]}, P, deletes=["Patient.birthDate"])
    )
    assert "birthDate" not in ward.get(reference)
    assert ward.get(reference)["gender"] == "male"


def test_two_entries_that_are_one_thing(ward: Ward) -> None:
    doctor = {"resourceType": "Practitioner", "identifier": [identifier("urn:staff", "7")]}
    done = ward.apply(post(doctor, "urn:uuid:a"), post({**doctor, "active": True}, "urn:uuid:b"))
    assert done.references["urn:uuid:a"] == done.references["urn:uuid:b"]
    assert len(done.changes) == 1


def test_plain_requests_create_replace_and_delete(ward: Ward) -> None:
    new = {"resourceType": "Patient", "gender": "male", "active": True}
    done = ward.apply(bundle.entry(new, P, {"method": "POST", "url": "Patient"}))
    reference = done.references[P]
    done = ward.apply(
        bundle.entry({**new, "active": False}, P, {"method": "PUT", "url": reference, "ifMatch": 'W/"1"'})
    )
    assert ward.get(reference)["active"] is False
    with pytest.raises(PreconditionFailed):
        ward.apply(bundle.entry(new, P, {"method": "PUT", "url": reference, "ifMatch": 'W/"1"'}))
    (change,) = ward.apply({"request": {"method": "DELETE", "url": reference}}).changes
    assert (change.interaction, change.version) == ("delete", 3)
    stored = ward.record.read(*reference.split("/"))
    assert stored is not None
    assert (stored.deleted, stored.body) == (True, b"")
    assert ward.apply({"request": {"method": "DELETE", "url": reference}}).changes == ()
    assert ward.ids("Patient", "gender=male") == set()
    (change,) = ward.apply(bundle.entry(new, P, {"method": "PUT", "url": reference})).changes
    assert (change.interaction, change.version) == ("create", 4)
    assert ward.ids("Patient", "gender=male") == {reference.removeprefix("Patient/")}


def test_a_delete_may_be_conditional(ward: Ward) -> None:
    reference = person(ward)
    condition = f"Patient?{bundle.condition(MRN, 'P1')}"
    done = ward.apply(put(patient("P2"), P), {"request": {"method": "DELETE", "url": condition}})
    assert [outcome.interaction for outcome in done.outcomes] == ["create", "delete"]
    assert done.outcomes[1].reference == reference
    assert ward.apply({"request": {"method": "DELETE", "url": condition}}).changes == ()
    person(ward, "P3")
    with pytest.raises(PreconditionFailed, match="2 resources"):
        ward.apply({"request": {"method": "DELETE", "url": "Patient?gender=male"}})


def test_conditional_references_are_resolved(ward: Ward) -> None:
    reference = person(ward)
    condition = f"Patient?{bundle.condition(MRN, 'P1')}"
    done = ward.apply(put(order(subject=condition), O))
    assert ward.get(done.references[O])["subject"]["reference"] == reference
    with pytest.raises(Configuration, match="matches 0"):
        ward.apply(put(order("O9", subject="Patient?identifier=nobody"), O))


def test_other_conditions_use_the_search(ward: Ward) -> None:
    note = {"resourceType": "Basic", "code": samples.coded("x", "urn:c")}
    entry = bundle.entry(note, R, {"method": "POST", "url": "Basic", "ifNoneExist": "code=urn:c|x"})
    assert len(ward.apply(entry).changes) == 1
    assert len(ward.apply(entry).changes) == 0


REFUSED = [
    ({"resourceType": "Bundle", "type": "batch"}, "transaction"),
    ({"entry": [{"request": {"method": "GET", "url": "Patient"}}]}, "DELETE, POST and PUT"),
    ({"entry": [{"request": {"method": "PUT", "url": "Pat/1"}, "resource": {}}]}, "URL"),
    (
        {"entry": [{"request": {"method": "PUT", "url": "Patient/1"}, "resource": {"resourceType": "Task"}}]},
        "no.* Patient|not a",
    ),
    ({"entry": [{"request": {"method": "PUT", "url": "Patient"}, "resource": {"resourceType": "Patient"}}]}, "URL"),
    ({"entry": [{"request": {"method": "PUT", "url": "Patient/a b"}, "resource": {}}]}, "URL"),
    (
        {"entry": [bundle.entry(order(subject="urn:uuid:absent"), O, bundle.update("ServiceRequest", PLACER, "1"))]},
        "does not have",
    ),
]


@pytest.mark.parametrize(("sent", "text"), REFUSED)
def test_what_is_no_transaction_is_refused(ward: Ward, sent: dict[str, Any], text: str) -> None:
    whole = {"resourceType": "Bundle", "type": "transaction", **sent}
    with pytest.raises(Permanent, match=text), ward.engine.transaction() as transaction:
        ward.record.apply(transaction, whole, at=START)
    assert ward.record.statistics() == {}


# ------------------------------------------------------------------------------------------------ who is who


def test_any_number_of_an_order_finds_it(ward: Ward) -> None:
    subject = person(ward)
    first = order(subject=subject, identifier=[identifier(PLACER, "O1", "PLAC")])
    reference = ward.apply(put(first, O)).references[O]
    both = order(subject=subject, identifier=[identifier(FILLER, "F1", "FILL"), identifier(PLACER, "O1", "PLAC")])
    assert ward.apply(put(both, O)).references[O] == reference
    filler = order(subject=subject, status="completed", identifier=[identifier(FILLER, "F1", "FILL")])
    assert ward.apply(put(filler, O)).references[O] == reference
    assert ward.get(reference)["status"] == "completed"


def test_a_number_of_another_type_is_another_number(ward: Ward) -> None:
    subject = person(ward)
    one = ward.apply(put(order(subject=subject, identifier=[identifier("urn:s", "1", "PLAC")]), O)).references[O]
    two = ward.apply(put(order(subject=subject, identifier=[identifier("urn:s", "1", "FILL")]), O)).references[O]
    assert one != two


def test_two_stored_ones_that_match_are_a_persons_decision(ward: Ward) -> None:
    subject = person(ward)
    ward.apply(put(order(subject=subject, identifier=[identifier(PLACER, "1", "PLAC")]), O))
    ward.apply(put(order(subject=subject, identifier=[identifier(FILLER, "2", "FILL")]), O))
    both = order(subject=subject, identifier=[identifier(PLACER, "1", "PLAC"), identifier(FILLER, "2", "FILL")])
    with pytest.raises(Configuration, match="2 different"):
        ward.apply(put({**patient("P2")}, P), put(both, O))
    assert ward.ids("Patient", "identifier=P2") == set()


def test_a_number_of_the_same_kind_that_differs_is_a_persons_decision(ward: Ward) -> None:
    subject = person(ward)
    known = [identifier(PLACER, "1", "PLAC"), identifier(FILLER, "2", "FILL")]
    ward.apply(put(order(subject=subject, identifier=known), O))
    other = [identifier(PLACER, "1", "PLAC"), identifier(FILLER, "3", "FILL")]
    with pytest.raises(Configuration, match="differs"):
        ward.apply(put(order(subject=subject, identifier=other), O))


def test_orders_that_share_an_accession_number_are_two(ward: Ward) -> None:
    subject = person(ward)
    entries = []
    for number in ("1", "2"):
        numbers = [identifier(PLACER, number, "PLAC"), identifier("urn:acc", "A", "ACSN")]
        entries.append(put(order(subject=subject, identifier=numbers), f"urn:uuid:{number}"))
    done = ward.apply(*entries)
    assert len(done.changes) == 2
    assert ward.apply(*entries).changes == ()


def test_a_double_directory_entry_holds_nothing_up(ward: Ward) -> None:
    def doctor(*numbers: str) -> dict[str, Any]:
        return {"resourceType": "Practitioner", "identifier": [identifier(f"urn:{n}", n) for n in numbers]}

    ward.apply(put(doctor("1"), "urn:uuid:1"))
    second = ward.apply(put(doctor("2"), "urn:uuid:2")).references["urn:uuid:2"]
    done = ward.apply(put(doctor("2", "1"), "urn:uuid:2"))
    assert done.references["urn:uuid:2"] == second
    assert done.notes
    assert ward.apply(put(doctor("2", "1"), "urn:uuid:2")).changes == ()


@pytest.mark.parametrize(
    ("kind", "told", "becomes"),
    [
        ("MedicationRequest", "revoked", "stopped"),
        ("MedicationRequest", "on-hold", "on-hold"),
        ("SupplyRequest", "on-hold", "suspended"),
        ("NutritionOrder", "revoked", "revoked"),
    ],
)
def test_a_state_told_by_number_alone_is_that_of_the_order_with_the_number(
    ward: Ward, kind: str, told: str, becomes: str
) -> None:
    """v2.5.1 §4.5.1: ORC|CA cancels a prescription without its RXO."""
    one, two = person(ward, "P1"), person(ward, "P2")
    ordered = {"resourceType": kind, "status": "active", "identifier": [identifier(PLACER, "RX1", "PLAC")]}
    ordered |= {"subject" if kind == "MedicationRequest" else "patient": {"reference": one}, "note": [{"text": "x"}]}
    target = ward.apply(put(ordered, O)).references[O]
    state = {key: value for key, value in order(subject=one).items() if key in ("resourceType", "intent", "subject")}
    state |= {"identifier": ordered["identifier"], "status": told}
    done = ward.apply(put(state, O))
    assert done.references[O] == target
    assert [change.reference for change in done.changes] == [target]
    found = ward.get(target)
    assert (found["status"], found["note"]) == (becomes, [{"text": "x"}])
    other = ward.apply(put({**state, "subject": {"reference": two}}, O))
    if kind == "MedicationRequest":
        assert other.references[O] != target  # the number of another patient


def test_a_visit_moved_from_another_patient_is_the_same_visit(ward: Ward) -> None:
    """ADT^A45 (v2.5.1 §3.3.45): it was registered for the wrong person."""
    wrong, right = person(ward, "P1"), person(ward, "P2")
    number = [identifier("urn:visits", "V1")]
    visit = {"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}, "identifier": number}
    target = ward.apply(put({**visit, "subject": {"reference": wrong}}, O)).references[O]
    came = {"url": "urn:hutong:moved-from", "valueReference": {"identifier": identifier(MRN, "P1")}}
    moved = {**visit, "status": "unknown", "subject": {"reference": right}, "extension": [came]}
    done = ward.apply(put(moved, O))
    assert done.references[O] == target
    assert "moved from another patient" in done.notes[0]
    assert (ward.get(target)["subject"], ward.get(target)["status"]) == ({"reference": right}, "finished")
    assert ward.apply(put(moved, O)).changes == ()


def test_the_number_of_another_patient_is_another_order(ward: Ward) -> None:
    one, two = person(ward, "P1"), person(ward, "P2")
    first = ward.apply(put(order(subject=one), O))
    second = ward.apply(put(order(subject=two), O))
    assert first.references[O] != second.references[O]
    assert second.notes == ("ServiceRequest: the number is known for another patient; kept apart",)
    assert ward.apply(put(order(subject=two), O)).references[O] == second.references[O]
    assert ward.apply(put(order(subject=one), O)).references[O] == first.references[O]


def test_identity_decides_who_the_patient_is(ward: Ward) -> None:
    known = person(ward)
    done = ward.apply(put(patient(), P), patients={P: None})
    assert done.references[P] != known
    arriving = patient("P9")
    done = ward.apply(put(arriving, P), put(order(subject=P), O), patients={P: known.removeprefix("Patient/")})
    assert done.references[P] == known
    assert ward.get(done.references[O])["subject"]["reference"] == known


# ------------------------------------------------------------------------------------------------ late, corrected


def result_bundle(status: str, value: str, issued: str, number: str = "1") -> list[dict[str, Any]]:
    test = observation(f"T{number}", P, status="final", valueString=value)
    del test["valueQuantity"]
    whole = report("R1", P, status=status, issued=issued, result=[{"reference": f"urn:uuid:t{number}"}])
    return [post(patient(), P), put(whole, R), put(test, f"urn:uuid:t{number}")]


def test_a_correction_is_a_new_version_and_replaces_the_result_set(ward: Ward) -> None:
    first = ward.apply(*result_bundle("final", "5", "2026-03-01T10:00:00+08:00"))
    done = ward.apply(*result_bundle("corrected", "6", "2026-03-01T11:00:00+08:00", "2"))
    whole = ward.get(done.references[R])
    assert whole["meta"]["versionId"] == "2"
    assert whole["result"] == [{"reference": done.references["urn:uuid:t2"]}]
    assert ward.get(first.references["urn:uuid:t1"])["valueString"] == "5"
    (old,) = ward.record.history(*done.references[R].split("/")).matches[1:]
    assert old.resource["status"] == "final"


@pytest.mark.parametrize(
    ("status", "issued"), [("preliminary", "2026-03-01T12:00:00+08:00"), ("final", "2026-03-01T09:00:00+08:00")]
)
@pytest.mark.parametrize("number", ["1", "2"])
def test_a_late_report_is_ignored_with_its_observations(ward: Ward, status: str, issued: str, number: str) -> None:
    first = ward.apply(*result_bundle("final", "5", "2026-03-01T10:00:00+08:00"))
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": f"urn:uuid:t{number}"}],
        "recorded": "2026-03-01T10:00:00Z",
        "agent": [{"who": {"display": "x"}}],
    }
    origin = bundle.entry(provenance, "urn:uuid:v", {"method": "PUT", "url": "Provenance/fixed"})
    late = ward.apply(*result_bundle(status, "old", issued, number), origin)
    assert late.notes == ("DiagnosticReport: older than the stored one; ignored",)
    assert ward.get(first.references["urn:uuid:t1"])["valueString"] == "5"
    assert ward.get(first.references[R])["meta"]["versionId"] == "1"
    assert ward.record.statistics()["Observation"] == 1
    assert {outcome.interaction for outcome in late.outcomes} <= {"unchanged", "ignored", "create"}


def test_a_resent_order_never_reopens(ward: Ward) -> None:
    subject = person(ward)
    reference = ward.apply(put(order(subject=subject), O)).references[O]
    cancelled = {
        "resourceType": "ServiceRequest",
        "identifier": [identifier(PLACER, "O1", "PLAC")],
        "status": "revoked",
    }
    ward.apply(put(cancelled, O))
    assert ward.get(reference)["code"] == samples.coded("58410-2")
    assert ward.apply(put(order(subject=subject), O)).changes == ()
    reopened = put(order(subject=subject), O)
    reopened["extension"] = [{"url": REOPEN, "valueBoolean": True}]
    ward.apply(reopened)
    assert ward.get(reference)["status"] == "active"


# ------------------------------------------------------------------------------------------------ merged patients


def merge(old: str = "P1", new: str = "P2") -> list[dict[str, Any]]:
    """A40: the person of `old` lives on as `new`."""
    retired = {
        "resourceType": "Patient",
        "identifier": [identifier(MRN, old, "MR")],
        "active": False,
        "link": [{"other": {"reference": "urn:uuid:new"}, "type": "replaced-by"}],
    }
    survivor = patient(new, link=[{"other": {"reference": "urn:uuid:old"}, "type": "replaces"}])
    return [put(retired, "urn:uuid:old"), put(survivor, "urn:uuid:new")]


@pytest.mark.parametrize("known", [("P1", "P2"), ("P1",), ("P2",), ()])
def test_a_merge_links_both_and_twice_is_once(ward: Ward, known: tuple[str, ...]) -> None:
    for number in known:
        person(ward, number)
    done = ward.apply(*merge())
    old, new = done.references["urn:uuid:old"], done.references["urn:uuid:new"]
    assert old != new
    assert ward.get(old)["active"] is False
    assert ward.get(old)["link"] == [{"other": {"reference": new}, "type": "replaced-by"}]
    assert ward.get(new)["link"] == [{"other": {"reference": old}, "type": "replaces"}]
    assert ward.apply(*merge()).changes == ()
    living = new.removeprefix("Patient/")
    decided = {"urn:uuid:old": living, "urn:uuid:new": living}  # as identity decides: it answers with survivors
    assert ward.apply(*merge(), patients=decided).changes == ()


@pytest.mark.parametrize("by_identity", [True, False])
def test_a_late_message_for_a_retired_number_speaks_to_the_survivor(ward: Ward, by_identity: bool) -> None:
    person(ward, "P1")
    person(ward, "P2", gender="female")
    done = ward.apply(*merge())
    old, new = done.references["urn:uuid:old"], done.references["urn:uuid:new"]
    gender = ward.get(new)["gender"]
    late = patient(
        "P1", gender="other", active=True, identifier=[identifier(MRN, "P1", "MR"), identifier("urn:x", "5")]
    )
    patients = {P: new.removeprefix("Patient/")} if by_identity else {}
    done = ward.apply(put(late, P), put(order(subject=P), O), patients=patients)
    assert done.references[P] == new
    assert ward.get(new)["gender"] == gender
    assert ("urn:x", "5") in {(each["system"], each["value"]) for each in ward.get(new)["identifier"]}
    assert ward.get(old)["active"] is False
    assert ward.get(done.references[O])["subject"]["reference"] == new


def unlink(one: str = "P1", two: str = "P2") -> list[dict[str, Any]]:
    """A37: these two have nothing to do with each other."""
    made = []
    for number, url, other in ((one, "urn:uuid:one", "urn:uuid:two"), (two, "urn:uuid:two", "urn:uuid:one")):
        request = bundle.update("Patient", MRN, number)
        made.append(bundle.entry(patient(number), url, request, parts=[("Patient.link", other)]))
    return made


@pytest.mark.parametrize("by_identity", [True, False])
def test_a_merge_is_undone_between_these_two_alone(ward: Ward, by_identity: bool) -> None:
    for number in ("P1", "P2", "P3"):
        person(ward, number)
    ward.apply(*merge("P3", "P2"))
    done = ward.apply(*merge("P1", "P2"))
    old, new = done.references["urn:uuid:old"], done.references["urn:uuid:new"]
    living = new.removeprefix("Patient/")
    patients = {"urn:uuid:one": living, "urn:uuid:two": living} if by_identity else {}
    apart = ward.apply(*unlink(), patients=patients)
    assert (apart.references["urn:uuid:one"], apart.references["urn:uuid:two"]) == (old, new)
    assert "link" not in ward.get(old)
    assert "active" not in ward.get(old)
    assert [each["type"] for each in ward.get(new)["link"]] == ["replaces"]  # P3 stays merged
    assert ward.apply(*unlink(), patients=patients).changes == ()
    assert ward.apply(put(patient("P1", gender="other"), P)).references[P] == old


def test_a_link_between_living_patients_is_undone(ward: Ward) -> None:
    see = [
        put(patient(one, link=[{"other": {"reference": f"urn:uuid:{two}"}, "type": "seealso"}]), f"urn:uuid:{one}")
        for one, two in (("P1", "P2"), ("P2", "P1"))
    ]
    linked = ward.apply(*see).references["urn:uuid:P1"]
    assert "link" in ward.get(linked)
    ward.apply(*unlink())
    assert "link" not in ward.get(linked)


def test_an_order_of_the_retired_patient_is_found_for_the_survivor(ward: Ward) -> None:
    one = person(ward, "P1")
    person(ward, "P2")
    reference = ward.apply(put(order(subject=one), O)).references[O]
    ward.apply(*merge())
    done = ward.apply(post(patient("P1"), P), put(order(subject=P, status="completed"), O))
    assert done.references[O] == reference


def test_chains_of_merges(ward: Ward) -> None:
    ward.apply(*merge("P1", "P2"))
    done = ward.apply(*merge("P2", "P3"))
    last = done.references["urn:uuid:new"]
    assert ward.apply(post(patient("P1"), P)).references[P] == last
    assert len(ward.get(done.references["urn:uuid:old"])["link"]) == 2


# ------------------------------------------------------------------------------------------------ all or nothing


def test_a_bad_entry_undoes_the_whole(ward: Ward) -> None:
    entries = [put(patient(f"P{number}"), f"urn:uuid:{number}") for number in range(50)]
    with pytest.raises(Permanent):
        ward.apply(*entries, put(order(subject="urn:uuid:absent"), O))
    assert ward.record.statistics() == {}


def test_kill_inside_a_transaction_leaves_nothing(ward: Ward, tmp_path: Path, engines: Engines) -> None:
    person(ward)
    code = (
        "from datetime import datetime, UTC\n"
        "from gateway.store.record import Record\nfrom tests.store import samples\n"
        f"{engines.code(tmp_path, 'record')}"
        "with engine.transaction() as transaction:\n"
        "  for number in range(20):\n"
        "    Record(engine).apply(transaction, samples.laboratory(number + 2, 1), at=datetime.now(UTC))\n"
        "  print('ready', flush=True)\n  input()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.communicate()
    assert ward.record.statistics() == {"Patient": 1}
    assert ward.ids("Observation", "code=718-7") == set()
    assert len(ward.apply(*samples.laboratory(2, 1)["entry"]).changes) == 12


def test_texts_of_any_length_are_stored(ward: Ward) -> None:
    """PostgreSQL takes 2704 bytes in one row of an index: ours are cut to what fits, at four bytes a character too."""
    long = "".join(chr(0x20000 + number * 7919 % 40_000) for number in range(3000))
    ward.apply(post({**patient(long), "name": [{"text": f"{long}A"}]}, P))
    (found,) = ward.record.search("Patient", f"name={long[:20]}").matches
    assert found.resource["name"] == [{"text": f"{long}A"}]


@pytest.mark.slow
def test_clients_of_several_processes_create_one(ward: Ward, tmp_path: Path, engines: Engines) -> None:
    """16 of them in 4 processes, all at the same moment: If-None-Exist leaves one."""
    code = (
        "import sys, threading\nfrom datetime import datetime, UTC\n"
        f"{engines.code(tmp_path, 'record')}"
        "from gateway.fhir import bundle\nfrom gateway.store.record import Record\n"
        "from tests.store.samples import patient, post\n"
        "def create():\n"
        "  with engine.transaction() as transaction:\n"
        "    sent = bundle.transaction([post(patient(), 'urn:uuid:p')])\n"
        "    Record(engine).apply(transaction, sent, at=datetime.now(UTC))\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "threads = [threading.Thread(target=create) for _ in range(4)]\n"
        "[each.start() for each in threads]\n[each.join() for each in threads]\nengine.close()\n"
    )
    command = [sys.executable, "-c", code]
    racing = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=Path.cwd())
        for _ in range(4)
    ]
    for process in racing:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) and process.returncode for process in racing] == [0] * 4
    assert ward.record.statistics() == {"Patient": 1}


def test_many_threads_create_one(ward: Ward) -> None:
    references: list[str] = []

    def create(number: int) -> None:
        with ward.engine.transaction() as transaction:
            sent = bundle.transaction([post(patient(), P)])
            references.append(ward.record.apply(transaction, sent, at=START).references[P])

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(references)) == 1
    assert ward.record.statistics() == {"Patient": 1}


def test_readers_see_whole_transactions_while_others_write(ward: Ward) -> None:
    stop = threading.Event()
    broken: list[dict[str, int]] = []

    def look() -> None:
        while not stop.is_set():
            counts = ward.record.statistics()
            if counts.get("Observation", 0) != 8 * counts.get("DiagnosticReport", 0):
                broken.append(counts)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(20):
        ward.apply(*samples.laboratory(number, 1)["entry"])
    stop.set()
    for thread in threads:
        thread.join()
    assert not broken


# ------------------------------------------------------------------------------------------------ properties


statements = st.lists(
    st.tuples(
        st.integers(1, 2),  # person
        st.integers(1, 2),  # visit
        st.sampled_from(["registered", "preliminary", "final", "corrected"]),
        st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=statements)
def test_applying_twice_is_applying_once(
    sent: list[tuple[int, int, str, str]], tmp_path_factory: Any, engines: Engines
) -> None:
    engine = engines.open(tmp_path_factory.mktemp("record"), "record")
    ward = Ward(engine)
    try:
        for number, visit, status, issued in sent:
            entries = samples.laboratory(number, visit)["entry"]
            for each in entries:
                if each["resource"]["resourceType"] == "DiagnosticReport":
                    each["resource"] |= {"status": status, "issued": issued}
            first = ward.apply(*entries)
            again = ward.apply(*entries)
            assert again.changes == ()
            assert again.references == first.references
            for change in first.changes:
                assert json.loads(json.dumps(ward.get(change.reference))) == ward.get(change.reference)
    finally:
        engine.close()


class Counting:
    """A transaction that counts the bytes it gives."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction, self.octets = transaction, 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        rows = self.transaction.execute(sql, values)
        self.octets += sum(len(value) for row in rows for value in row if isinstance(value, bytes))
        return rows


def test_a_resource_of_many_identifiers_is_read_once(ward: Ward) -> None:
    """Else what it costs grows with their square: thousands of identifiers make it large, too."""
    pairs = [("urn:a", str(number)) for number in range(500)]
    ward.apply(post({"resourceType": "Patient", "identifier": [identifier(*pair) for pair in pairs]}, P))
    with ward.engine.transaction() as transaction:
        counting = Counting(transaction)
        (found,) = Workspace(counting, 0).with_identifiers("Patient", pairs)
    size = len(json.dumps(found.stored or {}))
    assert size / 2 < counting.octets < 2 * size
