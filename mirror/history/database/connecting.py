"""Opening a connection to the history, and cutting one that hangs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import socket
import time
from typing import Any, Final

import psycopg

_PATIENCE: Final = 60.0  # seconds for a server that has no connection left
_PAUSE: Final = 1.0
# The state 53300 does not reach psycopg before there is a connection.
_FULL: Final = re.compile("too many (clients|connections)|remaining connection slots")


async def connect(conninfo: str, **options: Any) -> psycopg.AsyncConnection[Any]:
    """Connect, and wait up to a minute while the server has no connection left.

    Runs need theirs for seconds to minutes, so one comes free. Raises psycopg.OperationalError.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return await psycopg.AsyncConnection.connect(conninfo, **options)
        except psycopg.OperationalError as error:
            if not _FULL.search(str(error)) or time.monotonic() > until:
                raise
        await asyncio.sleep(_PAUSE * (0.5 + random.random()))  # noqa: S311 - spreads who waits


def cut_connection(connection: psycopg.AsyncConnection[Any]) -> None:
    """Cut a connection, so that a statement that waits on it fails at once."""
    if connection.closed:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)
