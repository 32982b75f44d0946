"""The embedded PostgreSQL of `mirror up` comes back, whatever happened to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from flows.local import postgres_keeper
from flows.local.postgres_keeper import keep_postgres, stop_postgres
from mirror.history import Cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path / "postgres")
    await asyncio.to_thread(made.start)
    yield made
    await asyncio.to_thread(made.kill)


@pytest.fixture
async def said(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """What the keeper of the cluster says."""
    for name, value in (("LOOK_EVERY", 0.1), ("ANSWER_WITHIN", 2), ("FROZEN_AFTER", 2)):
        monkeypatch.setattr(postgres_keeper, name, value)
    lines: list[str] = []
    keeping = asyncio.create_task(keep_postgres(cluster, lines.append))
    yield lines
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping


def postmaster(cluster: Cluster) -> psutil.Process:
    return psutil.Process(int((cluster.folder / "postmaster.pid").read_text().split()[0]))


async def until_said(said: list[str], what: str) -> None:
    for _ in range(600):
        if any(what in line for line in said):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(said)


async def test_a_killed_server_is_started_again(cluster: Cluster, said: list[str]) -> None:
    postmaster(cluster).kill()
    await until_said(said, "started again")
    assert cluster.socket_dir() is not None


async def test_a_frozen_server_is_replaced(cluster: Cluster, said: list[str]) -> None:
    frozen = postmaster(cluster)
    frozen.suspend()
    await until_said(said, "did not answer")
    assert not frozen.is_running()
    assert cluster.socket_dir() is not None


async def test_a_frozen_server_is_stopped_too(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_keeper, "ANSWER_WITHIN", 2)
    frozen = postmaster(cluster)
    frozen.suspend()
    await stop_postgres(cluster)
    assert not frozen.is_running()
    assert cluster.socket_dir() is None


async def test_what_keeps_it_from_starting_is_said_once(cluster: Cluster, said: list[str]) -> None:
    settings = cluster.folder / "postgresql.conf"
    right = settings.read_text()
    settings.write_text(f"{right}\nshared_buffers = none\n")
    postmaster(cluster).kill()
    await until_said(said, "does not start")
    await asyncio.sleep(1)  # it is tried again and again
    assert len(said) == 1, said
    assert "configuration file" in said[0]
    assert "\n" not in said[0]
    settings.write_text(right)
    await until_said(said, "started again")
