"""Daily figures, kept for ever, and what outlives the raw rows of a month that is dropped.

They hold the UTC days before closed.until; figures.sql of the migrations fills them, and the report
views add what came later. The columns are in the order of those functions.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Float, Index
from sqlalchemy.orm import Mapped, mapped_column

from mirror.history.models.base import Base, MirrorId


class ClosedRecord(Base):
    """A single row: until when the daily tables are complete."""

    __tablename__ = "closed"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    until: Mapped[datetime]


class DailyRunRecord(Base):
    """Runs that ended on a day. Dry runs and collisions are in the sums, not in the counts."""

    __tablename__ = "daily_run"
    __table_args__ = (Index(None, "day"),)

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    succeeded: Mapped[int] = mapped_column(BigInteger)
    partial: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    abandoned: Mapped[int] = mapped_column(BigInteger)
    bytes_copied: Mapped[int] = mapped_column(BigInteger)
    requests_source: Mapped[int] = mapped_column(BigInteger)
    requests_target: Mapped[int] = mapped_column(BigInteger)
    blobs_copied: Mapped[int] = mapped_column(BigInteger)
    blobs_mounted: Mapped[int] = mapped_column(BigInteger)
    blobs_reused: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float] = mapped_column(Float)


class DailyTagRecord(Base):
    """Tag records that ended on a day, and the delays of those that arrived."""

    __tablename__ = "daily_tag"
    __table_args__ = (Index(None, "day"),)

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    succeeded: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    abandoned: Mapped[int] = mapped_column(BigInteger)
    retried: Mapped[int] = mapped_column(BigInteger, comment="Succeeded with attempts > 1.")
    delays: Mapped[int] = mapped_column(BigInteger)
    delays_in_goal: Mapped[int] = mapped_column(BigInteger, comment="By the goal of that day.")
    delays_detected: Mapped[int] = mapped_column(BigInteger, comment="Counted from detection.")
    delays_followed: Mapped[int] = mapped_column(BigInteger, comment="Counted from followed_since.")
    delay_p50: Mapped[float | None] = mapped_column(Float)
    delay_p95: Mapped[float | None] = mapped_column(Float)
    delay_p99: Mapped[float | None] = mapped_column(Float)
    delay_max: Mapped[float | None] = mapped_column(Float)


class DailyDelayRecord(Base):
    """Delays of a day by size, from which percentiles of many days are computed."""

    __tablename__ = "daily_delay"
    __table_args__ = (Index(None, "day"),)

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    bucket: Mapped[int] = mapped_column(primary_key=True, comment="Up to 1.05^bucket seconds.")
    tags: Mapped[int] = mapped_column(BigInteger)


class CumulativeDelayRecord(Base):
    """The same of all time up to the end of a month: any two give the months between them."""

    __tablename__ = "cumulative_delay"
    __table_args__ = (Index(None, "month"),)

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(
        primary_key=True, comment="Its first day; the last one may be open."
    )
    bucket: Mapped[int] = mapped_column(primary_key=True)
    tags: Mapped[int] = mapped_column(BigInteger, comment="Of all time up to the end of the month.")


class MonthlyRunRecord(Base):
    """Runs of whole months, which reports add up."""

    __tablename__ = "monthly_run"
    __table_args__ = (Index(None, "month"),)

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True, comment="Its first day.")
    succeeded: Mapped[int] = mapped_column(BigInteger)
    partial: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    abandoned: Mapped[int] = mapped_column(BigInteger)
    bytes_copied: Mapped[int] = mapped_column(BigInteger)
    requests_source: Mapped[int] = mapped_column(BigInteger)
    requests_target: Mapped[int] = mapped_column(BigInteger)
    blobs_copied: Mapped[int] = mapped_column(BigInteger)
    blobs_mounted: Mapped[int] = mapped_column(BigInteger)
    blobs_reused: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float] = mapped_column(Float)


class MonthlyTagRecord(Base):
    """Tag records of whole months, which reports add up."""

    __tablename__ = "monthly_tag"
    __table_args__ = (Index(None, "month"),)

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True, comment="Its first day.")
    succeeded: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    abandoned: Mapped[int] = mapped_column(BigInteger)
    retried: Mapped[int] = mapped_column(BigInteger)
    delays: Mapped[int] = mapped_column(BigInteger)
    delays_in_goal: Mapped[int] = mapped_column(BigInteger)
    delays_detected: Mapped[int] = mapped_column(BigInteger)
    delays_followed: Mapped[int] = mapped_column(BigInteger)
    delay_max: Mapped[float | None] = mapped_column(Float)


class DailyFailureRecord(Base):
    """Failures of a day by reason: of tag records, and of runs as a whole."""

    __tablename__ = "daily_failure"
    __table_args__ = (Index(None, "day"),)

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True, comment="tag or run.")
    tag: Mapped[str] = mapped_column(primary_key=True, comment="Empty for runs.")
    reason: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime]
    last_run: Mapped[UUID]
    last_message: Mapped[str | None]


class DailyProbeRecord(Base):
    """Pulls of a day; the sums are over comparable pairs."""

    __tablename__ = "daily_probe"
    __table_args__ = (Index(None, "day"),)

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    place: Mapped[str] = mapped_column(primary_key=True)
    source_pulls: Mapped[int] = mapped_column(BigInteger)
    source_failed: Mapped[int] = mapped_column(BigInteger)
    target_pulls: Mapped[int] = mapped_column(BigInteger)
    target_failed: Mapped[int] = mapped_column(BigInteger)
    pairs: Mapped[int] = mapped_column(BigInteger)
    source_bytes: Mapped[int] = mapped_column(BigInteger)
    source_seconds: Mapped[float] = mapped_column(Float)
    target_bytes: Mapped[int] = mapped_column(BigInteger)
    target_seconds: Mapped[float] = mapped_column(Float)
    gain_p50: Mapped[float | None] = mapped_column(Float)


class DailyQuotaRecord(Base):
    """The least that was left of a pull quota on a day."""

    __tablename__ = "daily_quota"
    __table_args__ = (Index(None, "day"),)

    host: Mapped[str] = mapped_column("registry", primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    readings: Mapped[int] = mapped_column(BigInteger)
    quota: Mapped[int]
    least_remaining: Mapped[int]


class DailyWatchRecord(Base):
    """Rounds of the watch on a day."""

    __tablename__ = "daily_watch"

    day: Mapped[date] = mapped_column(primary_key=True)
    looks: Mapped[int] = mapped_column(BigInteger)
    looks_failed: Mapped[int] = mapped_column(BigInteger)
    moved: Mapped[int] = mapped_column(BigInteger)
    requests: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float] = mapped_column(Float)


class TagPastRecord(Base):
    """Arrivals of digests whose raw records were dropped: a tag's history is kept for ever."""

    __tablename__ = "tag_past"

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    available_at: Mapped[datetime] = mapped_column(primary_key=True)
    source_digest: Mapped[str]
    target_digest: Mapped[str | None]
    pushed_at: Mapped[datetime | None]
    detected_at: Mapped[datetime | None]
    delay_seconds: Mapped[float | None] = mapped_column(Float)
    delay_from: Mapped[str | None]
    run_id: Mapped[UUID]
