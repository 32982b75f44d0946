"""Random combinations of habits: a run ends identical or in a failure, and loses nothing.

HABITS sets how many combinations are tried (default 60), SEED the first of them.
"""

from __future__ import annotations

import asyncio
import os
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from flows.local.sample_registry.documents import ManifestDocument
from flows.local.sample_registry.images import single
from mirror.config.models import TagPolicy
from mirror.outcome import RunStatus
from mirror.registry import retries
from tests.support.clock import clock_set_to
from tests.support.fake_registry.faults import (
    Corrupt,
    CutConnection,
    Headers,
    Respond,
    Rule,
    Truncate,
)
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

COUNT = int(os.environ.get("HABITS", "60"))
FIRST = int(os.environ.get("SEED", "1"))
TAGS = ("1.0.0", "1.1.0", "1.2.0", "2.0.0")
NEW = "3.0.0"
HANG = 120  # seconds; without waits between attempts a run takes a fraction of one

REQUESTS = (
    "POST .*/blobs/uploads/\\?digest=",
    "POST .*/blobs/uploads/",
    "PATCH .*/blobs/uploads/",
    "PUT .*/blobs/uploads/.*digest=",
    "HEAD .*/blobs/",
    "GET .*/blobs/",
    "HEAD .*/manifests/",
    "GET .*/manifests/",
    "PUT .*/manifests/",
    "GET .*/tags/list\\?n=1000",
    "GET .*/tags/list",
    "GET .*/referrers/",
)
STATUSES = (400, 401, 403, 404, 405, 409, 412, 416, 429, 500, 502, 503, 507)
BODIES = (
    b"<html>Sign in</html>",
    b'{"tags": null}',
    b'{"tags": []}',
    b'{"errors": [{"code": "DENIED"}]}',
    b"[]",
    b"",
)
HEADERS = ("Content-Length", "Docker-Content-Digest", "Content-Type", "Location", "Range")


def habit(chance: random.Random) -> Rule:
    """One way in which a registry may differ or fail."""
    fault = chance.choice(
        (
            Respond(chance.choice(STATUSES)),
            Respond(chance.choice(STATUSES), "MANIFEST_UNKNOWN"),
            Respond(200, body=chance.choice(BODIES)),
            CutConnection(),
            Truncate(chance.randrange(200)),
            Corrupt(chance.randrange(200)),
            Headers(drop=frozenset({chance.choice(HEADERS)})),
        )
    )
    return Rule(
        chance.choice(REQUESTS),
        fault,
        times=chance.choice((1, 2, 5, None)),
        skip=chance.choice((0, 0, 1, 3)),
    )


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's waits take no time."""

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(retries, "asyncio", SimpleNamespace(sleep=sleep))


@pytest.mark.parametrize("number", range(FIRST, FIRST + COUNT))
async def test_a_run_ends_identical_or_failed_and_loses_nothing(number: int) -> None:
    chance = random.Random(number)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    async with asyncio.timeout(HANG), FakeRegistry() as source, FakeRegistry() as target:
        for tag in TAGS:
            seed(source.store, SOURCE, tag, single(f"habits/{tag}", sizes=(300,)))
        core = CoreSync(
            endpoint_of(source),
            endpoint_of(target),
            tags=TagPolicy(delete_after=timedelta(days=1)),
        )
        with clock_set_to(lambda: now):
            assert (await core.sync()).outcome.status is RunStatus.SUCCEEDED
            seed(source.store, SOURCE, NEW, multi_platform("habits/new"))
            for registry in (source, target):
                for _ in range(chance.randrange(4)):
                    registry.faults.add(habit(chance))
            for _ in range(3):  # days apart, so that what is taken for gone would be deleted
                now += timedelta(days=3)
                outcome = (await core.sync()).outcome
                if outcome.status is RunStatus.SUCCEEDED:
                    assert identical(source, target), number
                else:
                    assert outcome.errors, number
                    assert all(error.message for error in outcome.errors)
                assert set(TAGS) <= target.store.repository(TARGET).tags.keys(), number
                assert not [name for name, tag in core.known.items() if tag.gone_at], number
                assert whole(target), number
            source.faults.clear()
            target.faults.clear()
            now += timedelta(days=31)
            assert (await core.sync()).outcome.status is RunStatus.SUCCEEDED
            assert identical(source, target), number


def identical(source: FakeRegistry, target: FakeRegistry) -> bool:
    """True if the target has every tag of the source at its digest."""
    return source.store.repository(SOURCE).tags == target.store.repository(TARGET).tags


def whole(target: FakeRegistry) -> bool:
    """True if everything below the target's tags is there."""
    held = target.store.repository(TARGET)

    def complete(digest: str) -> bool:
        if digest not in held.manifests:
            return False
        document = ManifestDocument.parse(held.manifests[digest].raw)
        return all(complete(child.digest) for child in document.manifests or ()) and all(
            blob in held.blobs for blob in document.blobs
        )

    return all(complete(digest) for digest in held.tags.values())
