"""Targets that have lost blobs, whatever HEAD says: the next sync uploads them again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from flows.local.sample_registry.content import Content, layer
from flows.local.sample_registry.images import single
from flows.local.sample_registry.interceptor import Interceptor
from flows.local.sample_registry.replies import Reply
from mirror.outcome import ChangeKind, RunStatus
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

pytestmark = pytest.mark.usefixtures("no_waits")

BASE = layer("lost/base", size=200_000)
SMALL = layer("lost/small", size=200)


@dataclass(frozen=True)
class Present(Interceptor):
    """HEAD says that a blob of `size` bytes is there, whatever is."""

    size: int

    def amend(self, reply: Reply) -> Reply:
        return Reply(200, {"Content-Length": str(self.size)})


@dataclass
class World:
    """A mirror that is in step with its source, at a target that does not check what it takes."""

    source: FakeRegistry
    target: FakeRegistry
    core: CoreSync

    def lose(self, blob: Content) -> None:
        """The target loses a blob and goes on to say that it has it."""
        self.target.store.repository(TARGET).blobs.remove(blob.digest)
        present = Present(len(blob.raw))
        self.target.faults.add(Rule(f"HEAD .*/blobs/{blob.digest}", present, times=None))

    def holds(self, digest: str) -> bool:
        """Whether the target has the blob."""
        return digest in self.target.store.repository(TARGET).blobs


@pytest.fixture
async def world() -> AsyncIterator[World]:
    careless = replace(Behaviour(), checks_references=False)
    async with FakeRegistry() as source, FakeRegistry(careless) as target:
        seed(source.store, SOURCE, "1.0", single("1.0", shared=[BASE, SMALL]))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        assert (await core.sync()).outcome.status is RunStatus.SUCCEEDED
        yield World(source, target, core)


@pytest.mark.parametrize("lost", [BASE, SMALL], ids=["large", "small"])
async def test_a_blob_that_only_the_record_and_head_have_is_found_out_and_uploaded(
    world: World, lost: Content
) -> None:
    world.lose(lost)
    seed(world.source.store, SOURCE, "2.0", single("2.0", shared=[BASE, SMALL]))
    synced = await world.core.sync()
    assert set(synced.failures) == {"2.0"}, "not available with half of its layers"
    assert lost.digest in synced.failures["2.0"].message
    synced = await world.core.sync()
    assert synced.outcome.status is RunStatus.SUCCEEDED
    assert world.holds(lost.digest)


async def test_a_tag_that_is_adopted_without_its_blobs_is_copied_by_the_next_run(
    world: World,
) -> None:
    world.lose(BASE)
    world.core.recorder.known.clear()
    world.core.recorder.blobs.clear()
    assert set((await world.core.sync()).failures) == {"1.0"}
    assert (await world.core.sync()).outcome.status is RunStatus.SUCCEEDED
    assert world.holds(BASE.digest)


async def test_what_an_audit_found_missing_is_uploaded_whatever_head_says(world: World) -> None:
    world.lose(BASE)
    state = world.core.known["1.0"]
    world.core.known["1.0"] = replace(state, suspect=ChangeKind.MISSING)
    del world.core.recorder.blobs[world.target.host, TARGET][BASE.digest]
    assert (await world.core.sync()).outcome.status is RunStatus.SUCCEEDED
    assert world.holds(BASE.digest)


async def test_a_small_blob_with_other_bytes_is_not_taken_for_the_right_one(world: World) -> None:
    world.target.faults.add(
        Rule(f"GET .*/blobs/{SMALL.digest}", Respond(200, body=b"x" * len(SMALL.raw)), times=None)
    )
    seed(world.source.store, SOURCE, "2.0", single("2.0", shared=[SMALL]))
    synced = await world.core.sync()
    assert "another digest" in synced.failures["2.0"].message


async def test_a_sync_without_changes_reads_no_blob(world: World) -> None:
    before = len(world.target.exchanges)
    assert (await world.core.sync()).outcome.status is RunStatus.SUCCEEDED
    assert not [one for one in world.target.exchanges[before:] if "/blobs/" in one.path]


async def test_a_store_whose_disk_was_full_is_healed(
    docker_registry: StartDockerRegistry,
) -> None:
    """distribution 2.8 is left with an empty link, and answers 500 for the blob from then on."""
    target = docker_registry()
    async with FakeRegistry() as source:
        seed(source.store, SOURCE, "0.9", single("0.9"))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        assert (await core.sync()).outcome.status is RunStatus.SUCCEEDED
        links = target.storage / "repositories" / TARGET / "_layers" / "sha256"
        link = links / BASE.digest.partition(":")[2] / "link"
        link.parent.mkdir(parents=True)
        link.write_bytes(b"")
        seed(source.store, SOURCE, "1.0", single("1.0", shared=[BASE]))
        assert (await core.sync()).outcome.status is RunStatus.SUCCEEDED
        assert link.read_text() == BASE.digest
