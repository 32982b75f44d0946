"""Faults while a blob is copied are resumed, retried, or raised as the error that they are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from flows.local.sample_registry.interceptor import Interceptor
from mirror.registry import (
    Denied,
    Descriptor,
    DigestMismatch,
    ProtocolError,
    QuotaExhausted,
    RegistryError,
    RetryPolicy,
    ServerError,
    StorageFull,
    Throttled,
    TimedOut,
    Timeouts,
    copy_blob,
)
from tests.registry.pair import MIB, SIZE, LostAnswer, Pair, hasty
from tests.registry.test_kinds_of_registries import NAME, client_of
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import (
    Corrupt,
    Drop,
    Hang,
    Headers,
    Respond,
    Rule,
    Side,
    Truncate,
    disk_full,
    insufficient_storage,
)
from tests.support.fake_registry.registry import FakeRegistry

# What carries the bytes of a large blob: the closing PUT, or PATCH where that is known to fail.
_CARRIES = "(PATCH|PUT) .*/uploads/"


@pytest.fixture(params=[None, False], ids=["whole", "patch"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with FakeRegistry() as origin, FakeRegistry() as demo:
        pair = Pair(origin, demo)
        pair.whole_put = request.param
        yield pair


async def test_a_broken_download_goes_on_where_it_broke(pair: Pair) -> None:
    pair.origin.faults.add(Rule("GET .*/blobs/", Drop(after=5 * MIB)))
    await pair.copy()
    assert pair.arrived
    assert pair.reported == SIZE
    assert pair.bytes_down() < 1.3 * SIZE
    ranges = [one.headers["Range"] for one in pair.origin.exchanges if "Range" in one.headers]
    assert len(ranges) == 1
    assert ranges[0].endswith(f"-{SIZE - 1}")


async def test_a_download_that_breaks_where_ranges_are_ignored_still_arrives() -> None:
    async with FakeRegistry(Behaviour(range_reads=False)) as origin, FakeRegistry() as demo:
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
    assert pair.reported == SIZE, "what is sent twice is reported once"
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
    async with hasty(pair.origin.host) as source, hasty(pair.demo.host) as target:
        there = target.repository(NAME)
        await copy_blob(source.repository("a/b"), there, pair.blob, throttle=pace)
    assert pair.arrived


async def test_a_session_that_was_lost_is_replaced_by_a_fresh_one() -> None:
    async with FakeRegistry() as origin, FakeRegistry(Behaviour(resume=False)) as demo:
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
async def test_what_fails_twice_is_tried_again(
    pair: Pair, pattern: str, fault: Interceptor
) -> None:
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
async def test_a_lasting_fault_raises_its_own_error(
    pair: Pair, pattern: str, fault: Interceptor, kind: type[RegistryError]
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
    with pytest.raises(TimedOut) as caught:
        await pair.copy(timeouts=Timeouts(stall=0.15, answer=0.5))
    assert caught.value.reason == "timeout"
    assert caught.value.registry == registry.host
    assert 1 <= registry.faults.acted() <= 4 * RetryPolicy().attempts, "retries end"


async def test_a_copy_recovers_from_a_stall(pair: Pair) -> None:
    pair.origin.faults.add(Rule("GET .*/blobs/", Hang(4, after=5 * MIB)))
    pair.demo.faults.add(Rule(_CARRIES, Hang(4, after=8 * MIB, side=Side.REQUEST)))
    await pair.copy(timeouts=Timeouts(stall=0.3, answer=2))
    assert pair.arrived


async def test_a_token_that_expires_during_an_upload_is_renewed() -> None:
    kind = replace(quirks.HARBOR, name="harbor")
    async with FakeRegistry() as origin, FakeRegistry(kind) as demo:
        data = os.urandom(SIZE)
        blob = Descriptor("x", origin.store.add_blob("a/b", data), SIZE)
        demo.faults.add(Rule("PATCH ", Respond(401, "UNAUTHORIZED", "token expired")))
        demo.faults.add(Rule("PUT .*/blobs/uploads", Respond(401, "UNAUTHORIZED", "token expired")))
        async with client_of(origin) as source, client_of(demo) as target:
            await copy_blob(source.repository("a/b"), target.repository(NAME), blob)
        held = demo.store.blob(NAME, blob.digest)
        assert held is not None
        assert held.read() == data


async def test_the_last_piece_of_a_wrong_blob_is_never_sent(pair: Pair) -> None:
    pair.origin.faults.add(Rule("GET .*/blobs/", Corrupt(offset=3 * MIB), times=None))
    with pytest.raises(DigestMismatch):
        await pair.copy()
    assert 0 < pair.bytes_up() < 3 * SIZE, "fetched three times, never sent to its end"
    assert not pair.arrived


async def test_a_registry_that_takes_no_whole_body_is_sent_it_once() -> None:
    async with (
        FakeRegistry() as origin,
        FakeRegistry() as demo,
        hasty(origin.host) as source,
        hasty(demo.host) as target,
    ):
        demo.faults.add(Rule("PUT .*/uploads/", Drop(after=5 * MIB, side=Side.REQUEST), times=1))
        for number in range(2):
            data = os.urandom(SIZE)
            blob = Descriptor("x", origin.store.add_blob("a/b", data), SIZE)
            await copy_blob(source.repository("a/b"), target.repository(NAME), blob)
            held = demo.store.blob(NAME, blob.digest)
            assert held is not None and held.read() == data, number
        assert target.capabilities.whole_put is False
        assert sum(one.method == "PATCH" for one in demo.exchanges) == 2
