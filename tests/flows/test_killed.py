"""Runs that die, and runs that meet: nothing half-done is ever visible, nothing is doubled."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from dataclasses import dataclass, field

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.interceptor import Interceptor
from tests.flows.command import Command, kill
from tests.flows.conftest import Mirrors, Rows
from tests.support.fake_registry.faults import Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import DockerRegistry
from tests.support.snapshot import snapshot

BLOBS = r"GET /v2/team/app/blobs/"


@dataclass(frozen=True)
class Gate(Interceptor):
    """Holds requests back until it is opened."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def before(self) -> None:
        self.reached.set()
        await self.opened.wait()


def images(count: int) -> dict[str, Image]:
    """Images whose layers take a second or so each at the slow source."""
    return {
        f"1.0.{n}": multi_platform(f"killed/{n}", sizes=(300_000, 200_000)) for n in range(count)
    }


async def test_after_kill_9_the_next_run_finishes_without_copying_twice(
    docker_registry: StartDockerRegistry, mirrors: Mirrors, rows: Rows, command: Command
) -> None:
    target = docker_registry()
    pushed, gate = images(6), Gate()
    # After 13 blobs at the latest some tags are whole, and none of the others can be.
    async with FakeRegistry(faults=(Rule(BLOBS, gate, times=None, skip=13),)) as source:
        for tag, image in pushed.items():
            await push(source.url, "team/app", tag, image)
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        process = command.start("sync", "m")
        await _until_blobs_arrived(target, process, 13)
        kill(process)
        gate.opened.set()
        left = await snapshot(target.url, "copy/app")
        assert left.whole
        assert len(left.tags) < len(pushed)
        finished = _stored(target)
        ended = await command.run("sync", "m", "--json")
        assert ended.code == 0, ended.err
    (outcome,) = json.loads(ended.out)
    there = await snapshot(target.url, "copy/app")
    assert there.whole
    assert there.tags == {tag: image.digest for tag, image in pushed.items()}
    # What the killed run had finished, blobs of unfinished tags too, is not sent again.
    blobs = {d: len(raw) for image in pushed.values() for d, raw in image.blobs.items()}
    assert len(finished) >= 13
    assert outcome["bytes_copied"] == sum(
        size for digest, size in blobs.items() if digest not in finished
    )
    statuses = rows.all("SELECT status, reason FROM sync_run ORDER BY started_at")
    assert [row["status"] for row in statuses] == ["abandoned", "succeeded"]
    assert statuses[0]["reason"] == "abandoned"
    assert rows.one("SELECT count(*) FROM tag_sync WHERE status = 'running'") == 0


def _stored(target: DockerRegistry) -> set[str]:
    """The blobs that the target repository holds, by its storage."""
    layers = target.storage / "repositories" / "copy" / "app" / "_layers" / "sha256"
    return {f"sha256:{link.parent.name}" for link in layers.glob("*/link")}


async def _until_blobs_arrived(
    target: DockerRegistry, process: subprocess.Popen[str], count: int
) -> None:
    """Watch the target while the run works: a tag that is there is whole, at every moment."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        seen = await snapshot(target.url, "copy/app")
        # docker-registry lists a tag a moment before it has its link, when nobody can pull it yet.
        torn = {name for name in seen.missing if name.startswith("sha256:")}
        assert not torn | seen.wrong
        if len(_stored(target)) >= count:
            return
        assert process.poll() is None, process.communicate()
        await asyncio.sleep(0.05)
    raise AssertionError("the blobs did not arrive in time")


async def test_of_two_syncs_of_one_target_one_works_and_the_other_says_so(
    docker_registry: StartDockerRegistry, mirrors: Mirrors, rows: Rows, command: Command
) -> None:
    target = docker_registry()
    pushed, gate = images(3), Gate()
    async with FakeRegistry(faults=(Rule(BLOBS, gate, times=None),)) as source:
        for tag, image in pushed.items():
            await push(source.url, "team/app", tag, image)
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        first = asyncio.create_task(command.run("sync", "m", "--json"))
        await asyncio.wait_for(gate.reached.wait(), 60)
        refused = await command.run("sync", "m", "--json")
        gate.opened.set()
        worked = await first
    assert (worked.code, refused.code) == (0, 1), (worked.err, refused.err)
    assert len(refused.error_lines) == 1
    assert "another run is syncing this target (run " in refused.err
    (outcome,) = json.loads(refused.out)
    assert outcome["errors"][0]["reason"] == "lock"
    assert rows.one("SELECT count(*) FROM tag_sync") == len(pushed)
    assert (await snapshot(target.url, "copy/app")).whole


async def test_a_sync_waits_for_its_turn_at_a_registry_and_gets_that_of_a_killed_one(
    docker_registry: StartDockerRegistry, mirrors: Mirrors, rows: Rows, command: Command
) -> None:
    target = docker_registry()
    pushed, gate = images(2), Gate()
    async with FakeRegistry(faults=(Rule(BLOBS, gate, times=None),)) as source:
        for tag, image in pushed.items():
            await push(source.url, "team/app", tag, image)
        mirrors.registries[source.host] = {"insecure": True, "max_syncs": 1}
        mirrors.add("a", f"{source.host}/team/app", f"{target.host}/copy/a")
        mirrors.add("b", f"{source.host}/team/app", f"{target.host}/copy/b")
        first = command.start("sync", "a")
        await asyncio.wait_for(gate.reached.wait(), 60)
        await asyncio.sleep(1)  # it asks for the other blobs as well
        asked = len(source.exchanges)
        second = asyncio.create_task(command.run("sync", "b", "--json"))
        locked = f"SELECT count(*) FROM target_lock WHERE target = '{target.host}/copy/b'"
        while not rows.one(locked):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)  # a look for a free turn is made each second
        turns = rows.one("SELECT count(*) FROM target_lock WHERE target LIKE '%, sync %'")
        assert (len(source.exchanges), turns, second.done()) == (asked, 1, False)
        kill(first)
        gate.opened.set()
        worked = await asyncio.wait_for(second, 60)
    assert worked.code == 0, worked.err
    assert (await snapshot(target.url, "copy/b")).tags == {
        tag: image.digest for tag, image in pushed.items()
    }
    assert rows.one("SELECT count(*) FROM target_lock WHERE target LIKE '%, sync %'") == 0
