"""The sender to endpoints that FHIR clients chose: rest-hooks (R4 subscription.html#2.46.7.1).

    2xx                                  Receipt
    408 425 429 5xx, no connection       Transient; Retry-After is respected
    sent, but no answer in time          Ambiguous
    3xx, an address that may not be      Configuration: redirects are never followed (reach.py says which may be)
    any other                            Permanent

A name is resolved once for each connection, and the connection made to the address that was judged: whoever owns the
name cannot answer otherwise a moment later. The path of an endpoint may be a secret, as its headers are: errors name
the host alone.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpcore

from gateway.errors import Ambiguous, Configuration, Transient
from gateway.model import Receipt
from gateway.transport.http import ANSWER_LIMIT, refusal
from gateway.transport.reach import Reach, Target, judged, target_of

CONNECTIONS = 4  # to one endpoint
RESOLVING = 5.0  # seconds that finding the address of a name may take
ENDPOINT = "Subscription.channel.endpoint"

Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to an endpoint."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = 30.0  # seconds until the whole answer is there


async def addresses(host: str, port: int) -> list[str]:
    """All addresses of a name. Raises OSError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(RESOLVING):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class HookSender:
    """Sends calls to the host of one endpoint, at most CONNECTIONS at a time. Raises Configuration when the endpoint is
    no address."""

    def __init__(
        self, endpoint: str, reach: Reach, *, resolve: Resolve = addresses, trust: ssl.SSLContext | None = None
    ) -> None:
        self.target = _target(endpoint)
        self._backend = _Judged(self.target, reach, resolve)
        self._trust = trust
        self._made: httpcore.AsyncConnectionPool | None = None

    async def send(self, call: Call) -> Receipt:
        """The receipt of 2xx. Raises Transient, Ambiguous, Configuration or Permanent as the table above says."""
        if _target(call.url) != self.target:
            raise Configuration("not the host of the endpoint", place=self.target.place)
        try:
            async with asyncio.timeout(call.timeout):
                return await self._sent(call)
        except TimeoutError:
            cause = f"no answer within {call.timeout:g} s"
            raise Ambiguous(cause, place=self.target.place, remedy="it is sent again with the same key") from None

    async def _sent(self, call: Call) -> Receipt:
        place = self.target.place
        seconds = dict.fromkeys(("connect", "read", "write", "pool"), call.timeout)
        headers = [("Host", self.target.authority), *call.headers.items(), ("Content-Length", str(len(call.body)))]
        try:
            async with self._pool().stream(
                call.method,
                call.url,
                headers=[(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers],
                content=call.body,
                extensions={"timeout": seconds},
            ) as response:
                answer = await _beginning(response)
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout, OSError) as error:
            cause = f"the endpoint cannot be reached ({type(error).__name__})"
            raise Transient(cause, place=place, remedy="it is tried again by itself") from error
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            cause = f"no answer came ({type(error).__name__})"
            raise Ambiguous(cause, place=place, remedy="it is sent again with the same key") from error
        if 200 <= response.status < 300:
            return Receipt(at=datetime.now(UTC), code=str(response.status), body=answer)
        wait = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
        raise refusal(response.status, wait.decode("latin-1"), answer, place)

    def _pool(self) -> httpcore.AsyncConnectionPool:
        if self._made is None:
            self._made = httpcore.AsyncConnectionPool(
                ssl_context=self._trust or ssl.create_default_context(), network_backend=self._backend,
                max_connections=CONNECTIONS, keepalive_expiry=15.0,
            )  # fmt: skip
        return self._made

    async def close(self) -> None:
        """Give back the connections."""
        if self._made is not None:
            await self._made.aclose()
            self._made = None


def _target(url: str) -> Target:
    try:
        return target_of(url)
    except ValueError as error:
        raise Configuration(str(error), place=ENDPOINT, remedy="mend it") from None


async def _beginning(response: httpcore.Response) -> bytes:
    """The first 64 KiB of an answer; the rest of a longer one is not read."""
    kept = bytearray()
    async for piece in response.aiter_stream():
        kept += piece
        if len(kept) >= ANSWER_LIMIT:
            break
    return bytes(kept[:ANSWER_LIMIT])


class _Judged(httpcore.AsyncNetworkBackend):
    """Connects only to addresses that may be spoken to, whatever the name said before or says later."""

    def __init__(self, target: Target, reach: Reach, resolve: Resolve) -> None:
        self._target = target
        self._reach = reach
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the name that httpcore gives it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The address is found, judged and connected to, each once."""
        address, problem = judged(self._reach, self._target, await self._resolve(host, port))
        if problem:
            remedy = "list its network or host under `hooks` in community.yaml, or choose another endpoint"
            raise Configuration(problem, place=self._target.place, remedy=remedy)
        return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
