"""FHIR → bytes: each delivery in its receiver's own terms, the same on every attempt, as the record stood then."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from conformance.message import Message
from gateway.codec import hl7v2, workbook, xml_tree
from gateway.codec import json as json_tree
from gateway.errors import Configuration, HutongError
from gateway.fhir import json as fhir_json
from gateway.fhir import validate
from gateway.model import Change, Delivery, FileForm, Member, Resource, Subscription, Table
from gateway.outbound import Dispatcher, transaction
from gateway.transport import sender
from gateway.transport.memory import MemorySender
from tests import community
from tests.rooms import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def line(house: House, name: str) -> tuple[Member, Subscription]:
    """A subscription and whose it is."""
    return next(
        (member, each)
        for member in house.community.members.values()
        for each in member.subscriptions
        if each.id == name
    )


def dispatcher(house: House, name: str, **changes: object) -> Dispatcher:
    """What sends to one subscription; `changes` are settings of it."""
    member, subscription = line(house, name)
    return Dispatcher(
        community=house.community,
        maps=house.formats.maps,
        record=house.store,
        engine=house.record,
        member=member,
        subscription=msgspec.structs.replace(subscription, **changes),
        sender=MemorySender(),
    )


def owed(house: House, name: str) -> list[Delivery]:
    """What is owed to a subscription, as the worker would take it; also what waits behind another."""
    found = []
    for each in house.owed():
        if each.subscription == name:
            kind, _, id_ = each.reference.partition("/")
            with house.record.reading() as reader:
                (number,) = reader.execute("SELECT committed FROM delivery WHERE id = ?", (each.id,))[0]
            change = changed(kind, id_, each.version, number)
            found.append(
                Delivery(id=each.id, subscription=name, key=each.key, change=change, idempotency=each.idempotency)
            )
    return found


def changed(kind: str, id_: str, version: int, number: int) -> Change:
    """A version of a resource, written by a record transaction."""
    return Change(type=kind, id=id_, version=version, transaction=number, interaction="update")


async def test_a_result_in_the_receivers_charset_version_and_numbers(house: House) -> None:
    await house.walk(community.registration("R1"), community.order("O1", placer="QX1"))
    answer = community.result("L1", report="F1", number="K1", facility="COUNTY", name="周^小䶮")
    answer = answer.replace(b"PF1", b"QX1^HIS2008").replace(b"19720608", b"19680315")
    await house.walk(answer.replace(b"K1^^^COUNTY^PI", b"QH1^^^QINGHE^PI"))
    (delivery,) = owed(house, "qinghe-reports")
    message = Message("", dispatcher(house, "qinghe-reports").write(delivery))
    assert message.body.decode("gb18030")
    assert "周小䶮".encode("gb18030") in message.body
    assert (message.kind, message.one("MSH", 12), message.one("MSH", 18)) == ("ORU^R01", "2.4", "GB 18030-2000")
    assert (message.one("MSH", 4), message.one("MSH", 5), message.one("MSH", 6)) == ("sanhe", "HIS2008", "QINGHE")
    assert (message.patient, message.order, message.results) == ("QH1", "QX1", ["6.8"])
    assert message.control_id == delivery.idempotency
    assert len(message.control_id) == 20  # HL7 v2.5.1 §2.14.9.10


async def test_every_attempt_sends_the_same_bytes(house: House) -> None:
    await house.walk(community.result("L1", report="F1"))
    (delivery,) = owed(house, "county-laboratory")
    first, second = (dispatcher(house, "county-laboratory").write(delivery) for _ in range(2))
    assert first == second
    sending = dispatcher(house, "county-laboratory")
    assert (await sending.send(delivery)).code == "AA"
    assert sending.sender.taken == {delivery.idempotency: first}  # type: ignore[attr-defined]


async def test_a_preliminary_report_leaves_as_it_was(house: House) -> None:
    """Although the final one is known already: each delivery shows the record as of its own change."""
    early = community.result("L1", report="F1", value="6.8").replace(b"|LAB|F\r", b"|LAB|P\r")
    await house.walk(early.replace(b"|H|||F|", b"|H|||P|"), community.result("L2", report="F1", value="7.1"))
    deliveries = owed(house, "county-laboratory")
    assert len(deliveries) == 1  # the county did not ask for preliminary ones
    county = dispatcher(house, "county-laboratory")
    assert Message("", county.write(deliveries[0])).results == ["7.1"]
    first = replace(deliveries[0], change=changed("DiagnosticReport", deliveries[0].change.id, 1, 1))
    message = Message("", county.write(first))
    assert (message.results, message.one("OBR", 25)) == (["6.8"], "P")


async def test_a_bundle_that_any_server_can_take_twice(house: House) -> None:
    await house.walk(community.result("L1", report="F1"))
    (delivery,) = owed(house, "county-laboratory")
    bundle = json.loads(dispatcher(house, "county-laboratory", format="fhir", message="bundle").write(delivery))
    validate.check_bundle(bundle)
    assert bundle["type"] == "transaction"
    requests = {each["resource"]["resourceType"]: each["request"] for each in bundle["entry"]}
    assert requests["DiagnosticReport"]["method"] == "PUT"
    assert requests["DiagnosticReport"]["url"].startswith("DiagnosticReport?identifier=urn:hutong:key|")
    assert requests["Patient"]["url"] == "Patient?identifier=urn:hutong:id:LAB:PI|C1"
    urls = {each["fullUrl"] for each in bundle["entry"]}
    report = next(
        each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "DiagnosticReport"
    )
    assert report["subject"]["reference"] in urls
    assert {each["reference"] for each in report["result"]} <= urls
    assert "id" not in report
    assert "meta" not in report


def test_what_has_no_number_goes_by_its_id() -> None:
    header: Resource = {
        "resourceType": "MessageHeader",
        "id": "h1",
        "eventUri": "urn:x",
        "source": {"endpoint": "urn:x"},
    }
    (entry,) = transaction({"MessageHeader/h1": header})["entry"]
    assert entry["request"] == {"method": "PUT", "url": "MessageHeader/h1"}


async def test_a_resource_as_it_is(house: House) -> None:
    await house.walk(community.result("L1", report="F1", value="6.80"))
    (delivery,) = owed(house, "clinic-patients")
    body = dispatcher(house, "clinic-patients").write(delivery)
    patient = fhir_json.loads(body)
    assert patient["id"] == delivery.change.id
    assert body == house.store.read("Patient", patient["id"]).body  # type: ignore[union-attr]


async def test_a_table_in_the_receivers_charset(house: House) -> None:
    await house.walk(community.result("L1", report="F1", value="6.80"))
    (delivery,) = owed(house, "county-laboratory")
    changes = {"format": "delimited", "message": "laboratory-results"}
    profile = msgspec.structs.replace(line(house, "county-laboratory")[0].profile, charset="GB18030")
    text = dispatcher(house, "county-laboratory", profile=profile, **changes).write(delivery).decode("gb18030")
    header, row = text.splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert (cells["姓名"], cells["项目名称"], cells["结果"]) == ("赵六", "钾", "6.80")


async def test_rows_for_a_middle_table_and_what_was_withdrawn(house: House, tmp_path: Path) -> None:
    """The whole way: a result, then the same withdrawn, each a row in the receiver's own columns."""
    wrong = community.result("L2", report="F1", value="6.80").replace(b"|LAB|F\r", b"|LAB|X\r")
    await house.walk(community.result("L1", report="F1", value="6.80"), wrong)
    (first,) = owed(house, "county-laboratory")  # which did not ask for withdrawn ones
    with sqlite3.connect(tmp_path / "middle.db") as middle:
        middle.execute("CREATE TABLE JYJG(jhlsh TEXT, xm TEXT, jg TEXT, cxbz TEXT, PRIMARY KEY (jhlsh, xm))")
    columns = {"项目名称": "xm", "结果": "jg"}
    wish = {"transport": "database", "format": "rows", "message": "laboratory-results"}
    wish |= {"address": f"sqlite:///{tmp_path}/middle.db"}
    county = dispatcher(
        house,
        "county-laboratory",
        table=Table(name="JYJG", columns=columns, delivery="jhlsh", withdrawn="cxbz"),
        **wish,
    )
    county = replace(county, sender=sender(county.subscription, tmp_path))
    version = house.store.read("DiagnosticReport", first.change.id)
    assert version is not None
    later = changed("DiagnosticReport", first.change.id, version.version, version.transaction)
    second = replace(first, idempotency="K2", change=later)
    assert [(await county.send(each)).code for each in (first, first, second)] == ["written", "there", "written"]
    with sqlite3.connect(tmp_path / "middle.db") as middle:
        found = middle.execute("SELECT xm, jg, cxbz FROM JYJG ORDER BY cxbz").fetchall()
    assert found == [("钾", "6.80", "0"), ("钾", "6.80", "1")]
    await county.sender.close()


