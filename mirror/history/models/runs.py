"""What happened: rounds of the watch, sync runs, and a row for each tag that a run worked on.

All three are partitioned by month. tag_sync has the run's start in its key, so that its partitions
line up with those of sync_run and a month can be dropped from both.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mirror.history.models.base import Base, Bytes, Count, MirrorId, one_of
from mirror.outcome import ChangeKind, Reason, RunStatus, TagStatus, Trigger


class WatchRunRecord(Base):
    """One round of the watch over all sources."""

    __tablename__ = "watch_run"
    __table_args__ = ({"postgresql_partition_by": "RANGE (started_at)"},)

    started_at: Mapped[datetime] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    ended_at: Mapped[datetime]
    looked: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Mirrors whose source was read.")
    moved: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Mirrors whose sync was started.")
    failed: Mapped[list[str]] = mapped_column(
        ARRAY(Text), comment="Mirrors whose source could not be read."
    )
    messages: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Why, in the order of failed.")
    requests: Mapped[Count] = mapped_column(comment="HTTP requests to the sources.")


class HookEventRecord(Base):
    """A push that a service reported."""

    __tablename__ = "hook_event"
    __table_args__ = (
        Index(None, "received_at"),
        Index("ix_hook_event_new", "received_at", postgresql_where=text("woken_at IS NULL")),
        Index(
            "ix_hook_event_woken",
            "source",
            postgresql_where=text("looked_at IS NULL AND source IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(
        comment="Which service's format it has: the KIND of its address."
    )
    sender: Mapped[str] = mapped_column(comment="Address that sent it.")
    repository: Mapped[str] = mapped_column(
        comment="As it says: a path, with a host where it names one."
    )
    tag: Mapped[str | None] = mapped_column(comment="As it says.")
    source: Mapped[str | None] = mapped_column(
        comment="The watched source that it names; NULL for none."
    )
    woken_at: Mapped[datetime | None] = mapped_column(comment="When the watch took note of it.")
    looked_at: Mapped[datetime | None] = mapped_column(
        comment="When the look at the source that followed it started."
    )


class SyncRunRecord(Base):
    """One sync of one mirror."""

    __tablename__ = "sync_run"
    __table_args__ = (
        one_of("status", RunStatus),
        one_of("trigger", Trigger),
        one_of("reason", Reason),
        Index(None, "mirror_id", "started_at"),
        Index(None, "ended_at"),
        Index(
            "ix_sync_run_succeeded",
            "mirror_id",
            "ended_at",
            postgresql_where=text("status = 'succeeded' AND NOT dry_run"),
        ),
        Index("ix_sync_run_running", "mirror_id", postgresql_where=text("status = 'running'")),
        {"postgresql_partition_by": "RANGE (started_at)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(primary_key=True)
    mirror_id: Mapped[MirrorId]
    trigger: Mapped[str]
    complete: Mapped[bool] = mapped_column(comment="Both sides were compared (--full).")
    dry_run: Mapped[bool] = mapped_column(server_default="false")
    flow_run_id: Mapped[str | None] = mapped_column(comment="Prefect's id of the flow run.")
    status: Mapped[str]
    ended_at: Mapped[datetime | None]
    tags_discovered: Mapped[Count]
    tags_changed: Mapped[Count]
    tags_copied: Mapped[Count]
    tags_failed: Mapped[Count]
    blobs_copied: Mapped[Count]
    blobs_mounted: Mapped[Count]
    blobs_reused: Mapped[Count]
    bytes_copied: Mapped[Bytes]
    requests_source: Mapped[Count]
    requests_target: Mapped[Count]
    seconds_discover: Mapped[float] = mapped_column(server_default="0")
    seconds_diff: Mapped[float] = mapped_column(server_default="0")
    seconds_copy: Mapped[float] = mapped_column(server_default="0")
    seconds_verify: Mapped[float] = mapped_column(server_default="0")
    seconds_total: Mapped[float] = mapped_column(
        server_default="0", comment="The flow's own work; copy and verify overlap."
    )
    reason: Mapped[str | None] = mapped_column(comment="Why the run as a whole failed.")
    message: Mapped[str | None]
    warnings: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")


class TagSyncRecord(Base):
    """One tag that one run worked on."""

    __tablename__ = "tag_sync"
    __table_args__ = (
        ForeignKeyConstraint(["run_id", "run_started_at"], ["sync_run.id", "sync_run.started_at"]),
        one_of("kind", ChangeKind),
        one_of("status", TagStatus),
        one_of("reason", Reason),
        one_of("delay_from", ("pushed", "detected", "followed")),
        Index(None, "mirror_id", "tag", "ended_at"),
        Index("ix_tag_sync_dropped", "mirror_id", postgresql_where=text("dropped IS NOT NULL")),
        Index(None, "ended_at"),
        {"postgresql_partition_by": "RANGE (run_started_at)"},
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    run_started_at: Mapped[datetime] = mapped_column(primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    mirror_id: Mapped[MirrorId]
    target_tag: Mapped[str] = mapped_column(comment="Differs from tag only by rename.")
    kind: Mapped[str | None] = mapped_column(comment="NULL: the source did not return its digest.")
    status: Mapped[str]
    source_digest: Mapped[str | None]
    target_digest: Mapped[str | None]
    previous_digest: Mapped[str | None] = mapped_column(comment="Of the target, before.")
    pushed_at: Mapped[datetime | None]
    detected_at: Mapped[datetime | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    available_at: Mapped[datetime | None] = mapped_column(comment="Verified at the target.")
    delay_seconds: Mapped[float | None] = mapped_column(
        comment="available_at minus the latest of push (else detection) and the mirror's"
        " followed_since; only for new and moved tags that arrived."
    )
    delay_from: Mapped[str | None] = mapped_column(
        comment="What the delay counts from: pushed (reported by the source),"
        " detected (not reported), followed (pushed before the mirror followed this tag)."
    )
    attempts: Mapped[int] = mapped_column(
        server_default="1", comment="Tries at this digest so far, earlier runs included."
    )
    blobs_copied: Mapped[Count]
    blobs_mounted: Mapped[Count]
    blobs_reused: Mapped[Count]
    bytes_copied: Mapped[Bytes]
    referrers: Mapped[Count]
    dropped: Mapped[list[dict[str, Any]] | None] = mapped_column(
        JSONB, comment="Parts left out at the target: digest, media_type, reason, platform."
    )
    reason: Mapped[str | None]
    message: Mapped[str | None]
