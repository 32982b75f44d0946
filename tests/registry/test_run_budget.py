"""What one run may take of its registries: each breach is one error that names the setting."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest

from mirror.registry import (
    BudgetExceeded,
    Clock,
    Descriptor,
    Endpoint,
    Limits,
    Registry,
    RunBudget,
    copy_blob,
)
from mirror.registry.http.request import RequestContext
from mirror.registry.spec.digest import digest_of
from mirror.registry.spec.media_type import OCI_INDEX
from tests.registry.scripted import Script, answer

CHILD = {"mediaType": OCI_INDEX, "digest": digest_of(b"child"), "size": 5}
INDEX = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD] * 10}).encode()
LAYER = b"x" * (3 << 20)


def registry(
    script: Script, limits: Limits, passed: Callable[[], float] = time.monotonic
) -> Registry:
    """A client whose run has these limits; `passed` is the clock."""
    budget = RunBudget(limits, passed)
    return Registry(
        Endpoint("a.test"), transport=script, budget=budget, clock=Clock(monotonic=passed)
    )


def indexes() -> Script:
    script = Script()
    script.on("manifests/", answer(200, INDEX, {"Content-Type": OCI_INDEX}))
    script.on("tags/list", answer(200, json.dumps({"tags": [f"t{at}" for at in range(100)]})))
    return script


@pytest.mark.parametrize(
    ("limits", "words", "key"),
    [
        (Limits(requests=3), "3 requests", "requests"),
        (Limits(descriptors=30), "30 descriptors", "descriptors"),
    ],
)
async def test_what_a_run_reads_counts_together_and_ends_all_of_it(
    limits: Limits, words: str, key: str
) -> None:
    async with registry(indexes(), limits) as client:
        repository = client.repository("a/b")
        for _ in range(3):
            await repository.get_manifest("1")
        with pytest.raises(BudgetExceeded, match=rf"more than {words} while .*limits\.{key}") as it:
            await repository.get_manifest("1")
        assert client.budget.breach is it.value
        before = client.requests
        with pytest.raises(BudgetExceeded):
            await repository.get_manifest("2")
        assert client.requests == before + (key != "requests"), "nothing more is sent"
        client.budget.renew()
        await repository.tags()


async def test_what_manifests_name_takes_memory_once_a_run() -> None:
    async with registry(indexes(), Limits(memory=1_000)) as client:
        repository = client.repository("a/b")
        for tag in range(5):
            await repository.get_manifest(str(tag))
        with pytest.raises(BudgetExceeded, match=r"0 MB of memory .*limits\.memory_mb"):
            client.budget.descriptors(["sha256:1"], RequestContext("r", "reading"))


async def test_the_pages_of_all_lists_of_a_run_count_together() -> None:
    async with registry(indexes(), Limits(pages=2)) as client:
        await client.repository("a/b").tags()
        await client.repository("a/c").tags()
        with pytest.raises(BudgetExceeded, match=r"more than 2 pages .*limits\.pages"):
            await client.repository("a/d").tags()


async def test_a_run_ends_when_its_time_is_over() -> None:
    passed = 0.0
    async with registry(indexes(), Limits(run_time=60), lambda: passed) as client:
        await client.repository("a/b").tags()
        passed = 61.0
        with pytest.raises(BudgetExceeded, match=r"more than 60 seconds .*limits\.run_time"):
            await client.repository("a/b").tags()


async def test_a_layer_has_its_size_over_the_least_rate_and_some_time_more() -> None:
    passed = 0.0

    class Pieces(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for start in range(0, len(LAYER), 1 << 16):
                yield LAYER[start : start + (1 << 16)]

    def slow_target(_: int) -> None:
        nonlocal passed
        passed += 1.0

    script = Script()
    script.on("GET .*/blobs/", lambda _: httpx.Response(200, stream=Pieces()))
    script.on("POST ", answer(202, headers={"Location": "/v2/a/c/blobs/uploads/1"}))
    script.on("(PUT|PATCH) ", answer(201))
    layer = Descriptor("x", digest_of(LAYER), len(LAYER))
    limits = Limits(least_rate=100_000.0, layer_time=10.0)
    async with registry(script, limits, lambda: passed) as client:
        with pytest.raises(BudgetExceeded, match=r"of 3,145,728 bytes in 41 s.*layer_time"):
            source, target = client.repository("a/b"), client.repository("a/c")
            await copy_blob(source, target, layer, progress=slow_target)
        assert client.budget.breach is None, "it concerns its tag alone"
    passed = 0.0
    async with registry(script, replace(limits, layer_time=20.0), lambda: passed) as client:

        async def throttle(_: int) -> None:
            nonlocal passed
            passed += 30.0  # our own doing

        source, target = client.repository("a/b"), client.repository("a/c")
        await copy_blob(source, target, layer, progress=slow_target, throttle=throttle)
