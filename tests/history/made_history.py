"""A history of three days, small enough to compute every figure by hand.

The mirror follows its source since 20 November, 00:00. Its delay goal is 30 minutes.

20 November
  run 1, 10:00 to 10:06, succeeded: 0.1 pushed  9:50, there 10:05: delay   900 s
                                    0.2 pushed  9:00, there 10:06: delay 3,960 s
  run 2, 11:00 to 11:01, partial:   0.3 pushed 10:45, network fails at 11:01
  run 3, 11:05 to 11:07, succeeded: 0.3 at its second try, there 11:07: delay 1,320 s
21 November
  run 4,  8:00, failed because another run held the target: does not count
  run 5,  9:00, killed while it copied 0.4
  run 6, 10:00 to 10:10, succeeded; closes run 5 at 10:00
                                    0.4 no push reported, detected 9:00, there 10:10: delay 4,200 s
                                    latest waits for its exact release, 0.0.9 is held
  run 7, 12:00, a dry run: does not count
22 November
  run 8, 10:00 to 10:02, succeeded: 0.0 pushed a year before, there 10:01: counts from
                                        20 November 00:00: delay 58 h 1 min = 208,860 s
                                    0.1 was missing at the target, repaired: no delay
  run 9, 11:00 to 11:01, failed:    the registry refuses the password
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from mirror.history import PostgresRecorder, ProbePull, PullCounted, WatchRow
from mirror.outcome import (
    BlobTally,
    ChangeKind,
    Quota,
    Reason,
    Requests,
    RunOutcome,
    RunStatus,
    Seconds,
    SourceTag,
    TagFailure,
    TagStatus,
    TagTally,
    Trigger,
)
from tests.history.values import change, copied, digest, discovery, failed, plan, seen
from tests.support.records import MIRROR

NAME = MIRROR.name
NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
PLACE = "cn-hangzhou"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of November 2026."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


async def make_history(recorder: PostgresRecorder, engine: sa.Engine) -> dict[int, str]:
    """Write the history above, and give the ids of its runs by number."""
    with engine.begin() as connection:
        begin = {"begin": at(20, 0)}
        connection.execute(
            sa.text("UPDATE mirror SET created_at = :begin, followed_since = :begin"), begin
        )
    recorder.mirrors.clear()
    runs: dict[int, str] = {}
    await _first_day(recorder, runs)
    await _second_day(recorder, runs)
    await _third_day(recorder, runs)
    return runs


async def begin(recorder: PostgresRecorder, moment: datetime, dry_run: bool = False) -> str:
    """Begin a scheduled run."""
    return await recorder.begin_run(NAME, Trigger.SCHEDULE, True, dry_run, at=moment)


async def end(
    recorder: PostgresRecorder,
    run: str,
    moment: datetime,
    status: RunStatus = RunStatus.SUCCEEDED,
    error: TagFailure | None = None,
    tally: TagTally = TagTally(),  # noqa: B008 - frozen
) -> None:
    """End a run that cost 10 requests to the source, 5 to the target, 1,000 bytes and 2 seconds."""
    outcome = RunOutcome(
        NAME,
        run,
        status,
        tally,
        BlobTally(3, 2, 1),
        bytes_copied=1_000,
        requests=Requests(10, 5),
        seconds=Seconds(total=2.0),
        errors=(error,) if error else (),
    )
    await recorder.end_run(outcome, at=moment)


async def _first_day(recorder: PostgresRecorder, runs: dict[int, str]) -> None:
    one, two = (
        change("0.1", 1, pushed_at=at(20, 9, 50), detected_at=at(20, 10)),
        change("0.2", 2, pushed_at=at(20, 9), detected_at=at(20, 10)),
    )
    run = runs[1] = await begin(recorder, at(20, 10))
    await recorder.discovered(
        run,
        NAME,
        discovery(SourceTag("0.1", digest(1)), SourceTag("0.2", digest(2))),
        plan(one, two),
    )
    await recorder.tag_ended(run, NAME, copied(one, at(20, 10, 5)), seen(one, at(20, 10, 5)))
    await recorder.tag_ended(run, NAME, copied(two, at(20, 10, 6)), seen(two, at(20, 10, 6)))
    await end(recorder, run, at(20, 10, 6), tally=TagTally(2, 2, 2, 0))

    three = change("0.3", 3, pushed_at=at(20, 10, 45), detected_at=at(20, 11))
    run = runs[2] = await begin(recorder, at(20, 11))
    await recorder.tag_ended(run, NAME, failed(three, Reason.NETWORK, at(20, 11, 1)), None)
    await end(recorder, run, at(20, 11, 1), RunStatus.PARTIAL, tally=TagTally(3, 1, 0, 1))

    again = replace(three, attempt=2)
    run = runs[3] = await begin(recorder, at(20, 11, 5))
    await recorder.tag_ended(run, NAME, copied(again, at(20, 11, 7)), seen(again, at(20, 11, 7)))
    await end(recorder, run, at(20, 11, 7))


async def _second_day(recorder: PostgresRecorder, runs: dict[int, str]) -> None:
    taken = TagFailure(None, Reason.LOCK, f"{MIRROR.target}: another run holds it")
    run = runs[4] = await begin(recorder, at(21, 8))
    await end(recorder, run, at(21, 8), RunStatus.FAILED, taken)

    four = change("0.4", 4, detected_at=at(21, 9))
    runs[5] = await begin(recorder, at(21, 9))
    await recorder.tag_started(runs[5], NAME, four, at(21, 9, 1))

    run = runs[6] = await begin(recorder, at(21, 10))
    await recorder.close_abandoned(NAME, run, at(21, 10))
    await recorder.tag_ended(run, NAME, copied(four, at(21, 10, 10)), seen(four, at(21, 10, 10)))
    waits, held = change("latest", 4), change("0.0.9", 9)
    await recorder.tag_skipped(run, NAME, waits, TagStatus.WAITING, "waits for 0.4", at(21, 10, 10))
    await recorder.tag_skipped(run, NAME, held, TagStatus.HELD, "immutable", at(21, 10, 10))
    await end(recorder, run, at(21, 10, 10))

    run = runs[7] = await begin(recorder, at(21, 12), dry_run=True)
    await end(recorder, run, at(21, 12))


async def _third_day(recorder: PostgresRecorder, runs: dict[int, str]) -> None:
    old = change("0.0", 5, pushed_at=at(22, 10) - timedelta(days=365), detected_at=at(22, 10))
    repair = change("0.1", 1, ChangeKind.MISSING, pushed_at=at(20, 9, 50))
    run = runs[8] = await begin(recorder, at(22, 10))
    await recorder.tag_ended(run, NAME, copied(old, at(22, 10, 1)), seen(old, at(22, 10, 1)))
    await recorder.tag_ended(run, NAME, copied(repair, at(22, 10, 2)), seen(repair, at(22, 10, 2)))
    await end(recorder, run, at(22, 10, 2))

    refused = TagFailure(None, Reason.AUTH, "registry.example.com: refuses the password")
    run = runs[9] = await begin(recorder, at(22, 11))
    await end(recorder, run, at(22, 11, 1), RunStatus.FAILED, refused)


def pull(
    moment: datetime,
    side: str,
    seconds: float | None = 10.0,
    size: int = 100_000_000,
    number: int = 1,
) -> ProbePull:
    """A pull of tag 0.1; without seconds, one that failed."""
    if seconds is None:
        return ProbePull(
            NAME, moment, "0.1", side, False, place=PLACE, reason=Reason.TIMEOUT, message="timeout"
        )
    return ProbePull(NAME, moment, "0.1", side, True, digest(number), 0.2, seconds, size, PLACE)


async def make_pulls(recorder: PostgresRecorder) -> None:
    """Five rounds on 20 November, of which three compare.

    round  source              mirror
    10:00  100 MB in 40 s      100 MB in 20 s   twice as fast
    10:15  100 MB in 60 s      100 MB in 20 s   three times
    10:30  100 MB in 20 s      100 MB in 40 s   half
    10:45  100 MB in 10 s      another digest   does not compare
    11:00  100 MB in 10 s      fails            does not compare

    So the source gave 300 MB in 120 s = 2.5 MB/s, the mirror 300 MB in 80 s = 3.75 MB/s: +50 %.
    The median of the gains +100 %, +200 %, -50 % is +100 %. 1 of 5 pulls failed.
    """
    for minute, source, mirror, number in (
        (0, 40, 20, 1),
        (15, 60, 20, 1),
        (30, 20, 40, 1),
        (45, 10, 10, 2),
    ):
        moment = at(20, 10, minute)
        await recorder.add_probes(
            [pull(moment, "source", source), pull(moment, "target", mirror, number=number)]
        )
    await recorder.add_probes([pull(at(20, 11), "source", 10), pull(at(20, 11), "target", None)])


async def make_counts(recorder: PostgresRecorder) -> None:
    """Pull counts of three days, quota readings, and rounds of the watch.

    The source goes 1,000, 1,100, 1,150; the mirror 200, 500, 650:
    21 November 300 of 400 = 75 %, 22 November 150 of 200 = 75 %; together 450 of 600.
    """
    for day, source, mirror in ((20, 1_000, 200), (21, 1_100, 500), (22, 1_150, 650)):
        await recorder.add_pull_count(PullCounted(MIRROR.source, source - 50, at(day, 6)))
        await recorder.add_pull_count(PullCounted(MIRROR.source, source, at(day, 23)))
        await recorder.add_pull_count(PullCounted(MIRROR.target, mirror, at(day, 23)))
    for hour, remaining in ((10, 80), (11, 30), (12, 90)):
        await recorder.add_quota(Quota("docker.io", None, 100, remaining, 21_600, at(20, hour)))
    await recorder.add_watch(
        WatchRow(at(20, 10), at(20, 10) + timedelta(seconds=3), (NAME,), (NAME,))
    )
    broken = TagFailure(NAME, Reason.NETWORK, "no route")
    await recorder.add_watch(WatchRow(at(20, 10, 2), at(20, 10, 2), (NAME,), (), (broken,), 1))