@pytest.mark.parametrize("form", ["workbook", "xml", "json"])
async def test_the_same_table_in_every_form(house: House, form: str) -> None:
    await house.walk(community.result("L1", report="F1", value="6.80"))
    (delivery,) = owed(house, "county-laboratory")
    file = FileForm(rows="结果/行", sheet="检验", titles=("检验结果",), times="YYYYMMDDHHmmss")
    profile = msgspec.structs.replace(line(house, "county-laboratory")[0].profile, charset="GBK", file=file)
    write = dispatcher(house, "county-laboratory", profile=profile, format=form, message="laboratory-results").write
    body = write(delivery)
    assert body == write(delivery)
    if form == "workbook":
        (cells,) = workbook.decode(body)[0].rows
    else:
        tree = xml_tree.decode(body) if form == "xml" else json_tree.decode(body, "GBK")
        row = tree.root["结果"]["行"]
        (cells,) = row if form == "json" else [row]
    assert (cells["姓名"], cells["项目名称"], cells["结果"]) == ("赵六", "钾", "6.80")
    assert (len(cells["报告时间"]), cells["报告时间"].isdecimal()) == (14, True)


async def test_a_merge_names_both_patients(house: House) -> None:
    merge = (
        "MSH|^~\\&|HIS|COUNTY|HUTONG|sanhe|20260312150000||ADT^A40^ADT_A39|M1|P|2.5.1|||||CHN|UNICODE UTF-8\r"
        "EVN|A40|20260312150000\rPID|1||K1^^^COUNTY^PI||赵^六||19720608|M\rMRG|K2^^^COUNTY^PI\r"
    ).encode()
    await house.walk(
        community.result("L1", report="F1", number="K1", facility="COUNTY"),
        community.result("L2", report="F2", number="K2", facility="COUNTY"),
        merge,
    )
    (living,) = house.search("Patient?identifier=K1")
    delivery = next(each for each in owed(house, "clinic-patients")[::-1] if each.change.id == living["id"])
    changes = {"format": "hl7v2", "message": "ADT_A39", "event": "A40"}
    message = Message("", dispatcher(house, "clinic-patients", **changes).write(delivery))
    assert (message.kind, message.patient, message.one("MRG", 1, 1)) == ("ADT^A40", "K1", "K2")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "json"}, "no export map is called ORU_R01"),
        ({"format": "workbook", "message": "ORU_R01"}, "no export map"),
        ({"format": "hl7v2", "message": "ORU_R99"}, "ORU_R99"),
        ({"format": "delimited", "message": "no-such-map"}, "no-such-map"),
    ],
)
async def test_what_cannot_be_written_waits_for_a_person(house: House, changes: dict[str, str], words: str) -> None:
    await house.walk(community.result("L1", report="F1"))
    (delivery,) = owed(house, "county-laboratory")
    with pytest.raises(HutongError, match=words):
        dispatcher(house, "county-laboratory", **changes).write(delivery)


