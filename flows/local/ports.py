"""Addresses and ports of this machine."""

from __future__ import annotations

import errno
import socket

from mirror.errors import MirrorError, UsageError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def choose_port(host: str, port: int, what: str, option: str) -> int:
    """TCP port `port` if it is free at host; 0 chooses a free one.

    Raises MirrorError when it is in use and UsageError when host is no address of this machine;
    their messages name `what` needs the port and the `option` that chooses another.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise MirrorError(
                    f"port {port} at {host}, needed for {what}, is in use by another program; "
                    f"stop it, or choose another port with {option} (0: any free one)"
                ) from error
            raise UsageError(f"cannot listen at {host}:{port} for {what}: {error}") from error
        chosen: int = probe.getsockname()[1]
        return chosen


def address(host: str, port: int) -> str:
    """The http URL by which programs on this machine reach a server that listens at host."""
    if host in ANY:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
