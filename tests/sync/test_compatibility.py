"""Every kind of image at every kind of registry: identical, filtered or refused, and why.

The table is written to tests/artifacts/compatibility.md, printed, and kept as
docs/compatibility.md.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from flows.local.sample_registry.content import (
    Content,
    Image,
    blobs_of,
    digest_of,
    index,
    layer,
    manifest,
)
from flows.local.sample_registry.images import AMD64, BOTH, EMPTY, attested, over, single
from mirror.outcome import DropReason, Reason
from tests.support.fake_registry import oddities, quirks
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.kinds import Sample, samples
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.registry_process import DockerRegistry
from tests.support.snapshot import Snapshot, snapshot
from tests.sync.compatibility import Cell, Table, Verdict, markdown
from tests.sync.core import CoreSync, Synced, endpoint_of, seed

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "tests" / "artifacts" / "compatibility.md"
KEPT = ROOT / "docs" / "compatibility.md"
FROM_HUB = "from Docker Hub"
REAL = "distribution 2.8"
TARGETS: Mapping[str, Behaviour] = {
    "specification 1.1": quirks.SPECIFICATION,
    "Aliyun personal": quirks.ALIYUN_PERSONAL,
    "Aliyun enterprise": quirks.ALIYUN_ENTERPRISE,
    # Basic's 100 writes a minute would have the tests wait for minutes; see test_quirks.py.
    "Azure": replace(quirks.AZURE, throttle=None),
    "Harbor": quirks.HARBOR,
    "GHCR": quirks.GHCR,
    "refuses attestations": quirks.REFUSES_ATTESTATIONS,
    "large chunks": quirks.LARGE_CHUNKS,
    "other statuses": quirks.OTHER_STATUSES,
    "no digest on HEAD": quirks.NO_DIGEST_ON_HEAD,
}
REGISTRIES = (REAL, *TARGETS, FROM_HUB)
AT_ONCE = 4


def kinds() -> tuple[Sample, ...]:
    """The catalogue, and what else people push."""
    return (
        *samples("compatibility"),
        Sample("docker schema 1", {"schema1": Image(oddities.schema1("compatibility"))}),
        Sample("index that leaves mediaType out", {"bare": _bare()}),
        Sample("Windows images by os.version", {"windows": _windows()}),
        Sample("helm chart", {"chart": _chart()}),
        Sample("index without children", {"empty": Image(index([]))}),
        Sample("duplicate child", {"twice": _twice()}),
        Sample("index of image and artifact", {"mixed": _mixed()}),
        Sample("nested index with attestations", {"nested-attested": _nested_attested()}),
        Sample("tag of 128 characters", {"t" * 128: single("compatibility/long tag")}),
        Sample("layer of 21 MB", {"large": single("compatibility/large", sizes=(21_000_000,))}),
    )


def _bare() -> Image:
    children = multi_platform("compatibility/bare")
    document = re.sub(rb'\s*"mediaType": "[^"]*index[^"]*",', b"", children.root.raw, count=1)
    root = Content.of(document, children.root.media_type)
    return Image(root, children.children, children.blobs)


def _windows() -> Image:
    versions = ("10.0.17763.6893", "10.0.20348.3207")
    images = [single(f"compatibility/windows/{version}") for version in versions]
    entries = [
        image.root.descriptor(
            platform={"os": "windows", "architecture": "amd64", "os.version": version}
        )
        for image, version in zip(images, versions, strict=True)
    ]
    return over(index(entries), images)


def _chart() -> Image:
    config = Content.of(b'{"name": "demo"}', "application/vnd.cncf.helm.config.v1+json")
    content = layer("chart", media_type="application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    return Image(manifest(config, [content]), blobs=blobs_of(config, content))


def _twice() -> Image:
    child = single("compatibility/twice")
    return over(index([child.root.descriptor(platform=AMD64)] * 2), [child])


def _mixed() -> Image:
    image = single("compatibility/mixed")
    content = Content.of(b"sbom", "text/plain")
    other = Image(
        manifest(EMPTY, [content], artifactType="text/plain"), blobs=blobs_of(EMPTY, content)
    )
    entries = [image.root.descriptor(platform=AMD64), other.root.descriptor()]
    return over(index(entries), [image, other])


def _nested_attested() -> Image:
    inner = [attested("compatibility/inner", BOTH, artifacts=True), attested("compatibility/older")]
    return over(index([image.root.descriptor() for image in inner]), inner)


@dataclass(frozen=True)
class Sides:
    """The registries of the table."""

    source: FakeRegistry
    hub: FakeRegistry
    targets: Mapping[str, FakeRegistry | DockerRegistry]


@pytest.fixture(scope="module")
async def table(shared_docker_registry: DockerRegistry) -> AsyncIterator[Table]:
    """The whole table, each cell by its own sync between its own repositories."""
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(FakeRegistry())
        hub = await stack.enter_async_context(FakeRegistry(_without_quota(), store=source.store))
        targets: dict[str, FakeRegistry | DockerRegistry] = {REAL: shared_docker_registry}
        for name, behaviour in {**TARGETS, FROM_HUB: quirks.SPECIFICATION}.items():
            targets[name] = await stack.enter_async_context(FakeRegistry(behaviour))
        sides = Sides(source, hub, targets)
        gate = asyncio.Semaphore(AT_ONCE)
        cells: dict[str, dict[str, Cell]] = {}
        for number, sample in enumerate(kinds()):
            for tag, image in sample.tags.items():
                seed(source.store, f"library/kind-{number}", tag, image)

            async def one(registry: str, number: int = number, sample: Sample = sample) -> Cell:
                async with gate:
                    return await _cell(sides, registry, number, sample)

            found = await asyncio.gather(*(one(name) for name in REGISTRIES))
            cells[sample.name] = dict(zip(REGISTRIES, found, strict=True))
        yield cells


def _without_quota() -> Behaviour:
    return replace(quirks.DOCKER_HUB, quota=None)


async def _cell(sides: Sides, registry: str, number: int, sample: Sample) -> Cell:
    target = sides.targets[registry]
    name, mirror = f"library/kind-{number}", f"hagicode/kind-{number}"
    core = CoreSync(
        endpoint_of(sides.hub if registry == FROM_HUB else sides.source),
        endpoint_of(target),
        name,
        mirror,
    )
    async with asyncio.timeout(120):
        synced = await core.sync()
    if synced.failures:
        assert not synced.arrived or set(synced.arrived).isdisjoint(synced.failures)
        return Cell(Verdict.REFUSED, next(iter(synced.failures.values())).reason)
    again = await core.sync()
    assert not again.plan.changes, f"{sample.name} at {registry} does not stay in sync"
    assert not again.plan.adopted
    return await _judged(synced, await _read(target, mirror), sample)


async def _judged(synced: Synced, held: Snapshot, sample: Sample) -> Cell:
    assert held.whole, f"{held.missing} {held.wrong}"
    digests: dict[str, str] = {}
    dropped: set[DropReason] = set()
    for tag, image in sample.tags.items():
        raw = image.root.raw
        arrived = held.manifests[held.tags[tag]]
        if arrived == (image.root.media_type, raw):
            for child in image.children:
                assert held.manifests[child.digest] == (child.media_type, child.raw)
        else:
            target = synced.outcomes[tag].target_digest
            assert target == digest_of(arrived[1])
            digests[image.digest] = target
        dropped |= {drop.reason for drop in synced.outcomes[tag].dropped}
    dropped.discard(DropReason.NON_DISTRIBUTABLE)
    assert bool(digests) <= bool(dropped), "nothing is left out silently"
    if not dropped:
        return Cell(Verdict.IDENTICAL)
    return Cell(Verdict.FILTERED, dropped=frozenset(dropped), digests=digests)


async def _read(target: FakeRegistry | DockerRegistry, repository: str) -> Snapshot:
    if isinstance(target, DockerRegistry):
        return await snapshot(target.url, repository)
    # The same store without what the imitation asks of clients: logins, quotas, chunks.
    async with FakeRegistry(store=target.store) as reader:
        return await snapshot(reader.url, repository)


async def test_the_table_is_written_printed_and_kept(
    table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    text = markdown(table, REGISTRIES)
    WRITTEN.parent.mkdir(exist_ok=True)
    WRITTEN.write_text(text, encoding="utf-8")
    with capsys.disabled():
        sys.stdout.write("\n" + text)
    assert KEPT.read_text(encoding="utf-8") == text, f"copy {WRITTEN} to {KEPT}"


async def test_every_cell_says_what_became_of_the_image(table: Table) -> None:
    assert len(table) >= 30
    assert all(set(cells) == set(REGISTRIES) for cells in table.values())


async def test_what_the_specification_allows_arrives_identically_where_it_holds(
    table: Table,
) -> None:
    refused = {kind for kind, cells in table.items() if cells["specification 1.1"].reason}
    assert refused == {"docker schema 1"}
    for kind, cells in table.items():
        if kind not in refused:
            for name in ("specification 1.1", "large chunks", "other statuses", FROM_HUB):
                assert cells[name] == Cell(Verdict.IDENTICAL), (kind, name)


async def test_schema_1_is_a_clear_refusal_everywhere(table: Table) -> None:
    cells = table["docker schema 1"]
    assert {cell.reason for cell in cells.values()} == {Reason.REFUSED_MEDIA_TYPE}


async def test_attestations_that_a_target_refuses_are_left_out_and_told(table: Table) -> None:
    told = frozenset({DropReason.ATTESTATION_REFUSED})
    for kind in ("index with artifact attestations", "nested index with attestations"):
        for name in ("Aliyun personal", "refuses attestations"):
            cell = table[kind][name]
            assert (cell.verdict, cell.dropped) == (Verdict.FILTERED, told)
            assert cell.digests
    older = table["index with older attestations"]
    assert older["Aliyun personal"].verdict is Verdict.IDENTICAL
    assert older["refuses attestations"].dropped == told


async def test_nothing_is_left_out_but_attestations_and_referrers(table: Table) -> None:
    allowed = {DropReason.ATTESTATION_REFUSED, DropReason.REFERRER_REFUSED}
    for cells in table.values():
        for cell in cells.values():
            assert cell.dropped <= allowed
            assert cell.reason in (None, Reason.REFUSED_MEDIA_TYPE), cell
