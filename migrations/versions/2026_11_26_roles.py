"""Roles with few rights: a writer, the reader, and the login of `mirror sql`."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0006_roles"
down_revision = "0005_locks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/roles.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
