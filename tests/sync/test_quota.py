"""A pull quota is read where the source reports one, and spent only as far as it goes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows.local.sample_registry.images import single
from mirror.outcome import Quota, SourceTag
from mirror.sync.tags.quota import read_quota, spend
from tests.support.fake_registry.behaviour import Behaviour, PullQuota
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, seed
from tests.sync.parts import NOON, change, digest, repository_at

IMAGE = single("quota")
ONE, TWO, THREE = (change(f"{number}.0", digest(number)) for number in (1, 2, 3))


def quota(remaining: int, limit: int = 100) -> Quota:
    """What is left of a quota of six hours."""
    return Quota("docker.io", None, limit, remaining, 6 * 3600, NOON)


async def test_a_source_without_a_quota_has_none() -> None:
    async with FakeRegistry() as registry, repository_at(registry, SOURCE) as source:
        seed(registry.store, SOURCE, "1.0", IMAGE)
        await source.get_manifest("1.0")
        assert read_quota(source) is None


async def test_the_quota_is_what_the_registry_reported_last() -> None:
    async with (
        FakeRegistry(Behaviour(quota=PullQuota(limit=100, window=3600))) as registry,
        repository_at(registry, SOURCE) as source,
    ):
        seed(registry.store, SOURCE, "1.0", IMAGE)
        assert read_quota(source) is None, "nothing was reported yet"
        for remaining in (99, 98):
            await source.get_manifest("1.0")
            found = read_quota(source)
            assert found is not None
            assert (found.registry, found.limit, found.remaining) == (
                registry.host,
                100,
                remaining,
            )
            assert found.window_seconds == 3600


def test_without_a_quota_everything_is_affordable() -> None:
    budget = spend((ONE, TWO), (), None)
    assert (budget.affordable, budget.deferred) == ((ONE, TWO), ())
    assert budget.resumes_at is None
    assert budget.reason == ""


@pytest.mark.parametrize(
    ("remaining", "affordable"), [(4, 0), (9, 0), (10, 1), (14, 1), (15, 2), (20, 3), (100, 3)]
)
def test_a_tag_of_unknown_platforms_costs_five_and_a_twentieth_stays(
    remaining: int, affordable: int
) -> None:
    budget = spend((ONE, TWO, THREE), (), quota(remaining))
    assert len(budget.affordable) == affordable
    assert budget.affordable + budget.deferred == (ONE, TWO, THREE)


@pytest.mark.parametrize(("platforms", "cost"), [(1, 3), (2, 5), (4, 9)])
def test_an_image_costs_its_index_and_each_platform_with_its_attestation(
    platforms: int, cost: int
) -> None:
    names = tuple(f"linux/p{number}" for number in range(platforms))
    tags = (SourceTag("1.0", ONE.digest, platforms=names),)
    assert spend((ONE,), tags, quota(5 + cost)).affordable == (ONE,)
    assert spend((ONE,), tags, quota(5 + cost - 1)).deferred == (ONE,)


def test_a_digest_costs_once_however_many_tags_have_it() -> None:
    latest = change("latest", ONE.digest)
    assert spend((ONE, latest), (), quota(10)).affordable == (ONE, latest)


def test_once_a_tag_is_deferred_so_are_all_after_it_even_if_they_cost_less() -> None:
    cheap = SourceTag("2.0", TWO.digest, platforms=("linux/amd64",))
    budget = spend((ONE, TWO), (cheap,), quota(9))
    assert (budget.affordable, budget.deferred) == ((), (ONE, TWO))


def test_the_reason_names_the_registry_what_is_left_and_when_it_goes_on() -> None:
    budget = spend((ONE,), (), quota(3))
    assert budget.resumes_at == NOON + timedelta(hours=6)
    assert budget.reason == (
        "not enough pull quota at docker.io (3 of 100 left); resumes by 2026-03-01 18:00 UTC;"
        " a credential for the source raises the quota"
    )
    assert spend((ONE,), (), quota(100)).reason == ""
