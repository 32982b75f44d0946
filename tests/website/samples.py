"""The data of three sites by hand: an empty one, a troubled one, three years of a busy one."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from mirror.config import Severity
from mirror.history import (
    DayStats,
    DelayStats,
    MirrorReport,
    MirrorStatus,
    PullStats,
    Runs,
    RunSummary,
    Tags,
)
from mirror.outcome import Dropped, DropReason, Reason, RunStatus, Trigger
from mirror.website.site_data import Incident, SiteData, SiteDay, SiteMirror, SiteTag
from mirror.website.sources import Text

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
ALIYUN = "registry.cn-hangzhou.aliyuncs.com/hagicode/hagicode"
AZURE = "hagicode.azurecr.io/hagicode"
HUB = "docker.io/newbe36524/hagicode"


def digest(text: str) -> str:
    """A digest that looks real and is always the same for `text`."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


ATTESTATION = Dropped(
    digest("a"),
    "application/vnd.oci.image.manifest.v1+json",
    DropReason.ATTESTATION_REFUSED,
    "unknown/unknown",
)


def report(
    name: str,
    target: str,
    source: str = HUB,
    *,
    synced: int = 0,
    behind: int = 0,
    oldest_lag: timedelta | None = None,
    runs: Runs = Runs(),  # noqa: B008 - frozen
    tags: Tags = Tags(),  # noqa: B008 - frozen
    delay: DelayStats = DelayStats(),  # noqa: B008 - frozen
    pulls: PullStats = PullStats(),  # noqa: B008 - frozen
    recent_runs: tuple[RunSummary, ...] = (),
) -> MirrorReport:
    """The report of a mirror of HagiCode's image, or of another one."""
    every = timedelta(hours=1) if target == AZURE else timedelta(minutes=30)
    status = MirrorStatus(
        mirror=name,
        source=source,
        target=target,
        every=every,
        delay_goal=every,
        tags=synced + behind,
        in_sync=synced,
        behind=behind,
        failing=0,
        held=0,
        gone=0,
        oldest_lag=oldest_lag,
        last_arrival_at=None,
        last_success_at=None,
    )
    return MirrorReport(status, runs, tags, delay, pulls=pulls, recent_runs=recent_runs)


def run(
    minutes_ago: float,
    status: RunStatus = RunStatus.SUCCEEDED,
    *,
    copied: int = 0,
    failed: int = 0,
    bytes_copied: int = 0,
    reason: Reason | None = None,
) -> RunSummary:
    """A run that began `minutes_ago` and took 40 s."""
    started = NOW - timedelta(minutes=minutes_ago)
    return RunSummary(
        run_id=digest(f"run {minutes_ago}"),
        started_at=started,
        ended_at=None if status is RunStatus.RUNNING else started + timedelta(seconds=40),
        status=status,
        trigger=Trigger.SCHEDULE,
        complete=True,
        dry_run=False,
        tags_discovered=copied + failed,
        tags_changed=copied + failed,
        tags_copied=copied,
        tags_failed=failed,
        bytes_copied=bytes_copied,
        requests_source=1,
        requests_target=1,
        seconds_total=40,
        reason=reason,
        message=None,
        flow_run_id=None,
    )


def delay(p50: float, p95: float, longest: float, samples: int) -> DelayStats:
    """Delays of `samples` tags, in seconds."""
    return DelayStats(samples, p50=p50, p95=p95, max=longest)


def empty() -> SiteData:
    """Mirrors are configured and nothing has run."""
    return SiteData(
        read_at=NOW,
        mirrors=(
            SiteMirror(report("hagicode-aliyun", ALIYUN)),
            SiteMirror(report("hagicode-azure", AZURE)),
        ),
    )


def tags(count: int, *, filtered: bool = False, behind: int = 0) -> tuple[SiteTag, ...]:
    """`count` tags, newest first; the first `behind` of them have not arrived."""
    made = []
    for index in range(count):
        name = f"0.1.0-beta.{count - index}"
        pushed = NOW - timedelta(hours=2 + 5 * index)
        source = digest(name)
        arrived = index >= behind
        target = digest(f"{name} filtered") if filtered else source
        made.append(
            SiteTag(
                name=name,
                source_digest=source,
                target_digest=target if arrived else None,
                pushed_at=pushed,
                available_at=pushed + timedelta(minutes=4) if arrived else None,
                in_sync=arrived,
                size=412_000_000 + index,
                platforms=("linux/amd64", "linux/arm64"),
                left_out=(ATTESTATION,) if filtered else (),
            )
        )
    return tuple(made)


