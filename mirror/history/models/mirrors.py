"""Mirrors and their present state: tags, blobs, capabilities of registries."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    Interval,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mirror.history.models.base import Base, MirrorId, one_of


class RepositoryRecord(Base):
    """A repository in a registry, source or target."""

    __tablename__ = "repository"
    __table_args__ = (UniqueConstraint("registry", "name"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    host: Mapped[str] = mapped_column("registry", comment="Host[:port]; docker.io for Docker Hub.")
    name: Mapped[str] = mapped_column(comment="Path in the registry, such as library/postgres.")


class MirrorRecord(Base):
    """A source repository kept at a target repository: the unit of work."""

    __tablename__ = "mirror"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True, comment="As in mirrors.yaml.")
    source_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), index=True)
    target_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), index=True)
    policy: Mapped[str] = mapped_column(
        server_default="", comment="Which tags and platforms are mirrored, as configured."
    )
    every: Mapped[timedelta] = mapped_column(Interval, comment="Between scheduled syncs.")
    watch_every: Mapped[timedelta] = mapped_column(Interval, comment="Between rounds of the watch.")
    delay_goal: Mapped[timedelta] = mapped_column(
        Interval, comment="From push at the source to verified at the target, at most."
    )
    created_at: Mapped[datetime] = mapped_column(comment="When it was first recorded.")
    followed_since: Mapped[datetime] = mapped_column(
        comment="Creation, or the last change of source, target or policy. Delays count from here"
        " for tags that were pushed before."
    )


class TagStateRecord(Base):
    """The present state of a tag of one mirror. Its past is tag_sync and tag_past."""

    __tablename__ = "tag_state"
    __table_args__ = (
        one_of("suspect", ("missing", "drifted")),
        Index(
            "ix_tag_state_unsettled",
            "mirror_id",
            postgresql_where=text(
                "copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held"
                " OR gone_at IS NOT NULL"
            ),
        ),
        Index(None, "mirror_id", "available_at"),
        Index(
            "ix_tag_state_newest",
            "mirror_id",
            text("coalesce(pushed_at, detected_at) DESC"),
            "tag",
            postgresql_where=text("gone_at IS NULL"),
        ),
        Index("ix_tag_state_dropped", "mirror_id", postgresql_where=text("dropped IS NOT NULL")),
    )

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    source_digest: Mapped[str | None] = mapped_column(comment="What the source last pointed at.")
    copied_digest: Mapped[str | None] = mapped_column(
        comment="Source digest of what was last copied and verified."
    )
    target_digest: Mapped[str | None] = mapped_column(
        comment="Digest at the target; differs from copied_digest where parts were left out."
    )
    pushed_at: Mapped[datetime | None] = mapped_column(
        comment="When the source says it was pushed."
    )
    detected_at: Mapped[datetime] = mapped_column(comment="When source_digest was first seen.")
    available_at: Mapped[datetime | None] = mapped_column(
        comment="When copied_digest was verified at the target; NULL if it was found there."
    )
    dropped: Mapped[list[dict[str, Any]] | None] = mapped_column(
        JSONB, comment="Parts left out at the target, as in tag_sync."
    )
    attempts: Mapped[int] = mapped_column(
        server_default="0", comment="Failed attempts at source_digest."
    )
    next_attempt_at: Mapped[datetime | None] = mapped_column(
        comment="A failed tag is not tried again before."
    )
    failed_since: Mapped[datetime | None] = mapped_column(
        comment="First of the failures that have lasted until now;"
        " NULL when the last try succeeded."
    )
    reason: Mapped[str | None] = mapped_column(comment="Of the last failure, until a try succeeds.")
    message: Mapped[str | None]
    held: Mapped[bool] = mapped_column(
        server_default="false", comment="Immutable and moved at the source: not copied."
    )
    gone_at: Mapped[datetime | None] = mapped_column(comment="When the source stopped listing it.")
    suspect: Mapped[str | None] = mapped_column(
        comment="What an audit found at the target, until a sync has repaired it."
    )
    size: Mapped[int | None] = mapped_column(
        BigInteger, comment="Bytes of the largest platform, where the source reports it."
    )
    platforms: Mapped[list[str] | None] = mapped_column(
        ARRAY(Text), comment="Such as linux/amd64, where the source reports it."
    )


class EntryRepositoryRecord(Base):
    """A repository that an entry for many repositories was seen to hold."""

    __tablename__ = "entry_repository"

    entry: Mapped[str] = mapped_column(primary_key=True, comment="As in mirrors.yaml.")
    name: Mapped[str] = mapped_column(
        primary_key=True, comment="What the * of the source is replaced by."
    )
    first_seen_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(comment="When the source last listed it.")
    missing_since: Mapped[datetime | None] = mapped_column(
        comment="When a list of the source first lacked it."
    )
    gone_at: Mapped[datetime | None] = mapped_column(
        comment="When it was given up: lists a day apart lacked it. Its images are kept."
    )
    updated_at: Mapped[datetime | None] = mapped_column(
        comment="Its last push at the source, as of the last look at its tags."
    )


class BlobPresenceRecord(Base):
    """A blob that a target repository is known to hold."""

    __tablename__ = "blob_presence"
    __table_args__ = (Index(None, "digest"),)

    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, comment="Bytes.")
    placed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RegistryAbilityRecord(Base):
    """What a registry was seen to support or refuse for a repository, kept between runs."""

    __tablename__ = "registry_ability"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), primary_key=True)
    abilities: Mapped[dict[str, Any]] = mapped_column(JSONB)
    refusals: Mapped[dict[str, Any]] = mapped_column(
        JSONB,
        server_default=text("'{}'"),
        comment="By optional request that failed: reason, at, until (times in UTC).",
    )
    learnt_at: Mapped[datetime]
