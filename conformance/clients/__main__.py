"""FHIR clients that nobody here wrote, unchanged, against a gateway that is started for them.

    python -m conformance.clients [--only fhirpy]

Each is installed from its own index (PyPI, npm) into a temporary folder. Exit code 1 when one fails, 2 when one cannot
be installed here.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance.gateway import Gateway, SetupError

HERE = Path(__file__).parent
LIMIT = 300  # seconds, for an installation or a run


@dataclass(frozen=True, slots=True)
class Client:
    """One client library: its name, its package, and the program that uses it."""

    name: str
    package: str
    program: str
    command: Callable[[Path, str], list[str]]  # (home, package) → what runs a program


def _python(home: Path, package: str) -> list[str]:
    """An environment of its own with the package in it."""
    python = home / "python" / "bin" / "python"
    if not python.exists():
        venv.create(home / "python", with_pip=True)
    _done([str(python), "-m", "pip", "install", "--quiet", package], home)
    return [str(python)]


def _node(home: Path, package: str) -> list[str]:
    """npm's folder beside the programs, where node looks for packages."""
    if not (node := shutil.which("node")) or not (npm := shutil.which("npm")):
        raise SetupError("node and npm are not on this machine")
    _done([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), package], home)
    return [node]


CLIENTS = (
    Client("fhirpy", "fhirpy", "with_fhirpy.py", _python),
    Client("fhirclient", "fhirclient", "with_fhirclient.py", _python),
    Client("fhirclient.js", "fhirclient", "with_fhirclient_js.cjs", _node),
    Client("fhir-kit-client", "fhir-kit-client", "with_fhir_kit_client.mjs", _node),
    Client("schemathesis", "schemathesis", "with_schemathesis.py", _python),
    Client("@medplum/core", "@medplum/core", "with_medplum.cjs", _node),
)


def _done(command: list[str], home: Path) -> None:
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise SetupError(f"{command[-1]} cannot be installed: {(done.stderr or done.stdout).strip()[-400:]}")


def used(client: Client, home: Path, base: str, token: str) -> str:
    """What went wrong; "" where everything is as the program expects."""
    command = client.command(home, client.package)
    program = home / client.program
    shutil.copy(HERE / client.program, program)
    done = subprocess.run(
        [*command, str(program), base, token], cwd=home, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    return "" if done.returncode == 0 else (done.stderr or done.stdout or "it failed").strip()


def main() -> int:
    """Runs them one behind the other."""
    parser = argparse.ArgumentParser(prog="python -m conformance.clients", description=__doc__)
    parser.add_argument("--only", choices=[each.name for each in CLIENTS])
    only = parser.parse_args().only
    worst = 0
    with tempfile.TemporaryDirectory(prefix="hutong-clients-") as folder:
        home = Path(folder)
        with Gateway([sys.executable, "-m", "gateway"], home, config=None) as gateway:
            gateway.start()
            for client in CLIENTS:
                if only in (None, client.name):
                    worst = max(worst, _told(client, home, gateway))
    return worst


def _told(client: Client, home: Path, gateway: Gateway) -> int:
    try:
        wrong = used(client, home, f"{gateway.address}/fhir", gateway.token)
    except (SetupError, subprocess.TimeoutExpired) as error:
        print(f"none {client.name}: {error}")
        return 2
    print(f"FAIL {client.name}\n{wrong}" if wrong else f"ok   {client.name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
