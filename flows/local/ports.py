"""Addresses and ports of this machine."""

from __future__ import annotations

import errno
import socket

from mirror.errors import MirrorError, UsageError


def choose_port(host: str, wanted: int, what: str, option: str) -> int:
    """The wanted TCP port if it is free at host; 0 chooses a free one.

    Raises MirrorError when it is taken and UsageError when host is no address of this machine;
    `what` and `option` name in the message what wants the port and how to choose another.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise MirrorError(
                    f"port {wanted} at {host}, wanted for {what}, is taken by another program; "
                    f"stop it or choose another with {option} (0: any free one)"
                ) from error
            raise UsageError(f"cannot listen at {host}:{wanted} for {what}: {error}") from error
        port: int = probe.getsockname()[1]
        return port


def address(host: str, port: int) -> str:
    """The http address of a server that listens at host, as a program here reaches it."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