async def test_what_is_gone_is_said(house: House) -> None:
    await house.walk(community.result("L1", report="F1"))
    (delivery,) = owed(house, "county-laboratory")
    gone = replace(delivery, change=changed("DiagnosticReport", "nowhere", 1, 1))
    with pytest.raises(Configuration, match="no longer holds"):
        dispatcher(house, "county-laboratory").write(gone)


async def test_what_the_event_was_is_said_again(house: House) -> None:
    """EVN-4 to EVN-7 and the protection of the message that made the change, not those of another."""
    head = "MSH|^~\\&|HIS|COUNTY|||20260312080000|V|ADT^{event}|{number}|P|2.5.1|||||CHN|UNICODE UTF-8\r"
    body = "EVN|{event}|20260312080000||{reason}|9001^赵^敏|20260312075500|COUNTY\r"
    body += "PID|1||300001^^^COUNTY^PI||张^伟||19750618|M\rPV1|1|I|内科^^3床||||||||||||||||V1^^^COUNTY^VN\r"
    for number, (event, reason) in enumerate((("A01", "01"), ("A03", "02")), 1):
        await house.walk((head + body).format(event=event, number=number, reason=reason).encode())
    (visit,) = house.store.search("Encounter", "").matches
    for version, event, reason in ((1, "A01", "01"), (2, "A03", "02")):
        stored = house.store.vread("Encounter", visit.id, version)
        assert stored is not None
        change = changed("Encounter", visit.id, version, stored.transaction)
        made = dispatcher(house, "county-laboratory", message="ADT_A01")
        written = made.write(Delivery(id=1, subscription="x", key="", change=change, idempotency="N1"))
        (evn,) = [each for each in hl7v2.decode(written).segments if each[0] == "EVN"]
        assert evn[1:3] == [event, "20260312080000"]
        assert evn[4:] == [reason, "9001^赵^敏", "20260312075500", "COUNTY"]
        assert hl7v2.decode(written).segments[0][8] == "V"
