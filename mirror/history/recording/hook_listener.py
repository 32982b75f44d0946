"""Waits for reports of pushes: PostgreSQL wakes who listens (NOTIFY)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import psycopg

from mirror.history.database import answering, conninfo

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
                if await _readable(connection, _ASK_EVERY):
                    async for _ in connection.notifies(timeout=1, stop_after=1):
                        pass


async def _readable(connection: psycopg.AsyncConnection, seconds: float) -> bool:
    """Whether the server sent something within so long. psycopg would look ten times a second."""
    loop, sent = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection.fileno(), sent.set)
    try:
        async with asyncio.timeout(seconds):
            return await sent.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(connection.fileno())
