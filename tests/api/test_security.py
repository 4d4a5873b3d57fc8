"""Tokens, scopes, and what the door shows to whom."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import structlog

from gateway import errors, telemetry
from gateway.api.security import Failures, Grant, Tokens, parse_scope
from gateway.fhir import bundle
from tests.api.conftest import Door, observation, patient
from tests.engines import Engines

OPEN = [{"url": "/health", "method": "GET"}]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# ------------------------------------------------------------------------------------------------ tokens


def test_only_a_digest_is_kept(door: Door, databases: Engines, tmp_path: Path) -> None:
    token = door.token()
    assert len(token) == len("hutong_") + 43
    with closing(databases.open(tmp_path, "record")) as record, record.reading() as rows:
        kept = rows.execute("SELECT digest, name, scope, created_at FROM token")
    assert len(kept[0][0]) == 32
    assert token not in repr(kept)


def test_every_token_is_new(door: Door) -> None:
    assert len({door.services.tokens.create(name=str(number), scope="intake/*") for number in range(20)}) == 20


def test_a_name_means_one_valid_token(door: Door) -> None:
    tokens = door.services.tokens
    first = tokens.create(name="his", scope="intake/*")
    with pytest.raises(errors.Configuration, match="exists already"):
        tokens.create(name="his", scope="intake/*")
    tokens.revoke("his")
    assert tokens.find(first) is None
    second = tokens.create(name="his", scope="system/*.read operations/*")
    assert tokens.find(second) == Grant("his", ("system/*.read", "operations/*"))
    listed = [(issued.name, issued.scope, issued.revoked_at is None) for issued in tokens.list()]
    assert sorted(listed) == [("his", "intake/*", False), ("his", "system/*.read operations/*", True)]
    with pytest.raises(errors.Configuration, match="no valid token"):
        tokens.revoke("nobody")


@pytest.mark.parametrize("token", ["", "x", "hutong_", "hutong_" + "A" * 43, "hutong_" + "é" * 43])
def test_what_was_never_made_opens_nothing(door: Door, token: str) -> None:
    assert door.services.tokens.find(token) is None


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_a_token_needs_a_name(door: Door, name: str) -> None:
    with pytest.raises(errors.Configuration, match="name"):
        door.services.tokens.create(name=name, scope="intake/*")


@pytest.mark.parametrize(
    "scope", ["", "all", "system/*", "system/patient.read", "user/*.*", "system/Patient.", "intake/"]
)
def test_a_scope_that_is_none(scope: str) -> None:
    with pytest.raises(errors.Configuration, match="scope"):
        parse_scope(scope)


@pytest.mark.parametrize(
    ("scope", "asked", "allowed"),
    [
        ("system/*.*", ("Patient", "r"), True),
        ("system/*.read", ("Patient", "s"), True),
        ("system/*.write", ("Patient", "r"), False),
        ("system/Patient.read", ("Patient", "r"), True),
        ("system/Patient.read", ("Observation", "r"), False),
        ("system/Patient.rs", ("Patient", "s"), True),
        ("system/Patient.r", ("Patient", "s"), False),
        ("system/Patient.cruds", ("Patient", "d"), True),
        ("intake/* operations/*", ("Patient", "r"), False),
        ("system/Patient.r system/Observation.r", ("Observation", "r"), True),
        ("system/Patient.rs", ("*", "s"), False),
    ],
)
def test_scopes_on_resources(scope: str, asked: tuple[str, str], allowed: bool) -> None:
    assert Grant("n", parse_scope(scope)).allows(*asked) is allowed


def test_scopes_on_intake_and_operations() -> None:
    everything, lab, work = (Grant("n", (scope,)) for scope in ("system/*.*", "intake/lab", "operations/*"))
    assert everything.allows_intake("lab")
    assert lab.allows_intake("lab")
    assert not lab.allows_intake("his")
    assert not Grant("n", ("system/*.read",)).allows_intake("lab")
    assert work.allows_operation("replay")
    assert not work.allows_operation("raw"), "bodies are granted by name only"
    assert everything.allows_operation("raw")
    assert Grant("n", ("operations/raw",)).allows_operation("raw")


def test_failures_are_forgotten_and_bounded() -> None:
    failures = Failures(limit=2, window=60, clients=3)
    assert [failures.too_many("a", now) for now in (0.0, 1.0, 2.0, 61.0)] == [False, False, True, False]
    for client in "bcdefg":
        failures.too_many(client, 61.0)
    assert len(failures._seen) == 3


# ------------------------------------------------------------------------------------------------ the door


@pytest.mark.parametrize(
    "address",
    [
        "/fhir/metadata",
        "/fhir/Patient",
        "/metrics",
        "/operations/status",
        "/openapi.json",
        "/docs",
        "/nothing",
        "/health/x",
    ],
)
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Basic eDp5", "Bearer hutong_" + "A" * 43])
async def test_everything_but_health_needs_a_token(anyone: httpx.AsyncClient, address: str, header: str | None) -> None:
    answer = await anyone.get(address, headers={"authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_a_token_in_the_address_is_not_looked_at(door: Door, anyone: httpx.AsyncClient) -> None:
    assert (await anyone.get(f"/fhir/Patient?access_token={door.token()}")).status_code == 401


async def test_what_another_process_makes_or_ends_holds_at_once(
    door: Door, anyone: httpx.AsyncClient, databases: Engines, tmp_path: Path
) -> None:
    other = databases.open(tmp_path, "record")
    token = Tokens(other).create(name="late", scope="system/*.read")
    assert (await anyone.get("/fhir/Patient", headers=bearer(token))).status_code == 200
    Tokens(other).revoke("late")
    assert (await anyone.get("/fhir/Patient", headers=bearer(token))).status_code == 401
    other.close()


async def test_wrong_tokens_are_slowed_and_right_ones_are_not(door: Door, anyone: httpx.AsyncClient) -> None:
    token = door.token()
    codes = [(await anyone.get("/fhir/Patient", headers=bearer("wrong"))).status_code for _ in range(22)]
    assert codes == [401] * 20 + [429] * 2
    assert (await anyone.get("/fhir/Patient", headers=bearer(token))).status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "address"),
    [
        ("system/Patient.read", "GET", "/fhir/Observation"),
        ("system/Patient.read", "GET", "/fhir/Observation/1"),
        ("system/Patient.read", "GET", "/fhir/Observation/_history"),
        ("system/Patient.read", "GET", "/fhir/Patient?_has:Observation:patient:code=1"),
        ("system/Observation.read", "GET", "/fhir/Observation?patient.name=x"),
        ("system/*.read", "POST", "/intake/lab-web"),
        ("intake/other", "POST", "/intake/lab-web"),
        ("system/*.read", "GET", "/operations/status"),
        ("system/*.read", "GET", "/metrics"),
        ("operations/status", "POST", "/operations/replay"),
        ("operations/*", "GET", "/operations/entries/1/body"),
    ],
)
async def test_a_scope_that_is_too_narrow(
    door: Door, anyone: httpx.AsyncClient, scope: str, method: str, address: str
) -> None:
    answer = await anyone.request(method, address, headers=bearer(door.token(scope)))
    assert answer.status_code == 403
    assert answer.json()["issue"][0]["code"] == "forbidden"


async def test_includes_show_only_what_may_be_read(door: Door, anyone: httpx.AsyncClient) -> None:
    door.store(patient("1"), observation("a", bundle.full_url("Patient", "1")))
    for scope, address in (
        ("system/Observation.read", "/fhir/Observation?_include=Observation:patient"),
        ("system/Patient.read", "/fhir/Patient?_revinclude=Observation:patient"),
    ):
        page = (await anyone.get(address, headers=bearer(door.token(scope)))).json()
        assert len(page["entry"]) == 1, address
        assert page["entry"][0]["search"]["mode"] == "match"


async def test_security_headers_on_every_answer(client: httpx.AsyncClient) -> None:
    for address in ("/health", "/fhir/metadata", "/nothing", "/fhir/Patient?x=1"):
        headers = (await client.get(address, headers={"origin": "https://evil.example"})).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
    assert (await client.get("/docs")).status_code == 404
    assert "/operations/status" in (await client.get("/openapi.json")).json()["paths"]


async def test_the_log_has_routes_and_never_what_was_asked(door: Door, client: httpx.AsyncClient) -> None:
    stream = io.StringIO()
    telemetry.configure(stream)
    try:
        await client.get("/fhir/Patient?name=张三")
        await client.get("/fhir/Patient/110101199003077571")
        await client.get("/张三")
    finally:
        structlog.reset_defaults()
    lines = [json.loads(line) for line in stream.getvalue().splitlines() if "request" in line]
    assert [line["route"] for line in lines] == ["/fhir/{type}", "/fhir/{type}/{id}", "unknown"]
    assert [line["status"] for line in lines] == [200, 404, 404]
    assert "张三" not in stream.getvalue()
    assert "110101" not in stream.getvalue()
    metrics = (await client.get("/metrics")).text
    assert 'hutong_requests_total{method="GET",route="/fhir/{type}",status="200"} 1.0' in metrics
    assert "张三" not in metrics


async def test_an_error_inside_is_an_outcome_without_details(door: Door, client: httpx.AsyncClient) -> None:
    door.services.overview.record.close()  # every look at the record fails now, the check of the token too
    answer = await client.get("/fhir/Patient")
    assert answer.status_code == 503
    assert answer.json()["issue"][0]["code"] == "transient"
    assert "retry-after" in answer.headers
