"""An audit sees everything that differs at a target, and nothing else. Both sides are real."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

import pytest

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.images import single
from mirror import concurrency
from mirror.checks.audit import AuditRequest, AuditResult, audit
from mirror.checks.audit_finding import FindingKind
from mirror.outcome import ChangeKind, KnownTag
from mirror.registry import Manifest, NotFound, Repository
from mirror.sync.tags.tag_rules import TagRules
from tests.checks.pairs import Pair, known
from tests.support.registry_process import DockerRegistry


@pytest.fixture
def pair(shared_docker_registry: DockerRegistry, request: pytest.FixtureRequest) -> Pair:
    return Pair(shared_docker_registry, request.node.name.removeprefix("test_"))


async def look(
    pair: Pair,
    record: Mapping[str, KnownTag],
    rules: TagRules | None = None,
    sample: int | None = None,
) -> AuditResult:
    async with pair.open() as (source, target):
        return await audit(
            AuditRequest(
                source, target, rules or TagRules(), record, sample, chance=random.Random(1)
            )
        )


def found(audited: AuditResult) -> list[tuple[str, str, str | None]]:
    return sorted((f.tag, f.kind.value, f.digest) for f in audited.findings)


def layer_of(image: Image) -> str:
    digests = [
        layer["digest"]
        for content in image.manifests
        for layer in json.loads(content.raw).get("layers", [])
    ]
    return str(digests[0])


async def test_a_faithful_mirror_has_nothing_to_report_and_every_blob_was_seen(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one, "latest": pair.one, "0.2.0": pair.two})
    audited = await look(pair, record)
    blobs = {**pair.one.blobs, **pair.two.blobs}
    assert audited.findings == ()
    assert audited.tags == 3
    assert audited.blobs_checked == audited.blobs_hashed == len(blobs)
    assert audited.bytes_hashed == sum(len(raw) for raw in blobs.values())


async def test_a_sample_hashes_no_more_than_it_says(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    audited = await look(pair, record, sample=2)
    assert audited.blobs_checked == len(pair.one.blobs)
    assert audited.blobs_hashed == 2


async def test_the_source_gives_its_digests_by_head_so_that_no_quota_is_spent(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one, "0.2.0": pair.two})
    async with pair.open() as (source, target):
        await audit(AuditRequest(source, target, TagRules(), record))
        assert source.registry.requests == 3  # the version check is not among them: list, 2 HEADs


async def test_no_more_manifests_are_looked_at_together_than_work_may_be_in_flight(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "AT_ONCE", 3)
    monkeypatch.setattr(concurrency, "_rooms", {})
    record = await pair.mirror({f"0.{n}.0": single(f"at-once/{n}") for n in range(12)})
    active, most = 0, 0
    get = Repository.get_manifest

    async def counted(self: Repository, reference: str) -> Manifest:
        nonlocal active, most
        active += 1
        most = max(most, active)
        try:
            return await get(self, reference)
        finally:
            active -= 1

    monkeypatch.setattr(Repository, "get_manifest", counted)
    audited = await look(pair, record, sample=0)
    assert (audited.tags, audited.findings) == (12, ())
    assert 1 < most <= 3 + 1


async def test_a_tag_that_was_deleted_at_the_target_is_missing(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one, "0.2.0": pair.two})
    await pair.remove("0.2.0")
    assert found(await look(pair, record)) == [("0.2.0", "missing_tag", pair.two.digest)]


async def test_a_tag_that_somebody_overwrote_is_drift(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one, "0.2.0": pair.two})
    await pair.overwrite("0.2.0", pair.other)
    audited = await look(pair, record)
    assert found(audited) == [("0.2.0", "wrong_digest", pair.other.digest)]
    assert pair.two.digest in audited.findings[0].message
    assert audited.findings[0].kind.repair is ChangeKind.DRIFTED


async def test_a_blob_that_the_target_lost_is_named_for_every_tag_that_needs_it(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one, "latest": pair.one, "0.2.0": pair.two})
    lost = layer_of(pair.one)
    pair.lose(lost)
    assert found(await look(pair, record)) == [
        ("0.1.0", "missing_blob", lost),
        ("latest", "missing_blob", lost),
    ]


async def test_a_blob_of_another_size_is_found_by_head(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    short = layer_of(pair.one)
    pair.data(short).write_bytes(b"short")
    audited = await look(pair, record, sample=0)
    assert found(audited) == [("0.1.0", "wrong_size", short)]
    assert "has 5 bytes" in audited.findings[0].message


async def test_bytes_that_rotted_are_found_by_hashing(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    rotten = layer_of(pair.one)
    content = bytearray(pair.data(rotten).read_bytes())
    content[100] ^= 1
    pair.data(rotten).write_bytes(content)
    assert found(await look(pair, record, sample=0)) == []
    assert found(await look(pair, record, sample=None)) == [("0.1.0", "wrong_content", rotten)]


async def test_a_child_that_the_target_lost_is_found(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    child = pair.one.children[0].digest
    async with pair.open() as (_, target):
        await target.delete_manifest(child)
        with pytest.raises(NotFound):
            await target.get_manifest(child)
    assert found(await look(pair, record)) == [("0.1.0", "missing_manifest", child)]


async def test_a_filtered_tag_is_what_the_record_says_it_was_left_at(pair: Pair) -> None:
    await pair.publish({"0.2.0": pair.two})
    await pair.overwrite("0.2.0", pair.other)
    record = {"0.2.0": known("0.2.0", pair.two.digest, pair.other.digest)}
    assert found(await look(pair, record)) == []


async def test_a_source_that_moved_on_is_distinguished_from_drift(pair: Pair) -> None:
    record = await pair.mirror({"latest": pair.one})
    await pair.publish({"latest": pair.two})
    audited = await look(pair, record)
    assert found(audited) == [("latest", "behind", pair.two.digest)]
    assert audited.findings[0].kind.repair is None


async def test_a_tag_not_mirrored_yet_is_behind_and_not_missing(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    await pair.publish({"0.2.0": pair.two})
    assert found(await look(pair, record)) == [("0.2.0", "behind", pair.two.digest)]


async def test_an_immutable_tag_that_was_held_does_not_differ(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    await pair.publish({"0.1.0": pair.two})
    assert found(await look(pair, record, TagRules(immutable=("0.*",)))) == []


async def test_unexplained_tags_are_reported_and_backups_are_explained(
    pair: Pair,
) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    for tag in ("strange", "0.1.0-before-20261124"):
        await pair.overwrite(tag, pair.other)
    rules = TagRules(backup="{tag}-before-{date}")
    assert found(await look(pair, record, rules)) == [("strange", "extra_tag", None)]


async def test_a_tag_gone_at_the_source_and_kept_by_policy_does_not_differ(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    await pair.overwrite("0.0.9", pair.other)
    record["0.0.9"] = known("0.0.9", pair.other.digest)
    assert found(await look(pair, record)) == []


async def test_renamed_tags_are_looked_for_under_their_name_at_the_target(pair: Pair) -> None:
    await pair.publish({"0.1.0": pair.one})
    await pair.overwrite("v0.1.0", pair.one)
    record = {"0.1.0": known("0.1.0", pair.one.digest)}
    assert found(await look(pair, record, TagRules(rename="v{tag}"))) == []


async def test_what_a_policy_leaves_out_is_not_audited(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    await pair.publish({"nightly": pair.two})
    audited = await look(pair, record, TagRules(exclude=("nightly",)))
    assert (audited.findings, audited.tags) == ((), 1)


async def test_a_target_that_cannot_be_read_is_unreadable_not_missing(pair: Pair) -> None:
    record = await pair.mirror({"0.1.0": pair.one})
    pair.link(layer_of(pair.one)).write_text("no digest")
    audited = await look(pair, record)
    assert [finding.kind for finding in audited.findings] == [FindingKind.UNREADABLE]
