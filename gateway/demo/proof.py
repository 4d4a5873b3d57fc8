"""What must hold at the end of the day: at every receiver, in the record, in the gateway's own books.

The numbers and texts that are expected here are those of papers/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.demo import paper
from gateway.demo.day import ORDER, REFERRAL, Cast
from gateway.demo.inbox import DemoError
from gateway.demo.paper import Message
from gateway.errors import Permanent
from gateway.fhir import validate

TOWNSHIP: Final = "12529901MB990011XK"
COUNTY: Final = "12529901MB9900013D"
NATIONAL: Final = "urn:oid:2.16.156.10011.1.3"
RECORD: Final[Mapping[str, int]] = {  # the whole record after the day
    "Patient": 5, "Encounter": 6, "ServiceRequest": 4, "DiagnosticReport": 3, "Observation": 7, "Specimen": 2,
    "Task": 1, "Condition": 1, "Organization": 4,
}  # fmt: skip

BOOKS: Final[Mapping[str, int]] = {  # what was taken on each channel and sent to each subscription
    "mllp": 5, "imaging-reports": 3, "shangqiao-referrals": 1, "shiqiao-laboratory": 1,
    "shiqiao-reports": 3, "imaging-orders": 1, "qinglan-laboratory": 2, "qinglan-referrals": 1, "shangqiao-results": 1,
}  # fmt: skip


def claims(cast: Cast) -> list[tuple[str, str]]:
    """(claim, why it does not hold); "" where it does. All are looked at, also when one fails."""
    return [(claim, _fault(check, cast)) for claim, check in CLAIMS]


def _fault(check: Callable[[Cast], None], cast: Cast) -> str:
    try:
        check(cast)
    except (DemoError, Permanent) as error:
        return str(error)
    except (LookupError, TypeError, ValueError) as error:
        return f"what was looked for is not there ({type(error).__name__}: {error})"
    return ""


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise DemoError(f"{what}: expected {expected!r}, found {found!r}")


# ------------------------------------------------------------------------------------------------- township


def _reports_in_order(cast: Cast) -> None:
    texts = paper.report_texts()
    reports = cast.township.inbox.all()
    _same([each.one("MSH", 9, 1) + each.one("OBR", 25) for each in reports], ["ORUP", "ORUF", "ORUC"], "reports")
    for report, said in zip(reports, texts, strict=True):
        _same(report.all("OBX", 3, 1), ["18782-3", "19005-8"], "findings and impression")
        _same(report.all("OBX", 5), [said["findings"], said["impression"]], f"texts of the {said['status']} report")


def _township_charset(cast: Cast) -> None:
    for report in cast.township.inbox.all():
        _same((report.one("MSH", 12), report.one("MSH", 18)), ("2.4", "GB 18030-2000"), "version and charset")
        if "王䶮".encode("gb18030") not in report.body or _is_utf8(report.body):
            raise DemoError("the bytes are not GB18030")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _township_numbers(cast: Cast) -> None:
    for report in cast.township.inbox.all():
        order = "SQX20260312001^JCHIS"
        _same((report.one("ORC", 2), report.one("OBR", 2)), (order, order), "placer numbers ORC-2, OBR-2")
        _same(report.one("OBR", 3), "CT20260312018^CTNO", "the imaging centre's number OBR-3")
        _same(report.one("OBR", 4), "XM05^胸部CT平扫^L", "the township's own item code OBR-4")
        _same(report.one("PID", 3).split("~")[0], f"SQ000101^^^{TOWNSHIP}^PI", "its own patient number PID-3")
        _same((report.one("MSH", 6), report.one("PID", 5, 1)), (TOWNSHIP, "王䶮"), "receiver and patient")


# ------------------------------------------------------------------------------------------------- imaging


def _one_order(cast: Cast) -> None:
    orders = cast.imaging.inbox.all()
    _same(len(orders), 1, "orders at the imaging centre, after the township had sent it twice")
    validate.check_bundle(orders[0])
    (request,), (patient,) = (paper.resources(orders[0], kind) for kind in ("ServiceRequest", "Patient"))
    _same(request["identifier"][0]["value"], "SQX20260312001", "the township's order number")
    _same((request["code"]["text"], request["status"]), ("胸部CT平扫", "active"), "what is ordered")
    _same((patient["name"][0]["text"], patient["birthDate"]), ("王䶮", "1968-03-15"), "for whom")


# -------------------------------------------------------------------------------------------------- county


def _results(cast: Cast) -> dict[str, Message]:
    return {each.one("OBR", 2, 1): each for each in cast.county.inbox.all() if each.one("MSH", 9, 1) == "ORU"}


def _county_results(cast: Cast) -> None:
    found = _results(cast)
    _same(sorted(found), ["SQL202603120001", "SQL202603120002"], "laboratory reports")
    blood, salts = found["SQL202603120001"], found["SQL202603120002"]
    for each in (blood, salts):
        _same((each.one("MSH", 12), each.one("MSH", 18)), ("2.5.1", "UNICODE UTF-8"), "version and charset")
        _same(each.one("MSH", 6), COUNTY, "receiver MSH-6")
    _same(blood.one("PID", 5, 1), "热依汗古丽·艾合买提", "the name with its dot")
    _same(blood.all("OBX", 5), ["5.60", "82", "312"], "results, digit for digit")
    _same(blood.all("OBX", 6), [r"10\S\9/L", "g/L", r"10\S\9/L"], "units")
    _same(blood.all("OBX", 8), ["N", "L", "N"], "flags")
    _same((salts.all("OBX", 5)[0], salts.all("OBX", 8)[0]), ("6.8", "HH"), "the critical potassium 危急值")


def _county_referral(cast: Cast) -> None:
    (order,) = [each for each in cast.county.inbox.all() if each.one("MSH", 9, 1) == "ORM"]
    _same(order.one("ORC", 1), "NW", "order control")
    _same(order.one("ORC", 2), "ZZ529901202603120007^ZZD", "the referral's number ORC-2")
    _same(order.one("PID", 5, 1), "热依汗古丽·艾合买提", "patient")
    _same(order.one("DG1", 3), "D50.900^缺铁性贫血^ICD-10-CN", "the first impression")
    _same(order.all("NTE", 3)[0], "主诉：头晕、乏力3月。", "the complaint")


# ------------------------------------------------------------------------------------------------- village


def _village_results(cast: Cast) -> None:
    files = sorted(cast.clinic_out.glob("*.csv"))
    _same(len(files), 1, "files for the clinic: only its own patient is its business")
    body = files[0].read_bytes()
    if _is_utf8(body) or "热依汗古丽·艾合买提".encode("gb18030") not in body:
        raise DemoError("the bytes are not GB18030")
    rows = paper.rows(body, "gb18030")
    _same({row["病人ID"] for row in rows}, {"HT0007"}, "the clinic's own patient number")
    _same({row["申请单号"] for row in rows}, {"SQL202603120001"}, "the township's order number")
    _same([(row["英文缩写"], row["结果"]) for row in rows], [("WBC", "5.60"), ("HGB", "82"), ("PLT", "312")], "results")
    _same((rows[1]["单位"], rows[1]["参考范围"], rows[1]["异常提示"]), ("g/L", "115-150", "↓"), "unit, range and mark")


# -------------------------------------------------------------------------------------------------- record


def _counts(cast: Cast) -> None:
    _same({kind: cast.service.count(kind) for kind in RECORD}, dict(RECORD), "resources")


def _history(cast: Cast) -> None:
    (report,) = cast.service.search("DiagnosticReport?identifier=http://imaging.qinglan.example/report|CT20260312018")
    entries = cast.service.get(f"/fhir/DiagnosticReport/{report['id']}/_history")["entry"]
    states = [each["resource"]["status"] for each in reversed(entries)]
    _same(states, ["preliminary", "final", "corrected"], "versions of the report")
    _same(report["conclusion"], paper.report_texts()[2]["impression"], "the present impression")
    (order,) = cast.service.search(f"ServiceRequest?identifier={ORDER}")
    _same(report["basedOn"][0]["reference"], f"ServiceRequest/{order['id']}", "its order")


def _one_person(cast: Cast) -> None:
    numbers = (
        f"{NATIONAL}|52990119850921002X",
        "urn:hutong:id:52529901MB9900478M:PI|HT0007",
        f"urn:hutong:id:{TOWNSHIP}:PI|SQ000207",
    )
    found = [cast.service.search(f"Patient?identifier={number}") for number in numbers]
    _same([len(each) for each in found], [1, 1, 1], "patients by each number")
    _same(len({each[0]["id"] for each in found}), 1, "persons behind the three numbers")


def _merged(cast: Cast) -> None:
    system = f"urn:hutong:id:{COUNTY}:PI"
    (kept,) = cast.service.search(f"Patient?identifier={system}|300301")
    (retired,) = cast.service.search(f"Patient?identifier={system}|300977&active=false")
    _same(_links(kept), [("replaces", f"Patient/{retired['id']}")], "the link of the one kept")
    _same(_links(retired), [("replaced-by", f"Patient/{kept['id']}")], "the link of the one retired")


def _links(patient: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["type"], each["other"]["reference"]) for each in patient.get("link", ())]


def _referral(cast: Cast) -> None:
    (request,) = cast.service.search(f"ServiceRequest?identifier={REFERRAL}")
    (task,) = cast.service.search(f"Task?identifier={REFERRAL}")
    _same((request["status"], request["priority"]), ("active", "routine"), "the referral")
    _same((task["status"], task["focus"]["reference"]), ("requested", f"ServiceRequest/{request['id']}"), "its task")


def _all_valid(cast: Cast) -> None:
    for kind in cast.service.get("/operations/status")["resources"]:
        for resource in cast.service.search(f"{kind}?_count=200"):
            validate.check(resource)


# --------------------------------------------------------------------------------------------------- books


def _nothing_held(cast: Cast) -> None:
    _same(cast.service.held(), [], "waiting, parked, dead or refused")


def _nothing_twice(cast: Cast) -> None:
    received = [each.one("MSH", 10) for each in (*cast.township.inbox.all(), *cast.county.inbox.all())]
    _same(len(set(received)), len(received), "messages with a number of their own")
    status = cast.service.get("/operations/status")
    done = {line: queue["counts"]["done"] for line, queue in {**status["entries"], **status["deliveries"]}.items()}
    _same(done, dict(BOOKS), "the gateway's own books")


CLAIMS: Final[tuple[tuple[str, Callable[[Cast], None]], ...]] = (
    (
        "township: preliminary, final and corrected report came back in this order, findings apart from impression",
        _reports_in_order,
    ),
    ("township: each in HL7 v2.4 and real GB18030 bytes, 䶮 included", _township_charset),
    ("township: with its own order number, item code and patient number", _township_numbers),
    ("imaging centre: the order as a valid FHIR Bundle, once, although it was sent twice", _one_order),
    ("county hospital: laboratory results in HL7 v2.5.1, UTF-8, digit for digit, 危急值 marked", _county_results),
    ("county hospital: the referral as ORM^O01 with diagnosis and history", _county_referral),
    (
        "village clinic: results of its own patient, nobody else's, as GB18030 CSV under its own number",
        _village_results,
    ),
    ("record: every resource once", _counts),
    ("record: the report's versions preliminary → final → corrected, based on the township's order", _history),
    ("record: three numbers of two members and one identity card are one person", _one_person),
    ("record: the merged patients are both kept and linked both ways", _merged),
    ("record: the referral with its task", _referral),
    ("record: every resource is valid FHIR R4", _all_valid),
    ("gateway: nothing waits, is parked, dead or refused", _nothing_held),
    ("gateway: nothing was taken or sent twice, nothing is missing", _nothing_twice),
)
