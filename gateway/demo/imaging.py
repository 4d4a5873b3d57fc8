"""The imaging centre: takes orders as FHIR transaction Bundles on its own web address, and posts its reports.

`http.server` of the standard library for what it takes; httpx for what it sends.
"""

from __future__ import annotations

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import quote

import httpx

from gateway.demo import paper
from gateway.demo.inbox import DemoError, Inbox, Patience

HOST: Final = "127.0.0.1"


class ImagingCentre:
    """Listening from the beginning; `secret` is the Authorization header that it wants to see."""

    def __init__(self, *, patience: Patience) -> None:
        self.inbox: Inbox[dict[str, Any]] = Inbox(patience)
        self.secret = f"Bearer {secrets.token_urlsafe(24)}"
        self._server = _Port((HOST, 0), _Request)
        self._server.centre = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it takes orders."""
        return f"http://{HOST}:{self._server.server_address[1]}/orders"

    def report(self, order: dict[str, Any], texts: dict[str, str], *, to: str, token: str) -> str:
        """Post one state of the report on a received order; returns the HTTP status, DemoError when it is refused."""
        asked = paper.resources(order, "ServiceRequest")[0]
        examined = paper.resources(order, "Patient")[0]
        body = paper.report(
            **texts,
            order=_by_number("ServiceRequest", asked["identifier"]),
            patient=_by_number("Patient", examined["identifier"]),
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
        answer = httpx.post(to, content=body, headers=headers, timeout=15, trust_env=False)
        if not answer.is_success:
            raise DemoError(f"the gateway answered {answer.status_code} to the report: {answer.text[:200]}")
        return str(answer.status_code)

    def close(self) -> None:
        """Close the web address. The gateway should have stopped before."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _by_number(kind: str, identifiers: list[dict[str, Any]]) -> str:
    """A conditional reference (R4 http.html#trules): the centre knows business numbers, not the gateway's ids."""
    number = identifiers[0]
    return f"{kind}?identifier={quote(number['system'], safe=':/.')}|{quote(number['value'])}"


class _Port(ThreadingHTTPServer):
    daemon_threads = True
    centre: ImagingCentre


class _Request(BaseHTTPRequestHandler):
    """One order a request."""

    server: _Port
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Authorization") != self.server.centre.secret:
            self._answer(401, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "login"}]})
            return
        self.server.centre.inbox.put(json.loads(body))
        self._answer(200, {"resourceType": "Bundle", "type": "transaction-response"})

    def _answer(self, status: int, resource: dict[str, Any]) -> None:
        body = json.dumps(resource).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the table tells what happens."""
