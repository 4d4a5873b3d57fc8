"""Which addresses we may speak to when a client chose them: no server-side request forgery. Pure.

A public address takes https on 443 and 8443. What the settings list may be private, and takes http too. Loopback and
link-local addresses (169.254.169.254 tells clouds' secrets) need a listed network that lies in their own range.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.model import Hooks

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PUBLIC_PORTS = frozenset({443, 8443})
LISTED_PORTS = frozenset({80, 443})  # and all from 1024 on
_NUMBERS = re.compile(r"(0[xX])?[0-9a-fA-F]+(\.(0[xX])?[0-9a-fA-F]+){0,3}")  # 167772161, 012.0.0.1: as C reads them
_TRANSITION = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "::/96")))


@dataclass(frozen=True, slots=True)
class Target:
    """An address that a client wrote, taken apart."""

    secure: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The host as the header of that name says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """For errors and logs: paths of hooks often hold a secret."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Reach:
    """The settings, ready to be asked."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()

    def problem(self, target: Target, address: Address) -> str:
        """Why a connection to this address of the target may not be made; "" when it may."""
        address = getattr(address, "ipv4_mapped", None) or address
        listed = any(_opens(network, address) for network in self.networks)
        named = target.host.lower() in self.hosts and not _never_by_name(address)
        if not (listed or named) and not _public(address):
            return "the address is not public, and not listed in the settings"
        if not (listed or named) and not target.secure:
            return "without https only addresses that the settings list are spoken to"
        if not self._port(target.port, listed=listed or named):
            return f"port {target.port} is not one that may be spoken to"
        return ""

    def written_problem(self, target: Target) -> str:
        """What is wrong already as it is written; names are judged when they are connected to."""
        address = _literal(target.host)
        if address is not None:
            return self.problem(target, address)
        if not self._port(target.port, listed=bool(self.networks or self.hosts)):
            return f"port {target.port} is not one that may be spoken to"
        if not target.secure and not (self.networks or target.host.lower() in self.hosts):
            return "without https only addresses that the settings list are spoken to"
        return ""

    def _port(self, port: int, *, listed: bool) -> bool:
        if self.ports:
            return port in self.ports
        return port in PUBLIC_PORTS or (listed and (port in LISTED_PORTS or port >= 1024))


def reach(hooks: Hooks) -> Reach:
    """Of checked settings."""
    networks = tuple(ipaddress.ip_network(each, strict=False) for each in hooks.networks)
    return Reach(networks, frozenset(each.lower() for each in hooks.hosts), frozenset(hooks.ports))


@functools.lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """The parts of an address. Raises ValueError in words for what is none."""
    if not url.isascii() or any(character <= " " or character in '\\"<>^`{|}\x7f' for character in url):
        raise ValueError("it holds characters that no address has")
    parts = urlsplit(url)  # its own ValueErrors: brackets, ports
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("it is no https address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a name or password stands in it: write a header instead")
    if parts.fragment:
        raise ValueError("an address of a service has no #")
    secure = parts.scheme == "https"
    return Target(secure, parts.hostname, parts.port or (443 if secure else 80))


def judged(reach: Reach, target: Target, addresses: Sequence[str]) -> tuple[str, str]:
    """(the address to connect to, "") or ("", why not). One bad address of a name spoils them all: which of them a
    later look-up would have given is the name's owner's choice."""
    problem = "the name has no address"
    for text in addresses:
        problem = reach.problem(target, ipaddress.ip_address(text.partition("%")[0]))
        if problem:
            return "", problem
    return (addresses[0], "") if addresses else ("", problem)


def _literal(host: str) -> Address | None:
    """The address that a host is, also where it only means one; None for a name."""
    if host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if _NUMBERS.fullmatch(host) else None
    except OSError:
        return None


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and any(address in each for each in _TRANSITION):
        return False  # they carry an IPv4 address inside
    return address.is_global and not address.is_multicast and not address.is_reserved


def _opens(network: Network, address: Address) -> bool:
    """0.0.0.0/0 opens neither loopback nor link-local."""
    if address.version != network.version or address not in network:
        return False
    return not _never_by_name(address) or network.is_loopback or network.is_link_local


def _never_by_name(address: Address) -> bool:
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
