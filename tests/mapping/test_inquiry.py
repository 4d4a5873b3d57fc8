"""`hutong map explain`: which lines touch a field or an element, and what they do."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.errors import Configuration
from gateway.mapping.inquiry import explain
from tests.mapping.house import maps


def told(asked: str) -> str:
    return "\n".join(explain(maps().library, asked))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("PID-5", "PID-5, each repetition <-> Patient.name"),
        ("PID-5", "PID-5.1 <-> Patient.name.family"),
        ("PID-8", "through the code table sex (mappings/hl7v2/codes.map:"),
        ("ORC-2", "the first one that is valued; coming back all of them are written"),
        ("PV1-45", "decides whether Encounter.status is set here: the trigger event is A03 or PV1-45 is valued"),
        ("PV1-19", "decides whether a Encounter is made, or names it"),
        ("Observation.status", "OBX-11 <-> Observation.status"),
        ("Observation.subject", "Observation.subject refers to the Patient made beside or above"),
        ("Patient.telecom", "only telecom whose use is home or mobile"),
        ("Patient.name.family", "PID-5, each repetition <-> Patient.name"),
        ("姓名", "姓名 <-> Patient.name.text"),
    ],
)
def test_what_is_said(asked: str, words: str) -> None:
    assert words in told(asked)
    assert all(".map:" in each.splitlines()[0] for each in explain(maps().library, asked))


def test_a_field_is_not_its_neighbour() -> None:
    assert "PID-50" not in told("PID-5")
    assert "Observation.code" not in told("Observation.status")


def test_what_no_line_touches_is_said_with_the_nearest_name() -> None:
    with pytest.raises(Configuration, match=r"did you mean Observation\.status"):
        explain(maps().library, "Observation.statuss")
    assert CliRunner().invoke(app, ["map", "explain", "PID-99"]).exit_code == 1
    assert "Patient.gender" in CliRunner().invoke(app, ["map", "explain", "PID-8"]).stdout
