"""The tag strategy through whole syncs: immutable, backup, rename, deletion."""

from __future__ import annotations

import httpx

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.images import single
from mirror.outcome import Reason, RunStatus
from tests.flows.conftest import Mirrors, Pair, Rows
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import delete_tag, plain_client, push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.snapshot import snapshot

ONE, TWO, THREE = (single(f"policy/{name}") for name in ("one", "two", "three"))


async def held_tags(pair: Pair) -> dict[str, str]:
    return dict((await snapshot(pair.target_url, pair.target)).tags)


def configure(mirrors: Mirrors, **tags: object) -> None:
    mirrors.mirrors["m"]["tags"] = tags
    mirrors.write()


async def publish(pair: Pair, **images: Image) -> None:
    for tag, image in images.items():
        await push(pair.source_url, pair.source, tag, image)


async def test_an_immutable_tag_that_moved_is_held_and_reported_and_the_others_are_synced(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    configure(mirrors, immutable=["v*"])
    await publish(pair, v1=ONE, latest=ONE)
    await mirrors.sync()
    await publish(pair, v1=TWO, latest=TWO)
    for full in (False, True):
        outcome = await mirrors.sync(full=full)
        assert outcome.status is RunStatus.SUCCEEDED  # as the policy wants it; an alert tells
        assert any("v1 is immutable and moved" in warning for warning in outcome.warnings)
    assert await held_tags(pair) == {"v1": ONE.digest, "latest": TWO.digest}
    assert rows.one("SELECT held FROM tag_state WHERE tag = 'v1'")
    assert rows.one("SELECT count(*) FROM tag_sync WHERE status = 'held'") == 2


async def test_what_is_about_to_be_overwritten_is_kept_under_another_tag(
    mirrors: Mirrors, pair: Pair
) -> None:
    configure(mirrors, backup="{tag}-was-{digest}")
    await publish(pair, latest=ONE)
    await mirrors.sync()
    await publish(pair, latest=TWO)
    await mirrors.sync()
    await push(pair.target_url, pair.target, "latest", THREE)  # somebody else's drift is kept too
    await mirrors.sync(full=True)
    held = await snapshot(pair.target_url, pair.target)
    assert held.whole
    assert held.tags == {
        "latest": TWO.digest,
        f"latest-was-{ONE.digest[7:19]}": ONE.digest,
        f"latest-was-{THREE.digest[7:19]}": THREE.digest,
    }


async def test_renamed_tags_stay_in_sync_under_their_other_name(
    mirrors: Mirrors, pair: Pair
) -> None:
    configure(mirrors, rename="hub-{tag}")
    await publish(pair, latest=ONE)
    await mirrors.sync()
    assert (await mirrors.sync(full=True)).tags.changed == 0
    await publish(pair, latest=TWO)
    assert (await mirrors.sync(full=True)).tags.copied == 1
    assert await held_tags(pair) == {"hub-latest": TWO.digest}


async def test_gone_tags_are_deleted_after_their_grace_if_the_loss_is_believed(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    configure(mirrors, delete_after="14d", delete_share=0.5)
    images = {f"t{number}": single(f"policy/gone/{number}") for number in range(4)}
    await publish(pair, **images)
    await mirrors.sync()
    for tag in ("t0", "t1", "t2"):
        await delete_tag(pair.source_url, pair.source, tag)
    doubted = await mirrors.sync(full=True)
    assert doubted.status is RunStatus.PARTIAL, "three of four are more than half"
    assert [error.reason for error in doubted.errors] == [Reason.SUSPICIOUS]
    assert rows.one("SELECT count(*) FROM tag_state WHERE gone_at IS NOT NULL") == 0
    assert rows.one("SELECT reason FROM sync_run ORDER BY started_at DESC LIMIT 1") == "suspicious"
    await mirrors.sync(full=True, accept_loss=True)
    assert set(await held_tags(pair)) == set(images), "the grace period has just begun"
    _age(rows, days=13)
    await mirrors.sync(full=True)
    assert set(await held_tags(pair)) == set(images)
    _age(rows, days=2)
    await mirrors.sync(full=True)
    assert set(await held_tags(pair)) == {"t3"}
    deleted = rows.all("SELECT tag, kind FROM tag_sync WHERE status = 'deleted'")
    assert {row["kind"] for row in deleted} == {"gone"}


async def test_nothing_is_deleted_unless_the_policy_says_so(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    configure(mirrors, delete_share=0.5)
    await publish(pair, t0=ONE, t1=TWO)
    await mirrors.sync()
    await delete_tag(pair.source_url, pair.source, "t0")
    await mirrors.sync(full=True)
    _age(rows, days=400)
    await mirrors.sync(full=True)
    assert set(await held_tags(pair)) == {"t0", "t1"}
    assert rows.one("SELECT gone_at IS NOT NULL FROM tag_state WHERE tag = 't0'")


async def test_a_registry_that_deletes_by_digest_alone_never_loses_another_tag(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    """docker-registry deletes manifests, and with them every tag that points there."""
    configure(mirrors, delete_after="1d", delete_share=1)
    index = multi_platform("policy/index")
    child = Image(index.children[0], blobs=index.blobs)
    await publish(pair, gone=ONE, kept=ONE, part=child, whole=index, lone=TWO, saved=THREE)
    await mirrors.sync()
    await push(pair.target_url, pair.target, "somebody-elses", THREE)
    async with plain_client() as client:
        await _forget_tags(client, mirrors, pair, "gone", "part", "lone", "saved")
    await mirrors.sync(full=True)
    _age(rows, days=2)
    outcome = await mirrors.sync(full=True)
    held = await snapshot(pair.target_url, pair.target)
    assert held.whole
    assert set(held.tags) == {"gone", "kept", "part", "whole", "saved", "somebody-elses"}
    told = " ".join(outcome.warnings)
    for tag, why in (
        ("gone", "kept points at the same manifest"),
        ("part", "it is a part of whole"),
        ("saved", "somebody-elses points at the same manifest"),
    ):
        assert f"{tag} is gone at the source and was not deleted" in told
        assert why in told
    assert outcome.status is RunStatus.SUCCEEDED


async def test_a_registry_that_deletes_by_tag_loses_that_tag_alone(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    async with FakeRegistry() as target:
        mirrors.add(
            "m",
            mirrors.mirrors["m"]["source"],
            f"{target.host}/copy/app",
            tags={"delete_after": "1d", "delete_share": 1},
        )
        await publish(pair, kept=ONE, gone=TWO, also=TWO)
        await mirrors.sync()
        await delete_tag(pair.source_url, pair.source, "gone")  # takes `also` away there too
        await publish(pair, also=TWO)
        await mirrors.sync(full=True)
        _age(rows, days=2)
        outcome = await mirrors.sync(full=True)
        assert outcome.warnings == ()
        assert set(target.store.repository("copy/app").tags) == {"kept", "also"}


def _age(rows: Rows, *, days: int) -> None:
    """Let time pass for tags that are gone."""
    with rows.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE tag_state SET gone_at = gone_at - interval '{days} days'"
        )


async def _forget_tags(client: httpx.AsyncClient, mirrors: Mirrors, pair: Pair, *tags: str) -> None:
    """Delete tags at the source, and push again what went with them."""
    images = {"kept": ONE, "whole": multi_platform("policy/index")}
    for tag in tags:
        head = await client.head(
            f"{pair.source_url}/v2/{pair.source}/manifests/{tag}",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        )
        if head.status_code == 200:
            digest = head.headers["Docker-Content-Digest"]
            await client.delete(f"{pair.source_url}/v2/{pair.source}/manifests/{digest}")
    for tag, image in images.items():
        await push(pair.source_url, pair.source, tag, image)
