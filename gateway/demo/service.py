"""The gateway of the demo: `hutong serve` as a process of its own, over a community folder made for this run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import Any, Final, Self

import httpx

from gateway.demo.inbox import DemoError, Patience, wait_until

COMMUNITY: Final = Path(__file__).parent / "community"
HOST: Final = "127.0.0.1"
PROGRAM: Final = (sys.executable, "-P", "-m", "gateway")  # -P: never a folder of this name where the user stands


class Service:
    """A running gateway. Everything of it lies below `home`: community/, data/, gateway.log, token."""

    def __init__(self, home: Path, *, patience: Patience, addresses: dict[str, str], secrets: dict[str, str]) -> None:
        self.home = home
        self.patience = patience
        self.data = home / "data"
        self.community = home / "community"
        self.log = home / "gateway.log"
        self.token_file = home / "token"
        self.mllp = (HOST, _free_port())
        self.url = f"http://{HOST}:{_free_port()}"
        _fill(self.community, addresses)
        self._environment = {**os.environ, **secrets}
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=15)

    def start(self) -> None:
        """Check the community, start, wait for /health, make a token for looking. DemoError when any of it fails."""
        self._run("check", "--config", str(self.community))
        address = self.url.removeprefix("http://")
        command = [*PROGRAM, "serve", "--config", str(self.community / "community.yaml"), "--data", str(self.data)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own program
                [*command, "--http", address, "--mllp", "{}:{}".format(*self.mllp)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment,
            )  # fmt: skip
        wait_until(self._healthy, "the start of the gateway", self.patience, start=True)
        token = self.token(name="demo", scope="system/*.*")
        with os.fdopen(os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(token)
        self._client.headers["Authorization"] = f"Bearer {token}"

    def _healthy(self) -> bool | None:
        if self._process is None or self._process.poll() is not None:
            raise DemoError(f"the gateway ended by itself; see {self.log}")
        try:
            return True if self._client.get("/health").status_code == 200 else None
        except httpx.TransportError:
            return None

    def token(self, *, name: str, scope: str) -> str:
        """A new token, as `hutong token create` prints it."""
        return self._run("token", "create", "--data", str(self.data), "--name", name, "--scope", scope).strip()

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        if done.returncode:
            raise DemoError(f"hutong {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def get(self, path: str) -> dict[str, Any]:
        """A JSON answer of the web door."""
        answer = self._client.get(path)
        if not answer.is_success:
            raise DemoError(f"GET {path.partition('?')[0]} answered {answer.status_code}")
        found: dict[str, Any] = answer.json()
        return found

    def search(self, query: str) -> list[dict[str, Any]]:
        """The resources that a FHIR search finds: 'Patient?identifier=…'."""
        bundle = self.get(f"/fhir/{query}")
        return [each["resource"] for each in bundle.get("entry", ())]

    def count(self, query: str) -> int:
        """How many a FHIR search finds."""
        return int(self.get(f"/fhir/{query}{'&' if '?' in query else '?'}_summary=count")["total"])

    def idle(self) -> bool:
        """Whether nothing waits any more, neither to be processed nor to be sent."""
        totals = self.get("/operations/status")["totals"]
        return not any(counts.get("waiting") for counts in totals.values())

    def held(self) -> list[str]:
        """What the gateway refused, has not processed or not sent, and why; one line each."""
        lists = [("entries", state) for state in ("refused", "parked", "dead", "waiting")]
        lists += [("deliveries", state) for state in ("parked", "dead", "waiting")]
        return [
            f"{state}: {each.get('channel') or each['subscription']} {each['id']}: {each['place']}: {each['cause']}"
            for kind, state in lists
            for each in self.get(f"/operations/{kind}?state={state}")[kind]
        ]

    def wait(self) -> None:
        """Until the gateway ends. Raises DemoError when it ends by itself."""
        if self._process is not None:
            code = self._process.wait()
            raise DemoError(f"the gateway ended by itself with {code}; see {self.log}")

    def close(self) -> None:
        """Stop it, as a service manager would: SIGTERM, and SIGKILL when it does not listen."""
        self._client.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=12)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _fill(folder: Path, addresses: dict[str, str]) -> None:
    """The community's folder with the addresses of this run."""
    shutil.copytree(COMMUNITY, folder)
    for path in folder.rglob("*.yaml"):
        path.write_text(Template(path.read_text("utf-8")).substitute(addresses), "utf-8")


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as found:
        port: int = found.getsockname()[1]
    return port
