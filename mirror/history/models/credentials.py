"""When credentials expire. The history holds no secrets."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mirror.history.models.base import Base


class CredentialEndRecord(Base):
    """When the credential for a repository expires, if it states that."""

    __tablename__ = "credential_end"

    repository_id: Mapped[int] = mapped_column(
        ForeignKey("repository.id"), primary_key=True, autoincrement=False
    )
    origin: Mapped[str] = mapped_column(
        comment="Where the credential comes from, such as a variable's name; never its value."
    )
    expires_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(
        comment="When this was last read from the credential."
    )
