"""Code systems, value sets and maps of the record by their URLs, current and old."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.db.sqlite import SqliteEngine
from gateway.errors import Permanent
from gateway.store.exchange import Asked
from gateway.store.record import Record
from gateway.store.shelf import RecordShelf


def written(engine: SqliteEngine, *resources: dict[str, Any]) -> None:
    asked = [Asked(method="PUT", type=each["resourceType"], id=each["id"], resource=each) for each in resources]
    with engine.transaction() as transaction:
        Record(engine).exchange(transaction, asked, at=datetime.now(UTC))


def system(id: str, version: str, url: str = "urn:colours") -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem", "id": id, "url": url, "version": version, "status": "active",
        "content": "complete", "concept": [{"code": f"of-{version}"}],
    }  # fmt: skip


PARTS: dict[str, Any] = {
    "resourceType": "CodeSystem", "id": "parts", "url": "urn:parts", "status": "active", "content": "complete",
    "concept": [{"code": "body", "concept": [{"code": "arm", "concept": [{"code": "hand"}]}, {"code": "leg"}]}],
}  # fmt: skip
ARMS: dict[str, Any] = {
    "resourceType": "ValueSet", "id": "arms", "url": "urn:arms", "status": "active", "compose": {"include": [
        {"system": "urn:parts", "filter": [{"property": "concept", "op": "is-a", "value": "arm"}]}
    ]},
}  # fmt: skip


def observed(code: str) -> dict[str, Any]:
    coding = {"coding": [{"system": "urn:parts", "code": code}]}
    return {"resourceType": "Observation", "id": code, "status": "final", "code": coding}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("code:in=urn:arms", ["arm", "hand"]),
        ("code:in=ValueSet/arms", ["arm", "hand"]),
        ("code:not-in=urn:arms", ["body", "leg"]),
        ("code:below=urn:parts|arm", ["arm", "hand"]),
        ("code:above=urn:parts|hand", ["arm", "body", "hand"]),
        ("code:in=urn:nothing", None),
        ("code:in=ValueSet/nothing", None),
        ("code:below=urn:nothing|1", None),
        ("code:below=urn:parts|wing", None),
    ],
)
def test_searches_know_value_sets_and_what_lies_below(tmp_path: Path, asked: str, found: list[str] | None) -> None:
    engine = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    written(engine, PARTS, ARMS, *map(observed, ("body", "arm", "hand", "leg")))
    record = Record(engine)
    if found is None:
        with pytest.raises(Permanent):
            record.search("Observation", asked)
    else:
        assert sorted(each.id for each in record.search("Observation", asked).matches) == found
        pairs = [tuple(asked.split("=", 1))]
        assert len(record.search_system(["Observation"], pairs).matches) == len(found)
    engine.close()


def test_by_url_and_version(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    written(engine, system("a", "9"), system("b", "10"), system("c", "1", "urn:others"))
    written(engine, system("b", "11"))
    written(engine, {"resourceType": "ConceptMap", "id": "m", "status": "active", "group": [
        {"source": "urn:x", "target": "urn:colours", "element": [{"code": "1"}]},
        {"source": "urn:colours", "target": "urn:x", "element": [{"code": "1"}]},
    ]})  # fmt: skip
    with engine.reading() as reader:
        shelf = RecordShelf(reader)
        found = [shelf.find("CodeSystem", "urn:colours", version) for version in ("", "9", "10", "11", "12")]
        assert [each and each["version"] for each in found] == ["11", "9", "10", "11", None]
        assert shelf.find("ValueSet", "urn:colours") is None
        assert [each["id"] for each in shelf.maps("urn:colours")] == ["m"]
        assert list(shelf.maps("urn:nothing")) == []
    engine.close()
