"""A source that is misread is not an empty source: nothing is lost on the word of one look."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.local.sample_registry.images import single
from mirror.config.models import TagPolicy
from mirror.outcome import Reason, RunStatus, TagStatus
from tests.support.clock import clock_set_to
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TAGS = tuple(f"1.0.{number}" for number in range(12))
TWO_WEEKS = TagPolicy(delete_after=timedelta(days=14))


@dataclass
class World:
    """A mirror of twelve tags, in sync, and a clock."""

    source: FakeRegistry
    target: FakeRegistry
    core: CoreSync
    now: datetime = NOW

    def lose(self, *tags: str) -> None:
        """Delete tags at the source."""
        for tag in tags:
            self.source.store.repository(SOURCE).delete_tag(tag)

    def gone(self) -> set[str]:
        """Tags that the history has as gone."""
        return {name for name, tag in self.core.known.items() if tag.gone_at is not None}

    def held(self) -> set[str]:
        """Tags that the target holds."""
        return set(self.target.store.repository(TARGET).tags)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The mirror after its first sync."""
    async with FakeRegistry() as source, FakeRegistry() as target:
        for tag in TAGS:
            seed(source.store, SOURCE, tag, single(f"lost/{tag}", sizes=(100,)))
        core = CoreSync(endpoint_of(source), endpoint_of(target), tags=TWO_WEEKS)
        world = World(source, target, core)
        with clock_set_to(lambda: world.now):
            assert (await core.sync()).outcome.status is RunStatus.SUCCEEDED
            yield world


@pytest.mark.parametrize("lost", [12, 11, 2])
async def test_a_look_that_loses_more_than_the_share_is_suspicious_however_often(
    world: World, lost: int
) -> None:
    world.lose(*TAGS[:lost])
    for _ in range(3):
        world.now += timedelta(days=30)
        synced = await world.core.sync()
        assert synced.outcome.status is RunStatus.PARTIAL
        (error,) = synced.outcome.errors
        assert (error.tag, error.reason) == (None, Reason.SUSPICIOUS)
        assert f"{lost} of 12" in error.message
        assert "--accept-loss" in error.message
        assert not world.gone()
        assert world.held() == set(TAGS)


@pytest.mark.parametrize("body", [b'{"name": "team/app", "tags": null}', b'{"tags": []}'])
async def test_a_list_that_is_suddenly_empty_loses_nothing_and_is_over_when_it_is_well_again(
    world: World, body: bytes
) -> None:
    rule = Rule("GET .*/tags/list", Respond(200, body=body), times=1)
    world.source.faults.add(rule)
    assert (await world.core.sync()).outcome.errors[0].reason is Reason.SUSPICIOUS
    after = await world.core.sync()
    assert after.outcome.status is RunStatus.SUCCEEDED
    assert not world.gone()


async def test_a_person_can_accept_a_loss_and_then_it_is_deleted_after_its_time(
    world: World,
) -> None:
    world.lose(*TAGS[:5])
    assert (await world.core.sync()).outcome.status is RunStatus.PARTIAL
    accepted = await world.core.sync(accept_loss=True)
    assert accepted.outcome.status is RunStatus.SUCCEEDED
    assert world.gone() == set(TAGS[:5])
    assert (await world.core.sync()).outcome.status is RunStatus.SUCCEEDED, "accepted for good"
    world.now += timedelta(days=13)
    await world.core.sync()
    assert world.held() == set(TAGS)
    world.now += timedelta(days=2)
    await world.core.sync()
    assert world.held() == set(TAGS[5:])


async def test_the_share_counts_over_the_grace_period_not_by_run(world: World) -> None:
    world.lose(TAGS[0])
    assert (await world.core.sync()).outcome.status is RunStatus.SUCCEEDED
    assert world.gone() == {TAGS[0]}
    world.now += timedelta(days=1)
    world.lose(TAGS[1])
    second = await world.core.sync()
    assert [error.reason for error in second.outcome.errors] == [Reason.SUSPICIOUS]
    assert world.gone() == {TAGS[0]}


async def test_a_tag_that_is_not_listed_and_is_there_is_not_gone(world: World) -> None:
    listed = ", ".join(f'"{tag}"' for tag in TAGS[1:])
    body = f'{{"name": "team/app", "tags": [{listed}]}}'.encode()
    world.source.faults.add(Rule("GET .*/tags/list", Respond(200, body=body), times=None))
    for _ in range(2):  # new tags may be missing in the same way, however often it is asked
        synced = await world.core.sync()
        assert not world.gone()
        assert any("does not list 1.0.0" in warning for warning in synced.outcome.warnings)
        assert synced.outcome.status is RunStatus.PARTIAL
        (error,) = synced.outcome.errors
        assert error.reason is Reason.SUSPICIOUS
        assert "never lists 1 tag that it has (1.0.0)" in error.message
    world.core.tags = world.core.tags.model_copy(update={"exclude": (TAGS[0],)})
    assert (await world.core.sync()).outcome.status is RunStatus.SUCCEEDED


