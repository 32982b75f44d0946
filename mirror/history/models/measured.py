"""Measurements: pulls, pull counts, quotas, audits."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mirror.history.models.base import Base, Bytes, Count, MirrorId, one_of
from mirror.outcome import Reason


class ProbeRecord(Base):
    """One anonymous pull of a tag from one side of a mirror.

    Pulls of one round share probed_at: only they, with the same digest, are compared.
    """

    __tablename__ = "probe"
    __table_args__ = (
        one_of("side", ("source", "target")),
        one_of("reason", Reason),
        Index(None, "probed_at"),
        {"postgresql_partition_by": "RANGE (probed_at)"},
    )

    mirror_id: Mapped[MirrorId] = mapped_column(primary_key=True)
    probed_at: Mapped[datetime] = mapped_column(primary_key=True, comment="Start of the round.")
    tag: Mapped[str] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[str] = mapped_column(
        primary_key=True, server_default="", comment="Where the pull ran, such as cn-hangzhou."
    )
    digest: Mapped[str | None] = mapped_column(comment="Of the manifest or index pulled.")
    first_byte_seconds: Mapped[float | None]
    seconds: Mapped[float | None] = mapped_column(comment="Whole pull, from the first request.")
    bytes: Mapped[Bytes]
    well: Mapped[bool] = mapped_column(comment="The pull succeeded.")
    reason: Mapped[str | None]
    message: Mapped[str | None]


class PullCountRecord(Base):
    """How often a repository had been pulled by the end of a day, where its registry reports it."""

    __tablename__ = "pull_count"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    pulls: Mapped[int] = mapped_column(BigInteger, comment="Since the repository exists.")
    counted_at: Mapped[datetime] = mapped_column(comment="The day's last count.")


class QuotaReadingRecord(Base):
    """A pull quota from a registry's headers."""

    __tablename__ = "quota_reading"
    __table_args__ = ({"postgresql_partition_by": "RANGE (read_at)"},)

    host: Mapped[str] = mapped_column("registry", primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True, comment="Empty: anonymous.")
    read_at: Mapped[datetime] = mapped_column(primary_key=True)
    quota: Mapped[int] = mapped_column(comment="Pulls allowed in the window.")
    remaining: Mapped[int]
    window_seconds: Mapped[int]


class AuditRunRecord(Base):
    """One audit of what a target really holds."""

    __tablename__ = "audit_run"
    __table_args__ = (Index(None, "mirror_id", "started_at"), one_of("reason", Reason))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    mirror_id: Mapped[MirrorId]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    deep: Mapped[bool] = mapped_column(comment="Every blob was fetched and hashed.")
    tags: Mapped[Count] = mapped_column(comment="Compared.")
    blobs_checked: Mapped[Count] = mapped_column(comment="Seen by HEAD, size compared.")
    blobs_hashed: Mapped[Count] = mapped_column(comment="Fetched and hashed.")
    bytes_hashed: Mapped[Bytes]
    requests: Mapped[Count]
    reason: Mapped[str | None] = mapped_column(comment="Why it could not be finished.")
    message: Mapped[str | None]


class AuditFindingRecord(Base):
    """A difference that an audit found."""

    __tablename__ = "audit_finding"
    __table_args__ = (
        Index(None, "audit_id"),
        Index("ix_audit_finding_open", "tag", postgresql_where=text("repaired_at IS NULL")),
        one_of(
            "kind",
            (
                "behind",
                "missing_tag",
                "wrong_digest",
                "missing_manifest",
                "missing_blob",
                "wrong_size",
                "wrong_content",
                "unsigned",
                "extra_tag",
                "unreadable",
            ),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    audit_id: Mapped[UUID] = mapped_column(ForeignKey("audit_run.id", ondelete="CASCADE"))
    tag: Mapped[str]
    kind: Mapped[str]
    digest: Mapped[str | None] = mapped_column(comment="Of what is missing or wrong.")
    message: Mapped[str]
    repaired_at: Mapped[datetime | None] = mapped_column(
        comment="When a later sync verified the tag again; for wrong_content,"
        " when a later audit hashed the blob and it was right."
    )
