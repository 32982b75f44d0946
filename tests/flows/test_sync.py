"""The main job against two real docker-registry processes, a real Postgres, a Prefect server."""

from __future__ import annotations

import shutil

from flows.local.sample_registry.content import layer
from flows.local.sample_registry.images import single
from flows.local.sample_registry.releases import release
from mirror.outcome import Reason, RunStatus, TagTally
from tests.flows.conftest import Mirrors, Pair, Rows
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.kinds import samples
from tests.support.fake_registry.push import delete_tag, plain_client, push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fake_registry.releases import past_releases
from tests.support.fixtures import StartDockerRegistry
from tests.support.snapshot import snapshot

REFUSED_BY_DISTRIBUTION_2 = {"sha512 manifests"}
"""It stores what is pushed by sha512 under its sha256 (distribution 2.8, manifest handlers)."""


async def test_every_kind_of_image_arrives_byte_for_byte(mirrors: Mirrors, pair: Pair) -> None:
    for sample in samples():
        if sample.name not in REFUSED_BY_DISTRIBUTION_2:
            for tag, image in sample.tags.items():
                await push(pair.source_url, pair.source, tag, image)
    outcome = await mirrors.sync()
    assert outcome.status is RunStatus.SUCCEEDED, outcome.errors
    source = await snapshot(pair.source_url, pair.source)
    target = await snapshot(pair.target_url, pair.target)
    assert target.whole
    assert target == source


async def test_an_unchanged_sync_asks_the_source_once_a_tag_and_the_target_nothing(
    mirrors: Mirrors, pair: Pair
) -> None:
    for item in past_releases(3):
        await push(pair.source_url, pair.source, item.tags, item.image)
    first = await mirrors.sync()
    assert first.tags == TagTally(discovered=7, changed=7, copied=7, failed=0)
    again = await mirrors.sync()
    assert again.status is RunStatus.SUCCEEDED
    assert again.bytes_copied == 0
    assert again.requests.target == 0
    assert again.requests.source == 1 + 7  # a page of tags/list, a HEAD each


