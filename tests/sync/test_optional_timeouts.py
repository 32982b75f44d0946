"""An optional request that gets no answer is given up in time, and the plain way is taken."""

from __future__ import annotations

import asyncio

import pytest

from flows.local.sample_registry.images import single
from mirror.outcome import RunStatus
from tests.support.fake_registry.faults import Delay, Rule
from tests.support.fake_registry.oddities import with_referrers
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

pytestmark = pytest.mark.usefixtures("no_waits")
HANG = 60  # seconds

REQUESTS = {
    "head_blob": "HEAD .*/blobs/",
    "head_manifest": "HEAD .*/manifests/",
    "referrers": "GET .*/referrers/",
    "page_size": "GET .*/tags/list\\?n=1000",
    "mount": "POST .*mount=",
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_an_optional_request_without_an_answer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("registry", "repository_api", "referrers", "tag_list"):
        monkeypatch.setattr(f"mirror.registry.{module}.ANSWER_SECONDS", 0.2)
    async with asyncio.timeout(HANG), FakeRegistry() as source, FakeRegistry() as target:
        seed(source.store, SOURCE, "1.0", with_referrers("timeouts"))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        if name == "mount":  # from another repository that holds its blobs
            seed(source.store, "other", "1.0", with_referrers("timeouts"))
            other = CoreSync(
                endpoint_of(source),
                endpoint_of(target),
                source_name="other",
                target_name="other",
                recorder=core.recorder,
            )
            assert (await other.sync()).outcome.status is RunStatus.SUCCEEDED
            core.recorder.known.clear()
        else:
            seed(target.store, TARGET, "0.1", single("older"))
        for side in (source, target):
            side.faults.add(Rule(REQUESTS[name], Delay(HANG), times=None))
        synced = await core.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
        there = target.store.repository(TARGET).tags
        assert source.store.repository(SOURCE).tags.items() <= there.items()
        refusals = {**core.recorder.refusals[source.host, SOURCE]}
        refusals |= core.recorder.refusals[target.host, TARGET]
        assert "timed out" in refusals[name].reason
