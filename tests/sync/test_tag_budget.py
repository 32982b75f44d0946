"""A tag may lead to so many manifests and blobs; the others of its run do not pay for it."""

from __future__ import annotations

from flows.local.sample_registry.content import index
from flows.local.sample_registry.images import over, single
from mirror.outcome import Reason, RunStatus
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

GOOD = single("budget/good")


async def test_a_tag_that_leads_to_too_many_fails_alone() -> None:
    children = [single(f"budget/{at}", sizes=(10,) * 5) for at in range(10)]
    inner = [over(index([child.root.descriptor()]), [child]) for child in children]
    wide = over(index([one.root.descriptor() for one in inner]), inner)
    async with FakeRegistry() as source, FakeRegistry() as target:
        seed(source.store, SOURCE, "good", GOOD)
        seed(source.store, SOURCE, "wide", wide)
        core = CoreSync(endpoint_of(source), endpoint_of(target), limits={"tag_descriptors": 40})
        synced = await core.sync()
        assert synced.arrived == ("good",)
        failure = synced.failures["wide"]
        assert failure.reason is Reason.SERVER_ERROR
        assert "more than 40 manifests and blobs" in failure.message
        assert "limits.tag_descriptors in mirrors.yaml" in failure.message
        core.limits = {"tag_descriptors": 80}
        assert (await core.sync()).arrived == ("wide",)
        assert target.store.repository(TARGET).tags["wide"] == wide.digest


async def test_a_run_whose_budget_is_used_up_leaves_the_rest_to_the_next() -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        for number in range(100):
            seed(source.store, SOURCE, f"1.0.{number}", single(f"budget/run/{number}"))
        core = CoreSync(endpoint_of(source), endpoint_of(target), limits={"descriptors": 300})
        arrived: set[str] = set()
        for _ in range(4):
            synced = await core.sync()
            arrived |= set(synced.arrived)
            if synced.outcome.status is RunStatus.SUCCEEDED:
                break
            assert synced.outcome.status is RunStatus.PARTIAL
            (ended,) = [error for error in synced.outcome.errors if error.tag is None]
            assert "more than 300 descriptors" in ended.message
            assert len(synced.outcomes) < 100, "what was not begun is not recorded as failed"
        assert arrived == {f"1.0.{number}" for number in range(100)}
        assert not core.recorder.running
