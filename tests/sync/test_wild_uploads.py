"""Habits of targets that take blobs: what asked for something once must not fail for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.local.sample_registry.images import single
from mirror.outcome import Reason, RunStatus
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

pytestmark = pytest.mark.usefixtures("no_waits")


async def test_chunks_that_the_target_does_not_take_are_given_up() -> None:
    behaviour = replace(Behaviour(), chunks=False)
    async with FakeRegistry() as source, FakeRegistry(behaviour) as target:
        seed(source.store, SOURCE, "1", single("chunks", sizes=(2_200_000,)))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        place = (target.host, TARGET)
        await core.recorder.save_abilities(*place, {"chunk_bytes": 1 << 20})
        synced = await core.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors


@pytest.mark.parametrize("status", [400, 405, 412, 416, 422])
async def test_a_registry_that_refuses_to_be_read_is_no_defect_of_this_program(
    status: int,
) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        seed(source.store, SOURCE, "1", single("refused"))
        source.faults.add(Rule("GET .*/manifests/", Respond(status), times=None))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        synced = await core.sync()
        (failure,) = synced.outcome.errors
        assert failure.reason is Reason.REFUSED
        assert source.host in failure.message
        assert str(status) in failure.message
