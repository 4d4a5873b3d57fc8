"""What is remembered of one message says nothing of the next."""

from __future__ import annotations

from gateway.fhir import json
from gateway.fhir.reference import find
from gateway.mapping.memory import Memory
from gateway.mapping.runtime import KeyTexts
from tests.mapping.house import PID, PV1, back, into, maps, message, only

PROBLEM = "PRB|AD|20260312142500|E11^糖尿病^L|X1^COUNTY"
STAFF = (
    "ROL|{number}|AD|{role}^{name}^L|D7^李^医^^X^^F^^^^^^^^^^^^20260312142530Z"  # more than a name: its wording is kept
)


def test_what_a_line_adds_to_a_reference_stays_with_its_message() -> None:
    """The same doctor in two roles for two patients: neither role goes over to the other."""
    one, two = (
        message("PPR^PC1^PPR_PC1", PROBLEM, STAFF.format(number=number, role=role, name=name))
        for number, role, name in ((1, "FHCP", "家庭医生"), (2, "CP", "会诊"))
    )
    maps()._memory = Memory()
    alone = json.dumps(into(two).bundle)
    maps()._memory = Memory()
    first = json.dumps(into(one).bundle)
    assert json.dumps(into(two).bundle) == alone
    assert json.dumps(into(one).bundle) == first


def test_a_problem_is_told_of_every_message_that_has_it() -> None:
    maps()._memory = Memory()
    body = message("ADT^A01^ADT_A01", "NK1|1|李^娜|||||" + "|昨天" * 2, PV1)
    twice = into(body).notes, into(body).notes
    assert twice[0] == twice[1]
    assert twice[0]


def test_a_place_that_was_met_before_is_part_of_others_as_at_first() -> None:
    """Its references are found and written anew when it is stored, and what is written of it is the same."""
    maps()._memory = Memory()
    body = message("ADT^A01^ADT_A01", "PV1|1|I|内科^301^2^COUNTY^^^外科楼^3")
    first, again = into(body), into(body)
    found = [sorted(each.get("reference", "") for each in find(made.bundle)) for made in (first, again)]
    assert found[0] == found[1]
    assert [back(made.bundle, "ADT_A01") for made in (first, again)] == [back(first.bundle, "ADT_A01")] * 2


def test_a_code_is_read_by_the_list_of_its_country_whoever_wrote_before() -> None:
    """The same marital status from one sender, with MSH-17 and without: only CHN means GB/T 2261.2."""
    said = message("ADT^A01^ADT_A01", PV1, pid=f"{PID}{'|' * 8}M").replace(b"|2.5.1\r", b"|2.5.1|||||CHN\r", 1)
    silent = said.replace(b"|||||CHN", b"", 1)
    alone = []
    for body in (said, silent):
        maps()._memory = Memory()
        alone.append(only(into(body), "Patient")["maritalStatus"])
    maps()._memory = Memory()
    assert alone[0] != alone[1]
    assert [only(into(body), "Patient")["maritalStatus"] for body in (said, silent) * 2] == alone * 2


def test_keys_of_codes_are_what_they_are_without_memory() -> None:
    texts = ["6690-2^白细胞计数^LN", "^^^WBC^x", '""^^^A&B', "", "A~B", "x^y^" + "z" * 300]
    for components in (((1, 0), (4, 0)), ((2, 0), (5, 0)), ((4, 2),), ((0, 0),)):
        known = KeyTexts(components)
        alone = [KeyTexts(components)[each] for each in texts]
        assert [known[each] for each in texts * 2] == alone * 2
        assert all(len(each) <= 200 for each in known)
    assert KeyTexts(((1, 0), (4, 0)))["^^^WBC^x"] == "WBC"
