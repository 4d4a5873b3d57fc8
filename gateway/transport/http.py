"""The HTTP sender: one POST a delivery, with an Idempotency-Key that is the same on every attempt.

    2xx                                  Receipt (an HL7 v2 answer inside is read as an acknowledgement)
    408 425 429 5xx, no connection       Transient; Retry-After is respected
    sent, but no answer                  Ambiguous
    3xx                                  Configuration: redirects are never followed
    any other                            Permanent

Header values may hold `env:NAME`: the environment variable is put there when sending, so that no secret lies in a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from gateway.errors import Ambiguous, Configuration, HutongError, Permanent, Transient
from gateway.model import Delivery, Receipt
from gateway.transport.answer import control_id, receipt, spoken

CONTENT_TYPES = {
    "fhir": "application/fhir+json",
    "hl7v2": "x-application/hl7-v2+er7",  # the HL7 over HTTP convention
    "json": "application/json",
    "xml": "application/xml",
    "delimited": "text/csv",
    "workbook": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
ANSWER_LIMIT = 64 * 1024  # bytes kept of an answer
LONGEST_WAIT = 3600.0  # seconds: a Retry-After beyond it is cut

_SECRET = re.compile(r"(?<!\S)env:([A-Za-z_][A-Za-z0-9_]*)")
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_CHECK = "check that it runs and that the network lets us through"
_AGAIN = "it is sent again with the same Idempotency-Key"
_BUSY = frozenset((408, 425, 429))


class HttpSender:
    """POSTs to one address. `format` is the codec's name and gives the content type; `charset` is added to it."""

    parallel = 8

    def __init__(
        self,
        address: str,
        *,
        format: str = "fhir",
        headers: Mapping[str, str] | None = None,
        charset: str = "",
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = address
        self._place = _without_secrets(address)
        self._format = format
        self._headers = dict(headers or {})
        self._charset = charset
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout), follow_redirects=False, trust_env=False, transport=transport
        )

    async def send(self, body: bytes, delivery: Delivery) -> Receipt:
        """The receipt of 2xx. Raises Transient, Ambiguous, Configuration or Permanent as the table above says."""
        headers = self._all_headers(delivery)
        try:
            async with self._client.stream("POST", self._address, content=body, headers=headers) as response:
                answer = await _beginning(response)
        except _NOT_SENT as error:
            cause = f"the receiver cannot be reached ({type(error).__name__})"
            raise Transient(cause, place=self._place, remedy=_CHECK) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Configuration("the address is no URL", place=self._place, remedy="mend it") from error
        except httpx.HTTPError as error:
            cause = f"no answer came ({type(error).__name__})"
            raise Ambiguous(cause, place=self._place, remedy=_AGAIN) from error
        return self._judged(body, response, answer)

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.aclose()

    def _all_headers(self, delivery: Delivery) -> dict[str, str]:
        kind = CONTENT_TYPES.get(self._format, "application/octet-stream")
        if self._charset and self._format != "workbook":
            kind = f"{kind}; charset={self._charset}"
        own = {name: _resolved(value, f"{self._place} header {name}") for name, value in self._headers.items()}
        return {"Content-Type": kind, "Idempotency-Key": delivery.idempotency or f"{delivery.id}", **own}

    def _judged(self, body: bytes, response: httpx.Response, answer: bytes) -> Receipt:
        if self._format == "hl7v2" and b"MSA" in answer and answer.lstrip().startswith(b"MSH"):
            return receipt(answer, control_id=control_id(body), place=self._place)
        if response.is_success:
            return Receipt(at=datetime.now(UTC), code=str(response.status_code), body=answer)
        raise refusal(response.status_code, response.headers.get("Retry-After", ""), answer, self._place)


async def _beginning(response: httpx.Response) -> bytes:
    """The first 64 KiB of an answer; the rest of a longer one is not read."""
    kept = bytearray()
    async for piece in response.aiter_bytes():
        kept += piece
        if len(kept) >= ANSWER_LIMIT:
            break
    return bytes(kept[:ANSWER_LIMIT])


def refusal(status: int, wait: str, answer: bytes, place: str) -> HutongError:
    """What an answer other than 2xx means; `wait` is its Retry-After."""
    if status in _BUSY or status >= 500:
        error = Transient(f"the receiver answered {status}", place=place, remedy="it is tried again by itself")
        error.wait = retry_after(wait, datetime.now(UTC))
        return error
    if status < 400:
        return Configuration(f"the receiver answered {status}", place=place, remedy="write its present address")
    return Permanent(f"the receiver answered {status}: {spoken(_words(answer))}", place=place, remedy="mend the map")


def retry_after(value: str, now: datetime) -> float:
    """Seconds to wait, from a number of seconds or an HTTP date (RFC 9110 §10.2.3); 0.0 when there is none."""
    if value.strip().isdigit():
        seconds = float(value)
    else:
        try:
            seconds = (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _words(answer: bytes) -> str:
    """What an OperationOutcome says, or the beginning of whatever came."""
    text = answer.decode(errors="replace")
    said = re.findall(r'"(?:diagnostics|text)"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    return "; ".join(said) or "no reason given"


def _resolved(value: str, place: str) -> str:
    def from_environment(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise Configuration(f"the environment variable {match[1]} is not set", place=place, remedy="set it")
        return found

    return _SECRET.sub(from_environment, value)


def _without_secrets(address: str) -> str:
    """An address for errors and logs: scheme, host and path; no user, password or query."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return "subscription address"
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))
