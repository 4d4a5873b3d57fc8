"""bytes → FHIR: what is promised at the door, and that the worker keeps it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path

import pytest

from gateway import worker
from gateway.codec import hl7v2, hl7v2_xml_writer
from gateway.db.engine import Transaction
from gateway.errors import Transient
from gateway.inbound import asked_for, patient_of
from gateway.journal.intake import Intake, Verdict, Written
from gateway.journal.outbox import Outbox
from gateway.model import Change, Frame
from tests import community
from tests.rooms import House, states


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def code(answer: bytes) -> str:
    """MSA-1."""
    return answer.split(b"\rMSA|")[1][:2].decode()


# ------------------------------------------------------------------------------------------------ the door


async def test_the_answer_comes_after_the_disk(house: House) -> None:
    """While the journal cannot be written nothing is answered; a failure of it is an error, never an AA."""
    written = threading.Event()

    class Slow(Intake):
        async def write(self, frame: Frame, verdict: Verdict) -> Written:
            try:
                return await house.intake.write(frame, verdict)
            finally:
                written.set()

    object.__setattr__(house.receiver, "intake", Slow(house.journal))
    answer = await house.receive(community.result("L1"))
    assert written.is_set()
    assert code(answer) == "AA"
    house.intake.close()
    with pytest.raises(Transient):
        await house.receive(community.result("L2"))
    assert [line.control_id for line in house.entries()] == ["L1"]


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("", "", "AA", "AE"),
        ("AL", "NE", "CA", "CE"),
        ("AL", "AL", "AA", "AE"),  # the application acknowledgement at once covers the accept acknowledgement
        ("NE", "NE", "", ""),
        ("ER", "NE", "", "CE"),
        ("SU", "NE", "CA", ""),
        ("NE", "ER", "", "AE"),
    ],
)
async def test_acknowledgement_modes(house: House, accept: str, application: str, good: str, bad: str) -> None:
    """HL7 v2.5.1 §2.9 and table 0155."""
    modes = f"|P|2.5.1|||{accept}|{application}|CHN|".encode()
    body = community.result("L1").replace(b"|P|2.5.1|||||CHN|", modes)
    answers = [await house.receive(body), await house.receive(body.replace(b"|L1|", b"|L2|").replace(b"PID|", b"PIX|"))]
    assert [code(answer) if answer else "" for answer in answers] == [good, bad]
    assert states(house.entries()) == ["waiting", "refused"]


async def test_what_cannot_be_taken_is_kept_with_its_cause(house: House) -> None:
    cases = {
        b"not HL7 at all": ("MSH", "AE"),
        community.result("L2").replace(b"PID|", b"PIX|"): ("PID", "AE"),
        community.result("L3", kind="CUS^Z99^CUS_Z99"): ("MSH-9", "AR"),
        community.result("L4").replace(b"|2.5.1|", b"|9.9|"): ("MSH-12", "AR"),
        community.result("L5", facility="ELSEWHERE"): ("MSH-4", "AE"),
        community.result(""): ("MSH-10", "AE"),
        b"\r" + community.result("L6"): ("MSH", "AE"),
    }
    for body, (place, expected) in cases.items():
        assert code(await house.receive(body)) == expected
        kept = house.entries()[-1]
        assert (kept.state, kept.place) == ("refused", place)
        assert kept.cause
        found = house.ledger.entry(kept.id)
        assert found is not None
        assert found[1].frame.body == body
    house.process()
    assert house.counts() == {}


async def test_the_same_message_is_taken_once_and_answered_twice(house: House) -> None:
    answers = [await house.receive(community.result("L1")) for _ in range(3)]
    assert [code(answer) for answer in answers] == ["AA", "AA", "AA"]
    assert len(house.entries()) == 1


async def test_the_same_number_with_other_bytes_is_another_message(house: House) -> None:
    await house.walk(community.result("L1", report="F1"), community.result("L1", report="F2"))
    assert [line.flags for line in house.entries()] == ["", "reused"]
    assert len(house.search("DiagnosticReport")) == 2


async def test_a_large_message_is_read_beside_the_loop(house: House) -> None:
    """Another message is answered while 20 MB are decoded."""
    note = b"NTE|1||" + b"x" * 20_000_000 + b"\r"
    answer = await house.receive(community.result("BIG") + note)
    assert code(answer) == "AA"
    assert house.entries()[0].size > 20_000_000


# ------------------------------------------------------------------------------------------------ the worker


async def test_what_a_message_becomes(house: House) -> None:
    (line,) = await house.walk(community.result("L1", report="F1"))
    assert (line.state, line.member, line.kind, line.transaction) == ("done", "lab", "ORU^R01", 1)
    counts = house.counts()
    expected = ("Patient", "ServiceRequest", "DiagnosticReport", "Observation", "Provenance", "MessageHeader")
    assert [counts.get(kind) for kind in expected] == [1] * 6
    assert house.search("Observation")[0]["valueQuantity"]["value"] == Decimal("6.8")


@pytest.mark.parametrize("processing", ["T", "D", "N"])
async def test_a_training_message_never_enters_the_record(house: House, processing: str) -> None:
    """MSH-11, table 0103: acknowledged like any other, checked, and goes no further."""
    (line,) = await house.walk(community.result("L1", processing=processing))
    assert (line.state, line.transaction) == ("done", None)
    assert house.counts() == {}
    assert house.owed() == []


async def test_a_message_type_without_a_map_flows_once_it_has_one(house: House, tmp_path: Path) -> None:
    unknown = community.result("L1", report="F1", kind="ORU^R99^ORU_R99")
    assert code(await house.receive(unknown)) == "AR"
    house.process()
    assert states(house.entries()) == ["refused"]
    own = tmp_path / "maps"
    own.mkdir()
    (own / "point_of_care.map").write_text(
        "message ORU_R99 for Patient once Practitioner Organization\n  events ORU_R99\n"
        "  : MSH SFT* PID [PD1] [PV1] ([ORC] OBR NTE* (OBX NTE*)*)*\n",
        "utf-8",
    )
    house.use(own)
    assert house.ledger.replay([house.entries()[0].id]) == [2]
    house.process()
    assert states(house.entries()) == ["refused", "done"]
    assert house.counts()["Patient"] == 1


async def test_a_doubtful_patient_waits_and_nobody_behind_does(house: House) -> None:
    """The same number with another name, birth date and sex: a person decides; what comes after it flows."""
    other = community.result("L2", number="C1", report="F2", name="钱^七").replace(b"19720608|M", b"19910101|F")
    lines = await house.walk(
        community.result("L1", number="C1", report="F1"),
        other,
        community.result("L3", number="C1", report="F3"),
        community.result("L4", number="C2", report="F4", name="孙^八"),
    )
    assert states(lines) == ["done", "parked", "done", "done"]
    assert (lines[1].place, lines[1].error) == ("Patient", "Configuration")
    assert "钱" not in lines[1].cause
    assert house.search("DiagnosticReport?identifier=F2") == []
    assert house.ledger.replay([lines[1].id]) == [lines[1].id]
    house.process()
    assert states(house.entries())[1] == "parked"  # nothing was mended: it is asked again


async def test_a_failing_message_undoes_only_itself(house: House) -> None:
    """An error that nobody foresaw, in the middle of owing: neither the record nor the outbox keeps anything of it."""

    class Failing(Outbox):
        def owe(self, transaction: Transaction, subscription: str, key: str, change: Change) -> int:
            (body,) = transaction.execute("SELECT body FROM resource WHERE id = ?", (change.id,))[0]
            if b"F2" in body:
                raise RuntimeError("what nobody foresaw")
            return super().owe(transaction, subscription, key, change)

    await house.receive(community.result("L1", number="C1", report="F1"))
    await house.receive(community.result("L2", number="C2", report="F2", name="钱^七"))
    await house.receive(community.result("L3", number="C3", report="F3", name="孙^八"))
    house.process(outbox=Failing())
    assert states(house.entries()) == ["done", "parked", "done"]
    assert [line.error for line in house.entries()] == ["", "RuntimeError", ""]
    assert len(house.search("DiagnosticReport")) == 2
    owed = [each for each in house.owed() if each.subscription == "county-laboratory"]
    assert len(owed) == 2


class Later(datetime):
    """The clock, two minutes on."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(minutes=2)


