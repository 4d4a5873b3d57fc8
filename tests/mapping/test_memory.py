"""What is remembered of one message says nothing of the next."""

from __future__ import annotations

from gateway.fhir import json
from gateway.mapping.memory import Memory
from tests.mapping.house import PV1, into, maps, message

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
