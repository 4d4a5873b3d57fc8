"""Blocks that name what has no number, that take a status back, and that remove what an event says is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.codec import hl7v2
from gateway.errors import Configuration
from gateway.mapping.maps import Maps, Translation, load, shipped
from tests.mapping.house import PID, SHANGHAI, WHEN, into, message

VISITS = """
system test-visit "urn:test:visit"

message ZDT_Z01 for EpisodeOfCare or Patient once Practitioner
  events ZDT_Z01 ZDT_Z02
  : MSH PID [PV1] DG1*

PV1 => EpisodeOfCare in ZDT_Z01 else key @Patient PV1-44:timed reopen EVENT = Z02
  PV1-19         <-> identifier*{system=urn:test:visit}.value : text
  PV1-44         <-> period.start                             : dtm
  PV1-45         <-> period.end                               : dtm   ? EVENT not in (Z02)
  .              ->  period.end   = ""                        ? EVENT = Z02
  .              ->  status       = active
  .              ->  patient      = @Patient
"""
HEAD = PID.replace("300001", "Z1")


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Maps:
    folder = Path(tmp_path_factory.mktemp("maps"))
    (folder / "visits.map").write_text(VISITS, encoding="utf-8")
    return load([shipped(), folder])


def made(maps: Maps, event: str, *, number: str = "", start: str = "", end: str = "", time: str = "") -> Translation:
    fields = [""] * 46
    fields[0], fields[1], fields[2], fields[19], fields[44], fields[45] = "PV1", "1", "I", number, start, end
    body = message(f"ZDT^{event}", "|".join(fields), pid=HEAD)
    body = body.replace(b"20260312142500", time.encode()) if time else body
    return maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN)


def url(translation: Translation) -> str:
    (found,) = [each for each in translation.bundle["entry"] if each["resource"]["resourceType"] == "EpisodeOfCare"]
    return str(found["request"]["url"])


def test_a_number_of_its_own_goes_before_the_key(maps: Maps) -> None:
    assert url(made(maps, "Z01", number="V1", start="202603120745")) == "EpisodeOfCare?identifier=urn:test:visit|V1"


def test_without_a_number_the_key_finds_it_again_however_it_is_written(maps: Maps) -> None:
    one, two = (url(made(maps, "Z01", start=text)) for text in ("202603120745", "20260312074500"))
    assert one == two
    assert one.startswith("EpisodeOfCare?identifier=urn:hutong:key|COUNTY/")
    assert one != url(made(maps, "Z01", start="202603120746"))


@pytest.mark.parametrize("start", ["20260312", "", "2026"])
def test_what_no_key_names_belongs_to_its_message_alone(maps: Maps, start: str) -> None:
    """A day is no identity: two visits of one day would be one. Control ids come again, on another day."""
    one = url(made(maps, "Z01", start=start, end="20260313"))
    assert one == url(made(maps, "Z01", start=start, end="20260313"))
    assert one != url(made(maps, "Z01", start=start, end="20260313", time="20260412142500"))


def test_an_event_may_take_the_state_back_and_the_end_away(maps: Maps) -> None:
    forward = made(maps, "Z01", number="V1", end="20260313")
    back = made(maps, "Z02", number="V1", end="20260313")
    entries = [
        next(each for each in found.bundle["entry"] if each["resource"]["resourceType"] == "EpisodeOfCare")
        for found in (forward, back)
    ]
    assert "extension" not in entries[0]
    assert entries[0]["resource"]["period"] == {"end": "2026-03-13"}
    assert entries[1]["extension"] == [
        {"url": "urn:hutong:delete", "valueString": "EpisodeOfCare.period.end"},
        {"url": "urn:hutong:reopen", "valueBoolean": True},
    ]
    assert "period" not in entries[1]["resource"]


def test_a_message_without_a_visit_is_about_its_patient(maps: Maps) -> None:
    body = message("ZDT^Z01", pid=HEAD)
    kinds = [
        each["resource"]["resourceType"]
        for each in maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN).bundle["entry"]
    ]
    assert "Patient" in kinds
    assert "EpisodeOfCare" not in kinds


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "PV1 => EpisodeOfCare in ZDT_Z01 else key PV1-44:tymed\n",
            "no data type is called tymed; did you mean timed?",
        ),
        ("PV1 => EpisodeOfCare in ZDT_Z01 reopen\n", "not understood from 'reopen'"),
    ],
)
def test_mistakes_in_keys_are_named(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "visits.map").write_text(VISITS + text, encoding="utf-8")
    with pytest.raises(Configuration, match=cause.replace("?", r"\?")):
        load([shipped(), tmp_path])


def reports(number: str, taken: str, control_id: str = "M1") -> list[str]:
    body = message(
        "ORU^R30", f"OBR|1||{number}|GLU^血糖^L|||{taken}||||||||||||||||||F", "OBX|1|NM|GLU^血糖^L||7.8||||||F"
    )
    translation = into(body.replace(b"|M1|", f"|{control_id}|".encode()))
    return [str(each["request"]["url"]) for each in translation.bundle["entry"] if each["resource"].get("result")]


def test_reports_without_any_number_are_told_apart_by_their_time() -> None:
    """Point-of-care results often have none (v2.5.1 §7.3.4): the glucose of noon is not that of the morning."""
    assert reports("", "202603120700") == reports("", "202603120700", "M2")
    assert reports("", "202603120700") != reports("", "202603121200")
    assert reports("L1^LIS", "202603120700") == reports("L1^LIS", "202603121200")