def days(count: int, *, bad: int = 0) -> tuple[SiteDay, ...]:
    """The last `count` days, of which the newest `bad` failed mostly."""
    made = []
    for age in range(count - 1, -1, -1):
        ended = 48
        good = 10 if age < bad else 47 if age % 17 == 0 else 48
        made.append(
            SiteDay(
                DayStats(
                    (NOW - timedelta(days=age)).date(),
                    Runs(succeeded=good, failed=ended - good),
                    delay=delay(180.0 + 7 * (age % 11), 600.0 + 31 * (age % 13), 900, 9),
                ),
                speed=9.1e6 + 2e5 * (age % 7),
                source_speed=1.2e6 + 1e5 * (age % 5),
            )
        )
    return tuple(made)


def troubled() -> SiteData:
    """Aliyun fails since two hours with an open incident; Azure is well."""
    failed = run(30, RunStatus.FAILED, failed=3, reason=Reason.AUTH)
    aliyun = SiteMirror(
        report(
            "hagicode-aliyun",
            ALIYUN,
            synced=57,
            behind=3,
            oldest_lag=timedelta(hours=2),
            runs=Runs(succeeded=44, failed=4),
            tags=Tags(succeeded=57, failed=3),
            delay=delay(240, 2400, 7300, 57),
            recent_runs=(failed, run(60, RunStatus.PARTIAL, copied=2, failed=3), run(90, copied=4)),
        ),
        verified_at=NOW - timedelta(hours=2),
        looked_at=NOW - timedelta(minutes=1),
        days=days(20, bad=1),
        tags=tags(60, filtered=True, behind=3),
    )
    azure = SiteMirror(
        report(
            "hagicode-azure",
            AZURE,
            synced=60,
            runs=Runs(succeeded=24),
            tags=Tags(succeeded=60),
            delay=delay(300, 900, 1500, 60),
            recent_runs=(run(20), run(80)),
        ),
        verified_at=NOW - timedelta(minutes=20),
        looked_at=NOW - timedelta(minutes=1),
        days=days(20),
        tags=tags(60),
    )
    incidents = (
        Incident(
            id="7",
            mirror="hagicode-aliyun",
            severity=Severity.CRITICAL,
            kind="tag_failed",
            summary=Text(zh="3 个标签同步失败 <script>", en="3 tags fail <script> & more"),
            opened_at=NOW - timedelta(hours=2),
            resolved_at=None,
        ),
        Incident(
            id="3",
            mirror="hagicode-azure",
            severity=Severity.WARNING,
            kind="delay_goal",
            summary=Text(zh="1 个标签超过目标", en="1 tag missed the goal"),
            opened_at=NOW - timedelta(days=3),
            resolved_at=NOW - timedelta(days=3) + timedelta(minutes=35),
        ),
    )
    return SiteData(read_at=NOW, mirrors=(aliyun, azure), incidents=incidents)


def busy() -> SiteData:
    """Three years, 2,000 tags, three mirrors of two images."""
    pulls = PullStats(
        pulls=2880,
        failed=4,
        source_pulls=2880,
        pairs=2876,
        bytes=96_000_000,
        seconds=10,
        source_bytes=14_000_000,
        source_seconds=10,
    )
    recent = tuple(run(12 + 30 * n, copied=n % 3, bytes_copied=n * 10**8) for n in range(20))
    hagicode = tuple(
        SiteMirror(
            report(
                name,
                target,
                synced=2000,
                runs=Runs(succeeded=1438, failed=2),
                tags=Tags(succeeded=2994, failed=6),
                delay=delay(210, 720, 1680, 3000),
                pulls=pulls,
                recent_runs=recent,
            ),
            verified_at=NOW - timedelta(minutes=12),
            looked_at=NOW - timedelta(seconds=50),
            days=days(365 * 3),
            tags=tags(2000),
        )
        for name, target in (("hagicode-aliyun", ALIYUN), ("hagicode-azure", AZURE))
    )
    postgres = SiteMirror(
        report(
            "bitnami_postgresql-aliyun",
            "registry.cn-hangzhou.aliyuncs.com/hagicode/bitnami_postgresql",
            "docker.io/bitnami/postgresql",
            synced=1,
            runs=Runs(succeeded=1440),
            tags=Tags(succeeded=40),
            delay=delay(210, 720, 900, 40),
            recent_runs=(run(12),),
        ),
        verified_at=NOW - timedelta(minutes=12),
        days=days(300),
        tags=tags(1),
    )
    return SiteData(
        read_at=NOW,
        mirrors=(*hagicode, postgres),
        incidents=tuple(
            Incident(
                id=str(n),
                mirror="hagicode-aliyun",
                severity=Severity.WARNING,
                kind="delay_goal",
                summary=Text(zh=f"{n} 个标签超过目标", en=f"{n} tags missed the goal"),
                opened_at=NOW - timedelta(days=9 * n),
                resolved_at=NOW - timedelta(days=9 * n) + timedelta(minutes=20),
            )
            for n in range(1, 60)
        ),
    )
