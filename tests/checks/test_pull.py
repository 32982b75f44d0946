"""A probe pulls what a user's docker pulls, as an anonymous user, and says how it went."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.images import attested, single
from flows.local.sample_registry.interceptor import Crawl
from mirror.checks.pull import Pull, PullPlan, choose_tag, pull
from mirror.outcome import KnownTag, Reason
from mirror.registry import Endpoint, Registry, RetryPolicy
from tests.support.fake_registry.faults import Delay, Drop, Hang, Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import PASSWORD, USERNAME, DockerRegistry

IMAGE = multi_platform("probed", sizes=(40_000, 90_000, 20_000))
NAME = "hagicode/app"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


async def pulled(host: str, plan: PullPlan) -> tuple[Pull, int]:
    """A pull by an anonymous client that tries once; with the number of its requests."""
    endpoint = Endpoint(host, insecure=True)
    async with Registry(endpoint, retry=RetryPolicy(attempts=1)) as registry:
        return await pull(registry.repository(NAME), plan), registry.requests


def part(image: Image, platform: str) -> tuple[str, int]:
    """Digest of a platform's manifest, and all bytes that a pull of it reads."""
    child = next(c for c in image.children if c.digest == wanted(image, platform))
    blobs = [len(raw) for digest, raw in image.blobs.items() if digest.encode() in child.raw]
    return child.digest, sum(blobs) + len(child.raw)


def layer(image: Image) -> str:
    """A pattern for the requests of a single image's first layer."""
    digest = json.loads(image.root.raw)["layers"][0]["digest"]
    return f"GET .*/blobs/{digest}"


def wanted(image: Image, platform: str) -> str:
    system, _, architecture = platform.partition("/")
    return next(
        str(entry["digest"])
        for entry in json.loads(image.root.raw)["manifests"]
        if entry["platform"]["os"] == system and entry["platform"]["architecture"] == architecture
    )


async def test_a_pull_reads_index_manifest_config_and_layers_of_the_platform(
    shared_docker_registry: DockerRegistry,
) -> None:
    await push(shared_docker_registry.url, NAME, "0.1.0", IMAGE)
    result, requests = await pulled(shared_docker_registry.host, PullPlan("0.1.0", "linux/arm64"))
    digest, size = part(IMAGE, "linux/arm64")
    assert (result.well, result.digest) == (True, digest)
    assert result.bytes == size + len(IMAGE.root.raw)
    assert requests == 6  # index, manifest, config, three layers
    assert result.first_byte_seconds is not None
    assert 0 < result.first_byte_seconds < result.seconds
    assert result.bytes_per_second == pytest.approx(result.bytes / result.seconds)


async def test_a_limit_in_bytes_ends_the_pull_early_and_it_counts_as_well(
    shared_docker_registry: DockerRegistry,
) -> None:
    image = single("large", sizes=(8_000_000,))
    await push(shared_docker_registry.url, NAME, "large", image)
    plan = PullPlan("large", most=1_000_000)
    result, _ = await pulled(shared_docker_registry.host, plan)
    assert result.well
    assert 1_000_000 <= result.bytes < 4_000_000


async def test_a_filtered_index_has_the_digest_of_the_platforms_manifest_in_common(
    fake_registry: FakeRegistry,
) -> None:
    whole = attested("filtered", sizes=(5_000,))
    await push(fake_registry.url, NAME, "whole", whole)
    result, _ = await pulled(fake_registry.host, PullPlan("whole"))
    assert result.digest == wanted(whole, "linux/amd64")


async def test_a_private_mirror_fails_for_an_anonymous_user(
    docker_registry: StartDockerRegistry,
) -> None:
    private = docker_registry(auth=True)
    await push(private.url, NAME, "0.1.0", IMAGE, auth=(USERNAME, PASSWORD))
    result, _ = await pulled(private.host, PullPlan("0.1.0"))
    assert (result.well, result.reason) == (False, Reason.AUTH)
    assert result.bytes_per_second is None


async def test_a_tag_that_is_not_there_and_a_platform_that_is_not_there_fail(
    fake_registry: FakeRegistry,
) -> None:
    await push(fake_registry.url, NAME, "0.1.0", IMAGE)
    absent, _ = await pulled(fake_registry.host, PullPlan("0.2.0"))
    assert absent.reason is Reason.NOT_FOUND
    other, _ = await pulled(fake_registry.host, PullPlan("0.1.0", "linux/riscv64"))
    assert other.reason is Reason.NOT_FOUND
    assert other.message is not None
    assert "no image for linux/riscv64" in other.message


