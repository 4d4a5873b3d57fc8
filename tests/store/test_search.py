"""Searches against an oracle that looks at every resource, and by example."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.db.sqlite import SqliteEngine
from gateway.errors import Permanent
from gateway.model import Resource
from gateway.store.query import Handling
from tests.store.conftest import Ward
from tests.store.samples import MRN, coded, identifier, laboratory, observation, order, patient, put

CHINA = timezone(timedelta(hours=8))
Test = Callable[[Resource], bool]


# ------------------------------------------------------------------------------------------------ the oracle's data


@pytest.fixture(scope="module")
def ward(tmp_path_factory: Any) -> Iterator[Ward]:
    """60 Observations of 4 patients, with everything at random but the same every time."""
    engine = SqliteEngine(tmp_path_factory.mktemp("record") / "record.sqlite", schema="record")
    ward = Ward(engine)
    chance = random.Random(7)
    urls = [f"urn:uuid:{number}" for number in range(4)]
    names = ["张伟", "张三", "Müller", "muller-x"]
    people = [
        put(patient(f"P{n}", name=[{"text": names[n]}], birthDate=f"198{n}-0{n + 1}-15"), url)
        for n, url in enumerate(urls)
    ]
    entries = []
    for number in range(60):
        day = f"2026-0{chance.randint(1, 3)}-{chance.randint(1, 28):02d}"
        effective = chance.choice(
            [
                {"effectiveDateTime": day},
                {"effectiveDateTime": day[:7]},
                {"effectiveDateTime": f"{day}T09:30:00+08:00"},
                {"effectiveDateTime": f"{day}T23:30:00Z"},
                {"effectivePeriod": {"start": f"{day}T09:00:00+08:00"}},
                {},
            ]
        )
        made = observation(f"N{number}", chance.choice(urls), status=chance.choice(["final", "preliminary", "amended"]))
        del made["effectiveDateTime"]
        made["code"] = {
            "coding": [
                {"system": system, "code": chance.choice("ABC")}
                for system in chance.sample(["urn:x", "urn:y"], chance.randint(1, 2))
            ]
        }
        made["valueQuantity"]["value"] = Decimal(chance.randint(40, 60)) / 10
        entries.append(put({**made, **effective}, f"urn:uuid:o{number}"))
    ward.apply(*people, *entries[:30])
    ward.apply(*people, *entries[30:])
    yield ward
    engine.close()


@pytest.fixture(scope="module")
def observations(ward: Ward) -> list[Resource]:
    return [match.resource for match in ward.record.search("Observation", "_count=1000").matches]


def bounds(text: str) -> tuple[datetime, datetime]:
    """First instant and first one after, in China where no offset is written."""
    if len(text) == 7:
        start = datetime.fromisoformat(f"{text}-01").replace(tzinfo=CHINA)
        return start, (start + timedelta(days=32)).replace(day=1)
    if len(text) == 10:
        start = datetime.fromisoformat(text).replace(tzinfo=CHINA)
        return start, start + timedelta(days=1)
    start = datetime.fromisoformat(text)
    return start, start + timedelta(seconds=1)


def span(resource: Resource) -> tuple[datetime, datetime] | None:
    if "effectiveDateTime" in resource:
        return bounds(resource["effectiveDateTime"])
    if "effectivePeriod" in resource:
        return bounds(resource["effectivePeriod"]["start"])[0], datetime.max.replace(tzinfo=UTC)
    return None


def dated(prefix: str, text: str) -> Test:
    start, end = bounds(text)

    def test(resource: Resource) -> bool:
        found = span(resource)
        if found is None:
            return False
        low, high = found
        inside = low >= start and high <= end
        return {
            "eq": inside,
            "ne": not inside,
            "gt": high > end,
            "lt": low < start,
            "ge": inside or high > end,
            "le": inside or low < start,
            "sa": low >= end,
            "eb": high <= start,
            "ap": low < end and high > start,
        }[prefix]

    return test


def token(text: str) -> Test:
    system, bar, code = text.rpartition("|")
    return lambda resource: any(
        (not code or coding["code"] == code) and (not bar or coding["system"] == system)
        for coding in resource["code"]["coding"]
    )


def quantity(text: str) -> Test:
    prefix, number = (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)
    asked = Decimal(number)
    half = Decimal(1).scaleb(asked.as_tuple().exponent - 1) * 5  # type: ignore[operator]

    def test(resource: Resource) -> bool:
        value = resource["valueQuantity"]["value"]
        return {
            "eq": asked - half <= value < asked + half,  # [99.5 … 100.5) in R4 search.html#number
            "gt": value > asked,
            "lt": value < asked,
            "ge": value >= asked,
            "le": value <= asked,
        }[prefix]

    return test


prefixes = st.sampled_from(["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
days = st.sampled_from(["2026-02", "2026-01-15", "2026-02-10", "2026-03", "2026-02-14T09:30:00+08:00"])
codes = st.sampled_from(["A", "B", "urn:x|A", "urn:y|C", "urn:z|A", "urn:x|"])
numbers = st.sampled_from(["5", "5.0", "gt5.2", "lt4.5", "ge5", "le4.9", "5.43"])


@st.composite
def criteria(draw: st.DrawFn) -> tuple[str, Test]:
    kind = draw(st.sampled_from(["date", "code", "not", "status", "patient", "quantity", "identifier", "missing"]))
    if kind == "date":
        prefix, day = draw(prefixes), draw(days)
        return f"date={prefix}{day}", dated(prefix, day)
    if kind in ("code", "not"):
        asked = draw(st.lists(codes, min_size=1, max_size=2, unique=True))
        name = "code:not" if kind == "not" else "code"
        return f"{name}={','.join(asked)}", lambda r: any(token(each)(r) for each in asked) is (kind == "code")
    if kind == "status":
        status = draw(st.lists(st.sampled_from(["final", "preliminary", "amended"]), min_size=1, max_size=2))
        return f"status={','.join(status)}", lambda r: r["status"] in status
    if kind == "patient":
        number = draw(st.integers(0, 3))
        name = draw(st.sampled_from(["patient.identifier", "subject:Patient.identifier"]))
        return f"{name}={MRN}|P{number}", lambda r: r["_patient"] == f"P{number}"
    if kind == "quantity":
        text = draw(numbers)
        return f"value-quantity={text}", quantity(text)
    if kind == "identifier":
        number = draw(st.integers(0, 70))
        return f"identifier=N{number}", lambda r: r["identifier"][0]["value"] == f"N{number}"
    wanted = draw(st.booleans())
    return f"date:missing={str(wanted).lower()}", lambda r: (span(r) is None) is wanted


@settings(max_examples=250, deadline=None)
@given(
    asked=st.lists(criteria(), max_size=3), sort=st.sampled_from(["", "date", "-date", "_id", "-_lastUpdated", "code"])
)
def test_every_search_finds_what_a_look_at_everything_finds(
    asked: list[tuple[str, Test]], sort: str, ward: Ward, observations: list[Resource]
) -> None:
    owners = {each.id: each.resource["identifier"][0]["value"] for each in ward.record.search("Patient", "").matches}
    expected = {
        each["id"]
        for each in observations
        if all(
            test({**each, "_patient": owners[each["subject"]["reference"].removeprefix("Patient/")]})
            for _, test in asked
        )
    }
    query = "&".join([text.replace("+", "%2B") for text, _ in asked] + ([f"_sort={sort}"] if sort else []))
    whole = ward.record.search("Observation", f"{query}&_count=1000")
    found = [match.id for match in whole.matches]
    assert set(found) == expected
    assert len(found) == whole.total == len(expected)
    counted = ward.record.search("Observation", f"{query}&_summary=count")
    assert (counted.total, counted.matches) == (len(expected), [])
    paged: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ward.record.search("Observation", f"{query}&_count=7" + (f"&_cursor={cursor}" if cursor else ""))
        paged += [match.id for match in page.matches]
        cursor = page.next
    assert paged == found
    if sort.endswith("date"):
        lows = [span(match.resource) for match in whole.matches]
        order = [low[0] if low else datetime.min.replace(tzinfo=UTC) for low in lows]
        assert order == sorted(order, reverse=sort == "-date")


# ------------------------------------------------------------------------------------------------ by example


def names(ward: Ward, query: str) -> set[str]:
    return {match.resource["name"][0]["text"] for match in ward.record.search("Patient", query).matches}


STRINGS = [
    ("name=张", {"张伟", "张三"}),
    ("name=MULL", {"Müller", "muller-x"}),
    ("name:exact=Müller", {"Müller"}),
    ("name:exact=Muller", set()),
    ("name:contains=ULLER", {"Müller", "muller-x"}),
    ("name:contains=%25", set()),
    ("phonetic=张三", {"张三"}),
    ("name=张三,Müller", {"张三", "Müller", "muller-x"}),
    ("name=张&birthdate=1980", {"张伟"}),
    ("birthdate=lt1982-01-01", {"张伟", "张三"}),
    (f"identifier={MRN}|P0", {"张伟"}),
    ("identifier=|P0", set()),
    ("identifier=P0,P1", {"张伟", "张三"}),
    ("identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|P2", {"Müller"}),
    ("_has:Observation:patient:identifier=nothing", set()),
    ("gender:missing=true", set()),
    ("gender=male&gender=female", set()),
    ("active:missing=true&_count=0", set()),
]


@pytest.mark.parametrize(("query", "expected"), STRINGS)
def test_patients(ward: Ward, query: str, expected: set[str]) -> None:
    assert names(ward, query) == expected


def test_the_other_way_round(ward: Ward) -> None:
    (some,) = ward.record.search("Observation", "identifier=N3").matches
    owner = some.resource["subject"]["reference"]
    (found,) = ward.record.search("Patient", "_has:Observation:patient:identifier=N3").matches
    assert found.reference == owner
    (found,) = ward.record.search("Patient", "_has:Observation:subject:identifier=N3").matches
    assert found.reference == owner
    by_id = owner.removeprefix("Patient/")
    for query in (
        f"patient={by_id}",
        f"patient={owner}",
        f"subject={owner}",
        f"subject={by_id}",
        f"subject:Patient={by_id}",
    ):
        assert len(ward.ids("Observation", query + "&_count=1000")) == len(
            ward.ids("Observation", f"patient.identifier={found.resource['identifier'][0]['value']}")
        )


REFUSED = [
    "nonsense=1",
    "name:nonsense=1",
    "birthdate=yesterday",
    "general-practitioner:Patient=1",
    "gender:exact=male",
    "_sort=nonsense",
    "_count=many",
    "_total=perhaps",
    "_summary=perhaps",
    "_include=Nonsense:x",
    "_include=Patient:gender",
    "_contained=both",
    "name=,",
    "_revinclude=Observation:subject:Nonsense",
    "_cursor=!!!",
    "_cursor=W10",
    "organization.nonsense=1",
    "_has:Observation:code:code=1",
    "_has:Nonsense:code=1",
    "_filter=x",
    "age=3",
    "identifier:of-type=1",
    "name;DROP TABLE resource=1",
]


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_not_understood_is_refused_or_listed(ward: Ward, query: str) -> None:
    with pytest.raises(Permanent):
        ward.record.search("Patient", query)
    if not query.startswith(("birthdate", "name=", "general", "gender", "_cursor", "organization", "identifier")):
        page = ward.record.search("Patient", query + "&gender=male", handling=Handling.LENIENT)
        assert page.ignored == (query.partition("=")[0],)
        assert len(page.matches) == 4


def test_includes(ward: Ward) -> None:
    (match,) = ward.record.search("Observation", "identifier=N1").matches
    page = ward.record.search("Observation", "identifier=N1&_include=Observation:subject")
    assert [each.reference for each in page.included] == [match.resource["subject"]["reference"]]
    assert ward.record.search("Observation", "identifier=N1&_include=Observation:subject:Group").included == []
    assert len(ward.record.search("Observation", "identifier=N1&_include=*").included) == 1
    page = ward.record.search("Patient", "identifier=P1&_revinclude=Observation:patient")
    assert {each.id for each in page.included} == ward.ids("Observation", "patient.identifier=P1&_count=1000")
    page = ward.record.search(
        "Observation", "identifier=N1&_include=Observation:subject&_revinclude:iterate=Observation:subject&_elements=id"
    )
    assert len(page.included) == len(ward.ids("Observation", f"patient={match.resource['subject']['reference']}"))


def test_less_of_each(ward: Ward) -> None:
    (match,) = ward.record.search("Observation", "identifier=N1&_elements=value").matches
    assert match.resource.keys() == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    assert match.resource["meta"]["tag"][0]["code"] == "SUBSETTED"
    (match,) = ward.record.search("Observation", "identifier=N1&_summary=text").matches
    assert match.resource.keys() == {"resourceType", "id", "meta", "status", "code"}


def test_a_search_survives_what_is_written_meanwhile(tmp_path: Any) -> None:
    engine = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    ward = Ward(engine)
    ward.apply(
        *[put(patient(f"P{number}", birthDate=f"19{number:02d}-01-01"), f"urn:uuid:{number}") for number in range(20)]
    )
    before = {match.id for match in ward.record.search("Patient", "_count=100").matches}
    seen: list[str] = []
    cursor, query = "", "_sort=-birthdate&_count=3"
    for turn in range(20, 99):
        page = ward.record.search("Patient", query + (f"&_cursor={cursor}" if cursor else ""))
        seen += [match.id for match in page.matches]
        ward.apply(put(patient(f"P{turn}", birthDate=f"19{turn:02d}-01-01"), "urn:uuid:x"))
        if page.next is None:
            break
        cursor = page.next
    assert before <= set(seen)
    assert len(seen) == len(set(seen))
    with pytest.raises(Permanent, match="cursor"):
        ward.record.search("Patient", f"_sort=birthdate&_cursor={cursor}")
    engine.close()


def test_a_changed_resource_is_found_by_its_new_values_only(tmp_path: Any) -> None:
    engine = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    ward = Ward(engine)
    subject = ward.apply(put(patient(), "urn:p")).references["urn:p"]
    ward.apply(put(order(subject=subject), "urn:o"))
    assert ward.ids("ServiceRequest", "status=active") != set()
    changed = order(subject=subject, status="completed", code=coded("X"), authoredOn="2026-04-01T00:00:00Z")
    changed["identifier"].append(identifier("urn:new", "7"))
    ward.apply(put(changed, "urn:o"))
    for gone in ("status=active", "code=58410-2", "authored=2026-03-01"):
        assert ward.ids("ServiceRequest", gone) == set(), gone
    for there in ("status=completed", "code=X", "authored=2026-04-01", "identifier=7", "identifier=O1"):
        assert len(ward.ids("ServiceRequest", there)) == 1, there
    with engine.reading() as reader:
        rows = reader.execute("SELECT count(*) FROM index_code")
    assert rows == [(1,)]
    engine.close()


# ------------------------------------------------------------------------------------------------ plans


def test_no_two_parameters_have_one_number() -> None:
    from gateway.db.record import parameter_number
    from gateway.fhir import definitions
    from gateway.fhir.searchparameters import parameters

    seen: dict[int, str] = {}
    for kind in definitions.resource_types():
        for name, parameter in parameters(kind).items():
            of_kind = {
                "reference": [f"{name}:identifier"],
                "token": [f"{name}:of-type", f"{name}:text"],
                "string": [f"{name}:typed"],
            }
            for full in (name, f"{name}:present", *of_kind.get(parameter.kind, ())):
                text = f"{kind}.{full}"
                assert seen.setdefault(parameter_number(kind, full), text) == text


def test_indexing_anew_gives_the_same_rows(tmp_path: Any) -> None:
    engine = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    ward = Ward(engine)
    for number in range(3):
        ward.apply(*laboratory(number, number)["entry"])
    tables = [f"index_{name}" for name in ("token", "code", "reference", "string", "date", "quantity", "uri")]
    tables.append("resource")

    def content() -> dict[str, Any]:
        with engine.reading() as reader:
            return {table: sorted(reader.execute(f"SELECT * FROM {table}")) for table in tables}

    before = content()
    with engine.transaction() as transaction:
        transaction.execute("DELETE FROM index_token WHERE rid < 9")
        transaction.execute("UPDATE resource SET patient = NULL, date = 0 WHERE rid < 9")
    assert content() != before
    with engine.transaction() as transaction:
        assert ward.record.reindex(transaction) == 36
    assert content() == before
    engine.close()


def test_laboratory_traffic_is_found(tmp_path: Any) -> None:
    engine = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    ward = Ward(engine)
    for number in range(3):
        ward.apply(*laboratory(number, number)["entry"])
    page = ward.record.search("DiagnosticReport", "patient.identifier=P1&_include=DiagnosticReport:result&_include=*")
    assert len(page.matches) == 1
    assert sorted(each.type for each in page.included) == [
        "Encounter",
        *["Observation"] * 8,
        "Patient",
        "ServiceRequest",
    ]
    assert len(ward.ids("Observation", "combo-code=718-7")) == 3
    assert len(ward.ids("Observation", "combo-code:not=718-7&_count=100")) == 21
    assert len(ward.ids("Observation", "based-on:missing=true&_count=100")) == 24
    engine.close()


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: Any) -> Iterator[Ward]:
    """A few resources of many types, all with one identifier."""
    engine = SqliteEngine(tmp_path_factory.mktemp("clinic") / "record.sqlite", schema="record")
    ward = Ward(engine)

    def numbered(kind: str, **elements: Any) -> Resource:
        return {"resourceType": kind, "identifier": [identifier("urn:n", kind)], **elements}

    ward.apply(
        put(numbered("Organization", name="County Hospital"), "urn:o"),
        put(numbered("Patient", managingOrganization={"reference": "urn:o"}), "urn:p"),
        put(numbered("Group", type="person", actual=True), "urn:g"),
        put(
            numbered(
                "Encounter", status="finished", subject={"reference": "urn:p"}, serviceProvider={"reference": "urn:o"}
            ),
            "urn:e",
        ),
        put(
            numbered(
                "Observation",
                status="final",
                code=coded("C"),
                subject={"reference": "urn:g"},
                encounter={"reference": "urn:e"},
                performer=[{"identifier": identifier("urn:staff", "7"), "display": "x"}, {"reference": "urn:o"}],
                valueQuantity={"value": Decimal("5"), "comparator": ">", "code": "g/L", "system": "urn:ucum"},
                meta={"profile": ["http://x.org/a/b"], "tag": [{"system": "urn:t", "code": "T"}], "source": "urn:s"},
                component=[{"code": coded("D"), "valueQuantity": {"value": Decimal("2.5"), "unit": "kg"}}],
            ),
            "urn:x",
        ),
        put(
            numbered(
                "DiagnosticReport",
                status="final",
                code=coded("C"),
                subject={"reference": "urn:p"},
                issued="2026-03-01T10:00:00Z",
                result=[{"reference": "urn:x"}, {"reference": "http://other.org/Observation/1"}],
            ),
            "urn:r",
        ),
        put(
            numbered(
                "RiskAssessment",
                status="final",
                subject={"reference": "urn:p"},
                prediction=[{"probabilityDecimal": Decimal("0.25")}],
            ),
            "urn:k",
        ),
    )
    yield ward
    engine.close()


FOUND = [
    ("Observation", "performer:identifier=urn:staff|7", True),
    ("Observation", "performer:identifier=urn:staff|8", False),
    ("Observation", "encounter.identifier=Encounter", True),
    ("Observation", "encounter:Encounter.service-provider.name=county", True),
    ("Observation", "encounter:Encounter.service-provider.name=city", False),
    ("Observation", "encounter.patient.organization.identifier=Organization", True),
    ("Observation", "performer:Organization.name=County", True),
    ("Observation", "subject.identifier=urn:n|Group", True),
    ("Observation", "patient.identifier=urn:n|Patient", False),
    ("Observation", "patient:missing=true", True),
    ("Observation", "subject:missing=true", False),
    ("Observation", "status:missing=false", True),
    ("Observation", "value-quantity=gt6", True),
    ("Observation", "value-quantity=lt4", False),
    ("Observation", "value-quantity=gt6|urn:ucum|g/L", True),
    ("Observation", "value-quantity=gt6||kg", False),
    ("Observation", "combo-value-quantity=2.5||kg", True),
    ("Observation", "component-value-quantity=ap2.6", True),
    ("Observation", "combo-value-quantity:missing=true", False),
    ("Observation", "combo-code=D,E", True),
    ("Observation", "_profile=http://x.org/a/b", True),
    ("Observation", "_profile:below=http://x.org/a", True),
    ("Observation", "_profile=http://x.org/a", False),
    ("Observation", "_tag=urn:t|T", True),
    ("Observation", "_source=urn:s", True),
    ("Observation", "_lastUpdated=2026-03-05", True),
    ("Observation", "_lastUpdated=lt2026-03-05", False),
    ("Observation", "_lastUpdated=sa2026-03-04", True),
    ("DiagnosticReport", "issued=2026-03-01", True),
    ("DiagnosticReport", "issued=gt2026-03-01", False),
    ("DiagnosticReport", "result=http://other.org/Observation/1", True),
    ("DiagnosticReport", "result.code=C", True),
    ("DiagnosticReport", "result.combo-code=D&patient.identifier=urn:n|Patient", True),
    ("DiagnosticReport", "result.status=preliminary", False),
    ("Encounter", "_has:Observation:encounter:code=C", True),
    ("Encounter", "_has:Observation:encounter:_has:DiagnosticReport:result:status=final", True),
    ("Encounter", "_has:Observation:encounter:code=Z", False),
    ("Patient", "_has:DiagnosticReport:patient:status=final", True),
    ("Organization", "name:contains=hosp", True),
    ("RiskAssessment", "probability=0.25", True),
    ("RiskAssessment", "probability=gt0.3", False),
]


@pytest.mark.parametrize(("type", "query", "found"), FOUND)
def test_every_kind_of_criterion(clinic: Ward, type: str, query: str, found: bool) -> None:
    assert len(clinic.record.search(type, query).matches) == found
    assert len(clinic.record.search(type, f"{query}&identifier=urn:n|{type}&_sort=-_lastUpdated").matches) == found


@pytest.mark.parametrize("name", ["identifier", "encounter", "status", "patient", "_profile", "value-quantity", "code"])
def test_anything_indexed_is_an_order(clinic: Ward, name: str) -> None:
    assert len(clinic.record.search("Observation", f"_sort={name},-_id").matches) == 1


def test_a_bare_id_may_be_of_any_type(clinic: Ward) -> None:
    (group,) = clinic.ids("Group", "")
    (person,) = clinic.ids("Patient", "")
    assert len(clinic.ids("Observation", f"subject={group}")) == 1
    assert clinic.ids("Observation", f"subject={person}") == set()
    assert len(clinic.ids("Encounter", f"subject={person}")) == 1
    assert clinic.ids("Encounter", f"subject=Group/{person}") == set()
    page = clinic.record.search("Encounter", "_summary=data&_include=Encounter:*&_revinclude=Observation:*")
    assert sorted(each.type for each in page.included) == ["Observation", "Organization", "Patient"]


@pytest.mark.parametrize("name", ["name", "identifier", "birthdate"])
def test_a_search_with_more_values_than_the_database_takes_says_so(ward: Ward, name: str) -> None:
    values = ",".join(["2001-01-01"] * 70_000) if name == "birthdate" else ",".join(map(str, range(70_000)))
    with pytest.raises(Permanent, match="ask for fewer values at once"):
        ward.record.search("Patient", [(name, values)])
