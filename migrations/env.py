"""Runs migrations on the history database, one transaction each, one process at a time.

A migration that has to wait for a lock of a running sync gives up after five seconds instead of
blocking every session that queues behind it; run it again.
"""

from __future__ import annotations

import re
import time
from typing import Literal

import sqlalchemy as sa
from alembic import context

from mirror.history.database.address import database_url
from mirror.history.database.engine import create_engine
from mirror.history.models.base import Base

LOCK = "SELECT pg_advisory_lock(hashtextextended('hagicode-mirror migrations', 0))"
TRY_LOCK = LOCK.replace("pg_advisory_lock", "pg_try_advisory_lock")
PATIENCE = 600.0  # seconds
PAUSE = 0.1
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('hagicode-mirror migrations', 0))"
PARTITION = re.compile(r"_\d{4}_\d{2}$")

Kind = Literal[
    "schema",
    "table",
    "column",
    "index",
    "unique_constraint",
    "foreign_key_constraint",
    "check_constraint",
]


def include_object(
    item: sa.schema.SchemaItem,
    name: str | None,
    kind: Kind,
    reflected: bool,
    compare_to: sa.schema.SchemaItem | None,
) -> bool:
    """Leave partitions out of the comparison with the models: they come and go with the months."""
    if not reflected:
        return True
    table = item if isinstance(item, sa.Table) else getattr(item, "table", None)
    names = [table.name] if table is not None else []
    if isinstance(item, sa.ForeignKeyConstraint):  # PostgreSQL keeps one for each partition
        names += [element.target_fullname.split(".")[-2] for element in item.elements]
    return not any(PARTITION.search(name) for name in names)


def run() -> None:
    """Migrate the database that the caller named, or that of the environment."""
    url = context.config.attributes.get("url") or database_url()
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SET lock_timeout = '5s'"))
            # Another one may be at work: it takes as long as its longest statement may. Asked for
            # again and again, since CREATE INDEX CONCURRENTLY waits for who waits in a statement.
            patience = time.monotonic() + PATIENCE
            while not connection.scalar(sa.text(TRY_LOCK)):
                connection.commit()
                if time.monotonic() > patience:
                    connection.execute(sa.text(LOCK))  # fails for the lock
                time.sleep(PAUSE)
            connection.execute(sa.text("SET statement_timeout = '10min'"))
            connection.commit()
            context.configure(
                connection=connection,
                target_metadata=Base.metadata,
                include_object=include_object,
                transaction_per_migration=True,
                compare_server_default=True,
            )
            with context.begin_transaction():
                context.run_migrations()
            connection.execute(sa.text(UNLOCK))
            connection.commit()
    finally:
        engine.dispose()  # closes the session, and so frees the lock


run()
