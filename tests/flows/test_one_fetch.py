"""Mirrors of one source that are synced by one process read each manifest and blob once."""

from __future__ import annotations

from collections import Counter

from prefect import flow

from flows.local.sample_registry.images import BOTH, single
from flows.sync_group import sync_group
from flows.sync_mirror import SyncRequest
from mirror.outcome import RunOutcome, RunStatus, Trigger
from tests.flows.conftest import Mirrors
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import seed


@flow(persist_result=False)
async def sync_both() -> tuple[RunOutcome, ...]:
    """As the flows over many mirrors do."""
    return await sync_group([SyncRequest(name, True, Trigger.MANUAL) for name in ("one", "other")])


async def test_two_mirrors_of_one_source_read_it_once(mirrors: Mirrors) -> None:
    async with FakeRegistry() as origin, FakeRegistry() as one, FakeRegistry() as other:
        digest = seed(origin.store, "team/app", ["1.0", "latest"], single("one", BOTH[0]))
        for name, target in (("one", one), ("other", other)):
            mirrors.add(name, f"{origin.host}/team/app", f"{target.host}/copy/app")
        outcomes = await sync_both()
        assert [outcome.status for outcome in outcomes] == [RunStatus.SUCCEEDED] * 2
        for target in (one, other):
            assert target.store.repository("copy/app").tags["latest"] == digest
        read = Counter(
            exchange.path
            for exchange in origin.exchanges
            if exchange.method == "GET" and "sha256:" in exchange.path
            if "/blobs/" in exchange.path or "/manifests/" in exchange.path
        )
        assert digest in "".join(read)
        assert set(read.values()) == {1}, read
