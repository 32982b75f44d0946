"""What goes wrong on the way is resumed, retried, or told by its name."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx
import pytest

from flows.demo import quirks
from flows.demo.answers import Answer
from flows.demo.behaviour import Behaviour
from flows.demo.faults import (
    Corrupt,
    Drop,
    DroppedError,
    Fault,
    Hang,
    Headers,
    Respond,
    Rule,
    Side,
    Truncate,
    disk_full,
    insufficient_storage,
)
from flows.demo.registry import DemoRegistry
from flows.registry import (
    Clockwork,
    Denied,
    Descriptor,
    DigestMismatch,
    Endpoint,
    Manifest,
    ProtocolError,
    QuotaExhausted,
    Registry,
    RegistryError,
    RetryPolicy,
    ServerError,
    StorageFull,
    Throttled,
    TimedOut,
    Timeouts,
    copy_blob,
    digest_of,
)
from tests.registry.conftest import put_image
from tests.registry.scripted import Script, answer
from tests.registry.test_kinds_of_registries import NAME, client_of

MIB = 1 << 20
SIZE = 12 * MIB
IMAGE = Manifest.parse(
    b'{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"'
    + digest_of(b"").encode()
    + b'","size":0},"layers":[]}'
)


# What carries the bytes of a large blob: the closing PUT, or PATCH where that is known to fail.
_CARRIES = "(PATCH|PUT) .*/uploads/"


@dataclass(frozen=True)
class LostAnswer(Fault):
    """The registry does what it was asked for, and the connection breaks before it says so."""

    def amend(self, answer: Answer) -> Answer:
        raise DroppedError(b"", reset=True)


class Pair:
    """Two registries in memory, a blob at the source, and clients of both."""

    def __init__(self, origin: DemoRegistry, demo: DemoRegistry) -> None:
        self.origin, self.demo = origin, demo
        self.data = os.urandom(SIZE)
        digest = origin.store.add_blob("a/b", self.data)
        self.blob = Descriptor("application/octet-stream", digest, SIZE)
        self.told = 0
        self.whole_put: bool | None = None

    async def copy(self, *, timeouts: Timeouts | None = None) -> None:
        """Copy the blob with fresh clients."""

        def tell(count: int) -> None:
            self.told += count

        async with (
            _hasty(self.origin.host, timeouts) as source,
            _hasty(self.demo.host, timeouts) as target,
        ):
            target.abilities.whole_put = self.whole_put
            there = target.repository(NAME)
            await copy_blob(source.repository("a/b"), there, self.blob, progress=tell)

    @property
    def arrived(self) -> bool:
        """Whether the target holds the blob, whole and right."""
        held = self.demo.store.blob(NAME, self.blob.digest)
        return held is not None and held.read() == self.data

    def bytes_up(self) -> int:
        """Bytes of blobs that the target was sent."""
        return sum(one.received for one in self.demo.exchanges)

    def bytes_down(self) -> int:
        """Bytes that the source sent."""
        return sum(one.sent for one in self.origin.exchanges)


def _hasty(host: str, timeouts: Timeouts | None = None) -> Registry:
    async def no_wait(seconds: float) -> None:
        await asyncio.sleep(0)

    return Registry(
        Endpoint(host, insecure=True), timeouts=timeouts, clock=Clockwork(sleep=no_wait)
    )


@pytest.fixture(params=[None, False], ids=["whole", "patch"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with DemoRegistry() as origin, DemoRegistry() as demo:
        pair = Pair(origin, demo)
        pair.whole_put = request.param
        yield pair


async def test_a_broken_download_goes_on_where_it_broke(pair: Pair) -> None:
    pair.origin.faults.add(Rule("GET .*/blobs/", Drop(after=5 * MIB)))
    await pair.copy()
    assert pair.arrived
    assert pair.told == SIZE
    assert pair.bytes_down() < 1.3 * SIZE
    ranges = [one.headers["Range"] for one in pair.origin.exchanges if "Range" in one.headers]
    assert len(ranges) == 1
    assert ranges[0].endswith(f"-{SIZE - 1}")


async def test_a_download_that_breaks_where_ranges_are_ignored_still_arrives() -> None:
    async with DemoRegistry(Behaviour(range_reads=False)) as origin, DemoRegistry() as demo:
        pair = Pair(origin, demo)
        origin.faults.add(Rule("GET .*/blobs/", Drop(after=5 * MIB)))
        await pair.copy()
        assert pair.arrived


@pytest.mark.parametrize("reset", [True, False])
async def test_a_broken_upload_goes_on_from_the_registry_s_own_range(
    pair: Pair, reset: bool
) -> None:
    pair.demo.faults.add(Rule(_CARRIES, Drop(after=11 * MIB, side=Side.REQUEST, reset=reset)))
    await pair.copy()
    assert pair.arrived
    assert pair.told == SIZE, "what is sent twice is told once"
    lines = [one.line.split()[0] for one in pair.demo.exchanges]
    assert lines.count("POST") == 1, "the session went on"
    assert lines.count("PATCH") == (1 if pair.whole_put is None else 2)
    assert pair.bytes_down() < 1.6 * SIZE, "only what the line held is read again"


async def test_a_commit_whose_answer_was_lost_is_not_repeated(pair: Pair) -> None:
    pair.demo.faults.add(Rule("PUT .*/uploads", LostAnswer()))
    await pair.copy()
    assert pair.arrived
    assert sum(one.line.startswith("PATCH") for one in pair.demo.exchanges) <= 1
    assert pair.bytes_up() == SIZE
    assert pair.demo.faults.acted() == 1


async def test_a_body_that_is_cancelled_while_it_is_paced_loses_no_piece(pair: Pair) -> None:
    async def pace(count: int) -> None:
        await asyncio.sleep(0.01)

    pair.demo.faults.add(Rule(_CARRIES, Respond(502), times=3))
    async with _hasty(pair.origin.host) as source, _hasty(pair.demo.host) as target:
        there = target.repository(NAME)
        await copy_blob(source.repository("a/b"), there, pair.blob, pace=pace)
    assert pair.arrived


async def test_a_session_that_was_lost_is_replaced_by_a_fresh_one() -> None:
    async with DemoRegistry() as origin, DemoRegistry(Behaviour(resume=False)) as demo:
        pair = Pair(origin, demo)
        demo.faults.add(Rule(_CARRIES, Drop(after=7 * MIB, side=Side.REQUEST)))
        await pair.copy()
        assert pair.arrived
        assert sum(one.line.startswith("POST") for one in demo.exchanges) == 2


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("GET .*/blobs/", Respond(503)),
        ("GET .*/blobs/", Respond(429, headers={"Retry-After": "1"})),
        ("POST .*/uploads", Respond(500)),
        (_CARRIES, Respond(502)),
        (_CARRIES, Respond(404, "BLOB_UPLOAD_UNKNOWN")),
        ("PUT .*/uploads", Respond(504)),
        ("PUT .*/uploads", Respond(404, "BLOB_UPLOAD_UNKNOWN")),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value)[:60],
)
async def test_what_fails_twice_is_tried_again(pair: Pair, pattern: str, fault: Fault) -> None:
    registry = pair.origin if pattern.startswith("GET") else pair.demo
    registry.faults.add(Rule(pattern, fault, times=2))
    await pair.copy()
    assert pair.arrived


@pytest.mark.parametrize(
    ("pattern", "fault", "kind"),
    [
        ("GET .*/blobs/", Respond(500), ServerError),
        ("GET .*/blobs/", Corrupt(offset=3 * MIB), DigestMismatch),
        ("GET .*/blobs/", Truncate(keep=5 * MIB), DigestMismatch),
        ("GET .*/blobs/", Respond(403, "DENIED"), Denied),
        ("POST .*/uploads", Respond(403, "DENIED", "requested access to it is denied"), Denied),
        (_CARRIES, disk_full(), StorageFull),
        (_CARRIES, insufficient_storage(), StorageFull),
        ("PUT .*/uploads", disk_full(), StorageFull),
        ("POST .*/uploads", Respond(429), Throttled),
        ("POST .*/uploads", Headers(drop=frozenset({"Location"})), ProtocolError),
        ("GET .*/blobs/", Respond(429, "TOOMANYREQUESTS", "pull rate limit"), QuotaExhausted),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value)[:60],
)
async def test_what_does_not_get_better_is_told_by_its_name(
    pair: Pair, pattern: str, fault: Fault, kind: type[RegistryError]
) -> None:
    registry = pair.origin if pattern.startswith("GET") else pair.demo
    registry.faults.add(Rule(pattern, fault, times=None))
    with pytest.raises(kind) as caught:
        await pair.copy()
    assert type(caught.value) is kind
    assert caught.value.registry == registry.host, "the side that failed is named"
    assert not pair.arrived
    assert not pair.demo.store.blob(NAME, pair.blob.digest)


@pytest.mark.parametrize(
    ("at_source", "rule"),
    [
        (True, Rule("GET .*/blobs/", Hang(4), times=None)),
        (False, Rule(_CARRIES, Hang(4, side=Side.REQUEST), times=None)),
    ],
    ids=["source", "target"],
)
async def test_a_stalled_connection_times_out(pair: Pair, at_source: bool, rule: Rule) -> None:
    registry = pair.origin if at_source else pair.demo
    registry.faults.add(rule)
    begun = time.monotonic()
    with pytest.raises(TimedOut) as caught:
        await pair.copy(timeouts=Timeouts(stall=0.15, answer=0.5))
    assert caught.value.reason == "timeout"
    assert caught.value.registry == registry.host
    assert time.monotonic() - begun < 15


async def test_a_stall_is_got_over(pair: Pair) -> None:
    pair.origin.faults.add(Rule("GET .*/blobs/", Hang(4, after=5 * MIB)))
    pair.demo.faults.add(Rule(_CARRIES, Hang(4, after=8 * MIB, side=Side.REQUEST)))
    await pair.copy(timeouts=Timeouts(stall=0.3, answer=2))
    assert pair.arrived


async def test_a_token_that_ends_while_a_layer_is_on_its_way_is_renewed() -> None:
    kind = replace(quirks.HARBOR, name="harbor")
    async with DemoRegistry() as origin, DemoRegistry(kind) as demo:
        data = os.urandom(SIZE)
        blob = Descriptor("x", origin.store.add_blob("a/b", data), SIZE)
        demo.faults.add(Rule("PATCH ", Respond(401, "UNAUTHORIZED", "token expired")))
        demo.faults.add(Rule("PUT .*/blobs/uploads", Respond(401, "UNAUTHORIZED", "token expired")))
        async with client_of(origin) as source, client_of(demo) as target:
            await copy_blob(source.repository("a/b"), target.repository(NAME), blob)
        held = demo.store.blob(NAME, blob.digest)
        assert held is not None
        assert held.read() == data


async def test_a_manifest_whose_put_broke_is_put_again() -> None:
    async with DemoRegistry() as demo, _hasty(demo.host) as registry:
        repository = registry.repository(NAME)
        demo.faults.add(Rule("PUT .*/manifests/", LostAnswer()))
        image = await put_image(repository, "1", b"layer")
        assert (await repository.get_manifest("1")).raw == image.raw


async def test_a_manifest_that_came_damaged_is_asked_for_once_more() -> None:
    async with DemoRegistry() as demo, _hasty(demo.host) as registry:
        repository = registry.repository(NAME)
        image = await put_image(repository, "1", b"layer")
        demo.faults.add(Rule("GET .*/manifests/", Corrupt(offset=3)))
        assert (await repository.get_manifest(image.digest)).raw == image.raw
        demo.faults.add(Rule("GET .*/manifests/", Corrupt(offset=3), times=None))
        with pytest.raises(DigestMismatch, match=image.digest):
            await repository.get_manifest(image.digest)


async def test_retry_after_is_waited_for_but_not_for_ever() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def busy(seconds: int) -> Registry:
        script = Script()
        script.on("", answer(429, "", {"Retry-After": str(seconds)}))
        return Registry(
            Endpoint("registry.example.com"),
            transport=script,
            clock=Clockwork(sleep=sleep),
            retry=RetryPolicy(attempts=2, patience=60),
        )

    async with busy(7) as registry:
        with pytest.raises(Throttled) as caught:
            await registry.ping()
    assert caught.value.retry_after == 7
    assert max(waits) == pytest.approx(7, abs=0.1)
    waits.clear()
    async with busy(3600) as registry:
        with pytest.raises(Throttled):
            await registry.ping()
    assert waits == []


@pytest.mark.parametrize(
    "body",
    [
        '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}',
        '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
        '{"details":"denied"}',
        "<html><h1>403 Forbidden</h1></html>",
        "",
    ],
)
async def test_aliyun_s_denial_is_explained(body: str) -> None:
    script = Script()
    script.on("", answer(403, body))
    host = "registry.cn-hangzhou.aliyuncs.com"
    async with Registry(Endpoint(host), transport=script) as registry:
        with pytest.raises(RegistryError, match="namespace does not exist") as caught:
            await registry.repository("hagicode/x").put_manifest("1", IMAGE)
    assert caught.value.reason == "auth"
    assert "\n" not in str(caught.value)


async def test_what_the_quota_headers_say_is_kept() -> None:
    script = Script()
    limits = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}
    script.on("", lambda _: httpx.Response(200, json={"tags": []}, headers=limits))
    async with Registry(Endpoint("docker.io"), transport=script) as registry:
        await registry.repository("library/x").tags()
        assert registry.quota is not None
        assert (registry.quota.limit, registry.quota.remaining) == (100, 76)
        assert registry.quota.window_seconds == 21600
    assert script.seen[0].url.host == "registry-1.docker.io"


async def test_the_last_piece_of_a_wrong_blob_is_never_sent(pair: Pair) -> None:
    pair.origin.faults.add(Rule("GET .*/blobs/", Corrupt(offset=3 * MIB), times=None))
    with pytest.raises(DigestMismatch):
        await pair.copy()
    assert 0 < pair.bytes_up() < SIZE
    assert not pair.arrived


async def test_a_registry_that_takes_no_whole_body_is_sent_it_once() -> None:
    async with (
        DemoRegistry() as origin,
        DemoRegistry() as demo,
        _hasty(origin.host) as source,
        _hasty(demo.host) as target,
    ):
        demo.faults.add(Rule("PUT .*/uploads/", Drop(after=5 * MIB, side=Side.REQUEST), times=1))
        for number in range(2):
            data = os.urandom(SIZE)
            blob = Descriptor("x", origin.store.add_blob("a/b", data), SIZE)
            await copy_blob(source.repository("a/b"), target.repository(NAME), blob)
            held = demo.store.blob(NAME, blob.digest)
            assert held is not None and held.read() == data, number
        assert target.abilities.whole_put is False
        assert sum(one.method == "PATCH" for one in demo.exchanges) == 2