async def test_what_a_manifest_names_and_the_registry_lacks_is_lost(
    fake_registry: FakeRegistry,
) -> None:
    image = single("hollow")
    await push(fake_registry.url, NAME, "0.1.0", image)
    fake_registry.faults.add(Rule(layer(image), Respond(404, "BLOB_UNKNOWN"), times=None))
    hollow, _ = await pulled(fake_registry.host, PullPlan("0.1.0"))
    assert (hollow.reason, hollow.lost) == (Reason.NOT_FOUND, layer(image).rpartition("/")[2])
    absent, _ = await pulled(fake_registry.host, PullPlan("0.2.0"))  # or hidden from the public
    assert (absent.reason, absent.lost) == (Reason.NOT_FOUND, None)


async def test_a_first_try_that_fails_is_a_failed_pull(fake_registry: FakeRegistry) -> None:
    await push(fake_registry.url, NAME, "0.1.0", IMAGE)
    fake_registry.faults.add(Rule("GET .*/blobs/.*", Respond(503), times=1))
    result, _ = await pulled(fake_registry.host, PullPlan("0.1.0"))
    assert result.reason is Reason.SERVER_ERROR
    again, _ = await pulled(fake_registry.host, PullPlan("0.1.0"))
    assert again.well


async def test_a_connection_that_breaks_in_a_layer_is_a_failed_pull_with_what_came(
    fake_registry: FakeRegistry,
) -> None:
    image = single("broken", sizes=(500_000,))
    await push(fake_registry.url, NAME, "0.1.0", image)
    fake_registry.faults.add(Rule(layer(image), Drop(100_000)))
    result, _ = await pulled(fake_registry.host, PullPlan("0.1.0"))
    assert result.reason is Reason.NETWORK
    assert 0 < result.bytes < 500_000


async def test_a_pull_that_never_brings_a_byte_times_out(fake_registry: FakeRegistry) -> None:
    await push(fake_registry.url, NAME, "0.1.0", IMAGE)
    fake_registry.faults.add(Rule("GET .*/blobs/.*", Delay(30), times=None))
    result, _ = await pulled(fake_registry.host, PullPlan("0.1.0", patience=0.4))
    assert result.reason is Reason.TIMEOUT
    assert result.seconds < 5


async def test_a_slow_side_is_slow_and_not_broken(fake_registry: FakeRegistry) -> None:
    image = single("slow", sizes=(20_000_000,))
    await push(fake_registry.url, NAME, "0.1.0", image)
    fake_registry.faults.add(Rule(layer(image), Crawl(4_000_000)))
    result, _ = await pulled(fake_registry.host, PullPlan("0.1.0", patience=2.0))
    assert result.well
    assert 0 < result.bytes < 20_000_000
    assert result.seconds == pytest.approx(2.0, abs=1.5)


async def test_a_side_that_falls_silent_in_the_middle_failed(fake_registry: FakeRegistry) -> None:
    image = single("silent", sizes=(6_000_000,))
    await push(fake_registry.url, NAME, "0.1.0", image)
    fake_registry.faults.add(Rule(layer(image), Hang(30, after=4_000_000)))
    result, _ = await pulled(fake_registry.host, PullPlan("0.1.0", patience=1.0))
    assert result.bytes > 0
    assert result.reason is Reason.TIMEOUT


def known(
    name: str, minutes: int = 0, copied: str | None = "sha256:a", gone: bool = False
) -> KnownTag:
    at = NOW + timedelta(minutes=minutes)
    return KnownTag(name, "sha256:a", copied, copied, at, at, gone_at=at if gone else None)


def chosen(*tags: KnownTag) -> str | None:
    return choose_tag({tag.name: tag for tag in tags})


def test_latest_is_probed_where_it_is_in_sync() -> None:
    assert chosen(known("0.2.0", 5), known("latest")) == "latest"


def test_otherwise_the_newest_tag_in_sync_is_probed() -> None:
    behind = known("latest", 9, copied="sha256:old")
    gone = known("0.3.0", 8, gone=True)
    assert chosen(known("0.1.0"), known("0.2.0", 5), behind, gone) == "0.2.0"


def test_of_tags_pushed_at_once_the_exact_release_is_probed() -> None:
    tags = ("0", "0.1", "0.1.0-beta.9", "0.1.0")
    assert chosen(*(known(tag) for tag in tags)) == "0.1.0-beta.9"


def test_where_nothing_is_in_sync_nothing_is_probed() -> None:
    assert chosen(known("0.1.0", copied=None), known(f"sha256-{'a' * 64}.sig")) is None
