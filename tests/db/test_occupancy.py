"""Only one gateway over a PostgreSQL: who is second is told who is there; who lost it takes it again, or ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gateway.db import address
from gateway.errors import Configuration, Transient

psycopg = pytest.importorskip("psycopg")

from gateway.db import occupancy  # noqa: E402
from gateway.db.occupancy import Occupancy  # noqa: E402

NUMBER = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
SESSIONS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


def test_a_server_that_is_not_there_is_transient() -> None:
    with pytest.raises(Transient, match="does not answer"):
        Occupancy(address.read("postgresql://h@127.0.0.1:9/x"))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "PATIENCE", 0.3)
    monkeypatch.setattr(occupancy, "EVERY", 0.05)


def held(server: Any, namespace: str) -> Occupancy:
    return Occupancy(address.read(f"{server.url}?namespace={namespace}"))


def asked(server: Any, sql: str) -> list[Any]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        return [row[0] for row in connection.execute(sql).fetchall()]


def until_held(server: Any, *, before: list[Any]) -> None:
    """By another session than before."""
    for _ in range(400):
        now = asked(server, SESSIONS)
        if now and now != before:
            return
        threading.Event().wait(0.05)
    raise AssertionError("nobody holds it")


@pytest.mark.slow
def test_the_second_is_told_where_the_first_is(server: Any) -> None:
    with held(server, "one"):
        with pytest.raises(Configuration, match=r"hutong on .*, process [0-9]+") as caught:
            held(server, "one")
        assert "namespace" in caught.value.remedy
        held(server, "two").close()
    held(server, "one").close()
    assert asked(server, NUMBER) == [0]


@pytest.mark.slow
def test_it_is_taken_again_when_the_session_breaks_and_the_server_restarts(server: Any) -> None:
    lost = threading.Event()
    with held(server, "again") as first:
        first.keep(lost.set)
        sessions = asked(server, SESSIONS)
        asked(server, f"SELECT pg_terminate_backend({sessions[0]})")
        until_held(server, before=sessions)
        sessions = asked(server, SESSIONS)
        server.stop()
        threading.Event().wait(0.3)
        server.start()
        until_held(server, before=[])
        assert not lost.is_set()
    assert asked(server, NUMBER) == [0]


@pytest.mark.slow
def test_our_own_session_that_the_server_has_not_given_up_is_ended(server: Any) -> None:
    """The network broke: we know, and the server waits."""
    lost = threading.Event()
    with held(server, "half") as first:
        sessions = asked(server, SESSIONS)
        broken = first._connection
        first._connection = None  # for us it is gone, for the server it is there
        first.keep(lost.set)
        until_held(server, before=sessions)
        assert not lost.is_set()
        assert broken is not None
        broken.close()


@pytest.mark.slow
def test_who_finds_another_in_its_place_is_told(server: Any) -> None:
    lost = threading.Event()
    with held(server, "gone") as first:
        assert first._connection is not None
        first._connection.close()
        with held(server, "gone"):
            first.keep(lost.set)
            assert lost.wait(10)
            assert len(asked(server, SESSIONS)) == 1
