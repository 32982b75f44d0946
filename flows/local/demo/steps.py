"""The steps of the guided run. Each says what it shows and checks that it happened."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import sqlalchemy as sa

from flows.local.demo.commands import MirrorCommand, SyncSummary, kill
from flows.local.demo.sample import (
    FIRST,
    LARGE,
    LARGE_LAYERS,
    MIRROR,
    NEXT,
    DemoSample,
    large_blobs,
)
from flows.local.demo.screen import DemoError, Screen
from mirror.units import format_stopwatch

KILL_WITHIN = 30.0  # seconds in which the run to kill must have copied something


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What the steps share."""

    screen: Screen
    sample: DemoSample
    mirror: MirrorCommand
    history: sa.Engine

    async def sync(self, *options: str) -> SyncSummary:
        """One sync of the sample mirror, with a spinner."""
        with self.screen.busy(f"mirror sync {' '.join((MIRROR, *options))}"):
            return await self.mirror.sync(MIRROR, *options)


async def cold_sync(run: DemoRun) -> None:
    """Everything is copied to an empty target."""
    screen, sample = run.screen, run.sample
    screen.step(
        "Cold sync",
        f"The source holds {len(FIRST)} releases for amd64 and arm64, with attestations, under "
        f"{len(sample.source_side.tags)} tags, some floating: latest, 0, 0.1 and 0.1.0. "
        "The target is empty.",
    )
    result = await run.sync()
    screen.check(
        result.status == "succeeded" and result.copied == len(sample.source_side.tags),
        f"{result.copied} tags copied and verified in {format_stopwatch(result.seconds)}: "
        f"{result.blobs_copied} blobs, {_size(result.bytes_copied)}",
    )
    total = sum(sample.source.store.blobs[digest].size for digest in sample.source_side.blobs)
    screen.check(
        result.bytes_copied == total, "each blob was copied once, however many tags share it"
    )
    screen.check(sample.identical(), "every tag, manifest and blob is identical, byte for byte")


async def unchanged_sync(run: DemoRun) -> None:
    """Without changes a sync costs next to nothing."""
    screen = run.screen
    screen.step("Unchanged sync", "The history knows what the target holds: no need to ask it.")
    before = len(run.sample.target.exchanges)
    result = await run.sync()
    screen.check(
        result.status == "succeeded" and result.changed == 0 and result.bytes_copied == 0,
        f"0 of {result.discovered} tags changed, 0 bytes copied,"
        f" {format_stopwatch(result.seconds)}",
    )
    screen.check(
        len(run.sample.target.exchanges) == before,
        f"{_count(result.source_requests, 'request')} to the source, none to the target",
    )


async def new_release(run: DemoRun) -> None:
    """A release moves the floating tags, which are copied after it."""
    screen, sample = run.screen, run.sample
    screen.step("A new release", f"{NEXT} is pushed; latest, 0, 0.1 and 0.1.0 move to it.")
    made = sample.publish(NEXT)
    before = len(sample.target.exchanges)
    result = await run.sync()
    screen.check(
        result.status == "succeeded" and result.copied == len(made.tags),
        f"{result.copied} of {result.discovered} tags moved, {_size(result.bytes_copied)} in "
        f"{format_stopwatch(result.seconds)}; the others were not touched",
    )
    arrived = [
        exchange.path.rpartition("/")[2]
        for exchange in sample.target.exchanges[before:]
        if exchange.method == "PUT" and "/manifests/" in exchange.path
    ]
    tags = [reference for reference in arrived if reference in made.tags]
    screen.check(tags[:1] == [NEXT], f"the exact tag came first: {' → '.join(tags)}")
    screen.check(
        all(sample.target_side.tags.get(tag) == made.image.digest for tag in made.tags),
        f"all of them now point at {made.image.digest[:19]}…",
    )


