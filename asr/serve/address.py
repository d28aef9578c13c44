"""Where a server listens, and who may reach it there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from asr.errors import InputError


def is_local(host: str) -> bool:
    """Return whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen_on(host: str, port: int) -> socket.socket:
    """Return a socket that listens, before the model is loaded: a port that is taken is an error at once.

    Raises:
        InputError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--host {host} --port {port}: cannot be used: {reason}") from None
    return listener


def check_access(host: str, token: str) -> None:
    """Raise InputError for a server that other machines reach and that has no token."""
    if not is_local(host) and not token:
        raise InputError(
            f"--host {host}: other machines reach this server, so it needs a token: set ASR_TOKEN, or --token"
        )
    if token and (not token.isascii() or not token.isprintable() or " " in token):
        raise InputError("the token: use printable ASCII characters without spaces")


def check_names(hosts: Iterable[str], origins: Iterable[str]) -> None:
    """Raise InputError for names that no browser sends as ``Host`` (without its port) or as ``Origin``."""
    for host in hosts:
        if not host or set(host) & set("/:@*[] "):
            raise InputError(f"--allow-host {host}: use a name alone, such as asr.example")
    for origin in origins:
        expected = _origin(origin)
        if origin != expected:
            raise InputError(f"--cors-origin {origin}: use {expected or 'a scheme and a host: https://app.example'}")


def _origin(url: str) -> str:
    """Return the origin of a page as browsers send it; empty for what is no address of a page."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if default is None or not parts.hostname or "*" in url:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")
