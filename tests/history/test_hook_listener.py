"""A process that listens for reports of pushes wakes at each, and sees when the server is gone."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from mirror.history import DatabaseAway, listen_to_hooks
from mirror.history.database.address import conninfo
from mirror.history.recording import hook_listener
from mirror.history.recording.hook_listener import HOOKS_CHANNEL

HANG = 60  # seconds until a test that waits for ever is stopped


async def sql(url: str, query: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True) as connection:
        await connection.execute(query)


async def test_each_report_wakes_it_and_nothing_else_does(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_listener, "_ASK_EVERY", 10 * HANG)
    hooks = listen_to_hooks(url)
    async with asyncio.timeout(HANG):
        await anext(hooks)
        for _ in range(3):
            waiting = asyncio.ensure_future(anext(hooks))
            done, _ = await asyncio.wait({waiting}, timeout=0.3)
            assert not done
            await sql(url, f"NOTIFY {HOOKS_CHANNEL}")
            await waiting
        await hooks.aclose()


async def test_it_wakes_now_and_then_without_a_report(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_listener, "_ASK_EVERY", 0.05)
    hooks = listen_to_hooks(url)
    async with asyncio.timeout(HANG):
        for _ in range(3):
            await anext(hooks)
        await hooks.aclose()


async def test_a_session_that_is_ended_is_an_error(url: str) -> None:
    hooks = listen_to_hooks(url)
    async with asyncio.timeout(HANG):
        await anext(hooks)
        waiting = asyncio.ensure_future(anext(hooks))
        await asyncio.sleep(0)
        await sql(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'mirror hooks'",
        )
        with pytest.raises(DatabaseAway):
            await waiting
