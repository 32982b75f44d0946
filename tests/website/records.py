"""Three records by hand: an empty one, a troubled one, and three years of a busy one."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from mirror.outcome import DropReason, Reason, RunStatus, Trigger
from mirror.website.site_data import (
    Day,
    DelayFigures,
    Incident,
    LeftOut,
    Mirror,
    Run,
    Severity,
    Share,
    SiteRecord,
    SpeedFigures,
    Tag,
)
from mirror.website.sources import Text

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
ALIYUN = "registry.cn-hangzhou.aliyuncs.com/hagicode/hagicode"
AZURE = "hagicode.azurecr.io/hagicode"
HUB = "docker.io/newbe36524/hagicode"


def digest(text: str) -> str:
    """A digest that looks real and is always the same for `text`."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def mirror(name: str, target: str, **figures: object) -> Mirror:
    """A mirror of HagiCode's image."""
    is_azure = target == AZURE
    every = timedelta(hours=1) if is_azure else timedelta(minutes=30)
    values = {"source": HUB, "every": every, "delay_goal": every, **figures}
    return Mirror(name=name, target=target, **values)  # type: ignore[arg-type]  # figures of a test


def run(minutes_ago: float, status: RunStatus = RunStatus.SUCCEEDED, **more: object) -> Run:
    """A run that began `minutes_ago` and took 40 s."""
    started = NOW - timedelta(minutes=minutes_ago)
    ended = None if status is RunStatus.RUNNING else started + timedelta(seconds=40)
    values = {"trigger": Trigger.SCHEDULE, "copied": 0, "failed": 0, "bytes_copied": 0, **more}
    return Run(started_at=started, ended_at=ended, status=status, **values)  # type: ignore[arg-type]  # figures of a test


def empty() -> SiteRecord:
    """Mirrors are configured and nothing has run."""
    return SiteRecord(
        read_at=NOW,
        mirrors=(mirror("hagicode-aliyun", ALIYUN), mirror("hagicode-azure", AZURE)),
    )


def tags(count: int, *, filtered: bool = False, behind: int = 0) -> tuple[Tag, ...]:
    """`count` tags, newest first; the first `behind` of them have not arrived."""
    made = []
    for index in range(count):
        name = f"0.1.0-beta.{count - index}"
        pushed = NOW - timedelta(hours=2 + 5 * index)
        source = digest(name)
        arrived = index >= behind
        target = digest(f"{name} filtered") if filtered else source
        made.append(
            Tag(
                name=name,
                source_digest=source,
                target_digest=target if arrived else None,
                pushed_at=pushed,
                available_at=pushed + timedelta(minutes=4) if arrived else None,
                in_sync=arrived,
                size=412_000_000 + index,
                platforms=("linux/amd64", "linux/arm64"),
                left_out=(LeftOut(DropReason.ATTESTATION_REFUSED, "unknown/unknown", digest("a")),)
                if filtered
                else (),
            )
        )
    return tuple(made)


def days(count: int, *, bad: int = 0) -> tuple[Day, ...]:
    """The last `count` days, of which the newest `bad` failed mostly."""
    made = []
    for age in range(count - 1, -1, -1):
        ended = 48
        good = 10 if age < bad else 47 if age % 17 == 0 else 48
        made.append(
            Day(
                day=(NOW - timedelta(days=age)).date(),
                runs=Share(good, ended),
                delay_p50=180.0 + 7 * (age % 11),
                delay_p95=600.0 + 31 * (age % 13),
                speed_mirror=9.1e6 + 2e5 * (age % 7),
                speed_source=1.2e6 + 1e5 * (age % 5),
            )
        )
    return tuple(made)


def troubled() -> SiteRecord:
    """Aliyun fails since two hours with an open incident; Azure is well."""
    failed = run(
        30,
        RunStatus.FAILED,
        failed=3,
        reason=Reason.AUTH,
    )
    aliyun = mirror(
        "hagicode-aliyun",
        ALIYUN,
        verified_at=NOW - timedelta(hours=2),
        looked_at=NOW - timedelta(minutes=1),
        synced=57,
        behind=3,
        behind_since=NOW - timedelta(hours=2),
        tag_success=Share(57, 60),
        run_success=Share(44, 48),
        delay=DelayFigures(p50=240, p95=2400, max=7300, count=57),
        days=days(20, bad=1),
        runs=(failed, run(60, RunStatus.PARTIAL, copied=2, failed=3), run(90, copied=4)),
        tags=tags(60, filtered=True, behind=3),
    )
    azure = mirror(
        "hagicode-azure",
        AZURE,
        verified_at=NOW - timedelta(minutes=20),
        looked_at=NOW - timedelta(minutes=1),
        synced=60,
        behind=0,
        tag_success=Share(60, 60),
        run_success=Share(24, 24),
        delay=DelayFigures(p50=300, p95=900, max=1500, count=60),
        days=days(20),
        runs=(run(20), run(80)),
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
    return SiteRecord(read_at=NOW, mirrors=(aliyun, azure), incidents=incidents)


def busy() -> SiteRecord:
    """Three years, 2,000 tags, three mirrors of two images."""
    figures = {
        "verified_at": NOW - timedelta(minutes=12),
        "looked_at": NOW - timedelta(seconds=50),
        "synced": 2000,
        "behind": 0,
        "tag_success": Share(2994, 3000),
        "run_success": Share(1438, 1440),
        "delay": DelayFigures(p50=210, p95=720, max=1680, count=3000),
        "speed": SpeedFigures(9.6e6, 1.4e6, Share(2876, 2880), NOW - timedelta(minutes=9)),
        "days": days(365 * 3),
        "runs": tuple(run(12 + 30 * n, copied=n % 3, bytes_copied=n * 10**8) for n in range(20)),
        "tags": tags(2000),
    }
    postgres = Mirror(
        name="bitnami_postgresql-aliyun",
        source="docker.io/bitnami/postgresql",
        target="registry.cn-hangzhou.aliyuncs.com/hagicode/bitnami_postgresql",
        every=timedelta(minutes=30),
        delay_goal=timedelta(minutes=30),
        verified_at=NOW - timedelta(minutes=12),
        synced=1,
        behind=0,
        tag_success=Share(40, 40),
        run_success=Share(1440, 1440),
        delay=DelayFigures(p50=210, p95=720, max=900, count=40),
        days=days(300),
        runs=(run(12),),
        tags=tags(1),
    )
    return SiteRecord(
        read_at=NOW,
        mirrors=(
            mirror("hagicode-aliyun", ALIYUN, **figures),
            mirror("hagicode-azure", AZURE, **figures),
            postgres,
        ),
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
