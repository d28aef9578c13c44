"""Where a server listens, and who may reach it there."""

from __future__ import annotations

import ipaddress
import socket

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
