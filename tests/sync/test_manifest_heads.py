"""HEADs of tags: each name once, by no more tasks than there are names, and none is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from mirror.registry import Repository
from mirror.sync.tags import prefetch
from mirror.sync.tags.prefetch import ManifestHeads


@dataclass
class Registry:
    """Answers at once: no tag exists."""

    requested: list[str] = field(default_factory=list)

    async def head_manifest(self, name: str) -> None:
        self.requested.append(name)


@dataclass
class Tasks:
    """What was started."""

    started: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.started.append(task)
        return task


def heads(registry: Registry, tasks: Tasks) -> ManifestHeads:
    return ManifestHeads(cast(Repository, registry), tasks.start)


@pytest.mark.parametrize("names", [("a",), ("a", "b", "a"), tuple("abcdefgh")])
async def test_a_name_takes_one_task_and_one_request(names: tuple[str, ...]) -> None:
    registry, tasks = Registry(), Tasks()
    found = heads(registry, tasks)
    for name in names:
        found.start([name])
    assert await found.of(names) == dict.fromkeys(names)
    assert sorted(registry.requested) == sorted({*names})
    assert len(tasks.started) == len({*names})


async def test_many_names_take_as_many_tasks_as_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "AT_ONCE", 3)
    registry, tasks = Registry(), Tasks()
    names = [f"t{number}" for number in range(50)]
    assert len(await heads(registry, tasks).of(names)) == 50
    assert len(tasks.started) == 3


async def test_a_name_that_comes_as_the_last_task_ends_is_requested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefetch, "AT_ONCE", 1)
    found = heads(Registry(), Tasks())
    async with asyncio.timeout(5):
        assert await found.of(["a"]) == {"a": None}
        assert await found.of(["b"]) == {"b": None}
