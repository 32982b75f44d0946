"""Simulated time passes only while nobody is at work; a simulated day agrees with the history."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from random import Random

from mirror.outcome import utcnow
from mirror.registry import Clock
from simulation.clock import Time, simulate
from simulation.month import month
from simulation.week import week

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_sleeping_costs_nothing_and_all_clocks_agree() -> None:
    async def work(moment: Time) -> None:
        clock = Clock()
        await asyncio.sleep(7 * 86400)
        await clock.sleep(60)
        assert utcnow() == clock.now() == moment.now() == START + timedelta(days=7, minutes=1)
        assert clock.monotonic() == moment.monotonic() == 7 * 86400 + 60

    simulate(work, START, Random(1))
    assert abs((utcnow() - datetime.now(UTC)).total_seconds()) < 60


def test_no_time_passes_while_a_thread_or_a_socket_works() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await asyncio.sleep(2)
        writer.write(b"late\n")
        writer.close()

    async def work(moment: Time) -> None:
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.05)
        assert moment.monotonic() == 0
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"soon\n")
            async with asyncio.timeout(30):
                assert await reader.readline() == b"soon\n"
            assert moment.monotonic() == 0
            assert await reader.readline() == b"late\n"
            assert moment.monotonic() == 2
            writer.close()
            await writer.wait_closed()

    simulate(work, START, Random(1))


def test_pushes_of_some_hours_arrive_in_seconds_and_the_history_says_the_same() -> None:
    figures = month(days=0.06, seed=7, pushes_a_day=100)
    assert figures["well"], figures
    assert figures["pushes"] >= 2
    assert figures["arrived"]["max"] < 20
    assert figures["history"]["rows"]["sync_run"] == figures["runs"]
    assert figures["history"]["megabytes"] > 5


def test_success_delays_and_alerts_after_a_fault_are_those_that_follow_from_it() -> None:
    figures = week(days=0.15, seed=5, pushes_a_day=60, watchdog=1800)
    assert figures["well"], figures
    assert sum(figures["faults"].values()) >= 1
    assert figures["runs"] > 10
