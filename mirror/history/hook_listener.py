"""Waits for reports of pushes: PostgreSQL wakes who listens (NOTIFY)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

import psycopg

from mirror.history.address import answering, conninfo

HOOKS_CHANNEL: Final = "mirror_hook_event"
_ASK_EVERY: Final = 30.0  # seconds; a notification may be lost with its connection


async def listen_to_hooks(url: str) -> AsyncGenerator[None, None]:
    """Yields at the start, at every report, and now and then. Raises DatabaseAway."""
    with answering(url):
        async with await psycopg.AsyncConnection.connect(
            conninfo(url), autocommit=True, connect_timeout=10, application_name="mirror hooks"
        ) as connection:
            await connection.execute(f"LISTEN {HOOKS_CHANNEL}")
            while True:
                yield
                async for _ in connection.notifies(timeout=_ASK_EVERY, stop_after=1):
                    pass
