"""A gateway as a process of its own, and its public doors: MLLP, HTTP, the command line. Needs only PyYAML."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import yaml

from conformance.message import Message

HOST = "127.0.0.1"
START_LIMIT = 90.0  # seconds
TAKING = ("mllp", "http")  # transports of channels that only take what is sent to them; the others fetch


class SetupError(Exception):
    """The run could not begin."""


class Gateway:
    """`command` is the program: ['hutong'] or [python, '-m', 'gateway']."""

    def __init__(self, command: list[str], home: Path, *, config: Path | None) -> None:
        self._command = command
        self._config = ["--config", str(config)] if config else []
        self.data = home / "data"
        self.log = home / "gateway.log"
        self._http = f"{HOST}:{_free_port()}"
        self._mllp = (HOST, _free_port())
        self._process: subprocess.Popen[bytes] | None = None
        self._token = ""

    def use(self, token: str) -> None:
        """Come in with this token: the data directory is another one now."""
        self._token = token.strip()

    def start(self) -> float:
        """Start it and wait for /health; returns the seconds it took."""
        if not self._token:
            self._prepare()
        doors = ["--http", self._http, "--mllp", "{}:{}".format(*self._mllp)]
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "serve", "--data", str(self.data), *self._config, *doors],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while self._health() != 200:
            if self._process.poll() is not None or time.monotonic() - began > START_LIMIT:
                raise SetupError(f"the gateway did not start; its words are in {self.log}")
            time.sleep(0.02)
        return time.monotonic() - began

    def _prepare(self) -> None:
        if self._config:
            self._run("check", *self._config)
        self._token = self._run("token", "create", "--data", str(self.data), "--name", "smoke", "--scope", "system/*.*")

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=60, check=False)
        except OSError as error:
            raise SetupError(f"{self._command[0]}: {error.strerror}") from error
        if done.returncode:
            raise SetupError(done.stderr.strip())
        return done.stdout.strip()

    def _health(self) -> int:
        try:
            return self.status_of("/health", token="")
        except OSError:
            return 0

    # ------------------------------------------------------------------------------------------ HTTP

    def _ask(
        self, path: str, *, token: str | None = None, body: bytes | None = None, kind: str = ""
    ) -> tuple[int, bytes]:
        token = self._token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if kind:
            headers["Content-Type"] = kind
        request = urllib.request.Request(f"http://{self._http}{path}", data=body, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def status_of(self, path: str, *, token: str | None = None) -> int:
        """The HTTP status of a GET."""
        return self._ask(path, token=token)[0]

    def post(self, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """(status, answer) of a POST."""
        return self._ask(path, body=body, kind=kind)

    def text(self, path: str) -> str:
        """The answer of a GET as text."""
        return self._ask(path)[1].decode()

    def get(self, path: str) -> dict[str, Any]:
        """The answer of a GET as JSON."""
        found: dict[str, Any] = json.loads(self.text(path))
        return found

    def search(self, query: str) -> list[dict[str, Any]]:
        """The resources that a FHIR search finds."""
        return [each["resource"] for each in self.get(f"/fhir/{query}").get("entry", ())]

    def count(self, query: str) -> int:
        """How many a FHIR search finds."""
        return int(self.get(f"/fhir/{query}&_summary=count")["total"])

    def entries(self) -> dict[str, int]:
        """State → how many received messages stand there."""
        found: dict[str, int] = self.get("/operations/status")["totals"]["entries"]
        return found

    def books(self) -> tuple[Any, Any]:
        """What the record and the journal hold, counted."""
        status = self.get("/operations/status")
        return status["resources"], status["totals"]["entries"]

    # ------------------------------------------------------------------------------------------ MLLP

    @property
    def address(self) -> str:
        """Of the web door."""
        return f"http://{self._http}"

    @property
    def token(self) -> str:
        """One that may do everything; after `start`."""
        return self._token

    @property
    def process_id(self) -> int:
        """Of the running gateway."""
        assert self._process is not None
        return self._process.pid

    @property
    def mllp(self) -> tuple[str, int]:
        """Where HL7 v2 is taken."""
        return self._mllp

    def send(self, body: bytes) -> Message:
        """One message on a new connection; its answer, empty when there was none."""
        answers = self.raw((b"\x0b" + body + b"\x1c\r",), 1)
        return answers[0] if answers else Message("", b"")

    def raw(self, parts: tuple[bytes, ...], expected: int) -> list[Message]:
        """Bytes as given; the answers, until so many came or none comes any more."""
        answers: list[Message] = []
        held = b""
        with socket.create_connection(self._mllp, timeout=30) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                line.sendall(part)
            while len(answers) < expected:
                try:
                    data = line.recv(65536)
                except TimeoutError:
                    break
                if not data:
                    break
                held += data
                while b"\x1c\r" in held:
                    body, _, held = held.partition(b"\x1c\r")
                    answers.append(Message("", body.lstrip(b"\x0b")))
        return answers

    # ------------------------------------------------------------------------------------------ ending

    def kill(self) -> None:
        """kill -9 of all its processes."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self) -> int:
        """Until it ends by itself; its code."""
        assert self._process is not None
        return self._process.wait(timeout=60)

    def stop(self) -> str:
        """SIGTERM; why it did not stop well, or ""."""
        assert self._process is not None
        self._process.terminate()
        try:
            code = self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it did not"
        return "" if code == 0 else f"it left with {code}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def neutral_copy(config: Path, target: Path) -> Path:
    """A community's settings without anything that reaches out of this machine or into its folders."""
    source = config if config.is_dir() else config.parent
    if not (source / "community.yaml").is_file():
        raise SetupError(f"there is no community.yaml in {source}")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("data", "*.sqlite*", ".*"))
    for path in target.rglob("*.yaml"):
        try:
            settings = yaml.safe_load(path.read_text("utf-8"))
        except yaml.YAMLError as error:
            raise SetupError(f"{path}: {error}") from error
        path.write_text(yaml.safe_dump(_neutral(settings), allow_unicode=True, sort_keys=False), "utf-8")
    return target / "community.yaml"


def _neutral(settings: Any) -> Any:
    """A member, or a community with its members inside."""
    if not isinstance(settings, dict):
        return settings
    made = {name: value for name, value in settings.items() if name != "subscriptions"}
    if isinstance(made.get("members"), list):
        made["members"] = [_neutral(member) for member in made["members"]]
    if isinstance(made.get("channels"), list):
        kept = [each for each in made["channels"] if isinstance(each, dict) and each.get("transport") in TAKING]
        made["channels"] = [{name: value for name, value in each.items() if name != "listen"} for each in kept]
    return made


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as found:
        port: int = found.getsockname()[1]
    return port
