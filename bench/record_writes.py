"""What a run writes into a large history, statement by statement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from bench.record_fill import Size
from bench.stopwatch import Timing
from mirror.history import MirrorRow, PostgresRecorder
from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Discovery,
    PlacedBlob,
    Plan,
    RunOutcome,
    RunStatus,
    SourceTag,
    Trigger,
    Verification,
    utcnow,
)


async def time_writes(url: str, rounds: int, size: Size) -> list[Timing]:
    """What a run of a mirror with many unchanged tags reads and writes, and what a tag does."""
    took: dict[str, list[float]] = {}

    @contextmanager
    def step(what: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        took.setdefault(what, []).append(1000 * (time.perf_counter() - begin))

    async with PostgresRecorder.open(url) as recorder:
        name, target = "mirror-01", "registry.example.com/bench/target-1"
        half_hour = timedelta(minutes=30)
        row = MirrorRow(name, "docker.io/bench/source-1", target, half_hour, half_hour, half_hour)
        for number in range(rounds):
            with step("ensure_mirror"):
                await recorder.ensure_mirror(row)
            with step("target_lock"):
                lock = recorder.target_lock(target)
                await lock.__aenter__()
            with step("begin_run"):
                run = await recorder.begin_run(name, Trigger.SCHEDULE, full=True)
            with step("close_abandoned"):
                await recorder.close_abandoned(name, run)
            with step(f"known_tags, {size.tags:,} tags (a read)"):
                known = await recorder.known_tags(name)
            tags = tuple(
                SourceTag(tag.name, tag.source_digest or "", tag.pushed_at)
                for tag in known.values()
            )
            with step(f"discovered, {size.tags:,} tags, none changed"):
                await recorder.discovered(run, name, Discovery(tags, True, "hub_api"), Plan((), 0))
            change = Change(
                f"bench-{number}",
                f"bench-{number}",
                ChangeKind.NEW,
                f"sha256:{number:064x}",
                utcnow(),
                utcnow(),
            )
            with step("a tag: tag_started"):
                await recorder.tag_started(run, name, change)
            blobs = tuple(PlacedBlob(f"sha256:{number:032x}{n:032x}", n) for n in range(20))
            copied = CopyOutcome(change, utcnow(), utcnow(), change.digest, placed=blobs)
            with step("a tag: tag_ended, 20 blobs"):
                await recorder.tag_ended(run, name, copied, Verification(change, utcnow()))
            with step("end_run"):
                await recorder.end_run(RunOutcome(name, run, RunStatus.SUCCEEDED))
            await lock.__aexit__(None, None, None)
    timings = [Timing(what, tuple(values)) for what, values in took.items()]
    no_writes = ("a tag", "known_tags", "target_lock")  # the lock has a separate connection
    own = [timing for timing in timings if not timing.what.startswith(no_writes)]
    whole = zip(*(timing.milliseconds for timing in own), strict=True)
    return [*timings, Timing("a run without changes, all its writes", tuple(map(sum, whole)))]
