"""The code tables in the record: written once, anew where an edition differs, readable by their old versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.app.charts import Charts
from gateway.model import Change
from gateway.store.exchange import Asked
from gateway.terminology import hl7
from gateway.terminology.limits import NotFound
from gateway.terminology.parameters import Given
from gateway.terminology.translations import translate
from tests.rooms import House
from tests.test_unknown_codes import lists


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what R4 publishes only what is about sexes."""
    wanted = [each for each in hl7.shipped() if "gender" in each["id"] or each["id"] == "v2-0001"]
    monkeypatch.setattr(hl7, "shipped", lambda: iter(wanted))


def write(house: House, **more: Any) -> int:
    return Charts(engine=house.record, formats=house.formats, **more).write()


def sex(house: House, code: str, version: str = "") -> str:
    """What the list of qinghe makes of a code of sex."""
    pairs = [("url", "urn:hutong:map-of:qinghe:sex"), ("code", code), ("conceptMapVersion", version)]
    with house.store.shelf() as shelf:
        answer = translate(shelf, Given(tuple(pair for pair in pairs if pair[1])))
    (match,) = [each["part"] for each in answer["parameter"] if each["name"] == "match"]
    return str(next(part["valueCoding"]["code"] for part in match if part["name"] == "concept"))


def test_written_once_and_found(house: House) -> None:
    assert write(house) > 2_500
    assert write(house) == 0
    (chart,) = house.search("ConceptMap?url=urn:hutong:map:sex")
    assert (chart["id"], chart["version"], chart["publisher"]) == ("map-sex", "1", "Hutong 互通")
    (system,) = house.search("CodeSystem?url=http://terminology.hl7.org/CodeSystem/v2-0001")
    assert (system["id"], system["version"]) == ("v2-0001", "2.9")
    (value_set,) = house.search("ValueSet?url=http://hl7.org/fhir/ValueSet/administrative-gender")
    assert value_set["id"] == "administrative-gender"
    assert house.search("ConceptMap?source-system=http://terminology.hl7.org/CodeSystem/v2-0001&_count=1")


@pytest.mark.usefixtures("few")
def test_another_edition_is_another_version(house: House) -> None:
    lists(house, "qinghe", "sex,7,男性,,M,\r\n")
    write(house)
    lists(house, "qinghe", "sex,7,男性,,F,\r\nsex,8,不明,,U,\r\n")
    told: list[Change] = []
    assert write(house, owe=lambda transaction, change: told.append(change)) == 2
    assert {each.reference for each in told} == {
        "ConceptMap/map-of-qinghe-sex", "CodeSystem/codes-qinghe-sex", "TerminologyCapabilities/hutong",
    }  # fmt: skip
    assert [sex(house, "7"), sex(house, "7", "2"), sex(house, "7", "1")] == ["female", "female", "male"]
    with pytest.raises(NotFound):
        sex(house, "7", "3")
    (chart,) = house.search("ConceptMap?url=urn:hutong:map:sex")
    assert chart["version"] == "1"


@pytest.mark.usefixtures("few")
@pytest.mark.slow
def test_a_table_that_is_gone_is_retired(house: House) -> None:
    lists(house, "qinghe", "sex,7,男性,,M,\r\n")
    write(house)
    lists(house, "qinghe", "")
    assert write(house) == 2
    (chart,) = house.search("ConceptMap?url=urn:hutong:map-of:qinghe:sex")
    assert (chart["status"], chart["version"]) == ("retired", "2")
    assert write(house) == 0
    lists(house, "qinghe", "sex,7,男性,,M,\r\n")
    assert write(house) == 2
    (chart,) = house.search("ConceptMap?url=urn:hutong:map-of:qinghe:sex")
    assert (chart["status"], chart["version"]) == ("active", "3")


@pytest.mark.usefixtures("few")
def test_what_a_client_puts_in_their_place_stays(house: House) -> None:
    write(house)
    own = {"resourceType": "ConceptMap", "id": "map-sex", "url": "urn:own", "status": "draft"}
    with house.record.transaction() as transaction:
        asked = [Asked(method="PUT", type="ConceptMap", id="map-sex", resource=own)]
        house.store.exchange(transaction, asked, at=datetime.now(UTC))
    lists(house, "qinghe", "sex,7,男性,,M,\r\n")
    assert write(house) == 2
    (chart,) = house.search("ConceptMap?_id=map-sex")
    assert chart["url"] == "urn:own"


@pytest.mark.usefixtures("few")
def test_it_ends_when_told_to_and_goes_on_later(house: House) -> None:
    asked: list[int] = []
    assert 0 < write(house, stopped=lambda: len(asked) > 1 or asked.append(1) is not None) < 250
    assert house.search("TerminologyCapabilities") == []
    assert write(house) > 100
    assert len(house.search("TerminologyCapabilities")) == 1