async def test_messages_of_one_patient_stay_in_order_when_one_is_held_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked database at the first of three: its own patient waits behind it, another does not."""
    failing = iter([True])

    def ahead(_entry: int) -> None:
        if next(failing, False):
            locked = Transient("the database is locked")
            locked.wait = 60.0  # seconds
            raise locked

    for number, patient, value in ((1, "C1", "1.0"), (2, "C2", "2.0"), (3, "C1", "3.0")):
        name = "赵^六" if patient == "C1" else "孙^八"
        await house.receive(
            community.result(f"L{number}", number=patient, report=f"F{patient}", name=name, value=value)
        )
    drain = house.drain(made_ahead=ahead)
    while drain.once():
        pass
    assert states(house.entries()) == ["waiting", "done", "waiting"]
    monkeypatch.setattr(worker, "datetime", Later)
    while drain.once():
        pass
    assert states(house.entries()) == ["done", "done", "done"]
    values = [each["valueQuantity"]["value"] for each in house.search("Observation?_sort=_lastUpdated")]
    assert values == [2, 3]


async def test_rows_that_are_set_aside_are_held_and_the_others_stored(house: House) -> None:
    body = community.export(("S1", "QH1", "5.0")) + "12529901MB990011XK,清河\r\n".encode("gb18030")
    (line,) = await house.walk(body, channel="qinghe-lab")
    assert (line.state, line.place) == ("parked", "line 3")
    assert len(house.search("DiagnosticReport")) == 1
    assert house.ledger.replay([line.id]) == [line.id]
    house.process()
    assert states(house.entries()) == ["parked"]
    assert len(house.search("DiagnosticReport")) == 1


async def test_fhir_is_checked_at_the_door(house: House) -> None:
    good = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}], "gender": "male"}
    assert await house.receive(json.dumps(good).encode(), channel="imaging-reports") == b""
    for wrong in ({**good, "gender": "m"}, {"resourceType": "Patientt"}, [], {**good, "nonsense": 1}):
        answer = json.loads(await house.receive(json.dumps(wrong).encode(), channel="imaging-reports"))
        assert answer["issue"][0]["severity"] == "error"
    house.process()
    assert states(house.entries()) == ["done"] + ["refused"] * 4


async def test_messages_in_files_are_taken_without_a_word_and_refused_with_one(house: House) -> None:
    """A folder reads any word as a refusal: an AA would bring a good file to `error`."""
    good, bad = community.registration(), community.registration("R2").replace(b"ADT^A04", b"^")
    assert await house.receive(good, channel="qinghe-messages", peer="a.hl7@1") == b""
    assert await house.receive(good + community.registration("R3"), channel="qinghe-messages", peer="b.hl7@1") == b""
    assert (await house.receive(bad, channel="qinghe-messages", peer="c.hl7@1")).startswith(b"MSH-9: ")
    mixed = await house.receive(good + bad, channel="qinghe-messages", peer="d.hl7@1")
    assert mixed.startswith(b"1 of 2")
    assert b"MSH|" not in mixed
    house.process()
    assert states(house.entries()) == ["done"] * 3 + ["refused", "done", "refused"]


async def test_an_upload_that_comes_again_is_stored_once_and_answered_as_before(house: House) -> None:
    good = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}], "gender": "male"}
    wrong = {"resourceType": "Patient", "gender": "unheard-of"}
    for resource in (good, wrong):
        body = json.dumps(resource).encode()
        answers = [
            await house.receive(body, channel="imaging-reports", identity=each)
            for each in ("upload a", "upload a", "upload b")
        ]
        assert len(set(answers)) == 1
    house.process()
    assert states(house.entries()) == ["done", "done", "refused", "refused"]


async def test_an_open_community_takes_senders_that_nobody_confirmed(tmp_path: Path) -> None:
    house = House(tmp_path, everybody=True)
    try:
        (line,) = await house.walk(community.result("X1", facility="NEWCOMER", report="F1"))
        assert (line.state, line.member) == ("done", "NEWCOMER")
    finally:
        house.close()


# ------------------------------------------------------------------------------------------------ who is owed


async def test_who_asked_for_it_is_owed_it_and_its_sender_is_not(house: House) -> None:
    await house.walk(community.result("L1", report="F1"))
    assert {each.subscription for each in house.owed()} == {"county-laboratory", "clinic-patients"}
    await house.walk(community.result("L2", report="F2", number="K1", facility="COUNTY"))
    assert [each.subscription for each in house.owed()].count("county-laboratory") == 1


async def test_a_result_of_ones_own_order_comes_home(house: House) -> None:
    """`only: placed-here` by the order's placer number; the county's laboratory did the work."""
    await house.walk(community.registration("R1"), community.order("O1", placer="QX1"))
    answer = community.result("L1", report="F1", number="K1", facility="COUNTY", name="周^小䶮")
    answer = answer.replace(b"PF1", b"QX1^HIS2008").replace(b"19720608", b"19680315")
    await house.walk(answer.replace(b"K1^^^COUNTY^PI", b"QH1^^^QINGHE^PI"))
    assert [each.subscription for each in house.owed() if each.reference.startswith("Diag")] == ["qinghe-reports"]


async def test_deliveries_of_a_patient_share_a_key(house: House) -> None:
    await house.walk(community.result("L1", report="F1"), community.result("L2", report="F2"))
    keys = {each.key for each in house.owed()}
    assert keys == {f"Patient/{house.search('Patient')[0]['id']}"}


async def test_the_same_again_owes_nothing_new(house: House) -> None:
    """Another control id, the same content: no new version, no delivery."""
    await house.walk(community.result("L1", report="F1"))
    before = len(house.owed())
    await house.walk(community.result("L2", report="F1"))
    assert len([each for each in house.owed() if each.reference.startswith("Patient")]) == 1
    assert len(house.owed()) == before


def test_what_routing_goes_by(house: House) -> None:
    assert asked_for(house.community) == {"DiagnosticReport", "ServiceRequest", "Patient"}
    assert patient_of({"resourceType": "Patient", "id": "p"}) == "Patient/p"
    assert patient_of({"resourceType": "Task", "for": {"reference": "Patient/p"}}) == "Patient/p"
    assert patient_of({"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/p"}}) == "Patient/p"
    assert patient_of({"resourceType": "Organization"}) == ""


# ------------------------------------------------------------------------------------------------ batches


async def test_every_message_of_a_batch_is_an_entry_with_an_answer(house: House) -> None:
    """HL7 v2.5.1 §2.10.3: a bad message stops nobody, and each is acknowledged in its place."""
    bad = community.result("L2").replace(b"PID|", b"PIX|")
    body = (
        b"BHS|^~\\&|LIS|LAB|||||||B7\r"
        + community.result("L1", report="F1")
        + bad
        + community.result("L3", report="F3")
        + b"BTS|4\r"
    )
    answer = await house.receive(body)
    assert answer.startswith(b"BHS|^~\\&|HUTONG||||||||||B7\r")
    assert answer.endswith(b"BTS|3\r")
    assert [line[4:6] for line in answer.split(b"\r") if line.startswith(b"MSA")] == [b"AA", b"AE", b"AA"]
    entries = house.entries()
    assert states(entries) == ["waiting", "refused", "waiting"]
    found = house.ledger.entry(entries[1].id)
    assert found is not None
    assert found[1].frame.body == bad
    house.process()
    assert len(house.search("DiagnosticReport")) == 2


async def test_a_batch_that_comes_again_changes_nothing(house: House) -> None:
    body = b"BHS|^~\\&|\r" + community.result("L1") + community.result("L2") + b"BTS|2\r"
    assert await house.receive(body) != await house.receive(b"")
    await house.receive(body)
    assert [line.control_id for line in house.entries() if line.control_id] == ["L1", "L2"]


async def test_bhs_4_names_the_member_of_messages_that_do_not(house: House) -> None:
    """HL7 v2.5.1 §2.15.2.4. What a message says itself counts more."""
    own = community.result("L1", report="F1")
    silent = community.result("L2", report="F2", facility="")
    batch = b"FHS|^~\\&|X|ELSEWHERE\rBHS|^~\\&|LIS|COUNTY^1.2^ISO\r" + own + silent + b"BTS|2\rFTS|1\r"
    answer = await house.receive(batch)
    assert [line[4:6] for line in answer.split(b"\r") if line.startswith(b"MSA")] == [b"AA", b"AA"]
    assert [line.member for line in house.entries()] == [
        house.community.member_of_facility(each).id  # type: ignore[union-attr]
        for each in (hl7v2.decode(own).header.sending_facility, "COUNTY")
    ]
    assert code(await house.receive(silent)) == "AE"


async def test_a_message_in_xml_is_a_message(house: House) -> None:
    """HL7 v2.xml: the same maps, and the bytes as they came in the journal."""
    body = hl7v2_xml_writer.write(hl7v2.decode(community.result("L1", report="F1")).segments)
    assert code(await house.receive(body)) == "AA"
    found = house.ledger.entry(house.entries()[0].id)
    assert found is not None
    assert found[1].frame.body == body
    house.process()
    assert len(house.search("DiagnosticReport")) == 1


# ------------------------------------------------------------------------------------------------ visits

VISIT = (
    "MSH|^~\\&|HIS|COUNTY|||20260312080{number}||ADT^{event}|V{number}|P|2.5.1|||||CHN|UNICODE UTF-8\r"
    "EVN|{event}|20260312080{number}\rPID|1||300001^^^COUNTY^PI||张^伟||19750618|M\r{more}"
    "PV1|1|I|内科^^3床||||||||||||||||{visit}^^^COUNTY^VN\r{last}"
)


async def test_a_cancelled_plan_to_discharge_takes_the_planned_end_away(house: House) -> None:
    """A16 plans it (PV2-9), A25 cancels it (HL7 v2.5.1 §3.3.25)."""
    planned = VISIT.format(number=100, event="A16", more="", visit="V1", last="PV2|||||||||20260320\r")
    await house.walk(planned.encode())
    (visit,) = house.search("Encounter")
    assert any(each["url"].endswith("plannedEndDate") for each in visit["extension"])
    await house.walk(VISIT.format(number=200, event="A25", more="", visit="V1", last="").encode())
    (visit,) = house.search("Encounter")
    assert not any(each["url"].endswith("plannedEndDate") for each in visit.get("extension", ()))


async def test_an_outpatient_who_stays_keeps_the_visit(house: House) -> None:
    """A06 with MRG-5: the visit goes on under a new number (HL7 v2.5.1 §3.3.6)."""
    await house.walk(VISIT.format(number=100, event="A04", more="", visit="O1", last="").replace("|I|", "|O|").encode())
    more = "MRG|300001^^^COUNTY^PI||||O1^^^COUNTY^VN\r"
    await house.walk(VISIT.format(number=200, event="A06", more=more, visit="V1", last="").encode())
    (visit,) = house.search("Encounter")
    assert {each["value"] for each in visit["identifier"]} >= {"O1", "V1"}
    assert visit["class"]["code"] == "IMP"


async def test_a_problem_that_was_taken_back_and_is_stated_again_is_a_problem(house: House) -> None:
    """PRB-1 DE, then AD (HL7 v2.5.1 §12.4.4)."""

    def told(event: str, action: str, at: str) -> bytes:
        head = f"MSH|^~\\&|EMR|COUNTY|||{at}||PPR^{event}^PPR_PC1|P{at}|P|2.5.1|||||CHN|UNICODE UTF-8\r"
        return f"{head}PID|1||300001^^^COUNTY^PI||张^伟\rPRB|{action}|{at}|I10^高血压^I10|PRB55^EMR\r".encode()

    def states_of_it() -> tuple[str, str]:
        (found,) = house.search("Condition")
        course, certainty = (
            found.get(name, {}).get("coding", [{}])[0].get("code", "")
            for name in ("clinicalStatus", "verificationStatus")
        )
        return course, certainty

    await house.walk(told("PC1", "AD", "20260312080000"))
    assert states_of_it() == ("active", "")
    await house.walk(told("PC3", "DE", "20260313080000"))
    assert states_of_it() == ("", "entered-in-error")
    await house.walk(told("PC1", "AD", "20260314080000"))
    assert states_of_it() == ("active", "")


async def test_messages_of_a_soap_string_are_read_by_their_mark(house: House) -> None:
    """What an envelope carried is UTF-8 with a byte order mark, whatever MSH-18 or the member's rule say; XML made LF
    of its line ends (XML 1.0 §2.11)."""
    body = community.registration().decode("gb18030").replace("\r", "\n").encode("utf-8-sig")
    assert code(await house.receive(body)) == "AA"
    house.process()
    assert states(house.entries()) == ["done"]
    (patient,) = house.search("Patient")
    assert patient["name"][0]["text"] == "周小䶮"
