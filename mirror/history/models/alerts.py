"""Alerts and the delivery of their messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mirror.history.models.base import Base, one_of


class AlertRecord(Base):
    """A condition that someone should know about, from its start to its end."""

    __tablename__ = "alert"
    __table_args__ = (
        one_of("severity", ("info", "warning", "critical")),
        Index(
            "uq_alert_open",
            "rule",
            text("coalesce(mirror_id, 0)"),
            "subject",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index(None, "mirror_id", "opened_at"),
        Index(None, "opened_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    rule: Mapped[str] = mapped_column(comment="Such as tag_failed or delay_goal.")
    severity: Mapped[str]
    mirror_id: Mapped[int | None] = mapped_column(ForeignKey("mirror.id"))
    subject: Mapped[str] = mapped_column(
        server_default="", comment="What it is about within rule and mirror: a tag, a registry."
    )
    opened_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(comment="When it last still held.")
    closed_at: Mapped[datetime | None]
    repeats: Mapped[int] = mapped_column(server_default="0", comment="Reminders sent.")
    details: Mapped[dict[str, Any]] = mapped_column(
        JSONB, server_default="{}", comment="What the message says: tags, reason, numbers, links."
    )


class AlertDeliveryRecord(Base):
    """One message of an alert to one channel."""

    __tablename__ = "alert_delivery"
    __table_args__ = (
        one_of("kind", ("opened", "repeated", "closed")),
        Index(None, "alert_id"),
        Index("ix_alert_delivery_due", "due_at", postgresql_where=text("sent_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id", ondelete="CASCADE"))
    channel: Mapped[str]
    kind: Mapped[str]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(comment="Not before: quiet hours, pace of retries.")
    attempts: Mapped[int] = mapped_column(server_default="0")
    sent_at: Mapped[datetime | None]
    gave_up_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(comment="Of the last attempt; never a secret.")