async def test_full_repairs_a_tag_that_was_deleted_or_overwritten_at_the_target(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    one, two = past_releases(2)
    await push(pair.source_url, pair.source, one.version, one.image)
    await push(pair.source_url, pair.source, two.version, two.image)
    assert (await mirrors.sync()).errors == ()
    await delete_tag(pair.target_url, pair.target, one.version)
    other = release("9.9.9").image
    await push(pair.target_url, pair.target, two.version, other)
    assert (await mirrors.sync()).tags.changed == 0  # the history alone cannot know
    repaired = await mirrors.sync(full=True)
    assert repaired.tags.copied == 2
    target = await snapshot(pair.target_url, pair.target)
    assert target.tags == {one.version: one.image.digest, two.version: two.image.digest}
    kinds = rows.all("SELECT tag, kind FROM tag_sync WHERE kind IN ('missing', 'drifted')")
    assert {row["tag"]: row["kind"] for row in kinds} == {
        one.version: "missing",
        two.version: "drifted",
    }


async def test_a_new_release_moves_the_floating_tags_after_itself(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    old, new = past_releases(2)
    await push(pair.source_url, pair.source, old.tags, old.image)
    await mirrors.sync()
    await push(pair.source_url, pair.source, new.tags, new.image)
    moved = await mirrors.sync()
    assert moved.tags == TagTally(discovered=6, changed=5, copied=5, failed=0)
    target = await snapshot(pair.target_url, pair.target)
    assert {target.tags[tag] for tag in new.tags} == {new.image.digest}
    arrivals = rows.all(
        "SELECT tag, available_at FROM tag_sync WHERE run_id::text = :run ORDER BY available_at",
        run=moved.run_id,
    )
    assert arrivals[0]["tag"] == new.version


async def test_a_failing_tag_leaves_the_others_synced(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    good, bad = past_releases(2)
    await push(pair.source_url, pair.source, good.tags, good.image)
    await push(pair.source_url, pair.source, bad.tags, bad.image)
    digest = bad.image.children[0].digest
    await delete_by_digest(pair.source_url, pair.source, digest)
    outcome = await mirrors.sync()
    assert outcome.status is RunStatus.PARTIAL
    assert {(e.tag, e.reason) for e in outcome.errors} == {(bad.version, Reason.NOT_FOUND)}
    target = await snapshot(pair.target_url, pair.target)
    assert target.tags == {good.version: good.image.digest}
    waiting = rows.all("SELECT tag FROM tag_sync WHERE status = 'waiting' ORDER BY tag")
    assert [row["tag"] for row in waiting] == sorted(bad.floating)


async def test_a_dry_run_prints_what_it_would_do_and_does_nothing(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    (item,) = past_releases(1)
    await push(pair.source_url, pair.source, item.tags, item.image)
    outcome = await mirrors.sync(dry_run=True)
    assert outcome.planned == dict.fromkeys(item.tags, "new")
    assert not (await snapshot(pair.target_url, pair.target)).tags
    assert rows.one("SELECT count(*) FROM tag_state") == 0
    assert (await mirrors.sync()).tags.copied == 5


async def test_the_history_keeps_every_run_and_every_tag(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    (item,) = past_releases(1)
    await push(pair.source_url, pair.source, item.tags, item.image)
    outcome = await mirrors.sync()
    (run,) = rows.all("SELECT * FROM sync_run")
    assert str(run["id"]) == outcome.run_id
    assert (run["status"], run["tags_copied"]) == ("succeeded", 5)
    assert run["bytes_copied"] == outcome.bytes_copied > 0
    tags = rows.all("SELECT * FROM tag_sync")
    assert {row["tag"] for row in tags} == set(item.tags)
    for row in tags:
        assert row["status"] == "succeeded"
        assert row["source_digest"] == row["target_digest"] == item.image.digest
        assert row["started_at"] <= row["available_at"]
    held = rows.one("SELECT count(*) FROM blob_presence")
    assert held == len({digest for digest in item.image.blobs})


async def delete_by_digest(base_url: str, repository: str, digest: str) -> None:
    """Delete a manifest below an index, which leaves the index broken."""
    async with plain_client() as client:
        answer = await client.delete(f"{base_url}/v2/{repository}/manifests/{digest}")
        answer.raise_for_status()


async def test_a_blob_that_the_history_has_and_the_target_lacks_is_copied_again(
    docker_registry: StartDockerRegistry, mirrors: Mirrors, rows: Rows
) -> None:
    source, target = docker_registry(), docker_registry()
    mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
    base = layer("base", 50_000)
    first, second = (single(name, shared=[base]) for name in ("first", "second"))
    await push(source.url, "team/app", "1", first)
    await mirrors.sync()
    links = target.storage / "repositories" / "copy" / "app" / "_layers" / "sha256"
    shutil.rmtree(links / base.digest.removeprefix("sha256:"))
    target.stop()
    target.start()  # it caches what it has seen of blobs
    await push(source.url, "team/app", "2", second)
    outcome = await mirrors.sync()
    assert outcome.errors == ()
    assert (await snapshot(target.url, "copy/app")).whole
    assert outcome.bytes_copied >= len(base.raw)


async def test_what_verification_misses_is_copied_again_by_the_next_run(mirrors: Mirrors) -> None:
    careless = Behaviour(checks_references=False)  # takes manifests of what it does not hold
    async with FakeRegistry() as source, FakeRegistry(careless) as target:
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        base = layer("base", 50_000)
        first, second = (single(name, shared=[base]) for name in ("first", "second"))
        await push(source.url, "team/app", "1", first)
        await mirrors.sync()
        async with plain_client() as client:
            await client.delete(f"{target.url}/v2/copy/app/blobs/{base.digest}")
        await push(source.url, "team/app", "2", second)
        missed = await mirrors.sync()
        assert [(e.tag, e.reason) for e in missed.errors] == [("2", Reason.NOT_FOUND)]
        again = await mirrors.sync()
        assert again.errors == ()
        assert (await snapshot(target.url, "copy/app")).whole
