"""Networks and topics of community.yaml: what they mean, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config
from gateway.errors import Configuration
from gateway.subscriptions.topics import SHIPPED

GOOD = """\
id: c
name: 县
hooks:
  networks: [10.20.0.0/16, 127.0.0.1]
  hosts: [his.county.local]
  ports: [8080]
  patience: 60
topics:
  - url: https://sanhe.example.cn/topics/critical
    title: 危急值
    filters: [patient, code]
    triggers:
      - resource: Observation
        on: [create, update, delete]
        previous: "status:not=final"
        current: "status=final&category=laboratory"
        changed: [status]
"""


def load(tmp_path: Path, text: str) -> list[str]:
    """The mistakes of this text as 'line: cause; remedy'."""
    path = tmp_path / "community.yaml"
    path.write_text(text, "utf-8")
    try:
        config.load(path)
    except Configuration as error:
        return [line.removeprefix(f"{path}:") for line in error.cause.splitlines()]
    return []


def test_what_they_mean(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD) == []
    community = config.load(tmp_path)
    assert community.hooks.networks == ("10.20.0.0/16", "127.0.0.1")
    assert (community.hooks.patience, community.hooks.attempts, community.hooks.ports) == (60.0, 10, (8080,))
    (topic,) = community.topics
    assert topic.triggers[0].on == ("create", "update", "delete")


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("10.20.0.0/16", "10.20.0.0/99", "4: '10.20.0.0/99' is no network"),
        ("his.county.local", "http://his", "5: 'http://his' is no host name"),
        ("[8080]", "[0]", "6: 0 is no port"),
        ("patience: 60", "patience: 0", "7: 'patience' must be"),
        ("patience: 60", "tries: 3", "7: unknown word 'tries'"),
        ("https://sanhe.example.cn/topics/critical", "critical", "9: a topic is named by a URL"),
        ("[patient, code]", "[patient, nonsense]", "11: 'nonsense' is no search parameter of Observation"),
        ("resource: Observation", "resource: Observatio", "13: unknown resource type 'Observatio'"),
        ("delete]", "merge]", "14: 'on' names create, update, delete"),
        ("status:not=final", "nonsense=1", "15: Observation has no search parameter 'nonsense'"),
        ("category=laboratory", "nonsense=1", "16: Observation has no search parameter 'nonsense'"),
        ("changed: [status]", "changed: [state]", "17: Observation has no element 'state'"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    (found,) = load(tmp_path, GOOD.replace(old, new))
    assert found.startswith(mistake)


def test_networks_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUTONG_HOOKS", "127.0.0.0/8, 10.0.0.0/8")
    assert config.starter().hooks.networks == ("127.0.0.0/8", "10.0.0.0/8")
    monkeypatch.setenv("HUTONG_HOOKS", "everywhere")
    with pytest.raises(Configuration):
        config.starter()


def test_shipped_topics_pass_the_same_check() -> None:
    from gateway.config import hooks
    from gateway.model import Hooks

    found: list[object] = []
    hooks.check(Hooks(), SHIPPED, lambda *mistake: found.append(mistake))
    assert found == []
