"""Processes that are killed or frozen, and a disk that is full."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import psutil

from faults.acting import Acting, Fired
from faults.front import HttpFault
from faults.stage import Run, Stage, registry_process
from tests.support.registry_process import DockerRegistry


def kill_registry(which: str) -> Acting:
    """kill -9, and started again."""

    @asynccontextmanager
    async def act(
        stage: Stage, rng: Random, run: asyncio.Future[Run], fired: Fired
    ) -> AsyncIterator[None]:
        registry: DockerRegistry = getattr(stage, which)
        after, away = rng.uniform(0, 0.8), rng.uniform(0, 1.5)

        async def hit() -> None:
            await run
            await asyncio.sleep(after)
            registry_process(registry).kill()
            fired.times = 1
            await asyncio.to_thread(registry_process(registry).wait)
            await asyncio.sleep(away)
            await asyncio.to_thread(registry.start)

        async with _beside(hit()):
            yield

    return act


def freeze(which: str) -> Acting:
    """SIGSTOP, and SIGCONT a while later."""

    @asynccontextmanager
    async def act(
        stage: Stage, rng: Random, run: asyncio.Future[Run], fired: Fired
    ) -> AsyncIterator[None]:
        after, frozen = rng.uniform(0, 0.6), rng.uniform(0.1, 2.5)

        async def hit() -> None:
            running = await run
            await asyncio.sleep(after)
            targets = _processes(stage, which, running)
            for each in targets:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.suspend()
                    fired.times = 1
            try:
                await asyncio.sleep(frozen)
            finally:
                for each in targets:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.resume()

        async with _beside(hit()):
            yield

    return act


@asynccontextmanager
async def kill_run(
    stage: Stage, rng: Random, run: asyncio.Future[Run], fired: Fired
) -> AsyncIterator[None]:
    """kill -9 of the process that syncs."""
    after = rng.uniform(0, 0.8)

    async def hit() -> None:
        running = await run
        await asyncio.sleep(after)
        fired.times = int(running.signal(signal.SIGKILL))

    async with _beside(hit()):
        yield


@asynccontextmanager
async def kill_postgres(
    stage: Stage, rng: Random, run: asyncio.Future[Run], fired: Fired
) -> AsyncIterator[None]:
    """kill -9 of PostgreSQL's first process, and started again."""
    after, away = rng.uniform(0, 0.8), rng.uniform(0, 1.5)

    async def hit() -> None:
        await run
        await asyncio.sleep(after)
        if (postmaster := stage.postmaster()) is None:
            return
        postmaster.kill()
        fired.times = 1
        await asyncio.sleep(away)
        await stage.start_postgres()

    async with _beside(hit()):
        yield


@asynccontextmanager
async def full_disk(
    stage: Stage, rng: Random, run: asyncio.Future[Run], fired: Fired
) -> AsyncIterator[None]:
    """No byte is free where the target and the database store, or the target says so."""
    if not stage.small_disks:
        errors = {"errors": [{"code": "UNKNOWN", "message": "no space left on device"}]}
        body = json.dumps(errors).encode()
        fault = HttpFault(r"(PUT|PATCH) /v2/", lambda _: (500, {}, body), times=20)
        stage.at_target.http.append(fault)
        yield
        fired.times = fault.fired
        return
    filler = stage.folder / "small" / "filler"
    left = rng.choice((0, 0, 4096, 65536))

    def fill() -> None:
        # A page at a time at the end: what is left is then what was asked for.
        with filler.open("wb", buffering=0) as out:
            for piece in (1 << 24, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        out.write(b"\0" * piece)
            out.truncate(max(0, out.tell() - left))

    await asyncio.to_thread(fill)
    fired.times = 1
    try:
        yield
    finally:
        filler.unlink()
        if stage.postmaster() is None:
            await stage.start_postgres()


def _processes(stage: Stage, which: str, run: Run) -> list[psutil.Process]:
    try:
        if which == "run":
            return [] if run.ended.done() else [psutil.Process(run.pid)]
        if which == "postgres":
            first = stage.postmaster()
            return [] if first is None else [first, *first.children(recursive=True)]
        return [psutil.Process(registry_process(getattr(stage, which)).pid)]
    except psutil.NoSuchProcess:
        return []


@asynccontextmanager
async def _beside(hit: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let a fault hit while the run works; it heals itself before the block is left."""
    task = asyncio.create_task(hit)
    try:
        yield
    finally:
        await task
