"""HOST:PORT as written in the settings, and as shown of a peer."""

from __future__ import annotations

from typing import Any

from gateway.errors import Configuration


def host_and_port(address: str, *, place: str) -> tuple[str, int]:
    """'10.1.2.3:2575', 'lis.local:2575', '[::1]:2575' → (host, port). Raises Configuration."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Configuration(f"'{address}' is no HOST:PORT", place=place, remedy="write it as 10.1.2.3:2575")
    return host, int(port)


def peer(name: Any) -> str:
    """A socket's peer name as 'host:port'."""
    if not isinstance(name, tuple):
        return "local"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
