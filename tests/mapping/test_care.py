"""Problems, goals and pathways: what stands inside belongs to what stands around it (HL7 v2.5.1 chapter 12)."""

from __future__ import annotations

import pytest

from tests.mapping.house import all_of, back, follow, into, message, only, segments

PROBLEM = "PRB|{action}|20260312|I10^高血压^I10|PRB55^EMR||1|20260301|||||||{state}"
GOAL = "GOL|{action}|20260312|BP^血压达标^L|GL66^EMR||1|20260312||||||||||{state}"
RESULT = "OBX|1|NM|8480-6^收缩压^LN|{sub}|{value}|mm[Hg]|||||F|||20260312"


def problem(action: str = "AD", state: str = "active") -> str:
    return PROBLEM.format(action=action, state=f"|{state}^x^L" if state else "")


def test_what_is_observed_of_the_goal_is_not_said_of_the_problem() -> None:
    goal = GOAL.format(action="AD", state="active")
    results = [RESULT.format(sub="", value="150"), goal, RESULT.format(sub="2", value="130")]
    made = into(message("PPR^PC1^PPR_PC1", problem(), *results))
    of = {
        each["valueQuantity"]["value"]: follow(made, each["focus"][0])["resourceType"]
        for each in all_of(made, "Observation")
    }
    assert {str(value): kind for value, kind in of.items()} == {"150": "Condition", "130": "Goal"}
    assert follow(made, only(made, "Goal")["addresses"][0])["resourceType"] == "Condition"
    written = back(made.bundle, "PPR_PC1", event="PC1")
    names = [line.split(b"|")[0] for line in written.split(b"\r")][2:]
    assert names == [b"PRB", b"OBX", b"GOL", b"OBX", b""]
    assert [each[5] for each in segments(written, "OBX")] == ["150", "130"]


@pytest.mark.parametrize("resolved", ["", "20260310"])
def test_a_deleted_problem_was_an_error_and_has_no_state(resolved: str) -> None:
    line = f"PRB|DE|20260312|I10^高血压^I10|PRB55^EMR|||||{resolved}||||confirmed^x^L|active^x^L"
    made = into(message("PPR^PC3^PPR_PC1", line))
    condition = only(made, "Condition")
    assert condition["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert not condition.keys() & {"clinicalStatus", "abatementDateTime"}
    (entry,) = [each for each in made.bundle["entry"] if each["resource"] is condition]
    assert [each["valueString"] for each in entry["extension"]] == [
        "Condition.clinicalStatus", "Condition.abatementDateTime",
    ]  # fmt: skip
    assert segments(back(made.bundle, "PPR_PC1", event="PC3"), "PRB")[0][1] == "DE"


def test_a_problem_with_an_end_is_resolved_whatever_its_state_says() -> None:
    line = "PRB|UP|20260312|I10^高血压^I10|PRB55^EMR|||||20260310|||||active^x^L"
    condition = only(into(message("PPR^PC2^PPR_PC1", line)), "Condition")
    assert condition["clinicalStatus"]["coding"][0]["code"] == "resolved"


@pytest.mark.parametrize(("action", "linked"), [("AD", True), ("LI", True), ("UN", False)])
def test_an_unlinked_goal_is_not_for_the_problem(action: str, linked: bool) -> None:
    made = into(message("PPR^PC2^PPR_PC1", problem("UC"), GOAL.format(action=action, state="active")))
    assert ("addresses" in only(made, "Goal")) is linked


@pytest.mark.parametrize(
    ("kind", "event", "action"), [("PPR", "PC1", "AD"), ("PPR", "PC2", "UP"), ("PPR", "PC3", "DE")]
)
def test_the_event_tells_the_action_of_what_was_made_elsewhere(kind: str, event: str, action: str) -> None:
    made = into(message("PPR^PC1^PPR_PC1", problem()))
    assert segments(back(made.bundle, f"{kind}_PC1", event=event), "PRB")[0][1] == action


def test_an_order_for_a_problem_has_it_as_its_reason() -> None:
    made = into(message("PPR^PC1^PPR_PC1", problem(), "ORC|NW|P9^EMR", "OBR|1|P9^EMR||24320-4^基础代谢^LN"))
    assert follow(made, only(made, "ServiceRequest")["reasonReference"][0])["resourceType"] == "Condition"
