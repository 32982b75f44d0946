"""Who holds the lock of a target, and which programs may use the schema."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from mirror.history.models.base import Base


class TargetLockRecord(Base):
    """The holder of one target's lock. It alone writes its row."""

    __tablename__ = "target_lock"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - SQLAlchemy's own hook

    target: Mapped[str] = mapped_column(
        primary_key=True, comment="Host[:port]/path of the target repository."
    )
    token: Mapped[UUID] = mapped_column(
        unique=True,
        comment="Of this holder. What it writes is refused as soon as another one is here.",
    )
    host: Mapped[str] = mapped_column(comment="Name of the machine or container that holds it.")
    pid: Mapped[int] = mapped_column(comment="Process on that machine.")
    backend_pid: Mapped[int] = mapped_column(
        comment="Process of this server that serves its connection and owns the advisory lock."
    )
    backend_start: Mapped[datetime] = mapped_column(
        comment="When that process started: numbers are reused."
    )
    acquired_at: Mapped[datetime] = mapped_column(
        comment="When it took the lock, by this server's clock."
    )
    beat_at: Mapped[datetime] = mapped_column(comment="Its last heartbeat, by this server's clock.")
    run_id: Mapped[UUID | None] = mapped_column(comment="The run, once it has begun.")
    flow_run_id: Mapped[str | None] = mapped_column(comment="Prefect's id of the flow run.")


class SupportedProgramRecord(Base):
    """A program that may use this schema although the schema is newer. Migrations write it."""

    __tablename__ = "supported_program"

    revision: Mapped[str] = mapped_column(
        primary_key=True, comment="The newest revision that the program knows."
    )