async def repair(run: DemoRun) -> None:
    """A full comparison finds what is missing at the target."""
    screen, sample = run.screen, run.sample
    lost = FIRST[0]
    screen.step(
        "A tag is deleted at the target",
        f"Someone deletes {lost}. The scheduled sync compares both sides: mirror sync --full",
    )
    sample.target_side.delete_manifest(sample.target_side.tags[lost])
    screen.check(lost not in sample.target_side.tags, f"{lost} is gone from the target")
    result = await run.sync("--full")
    screen.check(
        result.status == "succeeded" and result.copied == 1 and sample.identical(),
        f"--full restored it in {format_stopwatch(result.seconds)},"
        f" {_size(result.bytes_copied)} sent: its blobs were still there",
    )


async def killed_run(run: DemoRun) -> None:
    """kill -9 leaves no incomplete tag, and the next run finishes the work."""
    screen, sample = run.screen, run.sample
    made = sample.publish(LARGE, LARGE_LAYERS)
    large = large_blobs(made)
    screen.step(
        "A run is killed halfway",
        f"{LARGE} has large layers and the source is slow: kill -9 while they are copied.",
    )
    sample.slow_down(large)
    with screen.busy("waiting until half of it is copied"):
        run_id = await _kill_in_the_middle(run, made.image.blobs.keys() - large)
    sample.speed_up()
    there = frozenset(sample.target_side.blobs) & made.image.blobs.keys()
    screen.check(
        not sample.incomplete_tags(),
        f"killed with {len(there)} of {len(made.image.blobs)} blobs copied; "
        "no tag at the target points at an incomplete image",
    )
    before = len(sample.source.exchanges)
    result = await run.sync()
    screen.check(
        result.status == "succeeded" and sample.identical(),
        f"the next run finished the work: {result.copied} tags, {_size(result.bytes_copied)} in "
        f"{format_stopwatch(result.seconds)}",
    )
    screen.check(
        not sample.fetched(before) & there, "what had been copied before was not fetched again"
    )
    screen.check(
        await _run_status(run.history, run_id) == "abandoned",
        "the killed run is `abandoned` in the history",
    )


async def reports(run: DemoRun) -> None:
    """What the history says about all that."""
    screen = run.screen
    screen.step("The history", "Every run and every tag, with delays and failures, in Postgres.")
    for command in (("status",), ("report", "--since", "1d")):
        screen.output(f"mirror {' '.join(command)}", await run.mirror.run(*command))


async def queries(run: DemoRun) -> None:
    """The history is open to SQL."""
    run.screen.step("SQL", 'The history is open to SQL, read-only: mirror sql "SELECT ..."')
    for query in QUERIES:
        found = await _rows(run.history, query)
        run.screen.check(found > 0, query)


STEPS = (cold_sync, unchanged_sync, new_release, repair, killed_run, reports, queries)

QUERIES = (
    "SELECT * FROM report_success_rate",
    "SELECT * FROM report_delay",
    "SELECT * FROM report_recent_runs",
    "SELECT * FROM report_failures",
    "SELECT * FROM report_tag_history WHERE tag = 'latest'",
)


async def _kill_in_the_middle(run: DemoRun, small: frozenset[str] | set[str]) -> str:
    """Start a sync and kill it once the small blobs are copied; returns its run id."""
    process = await run.mirror.start("sync", MIRROR)
    try:
        async with asyncio.timeout(KILL_WITHIN):
            while not small <= run.sample.target_side.blobs:
                if process.returncode is not None:
                    raise DemoError("demo: the sync ended before it could be killed")
                await asyncio.sleep(0.02)
        return await _running(run.history)
    except TimeoutError as error:
        raise DemoError("demo: the sync copied nothing before it was killed") from error
    finally:
        kill(process)
        await process.wait()


async def _running(history: sa.Engine) -> str:
    return await _value(history, "SELECT id FROM sync_run WHERE status = 'running'")


async def _run_status(history: sa.Engine, run_id: str) -> str:
    return await _value(history, "SELECT status FROM sync_run WHERE id = :id", id=run_id)


async def _value(history: sa.Engine, query: str, **parameters: str) -> str:
    def ask() -> str:
        with history.connect() as connection:
            return str(connection.execute(sa.text(query), parameters).scalar_one())

    return await asyncio.to_thread(ask)


async def _rows(history: sa.Engine, query: str) -> int:
    def ask() -> int:
        with history.connect() as connection:
            return len(connection.execute(sa.text(query)).all())

    return await asyncio.to_thread(ask)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
