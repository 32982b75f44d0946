"""Shared by all tables: metadata, names of constraints, and types by their meaning.

Times are timestamptz, written and read in UTC. Enumerations are text with a CHECK, stored by
value, so that SQL needs no lookup and a new value is one cheap migration.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Root of all models."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own hook
        str: Text(),
        datetime: DateTime(timezone=True),
        list[str]: Text(),
    }


Bytes = Annotated[int, mapped_column(BigInteger, server_default="0")]
Count = Annotated[int, mapped_column(Integer, server_default="0")]
MirrorId = Annotated[int, mapped_column(ForeignKey("mirror.id"))]


def one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    """A CHECK that a text column holds one of these values (NULL passes)."""
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)
