"""Docker Hub's pull quota through whole syncs: read into the history, never spent to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mirror.outcome import Reason, RunStatus
from tests.flows.conftest import Mirrors, Rows
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import PullQuota
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.limits import Pulls
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import seed

QUOTA = PullQuota(limit=24, logged_in=200)
REPOSITORY = "newbe36524/hagicode"


@asynccontextmanager
async def hub_and_target(mirrors: Mirrors) -> AsyncIterator[tuple[FakeRegistry, FakeRegistry]]:
    """A small Docker Hub with ten images, a target, and the mirror `m` between them."""
    async with (
        FakeRegistry(replace(quirks.DOCKER_HUB, quota=QUOTA)) as source,
        FakeRegistry() as target,
        FakeHub(source.store) as hub,
    ):
        for number in range(10):
            image = multi_platform(f"quota/{number}", sizes=(100,))
            seed(source.store, REPOSITORY, f"1.0.{number}", image)
        mirrors.registries[source.host] = {
            "insecure": True,
            "hub_api": hub.url,
            "realm_hosts": ["localhost"],
        }
        mirrors.add("m", f"{source.host}/{REPOSITORY}", f"{target.host}/copy/app")
        yield source, target


def refused(source: FakeRegistry) -> list[str]:
    return [one.line for one in source.exchanges if one.status == 429]


async def test_a_sync_stops_before_the_quota_is_used_up_and_says_when_it_goes_on(
    mirrors: Mirrors, rows: Rows
) -> None:
    async with hub_and_target(mirrors) as (source, target):
        first = await mirrors.sync()
        assert first.status is RunStatus.PARTIAL
        assert {error.reason for error in first.errors} == {Reason.QUOTA}
        assert "resumes by" in first.errors[0].message
        assert 0 < first.tags.copied < 10
        assert len(target.store.repository("copy/app").tags) == first.tags.copied
        assert not refused(source), "it stopped before"
        waiting = rows.one("SELECT count(*) FROM tag_sync WHERE status = 'waiting'")
        assert waiting == 10 - first.tags.copied
        assert rows.one("SELECT count(*) FROM tag_state WHERE attempts > 0") == 0
        reading = rows.all("SELECT * FROM quota_reading ORDER BY read_at DESC")[0]
        assert reading["quota"] == 24
        assert reading["remaining"] == 24 - 3 * first.tags.copied
        assert reading["window_seconds"] == 21_600


async def test_what_was_put_off_arrives_when_the_quota_is_there_again(
    mirrors: Mirrors, rows: Rows
) -> None:
    async with hub_and_target(mirrors) as (source, target):
        await mirrors.sync()
        copied = -1
        while len(held := target.store.repository("copy/app").tags) != copied:
            copied = len(held)  # as long as what is left allows something, it goes on
            await mirrors.sync(full=True)
            assert not refused(source)
        assert copied < 10
        source.pulls = Pulls(QUOTA)  # the window is over
        last = await mirrors.sync(full=True)
        assert last.status is RunStatus.SUCCEEDED, last.errors
        assert len(target.store.repository("copy/app").tags) == 10
        assert rows.one("SELECT count(*) FROM tag_sync WHERE status = 'failed'") == 0


async def test_a_login_has_its_own_quota(
    mirrors: Mirrors, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_USER", quirks.USERNAME)
    monkeypatch.setenv("HUB_PASSWORD", quirks.PASSWORD)
    async with hub_and_target(mirrors) as (source, target):
        mirrors.registries[source.host] |= {
            "username_env": "HUB_USER",
            "password_env": "HUB_PASSWORD",
        }
        mirrors.write()
        outcome = await mirrors.sync()
        assert outcome.status is RunStatus.SUCCEEDED, outcome.errors
        assert len(target.store.repository("copy/app").tags) == 10
        assert {row["quota"] for row in rows.all("SELECT * FROM quota_reading")} == {200}
