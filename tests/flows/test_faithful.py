"""What a target refuses, what is filtered by wish, what comes later: as the history reports it."""

from __future__ import annotations

import json
from dataclasses import replace

from flows.local.sample_registry.images import BOTH, attested, single
from mirror.outcome import RunStatus
from tests.flows.command import Command
from tests.flows.conftest import Mirrors, Rows
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Auth, Behaviour
from tests.support.fake_registry.images import ARMV7, multi_platform
from tests.support.fake_registry.oddities import artifact
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry
from tests.support.snapshot import snapshot
from tests.sync.core import seed


def refusals(registry: FakeRegistry) -> list[str]:
    return [one.line for one in registry.exchanges if one.status in (400, 403)]


async def test_attestations_that_the_target_refuses_are_tried_once_and_reported_everywhere(
    mirrors: Mirrors, rows: Rows, command: Command
) -> None:
    refuses = quirks.REFUSES_ATTESTATIONS
    async with FakeRegistry() as source, FakeRegistry(refuses) as target:
        first = attested("learnt/1", artifacts=True)
        seed(source.store, "team/app", ("1.0.0", "latest"), first)
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        outcome = await mirrors.sync()
        assert outcome.status is RunStatus.SUCCEEDED
        assert any("(attestation_refused)" in warning for warning in outcome.warnings)
        assert 1 <= len(refusals(target)) <= 2, "both platforms' at most, asked at once"

        target.exchanges.clear()
        seed(source.store, "team/app", "1.0.1", attested("learnt/2", artifacts=True))
        assert (await mirrors.sync()).tags.copied == 1
        assert not refusals(target), "a later run does not try again"
        assert (await mirrors.sync(full=True)).tags.changed == 0

        synced = rows.all("SELECT * FROM tag_sync WHERE tag = '1.0.0'")
        assert [row["source_digest"] for row in synced] == [first.digest]
        assert synced[0]["target_digest"] == target.store.repository("copy/app").tags["1.0.0"]
        assert synced[0]["target_digest"] != first.digest
        assert {part["reason"] for part in synced[0]["dropped"]} == {"attestation_refused"}
        assert {part["digest"] for part in synced[0]["dropped"]} == {
            child.digest for child in first.children[2:]
        }
        told = await command.run("status")
        assert "left out attestations, which the target refuses (3 of 3 tags)" in told.out
        (status,) = json.loads((await command.run("status", "--json")).out)
        assert status["left_out"] == [{"reason": "attestation_refused", "tags": 3}]


async def test_a_subset_of_platforms_stays_in_sync_while_the_source_does_not_move(
    mirrors: Mirrors, rows: Rows, docker_registry: StartDockerRegistry
) -> None:
    target = docker_registry()
    async with FakeRegistry() as source:
        image = multi_platform("subset", (*BOTH, ARMV7))
        seed(source.store, "team/app", "1.0.0", image)
        mirrors.add(
            "m",
            f"{source.host}/team/app",
            f"{target.host}/copy/app",
            platforms=["linux/amd64", "linux/arm64"],
        )
        assert (await mirrors.sync()).status is RunStatus.SUCCEEDED
        for full in (False, True):
            again = await mirrors.sync(full=full)
            assert (again.tags.changed, again.bytes_copied) == (0, 0)
        held = await snapshot(target.url, "copy/app")
        assert held.whole
        assert rows.one("SELECT source_digest FROM tag_sync") == image.digest
        assert rows.one("SELECT target_digest FROM tag_sync") == held.tags["1.0.0"]


async def test_signatures_that_come_later_arrive_with_the_next_full_sync(
    mirrors: Mirrors, rows: Rows, docker_registry: StartDockerRegistry
) -> None:
    target = docker_registry()
    async with FakeRegistry() as source:
        image = multi_platform("signed later")
        seed(source.store, "team/app", ("1.0.0", "latest"), image)
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        await mirrors.sync()
        assert (await mirrors.sync(full=True)).tags.changed == 0

        signature = artifact("later", image.root, "application/vnd.example.signature")
        of_child = artifact("later/child", image.children[0])
        of_both = artifact("later/sig/sig", signature.root)
        for number, late in enumerate((signature, of_child, of_both)):
            seed(source.store, "team/app", (), late)
            found = await mirrors.sync(full=True)
            assert found.tags.copied == 2, f"the {number}th late referrer"
            assert (await mirrors.sync(full=True)).tags.changed == 0
        kinds = rows.all("SELECT DISTINCT kind FROM tag_sync ORDER BY kind")
        assert [row["kind"] for row in kinds] == ["new", "referrers"]
        held = await snapshot(target.url, "copy/app")
        assert held.whole
        for image_digest, late in (
            (image.digest, signature),
            (image.children[0].digest, of_child),
            (signature.digest, of_both),
        ):
            _, raw = held.manifests[held.tags[image_digest.replace(":", "-")]]
            assert [one["digest"] for one in json.loads(raw)["manifests"]] == [late.digest]


async def test_late_signatures_that_the_target_refuses_are_reported_once_and_not_tried_for_ever(
    mirrors: Mirrors, rows: Rows
) -> None:
    async with FakeRegistry() as source, FakeRegistry(_without_login()) as target:
        image = single("signed in vain")
        seed(source.store, "team/app", "1.0.0", image)
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/hagicode/app")
        await mirrors.sync()
        seed(source.store, "team/app", (), artifact("in vain", image.root))
        outcome = await mirrors.sync(full=True)
        assert outcome.tags.copied == 1
        assert any("(referrer_refused)" in warning for warning in outcome.warnings)
        assert (await mirrors.sync(full=True)).tags.changed == 0


async def test_an_unchanged_full_sync_costs_a_source_without_referrers_nothing_more(
    mirrors: Mirrors, docker_registry: StartDockerRegistry
) -> None:
    source, target = docker_registry(), docker_registry()
    for number in range(3):
        await push(source.url, "team/app", f"1.0.{number}", single(f"plain/{number}"))
    mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
    await mirrors.sync()
    again = await mirrors.sync(full=True)
    assert again.tags.changed == 0
    assert again.requests.source == 1 + 3
    assert again.requests.target == 3


def _without_login() -> Behaviour:
    return replace(quirks.ALIYUN_PERSONAL, auth=Auth())