async def test_a_tag_that_is_not_listed_and_cannot_be_read_is_not_gone(world: World) -> None:
    world.lose(TAGS[0])
    world.source.faults.add(Rule(f" .*/manifests/{TAGS[0]}$", Respond(500), times=None))
    synced = await world.core.sync()
    assert not world.gone()
    assert any("is unknown" in warning for warning in synced.outcome.warnings)
    world.source.faults.clear()
    await world.core.sync()
    assert world.gone() == {TAGS[0]}


async def test_a_tag_that_came_back_is_not_deleted_though_its_time_is_over(world: World) -> None:
    world.lose(TAGS[0])
    await world.core.sync()
    world.now += timedelta(days=20)
    world.source.faults.add(Rule(f" .*/manifests/{TAGS[0]}$", Respond(500), times=None))
    synced = await world.core.sync()
    assert any("was not deleted" in warning for warning in synced.outcome.warnings)
    assert TAGS[0] in world.held()
    world.source.faults.clear()
    deleted = await world.core.sync()
    assert not deleted.outcome.errors
    assert TAGS[0] not in world.held()
    assert (TAGS[0], TagStatus.DELETED) in [skip[:2] for skip in world.core.recorder.skipped]


async def test_one_look_a_second_before_the_grace_period_deletes_nothing(world: World) -> None:
    world.core.tags = TagPolicy(delete_after=timedelta(seconds=1), delete_share=1)
    world.lose(TAGS[0])
    await world.core.sync()
    world.now += timedelta(hours=23)
    await world.core.sync()
    assert TAGS[0] in world.held(), "two looks a day apart have to miss it"
    world.now += timedelta(hours=2)
    await world.core.sync()
    assert TAGS[0] not in world.held()


async def test_a_listed_tag_whose_head_is_404_is_read_by_get(world: World) -> None:
    """As Nexus answers (registry-cli #14)."""
    world.source.faults.add(Rule("HEAD .*/manifests/", Respond(404), times=None))
    image = single("lost/new")
    seed(world.source.store, SOURCE, "2.0.0", image)
    synced = await world.core.sync()
    assert synced.outcome.status is RunStatus.SUCCEEDED
    assert synced.arrived == ("2.0.0",)
    assert world.held() == {*TAGS, "2.0.0"}


async def test_a_listed_tag_that_cannot_be_read_is_a_failure_and_never_gone(world: World) -> None:
    world.source.faults.add(Rule(f"(HEAD|GET) .*/manifests/{TAGS[3]}$", Respond(404), times=None))
    synced = await world.core.sync()
    assert synced.outcome.status is RunStatus.PARTIAL
    assert synced.failures[TAGS[3]].reason is Reason.NOT_FOUND
    assert "is listed" in synced.failures[TAGS[3]].message
    assert not world.gone()


async def test_a_policy_that_matches_no_tag_is_a_warning(world: World) -> None:
    world.core.tags = TagPolicy(include=("v2.*",))
    synced = await world.core.sync()
    (warning,) = [one for one in synced.outcome.warnings if "none of the 12 tags" in one]
    assert "v2.*" in warning


async def test_a_source_without_tags_is_a_warning() -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        seed(source.store, SOURCE, (), single("lost/untagged"))
        synced = await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
    assert synced.outcome.warnings == (f"{source.host}/{SOURCE} lists no tags",)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_list_that_was_cut_once_is_read_again(world: World, times: int) -> None:
    """A page in the middle is empty and has no Link: what follows seems not to be there."""
    world.source.behaviour = replace(world.source.behaviour, page_limit=len(TAGS) - 1)
    seed(world.source.store, SOURCE, "9.0.0", single("new"))
    page = Respond(200, body=b'{"tags": null}')
    world.source.faults.add(Rule("GET .*/tags/list.*last=", page, times=times))
    synced = await world.core.sync()
    if synced.outcome.status is RunStatus.SUCCEEDED:
        assert "9.0.0" in world.held()
    else:
        assert synced.outcome.errors[0].reason is Reason.SUSPICIOUS
    assert set(TAGS) <= world.held()


async def test_a_source_that_lists_other_tags_each_time_is_suspicious(world: World) -> None:
    for hidden in (TAGS[0], TAGS[1], TAGS[2]):
        body = json.dumps({"tags": [tag for tag in TAGS if tag != hidden]}).encode()
        world.source.faults.add(Rule("GET .*/tags/list", Respond(200, body=body), times=1))
    synced = await world.core.sync()
    assert synced.outcome.status is RunStatus.PARTIAL
    assert synced.outcome.errors[0].reason is Reason.SUSPICIOUS
    assert set(TAGS) <= world.held()
