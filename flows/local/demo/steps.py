"""The steps of the guided run. Each says what it shows and checks that it happened."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import sqlalchemy as sa

from flows.local.demo.commands import Mirror, SyncResult, kill
from flows.local.demo.sample import (
    FIRST,
    LARGE,
    LARGE_LAYERS,
    MIRROR,
    NEXT,
    Sample,
    large_blobs,
)
from flows.local.demo.screen import Screen, TourError

KILL_WITHIN = 30.0  # seconds until the run that is to be killed has copied something


@dataclass(frozen=True, slots=True)
class Tour:
    """What the chapters share."""

    screen: Screen
    sample: Sample
    mirror: Mirror
    record: sa.Engine

    async def sync(self, *options: str) -> SyncResult:
        """One sync of the sample mirror, with a spinner."""
        with self.screen.busy(f"mirror sync {' '.join((MIRROR, *options))}"):
            return await self.mirror.sync(MIRROR, *options)


async def cold_sync(tour: Tour) -> None:
    """An empty target gets everything."""
    screen, sample = tour.screen, tour.sample
    screen.chapter(
        "Cold sync",
        f"The source holds {len(FIRST)} releases for amd64 and arm64, with attestations, under "
        f"{len(sample.ours.tags)} tags; latest, 0, 0.1 and 0.1.0 float. The target is empty.",
    )
    result = await tour.sync()
    screen.check(
        result.status == "succeeded" and result.copied == len(sample.ours.tags),
        f"{result.copied} tags copied and verified in {_duration(result.seconds)}: "
        f"{result.blobs_copied} blobs, {_size(result.bytes_copied)}",
    )
    total = sum(sample.source.store.blobs[digest].size for digest in sample.ours.blobs)
    screen.check(
        result.bytes_copied == total, "each blob was sent once, however many tags share it"
    )
    screen.check(sample.identical(), "every tag, manifest and blob is the same, byte for byte")


async def unchanged_sync(tour: Tour) -> None:
    """Nothing to do costs next to nothing."""
    screen = tour.screen
    screen.chapter("Unchanged sync", "The record knows what the target holds: who asks nothing?")
    before = len(tour.sample.target.exchanges)
    result = await tour.sync()
    screen.check(
        result.status == "succeeded" and result.changed == 0 and result.bytes_copied == 0,
        f"0 of {result.discovered} tags changed, 0 bytes copied, {_duration(result.seconds)}",
    )
    screen.check(
        len(tour.sample.target.exchanges) == before,
        f"{_count(result.source_requests, 'request')} to the source, none to the target",
    )


async def new_release(tour: Tour) -> None:
    """A release moves the floating tags, which arrive after it."""
    screen, sample = tour.screen, tour.sample
    screen.chapter("A new release", f"{NEXT} is pushed: latest, 0, 0.1 and 0.1.0 move to it.")
    made = sample.publish(NEXT)
    before = len(sample.target.exchanges)
    result = await tour.sync()
    screen.check(
        result.status == "succeeded" and result.copied == len(made.tags),
        f"{result.copied} of {result.discovered} tags moved, {_size(result.bytes_copied)} in "
        f"{_duration(result.seconds)}; the others were left alone",
    )
    arrived = [
        exchange.path.rpartition("/")[2]
        for exchange in sample.target.exchanges[before:]
        if exchange.method == "PUT" and "/manifests/" in exchange.path
    ]
    tags = [reference for reference in arrived if reference in made.tags]
    screen.check(tags[:1] == [NEXT], f"the exact tag came first: {' → '.join(tags)}")
    screen.check(
        all(sample.theirs.tags.get(tag) == made.image.digest for tag in made.tags),
        f"all of them point at {made.image.digest[:19]}… now",
    )


async def repair(tour: Tour) -> None:
    """A full comparison finds what went missing at the target."""
    screen, sample = tour.screen, tour.sample
    lost = FIRST[0]
    screen.chapter(
        "A tag is deleted at the target",
        f"Someone removes {lost} there. The scheduled sync compares both sides: mirror sync --full",
    )
    sample.theirs.delete_manifest(sample.theirs.tags[lost])
    screen.check(lost not in sample.theirs.tags, f"{lost} is gone from the target")
    result = await tour.sync("--full")
    screen.check(
        result.status == "succeeded" and result.copied == 1 and sample.identical(),
        f"--full put it back in {_duration(result.seconds)}, {_size(result.bytes_copied)} sent: "
        "its blobs were still there",
    )


async def killed_run(tour: Tour) -> None:
    """kill -9 leaves nothing half done, and the next run finishes."""
    screen, sample = tour.screen, tour.sample
    made = sample.publish(LARGE, LARGE_LAYERS)
    large = large_blobs(made)
    screen.chapter(
        "A run is killed in the middle",
        f"{LARGE} has large layers and the source is slow: kill -9 while they are being copied.",
    )
    sample.slow_down(large)
    with screen.busy("waiting for the right moment"):
        run_id = await _kill_in_the_middle(tour, made.image.blobs.keys() - large)
    sample.speed_up()
    there = frozenset(sample.theirs.blobs) & made.image.blobs.keys()
    screen.check(
        not sample.incomplete_tags(),
        f"killed with {len(there)} of {len(made.image.blobs)} blobs there; "
        "no tag at the target points at anything incomplete",
    )
    before = len(sample.source.exchanges)
    result = await tour.sync()
    screen.check(
        result.status == "succeeded" and sample.identical(),
        f"the next run finished it: {result.copied} tags, {_size(result.bytes_copied)} in "
        f"{_duration(result.seconds)}",
    )
    screen.check(
        not sample.fetched(before) & there, "what had arrived before was not fetched again"
    )
    screen.check(
        await _run_status(tour.record, run_id) == "abandoned",
        "the killed run reads `abandoned` in the record",
    )


async def answers(tour: Tour) -> None:
    """What the record says of all that."""
    screen = tour.screen
    screen.chapter("The record", "Each run and each tag, with delays and failures, in Postgres.")
    for command in (("status",), ("report", "--since", "1d")):
        screen.output(f"mirror {' '.join(command)}", await tour.mirror.run(*command))


async def questions(tour: Tour) -> None:
    """The record is open to SQL."""
    tour.screen.chapter("Ask more", 'The record is open to SQL, read-only: mirror sql "SELECT ..."')
    for query in QUERIES:
        found = await _rows(tour.record, query)
        tour.screen.check(found > 0, query)


CHAPTERS = (cold_sync, unchanged_sync, new_release, repair, killed_run, answers, questions)

QUERIES = (
    "SELECT * FROM report_success_rate",
    "SELECT * FROM report_delay",
    "SELECT * FROM report_recent_runs",
    "SELECT * FROM report_failures",
    "SELECT * FROM report_tag_history WHERE tag = 'latest'",
)


async def _kill_in_the_middle(tour: Tour, small: frozenset[str] | set[str]) -> str:
    """Start a sync, kill it once the small blobs are there; the id of its run."""
    process = await tour.mirror.start("sync", MIRROR)
    try:
        async with asyncio.timeout(KILL_WITHIN):
            while not small <= tour.sample.theirs.blobs:
                if process.returncode is not None:
                    raise TourError("demo: the run ended before it could be killed")
                await asyncio.sleep(0.02)
        return await _running(tour.record)
    except TimeoutError as error:
        raise TourError("demo: the run copied nothing that could be interrupted") from error
    finally:
        kill(process)
        await process.wait()


async def _running(record: sa.Engine) -> str:
    return await _value(record, "SELECT id FROM sync_run WHERE status = 'running'")


async def _run_status(record: sa.Engine, run_id: str) -> str:
    return await _value(record, "SELECT status FROM sync_run WHERE id = :id", id=run_id)


async def _value(record: sa.Engine, query: str, **parameters: str) -> str:
    def ask() -> str:
        with record.connect() as connection:
            return str(connection.execute(sa.text(query), parameters).scalar_one())

    return await asyncio.to_thread(ask)


async def _rows(record: sa.Engine, query: str) -> int:
    def ask() -> int:
        with record.connect() as connection:
            return len(connection.execute(sa.text(query)).all())

    return await asyncio.to_thread(ask)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
